//! Table `erasures`: proofs of which nothing but the leaf is left.

use sceau_verifier::Digest;
use time::OffsetDateTime;

use crate::ledger::accounts::AccountId;
use crate::ledger::{Ledger, LedgerError, Result, natural};

/// What became of a request to erase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Erasing {
    /// It is erased.
    Erased,
    /// The account has no such proof.
    Unknown,
    /// Something remains to be done with its entry: it is not final, or one of its anchors is on its way.
    Early,
    /// It is what a validator decided, which is kept.
    Decision,
}

/// A proof that was erased.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Erasure {
    /// Its number.
    pub number: u64,
    /// Its batch.
    pub batch: u64,
    /// When.
    pub erased_at: OffsetDateTime,
}

impl Ledger {
    /// Erases the salt of a final proof and everything that was said about it; what is left is its leaf. In one
    /// transaction; cannot be taken back. `by` is kept.
    ///
    /// # Errors
    /// When the database fails. Whether it took place is unknown then; asking again is safe.
    pub async fn erase(&self, account: AccountId, digest: &Digest, by: &str) -> Result<Erasing> {
        let word = sqlx::query_scalar!(r#"select erase_proof($1, $2, $3) as "word!""#, account.0, digest.as_ref(), by)
            .fetch_one(self.pool())
            .await?;
        Ok(match &*word {
            "erased" => Erasing::Erased,
            "unknown" => Erasing::Unknown,
            "early" => Erasing::Early,
            "decision" => Erasing::Decision,
            other => return Err(LedgerError::Damaged(format!("erase_proof answered {other:?}"))),
        })
    }

    /// The newest erasure of a proof of `digest`.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn erasure(&self, account: AccountId, digest: &Digest) -> Result<Option<Erasure>> {
        let row = sqlx::query!(
            "select e.number, e.erased_at, p.batch from erasures e
               join proofs p on p.account_id = e.account_id and p.number = e.number
             where e.account_id = $1 and e.digest = $2 order by e.number desc limit 1",
            account.0,
            digest.as_ref()
        )
        .fetch_optional(self.pool())
        .await?;
        row.map(|row| {
            Ok(Erasure {
                number: natural(row.number, "erasures.number")?,
                batch: natural(row.batch, "proofs.batch")?,
                erased_at: row.erased_at,
            })
        })
        .transpose()
    }
}
