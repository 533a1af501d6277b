//! Table `audit_log`: administrative and authentication events in one chain of hashes.
//!
//! Changes of accounts and what belongs to them are noted by triggers, in the transaction that makes them, so that nothing
//! changes them unseen. What is no change of a row (tokens given and refused) is noted by [`Ledger::note`].

use std::net::IpAddr;

use sceau_verifier::Digest;
use serde_json::Value;
use sqlx::{Postgres, Transaction};

use crate::ledger::accounts::AccountId;
use crate::ledger::{Ledger, Result, fixed, natural};

/// The service itself. There is no row of `accounts` with this id, so there can be no credential for it; heads of the log
/// are its proofs.
pub const SERVICE: AccountId = AccountId(0);

/// Who changes something, as the log names it.
#[derive(Debug, Clone)]
pub struct Actor {
    /// `operator`, `service`, or `account 7`.
    pub name: String,
    /// From where.
    pub address: Option<IpAddr>,
}

impl Actor {
    /// An account that asks from `address`.
    #[must_use]
    pub fn account(id: AccountId, address: Option<IpAddr>) -> Self {
        Self { name: format!("account {}", id.0), address }
    }

    /// Says so for what the transaction changes.
    pub(in crate::ledger) async fn acts(&self, transaction: &mut Transaction<'_, Postgres>) -> Result<()> {
        sqlx::query!(
            "select set_config('sceau.actor', $1, true) as actor, set_config('sceau.address', $2, true) as address",
            self.name,
            self.address.map_or_else(String::new, |address| address.to_string())
        )
        .fetch_one(&mut **transaction)
        .await?;
        Ok(())
    }
}

/// An event that is no change of a row.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Who.
    pub actor: String,
    /// What, as a stable name.
    pub action: &'static str,
    /// The account it is about.
    pub account: Option<AccountId>,
    /// From where.
    pub address: Option<IpAddr>,
    /// What else is to be said; nothing secret.
    pub detail: Value,
}

/// A row of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Counts from 1.
    pub number: i64,
    /// The account it is about.
    pub account: Option<i64>,
    /// The event, JSON text.
    pub entry: String,
    /// Hash of the row before.
    pub previous: Vec<u8>,
    /// SHA-256 of `previous` and `entry`.
    pub hash: Vec<u8>,
}

impl Ledger {
    /// Appends events, all in one transaction.
    ///
    /// # Errors
    /// When the database cannot be asked; then none was noted.
    pub async fn note(&self, events: &[Event]) -> Result<()> {
        let mut transaction = self.pool().begin().await?;
        for event in events {
            sqlx::query!(
                "select note($1, $2, $3, $4, $5)",
                event.actor,
                event.action,
                event.account.map(|account| account.0),
                event.detail,
                event.address.map(|address| address.to_string())
            )
            .fetch_one(&mut *transaction)
            .await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Rows behind `after`, oldest first, `limit` at most; with `manager` only those about itself and the accounts it
    /// administers.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn log(&self, manager: Option<AccountId>, after: u64, limit: i64) -> Result<Vec<Row>> {
        let after = i64::try_from(after).unwrap_or(i64::MAX);
        let rows = sqlx::query_as!(
            Row,
            r#"select number, account_id as account, entry, previous, hash from audit_log l
               where number > $1 and ($2::bigint is null or account_id = $2
                 or exists (select from account_clients c where c.manager_id = $2 and c.client_id = l.account_id and c.administers))
               order by number limit $3"#,
            after,
            manager.map(|manager| manager.0),
            limit
        );
        Ok(rows.fetch_all(self.pool()).await?)
    }

    /// Number and hash of the newest row, as `audit_head` has them.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn log_head(&self) -> Result<(u64, [u8; 32])> {
        let head = sqlx::query!("select number, hash from audit_head").fetch_one(self.pool()).await?;
        Ok((natural(head.number, "audit_head.number")?, fixed(&head.hash, "audit_head.hash")?))
    }

    /// The head of the log when the oldest event behind the last sealed head is `seconds` old.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn head_to_seal(&self, seconds: u64) -> Result<Option<Digest>> {
        let hash = sqlx::query_scalar!(
            r#"with sealed as (
                 select coalesce(max(l.number), 0) as number
                 from account_numbers c join proofs p on p.account_id = c.account_id and p.number = c.last
                 join audit_log l on l.hash = p.digest
                 where c.account_id = 0
               )
               select h.hash from audit_head h cross join sealed s join audit_log l on l.number = s.number + 1
               where (l.entry::jsonb ->> 'at')::timestamptz <= clock_timestamp() - make_interval(secs => $1)"#,
            seconds as f64
        )
        .fetch_optional(self.pool())
        .await?;
        Ok(hash.map(|hash| fixed(&hash, "audit_head.hash")).transpose()?.map(|hash: [u8; 32]| Digest::from(hash)))
    }

    /// Digests of the service's proofs that are no hash of a row of the log, `limit` at most; and how many are.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn sealed_heads(&self, limit: i64) -> Result<(Vec<Vec<u8>>, u64)> {
        let strays = sqlx::query_scalar!(
            "select p.digest from proofs p left join audit_log l on l.hash = p.digest
             where p.account_id = 0 and l.number is null order by p.number limit $1",
            limit
        )
        .fetch_all(self.pool())
        .await?;
        let known = sqlx::query_scalar!(
            r#"select count(*) as "count!" from proofs p join audit_log l on l.hash = p.digest where p.account_id = 0"#
        )
        .fetch_one(self.pool())
        .await?;
        Ok((strays, natural(known, "count")?))
    }
}
