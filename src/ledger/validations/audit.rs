//! Rows as they stand, for [`crate::audit`]: nothing is assumed of them.

use time::OffsetDateTime;
use uuid::Uuid;

use super::super::{Ledger, Result};

/// A row of `validations` with what it must agree with.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "columns, described in the schema")]
pub struct ValidationRow {
    pub id: Uuid,
    pub account_id: i64,
    /// Name of that account.
    pub account: Option<String>,
    pub digest: Vec<u8>,
    pub salt: Vec<u8>,
    pub approvals_needed: i16,
    pub received_at: OffsetDateTime,
    pub state: String,
    pub settled_at: Option<OffsetDateTime>,
    /// Salt and time of the document's proof, if it is one.
    pub proof: Option<(Vec<u8>, OffsetDateTime)>,
    /// Whether some round of the document was accepted.
    pub accepted: bool,
}

/// A row of `decisions` with what it must agree with.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "columns, described in the schema")]
pub struct DecisionRow {
    pub validation_id: Uuid,
    pub validator_id: i64,
    /// Name of the validator.
    pub validator: Option<String>,
    pub decision: String,
    pub comment: String,
    pub decided_at: OffsetDateTime,
    pub statement: String,
    pub digest: Vec<u8>,
    /// Salt of the statement's proof.
    pub salt: Option<Vec<u8>>,
    /// Whether it was a validator of the account when it decided.
    pub entitled: bool,
}

impl Ledger {
    /// Validations behind `after` by id, and the decisions about them, as of one moment.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn audit_validations(&self, after: Uuid, limit: i64) -> Result<(Vec<ValidationRow>, Vec<DecisionRow>)> {
        let mut transaction = self.pool().begin().await?;
        sqlx::query!("set transaction isolation level repeatable read, read only").execute(&mut *transaction).await?;
        let rows = sqlx::query!(
            r#"select w.id, w.account_id, a.name as "account?", coalesce(e.digest, w.digest) as "digest!", w.salt, w.approvals_needed, w.received_at, w.state,
                 w.settled_at, case when e.digest is null then p.salt else w.salt end as "proof_salt?", p.received_at as "proof_received_at?",
                 exists (select from validations o where o.account_id = w.account_id and o.digest = w.digest
                   and o.state = 'accepted') as "accepted!"
               from validations w left join accounts a on a.id = w.account_id
                 left join proofs p on p.account_id = w.account_id and p.digest = w.digest
                 left join erasures e on e.account_id = w.account_id and e.leaf = substr(w.digest, 2)
               where w.id > $1 order by w.id limit $2"#,
            after,
            limit
        )
        .fetch_all(&mut *transaction)
        .await?;
        let ids: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
        let decisions = sqlx::query_as!(
            DecisionRow,
            r#"select d.validation_id, d.validator_id, a.name as "validator?", d.decision, d.comment, d.decided_at, d.statement,
                 d.digest, p.salt as "salt?",
                 exists (select from validators v where v.account_id = w.account_id and v.validator_id = d.validator_id
                   and v.added_at <= d.decided_at and (v.removed_at is null or v.removed_at >= d.decided_at)) as "entitled!"
               from decisions d join validations w on w.id = d.validation_id left join accounts a on a.id = d.validator_id
                 left join proofs p on p.account_id = w.account_id and p.digest = d.digest
               where d.validation_id = any($1) order by d.validation_id, d.validator_id"#,
            &ids
        )
        .fetch_all(&mut *transaction)
        .await?;
        transaction.commit().await?;
        let rows = rows.into_iter().map(|row| ValidationRow {
            id: row.id,
            account_id: row.account_id,
            account: row.account,
            digest: row.digest,
            salt: row.salt,
            approvals_needed: row.approvals_needed,
            received_at: row.received_at,
            state: row.state,
            settled_at: row.settled_at,
            proof: row.proof_salt.zip(row.proof_received_at),
            accepted: row.accepted,
        });
        Ok((rows.collect(), decisions))
    }

    /// The first of these digests that no decision about a validation that exists has.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn audit_unrecorded(&self, digests: &[Vec<u8>]) -> Result<Option<Vec<u8>>> {
        let query = sqlx::query_scalar!(
            r#"select u.digest as "digest!" from unnest($1::bytea[]) as u (digest)
               where not exists (
                 select from decisions d join validations w on w.id = d.validation_id where d.digest = u.digest)
               limit 1"#,
            digests
        );
        Ok(query.fetch_optional(self.pool()).await?)
    }
}
