//! Table `calls`, and attempts that were given up: nonces of a lane that no anchor has.

use crate::ledger::anchors::history;
use crate::ledger::leases::Lease;
use crate::ledger::targets::{LaneId, TargetId};
use crate::ledger::{Ledger, Result, exactly_one, fixed, natural, stored};

/// A stored transaction of an operator's command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Its nonce.
    pub nonce: u64,
    /// Its hash.
    pub tx_hash: [u8; 32],
    /// The bytes to send.
    pub raw: Vec<u8>,
}

impl Ledger {
    /// The lane of a signer, if this database ever signed with it, and the nonce its next transaction takes.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn known_lane(&self, chain_id: u64, signer: &[u8; 20]) -> Result<Option<(LaneId, u64)>> {
        let row = sqlx::query!("select id, next_nonce from lanes where chain_id = $1 and signer = $2", stored(chain_id), signer)
            .fetch_optional(self.pool())
            .await?;
        row.map(|row| Ok((LaneId(row.id), natural(row.next_nonce, "lanes.next_nonce")?))).transpose()
    }

    /// Stores an operator's transaction and takes the lane's next nonce with it: both or neither. After the commit it may
    /// be sent.
    ///
    /// # Errors
    /// [`crate::ledger::LedgerError::Moved`] when the nonce was taken meanwhile, or when the database fails.
    pub async fn store_call(&self, lane: LaneId, call: &Call, purpose: &str) -> Result<()> {
        let mut transaction = self.pool().begin().await?;
        let done =
            sqlx::query!("update lanes set next_nonce = $2 + 1 where id = $1 and next_nonce = $2", lane.0, stored(call.nonce))
                .execute(&mut *transaction)
                .await?;
        exactly_one(done.rows_affected(), "next nonce of the lane")?;
        sqlx::query!(
            "insert into calls (lane_id, nonce, tx_hash, raw, purpose) values ($1, $2, $3, $4, $5)",
            lane.0,
            stored(call.nonce),
            &call.tx_hash,
            call.raw,
            purpose
        )
        .execute(&mut *transaction)
        .await?;
        Ok(transaction.commit().await?)
    }

    /// The operator's transactions of a signer at `nonce` and above: with the count of its mined ones, those that wait.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn calls_from(&self, chain_id: u64, signer: &[u8; 20], nonce: u64) -> Result<Vec<Call>> {
        let rows = sqlx::query!(
            "select c.nonce, c.tx_hash, c.raw from calls c join lanes l on l.id = c.lane_id
             where l.chain_id = $1 and l.signer = $2 and c.nonce >= $3 order by c.nonce",
            stored(chain_id),
            signer,
            stored(nonce)
        )
        .fetch_all(self.pool())
        .await?;
        rows.into_iter()
            .map(|row| {
                Ok(Call {
                    nonce: natural(row.nonce, "calls.nonce")?,
                    tx_hash: fixed(&row.tx_hash, "calls.tx_hash")?,
                    raw: row.raw,
                })
            })
            .collect()
    }

    /// Gives up what was signed for a sent anchor, because its signer is no longer the publisher: the anchor is planned
    /// again, its attempts are kept with their nonce and never sent again.
    ///
    /// # Errors
    /// [`crate::ledger::LedgerError::Moved`] when it is not sent, [`crate::ledger::LedgerError::LeaseLost`], or when the database fails.
    pub async fn retire_attempts(&self, lease: &Lease, target: TargetId, batch: u64, why: &str) -> Result<()> {
        let mut transaction = self.pool().begin().await?;
        lease.check(&mut transaction).await?;
        sqlx::query!(
            "update attempts t set retired_lane = a.lane_id, retired_nonce = a.nonce from anchors a
             where a.batch = $1 and a.target_id = $2 and a.state = 'sent'
               and t.batch = a.batch and t.target_id = a.target_id and t.retired_lane is null",
            stored(batch),
            target.0
        )
        .execute(&mut *transaction)
        .await?;
        let done = sqlx::query!(
            "update anchors set state = 'planned', lane_id = null, nonce = null, changed_at = clock_timestamp()
             where batch = $1 and target_id = $2 and state = 'sent'",
            stored(batch),
            target.0
        )
        .execute(&mut *transaction)
        .await?;
        exactly_one(done.rows_affected(), "sent anchor")?;
        history(&mut transaction, batch, target, "planned", Some(why)).await?;
        Ok(transaction.commit().await?)
    }

    /// Anchors of a target that are on their way, or in a block that is not final, by whom they were signed. While there
    /// are any of the present publisher, another one must not take over.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn underway(&self, chain_id: u64, registry: &[u8; 20], signer: &[u8; 20]) -> Result<u64> {
        let count = sqlx::query_scalar!(
            r#"select count(*) as "count!" from anchors a join targets t on t.id = a.target_id join lanes l on l.id = a.lane_id
               where t.chain_id = $1 and t.registry = $2 and l.signer = $3 and a.state in ('sent', 'included')"#,
            stored(chain_id),
            registry,
            signer
        )
        .fetch_one(self.pool())
        .await?;
        natural(count, "anchors")
    }
}
