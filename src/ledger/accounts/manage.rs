//! What a manager may do to the accounts it administers. Whose they are is asked in every statement, here and nowhere else.

use ipnet::IpNet;
use sqlx::{Postgres, Transaction};
use time::OffsetDateTime;

use crate::ledger::accounts::audit_log::Actor;
use crate::ledger::accounts::credentials::{MOST, Shown};
use crate::ledger::accounts::limits::Limits;
use crate::ledger::accounts::{AccountId, Role, networks};
use crate::ledger::{Ledger, LedgerError, Result, exactly_one};

/// An account as its manager sees it.
#[derive(Debug, Clone)]
pub struct Managed {
    /// Its id.
    pub id: AccountId,
    /// Its unique name.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// Since when it is disabled.
    pub disabled_at: Option<OffsetDateTime>,
    /// Whether key and secret are taken in place of a token.
    pub basic: bool,
    /// From where it may ask; `None`: from anywhere.
    pub networks: Option<Vec<IpNet>>,
    /// The limits that count for it.
    pub limits: Limits,
    /// Until when it may submit; `None`: without end.
    pub subscribed_until: Option<OffsetDateTime>,
}

/// A change of an account. `None`: as it was.
#[derive(Debug, Clone, Default)]
pub struct Change {
    /// Disabled, or active again.
    pub disabled: Option<bool>,
    /// Whether key and secret are taken in place of a token.
    pub basic: Option<bool>,
    /// From where it may ask; an empty list: from anywhere.
    pub networks: Option<Vec<IpNet>>,
    /// Requests a second, requests at once, new digests a day; each `None`: as the defaults say.
    pub limits: Option<(Option<u32>, Option<u32>, Option<u64>)>,
    /// Until when it may submit; the inner `None`: without end.
    pub subscribed_until: Option<Option<OffsetDateTime>>,
    /// All its tokens are taken back.
    pub revoke_tokens: bool,
}

/// What became of a wish for an account or a credential.
#[derive(Debug, Clone)]
pub enum Made<T> {
    /// It was made.
    Made(T),
    /// There is one of that name, or as many as there may be. Nothing was changed.
    Taken,
}

const UNKNOWN: LedgerError = LedgerError::Moved { what: "account that this manager administers" };

fn whole(value: Option<u32>) -> Option<i32> {
    value.map(|value| i32::try_from(value).unwrap_or(i32::MAX))
}

impl Ledger {
    /// Says whether `manager` administers its client, too; both are names.
    ///
    /// # Errors
    /// [`LedgerError::Moved`] when the one is no client of the other.
    pub async fn let_administer(&self, manager: &str, client: &str, administers: bool) -> Result<()> {
        let done = sqlx::query!(
            "update account_clients l set administers = $3 from accounts m, accounts c
             where m.name = $1 and c.name = $2 and l.manager_id = m.id and l.client_id = c.id",
            manager,
            client,
            administers
        )
        .execute(self.pool())
        .await?;
        exactly_one(done.rows_affected(), "client of that manager")
    }

