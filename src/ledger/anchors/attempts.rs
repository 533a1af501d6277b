//! Table `attempts`: signed transactions, stored before they are sent.

use time::OffsetDateTime;

use crate::ledger::anchors::history;
use crate::ledger::leases::Lease;
use crate::ledger::targets::{LaneId, TargetId};
use crate::ledger::{Ledger, Result, exactly_one, fixed, natural, stored};

/// A signed transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Its hash.
    pub tx_hash: [u8; 32],
    /// Fee cap, wei per gas.
    pub max_fee: u64,
    /// Tip cap, wei per gas.
    pub max_priority_fee: u64,
    /// The bytes to send.
    pub raw: Vec<u8>,
    /// When it was stored. Set by the database; ignored on the way in.
    pub signed_at: OffsetDateTime,
    /// When a node last took it.
    pub sent_at: Option<OffsetDateTime>,
}

impl Ledger {
    /// Stores an anchor's first attempt and takes the lane's next nonce with it: both or neither. After the commit the
    /// bytes may be sent; before it nobody outside has seen them.
    ///
    /// # Errors
    /// [`crate::ledger::LedgerError::Moved`] when the nonce was taken or the anchor moved meanwhile,
    /// [`crate::ledger::LedgerError::LeaseLost`], or when the database fails.
    pub async fn store_first_attempt(
        &self,
        lease: &Lease,
        target: TargetId,
        batch: u64,
        (lane, nonce): (LaneId, u64),
        attempt: &Attempt,
    ) -> Result<()> {
        let mut transaction = self.pool().begin().await?;
        lease.check(&mut transaction).await?;
        let done = sqlx::query!("update lanes set next_nonce = $2 + 1 where id = $1 and next_nonce = $2", lane.0, stored(nonce))
            .execute(&mut *transaction)
            .await?;
        exactly_one(done.rows_affected(), "next nonce of the lane")?;
        let done = sqlx::query!(
            "update anchors set state = 'sent', lane_id = $3, nonce = $4, changed_at = clock_timestamp()
             where batch = $1 and target_id = $2 and state = 'planned' and nonce is null",
            stored(batch),
            target.0,
            lane.0,
            stored(nonce)
        )
        .execute(&mut *transaction)
        .await?;
        exactly_one(done.rows_affected(), "planned anchor")?;
        insert(&mut transaction, target, batch, attempt).await?;
        history(&mut transaction, batch, target, "sent", Some(&format!("nonce {nonce}, 0x{}", hex::encode(attempt.tx_hash))))
            .await?;
        transaction.commit().await?;
        self.events().attempts.get_or_create(&[("kind", "first")]).inc();
        Ok(())
    }

    /// Stores another attempt at the same nonce, with other fees.
    ///
    /// # Errors
    /// [`crate::ledger::LedgerError::Moved`] when the anchor is no longer waiting, [`crate::ledger::LedgerError::LeaseLost`], or when the
    /// database fails.
    pub async fn store_replacement(&self, lease: &Lease, target: TargetId, batch: u64, attempt: &Attempt) -> Result<()> {
        let mut transaction = self.pool().begin().await?;
        lease.check(&mut transaction).await?;
        let done = sqlx::query!(
            "update anchors set changed_at = clock_timestamp() where batch = $1 and target_id = $2 and state = 'sent'",
            stored(batch),
            target.0
        )
        .execute(&mut *transaction)
        .await?;
        exactly_one(done.rows_affected(), "sent anchor")?;
        insert(&mut transaction, target, batch, attempt).await?;
        history(&mut transaction, batch, target, "sent", Some(&format!("higher fees, 0x{}", hex::encode(attempt.tx_hash))))
            .await?;
        transaction.commit().await?;
        self.events().attempts.get_or_create(&[("kind", "higher_fees")]).inc();
        Ok(())
    }

    /// All attempts of an anchor that were not given up, lowest fees first.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn attempts(&self, target: TargetId, batch: u64) -> Result<Vec<Attempt>> {
        let rows = sqlx::query!(
            "select tx_hash, max_fee, max_priority_fee, raw, signed_at, sent_at from attempts
             where batch = $1 and target_id = $2 and retired_lane is null order by max_fee, signed_at",
            stored(batch),
            target.0
        )
        .fetch_all(self.pool())
        .await?;
        rows.into_iter()
            .map(|row| {
                Ok(Attempt {
                    tx_hash: fixed(&row.tx_hash, "attempts.tx_hash")?,
                    max_fee: natural(row.max_fee, "attempts.max_fee")?,
                    max_priority_fee: natural(row.max_priority_fee, "attempts.max_priority_fee")?,
                    raw: row.raw,
                    signed_at: row.signed_at,
                    sent_at: row.sent_at,
                })
            })
            .collect()
    }

    /// Notes that a node took the attempt. Only for operators and pauses: nothing is decided by it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn note_sent(&self, tx_hash: &[u8; 32]) -> Result<()> {
        sqlx::query!("update attempts set sent_at = clock_timestamp() where tx_hash = $1", tx_hash).execute(self.pool()).await?;
        Ok(())
    }
}

pub(super) async fn insert(connection: &mut sqlx::PgConnection, target: TargetId, batch: u64, attempt: &Attempt) -> Result<()> {
    sqlx::query!(
        "insert into attempts (tx_hash, batch, target_id, max_fee, max_priority_fee, raw) values ($1, $2, $3, $4, $5, $6)",
        &attempt.tx_hash,
        stored(batch),
        target.0,
        stored(attempt.max_fee),
        stored(attempt.max_priority_fee),
        attempt.raw,
    )
    .execute(connection)
    .await?;
    Ok(())
}
