//! Tables `identities` and `account_clients`, and until when an account may submit.

use ipnet::IpNet;
use sqlx::{Postgres, Transaction};
use time::OffsetDateTime;

use super::super::accounts::limits::Limits;
use super::super::accounts::{self, AccountId, Role};
use super::super::{Ledger, LedgerError, Result, exactly_one};

/// Proofs brought in by one statement.
const CHUNK: i64 = 10_000;

/// Who stands behind an empreinte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The account.
    pub account: AccountId,
    /// Its role: a manager is a *gestionnaire*.
    pub role: Role,
    /// The name the dialect shows.
    pub identifiant: String,
    /// HMAC of the empreinte, as stored.
    pub empreinte_hash: [u8; 32],
    /// Until when the account may submit; `None`: without end.
    pub subscribed_until: Option<OffsetDateTime>,
    /// From where the account may ask; `None`: from anywhere.
    pub networks: Option<Vec<IpNet>>,
    /// How often, and how much.
    pub limits: Limits,
}

impl Identity {
    /// Whether the account may submit at `moment`.
    #[must_use]
    pub fn is_subscribed(&self, moment: OffsetDateTime) -> bool {
        self.subscribed_until.is_none_or(|until| moment < until)
    }
}

impl Ledger {
    /// The active accounts behind these hashes of empreintes, in no order. Whoever is disabled, or whose older proofs are
    /// still being brought in, is not among them.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn identities(&self, hashes: &[[u8; 32]]) -> Result<Vec<Identity>> {
        let hashes: Vec<&[u8]> = hashes.iter().map(<[u8; 32]>::as_slice).collect();
        let rows = sqlx::query!(
            r#"select i.account_id, a.role, i.identifiant, i.empreinte_hash, a.subscribed_until, a.networks::text[] as networks,
                 coalesce(a.requests_per_second, d.requests_per_second) as "requests_per_second!",
                 coalesce(a.burst, d.burst) as "burst!", coalesce(a.digests_per_day, d.digests_per_day) as "digests_per_day!"
               from identities i join accounts a on a.id = i.account_id cross join default_limits d
               where i.empreinte_hash = any($1) and i.indexed_at is not null and a.disabled_at is null"#,
            &hashes as _
        )
        .fetch_all(self.pool())
        .await?;
        rows.into_iter()
            .map(|row| {
                Ok(Identity {
                    account: AccountId(row.account_id),
                    role: Role::parse(&row.role)?,
                    identifiant: row.identifiant,
                    empreinte_hash: super::super::fixed(&row.empreinte_hash, "identities.empreinte_hash")?,
                    subscribed_until: row.subscribed_until,
                    networks: row.networks.as_deref().map(accounts::networks).transpose()?,
                    limits: Limits::of(row.requests_per_second, row.burst, row.digests_per_day)?,
                })
            })
            .collect()
    }

    /// Those of `accounts` that are clients of `manager`.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn clients_among(&self, manager: AccountId, accounts: &[AccountId]) -> Result<Vec<AccountId>> {
        let accounts: Vec<i64> = accounts.iter().map(|account| account.0).collect();
        let found = sqlx::query_scalar!(
            "select client_id from account_clients where manager_id = $1 and client_id = any($2)",
            manager.0,
            &accounts
        )
        .fetch_all(self.pool())
        .await?;
        Ok(found.into_iter().map(AccountId).collect())
    }

    /// Gives the account of that name an identity, or another one: from then on the old empreinte opens nothing.
    ///
    /// The identity is committed first, under the lock that holds new submissions off for a moment: what is accepted
    /// later gets its doubled digest at once. Then what was accepted before is brought in, piece by piece. A crash in
    /// between leaves an identity nobody can log in with yet: call again.
    ///
    /// # Errors
    /// [`LedgerError::Moved`] when there is no such active account or another account has this empreinte.
    pub async fn set_identity(&self, name: &str, identifiant: &str, empreinte_hash: &[u8; 32]) -> Result<AccountId> {
        let mut transaction = self.pool().begin().await?;
        hold_submissions(&mut transaction).await?;
        let account = sqlx::query_scalar!("select id from accounts where name = $1 and disabled_at is null", name)
            .fetch_optional(&mut *transaction)
            .await?;
        let account = AccountId(account.ok_or(LedgerError::Moved { what: "active account of that name" })?);
        insert(&mut transaction, account, identifiant, empreinte_hash).await?;
        transaction.commit().await?;
        self.bring_in(account).await?;
        Ok(account)
    }

    /// Gives the proofs accepted before the identity their doubled digests.
    async fn bring_in(&self, account: AccountId) -> Result<()> {
        let mut after = Vec::new();
        loop {
            let last = sqlx::query_scalar!(
                r#"with chunk as materialized (
                     select p.digest from proofs p where p.account_id = $1 and p.digest > $2 and p.salt is not null order by p.digest limit $3
                   ), brought as (
                     insert into doubled_digests (doubled, account_id, visible, digest)
                       select doubled_digest(digest), $1, false, digest from chunk order by 1
                       on conflict on constraint doubled_digests_pkey do nothing
                   )
                   select digest from chunk order by digest desc limit 1"#,
                account.0,
                &after,
                CHUNK
            )
            .fetch_optional(self.pool())
            .await?;
            let Some(last) = last else { break };
            after = last;
        }
        sqlx::query!(
            "update identities set indexed_at = clock_timestamp() where account_id = $1 and indexed_at is null",
            account.0
        )
        .execute(self.pool())
        .await?;
        Ok(())
    }

    /// Says that `manager` may submit and ask for `client`; both are names. Saying it twice changes nothing.
    ///
    /// # Errors
    /// [`LedgerError::Moved`] when one of them does not exist, the first is no manager, or both are the same.
    pub async fn add_client(&self, manager: &str, client: &str) -> Result<()> {
        let done = sqlx::query!(
            "insert into account_clients (manager_id, client_id)
               select m.id, c.id from accounts m, accounts c
               where m.name = $1 and m.role = 'manager' and c.name = $2 and m.id <> c.id
               on conflict on constraint account_clients_pkey do update set since = account_clients.since",
            manager,
            client
        )
        .execute(self.pool())
        .await?;
        exactly_one(done.rows_affected(), "manager and client of these names")
    }

    /// Takes back what [`Ledger::add_client`] said. What was submitted stays.
    ///
    /// # Errors
    /// [`LedgerError::Moved`] when it was not so.
    pub async fn remove_client(&self, manager: &str, client: &str) -> Result<()> {
        let done = sqlx::query!(
            "delete from account_clients using accounts m, accounts c
             where m.name = $1 and c.name = $2 and manager_id = m.id and client_id = c.id",
            manager,
            client
        )
        .execute(self.pool())
        .await?;
        exactly_one(done.rows_affected(), "client of that manager")
    }

    /// Sets until when the account of that name may submit; `None`: without end.
    ///
    /// # Errors
    /// [`LedgerError::Moved`] when there is no such account.
    pub async fn set_subscription(&self, name: &str, until: Option<OffsetDateTime>) -> Result<()> {
        let done =
            sqlx::query!("update accounts set subscribed_until = $2 where name = $1", name, until).execute(self.pool()).await?;
        exactly_one(done.rows_affected(), "account of that name")
    }
}

