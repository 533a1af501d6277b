//! Table `batches`: the numbered sets that are sealed together; beside them what goes into a tree, and the trees.

pub mod entries;
pub mod tiles;

use sqlx::{Connection, PgConnection};
use time::OffsetDateTime;
use tokio::sync::mpsc;

use self::tiles::TileRows;
use super::leases::Lease;
use super::server::guarded::Unfinished;
use super::{Ledger, LedgerError, Result, exactly_one, fixed, natural, stored};

/// A batch whose tree is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedBatch {
    /// Its number.
    pub number: u64,
    /// When it was sealed, as its header says.
    pub sealed_at: OffsetDateTime,
    /// Exact bytes of leaf 0.
    pub header: String,
    /// Leaves, header included.
    pub size: u64,
    /// Root of the tree.
    pub root: [u8; 32],
}

/// A batch in whatever state it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Batch {
    /// Takes new proofs, or is complete and about to be sealed.
    Unsealed {
        /// Its number.
        number: u64,
        /// Since when it takes, or took, proofs.
        opened_at: OffsetDateTime,
        /// When it was closed, if it is.
        closed_at: Option<OffsetDateTime>,
    },
    /// Its tree is stored.
    Sealed(SealedBatch),
    /// A registry has it, but its proofs and its tree went with a newer database than this one.
    Lost {
        /// Its number.
        number: u64,
        /// Leaves, header included.
        size: u64,
        /// Root of the tree.
        root: [u8; 32],
    },
}

/// What waits in the open batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolFill {
    /// Digests waiting, up to the limit asked for.
    pub fill: u64,
    /// When the first of them was accepted.
    pub first_received_at: Option<OffsetDateTime>,
    /// Database time of this answer.
    pub now: OffsetDateTime,
}

/// The next batch to seal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClosedBatch {
    /// Its number.
    pub number: u64,
    /// Root of the batch before it; zero for the first.
    pub previous_root: [u8; 32],
}

