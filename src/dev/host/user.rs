//! Who runs a server: Postgres refuses to run as root.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// A user a server runs as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct User {
    /// Its user id.
    pub uid: u32,
    /// Its main group's id.
    pub gid: u32,
}

/// Whether this process runs as root.
///
/// # Errors
/// When `id` cannot be run.
pub fn is_root() -> Result<bool> {
    Ok(id(&["-u"]).context("cannot tell who runs this process")? == 0)
}

/// The unprivileged user that runs servers for root: `postgres` if there is one, else `nobody`.
///
/// # Errors
/// When the system has neither.
pub fn unprivileged() -> Result<User> {
    for name in ["postgres", "_postgres", "nobody"] {
        if let (Ok(uid), Ok(gid)) = (id(&["-u", name]), id(&["-g", name])) {
            return Ok(User { uid, gid });
        }
    }
    bail!("Postgres does not run as root and there is no user `postgres` or `nobody` to run it; start as another user")
}

impl User {
    /// Whether this user can enter `folder` and every folder above it, and read it. Only root may ask for another user.
    #[must_use]
    pub fn can_enter(&self, folder: &Path) -> bool {
        Command::new("/bin/sh")
            .args(["-c", r#"cd -- "$1" && test -r ."#, "sh"])
            .arg(folder)
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .uid(self.uid)
            .gid(self.gid)
            .status()
            .is_ok_and(|status| status.success())
    }
}

fn id(args: &[&str]) -> Result<u32> {
    let output = Command::new("id").args(args).stderr(Stdio::null()).output()?;
    let text = String::from_utf8(output.stdout)?;
    // macOS numbers `nobody` -2.
    let number: i64 = text.trim().parse()?;
    Ok(u32::try_from(number).or_else(|_| i32::try_from(number).map(i32::cast_unsigned))?)
}