    /// The accounts that `manager` administers, in order of id, behind `after`, `limit` at most.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn administered(&self, manager: AccountId, after: Option<AccountId>, limit: i64) -> Result<Vec<Managed>> {
        self.administered_where(manager, None, after, limit).await
    }

    /// One of them.
    ///
    /// # Errors
    /// [`LedgerError::Moved`] when there is no such account, or it is not the manager's.
    pub async fn managed_account(&self, manager: AccountId, id: AccountId) -> Result<Managed> {
        self.administered_where(manager, Some(id), None, 1).await?.pop().ok_or(UNKNOWN)
    }

    async fn administered_where(
        &self,
        manager: AccountId,
        only: Option<AccountId>,
        after: Option<AccountId>,
        limit: i64,
    ) -> Result<Vec<Managed>> {
        let rows = sqlx::query!(
            r#"select a.id, a.name, a.role, a.created_at, a.disabled_at, a.basic, a.networks::text[] as networks, a.subscribed_until,
                 coalesce(a.requests_per_second, d.requests_per_second) as "requests_per_second!",
                 coalesce(a.burst, d.burst) as "burst!", coalesce(a.digests_per_day, d.digests_per_day) as "digests_per_day!"
               from account_clients c join accounts a on a.id = c.client_id cross join default_limits d
               where c.manager_id = $1 and c.administers and ($2::bigint is null or a.id = $2) and a.id > $3
               order by a.id limit $4"#,
            manager.0,
            only.map(|id| id.0),
            after.map_or(0, |id| id.0),
            limit
        )
        .fetch_all(self.pool())
        .await?;
        rows.into_iter()
            .map(|row| {
                Ok(Managed {
                    id: AccountId(row.id),
                    name: row.name,
                    role: Role::parse(&row.role)?,
                    created_at: row.created_at,
                    disabled_at: row.disabled_at,
                    basic: row.basic,
                    networks: row.networks.as_deref().map(networks).transpose()?,
                    limits: Limits::of(row.requests_per_second, row.burst, row.digests_per_day)?,
                    subscribed_until: row.subscribed_until,
                })
            })
            .collect()
    }

    /// Makes an account with its first credential, administered by `manager`, in one transaction.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn create_managed(
        &self,
        actor: &Actor,
        manager: AccountId,
        (name, role, subscribed_until): (&str, Role, Option<OffsetDateTime>),
        (consumer_key, secret_hash): (&str, [u8; 32]),
    ) -> Result<Made<AccountId>> {
        let mut transaction = self.pool().begin().await?;
        actor.acts(&mut transaction).await?;
        let id = sqlx::query_scalar!(
            "insert into accounts (name, role, subscribed_until) values ($1, $2, $3)
             on conflict on constraint accounts_name_key do nothing returning id",
            name,
            role.as_str(),
            subscribed_until
        )
        .fetch_optional(&mut *transaction)
        .await?;
        let Some(id) = id else { return Ok(Made::Taken) };
        sqlx::query!("insert into account_clients (manager_id, client_id, administers) values ($1, $2, true)", manager.0, id)
            .execute(&mut *transaction)
            .await?;
        sqlx::query!(
            "insert into credentials (account_id, consumer_key, secret_hash) values ($1, $2, $3)",
            id,
            consumer_key,
            &secret_hash
        )
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(Made::Made(AccountId(id)))
    }

    /// Begins what `actor` does to an account of `manager`'s, and locks its row.
    async fn managing(&self, actor: &Actor, manager: AccountId, id: AccountId) -> Result<Transaction<'static, Postgres>> {
        let mut transaction = self.pool().begin().await?;
        actor.acts(&mut transaction).await?;
        let found = sqlx::query_scalar!(
            "select a.id from accounts a join account_clients c on c.client_id = a.id
             where c.manager_id = $1 and c.administers and a.id = $2 for no key update of a",
            manager.0,
            id.0
        )
        .fetch_optional(&mut *transaction)
        .await?;
        found.map(|_| transaction).ok_or(UNKNOWN)
    }

    /// Changes an account. Instances follow within seconds.
    ///
    /// # Errors
    /// [`LedgerError::Moved`] when there is no such account, or it is not the manager's.
    pub async fn change_managed(&self, actor: &Actor, manager: AccountId, id: AccountId, change: &Change) -> Result<Managed> {
        let mut transaction = self.managing(actor, manager, id).await?;
        let networks: Option<Vec<String>> =
            change.networks.as_ref().map(|list| list.iter().map(|network| network.trunc().to_string()).collect());
        let (rate, burst, digests) = change.limits.unwrap_or_default();
        let digests = digests.map(|digests| i64::try_from(digests).unwrap_or(i64::MAX));
        sqlx::query!(
            "update accounts set
               disabled_at = case $2::boolean when true then coalesce(disabled_at, now()) when false then null else disabled_at end,
               basic = coalesce($3, basic),
               networks = case when $4::text[] is null then networks when cardinality($4::text[]) = 0 then null else $4::text[]::cidr[] end,
               requests_per_second = case when $5 then $6 else requests_per_second end,
               burst = case when $5 then $7 else burst end,
               digests_per_day = case when $5 then $8 else digests_per_day end,
               subscribed_until = case when $9 then $10 else subscribed_until end,
               token_generation = token_generation + case when $11 then 1 else 0 end
             where id = $1",
            id.0,
            change.disabled,
            change.basic,
            networks.as_deref() as _,
            change.limits.is_some(),
            whole(rate),
            whole(burst),
            digests,
            change.subscribed_until.is_some(),
            change.subscribed_until.flatten(),
            change.revoke_tokens,
        )
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        self.managed_account(manager, id).await
    }

    /// The credentials of an account, oldest first.
    ///
    /// # Errors
    /// [`LedgerError::Moved`] when there is no such account, or it is not the manager's.
    pub async fn managed_credentials(&self, manager: AccountId, id: AccountId) -> Result<Vec<Shown>> {
        self.managed_account(manager, id).await?;
        Ok(sqlx::query_as!(
            Shown,
            "select k.consumer_key, k.created_at, k.revoked_at from credentials k
             join account_clients c on c.client_id = k.account_id and c.manager_id = $1 and c.administers
             where k.account_id = $2 order by k.id",
            manager.0,
            id.0
        )
        .fetch_all(self.pool())
        .await?)
    }

    /// Gives an account one more credential.
    ///
    /// # Errors
    /// [`LedgerError::Moved`] when there is no such account, or it is not the manager's.
    pub async fn add_managed_credential(
        &self,
        actor: &Actor,
        manager: AccountId,
        id: AccountId,
        (consumer_key, secret_hash): (&str, [u8; 32]),
    ) -> Result<Made<OffsetDateTime>> {
        let mut transaction = self.managing(actor, manager, id).await?;
        let made = sqlx::query_scalar!(
            "insert into credentials (account_id, consumer_key, secret_hash)
             select $1, $2, $3 where (select count(*) from credentials where account_id = $1 and revoked_at is null) < $4
             returning created_at",
            id.0,
            consumer_key,
            &secret_hash,
            MOST
        )
        .fetch_optional(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(made.map_or(Made::Taken, Made::Made))
    }

    /// Takes a credential of an account back. Doing so twice is the same as once; false when there never was one.
    ///
    /// # Errors
    /// [`LedgerError::Moved`] when there is no such account, or it is not the manager's.
    pub async fn revoke_managed_credential(&self, actor: &Actor, manager: AccountId, id: AccountId, key: &str) -> Result<bool> {
        let mut transaction = self.managing(actor, manager, id).await?;
        let done = sqlx::query!(
            "update credentials set revoked_at = coalesce(revoked_at, now()) where account_id = $1 and consumer_key = $2",
            id.0,
            key
        )
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(done.rows_affected() == 1)
    }
}
