//! The folder that keeps the local stack: `.sceau`.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// What `dev.json` tells.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct DevJson {
    /// Address of the API.
    pub api_url: String,
    /// Address of the KageSecur dialect.
    #[serde(default)]
    pub kagesecur_url: String,
    /// Address of the core API.
    #[serde(default)]
    pub core_url: String,
    /// Certificate of the authority to trust for all of them, PEM file.
    pub ca_cert: PathBuf,
    /// Metrics of the service.
    #[serde(default)]
    pub metrics_url: String,
    /// JSON-RPC of the chain.
    pub rpc_url: String,
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// Address of the `AnchorRegistry`.
    pub registry: String,
    /// The database; holds its password.
    pub database_url: String,
    /// Demo accounts.
    pub accounts: Vec<DemoAccount>,
}

/// A demo account with its credentials.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DemoAccount {
    /// Its name.
    pub name: String,
    /// What it may do.
    pub role: String,
    /// Public half of its credential.
    pub consumer_key: String,
    /// Secret half.
    pub consumer_secret: String,
    /// Its identity in the KageSecur dialect, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kagesecur: Option<DemoIdentity>,
}

/// With what a demo account logs in to the KageSecur dialect: its empreinte is SHA-256(identifiant || clef).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DemoIdentity {
    /// Its name there.
    pub identifiant: String,
    /// Its password there.
    pub clef: String,
}

/// The folder, made when missing, readable by its owner and, where a server runs as another user, passable for that user.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    /// Opens the folder; `reset` empties it first.
    ///
    /// # Errors
    /// When it cannot be made or emptied.
    pub fn open(path: &Path, reset: bool) -> Result<Self> {
        if reset && path.exists() {
            // Only what this module makes: a folder given by mistake keeps what is not ours.
            for ours in ["postgres", "chain", "tls", "secrets", "demo", "dev.json", "sceau.toml"] {
                let ours = path.join(ours);
                let removed = match fs::symlink_metadata(&ours) {
                    Err(_) => continue,
                    Ok(data) if data.is_symlink() => {
                        // Data that had to be put elsewhere.
                        if let Ok(elsewhere) = fs::canonicalize(&ours) {
                            fs::remove_dir_all(elsewhere).with_context(|| format!("cannot empty {}", ours.display()))?;
                        }
                        fs::remove_file(&ours)
                    }
                    Ok(data) if data.is_dir() => fs::remove_dir_all(&ours),
                    Ok(_) => fs::remove_file(&ours),
                };
                removed.with_context(|| format!("cannot remove {}", ours.display()))?;
            }
        }
        fs::create_dir_all(path).with_context(|| format!("cannot make the folder {}", path.display()))?;
        let path = path.canonicalize().with_context(|| format!("cannot enter {}", path.display()))?;
        Ok(Self { path })
    }

    /// The folder itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Addresses and credentials, for people and programs.
    #[must_use]
    pub fn dev_json(&self) -> PathBuf {
        self.path.join("dev.json")
    }

    /// Settings of the service.
    #[must_use]
    pub fn settings(&self) -> PathBuf {
        self.path.join("sceau.toml")
    }

    /// Receipts of the first proof.
    #[must_use]
    pub fn demo(&self) -> PathBuf {
        self.path.join("demo")
    }

    /// A path as it is shown: short where it is below the current folder.
    #[must_use]
    pub fn shown(&self, path: &Path) -> String {
        let here = std::env::current_dir().ok();
        match here.and_then(|here| path.strip_prefix(here).ok()) {
            Some(short) if short.as_os_str().is_empty() => "this folder".into(),
            Some(short) => short.display().to_string(),
            None => path.display().to_string(),
        }
    }

    /// What an earlier start left in `dev.json`.
    ///
    /// # Errors
    /// When the file is there but not what this version writes.
    pub fn earlier(&self) -> Result<Option<DevJson>> {
        match fs::read(self.dev_json()) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| self.dev_json().display().to_string()),
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map(Some)
                .with_context(|| format!("{} is damaged; start over with `sceau dev --reset`", self.dev_json().display())),
        }
    }

    /// A secret that is made once and kept: the file's content, or `make`'s answer on first use.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub fn secret(&self, name: &str, make: impl FnOnce() -> Result<String>) -> Result<(PathBuf, String)> {
        let folder = self.path.join("secrets");
        if !folder.exists() {
            fs::DirBuilder::new().mode(0o700).create(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        }
        let path = folder.join(name);
        match fs::read_to_string(&path) {
            Ok(text) => Ok((path, text)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let text = make()?;
                write(&path, &text)?;
                Ok((path, text))
            }
            Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }
}

/// Writes a file that only its owner reads, whole or not at all.
///
/// # Errors
/// When it cannot be written.
pub fn write(path: &Path, text: &str) -> Result<()> {
    let parts = || format!("cannot write {}", path.display());
    let fresh = path.with_extension("fresh");
    let _ = fs::remove_file(&fresh);
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh).with_context(parts)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).with_context(parts)?;
    fs::rename(&fresh, path).with_context(parts)
}
