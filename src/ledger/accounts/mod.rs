//! Who may: tables `accounts` and `credentials`, and beside them how much, by whose leave, and what was done about it.

pub mod audit_log;
pub mod credentials;
pub mod limits;
pub mod manage;

use ipnet::IpNet;
use time::OffsetDateTime;

use self::limits::Limits;
use super::{Ledger, LedgerError, Result, exactly_one, fixed};

/// Identifies an account inside this deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct AccountId(pub i64);

/// What an account may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, schemars::JsonSchema, serde::Serialize, serde::Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Submits for itself.
    Partner,
    /// A partner's or manager's customer.
    Client,
    /// Administers accounts and submits for its clients.
    Manager,
    /// Approves or refuses documents.
    Validator,
}

impl Role {
    /// The word stored and shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Partner => "partner",
            Self::Client => "client",
            Self::Manager => "manager",
            Self::Validator => "validator",
        }
    }

    pub(super) fn parse(word: &str) -> Result<Self> {
        [Self::Partner, Self::Client, Self::Manager, Self::Validator]
            .into_iter()
            .find(|role| role.as_str() == word)
            .ok_or_else(|| LedgerError::Damaged(format!("account role {word:?}")))
    }
}

/// One account.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// Its unique name.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// Since when it is disabled.
    #[serde(with = "time::serde::rfc3339::option")]
    pub disabled_at: Option<OffsetDateTime>,
}

/// A consumer key with what is needed to check its secret, and what it opens.
#[derive(Debug, Clone)]
pub struct Credential {
    /// Whose it is.
    pub account: AccountId,
    /// The account's name.
    pub name: String,
    /// The account's role.
    pub role: Role,
    /// HMAC-SHA-256 of the secret.
    pub secret_hash: [u8; 32],
    /// False when the credential is revoked or the account disabled.
    pub active: bool,
    /// Whether key and secret are taken in place of a token.
    pub basic: bool,
    /// From where the account may ask; `None`: from anywhere.
    pub networks: Option<Vec<IpNet>>,
    /// Tokens of another generation are refused.
    pub generation: i64,
    /// Names of the account's tokens that were taken back one by one.
    pub revoked: Vec<[u8; 16]>,
    /// How often, and how much.
    pub limits: Limits,
    /// Until when the account may submit; `None`: without end.
    pub subscribed_until: Option<OffsetDateTime>,
}

impl Ledger {
    /// Makes an account with its first credential, in one transaction.
    ///
    /// # Errors
    /// [`LedgerError::Moved`] when the name is taken.
    pub async fn create_account(&self, name: &str, role: Role, consumer_key: &str, secret_hash: [u8; 32]) -> Result<AccountId> {
        let id = sqlx::query_scalar!(
            r#"with made as (
                 insert into accounts (name, role) values ($1, $2) on conflict on constraint accounts_name_key do nothing returning id
               ), keyed as (
                 insert into credentials (account_id, consumer_key, secret_hash) select id, $3, $4 from made
               )
               select id from made"#,
            name,
            role.as_str(),
            consumer_key,
            &secret_hash,
        )
        .fetch_optional(self.pool())
        .await?;
        id.map(AccountId).ok_or(LedgerError::Moved { what: "account of that name" })
    }

    /// All accounts by name.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn accounts(&self) -> Result<Vec<Account>> {
        let rows = sqlx::query!("select id, name, role, created_at, disabled_at from accounts order by name")
            .fetch_all(self.pool())
            .await?;
        rows.into_iter()
            .map(|row| {
                Ok(Account {
                    id: AccountId(row.id),
                    name: row.name,
                    role: Role::parse(&row.role)?,
                    created_at: row.created_at,
                    disabled_at: row.disabled_at,
                })
            })
            .collect()
    }

    /// The account's name.
    ///
    /// # Errors
    /// When the database cannot be asked or there is no such account.
    pub async fn account_name(&self, id: AccountId) -> Result<String> {
        sqlx::query_scalar!("select name from accounts where id = $1", id.0)
            .fetch_optional(self.pool())
            .await?
            .ok_or_else(|| LedgerError::Damaged(format!("account {} does not exist", id.0)))
    }

    /// Disables an account: no new token is given, tokens in use are refused within seconds.
    ///
    /// # Errors
    /// [`LedgerError::Moved`] when there is no active account of that name.
    pub async fn disable_account(&self, name: &str) -> Result<()> {
        let done = sqlx::query!("update accounts set disabled_at = now() where name = $1 and disabled_at is null", name)
            .execute(self.pool())
            .await?;
        exactly_one(done.rows_affected(), "active account of that name")
    }

    /// The credential behind a consumer key.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn credential(&self, consumer_key: &str) -> Result<Option<Credential>> {
        let row = sqlx::query!(
            r#"select c.account_id, a.name, a.role, c.secret_hash, c.revoked_at is null and a.disabled_at is null as "active!",
                 a.basic, a.networks::text[] as networks, a.token_generation, a.subscribed_until,
                 coalesce(a.requests_per_second, d.requests_per_second) as "requests_per_second!",
                 coalesce(a.burst, d.burst) as "burst!", coalesce(a.digests_per_day, d.digests_per_day) as "digests_per_day!",
                 array(select r.jti from revoked_tokens r where r.account_id = a.id and r.expires_at > now()) as "revoked!"
               from credentials c join accounts a on a.id = c.account_id cross join default_limits d where c.consumer_key = $1"#,
            consumer_key
        )
        .fetch_optional(self.pool())
        .await?;
        row.map(|row| {
            Ok(Credential {
                account: AccountId(row.account_id),
                name: row.name,
                role: Role::parse(&row.role)?,
                secret_hash: fixed(&row.secret_hash, "credentials.secret_hash")?,
                active: row.active,
                basic: row.basic,
                networks: row.networks.as_deref().map(networks).transpose()?,
                generation: row.token_generation,
                revoked: row.revoked.iter().map(|jti| fixed(jti, "revoked_tokens.jti")).collect::<Result<_>>()?,
                limits: Limits::of(row.requests_per_second, row.burst, row.digests_per_day)?,
                subscribed_until: row.subscribed_until,
            })
        })
        .transpose()
    }

    /// Whether the account exists and is not disabled.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn account_is_active(&self, id: AccountId) -> Result<bool> {
        let active = sqlx::query_scalar!(r#"select disabled_at is null as "active!" from accounts where id = $1"#, id.0)
            .fetch_optional(self.pool())
            .await?;
        Ok(active.unwrap_or(false))
    }
}

/// Networks as Postgres writes them.
pub(super) fn networks(texts: &[String]) -> Result<Vec<IpNet>> {
    texts.iter().map(|text| text.parse().map_err(|_| LedgerError::Damaged(format!("accounts.networks: {text:?}")))).collect()
}
