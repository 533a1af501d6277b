//! What the audit asks about doubled digests.

use super::super::{Ledger, Result};

/// A doubled digest at odds with the proofs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DoubledRow {
    /// Whose it is.
    pub account_id: i64,
    /// The digest.
    pub digest: Vec<u8>,
    /// What is wrong.
    pub why: String,
}

impl Ledger {
    /// Doubled digests that are wrong, that belong to no proof, or that are missing; up to `limit`.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn audit_doubled(&self, limit: i64) -> Result<Vec<DoubledRow>> {
        // Computed here by another expression than the one that wrote them.
        Ok(sqlx::query_as!(
            DoubledRow,
            r#"select account_id as "account_id!", digest as "digest!", why as "why!" from (
                 select d.account_id, d.digest, case when p.digest is null then 'it belongs to no proof'
                     else 'it is not the SHA-256 of its digest in hex' end as why
                   from doubled_digests d left join proofs p on p.account_id = d.account_id and p.digest = d.digest
                   where p.digest is null or d.doubled <> sha256(convert_to(lower(encode(d.digest, 'hex')), 'UTF8'))
                 union all
                 select p.account_id, p.digest, 'its proof is not found by it' from identities i
                   join proofs p on p.account_id = i.account_id
                   where i.indexed_at is not null and p.salt is not null and not exists (
                     select from doubled_digests d where d.account_id = p.account_id and d.digest = p.digest
                       and d.doubled = sha256(convert_to(encode(p.digest, 'hex'), 'UTF8')))
               ) odd order by 1, 2 limit $1"#,
            limit
        )
        .fetch_all(self.pool())
        .await?)
    }
}
