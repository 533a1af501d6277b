//! Credentials of an account while they are exchanged, and tokens taken back: tables `credentials`, `revoked_tokens`.

use std::net::IpAddr;

use time::OffsetDateTime;

use crate::ledger::accounts::AccountId;
use crate::ledger::accounts::audit_log::Actor;
use crate::ledger::{Ledger, LedgerError, Result, exactly_one};

/// Credentials an account can use at the same time: the old one and the new one.
pub const MOST: i64 = 2;

/// One credential as it is shown. There is nothing secret in it.
#[derive(Debug, Clone, schemars::JsonSchema, serde::Serialize)]
#[schemars(rename = "Credential")]
pub struct Shown {
    /// Public half.
    pub consumer_key: String,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub created_at: OffsetDateTime,
    /// Since when it is refused.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub revoked_at: Option<OffsetDateTime>,
}

impl Ledger {
    /// Gives an active account one more credential. Answers false, and changes nothing, when it has [`MOST`] in use.
    ///
    /// # Errors
    /// [`LedgerError::Moved`] when there is no active account of that name.
    pub async fn add_credential(&self, name: &str, consumer_key: &str, secret_hash: [u8; 32]) -> Result<bool> {
        let mut transaction = self.pool().begin().await?;
        // The lock makes those who add at the same time count one after the other.
        let account =
            sqlx::query_scalar!("select id from accounts where name = $1 and disabled_at is null for no key update", name)
                .fetch_optional(&mut *transaction)
                .await?;
        let account = account.ok_or(LedgerError::Moved { what: "active account of that name" })?;
        let done = sqlx::query!(
            "insert into credentials (account_id, consumer_key, secret_hash)
             select $1, $2, $3 where (select count(*) from credentials where account_id = $1 and revoked_at is null) < $4",
            account,
            consumer_key,
            &secret_hash,
            MOST
        )
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(done.rows_affected() == 1)
    }

    /// Takes a credential back: it gets no new token, tokens in use are refused within seconds.
    ///
    /// # Errors
    /// [`LedgerError::Moved`] when the account has no such credential in use.
    pub async fn revoke_credential(&self, name: &str, consumer_key: &str) -> Result<()> {
        let done = sqlx::query!(
            "update credentials c set revoked_at = now() from accounts a
             where a.id = c.account_id and a.name = $1 and c.consumer_key = $2 and c.revoked_at is null",
            name,
            consumer_key
        )
        .execute(self.pool())
        .await?;
        exactly_one(done.rows_affected(), "credential in use")
    }

    /// The account's credentials, oldest first.
    ///
    /// # Errors
    /// [`LedgerError::Moved`] when there is no such account.
    pub async fn credentials(&self, name: &str) -> Result<Vec<Shown>> {
        let account = sqlx::query_scalar!("select id from accounts where name = $1", name).fetch_optional(self.pool()).await?;
        let account = account.ok_or(LedgerError::Moved { what: "account of that name" })?;
        Ok(sqlx::query_as!(
            Shown,
            "select consumer_key, created_at, revoked_at from credentials where account_id = $1 order by id",
            account
        )
        .fetch_all(self.pool())
        .await?)
    }

    /// Takes one token back until `expires_at`, when it would have ended anyway. Doing so twice is the same as once.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn revoke_token(
        &self,
        account: AccountId,
        jti: [u8; 16],
        expires_at: OffsetDateTime,
        address: Option<IpAddr>,
    ) -> Result<()> {
        let mut transaction = self.pool().begin().await?;
        Actor::account(account, address).acts(&mut transaction).await?;
        // What has ended goes when something is added: no more rows stay than tokens can live at the same time.
        sqlx::query!(
            "with ended as (delete from revoked_tokens where account_id = $2 and expires_at < now() - interval '1 minute')
             insert into revoked_tokens (jti, account_id, expires_at) values ($1, $2, $3) on conflict do nothing",
            &jti,
            account.0,
            expires_at
        )
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Takes all tokens of an account back that were given until now.
    ///
    /// # Errors
    /// [`LedgerError::Moved`] when there is no such account.
    pub async fn revoke_tokens(&self, name: &str) -> Result<()> {
        let done = sqlx::query!("update accounts set token_generation = token_generation + 1 where name = $1", name)
            .execute(self.pool())
            .await?;
        exactly_one(done.rows_affected(), "account of that name")
    }
}
