//! Signing keys, from where the settings say they are.
//!
//! A key that is here is opened at start, so that a wrong password ends the start. A key service is asked when it is
//! needed: when it is away nothing else waits.

#[cfg(feature = "aws-kms")]
mod aws;
#[cfg(feature = "gcp-kms")]
mod gcp;

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail};
use secrecy::SecretString;

use crate::chain::signer::{LocalWallet, SignError, Signer};
use crate::config;

/// A key as far as it can be had without asking anybody.
#[derive(Debug, Clone)]
pub enum Key {
    /// It is here.
    Here(Arc<dyn Signer>),
    /// A service keeps it.
    Kept(config::Signer),
}

impl Key {
    /// The key from where the settings say.
    ///
    /// # Errors
    /// Names the source, never what it holds; or says that this build does not know such a source.
    pub fn find(signer: &config::Signer) -> anyhow::Result<Self> {
        Ok(match signer {
            config::Signer::Env(name) => match std::env::var(name) {
                Ok(key) => here(LocalWallet::from_hex(&key.into()).with_context(|| format!("environment variable {name}"))?),
                Err(_) => bail!("signer: the environment variable {name} is not set"),
            },
            config::Signer::KeyFile(path) => {
                here(LocalWallet::from_hex(&secret(path)?).with_context(|| format!("key file {}", path.display()))?)
            }
            config::Signer::Keystore { path, password_file } => here(LocalWallet::from_keystore(path, &secret(password_file)?)?),
            config::Signer::AwsKms { .. } if cfg!(not(feature = "aws-kms")) => {
                bail!("signer: this build cannot use AWS KMS; build with `--features aws-kms`")
            }
            config::Signer::GcpKms { .. } if cfg!(not(feature = "gcp-kms")) => {
                bail!("signer: this build cannot use Google Cloud KMS; build with `--features gcp-kms`")
            }
            kept => Self::Kept(kept.clone()),
        })
    }

    /// The signer. A key service is asked for the address of its key.
    ///
    /// # Errors
    /// When the service does not answer, does not know the key, or keeps one of another kind.
    pub async fn open(&self) -> Result<Arc<dyn Signer>, SignError> {
        match self {
            Self::Here(signer) => Ok(Arc::clone(signer)),
            #[cfg(feature = "aws-kms")]
            Self::Kept(config::Signer::AwsKms { key_id, region }) => aws::open(key_id, region.as_deref()).await,
            #[cfg(feature = "gcp-kms")]
            Self::Kept(config::Signer::GcpKms { project, location, keyring, key, version }) => {
                gcp::open([project, location, keyring, key], *version).await
            }
            Self::Kept(_) => Err(SignError::Key("no key that this build can use")),
        }
    }
}

fn here(wallet: LocalWallet) -> Key {
    Key::Here(Arc::new(wallet))
}

fn secret(path: &Path) -> anyhow::Result<SecretString> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(text.trim_end_matches(['\r', '\n']).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(not(any(feature = "aws-kms", feature = "gcp-kms")))]
    #[test]
    fn a_build_without_key_services_says_so() {
        let aws = config::Signer::AwsKms { key_id: "alias/x".into(), region: None };
        assert!(Key::find(&aws).expect_err("refused").to_string().contains("--features aws-kms"));
        let text = |text: &str| text.to_owned();
        let gcp =
            config::Signer::GcpKms { project: text("p"), location: text("l"), keyring: text("r"), key: text("k"), version: 1 };
        assert!(Key::find(&gcp).expect_err("refused").to_string().contains("--features gcp-kms"));
    }

    #[test]
    fn a_key_service_is_named_in_the_settings() {
        #[derive(serde::Deserialize)]
        struct Holder {
            signer: config::Signer,
        }
        let read = |text: &str| {
            figment::Figment::from(<figment::providers::Toml as figment::providers::Format>::string(text))
                .extract::<Holder>()
                .map(|holder| holder.signer)
                .map_err(|error| error.to_string())
        };
        let aws = read(r#"signer = { aws_kms = { key_id = "alias/x", region = "eu-west-3" } }"#).expect("read");
        assert!(matches!(aws, config::Signer::AwsKms { region: Some(_), .. }));
        assert!(read(r#"signer = { aws_kms = { key_id = "alias/x" } }"#).is_ok());
        let gcp = r#"signer = { gcp_kms = { project = "p", location = "global", keyring = "r", key = "k", version = 1 } }"#;
        assert!(matches!(read(gcp).expect("read"), config::Signer::GcpKms { version: 1, .. }));
        assert!(read(r#"signer = { aws_kms = { region = "eu-west-3" } }"#).is_err());
    }
}
