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
    /// Makes `validator` a validator of `account`.
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
        let done = sqlx::query!(
            "insert into validators (account_id, validator_id) select $1::bigint, $2::bigint where $1 <> $2
             on conflict (account_id, validator_id) where removed_at is null do nothing",
            account,
            validator
        )
        .execute(self.pool())
        .await?;
        exactly_one(done.rows_affected(), "account that this validator does not decide for yet")
    }

    /// Ends that `validator` may decide for `account`. What it decided stands.
    ///
    /// # Errors
    /// [`LedgerError::Moved`] when it was no validator of it.
    pub async fn remove_validator(&self, account: &str, validator: &str) -> Result<()> {
        let done = sqlx::query!(
            "update validators v set removed_at = clock_timestamp() from accounts a, accounts b
             where a.id = v.account_id and b.id = v.validator_id and a.name = $1 and b.name = $2 and v.removed_at is null",
            account,
            validator
        )
        .execute(self.pool())
        .await?;
        exactly_one(done.rows_affected(), "validator of that account")
    }

    /// How many approvals documents of `account` need that are submitted from now on.
    ///
    /// # Errors
    /// [`LedgerError::Moved`] when there is no such account; a database error when `count` is not 1 to
    /// [`MOST_APPROVALS`].
    pub async fn require_approvals(&self, account: &str, count: u32) -> Result<()> {
        let count = i16::try_from(count).unwrap_or(i16::MAX);
        let done = sqlx::query!("update accounts set approvals_needed = $2 where name = $1", account, count)
            .execute(self.pool())
            .await?;
        exactly_one(done.rows_affected(), "account of that name")
    }

    /// The validators of `account` by name, and how many approvals it wants.
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

    async fn named(&self, name: &str, what: &'static str) -> Result<(i64, String)> {
        let row = sqlx::query!("select id, role from accounts where name = $1 and disabled_at is null", name)
            .fetch_optional(self.pool())
            .await?;
        row.map(|row| (row.id, row.role)).ok_or(LedgerError::Moved { what })
    }
}
