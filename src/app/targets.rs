//! Targets as the settings name them: endpoints, keys, policies.

use std::sync::Arc;
use std::time::Duration;

use alloy::primitives::Address;
use anyhow::Context;

use crate::chain::evm::Evm;
use crate::chain::observed::{Observed, Seen};
use crate::chain::{Chain, Target};
use crate::config;
use crate::pipeline::anchoring::Policy;
use crate::signing::Key;

/// A configured target, checked as far as it can be without asking anybody.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) chain: Arc<dyn Chain>,
    pub(super) key: Key,
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
            warn_runway: target.warn_runway,
            ..Policy::default()
        };
        let chain = Observed::new(Arc::new(chain), seen.clone(), policy.ceiling);
        Ok(Self { chain: Arc::new(chain), key: Key::find(&target.signer)?, policy })
    }
}
