//! Moving in from a former system: accounts with their identities, and table `declared_dates`.

use std::collections::HashMap;

use sceau_verifier::Digest;
use serde_json::json;
use time::OffsetDateTime;

use super::super::accounts::{AccountId, Role};
use super::super::intake::promises::Offer;
use super::super::{Ledger, LedgerError, Result, natural};
use super::identities;

/// An account of the former system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewIdentity {
    /// Its name there, and here.
    pub identifiant: String,
    /// HMAC of its empreinte.
    pub empreinte_hash: [u8; 32],
    /// What it may do.
    pub role: Role,
}

/// A digest that the former system had registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeclaredDocument {
    /// Whose it is.
    pub account: AccountId,
    /// SHA-256 of the document.
    pub digest: Digest,
    /// Name of the document.
    pub file_name: String,
    /// When the former system says it registered it.
    pub declared_at: OffsetDateTime,
}

/// Why an account cannot be moved in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// An account of that name exists without this identity.
    Name,
    /// Another account has this empreinte.
    Empreinte,
}

/// What became of digests that were moved in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Imported {
    /// Accepted now.
    pub accepted: u64,
    /// Accepted before already.
    pub known: u64,
    /// Declared before already, with another date, which stays.
    pub other_date: u64,
}

impl Ledger {
    /// Makes accounts with their identities, all or none. One that is there already with this identity stays as it is.
    /// Answers how many were made, or for each that is in the way its position and why; then nothing was changed.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn import_identities(&self, wanted: &[NewIdentity]) -> Result<std::result::Result<u64, Vec<(usize, Taken)>>> {
        let mut transaction = self.pool().begin().await?;
        let (mut made, mut taken) = (0, Vec::new());
        for (position, new) in wanted.iter().enumerate() {
            let row = sqlx::query!(
                r#"select i.empreinte_hash as "empreinte_hash?" from accounts a left join identities i on i.account_id = a.id
                   where a.name = $1"#,
                new.identifiant
            )
            .fetch_optional(&mut *transaction)
            .await?;
            match row {
                Some(row) if row.empreinte_hash.as_deref() == Some(&new.empreinte_hash) => continue,
                Some(_) => {
                    taken.push((position, Taken::Name));
                    continue;
                }
                None => {}
            }
            let id = sqlx::query_scalar!(
                "insert into accounts (name, role) values ($1, $2) returning id",
                new.identifiant,
                new.role.as_str()
            )
            .fetch_one(&mut *transaction)
            .await?;
            // Nobody can have submitted for an account that did not exist: no need to hold submissions off.
            match identities::insert(&mut transaction, AccountId(id), &new.identifiant, &new.empreinte_hash).await {
                Ok(()) => made += 1,
                Err(LedgerError::Moved { .. }) => taken.push((position, Taken::Empreinte)),
                Err(error) => return Err(error),
            }
            sqlx::query!("update identities set indexed_at = clock_timestamp() where account_id = $1", id)
                .execute(&mut *transaction)
                .await?;
        }
        if taken.is_empty() {
            transaction.commit().await?;
            return Ok(Ok(made));
        }
        transaction.rollback().await?;
        Ok(Err(taken))
    }

    /// The accounts that have each of these names in the dialect: none, one or more.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn accounts_of_identifiants(&self, names: &[String]) -> Result<HashMap<String, Vec<AccountId>>> {
        let rows = sqlx::query!("select identifiant, account_id from identities where identifiant = any($1)", names)
            .fetch_all(self.pool())
            .await?;
        let mut found: HashMap<String, Vec<AccountId>> = HashMap::new();
        for row in rows {
            found.entry(row.identifiant).or_default().push(AccountId(row.account_id));
        }
        Ok(found)
    }

    /// Accepts digests now, as any submission, and keeps beside them the dates the former system declared, all in one
    /// transaction. Repeating it changes nothing. A digest that stands twice in `documents` must not.
    ///
    /// # Errors
    /// [`LedgerError::Held`] when one of them waits for validators or was refused, or when the database fails; then
    /// nothing of this call was stored.
    pub async fn import_documents(&self, documents: &[DeclaredDocument], salts: &[[u8; 16]]) -> Result<Imported> {
        self.with_offer(|offer| self.import_once(documents, salts, offer)).await
    }

    async fn import_once(&self, documents: &[DeclaredDocument], salts: &[[u8; 16]], offer: Offer) -> Result<Imported> {
        let accounts: Vec<i64> = documents.iter().map(|document| document.account.0).collect();
        let digests: Vec<&[u8]> = documents.iter().map(|document| document.digest.as_ref()).collect();
        let salts: Vec<&[u8]> = salts.iter().map(<[u8; 16]>::as_slice).collect();
        let details: Vec<serde_json::Value> =
            documents.iter().map(|document| json!({ "file_name": document.file_name })).collect();
        let dates: Vec<OffsetDateTime> = documents.iter().map(|document| document.declared_at).collect();
        let mut transaction = self.pool().begin().await?;
        // The operator's work, not the account's: its day has as many digests as before.
        sqlx::query!("select set_config('sceau.quota', 'off', true)").fetch_one(&mut *transaction).await?;
        let fresh = sqlx::query_scalar!(
            r#"select count(*) filter (where fresh) as "fresh!" from accept_proofs($1, $2, $3, $4, $5, $6), refuse_held($1, $2)"#,
            &accounts,
            &digests as _,
            &salts as _,
            &details as _,
            offer.since.as_deref() as _,
            offer.anchor_by.as_deref() as _,
        )
        .fetch_one(&mut *transaction)
        .await
        .map_err(LedgerError::from_sql)?;
        let other = sqlx::query_scalar!(
            r#"select count(*) as "count!" from unnest($1::bigint[], $2::bytea[], $3::timestamptz[]) as i (account_id, digest, declared_at)
               join declared_dates d on d.account_id = i.account_id and d.digest = i.digest and d.declared_at <> i.declared_at"#,
            &accounts,
            &digests as _,
            &dates
        )
        .fetch_one(&mut *transaction)
        .await?;
        sqlx::query!(
            "insert into declared_dates (account_id, digest, declared_at)
               select * from unnest($1::bigint[], $2::bytea[], $3::timestamptz[]) order by 1, 2
               on conflict on constraint declared_dates_pkey do nothing",
            &accounts,
            &digests as _,
            &dates
        )
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        let fresh = natural(fresh, "count of accepted proofs")?;
        Ok(Imported {
            accepted: fresh,
            known: documents.len() as u64 - fresh,
            other_date: natural(other, "count of declared dates")?,
        })
    }
}
