//! Where an answer goes: a file that is never half there, or standard output.

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::cli::document::Document;
use crate::cli::output::{Out, say};

/// A place to write to.
#[derive(Debug)]
pub struct Target {
    path: PathBuf,
    force: bool,
}

impl Target {
    /// What was given with -o, else a file beside the document whose name ends in `suffix`.
    ///
    /// # Errors
    /// When it exists and may not be overwritten: said before anybody is asked for anything.
    pub fn of(given: Option<PathBuf>, document: &Document, suffix: &str, force: bool) -> anyhow::Result<Self> {
        let path = given.unwrap_or_else(|| {
            let mut name = match document {
                Document::File(path) => path.clone().into_os_string(),
                Document::Digest(digest) => OsString::from(digest.to_string()),
            };
            name.push(suffix);
            name.into()
        });
        let target = Self { path, force };
        if !target.to_stdout() && !force && target.path.symlink_metadata().is_ok() {
            anyhow::bail!("{}", exists(&target.path));
        }
        Ok(target)
    }

    fn to_stdout(&self) -> bool {
        self.path.as_os_str() == "-"
    }

    /// Writes, and says so when it is a file.
    ///
    /// # Errors
    /// When it cannot be written; what stood there stays.
    pub fn save(&self, bytes: &[u8], out: &mut Out) -> anyhow::Result<()> {
        if self.to_stdout() {
            out.bytes(bytes)?;
            out.flush()?;
        } else {
            write(&self.path, bytes, self.force)?;
            say(format_args!("wrote {}", self.path.display()));
        }
        Ok(())
    }
}

fn exists(target: &Path) -> String {
    format!("{} exists already: give --force to overwrite it, or another name with -o", target.display())
}

/// Writes all or nothing: what stood there is replaced only by a whole file.
fn write(target: &Path, bytes: &[u8], force: bool) -> anyhow::Result<()> {
    let named = || format!("writing {}", target.display());
    let mut draft = target.as_os_str().to_owned();
    if force {
        draft.push(format!(".{}.part", std::process::id()));
    }
    let draft = PathBuf::from(draft);
    let mut file = match OpenOptions::new().write(true).create_new(true).open(&draft) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => anyhow::bail!("{}", exists(&draft)),
        opened => opened.with_context(named)?,
    };
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    let written = written.and_then(|()| if force { fs::rename(&draft, target) } else { Ok(()) });
    written.inspect_err(|_| _ = fs::remove_file(&draft)).with_context(named)
}