impl Ledger {
    /// What waits in the open batch, counted up to `limit`.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn pool_fill(&self, limit: u64) -> Result<PoolFill> {
        // Rows of one batch lie in the index in the order of their place in the table, which is that of their arrival.
        let row = sqlx::query!(
            r#"select (select count(*) from (select from proofs p where p.batch = b.number limit $1) counted) as "fill!",
                 (select p.received_at from proofs p where p.batch = b.number limit 1) as first_received_at,
                 clock_timestamp() as "now!"
               from batches b where b.state = 'open'"#,
            stored(limit)
        )
        .fetch_one(self.pool())
        .await?;
        Ok(PoolFill { fill: natural(row.fill, "fill of the pool")?, first_received_at: row.first_received_at, now: row.now })
    }

    /// Closes the open batch and opens the next; answers the closed number, `None` when the pool is empty.
    ///
    /// Waits for inserts in flight, two seconds at most: then it gives up, so that inserts do not queue behind it, and
    /// fails as transient. After a crash at any point the batch is either still open or closed.
    ///
    /// # Errors
    /// [`LedgerError::LeaseLost`], or when the database fails.
    pub async fn close_batch(&self, lease: &Lease) -> Result<Option<u64>> {
        let mut transaction = self.pool().begin().await?;
        lease.check(&mut transaction).await?;
        sqlx::query!("set local lock_timeout = '2s'").execute(&mut *transaction).await?;
        let number = sqlx::query_scalar!("select close_batch()").fetch_one(&mut *transaction).await?;
        transaction.commit().await?;
        number.map(|number| natural(number, "batches.number")).transpose()
    }

    /// The lowest closed batch, if any. Batches are sealed in order, so the one before it is sealed.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn next_to_seal(&self) -> Result<Option<ClosedBatch>> {
        let row = sqlx::query!(
            r#"select b.number, p.root as "previous_root?" from batches b left join batches p on p.number = b.number - 1
               where b.state = 'closed' order by b.number limit 1"#
        )
        .fetch_optional(self.pool())
        .await?;
        row.map(|row| {
            let previous_root = match (row.number, row.previous_root) {
                (1, None) => [0; 32],
                (_, Some(root)) => fixed(&root, "batches.root")?,
                (number, None) => {
                    return Err(LedgerError::Damaged(format!("batch {number} is closed but the one before it is not sealed")));
                }
            };
            Ok(ClosedBatch { number: natural(row.number, "batches.number")?, previous_root })
        })
        .transpose()
    }

    /// Stores the tree of a closed batch, its tiles while they are made, and plans its anchor in every target, in one
    /// transaction. `made` is asked when no more tiles come and tells what the batch is sealed as; where it fails nothing is
    /// stored. Before it commits the batch is closed as before; after it everything the publisher and the receipts need is
    /// there.
    ///
    /// What counts is the check of the lease behind the tiles; so it can be renewed while they come. Of two that seal one
    /// batch at the same time the second waits at its first tile until the first is done or refused.
    ///
    /// # Errors
    /// That of `made`; [`LedgerError::Moved`] when the batch is sealed already, [`LedgerError::LeaseLost`], or when the
    /// database fails.
    pub async fn seal_batch<E: From<LedgerError>>(
        &self,
        lease: &Lease,
        tiles: mpsc::Receiver<TileRows>,
        made: impl Future<Output = Result<SealedBatch, E>>,
    ) -> Result<(), E> {
        let mut connection = Unfinished::from(self.pool().acquire().await.map_err(LedgerError::from)?);
        // Nothing is copied in vain.
        lease.check(connection.get()).await?;
        let mut transaction = connection.get().begin().await.map_err(LedgerError::from)?;
        tiles::copy(&mut transaction, tiles).await?;
        let batch = made.await?;
        settle(&mut transaction, lease, &batch).await?;
        transaction.commit().await.map_err(LedgerError::from)?;
        connection.finished();
        Ok(())
    }

    /// One batch by number.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn batch(&self, number: u64) -> Result<Option<Batch>> {
        let Ok(number) = i64::try_from(number) else { return Ok(None) };
        let row = sqlx::query!(
            "select number, opened_at, closed_at, sealed_at, header, size, root from batches where number = $1",
            number
        )
        .fetch_optional(self.pool())
        .await?;
        row.map(|row| {
            let number = natural(row.number, "batches.number")?;
            Ok(match (row.sealed_at, row.header, row.size, row.root) {
                (Some(sealed_at), Some(header), Some(size), Some(root)) => Batch::Sealed(SealedBatch {
                    number,
                    sealed_at,
                    header,
                    size: natural(size, "batches.size")?,
                    root: fixed(&root, "batches.root")?,
                }),
                (None, None, Some(size), Some(root)) => {
                    Batch::Lost { number, size: natural(size, "batches.size")?, root: fixed(&root, "batches.root")? }
                }
                _ => Batch::Unsealed { number, opened_at: row.opened_at, closed_at: row.closed_at },
            })
        })
        .transpose()
    }

    /// The sealed batch with this root.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn batch_of_root(&self, root: &[u8; 32]) -> Result<Option<u64>> {
        let number = sqlx::query_scalar!("select number from batches where root = $1", root).fetch_optional(self.pool()).await?;
        number.map(|number| natural(number, "batches.number")).transpose()
    }
}

/// The batch is sealed, its anchors are planned, if the lease is still ours.
async fn settle(connection: &mut PgConnection, lease: &Lease, batch: &SealedBatch) -> Result<()> {
    lease.check(connection).await?;
    // A target being added at the same time waits here and then plans this batch itself; a new policy waits as well.
    sqlx::query!("lock table targets in share mode").execute(&mut *connection).await?;
    let done = sqlx::query!(
        "update batches set state = 'sealed', sealed_at = $2, header = $3, size = $4, root = $5,
           anchors_needed = (select needed from anchor_policy order by id desc limit 1)
         where number = $1 and state = 'closed'",
        stored(batch.number),
        batch.sealed_at,
        batch.header,
        stored(batch.size),
        &batch.root,
    )
    .execute(&mut *connection)
    .await?;
    exactly_one(done.rows_affected(), "closed batch")?;
    sqlx::query!(
        "with planned as (
           insert into anchors (batch, target_id, state) select $1, id, 'planned' from targets
             where first_number <= $1 and retired_at is null
           returning batch, target_id, state
         )
         insert into anchor_history (batch, target_id, state) select batch, target_id, state from planned",
        stored(batch.number)
    )
    .execute(&mut *connection)
    .await?;
    Ok(())
}
