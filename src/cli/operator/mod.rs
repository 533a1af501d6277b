//! Commands of whoever runs Sceau: they read the server's settings, not the API.

pub mod account;
pub mod audit;
pub mod contract;
pub mod log;
pub mod recover;
pub mod server;
pub mod target;
mod validator;

mod access;
mod identity;
mod import;
mod key;

use std::fmt::Display;
use std::path::{Path, PathBuf};

use clap::Args;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use sqlx::migrate::MigrateError;

use crate::config;
use crate::ledger::{Ledger, LedgerError};

/// Where the settings are when nobody says so.
const DEFAULT_FILE: &str = "sceau.toml";

/// Which settings file is read.
#[derive(Debug, Clone, Args)]
pub struct Settings {
    /// Settings file [default: sceau.toml in the current folder, if there is one]; variables win over it: SCEAU_ORIGIN, SCEAU_HTTP__PUBLIC_URL and so on
    #[arg(long, value_name = "FILE", env = "SCEAU_CONFIG", hide_env_values = true, global = true)]
    config: Option<PathBuf>,
}

impl Settings {
    /// The file named here, or else by `outer`, or else the default one if it exists.
    #[must_use]
    pub fn file(&self, outer: Option<&Path>) -> Option<PathBuf> {
        let named = self.config.as_deref().filter(|path| !path.as_os_str().is_empty()).or(outer).map(Path::to_owned);
        named.or_else(|| Some(PathBuf::from(DEFAULT_FILE)).filter(|path| path.is_file()))
    }
}

/// The part of the settings that says where the database is.
#[derive(Debug, Deserialize)]
struct Database {
    database_url: SecretString,
}

/// Reads some of the settings; others may be missing or wrong.
fn part<T: DeserializeOwned>(file: Option<&Path>) -> anyhow::Result<T> {
    config::sources(file)?.extract().map_err(|error| unsettled(&error, file))
}

/// What is wrong with the settings, and where they could come from.
fn unsettled(error: &dyn Display, file: Option<&Path>) -> anyhow::Error {
    // Profiles are figment's, not ours.
    let error = error.to_string().replace("key \"default.", "key \"");
    let whence = if file.is_some() { "" } else { "; there is no sceau.toml here: give --config, or set variables SCEAU_…" };
    anyhow::anyhow!("settings: {error}{whence}")
}

fn ledger(url: &SecretString) -> anyhow::Result<Ledger> {
    let url = url.expose_secret();
    // The driver takes any scheme for its own, and would look for a host of whatever name that gives.
    let ours = url.starts_with("postgres://") || url.starts_with("postgresql://");
    let connected = Ledger::connect_as(url, 1, "operator").ok().filter(|_| ours);
    connected.ok_or_else(|| {
        anyhow::anyhow!("database_url is not a Postgres URL: it looks like postgres://user:password@host:5432/name")
    })
}

/// A failure of the database in words that say what to do.
fn explained(error: LedgerError) -> anyhow::Error {
    let cause = match &error {
        LedgerError::Database(cause)
        | LedgerError::Migrate(MigrateError::Execute(cause) | MigrateError::ExecuteMigration(cause, _)) => cause,
        _ => return error.into(),
    };
    match cause {
        sqlx::Error::PoolTimedOut | sqlx::Error::Io(_) => {
            anyhow::anyhow!("the database does not answer: check database_url, and that Postgres runs ({cause})")
        }
        sqlx::Error::Database(inner) if inner.code().is_some_and(|code| code == "42P01") => {
            anyhow::anyhow!("the database has no tables yet: run `sceau migrate` first")
        }
        _ => error.into(),
    }
}
