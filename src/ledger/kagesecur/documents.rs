//! Table `doubled_digests`: whose document is asked for.

use sceau_verifier::Digest;
use time::OffsetDateTime;

use super::super::accounts::AccountId;
use super::super::{Ledger, Result, fixed};

/// What somebody may know of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Document {
    /// It is registered for the asker, or for a client of the asker's.
    Known {
        /// Whose it is.
        owner: AccountId,
        /// The owner's name in the dialect.
        identifiant: String,
        /// Its digest.
        digest: Digest,
    },
    /// It waits for a validator of the asker's, or of a client of the asker's.
    Awaiting,
    /// A validator refused it, and it was not submitted again since.
    Refused,
    /// It is registered for somebody who lets others know that it is.
    Foreign,
    /// It is not, or nobody may know.
    Unknown,
}

impl Ledger {
    /// What `asker` may know of the document whose digest, doubled, is `doubled`. The asker's own comes before those of
    /// clients. Says nothing that differs between a document nobody registered and one that others keep to themselves.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn document(&self, asker: AccountId, doubled: &Digest) -> Result<Document> {
        let row = sqlx::query!(
            r#"select d.account_id, d.digest, i.identifiant, d.account_id = $2 as "own!", c.client_id is not null as "client!"
               from doubled_digests d
               join identities i on i.account_id = d.account_id
               left join account_clients c on c.manager_id = $2 and c.client_id = d.account_id
               where d.doubled = $1 and (d.account_id = $2 or c.client_id is not null or d.visible)
               order by 4 desc, 5 desc, d.account_id limit 1"#,
            doubled.as_ref(),
            asker.0,
        )
        .fetch_optional(self.pool())
        .await?;
        let known = match row {
            None => Document::Unknown,
            Some(row) if !row.own && !row.client => Document::Foreign,
            Some(row) => {
                return Ok(Document::Known {
                    owner: AccountId(row.account_id),
                    identifiant: row.identifiant,
                    digest: fixed::<32>(&row.digest, "doubled_digests.digest")?.into(),
                });
            }
        };
        // A proof stands whatever became of it with validators.
        let awaiting = sqlx::query_scalar!(
            r#"select w.state = 'awaiting' as "awaiting!" from validations w
               left join account_clients c on c.manager_id = $2 and c.client_id = w.account_id
               where doubled_digest(w.digest) = $1 and w.state <> 'accepted' and (w.account_id = $2 or c.client_id is not null)
               order by w.account_id = $2 desc, w.account_id, w.round desc limit 1"#,
            doubled.as_ref(),
            asker.0,
        )
        .fetch_optional(self.pool())
        .await?;
        Ok(match awaiting {
            None => known,
            Some(true) => Document::Awaiting,
            Some(false) => Document::Refused,
        })
    }

    /// When a former system says it registered the digest, if one does. Proven by nothing.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn declared_date(&self, account: AccountId, digest: &Digest) -> Result<Option<OffsetDateTime>> {
        Ok(sqlx::query_scalar!(
            "select declared_at from declared_dates where account_id = $1 and digest = $2",
            account.0,
            digest.as_ref()
        )
        .fetch_optional(self.pool())
        .await?)
    }
}
