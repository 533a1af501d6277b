//! Who may decide for whom, and how many approvals an account wants.

use time::OffsetDateTime;

use super::super::accounts::{AccountId, Role};
use super::super::{Ledger, LedgerError, Result, exactly_one};
use super::few;

/// Approvals an account may want at most.
pub const MOST_APPROVALS: u32 = 10;

/// A validator of an account.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Validator {
    /// The account that decides.
    pub id: AccountId,
    /// Its name.
    pub name: String,
    /// Since when it may.
    #[serde(with = "time::serde::rfc3339")]
    pub added_at: OffsetDateTime,
    /// Whether the account is not disabled.
    pub active: bool,
}

impl Ledger {
    /// Makes `validator` a validator of `account`; both are names.
    ///
    /// # Errors
    /// [`LedgerError::Moved`] names what is not there: the account, a validator account of that name, or that the two
    /// differ and are not bound yet.
    pub async fn add_validator(&self, account: &str, validator: &str) -> Result<()> {
        let account = self.named(account, "account of that name").await?.0;
        let (validator, role) = self.named(validator, "validator account of that name").await?;
        if role != Role::Validator.as_str() {
            return Err(LedgerError::Moved { what: "account of the role validator and of that name" });
        }
        let bound = self.bind_validator(account, validator).await?;
        exactly_one(bound.into(), "account that this validator does not decide for yet")
    }

    /// Lets the active validator account `validator` decide for `account`; answers whether it could not before. An account
    /// never decides for itself, nor one that is no active validator.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn bind_validator(&self, account: AccountId, validator: AccountId) -> Result<bool> {
        let mut transaction = self.begun().await?;
        let done = sqlx::query!(
            "insert into validators (account_id, validator_id)
               select $1::bigint, v.id from accounts v
               where v.id = $2 and v.id <> $1 and v.role = 'validator' and v.disabled_at is null
             on conflict (account_id, validator_id) where removed_at is null do nothing",
            account.0,
            validator.0
        )
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(done.rows_affected() == 1)
    }

    /// Ends that `validator` may decide for `account`; both are names. What it decided stands.
    ///
    /// # Errors
    /// [`LedgerError::Moved`] when it was no validator of it.
    pub async fn remove_validator(&self, account: &str, validator: &str) -> Result<()> {
        let what = "validator of that account";
        let id = sqlx::query_scalar!("select id from accounts where name = $1", account).fetch_optional(self.pool()).await?;
        let id = id.ok_or(LedgerError::Moved { what })?;
        exactly_one(self.unbind_validator(AccountId(id), validator).await?.into(), what)
    }

    /// Ends that a validator of `account` may decide for it; answers whether there was one of that name, or with that
    /// consumer key. Its row is closed and kept, and what it decided stands.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn unbind_validator(&self, account: AccountId, validator: &str) -> Result<bool> {
        let mut transaction = self.begun().await?;
        // The database's clock may have been set back.
        let done = sqlx::query!(
            "update validators v set removed_at = greatest(v.added_at, clock_timestamp())
             where v.account_id = $1 and v.removed_at is null and v.validator_id = coalesce(
               (select c.account_id from credentials c where c.consumer_key = $2),
               (select a.id from accounts a where a.name = $2))",
            account.0,
            validator
        )
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(done.rows_affected() > 0)
    }

    /// How many approvals documents of the account of that name need that are submitted from now on.
    ///
    /// # Errors
    /// [`LedgerError::Moved`] when there is no such account; a database error when `count` is not 1 to
    /// [`MOST_APPROVALS`].
    pub async fn require_approvals(&self, account: &str, count: u32) -> Result<()> {
        let count = i16::try_from(count).unwrap_or(i16::MAX);
        let mut transaction = self.begun().await?;
        let done = sqlx::query!("update accounts set approvals_needed = $2 where name = $1", account, count)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        exactly_one(done.rows_affected(), "account of that name")
    }

    /// The validators of the account of that name, by name, and how many approvals it wants.
    ///
    /// # Errors
    /// [`LedgerError::Moved`] when there is no such account.
    pub async fn validators(&self, account: &str) -> Result<(Vec<Validator>, u32)> {
        let needed = sqlx::query!("select id, approvals_needed from accounts where name = $1", account)
            .fetch_optional(self.pool())
            .await?
            .ok_or(LedgerError::Moved { what: "account of that name" })?;
        let rows = sqlx::query!(
            r#"select a.id, a.name, v.added_at, a.disabled_at is null as "active!"
               from validators v join accounts a on a.id = v.validator_id
               where v.account_id = $1 and v.removed_at is null order by a.name"#,
            needed.id
        )
        .fetch_all(self.pool())
        .await?;
        let validators = rows
            .into_iter()
            .map(|row| Validator { id: AccountId(row.id), name: row.name, added_at: row.added_at, active: row.active })
            .collect();
        Ok((validators, few(needed.approvals_needed.into())?))
    }

    /// The account that `manager` means: itself, or its active client of that name. `None` for everybody else's, and for a
    /// name that nobody has.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn managed(&self, manager: AccountId, name: Option<&str>) -> Result<Option<(AccountId, String)>> {
        let row = sqlx::query!(
            "select a.id, a.name from accounts a
             where a.disabled_at is null and case when $2::text is null then a.id = $1 else a.name = $2 and (a.id = $1 or exists (
               select from account_clients c where c.manager_id = $1 and c.client_id = a.id)) end",
            manager.0,
            name
        )
        .fetch_optional(self.pool())
        .await?;
        Ok(row.map(|row| (AccountId(row.id), row.name)))
    }

    /// The active validator account that `manager` means: by one of its consumer keys, which nobody can guess, or by its name
    /// where it decides or decided for the manager or one of its clients. Other names are as good as none, so that nobody
    /// learns who there is.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn validator_meant(&self, manager: AccountId, named: &str) -> Result<Option<AccountId>> {
        let id = sqlx::query_scalar!(
            r#"select a.id from credentials c join accounts a on a.id = c.account_id
                 where c.consumer_key = $2 and c.revoked_at is null and a.role = 'validator' and a.disabled_at is null
               union all
               select a.id from accounts a
                 where a.name = $2 and a.role = 'validator' and a.disabled_at is null and exists (
                   select from validators v where v.validator_id = a.id and (v.account_id = $1 or exists (
                     select from account_clients c where c.manager_id = $1 and c.client_id = v.account_id)))
               limit 1"#,
            manager.0,
            named
        )
        .fetch_optional(self.pool())
        .await?;
        Ok(id.flatten().map(AccountId))
    }

    async fn named(&self, name: &str, what: &'static str) -> Result<(AccountId, String)> {
        let row = sqlx::query!("select id, role from accounts where name = $1 and disabled_at is null", name)
            .fetch_optional(self.pool())
            .await?;
        row.map(|row| (AccountId(row.id), row.role)).ok_or(LedgerError::Moved { what })
    }
}
