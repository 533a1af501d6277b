//! Anchors that need not be checked twice.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::verdict::Failure;
use crate::Digest;
use crate::evm::Hash32;
use crate::evm::evidence::{self, Evidence};
use crate::evm::registry::Statement;
use crate::receipt::Anchor;

/// Anchors that passed steps 8 to 17 for their batch. These steps depend on nothing but the anchor and what its registry must
/// have recorded, so one that is equal to the last byte passes again: many receipts of a batch are checked sooner.
#[derive(Debug, Default)]
pub struct Passed(Mutex<Known>);

/// By the block's hash and the root. An anchor is kept when it comes a second time: of many receipts that are each of another batch
/// none is.
type Known = HashMap<(Hash32, Digest), Option<Arc<(Anchor, Statement)>>>;

impl Passed {
    /// So many are remembered; then all are forgotten.
    const MOST: usize = 512;

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Steps 8 to 17.
    pub(super) fn check(&self, anchor: &Anchor, evidence: &Evidence, statement: &Statement) -> Result<(), Failure> {
        let key = (anchor.block_hash, statement.root);
        let known = self.known().get(&key).cloned();
        if known.as_ref().and_then(Option::as_ref).is_some_and(|known| known.0 == *anchor && known.1 == *statement) {
            return Ok(());
        }
        evidence::check(anchor, evidence, statement)?;
        let kept = known.map(|_| Arc::new((anchor.clone(), *statement)));
        let mut all = self.known();
        if all.len() >= Self::MOST {
            all.clear();
        }
        all.insert(key, kept);
        Ok(())
    }
}
