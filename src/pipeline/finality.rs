//! What was final stays final: looked at on every step, and loudly halted on when it is not so.
//!
//! An endpoint may be behind, or stuck on a fork that the rest of the chain has left. Then nothing it says of our
//! transactions counts, but nothing is lost either, so the step only ends early. A chain that calls *another* block
//! final at a height that was final before broke its word: everything rests on it, so a person has to look.

use alloy::primitives::B256;

use super::anchoring::Anchoring;
use super::{Result, StepError};
use crate::chain::{Block, ChainError, Heads};
use crate::ledger::leases::Lease;
use crate::ledger::targets::finality::FinalBlock;

/// Final anchors looked at again.
const FINALS: i64 = 16;

impl Anchoring {
    /// The ends of the chain, from an endpoint that has the newest block that was ever final.
    ///
    /// # Errors
    /// [`StepError::Chain`] when it has not, [`StepError::Halt`] when the chain calls another block final.
    pub(super) async fn sound_heads(&self) -> Result<Heads> {
        let heads = self.chain.heads().await?;
        let Some(known) = self.ledger.finality(self.target).await? else { return Ok(heads) };
        let found = self.chain.block(known.number).await?;
        if found.is_some_and(|block| block.hash == B256::from(known.hash)) {
            return Ok(heads);
        }
        let caip2 = self.chain.target().caip2();
        // Asked again: block and heads may come from two nodes behind one address.
        let again = self.chain.heads().await?;
        let claims = |heads: &Heads| heads.final_height(self.policy.depth).is_some_and(|height| height >= known.number);
        match found {
            Some(block) if claims(&heads) && claims(&again) => Err(StepError::Halt(format!(
                "block {} of {caip2} was final as 0x{} and is now {}: the chain took back what was final",
                known.number,
                hex::encode(known.hash),
                block.hash
            ))),
            _ => Err(ChainError::Garbage(format!(
                "the endpoint for {caip2} does not have block {} 0x{}, which was final: it is behind or on a dead fork (its head is {})",
                known.number,
                hex::encode(known.hash),
                heads.latest.number
            ))
            .into()),
        }
    }

    /// Records how far the chain is final, and answers how far that is on record. Nothing above it may count as final: a
    /// node from before would be believed later.
    pub(super) async fn raise_finality(&self, lease: &Lease, heads: &Heads) -> Result<Option<u64>> {
        let known = self.ledger.finality(self.target).await?.map(|block| block.number);
        let Some(height) =
            self.chain.final_height(heads, self.policy.depth).filter(|height| known.is_none_or(|known| known < *height))
        else {
            return Ok(known);
        };
        let block = match heads.finalized.filter(|block| self.policy.depth.is_none() && block.number == height) {
            // Number and hash of one answer: they belong together whoever answers next.
            Some(block) => Some(block),
            None => self.chain.block(height).await?,
        };
        // A false final block, once recorded, would make the true chain look broken ever after.
        let Some(block) = block else { return Ok(known) };
        if !self.is_of(heads).await? || !self.chain.vouched(&block, self.policy.depth).await? {
            return Ok(known);
        }
        let block = FinalBlock { number: block.number, hash: block.hash.into() };
        self.ledger.raise_finality(lease, self.target, &block).await?;
        Ok(Some(block.number))
    }

    /// Whether the node that answers now is on the chain that `heads` were read from. What is decided from several
    /// answers asks this last, so that answers of two forks are never put together.
    pub(super) async fn is_of(&self, heads: &Heads) -> Result<bool> {
        let end: Block = if self.policy.depth.is_none() { heads.finalized.unwrap_or(heads.latest) } else { heads.latest };
        Ok(self.chain.block(end.number).await? == Some(end))
    }

    /// Looks at the newest final anchors again.
    ///
    /// # Errors
    /// [`StepError::Halt`] when one does not stand where it stood.
    pub(super) async fn check_finals(&self) -> Result<()> {
        for (batch, stood) in self.ledger.newest_finals(self.target, FINALS).await? {
            let found = self.chain.block(stood.number).await?;
            if found.is_none_or(|block| block.hash != B256::from(stood.hash)) {
                // Another node may have answered just then.
                self.sound_heads().await?;
                let found = self.chain.block(stood.number).await?;
                if found.is_some_and(|block| block.hash != B256::from(stood.hash)) {
                    return Err(StepError::Halt(format!(
                        "batch {batch} is final in block {} 0x{}, which is no longer canonical",
                        stood.number,
                        hex::encode(stood.hash)
                    )));
                }
            }
        }
        Ok(self.ledger.note_finals_checked(self.target).await?)
    }
}
