//! Confirming: what became of what was sent, asked of the chain each time.
//!
//! Included means: in a block whose hash is the canonical one at its height now. Final means: that block is at or below
//! the chain's finalized block, or deep enough where a depth is configured, and its evidence is stored. A block that is
//! canonical no longer takes the anchor back, openly.

use alloy::primitives::{Address, B256};
use time::OffsetDateTime;

use super::anchoring::{Anchoring, place};
use super::publish::Handed;
use super::{Result, Step, StepError};
use crate::chain::fees::{self, Fees};
use crate::chain::{Block, ChainError, Heads, Inclusion};
use crate::ledger::anchors::attempts::Attempt;
use crate::ledger::anchors::{AnchorState, Place, Unfinished};
use crate::ledger::leases::Lease;

/// Looks at something that must not be before it is believed.
pub(super) const LOOKS: u32 = 3;

/// Where an anchor was found.
enum Found {
    /// In this block.
    At(Inclusion),
    /// Nowhere, but this attempt of it is in a block and changed nothing.
    Reverted(B256),
    /// Nowhere.
    Nowhere,
}

impl Anchoring {
    /// Moves everything sent or included on, or back; nothing above `end` becomes final. What the node cannot answer about
    /// one anchor, or what cannot be paid for one, does not keep the others waiting: it comes back beside the step.
    pub(super) async fn confirm(&self, lease: &Lease, heads: &Heads, end: Option<u64>) -> Result<(Step, Option<StepError>)> {
        let unfinished = self.ledger.unfinished(self.target, self.policy.window).await?;
        if unfinished.iter().all(|anchor| anchor.state == AnchorState::Planned) {
            return Ok((Step::Idle, None));
        }
        let now = self.ledger.now().await?;
        let (mut done, mut failed) = (Step::Idle, None);
        for anchor in &unfinished {
            let moved = match (anchor.state, anchor.place) {
                (AnchorState::Sent, _) => self.look_for(lease, anchor, now).await,
                (AnchorState::Included, Some(place)) => self.look_at(lease, anchor, place, heads, end).await,
                _ => Ok(Step::Idle),
            };
            match moved {
                Ok(moved) => done = done.or(moved),
                // It answers, only not this: state it no longer keeps, say.
                Err(StepError::Chain(error @ (ChainError::Refused { .. } | ChainError::Garbage(_)))) => {
                    tracing::warn!(batch = anchor.batch, %error, "asking about an anchor");
                    failed.get_or_insert(error.into());
                }
                Err(error @ StepError::Funds(_)) => drop(failed.get_or_insert(error)),
                Err(error) => return Err(error),
            }
        }
        Ok((done, failed))
    }

