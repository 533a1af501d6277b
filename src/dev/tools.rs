//! Tools pinned by npm lock files in the repository: the EVM node, and Postgres where the system has none.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, anyhow, bail};
use serde_json::Value;
use tokio::process::Command;

use super::host::FolderLock;

/// Told what takes long, one line each.
pub type Progress<'a> = &'a (dyn Fn(&str) + Send + Sync);

/// The repository's root: where this binary was built if that still exists, else the current folder or the nearest one
/// above it that holds `anvil/package.json`, else `$SCEAU_HOME`.
///
/// # Errors
/// When none of them is a copy of the repository.
pub fn repository() -> Result<PathBuf> {
    let is_root = |folder: &Path| folder.join("anvil/package.json").is_file();
    let built = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    if is_root(&built) {
        return Ok(built);
    }
    let here = std::env::current_dir().context("there is no current folder")?;
    if let Some(found) = here.ancestors().find(|folder| is_root(folder)) {
        return Ok(found.to_owned());
    }
    match std::env::var_os("SCEAU_HOME").map(PathBuf::from) {
        Some(home) if is_root(&home) => Ok(home),
        Some(home) => bail!("SCEAU_HOME is {}, which has no anvil/package.json", home.display()),
        None => bail!("the local stack needs the repository's folder anvil/: run this inside a clone, or set SCEAU_HOME to one"),
    }
}

/// The folder of `package` under `folder`, installed exactly as `folder/package-lock.json` pins it: `npm ci` runs only
/// when the installed version is another or npm did not finish. Two processes install one after the other.
///
/// # Errors
/// When the lock file has no such package, npm is missing or fails (without a network, say).
pub async fn ensure(folder: &Path, package: &str, progress: Progress<'_>) -> Result<PathBuf> {
    let pinned = pinned_version(folder, package)?;
    let path = folder.join("node_modules").join(package);
    let _lock = match FolderLock::try_take(folder)? {
        Some(lock) => lock,
        None => {
            progress("waiting for another process that installs tools");
            FolderLock::wait(folder).await?
        }
    };
    if installed_version(folder, package).as_ref() != Some(&pinned) || !path.is_dir() {
        progress(&format!("installing {package} {pinned}"));
        npm_ci(folder).await?;
        if installed_version(folder, package).as_ref() != Some(&pinned) || !path.is_dir() {
            bail!("npm ci in {} did not install {package} {pinned}", folder.display());
        }
    }
    Ok(path)
}

/// The version of `package` that `folder/package-lock.json` pins.
///
/// # Errors
/// When the lock file is missing, not JSON, or does not name the package.
pub fn pinned_version(folder: &Path, package: &str) -> Result<String> {
    let lock = folder.join("package-lock.json");
    let text = std::fs::read_to_string(&lock).with_context(|| format!("cannot read {}", lock.display()))?;
    version_in(&text, package).ok_or_else(|| anyhow!("{} does not pin {package}", lock.display()))
}

/// npm writes this file last, so what it names is whole.
fn installed_version(folder: &Path, package: &str) -> Option<String> {
    version_in(&std::fs::read_to_string(folder.join("node_modules/.package-lock.json")).ok()?, package)
}

fn version_in(lock: &str, package: &str) -> Option<String> {
    let lock: Value = serde_json::from_str(lock).ok()?;
    Some(lock.get("packages")?.get(format!("node_modules/{package}"))?.get("version")?.as_str()?.to_owned())
}

async fn npm_ci(folder: &Path) -> Result<()> {
    let arguments = ["ci", "--no-audit", "--no-fund", "--ignore-scripts"];
    let output =
        Command::new("npm").args(arguments).current_dir(folder).stdin(Stdio::null()).kill_on_drop(true).output().await.map_err(
            |error| match error.kind() {
                std::io::ErrorKind::NotFound => anyhow!(
                    "npm is missing: install Node.js 20 or newer (Debian: `apt install nodejs npm`, macOS: `brew install node`)"
                ),
                _ => anyhow!("cannot run npm: {error}"),
            },
        )?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        bail!("`npm {}` failed in {} ({}):\n{}", arguments.join(" "), folder.display(), output.status, text.trim());
    }
    Ok(())
}
