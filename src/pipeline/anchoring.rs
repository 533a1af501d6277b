//! One target's way from sealed batch to final anchor: what [`super::publish`] and [`super::confirm`] share.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use alloy::primitives::B256;
use uuid::Uuid;

use super::{Result, Step, StepError, with_lease};
use crate::chain::endpoints::Endpoints;
use crate::chain::fees::Fees;
use crate::chain::signer::{AnchorTx, SignedAnchor, Signer};
use crate::chain::{Chain, Inclusion, Target};
use crate::ledger::Ledger;
use crate::ledger::anchors::Place;
use crate::ledger::anchors::attempts::Attempt;
use crate::ledger::leases::Lease;
use crate::ledger::targets::{NewTarget, TargetId};

/// How a target is treated.
#[derive(Debug, Clone, Copy)]
pub struct Policy {
    /// A block this far below the head is final; `None`: the chain's `finalized` tag decides.
    pub depth: Option<u64>,
    /// Never offer more, wei per gas.
    pub ceiling: u128,
    /// Offer more after waiting this long.
    pub bump_after: Duration,
    /// Hand the same bytes to the node again after this long without a block.
    pub resend_after: Duration,
    /// Anchors between their first sending and their final block at most.
    pub window: i64,
    /// Look at the newest final anchors, and at the publisher's funds, again after so long.
    pub watch_every: Duration,
    /// Warn when the publisher's funds last for fewer days.
    pub warn_runway: u32,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            depth: None,
            ceiling: 200_000_000_000,
            bump_after: Duration::from_secs(60),
            resend_after: Duration::from_secs(15),
            window: 256,
            watch_every: Duration::from_secs(60),
            warn_runway: 30,
        }
    }
}

/// Anchors batches in one registry.
#[derive(Debug, Clone)]
pub struct Anchoring {
    pub(super) ledger: Ledger,
    /// The chain; where there are several endpoints, as the one has it that is looked through now.
    pub(super) chain: Arc<dyn Chain>,
    pub(super) endpoints: Option<Arc<Endpoints>>,
    pub(super) signer: Arc<dyn Signer>,
    pub(super) policy: Policy,
    pub(super) target: TargetId,
    /// Whether the publisher's funds were low when they were last looked at.
    pub(super) low: Arc<AtomicBool>,
    pub(super) holder: Uuid,
    pub(super) lease: String,
}

impl Anchoring {
    /// Checks that the endpoint serves the chain and the contract we know, and pins both at first use.
    ///
    /// # Errors
    /// [`StepError::Halt`] when it serves another chain or contract.
    pub async fn connect(
        ledger: Ledger,
        chain: Arc<dyn Chain>,
        signer: Arc<dyn Signer>,
        policy: Policy,
        holder: Uuid,
    ) -> Result<Self> {
        let target = chain.target().clone();
        let found = chain.chain_id().await?;
        if found != target.chain_id {
            return Err(StepError::Halt(format!("the endpoint for {} serves chain {found}", target.caip2())));
        }
        let Some(code_hash) = chain.code_hash().await? else {
            return Err(StepError::Halt(format!("there is no contract at {} on {}", target.registry, target.caip2())));
        };
        let new = NewTarget {
            chain_id: target.chain_id,
            registry: target.registry.into(),
            first_number: chain.first_number().await?,
            code_hash: code_hash.into(),
        };
        let id = ledger.pin_target(&new).await?;
        let lease = Self::name(&target);
        let low = Arc::new(AtomicBool::new(false));
        Ok(Self { ledger, chain, endpoints: None, signer, policy, target: id, low, holder, lease })
    }

    /// What the work for a target is called among leases, halts and asides.
    #[must_use]
    pub fn name(target: &Target) -> String {
        format!("anchor {} {}", target.caip2(), target.registry)
    }

    /// One look at everything unfinished: [`super::confirm`], then [`super::publish`]. Idle when another instance is at
    /// it.
    ///
    /// # Errors
    /// See [`StepError`]; what was committed stands.
    pub async fn step(&self) -> Result<Step> {
        // Idle instances only read, and ask no node, except now and then whether what is final still is, and what the
        // publisher has.
        let watch = self.ledger.finals_due(self.target, self.policy.watch_every).await?;
        let (chain_id, signer) = (self.chain.target().chain_id, self.signer.address());
        let money = self.ledger.balance_due(chain_id, &signer.into(), self.policy.watch_every).await?;
        if !watch && !money && self.ledger.unfinished(self.target, 1).await?.is_empty() {
            return Ok(Step::Idle);
        }
        let done = with_lease(&self.ledger, &self.lease, self.holder, |lease| async move {
            match &self.endpoints {
                None => self.look(&lease, watch, money).await,
                Some(endpoints) => self.look_through(endpoints, &lease, watch, money).await,
            }
        });
        Ok(done.await?.unwrap_or(Step::Idle))
    }

    /// The step itself, through `chain` alone.
    pub(super) async fn look(&self, lease: &Lease, watch: bool, money: bool) -> Result<Step> {
        let found = self.chain.chain_id().await?;
        if found != self.chain.target().chain_id {
            return Err(StepError::Halt(format!("the endpoint for {} now serves chain {found}", self.chain.target().caip2())));
        }
        let heads = self.sound_heads().await?;
        if watch {
            self.check_finals().await?;
        }
        let end = self.raise_finality(lease, &heads).await?;
        let (confirmed, failed) = self.confirm(lease, &heads, end).await?;
        let published = self.publish(lease).await;
        let watched = if money { self.watch_funds().await } else { Ok(()) };
        // What cannot be told of the funds hides nothing that is worse.
        let published = published?;
        watched?;
        match failed {
            Some(error) => Err(error),
            None => Ok(confirmed.or(published)),
        }
    }

    /// Where an anchor without a known transaction stands, by the registry's own record. An earlier attempt whose answer
    /// was lost, or a life of this service that this database no longer remembers, may have anchored it.
    pub(super) async fn adopt(&self, number: u64, root: B256, size: u64) -> Result<Option<Inclusion>> {
        let Some(record) = self.chain.record(root).await? else { return Ok(None) };
        if (record.number, record.size) != (number, size) {
            return Err(StepError::Halt(format!(
                "the registry has the root of batch {number} as batch {} with {} leaves, not {size}",
                record.number, record.size
            )));
        }
        // `None` when a reorg took it away between the two questions.
        Ok(self.chain.anchoring(root, &record).await?)
    }

    /// Signs an anchor. Nothing is stored or sent.
    pub(super) async fn sign(&self, number: u64, root: B256, size: u64, nonce: u64, fees: Fees) -> Result<Attempt> {
        let tx = AnchorTx { target: self.chain.target().clone(), nonce, fees, number, root, size };
        let SignedAnchor { hash, raw } = self.signer.sign(&tx).await?;
        let stored = |fee: u128| u64::try_from(fee).map_err(|_| StepError::Halt(format!("a fee of {fee} wei per gas")));
        Ok(Attempt {
            tx_hash: hash.into(),
            max_fee: stored(fees.max_fee)?,
            max_priority_fee: stored(fees.max_priority)?,
            raw: raw.to_vec(),
            signed_at: time::OffsetDateTime::UNIX_EPOCH,
            sent_at: None,
        })
    }
}

/// An inclusion as the ledger keeps it.
pub(super) fn place(inclusion: &Inclusion) -> Place {
    Place {
        tx_hash: inclusion.tx_hash.into(),
        tx_index: inclusion.tx_index,
        block_number: inclusion.block.number,
        block_hash: inclusion.block.hash.into(),
        block_time: inclusion.block.time,
    }
}
