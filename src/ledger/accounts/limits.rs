//! How often an account may ask and how much it may submit: columns of `accounts`, `default_limits`, `daily_usage`.

use std::collections::{HashMap, HashSet};

use sceau_verifier::Digest;
use time::OffsetDateTime;

use crate::ledger::accounts::AccountId;
use crate::ledger::{Ledger, LedgerError, Result, exactly_one, fixed, natural};

/// What the schema keeps for "no limit".
const NONE: i64 = i64::MAX;

/// Limits as they count for one account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, schemars::JsonSchema, serde::Serialize)]
pub struct Limits {
    /// Requests let through in the long run, on each instance.
    pub requests_per_second: u32,
    /// Requests let through at once, on each instance.
    pub burst: u32,
    /// New digests a day (UTC), on all instances together; `None`: no limit.
    pub digests_per_day: Option<u64>,
}

impl Limits {
    pub(in crate::ledger) fn of(requests_per_second: i32, burst: i32, digests_per_day: i64) -> Result<Self> {
        let positive = |value: i32| {
            u32::try_from(value)
                .ok()
                .filter(|value| *value > 0)
                .ok_or_else(|| LedgerError::Damaged(format!("a limit of {value}")))
        };
        Ok(Self {
            requests_per_second: positive(requests_per_second)?,
            burst: positive(burst)?,
            digests_per_day: if digests_per_day == NONE { None } else { Some(natural(digests_per_day, "digests_per_day")?) },
        })
    }
}

/// A change of one limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change<T> {
    /// As it was.
    Keep,
    /// As the defaults say, whatever they become.
    Default,
    /// This much.
    Set(T),
}

impl<T> Change<T> {
    fn parts(self) -> (bool, Option<T>) {
        match self {
            Self::Keep => (false, None),
            Self::Default => (true, None),
            Self::Set(value) => (true, Some(value)),
        }
    }
}

/// Changes of an account's limits.
#[derive(Debug, Clone, Copy)]
pub struct Changes {
    /// Of [`Limits::requests_per_second`].
    pub requests_per_second: Change<u32>,
    /// Of [`Limits::burst`].
    pub burst: Change<u32>,
    /// Of [`Limits::digests_per_day`].
    pub digests_per_day: Change<Option<u64>>,
}

fn small(value: u32) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}

fn large(value: Option<u64>) -> i64 {
    value.map_or(NONE, |value| i64::try_from(value).unwrap_or(NONE))
}

impl Ledger {
    /// Changes the limits of the account of that name, or with `None` the defaults (where [`Change::Default`] keeps).
    /// Instances follow within seconds.
    ///
    /// # Errors
    /// [`LedgerError::Moved`] when there is no such account.
    pub async fn change_limits(&self, name: Option<&str>, changes: Changes) -> Result<()> {
        let (rate_changes, rate) = changes.requests_per_second.parts();
        let (burst_changes, burst) = changes.burst.parts();
        let (digests_change, digests) = changes.digests_per_day.parts();
        let (rate, burst, digests) = (rate.map(small), burst.map(small), digests.map(large));
        let done = match name {
            Some(name) => {
                sqlx::query!(
                    "update accounts set requests_per_second = case when $2 then $3 else requests_per_second end,
                       burst = case when $4 then $5 else burst end,
                       digests_per_day = case when $6 then $7 else digests_per_day end
                     where name = $1",
                    name,
                    rate_changes,
                    rate,
                    burst_changes,
                    burst,
                    digests_change,
                    digests,
                )
                .execute(self.pool())
                .await?
            }
            None => {
                sqlx::query!(
                    "update default_limits set requests_per_second = coalesce($1, requests_per_second),
                       burst = coalesce($2, burst), digests_per_day = coalesce($3, digests_per_day)",
                    rate,
                    burst,
                    digests,
                )
                .execute(self.pool())
                .await?
            }
        };
        exactly_one(done.rows_affected(), "account of that name")
    }

    /// The limits that count for the account of that name, or with `None` the defaults.
    ///
    /// # Errors
    /// [`LedgerError::Moved`] when there is no such account.
    pub async fn limits(&self, name: Option<&str>) -> Result<Limits> {
        let row = sqlx::query!(
            r#"select coalesce(a.requests_per_second, d.requests_per_second) as "rate!", coalesce(a.burst, d.burst) as "burst!",
                 coalesce(a.digests_per_day, d.digests_per_day) as "digests!"
               from default_limits d left join accounts a on a.name = $1 where $1 is null or a.id is not null"#,
            name
        )
        .fetch_optional(self.pool())
        .await?;
        let row = row.ok_or(LedgerError::Moved { what: "account of that name" })?;
        Limits::of(row.rate, row.burst, row.digests)
    }

