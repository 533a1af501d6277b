//! Targets as the settings name them: endpoints, keys, policies.

use std::sync::Arc;
use std::time::Duration;

use alloy::primitives::Address;
use anyhow::Context;

use crate::chain::endpoints::{Endpoints, NoView, Rules};
use crate::chain::evm::Evm;
use crate::chain::observed::{Observed, Seen};
use crate::chain::{Chain, ChainError, Target};
use crate::config;
use crate::pipeline::anchoring::Policy;
use crate::ports::Entropy;
use crate::signing::Key;

/// A configured target, checked as far as it can be without asking anybody.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) way: Way,
    pub(super) key: Key,
    pub(super) policy: Policy,
}

/// How a target's chain is reached.
#[derive(Debug, Clone)]
pub enum Way {
    /// Through one endpoint, which is believed.
    One(Arc<dyn Chain>),
    /// Through several, which are compared.
    Several(Arc<Endpoints>),
}

impl Way {
    /// As the settings say. Asks nobody yet.
    ///
    /// # Errors
    /// Names the setting that is wrong.
    pub fn of(target: &config::Target, entropy: &Arc<dyn Entropy>) -> anyhow::Result<Self> {
        Self::watched(target, entropy, None)
    }

    /// [`Way::of`], with every call counted in `seen`.
    fn watched(target: &config::Target, entropy: &Arc<dyn Entropy>, seen: Option<&Seen>) -> anyhow::Result<Self> {
        let registry: Address = target.registry.parse().with_context(|| format!("targets.registry {:?}", target.registry))?;
        let goal = Target { chain_id: target.chain_id, registry };
        let connect = |(place, url): (usize, &String)| -> Result<Arc<dyn Chain>, ChainError> {
            let chain = Arc::new(Evm::connect_within(url, goal.clone(), target.timeout())?);
            Ok(match seen {
                Some(seen) => Arc::new(Observed::new(chain, seen.clone(), place + 1)),
                None => chain,
            })
        };
        Ok(match target.endpoints()? {
            [url] => Self::One(connect((0, url))?),
            urls => {
                let rules =
                    Rules { quorum: target.quorum, max_lag: target.max_lag, timeout: target.timeout(), ..Rules::default() };
                let chains = urls.iter().enumerate().map(connect).collect::<Result<_, ChainError>>()?;
                Self::Several(Arc::new(Endpoints::new(chains, rules, Arc::clone(entropy))))
            }
        })
    }

    /// The chain, for one look: through the endpoint that is best now.
    ///
    /// # Errors
    /// When none can be used.
    pub async fn chain(&self) -> Result<Arc<dyn Chain>, NoView> {
        Ok(match self {
            Self::One(chain) => Arc::<dyn Chain>::clone(chain),
            Self::Several(endpoints) => Arc::new(endpoints.view(None, &[]).await?),
        })
    }
}

impl Endpoint {
    pub(super) fn of(target: &config::Target, entropy: &Arc<dyn Entropy>, seen: &Seen) -> anyhow::Result<Self> {
        let policy = Policy {
            depth: target.depth,
            ceiling: u128::from(target.max_fee_gwei) * 1_000_000_000,
            bump_after: Duration::from_secs(target.bump_after),
            warn_runway: target.warn_runway,
            ..Policy::default()
        };
        let way = Way::watched(target, entropy, Some(seen))?;
        seen.ceiling(&target.chain_id, &target.registry, policy.ceiling);
        Ok(Self { way, key: Key::find(&target.signer)?, policy })
    }
}

/// Chain id and registry of every configured target.
pub(super) type Pinned = Arc<[(u64, [u8; 20])]>;

/// Chain id and registry of a configured target.
pub(super) fn pinned(target: &config::Target) -> anyhow::Result<(u64, [u8; 20])> {
    let registry: Address = target.registry.parse().with_context(|| format!("targets.registry {:?}", target.registry))?;
    Ok((target.chain_id, registry.into()))
}
