//! Sealing: the open batch is closed, its tree built and stored.
//!
//! Two commits. Closing is short, because digests wait while it happens; building takes as long as it takes, beside
//! acceptance. A crash between them leaves a closed batch, which the next run builds; a crash while building leaves
//! nothing behind.

mod behind;
mod growth;
mod leaves;

use sceau_verifier::{BatchHeader, Digest, entry};
use time::OffsetDateTime;
use tokio::sync::mpsc;
use uuid::Uuid;

use self::behind::{Manners, behind, polled_behind};
use self::growth::Growth;
use self::leaves::{Equal, Leaves};
use super::schedule::Schedule;
use super::{Result, Step, StepError, with_lease};
use crate::ledger::batches::entries::Row;
use crate::ledger::batches::tiles::TileRows;
use crate::ledger::batches::{ClosedBatch, SealedBatch};
use crate::ledger::leases::Lease;
use crate::ledger::{Ledger, LedgerError};

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
        let ledger = self.ledger.clone();
        let read = polled_behind(async move {
            let (mut leaves, mut manners) = (Leaves::default(), Manners::default());
            let mut read = 0_u64;
            let count = ledger.each_entry(number, |entry| {
                leaves.push(leaf_of(entry));
                read += 1;
                if read.is_multiple_of(PIECE) {
                    manners.rest();
                }
            });
            let count = count.await?;
            Ok::<_, LedgerError>((count, leaves))
        });
        let (count, leaves) = read.await.map_err(|error| halt(number, &format!("could not be read: {error}")))??;
        if count == 0 {
            return Err(halt(number, "is closed but has no proofs; was the table of proofs changed?"));
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
        let leaf: [u8; 32] = entry::header_leaf(&header).into();
        let (send, tiles) = mpsc::channel(1);
        let growing = behind(move || grow(number, leaf, leaves, &send));
        let mut root = [0; 32];
        let made = async {
            let grown = growing.await.map_err(|error| halt(number, &format!("could not be built: {error}")))?;
            let (size, grown) = grown.map_err(|Equal| halt(number, "has two equal leaves"))?;
            root = grown;
            Ok::<_, StepError>(SealedBatch { number, sealed_at, header, size, root })
        };
        self.ledger.seal_batch(lease, tiles, made).await?;
        tracing::info!(batch = number, proofs = count, root = %Digest::from(root), "sealed");
        Ok(())
    }
}

/// Entries read between two looks at who else wants the processor: about a millisecond.
const PIECE: u64 = 4096;

/// Tiles sent on together: half a MiB.
const TILES: usize = 64;

/// Sorts the leaves behind the header's, builds the tree over them and sends its tiles on while it grows; answers its size
/// and root. Ends early when nobody takes the tiles: whoever gave up knows why.
fn grow(number: u64, header: [u8; 32], leaves: Leaves, send: &mpsc::Sender<TileRows>) -> Result<(u64, [u8; 32]), Equal> {
    let mut rows = TileRows::of(number, TILES);
    let mut take = |level, index, hashes: &[[u8; 32]]| {
        if !rows.has_room() {
            let full = std::mem::replace(&mut rows, TileRows::of(number, TILES));
            let _ = send.blocking_send(full);
        }
        rows.push(level, index, hashes);
    };
    let mut growth = Growth::default();
    growth.extend(&[header], &mut take);
    let mut manners = Manners::default();
    leaves.ascending(|some| {
        growth.extend(some, &mut take);
        if !some.is_empty() {
            manners.rest();
        }
        !send.is_closed()
    })?;
    let end = growth.finish(&mut take).expect("the header is a leaf");
    let _ = send.blocking_send(rows);
    Ok(end)
}

fn halt(number: u64, why: &str) -> StepError {
    StepError::Halt(format!("batch {number} {why}"))
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