    /// New digests the account had accepted on the day of `moment` (UTC), as far as they were counted.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn used_today(&self, account: AccountId, moment: OffsetDateTime) -> Result<u64> {
        let used = sqlx::query_scalar!(
            "select digests from daily_usage where account_id = $1 and day = ($2::timestamptz at time zone 'UTC')::date",
            account.0,
            moment
        )
        .fetch_optional(self.pool())
        .await?;
        natural(used.unwrap_or(0), "daily_usage.digests")
    }

    /// As [`Ledger::used_today`] for many accounts; those that used nothing are not in the answer.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn used_today_by(&self, accounts: &[AccountId], moment: OffsetDateTime) -> Result<HashMap<AccountId, u64>> {
        let accounts: Vec<i64> = accounts.iter().map(|account| account.0).collect();
        let rows = sqlx::query!(
            "select account_id, digests from daily_usage
             where account_id = any($1) and day = ($2::timestamptz at time zone 'UTC')::date",
            &accounts,
            moment
        )
        .fetch_all(self.pool())
        .await?;
        rows.into_iter().map(|row| Ok((AccountId(row.account_id), natural(row.digests, "daily_usage.digests")?))).collect()
    }

    /// Those of these digests that their account has submitted before.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn proofs_among(&self, digests: &[(AccountId, Digest)]) -> Result<HashSet<(AccountId, Digest)>> {
        let accounts: Vec<i64> = digests.iter().map(|(account, _)| account.0).collect();
        let digests: Vec<&[u8]> = digests.iter().map(|(_, digest)| digest.as_ref()).collect();
        let rows = sqlx::query!(
            "select p.account_id, p.digest from unnest($1::bigint[], $2::bytea[]) as i (account_id, digest)
             join proofs p on p.account_id = i.account_id and p.digest = i.digest",
            &accounts,
            &digests as _
        )
        .fetch_all(self.pool())
        .await?;
        let known =
            rows.into_iter().map(|row| Ok((AccountId(row.account_id), fixed::<32>(&row.digest, "proofs.digest")?.into())));
        known.collect()
    }

    /// How many of `digests` the account has submitted before. Each counts once.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn known_among(&self, account: AccountId, digests: &[Digest]) -> Result<u64> {
        let digests: Vec<&[u8]> = digests.iter().map(AsRef::as_ref).collect();
        let known = sqlx::query_scalar!(
            r#"select count(*) as "count!" from proofs where account_id = $1 and digest = any($2)"#,
            account.0,
            &digests as _
        )
        .fetch_one(self.pool())
        .await?;
        natural(known, "count")
    }

    /// Sets whether key and secret are taken in place of a token.
    ///
    /// # Errors
    /// [`LedgerError::Moved`] when there is no such account.
    pub async fn set_basic(&self, name: &str, basic: bool) -> Result<()> {
        let done = sqlx::query!("update accounts set basic = $2 where name = $1", name, basic).execute(self.pool()).await?;
        exactly_one(done.rows_affected(), "account of that name")
    }

    /// Sets from where the account may ask; nothing: from anywhere.
    ///
    /// # Errors
    /// [`LedgerError::Moved`] when there is no such account.
    pub async fn set_networks(&self, name: &str, networks: &[ipnet::IpNet]) -> Result<()> {
        let texts: Vec<String> = networks.iter().map(|network| network.trunc().to_string()).collect();
        let texts = Some(texts).filter(|texts| !texts.is_empty());
        let done = sqlx::query!("update accounts set networks = $2::text[]::cidr[] where name = $1", name, texts.as_deref() as _)
            .execute(self.pool())
            .await?;
        exactly_one(done.rows_affected(), "account of that name")
    }

    /// From where the account may ask; `None`: from anywhere.
    ///
    /// # Errors
    /// [`LedgerError::Moved`] when there is no such account.
    pub async fn networks(&self, name: &str) -> Result<Option<Vec<ipnet::IpNet>>> {
        let row = sqlx::query!("select networks::text[] as networks from accounts where name = $1", name)
            .fetch_optional(self.pool())
            .await?;
        let row = row.ok_or(LedgerError::Moved { what: "account of that name" })?;
        row.networks.as_deref().map(crate::ledger::accounts::networks).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_limit_is_the_largest_number_and_nothing_else_is() {
        assert_eq!(Limits::of(1, 1, large(None)).unwrap().digests_per_day, None);
        for digests in [0, 1, 1 << 40] {
            assert_eq!(Limits::of(1, 1, large(Some(digests))).unwrap().digests_per_day, Some(digests));
        }
        for (rate, burst, digests) in [(0, 1, 1), (1, 0, 1), (-1, 1, 1), (1, 1, -1)] {
            assert!(Limits::of(rate, burst, digests).is_err());
        }
    }
}
