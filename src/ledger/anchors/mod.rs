//! Tables `anchors` and `anchor_history`: a batch's presence in a registry, and how it came about; beside them the transactions
//! it took, and what a restored database forgot of both.

pub mod attempts;
pub mod calls;
pub mod recover;

use time::OffsetDateTime;

use super::leases::Lease;
use super::targets::TargetId;
use super::{Ledger, LedgerError, Result, exactly_one, fixed, natural, stored};

/// How far an anchor is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, schemars::JsonSchema, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AnchorState {
    /// Its target was retired: nobody works on it.
    Withdrawn,
    /// Nothing is signed.
    Planned,
    /// Signed bytes are stored, and were or will be handed to a node.
    Sent,
    /// Seen in a canonical block that may still be reorganised away.
    Included,
    /// The block is final and the evidence is stored.
    Final,
}

impl AnchorState {
    pub(super) fn parse(word: &str) -> Result<Self> {
        Ok(match word {
            "withdrawn" => Self::Withdrawn,
            "planned" => Self::Planned,
            "sent" => Self::Sent,
            "included" => Self::Included,
            "final" => Self::Final,
            _ => return Err(LedgerError::Damaged(format!("anchor state {word:?}"))),
        })
    }
}

/// The block an anchor stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The transaction that anchored it.
    pub tx_hash: [u8; 32],
    /// Its position in the block.
    pub tx_index: u64,
    /// Height of the block.
    pub block_number: u64,
    /// Hash of the block.
    pub block_hash: [u8; 32],
    /// The block's time, seconds since 1970.
    pub block_time: u64,
}

/// One batch in one registry.
#[derive(Debug, Clone)]
pub struct Anchor {
    /// The batch.
    pub batch: u64,
    /// The target.
    pub target: TargetId,
    /// EIP-155 chain id of the target.
    pub chain_id: u64,
    /// Registry of the target.
    pub registry: [u8; 20],
    /// How far it is.
    pub state: AnchorState,
    /// Where it stands, once included.
    pub place: Option<Place>,
    /// Evidence as it stands in a receipt (JSON), once final.
    pub evidence: Option<String>,
}

/// An anchor the pipeline has work with, with what it needs of the batch.
#[derive(Debug, Clone)]
pub struct Unfinished {
    /// The batch.
    pub batch: u64,
    /// How far it is.
    pub state: AnchorState,
    /// Root of the batch.
    pub root: [u8; 32],
    /// Leaves of the batch.
    pub size: u64,
    /// Whose nonce its attempts share, and which.
    pub nonce: Option<([u8; 20], u64)>,
    /// Where it stands, once included.
    pub place: Option<Place>,
    /// Since when it is in this state.
    pub changed_at: OffsetDateTime,
}

impl Place {
    /// A place out of nullable columns: the transaction's hash and index, the block's number, hash and time.
    pub(super) fn of(
        transaction: (Option<Vec<u8>>, Option<i64>),
        block: (Option<i64>, Option<Vec<u8>>, Option<i64>),
    ) -> Result<Option<Self>> {
        let ((Some(tx_hash), Some(tx_index)), (Some(block_number), Some(block_hash), Some(block_time))) = (transaction, block)
        else {
            return Ok(None);
        };
        Ok(Some(Self {
            tx_hash: fixed(&tx_hash, "anchors.tx_hash")?,
            tx_index: natural(tx_index, "anchors.tx_index")?,
            block_number: natural(block_number, "anchors.block_number")?,
            block_hash: fixed(&block_hash, "anchors.block_hash")?,
            block_time: natural(block_time, "anchors.block_time")?,
        }))
    }
}

