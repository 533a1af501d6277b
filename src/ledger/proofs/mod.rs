//! Tables `proofs` and `proof_details`: what became of a digest, one or many, and what a receipt says of it. Rows are made in
//! [`super::intake`]; nothing here but the erasing changes one.

pub mod erasures;
pub mod listing;
mod numbers;
pub mod receipts;

use std::collections::HashMap;

use sceau_verifier::digest::{Digest, Salt};
use time::OffsetDateTime;

use super::accounts::AccountId;
use super::intake::Detail;
use super::{Ledger, LedgerError, Result, fixed, natural, stored};

/// How far a submitted digest is. Of a proof, derived from its batch and that batch's anchors, and stored nowhere else; the
/// first two are of digests that are no proofs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, schemars::JsonSchema, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// A validator refused it.
    Refused,
    /// It waits for validators.
    AwaitingValidation,
    /// Durably accepted; its batch is not sealed yet.
    Pending,
    /// Its batch has a root and the proof a place in the tree.
    Sealed,
    /// The root is in a canonical block of as many targets as its batch needs; not all of these blocks are final yet.
    Anchored,
    /// The root is in a final block of as many targets as its batch needs.
    Final,
}

impl Status {
    /// The word shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::AwaitingValidation => "awaiting_validation",
            Self::Pending => "pending",
            Self::Sealed => "sealed",
            Self::Anchored => "anchored",
            Self::Final => "final",
        }
    }

    fn parse(word: &str) -> Result<Self> {
        [Self::Pending, Self::Sealed, Self::Anchored, Self::Final]
            .into_iter()
            .find(|status| status.as_str() == word)
            .ok_or_else(|| LedgerError::Damaged(format!("status {word:?}")))
    }
}

/// One accepted digest of one account.
#[derive(Debug, Clone)]
pub struct Proof {
    /// Whose proof it is.
    pub account: AccountId,
    /// The digest.
    pub digest: Digest,
    /// Its salt.
    pub salt: Salt,
    /// The batch it is, or will be, sealed in.
    pub batch: u64,
    /// Database time of acceptance.
    pub received_at: OffsetDateTime,
    /// Counts the account's proofs from 1 without a hole.
    pub number: u64,
    /// Until when it was promised to be anchored; `None`: that was not kept when it was accepted.
    pub anchor_by: Option<OffsetDateTime>,
    /// How far it is.
    pub status: Status,
    /// What the submitter said about the document.
    pub detail: Detail,
}

impl Ledger {
    /// The account's proof of `digest`. Other accounts' proofs of the same digest are not seen.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn proof(&self, account: AccountId, digest: &Digest) -> Result<Option<Proof>> {
        let row = sqlx::query!(
            r#"select p.salt as "salt!", p.batch, p.received_at, p.number, p.anchor_by, d.file_name as "file_name?", d.reference as "reference?",
                 d.labels as "labels?", d.metadata as "metadata?"
               from proofs p left join proof_details d on d.account_id = p.account_id and d.digest = p.digest
               where p.account_id = $1 and p.digest = $2 and p.salt is not null"#,
            account.0,
            digest.as_ref(),
        )
        .fetch_optional(self.pool())
        .await?;
        let Some(row) = row else { return Ok(None) };
        let batch = natural(row.batch, "proofs.batch")?;
        let metadata = match row.metadata {
            None => None,
            Some(serde_json::Value::Object(map)) => Some(map),
            Some(_) => return Err(LedgerError::Damaged("proof_details.metadata is no object".into())),
        };
        Ok(Some(Proof {
            account,
            digest: *digest,
            salt: fixed::<16>(&row.salt, "proofs.salt")?.into(),
            batch,
            received_at: row.received_at,
            number: natural(row.number, "proofs.number")?,
            anchor_by: row.anchor_by,
            status: self.batch_status(batch).await?,
            detail: Detail { file_name: row.file_name, reference: row.reference, labels: row.labels, metadata, visible: false },
        }))
    }

    /// How far the proofs of a batch are.
    ///
    /// # Errors
    /// When the database cannot be asked or there is no such batch.
    pub async fn batch_status(&self, batch: u64) -> Result<Status> {
        self.batch_statuses(&[batch])
            .await?
            .remove(&batch)
            .ok_or_else(|| LedgerError::Damaged(format!("batch {batch} does not exist")))
    }

    /// How far the proofs of each of these batches are.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn batch_statuses(&self, batches: &[u64]) -> Result<HashMap<u64, Status>> {
        let numbers: Vec<i64> = batches.iter().copied().map(stored).collect();
        let rows = sqlx::query!(
            r#"select b.number, proof_status(b.state, b.anchors_needed, a.standing, a.final) as "status!"
               from batches b cross join lateral (
                 select count(*) filter (where state = 'final') as final,
                   count(*) filter (where state in ('included', 'final')) as standing
                 from anchors where batch = b.number
               ) a
               where b.number = any($1)"#,
            &numbers
        )
        .fetch_all(self.pool())
        .await?;
        rows.into_iter().map(|row| Ok((natural(row.number, "batches.number")?, Status::parse(&row.status)?))).collect()
    }
}
