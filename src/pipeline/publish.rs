//! Publishing: sign, store, commit, then send.
//!
//! The order is the whole point. A transaction that was sent but not stored would be forgotten by a crash and signed
//! again under another nonce: an anchor twice, or a nonce nobody fills. Stored first, a crash at any line leaves bytes
//! that [`super::confirm`] sends again, or finds on the chain.

use std::collections::HashSet;

use alloy::primitives::B256;

use super::anchoring::{Anchoring, place};
use super::confirm::LOOKS;
use super::recheck::recheck;
use super::{Result, Step, StepError};
use crate::chain::{Inclusion, Sent, fees};
use crate::ledger::LedgerError;
use crate::ledger::anchors::AnchorState;
use crate::ledger::leases::Lease;

/// What came of handing bytes to a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Handed {
    /// There is nothing more to do about it now.
    Over,
    /// Higher fees are called for.
    MoreWanted,
    /// Its signer cannot pay.
    Unpaid,
}

impl Anchoring {
    /// Signs, stores and sends the planned anchors that the window has room for, in order of their numbers.
    pub(super) async fn publish(&self, lease: &Lease) -> Result<Step> {
        let unfinished = self.ledger.unfinished(self.target, self.policy.window).await?;
        let numbers: HashSet<u64> = unfinished.iter().map(|anchor| anchor.batch).collect();
        let mut done = Step::Idle;
        for anchor in unfinished.iter().filter(|anchor| anchor.state == AnchorState::Planned) {
            let root = B256::from(anchor.root);
            if let Some(inclusion) = self.find_free(anchor.batch, root, anchor.size, &numbers).await? {
                tracing::warn!(batch = anchor.batch, tx = %inclusion.tx_hash, "found anchored already");
                self.ledger.include_anchor(lease, self.target, anchor.batch, &place(&inclusion)).await?;
                done = Step::Worked;
                continue;
            }
            if recheck(&self.ledger, anchor.batch).await? != (anchor.root, anchor.size) {
                return Err(LedgerError::Moved { what: "sealed batch" }.into());
            }
            self.publish_one(lease, anchor.batch, root, anchor.size).await?;
            done = Step::Worked;
        }
        Ok(done)
    }

    /// Where the batch is anchored already; `None` when its number is free and everything before it is there or on its
    /// way. The registry takes a number once and in order. When it already holds this number, and not for our root,
    /// somebody else anchors there, or this database is older than the chain's history: neither may be papered over.
    ///
    /// Root and number are two questions, and a block or another node may come between them, so what looks wrong is
    /// looked at anew before it is said.
    async fn find_free(&self, number: u64, root: B256, size: u64, unfinished: &HashSet<u64>) -> Result<Option<Inclusion>> {
        for look in 1.. {
            if let Some(inclusion) = self.adopt(number, root, size).await? {
                return Ok(Some(inclusion));
            }
            let last = self.chain.last_number().await?;
            let missing = (last.saturating_add(1)..number).find(|between| !unfinished.contains(between));
            let wrong = match missing {
                _ if last >= number => {
                    format!(
                        "the registry already holds a batch {number} with another root: another publisher, or an old database"
                    )
                }
                Some(missing) => format!(
                    "the registry waits for batch {missing}, which this database holds as final: the chain went back further than final"
                ),
                None => break,
            };
            if look == LOOKS {
                return Err(StepError::Halt(wrong));
            }
            self.sound_heads().await?;
        }
        Ok(None)
    }

    /// Fails unless the registry takes anchors from our key: what another key signs is mined, paid for, and refused.
    async fn may_publish(&self, number: u64) -> Result<()> {
        let signer = self.signer.address();
        for look in 1.. {
            let wrong = match self.chain.publisher().await? {
                Some(publisher) if publisher == signer => break,
                Some(publisher) => format!(
                    "the registry's publisher is {publisher}, and the key in the settings is that of {signer}: batch {number} \
                     waits until one of them is changed"
                ),
                None => format!("the registry's publisher is revoked: batch {number} waits until {signer} takes over"),
            };
            if look == LOOKS {
                return Err(StepError::Halt(wrong));
            }
            self.sound_heads().await?;
        }
        Ok(())
    }

    async fn publish_one(&self, lease: &Lease, number: u64, root: B256, size: u64) -> Result<()> {
        self.may_publish(number).await?;
        let signer = self.signer.address();
        let mined = self.chain.nonce(signer).await?;
        let (lane, nonce) = self.ledger.lane(self.chain.target().chain_id, &signer.into(), mined).await?;
        if mined > nonce {
            return Err(StepError::Halt(format!(
                "{signer} has {mined} transactions on the chain but only {nonce} are ours: somebody else uses the publisher's key"
            )));
        }
        let fees = fees::first(self.chain.fees().await?, self.policy.ceiling);
        self.affords(number, fees.max_fee).await?;
        let attempt = self.sign(number, root, size, nonce, fees).await?;
        // A crash before this commit forgets a signature nobody has seen; after it, the bytes are sent by whoever runs next.
        self.ledger.store_first_attempt(lease, self.target, number, (lane, nonce), &attempt).await?;
        tracing::info!(batch = number, nonce, tx = %B256::from(attempt.tx_hash), "signed and stored");
        // From here on a failure is no failure: confirm sends again.
        self.hand_over(number, &attempt).await;
        Ok(())
    }

    /// Hands stored bytes to the node and sorts its answer.
    pub(super) async fn hand_over(&self, number: u64, attempt: &crate::ledger::anchors::attempts::Attempt) -> Handed {
        let tx = B256::from(attempt.tx_hash);
        match self.chain.send(&attempt.raw).await {
            Ok(Sent::Accepted | Sent::AlreadyKnown) => {
                if let Err(error) = self.ledger.note_sent(&attempt.tx_hash).await {
                    tracing::debug!(%error, "noting a sending");
                }
            }
            Ok(Sent::Underpriced) => return Handed::MoreWanted,
            // Mined, by this or another attempt, or taken by somebody else: confirm tells which.
            Ok(Sent::NonceTooLow) => tracing::debug!(batch = number, %tx, "nonce already used"),
            Ok(Sent::InsufficientFunds) => {
                tracing::error!(batch = number, %tx, "the publisher cannot pay: send it funds; nothing is lost meanwhile");
                return Handed::Unpaid;
            }
            Ok(Sent::Rejected(text)) => tracing::error!(batch = number, %tx, text, "the node refuses the transaction"),
            Err(error) => tracing::warn!(batch = number, %tx, %error, "sending: the node may or may not have it"),
        }
        Handed::Over
    }
}