/// Waits for `accept_proofs` calls in flight and holds later ones off until the transaction ends. Gives up after two
/// seconds, as closing a batch does, so that submissions do not queue behind it.
pub(super) async fn hold_submissions(transaction: &mut Transaction<'_, Postgres>) -> Result<()> {
    sqlx::query!("set local lock_timeout = '2s'").execute(&mut **transaction).await?;
    sqlx::query!("select pg_advisory_xact_lock(x'5ceab001'::bigint)").execute(&mut **transaction).await?;
    Ok(())
}

/// The caller holds submissions off.
pub(super) async fn insert(
    transaction: &mut Transaction<'_, Postgres>,
    account: AccountId,
    identifiant: &str,
    empreinte_hash: &[u8; 32],
) -> Result<()> {
    let done = sqlx::query!(
        "insert into identities (account_id, identifiant, empreinte_hash)
           select $1, $2, $3 where not exists (select from identities where empreinte_hash = $3 and account_id <> $1)
           on conflict on constraint identities_pkey
           do update set identifiant = excluded.identifiant, empreinte_hash = excluded.empreinte_hash, changed_at = now()",
        account.0,
        identifiant,
        empreinte_hash.as_slice(),
    )
    .execute(&mut **transaction)
    .await?;
    exactly_one(done.rows_affected(), "empreinte that no other account has")
}
