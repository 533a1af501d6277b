//! What commands print, and how they end.

use std::fmt::Display;
use std::io::{self, BufWriter, ErrorKind, IsTerminal, Stdout, Write, stderr, stdout};

use serde::Serialize;

/// Something is wrong with how the command was called: exit status 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub String);

/// A usage error.
pub fn usage(message: impl Into<String>) -> anyhow::Error {
    Usage(message.into()).into()
}

/// How a command ended that did not fail as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Everything asked for was done.
    Done,
    /// Something was not; it was said where.
    Partly,
}

/// Standard output. When its reader goes away, the rest is dropped quietly: the work goes on, and the exit status still
/// tells how it went.
#[derive(Debug)]
pub struct Out {
    inner: Option<BufWriter<Stdout>>,
}

impl Out {
    /// Standard output.
    #[must_use]
    pub fn stdout() -> Self {
        Self { inner: Some(BufWriter::new(stdout())) }
    }

    /// Whether somebody still reads.
    #[must_use]
    pub fn open(&self) -> bool {
        self.inner.is_some()
    }

    /// Writes bytes as they are.
    ///
    /// # Errors
    /// When they cannot be written, for another reason than that the reader went away.
    pub fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.attempt(|inner| inner.write_all(bytes))
    }

    /// Writes one line.
    ///
    /// # Errors
    /// Like [`Out::bytes`].
    pub fn line(&mut self, line: impl Display) -> io::Result<()> {
        self.attempt(|inner| writeln!(inner, "{line}"))
    }

    /// Writes one line of JSON.
    ///
    /// # Errors
    /// Like [`Out::bytes`].
    pub fn json(&mut self, value: &impl Serialize) -> io::Result<()> {
        self.line(serde_json::to_string(value).map_err(io::Error::other)?)
    }

    /// Hands on what is buffered.
    ///
    /// # Errors
    /// Like [`Out::bytes`].
    pub fn flush(&mut self) -> io::Result<()> {
        self.attempt(|inner| inner.flush())
    }

    fn attempt(&mut self, write: impl FnOnce(&mut BufWriter<Stdout>) -> io::Result<()>) -> io::Result<()> {
        let Some(inner) = &mut self.inner else { return Ok(()) };
        match write(inner) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                // What is still buffered has no reader either.
                if let Some(inner) = self.inner.take() {
                    drop(inner.into_parts());
                }
                Ok(())
            }
            result => result,
        }
    }
}

/// Says something beside the result, on standard error.
pub fn say(message: impl Display) {
    // Nobody listens any more: nothing to be done.
    _ = writeln!(stderr(), "sceau: {message}");
}

/// Whether standard error is a terminal.
#[must_use]
pub fn on_terminal() -> bool {
    stderr().is_terminal()
}

/// An error with its causes, in one line. What a cause only repeats is left out.
#[must_use]
pub fn sentence(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if !text.contains(&cause) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&cause);
        }
    }
    printable(&text)
}

/// A text from elsewhere (a file's name, say) made fit for one line of a terminal.
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}
