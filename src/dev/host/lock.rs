//! One owner per folder.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};

/// An exclusive advisory lock on a folder itself, so no lock file is left lying about. Ends with this value or with
/// the process, however it ends.
#[derive(Debug)]
pub struct FolderLock {
    folder: File,
}

impl Drop for FolderLock {
    /// Lets go at once: closing alone would not while a child that is just being started holds a copy of the file.
    fn drop(&mut self) {
        let _ = self.folder.unlock();
    }
}

impl FolderLock {
    /// Takes the lock, or returns `None` when another process (or another part of this one) holds it.
    ///
    /// # Errors
    /// When the folder cannot be opened.
    pub fn try_take(folder: &Path) -> Result<Option<Self>> {
        let file = File::open(folder).with_context(|| format!("cannot open the folder {}", folder.display()))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { folder: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error).with_context(|| format!("cannot lock the folder {}", folder.display())),
        }
    }

    /// Takes the lock or refuses, saying that another `what` runs on the folder.
    ///
    /// # Errors
    /// When it is held, or the folder cannot be opened.
    pub fn take(folder: &Path, what: &str) -> Result<Self> {
        match Self::try_take(folder)? {
            Some(lock) => Ok(lock),
            None => bail!("another {what} already runs on the folder {}: end it, or choose another folder", folder.display()),
        }
    }

    /// Takes the lock, waiting for its holder as long as that takes.
    ///
    /// # Errors
    /// When the folder cannot be opened.
    pub async fn wait(folder: &Path) -> Result<Self> {
        loop {
            match Self::try_take(folder)? {
                Some(lock) => return Ok(lock),
                None => tokio::time::sleep(Duration::from_millis(200)).await,
            }
        }
    }
}
