//! Options that say where the API is and who asks, and the local stack's answer when none is given.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use secrecy::SecretString;
use serde::Deserialize;

use super::client::{Access, Client};
use super::output::{say, usage};

/// Where the running local stack describes itself, in its folder.
const DEV_FILE: &str = ".sceau/dev.json";

/// Options of every command that speaks to the API.
#[derive(Debug, Args)]
#[command(next_help_heading = "Connection (by default the local stack of `sceau dev`)")]
pub struct Connection {
    /// Address of the API, for example https://sceau.example
    #[arg(long, value_name = "URL", env = "SCEAU_API_URL", hide_env_values = true)]
    api_url: Option<String>,

    /// Certificate (PEM) to trust instead of the system's
    #[arg(long, value_name = "FILE", env = "SCEAU_CA_CERT", hide_env_values = true)]
    ca_cert: Option<PathBuf>,

    /// Consumer key of the account
    #[arg(long, value_name = "KEY", env = "SCEAU_CONSUMER_KEY", hide_env_values = true)]
    consumer_key: Option<String>,

    /// Its secret; other users see arguments, so prefer the variable or the file
    #[arg(long, value_name = "SECRET", env = "SCEAU_CONSUMER_SECRET", hide_env_values = true)]
    consumer_secret: Option<SecretString>,

    /// File that holds the secret
    #[arg(long, value_name = "FILE", env = "SCEAU_CONSUMER_SECRET_FILE", hide_env_values = true)]
    consumer_secret_file: Option<PathBuf>,
}

/// What [`DEV_FILE`] holds, as far as it matters here.
#[derive(Deserialize)]
struct Dev {
    api_url: String,
    ca_cert: Option<String>,
    accounts: Vec<DevAccount>,
}

#[derive(Deserialize)]
struct DevAccount {
    role: String,
    consumer_key: String,
    consumer_secret: SecretString,
}

impl Connection {
    /// A client that tells the user when it has to wait.
    ///
    /// # Errors
    /// When something is missing or cannot be read.
    pub fn client(self) -> anyhow::Result<Client> {
        self.client_as("partner")
    }

    /// Like [`Connection::client`], with the local stack's account of another role.
    ///
    /// # Errors
    /// When something is missing or cannot be read.
    pub fn client_as(self, role: &str) -> anyhow::Result<Client> {
        Ok(Client::new(self.access_as(role)?)?.on_wait(|message| say(message)))
    }

    /// Everything [`Client::new`] needs, from the options or from the local stack.
    ///
    /// # Errors
    /// When something is missing or cannot be read.
    pub fn access(self) -> anyhow::Result<Access> {
        self.access_as("partner")
    }

    fn access_as(self, role: &str) -> anyhow::Result<Access> {
        // A variable set to nothing counts as not set.
        let text = |value: Option<String>| value.filter(|text| !text.is_empty());
        let path = |value: Option<PathBuf>| value.filter(|path| !path.as_os_str().is_empty());
        let api_url = text(self.api_url);
        let ca_cert = path(self.ca_cert);
        let consumer_key = text(self.consumer_key);
        let secret = match path(self.consumer_secret_file) {
            Some(file) => Some(secret_of(&file)?),
            None => self.consumer_secret.filter(|secret| !secrecy::ExposeSecret::expose_secret(secret).is_empty()),
        };
        if api_url.is_none() && ca_cert.is_none() && consumer_key.is_none() && secret.is_none() {
            return local_stack(&std::env::current_dir().context("the current folder")?, role);
        }
        let missing = |option: &str, variable: &str| usage(format!("{option} is missing: give it, or set {variable}"));
        Ok(Access {
            api_url: api_url.ok_or_else(|| missing("--api-url", "SCEAU_API_URL"))?,
            ca_cert: ca_cert.map(|file| read(&file)).transpose()?,
            consumer_key: consumer_key.ok_or_else(|| missing("--consumer-key", "SCEAU_CONSUMER_KEY"))?,
            consumer_secret: secret.ok_or_else(|| missing("--consumer-secret-file", "SCEAU_CONSUMER_SECRET"))?,
        })
    }
}

/// The local stack that was started in `folder` or the nearest folder above it.
fn local_stack(folder: &Path, role: &str) -> anyhow::Result<Access> {
    let file = folder.ancestors().map(|folder| folder.join(DEV_FILE)).find(|file| file.is_file()).ok_or_else(|| {
        usage(
            "which API is meant? Give --api-url, --consumer-key and --consumer-secret-file (or SCEAU_API_URL, SCEAU_CONSUMER_KEY \
               and SCEAU_CONSUMER_SECRET), or start a local stack with `sceau dev`",
        )
    })?;
    let named = || file.display().to_string();
    let dev: Dev = serde_json::from_slice(&read(&file)?).with_context(named)?;
    let account = dev.accounts.into_iter().find(|account| account.role == role);
    let account = account.with_context(|| format!("{}: there is no account with the role {role}", named()))?;
    let ca_cert = dev.ca_cert.map(|text| {
        // Either the certificate or the name of its file.
        if text.starts_with("-----BEGIN") {
            return Ok(text.into_bytes());
        }
        read(&file.parent().unwrap_or(Path::new(".")).join(text))
    });
    Ok(Access {
        api_url: dev.api_url,
        ca_cert: ca_cert.transpose()?,
        consumer_key: account.consumer_key,
        consumer_secret: account.consumer_secret,
    })
}

fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(file).with_context(|| file.display().to_string())
}

/// A secret alone in a file; white space at its ends is not part of it.
///
/// # Errors
/// Names the file, never what it holds.
pub fn secret_of(file: &Path) -> anyhow::Result<SecretString> {
    let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
    anyhow::ensure!(!text.trim().is_empty(), "{}: the file is empty", file.display());
    Ok(text.trim().into())
}