    /// A sent anchor: is one of its attempts in a block? If not, send again, with more to offer after a while.
    async fn look_for(&self, lease: &Lease, anchor: &Unfinished, now: OffsetDateTime) -> Result<Step> {
        let number = anchor.batch;
        let attempts = self.ledger.attempts(self.target, number).await?;
        let (Some(newest), Some((signer, nonce))) = (attempts.last(), anchor.nonce) else {
            return Err(StepError::Halt(format!("batch {number} counts as sent but no attempt is stored")));
        };
        let signer = Address::from(signer);
        // The nonce is asked first: an attempt mined between the questions is then found, not missed. What still looks
        // wrong may be a reorg between them, or two nodes behind one address: it is looked at anew before it is said.
        let mut used = 0;
        for look in 1.. {
            used = self.chain.nonce(signer).await?;
            let wrong = match self.search(anchor, &attempts).await? {
                Found::At(inclusion) => return self.include(lease, number, &inclusion).await,
                Found::Reverted(tx) => Some(format!("the transaction {tx} that should anchor batch {number} reverted")),
                Found::Nowhere if used > nonce => {
                    Some(format!("nonce {nonce} of {signer} is used by a transaction that is not ours; batch {number} waits"))
                }
                Found::Nowhere => None,
            };
            // What a publisher signed that was replaced, and that is in no block, can no longer take effect. Its bytes stay
            // on record, and the registry takes a root once: if it should come through after all, nothing is doubled.
            if signer != self.signer.address() && self.chain.publisher().await? == Some(self.signer.address()) {
                let why = format!("its signer {signer} is no longer the publisher");
                tracing::warn!(batch = number, %signer, nonce, "signed by a publisher that was replaced: to be signed anew");
                self.ledger.retire_attempts(lease, self.target, number, &why).await?;
                return Ok(Step::Worked);
            }
            let Some(wrong) = wrong else { break };
            if look == LOOKS {
                return Err(StepError::Halt(wrong));
            }
            self.sound_heads().await?;
        }
        let quiet = passed(newest.sent_at.unwrap_or(OffsetDateTime::UNIX_EPOCH), now);
        let waited = passed(newest.signed_at, now);
        if quiet < self.policy.resend_after && newest.sent_at.is_some() && waited < self.policy.bump_after {
            return Ok(Step::Idle);
        }
        self.send_calls(signer, used..nonce).await?;
        let overdue = waited >= self.policy.bump_after;
        let handed = if overdue { Handed::MoreWanted } else { self.hand_over(number, newest).await };
        if handed == Handed::Unpaid {
            return Err(StepError::Funds(format!(
                "the publisher {signer} cannot pay for batch {number}, which is signed: send it funds; nothing is lost meanwhile"
            )));
        }
        if handed == Handed::MoreWanted {
            if signer != self.signer.address() {
                // The publisher's key was changed meanwhile: the new one has no say over the old one's nonce.
                tracing::warn!(batch = number, %signer, "signed with an earlier key, which alone could offer more; sending the same bytes again");
                self.hand_over(number, newest).await;
                return Ok(Step::Idle);
            }
            let previous = Fees { max_fee: newest.max_fee.into(), max_priority: newest.max_priority_fee.into() };
            match fees::bump(previous, self.chain.fees().await?, self.policy.ceiling) {
                Some(fees) => {
                    if let Err(error) = self.affords(number, fees.max_fee).await {
                        // What is signed already may be affordable still.
                        self.hand_over(number, newest).await;
                        return Err(error);
                    }
                    let attempt = self.sign(number, anchor.root.into(), anchor.size, nonce, fees).await?;
                    self.ledger.store_replacement(lease, self.target, number, &attempt).await?;
                    tracing::info!(batch = number, nonce, tx = %B256::from(attempt.tx_hash), max_fee = attempt.max_fee, "offering more");
                    self.hand_over(number, &attempt).await;
                }
                None => {
                    if quiet >= self.policy.resend_after {
                        tracing::warn!(batch = number, "the fee ceiling is reached; sending the same bytes again");
                        self.hand_over(number, newest).await;
                    }
                }
            }
        }
        Ok(Step::Idle)
    }

    /// Sends again what operators' commands stored with nonces in `open`: one may have died before it sent, and nothing
    /// behind its nonce is mined until then.
    async fn send_calls(&self, signer: Address, open: std::ops::Range<u64>) -> Result<()> {
        let calls = self.ledger.calls_from(self.chain.target().chain_id, &signer.into(), open.start).await?;
        for call in calls.iter().filter(|call| open.contains(&call.nonce)) {
            let tx = B256::from(call.tx_hash);
            let sent = self.chain.send(&call.raw).await;
            tracing::info!(%signer, nonce = call.nonce, %tx, ?sent, "sending an operator's transaction again: anchors wait behind it");
        }
        Ok(())
    }

