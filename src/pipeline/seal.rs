//! Sealing: the open batch is closed, its tree built and stored.
//!
//! Two commits. Closing is short, because digests wait while it happens; building takes as long as it takes, beside
//! acceptance. A crash between them leaves a closed batch, which the next run builds; a crash while building leaves
//! nothing behind.

use sceau_verifier::{BatchHeader, Digest, Tree, entry, tile};
use time::OffsetDateTime;
use uuid::Uuid;

use super::schedule::Schedule;
use super::{Result, Step, StepError, with_lease};
use crate::ledger::Ledger;
use crate::ledger::batches::{ClosedBatch, SealedBatch};
use crate::ledger::entries::Row;
use crate::ledger::leases::Lease;
use crate::ledger::tiles::NewTile;

/// Seals by the clock or by size, whichever comes first.
#[derive(Debug, Clone)]
pub struct Sealer {
    /// Where proofs wait and trees go.
    pub ledger: Ledger,
    /// Names this deployment in headers.
    pub origin: String,
    /// When to seal.
    pub schedule: Schedule,
    /// Seal as soon as so many digests wait.
    pub threshold: u64,
    /// Names this instance in leases.
    pub holder: Uuid,
}

impl Sealer {
    /// Closes the open batch if it is due, then builds and stores one tree. Idle when another instance is at it.
    ///
    /// # Errors
    /// See [`StepError`]; nothing is half-done.
    pub async fn step(&self) -> Result<Step> {
        // Idle instances only read.
        if !self.is_due().await? && self.ledger.next_to_seal().await?.is_none() {
            return Ok(Step::Idle);
        }
        let done = with_lease(&self.ledger, "seal", self.holder, |lease| async move {
            // Asked again: another instance may have closed it before the lease was ours.
            if self.is_due().await? {
                self.close(&lease).await?;
            }
            match self.ledger.next_to_seal().await? {
                Some(closed) => self.build(&lease, closed).await.map(|()| Step::Worked),
                None => Ok(Step::Idle),
            }
        });
        Ok(done.await?.unwrap_or(Step::Idle))
    }

    /// Closes and seals now, due or not. Answers the number of the newest sealed batch, `None` when the pool was empty
    /// or another instance is sealing.
    ///
    /// # Errors
    /// See [`StepError`].
    pub async fn seal_now(&self) -> Result<Option<u64>> {
        let done = with_lease(&self.ledger, "seal", self.holder, |lease| async move {
            self.close(&lease).await?;
            let mut newest = None;
            while let Some(closed) = self.ledger.next_to_seal().await? {
                self.build(&lease, closed).await?;
                newest = Some(closed.number);
            }
            Ok(newest)
        });
        Ok(done.await?.flatten())
    }

    /// Whether the pool's oldest digest has waited for its scheduled seal, or enough digests wait. Read from the
    /// database each time: nothing is due twice, and nothing is forgotten over a restart.
    async fn is_due(&self) -> Result<bool> {
        let pool = self.ledger.pool_fill(self.threshold).await?;
        let Some(first) = pool.first_received_at else { return Ok(false) };
        Ok(pool.fill >= self.threshold || self.schedule.next_after(first) <= pool.now)
    }

    async fn close(&self, lease: &Lease) -> Result<()> {
        if let Some(number) = self.ledger.close_batch(lease).await? {
            tracing::info!(batch = number, "closed");
        }
        Ok(())
    }

    async fn build(&self, lease: &Lease, closed: ClosedBatch) -> Result<()> {
        let number = closed.number;
        // Leaf 0 is the header, which needs the count first.
        let mut leaves = vec![[0; 32]];
        let count = self.ledger.each_entry(number, |entry| leaves.push(leaf_of(entry))).await?;
        if count == 0 {
            return Err(StepError::Halt(format!("batch {number} is closed but has no proofs; was the table of proofs changed?")));
        }
        let sealed_at = whole_second(self.ledger.now().await?);
        let header = BatchHeader {
            origin: self.origin.clone(),
            number,
            previous_root: closed.previous_root.into(),
            sealed_at: sealed_at.unix_timestamp().unsigned_abs(),
            count,
        }
        .to_string();
        leaves[0] = entry::header_leaf(&header).into();
        let tree = tokio::task::spawn_blocking(move || {
            leaves[1..].sort_unstable();
            let ascending = leaves[1..].windows(2).all(|pair| pair[0] < pair[1]);
            ascending.then(|| Tree::from_leaves(leaves))
        })
        .await
        .map_err(|error| StepError::Halt(format!("building the tree of batch {number}: {error}")))?
        .ok_or_else(|| StepError::Halt(format!("batch {number} has two equal leaves")))?;
        let batch = SealedBatch { number, sealed_at, header, size: tree.size(), root: tree.root().into() };
        let tiles: Vec<NewTile<'_>> = tile::tiles(&tree)
            .map(|(id, hashes)| NewTile {
                level: u8::try_from(id.level).expect("a tree has at most 8 tile levels"),
                index: id.index,
                hashes: hashes.as_flattened(),
            })
            .collect();
        self.ledger.seal_batch(lease, &batch, &tiles).await?;
        tracing::info!(batch = number, proofs = count, root = %Digest::from(batch.root), "sealed");
        Ok(())
    }
}

/// Hash of the leaf of an entry as it is stored.
pub(super) fn leaf_of(row: Row<'_>) -> [u8; 32] {
    match row {
        Row::Entry(entry) => sceau_verifier::merkle::leaf_hash(entry).into(),
        Row::Leaf(leaf) => *leaf,
    }
}

/// Headers carry whole seconds.
fn whole_second(time: OffsetDateTime) -> OffsetDateTime {
    time.replace_nanosecond(0).expect("zero is a nanosecond")
}
