//! Targets as the settings name them: endpoints, keys, policies.

use std::sync::Arc;
use std::time::Duration;

use alloy::primitives::Address;
use anyhow::{Context, bail};
use secrecy::SecretString;

use crate::chain::evm::Evm;
use crate::chain::observed::{Observed, Seen};
use crate::chain::signer::{LocalWallet, Signer};
use crate::chain::{Chain, Target};
use crate::config;
use crate::pipeline::anchoring::Policy;

/// A configured target, checked as far as it can be without asking anybody.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) chain: Arc<dyn Chain>,
    pub(super) signer: Arc<dyn Signer>,
    pub(super) policy: Policy,
}

impl Endpoint {
    pub(super) fn of(target: &config::Target, seen: &Seen) -> anyhow::Result<Self> {
        let registry: Address = target.registry.parse().with_context(|| format!("targets.registry {:?}", target.registry))?;
        let chain = Evm::connect_within(&target.rpc_url, Target { chain_id: target.chain_id, registry }, target.timeout())?;
        let policy = Policy {
            depth: target.depth,
            ceiling: u128::from(target.max_fee_gwei) * 1_000_000_000,
            bump_after: Duration::from_secs(target.bump_after),
            ..Policy::default()
        };
        let chain = Observed::new(Arc::new(chain), seen.clone(), policy.ceiling);
        Ok(Self { chain: Arc::new(chain), signer: Arc::new(wallet(&target.signer)?), policy })
    }
}

/// The publisher's key from where the settings say.
///
/// # Errors
/// Names the source, never what it holds.
pub fn wallet(signer: &config::Signer) -> anyhow::Result<LocalWallet> {
    let secret = |path: &std::path::Path| -> anyhow::Result<SecretString> {
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(text.trim_end_matches(['\r', '\n']).into())
    };
    Ok(match signer {
        config::Signer::Env(name) => match std::env::var(name) {
            Ok(key) => LocalWallet::from_hex(&key.into()).with_context(|| format!("environment variable {name}"))?,
            Err(_) => bail!("signer: the environment variable {name} is not set"),
        },
        config::Signer::KeyFile(path) => {
            LocalWallet::from_hex(&secret(path)?).with_context(|| format!("key file {}", path.display()))?
        }
        config::Signer::Keystore { path, password_file } => LocalWallet::from_keystore(path, &secret(password_file)?)?,
    })
}