    /// Where an anchor without a known place stands now: by its attempts, all of them, and by the registry.
    async fn search(&self, anchor: &Unfinished, attempts: &[Attempt]) -> Result<Found> {
        let root = B256::from(anchor.root);
        let mut reverted = None;
        for attempt in attempts {
            match self.chain.inclusion(attempt.tx_hash.into()).await? {
                Some(inclusion) if inclusion.success => {
                    // The registry has the last word: a transaction that ran may have been a repetition.
                    if let Some(record) = self.chain.record(root).await?
                        && record.block_number == inclusion.block.number
                    {
                        return Ok(Found::At(inclusion));
                    }
                }
                Some(inclusion) => reverted = Some(inclusion.tx_hash),
                None => {}
            }
        }
        // It also knows what a transaction we never stored, or one that reverted because the root was there already,
        // has done.
        Ok(match (self.adopt(anchor.batch, root, anchor.size).await?, reverted) {
            (Some(inclusion), _) => Found::At(inclusion),
            (None, Some(tx)) => Found::Reverted(tx),
            (None, None) => Found::Nowhere,
        })
    }

    async fn include(&self, lease: &Lease, number: u64, inclusion: &Inclusion) -> Result<Step> {
        self.ledger.include_anchor(lease, self.target, number, &place(inclusion)).await?;
        tracing::info!(batch = number, block = inclusion.block.number, tx = %inclusion.tx_hash, "included");
        Ok(Step::Worked)
    }

    /// An included anchor: is its block still canonical, and is it final by now?
    async fn look_at(&self, lease: &Lease, anchor: &Unfinished, stood: Place, heads: &Heads, end: Option<u64>) -> Result<Step> {
        let number = anchor.batch;
        let canonical = self.chain.block(stood.block_number).await?;
        if canonical.is_none_or(|block| block.hash != B256::from(stood.block_hash)) {
            let why = format!("block {} 0x{} is no longer canonical", stood.block_number, hex::encode(stood.block_hash));
            return match self.chain.inclusion(stood.tx_hash.into()).await? {
                Some(elsewhere) if elsewhere.success => {
                    tracing::warn!(batch = number, why, "moved to another block");
                    self.include(lease, number, &elsewhere).await
                }
                _ => {
                    tracing::warn!(batch = number, why, "regressed");
                    self.ledger.regress_anchor(lease, self.target, number, &why).await?;
                    Ok(Step::Worked)
                }
            };
        }
        // Final now, and on record as final: what is not yet must not be relied on.
        let final_now = self.chain.final_height(heads, self.policy.depth);
        if [final_now, end].iter().any(|height| height.is_none_or(|height| stood.block_number > height)) {
            return Ok(Step::Idle);
        }
        let inclusion = Inclusion {
            tx_hash: stood.tx_hash.into(),
            tx_index: stood.tx_index,
            block: Block { number: stood.block_number, hash: stood.block_hash.into(), time: stood.block_time },
            success: true,
        };
        let evidence = self.chain.evidence(anchor.root.into(), &inclusion).await?;
        let evidence = serde_json::to_string(&evidence).expect("evidence is plain JSON");
        if !self.is_of(heads).await? {
            // Another node answered meanwhile: what it calls canonical need not be what the first calls final.
            return Err(ChainError::Garbage(format!(
                "the endpoint left the chain on which block {} is final",
                stood.block_number
            ))
            .into());
        }
        if !self.chain.vouched(&inclusion.block, self.policy.depth).await? {
            return Ok(Step::Idle);
        }
        self.ledger.finalize_anchor(lease, self.target, number, &stood, &evidence).await?;
        tracing::info!(batch = number, block = stood.block_number, "final");
        // For the runway only.
        match self.chain.paid(stood.tx_hash.into()).await {
            Ok(Some(wei)) => self.ledger.note_paid(self.target, number, wei).await?,
            Ok(None) => {}
            Err(error) => tracing::debug!(batch = number, %error, "asking what an anchor cost"),
        }
        Ok(Step::Worked)
    }
}

/// How long ago `since` was. What lies in the future by more than a minute was noted before the database's clock was set
/// back: that it is due at once costs a repetition, that it is not due for as long as the clock jumped costs the promise.
fn passed(since: OffsetDateTime, now: OffsetDateTime) -> time::Duration {
    let passed = now - since;
    if passed < -time::Duration::MINUTE { time::Duration::MAX } else { passed }
}
