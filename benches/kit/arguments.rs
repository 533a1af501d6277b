//! What a bench is asked on its command line. Cargo adds `--bench`, so what nobody knows is nothing.

use std::str::FromStr;

use anyhow::{Context, Result};

/// The words behind the program's name.
pub struct Arguments(Vec<String>);

impl Arguments {
    /// Those of this process.
    pub fn given() -> Self {
        Self(std::env::args().skip(1).collect())
    }

    /// What stands behind `name`; `default` where it is not there.
    pub fn value<T: FromStr<Err: std::error::Error + Send + Sync + 'static>>(&self, name: &str, default: T) -> Result<T> {
        let Some(place) = self.0.iter().position(|argument| argument == name) else { return Ok(default) };
        let text = self.0.get(place + 1).with_context(|| format!("{name} wants a value"))?;
        text.parse().with_context(|| format!("{name} {text}"))
    }

    /// Whether `name` is there.
    pub fn flag(&self, name: &str) -> bool {
        self.0.iter().any(|argument| argument == name)
    }
}
