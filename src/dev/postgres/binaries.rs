//! Where the server's binaries come from.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, anyhow, bail};
use serde::Deserialize;

use super::super::host::User;
use super::super::tools::{self, Progress};
use super::{NEWEST, OLDEST};

/// A folder with `initdb` and `postgres`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binaries {
    /// The folder.
    pub folder: PathBuf,
    /// Major version.
    pub major: u32,
}

/// Finds binaries of major version `wanted`, or of any supported one: `setting`, else `$SCEAU_POSTGRES_BIN`, each of
/// which must fit; else the system's; else the npm package the repository pins, installed when missing.
///
/// # Errors
/// When the explicit setting does not fit, or nothing does.
pub async fn find(setting: Option<&Path>, wanted: Option<u32>, progress: Progress<'_>) -> Result<Binaries> {
    let variable = std::env::var_os("SCEAU_POSTGRES_BIN").map(PathBuf::from);
    if let Some(folder) = setting.map(Path::to_owned).or(variable) {
        let found = inspect(&folder)
            .ok_or_else(|| anyhow!("{} does not hold initdb and postgres of version {OLDEST} to {NEWEST}", folder.display()))?;
        return match wanted {
            Some(major) if major != found.major => {
                bail!("{} holds Postgres {}, not {major}", folder.display(), found.major)
            }
            _ => Ok(found),
        };
    }
    let fits = |found: &Binaries| wanted.is_none_or(|major| major == found.major);
    if let Some(found) = system_folders().iter().filter_map(|folder| inspect(folder)).find(fits) {
        return Ok(found);
    }
    let found = from_npm(progress).await?;
    if !fits(&found) {
        bail!("there is no Postgres {} here, only {}", wanted.unwrap_or_default(), found.major);
    }
    Ok(found)
}

/// The binaries as `user` can run them: in place, or a copy under `/var/lib/sceau` when the repository lies in a folder
/// that user cannot enter.
///
/// # Errors
/// When the copy cannot be made.
pub fn reachable(found: Binaries, user: User) -> Result<Binaries> {
    if user.can_enter(&found.folder) {
        return Ok(found);
    }
    let source = found.folder.parent().context("the binaries' folder has no parent")?;
    let version = version_of(&found.folder.join("postgres")).context("postgres does not tell its version")?;
    let copy = Path::new(super::folder::SYSTEM_FOLDER).join(format!("postgres-binaries-{version}"));
    if !copy.join("bin/postgres").is_file() {
        let partial = copy.with_extension(format!("{}.partial", std::process::id()));
        std::fs::create_dir_all(super::folder::SYSTEM_FOLDER)?;
        let status = Command::new("cp").arg("-R").arg(source).arg(&partial).status()?;
        if !status.success() {
            bail!("cannot copy the Postgres binaries to {}", partial.display());
        }
        // Another process may have been faster: its copy is as good.
        if std::fs::rename(&partial, &copy).is_err() {
            std::fs::remove_dir_all(&partial)?;
        }
    }
    let folder = copy.join("bin");
    if !user.can_enter(&folder) {
        bail!("Postgres runs as uid {} and can enter neither {} nor {}", user.uid, found.folder.display(), folder.display());
    }
    Ok(Binaries { folder, major: found.major })
}

fn system_folders() -> Vec<PathBuf> {
    let mut folders = Vec::new();
    if let Ok(output) = Command::new("pg_config").arg("--bindir").stderr(Stdio::null()).output() {
        folders.push(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()));
    }
    for major in (OLDEST..=NEWEST).rev() {
        folders.extend([
            PathBuf::from(format!("/usr/lib/postgresql/{major}/bin")),
            PathBuf::from(format!("/usr/pgsql-{major}/bin")),
            PathBuf::from(format!("/opt/homebrew/opt/postgresql@{major}/bin")),
            PathBuf::from(format!("/usr/local/opt/postgresql@{major}/bin")),
        ]);
    }
    folders
}

fn inspect(folder: &Path) -> Option<Binaries> {
    if !folder.join("initdb").is_file() {
        return None;
    }
    let version = version_of(&folder.join("postgres"))?;
    let major = version.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()?;
    (OLDEST..=NEWEST).contains(&major).then(|| Binaries { folder: folder.to_owned(), major })
}

/// `postgres --version` answers `postgres (PostgreSQL) 15.13 (Debian …)`.
fn version_of(postgres: &Path) -> Option<String> {
    let output = Command::new(postgres).arg("--version").current_dir("/").stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    Some(text.split_once("(PostgreSQL) ")?.1.split_whitespace().next()?.to_owned())
}

/// The binaries of the npm package the repository pins, installed when missing.
pub async fn from_npm(progress: Progress<'_>) -> Result<Binaries> {
    let platform = match (std::env::consts::OS, std::env::consts::ARCH) {
        ("linux", "x86_64") => "linux-x64",
        ("linux", "aarch64") => "linux-arm64",
        ("macos", "x86_64") => "darwin-x64",
        ("macos", "aarch64") => "darwin-arm64",
        (os, arch) => bail!("install Postgres {OLDEST} to {NEWEST}: there is no ready-made one for {os} on {arch}"),
    };
    let folder = tools::repository()?.join("anvil/postgres");
    let package = tools::ensure(&folder, &format!("@embedded-postgres/{platform}"), progress)
        .await
        .with_context(|| format!("install Postgres {OLDEST} to {NEWEST}, or set SCEAU_POSTGRES_BIN to its folder bin"))?;
    link_libraries(&package)?;
    let bin = package.join("native/bin");
    inspect(&bin).ok_or_else(|| anyhow!("the Postgres in {} does not run on this machine", bin.display()))
}

#[derive(Deserialize)]
struct Link {
    source: PathBuf,
    target: PathBuf,
}

/// An npm package cannot hold symbolic links; this one lists them instead, for a script that installing without scripts
/// does not run.
fn link_libraries(package: &Path) -> Result<()> {
    let list = package.join("native/pg-symlinks.json");
    let text = std::fs::read_to_string(&list).with_context(|| format!("cannot read {}", list.display()))?;
    let links: Vec<Link> = serde_json::from_str(&text).with_context(|| format!("cannot read {}", list.display()))?;
    for link in links {
        let (Some(file), target) = (link.source.file_name(), package.join(&link.target)) else { continue };
        if !target.exists() {
            match std::os::unix::fs::symlink(file, &target) {
                Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
                    return Err(error).with_context(|| format!("cannot link {}", target.display()));
                }
                _ => {}
            }
        }
    }
    Ok(())
}
