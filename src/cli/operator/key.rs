//! The signing keys of a command, each from one of three places.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;

use super::super::access::secret_of;
use super::super::output::usage;
use crate::chain::signer::LocalWallet;

/// One of them is given, unless the command knows another key.
#[derive(Debug, Args)]
#[command(next_help_heading = "Signing key (a file, a variable, or a keystore with its password)")]
pub(super) struct Key {
    /// File that holds the key in hex
    #[arg(long, value_name = "FILE", group = "key")]
    key_file: Option<PathBuf>,

    /// Name of an environment variable that holds the key in hex
    #[arg(long, value_name = "VARIABLE", group = "key")]
    key_env: Option<String>,

    /// Encrypted keystore (web3 secret storage)
    #[arg(long, value_name = "FILE", group = "key", requires = "password_file")]
    keystore: Option<PathBuf>,

    /// File that holds the keystore's password
    #[arg(long, value_name = "FILE", requires = "keystore")]
    password_file: Option<PathBuf>,
}

impl Key {
    /// Whether a key is given.
    pub(super) const fn is_given(&self) -> bool {
        self.key_file.is_some() || self.key_env.is_some() || self.keystore.is_some()
    }

    /// Opens the key. A keystore takes a second of computing, so do not call it on a worker that others wait for.
    pub(super) fn open(&self) -> anyhow::Result<LocalWallet> {
        match self {
            Self { key_file: Some(file), .. } => {
                LocalWallet::from_hex(&secret_of(file)?).with_context(|| file.display().to_string())
            }
            Self { key_env: Some(name), .. } => {
                let secret = std::env::var(name).map_err(|_| usage(format!("the environment variable {name} is not set")))?;
                LocalWallet::from_hex(&secret.into()).with_context(|| format!("environment variable {name}"))
            }
            Self { keystore: Some(file), password_file: Some(password), .. } => {
                LocalWallet::from_keystore(file, &secret_of(password)?).with_context(|| file.display().to_string())
            }
            _ => Err(usage("give --key-file, --key-env, or --keystore with --password-file")),
        }
    }

    /// The same key as `signer` of a target in the settings.
    pub(super) fn setting(&self) -> String {
        let path = |path: &Option<PathBuf>| text(&path.as_deref().unwrap_or("".as_ref()).to_string_lossy());
        match self {
            Self { key_file: Some(_), .. } => format!("{{ key_file = {} }}", path(&self.key_file)),
            Self { key_env: Some(name), .. } => format!("{{ env = {} }}", text(name)),
            _ => format!("{{ keystore = {{ path = {}, password_file = {} }} }}", path(&self.keystore), path(&self.password_file)),
        }
    }
}

/// The key of whoever is to take over, beside that of whoever hands over.
#[derive(Debug, Args)]
#[command(next_help_heading = "Key of the new publisher (to do the second step too)")]
pub(super) struct NewKey {
    /// File that holds the new publisher's key in hex
    #[arg(long, value_name = "FILE", group = "new_key")]
    new_key_file: Option<PathBuf>,

    /// Name of an environment variable that holds the new publisher's key in hex
    #[arg(long, value_name = "VARIABLE", group = "new_key")]
    new_key_env: Option<String>,

    /// Encrypted keystore of the new publisher
    #[arg(long, value_name = "FILE", group = "new_key", requires = "new_password_file")]
    new_keystore: Option<PathBuf>,

    /// File that holds the password of that keystore
    #[arg(long, value_name = "FILE", requires = "new_keystore")]
    new_password_file: Option<PathBuf>,
}

impl NewKey {
    /// Opens the key, if one is given.
    pub(super) fn open(self) -> anyhow::Result<Option<LocalWallet>> {
        let Self { new_key_file, new_key_env, new_keystore, new_password_file } = self;
        let key = Key { key_file: new_key_file, key_env: new_key_env, keystore: new_keystore, password_file: new_password_file };
        key.is_given().then(|| key.open()).transpose()
    }
}

/// A TOML basic string: its escapes are those of JSON, which escapes all that TOML wants escaped but U+007F.
pub(super) fn text(value: &str) -> String {
    serde_json::Value::from(value).to_string().replace('\u{7f}', "\\u007f")
}
