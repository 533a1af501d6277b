//! Table `finality`: what each chain called final.

use std::time::Duration;

use crate::ledger::leases::Lease;
use crate::ledger::targets::TargetId;
use crate::ledger::{Ledger, Result, fixed, natural, stored};

/// A final block as it was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FinalBlock {
    /// Height.
    pub number: u64,
    /// Hash.
    pub hash: [u8; 32],
}

impl Ledger {
    /// The newest final block seen on the target's chain.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn finality(&self, target: TargetId) -> Result<Option<FinalBlock>> {
        let row =
            sqlx::query!("select number, hash from finality where target_id = $1", target.0).fetch_optional(self.pool()).await?;
        row.map(|row| {
            Ok(FinalBlock { number: natural(row.number, "finality.number")?, hash: fixed(&row.hash, "finality.hash")? })
        })
        .transpose()
    }

    /// Records a final block, unless a higher one is recorded.
    ///
    /// # Errors
    /// [`crate::ledger::LedgerError::LeaseLost`], or when the database fails.
    pub async fn raise_finality(&self, lease: &Lease, target: TargetId, block: &FinalBlock) -> Result<()> {
        let mut transaction = self.pool().begin().await?;
        lease.check(&mut transaction).await?;
        sqlx::query!(
            "insert into finality as f (target_id, number, hash) values ($1, $2, $3)
             on conflict on constraint finality_pkey do update set number = excluded.number, hash = excluded.hash
               where f.number < excluded.number",
            target.0,
            stored(block.number),
            &block.hash,
        )
        .execute(&mut *transaction)
        .await?;
        Ok(transaction.commit().await?)
    }

    /// Whether final anchors have not been looked at again for `every`; false while nothing was ever final.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn finals_due(&self, target: TargetId, every: Duration) -> Result<bool> {
        let due = sqlx::query_scalar!(
            r#"select checked_at + make_interval(secs => $2) <= clock_timestamp()
                 or checked_at > clock_timestamp() + interval '1 minute' as "due!"
               from finality where target_id = $1"#,
            target.0,
            every.as_secs_f64()
        );
        Ok(due.fetch_optional(self.pool()).await?.unwrap_or(false))
    }

    /// Notes that final anchors were looked at again and stand.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn note_finals_checked(&self, target: TargetId) -> Result<()> {
        sqlx::query!("update finality set checked_at = clock_timestamp() where target_id = $1", target.0)
            .execute(self.pool())
            .await?;
        Ok(())
    }

    /// The newest `limit` final anchors of a target: batch, and the block it stands in.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn newest_finals(&self, target: TargetId, limit: i64) -> Result<Vec<(u64, FinalBlock)>> {
        let rows = sqlx::query!(
            r#"select batch, block_number as "number!", block_hash as "hash!" from anchors
               where target_id = $1 and state = 'final' order by batch desc limit $2"#,
            target.0,
            limit
        )
        .fetch_all(self.pool())
        .await?;
        rows.into_iter()
            .map(|row| {
                let block = FinalBlock {
                    number: natural(row.number, "anchors.block_number")?,
                    hash: fixed(&row.hash, "anchors.block_hash")?,
                };
                Ok((natural(row.batch, "anchors.batch")?, block))
            })
            .collect()
    }
}