impl Ledger {
    /// The anchors of a batch in all targets, ordered as in a receipt.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn anchors(&self, batch: u64) -> Result<Vec<Anchor>> {
        let rows = sqlx::query!(
            r#"select a.batch, a.target_id, t.chain_id, t.registry, a.state, a.tx_hash, a.tx_index, a.block_number, a.block_hash,
                 a.block_time, a.evidence
               from anchors a join targets t on t.id = a.target_id where a.batch = $1 order by t.chain_id, t.registry"#,
            stored(batch)
        )
        .fetch_all(self.pool())
        .await?;
        rows.into_iter()
            .map(|row| {
                Ok(Anchor {
                    batch,
                    target: TargetId(row.target_id),
                    chain_id: natural(row.chain_id, "targets.chain_id")?,
                    registry: fixed(&row.registry, "targets.registry")?,
                    state: AnchorState::parse(&row.state)?,
                    place: Place::of((row.tx_hash, row.tx_index), (row.block_number, row.block_hash, row.block_time))?,
                    evidence: row.evidence,
                })
            })
            .collect()
    }

    /// The lowest `limit` anchors of a target that are on their way or planned, by batch number.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn unfinished(&self, target: TargetId, limit: i64) -> Result<Vec<Unfinished>> {
        let rows = sqlx::query!(
            r#"select a.batch, a.state, b.root as "root!", b.size as "size!", a.nonce, l.signer as "signer?", a.tx_hash, a.tx_index, a.block_number, a.block_hash,
                 a.block_time, a.changed_at
               from anchors a join batches b on b.number = a.batch left join lanes l on l.id = a.lane_id where a.target_id = $1 and a.state <> 'final' and a.state <> 'withdrawn' order by a.batch limit $2"#,
            target.0,
            limit
        )
        .fetch_all(self.pool())
        .await?;
        rows.into_iter()
            .map(|row| {
                Ok(Unfinished {
                    batch: natural(row.batch, "anchors.batch")?,
                    state: AnchorState::parse(&row.state)?,
                    root: fixed(&row.root, "batches.root")?,
                    size: natural(row.size, "batches.size")?,
                    nonce: match (row.signer, row.nonce) {
                        (Some(signer), Some(nonce)) => Some((fixed(&signer, "lanes.signer")?, natural(nonce, "anchors.nonce")?)),
                        _ => None,
                    },
                    place: Place::of((row.tx_hash, row.tx_index), (row.block_number, row.block_hash, row.block_time))?,
                    changed_at: row.changed_at,
                })
            })
            .collect()
    }

    /// Records that the anchor was seen in a canonical block. Also moves an anchor that is included elsewhere already: a
    /// reorg may put the transaction into another block between two looks.
    ///
    /// # Errors
    /// [`LedgerError::Moved`] when it is final or withdrawn, [`LedgerError::LeaseLost`], or when the database fails.
    pub async fn include_anchor(&self, lease: &Lease, target: TargetId, batch: u64, place: &Place) -> Result<()> {
        let mut transaction = self.pool().begin().await?;
        lease.check(&mut transaction).await?;
        let done = sqlx::query!(
            "update anchors set state = 'included', tx_hash = $3, tx_index = $4, block_number = $5, block_hash = $6, block_time = $7,
               changed_at = clock_timestamp()
             where batch = $1 and target_id = $2 and state <> 'final' and state <> 'withdrawn'",
            stored(batch),
            target.0,
            &place.tx_hash,
            stored(place.tx_index),
            stored(place.block_number),
            &place.block_hash,
            stored(place.block_time),
        )
        .execute(&mut *transaction)
        .await?;
        exactly_one(done.rows_affected(), "anchor that is on its way")?;
        history(
            &mut transaction,
            batch,
            target,
            "included",
            Some(&format!("block {} 0x{}", place.block_number, hex::encode(place.block_hash))),
        )
        .await?;
        transaction.commit().await?;
        self.events().included.inc();
        Ok(())
    }

    /// Takes an inclusion back, because its block is no longer canonical and the transaction stands in no other.
    ///
    /// # Errors
    /// [`LedgerError::Moved`] when it is not included, [`LedgerError::LeaseLost`], or when the database fails.
    pub async fn regress_anchor(&self, lease: &Lease, target: TargetId, batch: u64, why: &str) -> Result<()> {
        let mut transaction = self.pool().begin().await?;
        lease.check(&mut transaction).await?;
        let state = sqlx::query_scalar!(
            "update anchors set state = case when nonce is null then 'planned' else 'sent' end, tx_hash = null, tx_index = null,
               block_number = null, block_hash = null, block_time = null, changed_at = clock_timestamp()
             where batch = $1 and target_id = $2 and state = 'included' returning state",
            stored(batch),
            target.0,
        )
        .fetch_optional(&mut *transaction)
        .await?
        .ok_or(LedgerError::Moved { what: "included anchor" })?;
        history(&mut transaction, batch, target, &state, Some(why)).await?;
        transaction.commit().await?;
        self.events().regressed.inc();
        Ok(())
    }

    /// Records that the block the anchor stands in is final, with the evidence captured there.
    ///
    /// # Errors
    /// [`LedgerError::Moved`] when it is not included in that very block, [`LedgerError::LeaseLost`], or when the
    /// database fails.
    pub async fn finalize_anchor(
        &self,
        lease: &Lease,
        target: TargetId,
        batch: u64,
        place: &Place,
        evidence: &str,
    ) -> Result<()> {
        let mut transaction = self.pool().begin().await?;
        lease.check(&mut transaction).await?;
        let done = sqlx::query!(
            "update anchors set state = 'final', evidence = $5, changed_at = clock_timestamp()
             where batch = $1 and target_id = $2 and state = 'included' and block_hash = $3 and tx_hash = $4",
            stored(batch),
            target.0,
            &place.block_hash,
            &place.tx_hash,
            evidence,
        )
        .execute(&mut *transaction)
        .await?;
        exactly_one(done.rows_affected(), "anchor included in that block")?;
        history(&mut transaction, batch, target, "final", None).await?;
        transaction.commit().await?;
        self.events().finalized.inc();
        Ok(())
    }
}

pub(super) async fn history(
    connection: &mut sqlx::PgConnection,
    batch: u64,
    target: TargetId,
    state: &str,
    note: Option<&str>,
) -> Result<()> {
    sqlx::query!(
        "insert into anchor_history (batch, target_id, state, note) values ($1, $2, $3, $4)",
        stored(batch),
        target.0,
        state,
        note
    )
    .execute(connection)
    .await?;
    Ok(())
}
