//! All SQL of Sceau: one file a table or two, record types beside their queries.
//!
//! What is acknowledged is committed here first. Every change of state names the state it expects in its `WHERE`
//! clause and must change exactly one row, so that two instances that both believe it is their turn cannot both win.

pub mod accounts;
pub mod anchors;
pub mod asides;
pub mod attempts;
pub mod audit;
pub mod audit_log;
pub mod batches;
pub mod calls;
pub mod continuity;
pub mod credentials;
pub mod entries;
pub mod erasures;
pub mod events;
pub mod finality;
pub mod funds;
pub mod gate;
pub mod gauges;
pub mod idempotency;
pub mod intake;
pub mod kagesecur;
pub mod leases;
pub mod limits;
pub mod listing;
pub mod manage;
pub mod notices;
pub mod numbers;
pub mod policy;
pub mod promises;
pub mod proofs;
pub mod receipts;
pub mod recover;
pub mod status;
pub mod targets;
pub mod tiles;
pub mod validations;

use std::sync::Arc;
use std::time::Duration;

use sqlx::migrate::{Migrate, MigrateError, Migrator};
use sqlx::postgres::{PgConnectOptions, PgDatabaseError, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions, Connection, Executor, Postgres, Transaction};

use self::audit_log::Actor;
use self::events::Events;
use self::gate::Gate;
use self::promises::Promises;

static MIGRATIONS: Migrator = sqlx::migrate!();

/// Why the ledger could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The database failed or refused.
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
    /// The schema could not be brought up to date.
    #[error("migrating the database: {0}")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// A row was not in the state the caller expected: somebody else moved it first. Nothing was changed.
    #[error("{what} is not in the expected state; somebody else moved it first")]
    Moved {
        /// What the row is.
        what: &'static str,
    },
    /// The lease was taken over by another instance. Nothing was changed.
    #[error("lease \"{name}\" was taken over by another instance")]
    LeaseLost {
        /// The lease's name.
        name: String,
    },
    /// The account has used up its digests of the day. Nothing was stored.
    #[error("the account has no digests left for today")]
    OverQuota(accounts::AccountId),
    /// Stored data that cannot be: changed behind our back or damaged.
    #[error("damaged: {0}")]
    Damaged(String),
    /// The schema is not the one this version was built for.
    #[error("the database's schema is {0}")]
    Schema(&'static str),
    /// A digest waits for its validators, or was refused by one, and was submitted past them. Nothing was stored.
    #[error("a digest waits for its validators, or was refused by one")]
    Held,
    /// The account has fewer validators than it wants approvals. Nothing was stored.
    #[error("the account has fewer validators than approvals are needed")]
    TooFewValidators,
    /// The terms sent along are not for the time it is in the database, which is answered. Nothing was stored.
    #[error("what is promised now was asked of a clock that is not the database's, where it is {0}")]
    OtherTime(time::OffsetDateTime),
    /// The server would lose acknowledged proofs in a crash.
    #[error("the database would lose acknowledged proofs: {setting} is {value}; set it to \"on\" and restart Postgres")]
    NotDurable {
        /// Name of the server setting.
        setting: &'static str,
        /// Its value.
        value: String,
    },
}

impl LedgerError {
    /// An error of the database, with the codes that our own functions raise told apart.
    fn from_sql(error: sqlx::Error) -> Self {
        let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
        match code.as_deref() {
            Some("SC001") => Self::Held,
            Some("SC002") => Self::TooFewValidators,
            Some("SC003") => {
                let now = detail(&error)
                    .and_then(|micros: i64| time::OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1_000).ok());
                now.map_or_else(|| Self::Database(error), Self::OtherTime)
            }
            Some("SQ001") => {
                let account = detail(&error);
                account.map_or_else(|| Self::Database(error), |account| Self::OverQuota(accounts::AccountId(account)))
            }
            _ => Self::Database(error),
        }
    }

    /// Whether repeating the same call may help (connection lost, disk or memory full, serialization failure,
    /// deadlock, lock time-out).
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Database(sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::WorkerCrashed) => true,
            Self::OtherTime(_) => true,
            Self::Database(sqlx::Error::Database(error)) => error.code().is_some_and(|code| {
                code.starts_with("08")
                    || code.starts_with("53")
                    || code.starts_with("57P")
                    || matches!(&*code, "40001" | "40P01" | "55P03")
            }),
            _ => false,
        }
    }
}

/// The detail of an error that one of our own functions raised.
fn detail(error: &sqlx::Error) -> Option<i64> {
    error.as_database_error()?.try_downcast_ref::<PgDatabaseError>()?.detail()?.parse().ok()
}

/// Result of a ledger call.
pub type Result<T, E = LedgerError> = std::result::Result<T, E>;

/// The database, as everything else sees it.
#[derive(Debug, Clone)]
pub struct Ledger {
    pool: PgPool,
    gate: Gate,
    events: Events,
    promises: Option<Promises>,
    actor: Option<Arc<Actor>>,
}

impl Ledger {
    /// Connects lazily through a pool of at most `max_connections`.
    ///
    /// # Errors
    /// When `url` is not a Postgres URL.
    pub fn connect(url: &str, max_connections: u32) -> Result<Self> {
        Self::connect_as(url, max_connections, "service")
    }

    /// As [`Ledger::connect`], for somebody whom the log names `actor`.
    ///
    /// # Errors
    /// When `url` is not a Postgres URL.
    pub fn connect_as(url: &str, max_connections: u32, actor: &str) -> Result<Self> {
        let options = url
            .parse::<PgConnectOptions>()?
            .application_name("sceau")
            .options([("idle_in_transaction_session_timeout", "15s"), ("client_min_messages", "error"), ("timezone", "UTC")])
            // Compiling a plan takes longer than anything here but an audit, and planning for it goes by costs that are guessed.
            .options([("jit", "off")])
            .options([("sceau.actor", actor)])
            .log_slow_statements(tracing::log::LevelFilter::Warn, Duration::from_secs(2));
        let pool = guarded(PgPoolOptions::new())
            .max_connections(max_connections)
            .acquire_timeout(Duration::from_secs(5))
            .connect_lazy_with(options);
        Ok(Self::from_pool(pool))
    }

    /// Wraps a pool made elsewhere (tests). The pool must come from [`guarded`] options.
    #[must_use]
    pub fn from_pool(pool: PgPool) -> Self {
        Self { pool, gate: Gate::default(), events: Events::default(), promises: None, actor: None }
    }

    /// The same ledger for somebody whom the log is to name, where a function here begins with `begun`.
    #[must_use]
    pub fn by(&self, actor: Actor) -> Self {
        Self { actor: Some(Arc::new(actor)), ..self.clone() }
    }

    /// A transaction in the name of the actor, if there is one.
    async fn begun(&self) -> Result<Transaction<'static, Postgres>> {
        let mut transaction = self.pool().begin().await?;
        if let Some(actor) = &self.actor {
            actor.acts(&mut transaction).await?;
        }
        Ok(transaction)
    }

    /// What this process has done to the ledger.
    #[must_use]
    pub const fn events(&self) -> &Events {
        &self.events
    }

    /// The pool, for the rooms of this module.
    pub(crate) fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Brings the schema up to date.
    ///
    /// # Errors
    /// When the database cannot be reached or holds a schema this version does not know.
    pub async fn migrate(&self) -> Result<()> {
        Ok(MIGRATIONS.run(&self.pool).await?)
    }

    /// Fails unless the schema is exactly the one this version was built for.
    ///
    /// # Errors
    /// [`LedgerError::Schema`] says whether to migrate or to update the service.
    pub async fn check_schema(&self) -> Result<()> {
        let mut connection = self.pool.acquire().await?;
        let applied = match connection.list_applied_migrations("_sqlx_migrations").await {
            Ok(applied) => applied.into_iter().map(|migration| migration.version).max(),
            // No table: no migration ever ran.
            Err(MigrateError::Execute(sqlx::Error::Database(error))) if error.code().is_some_and(|code| code == "42P01") => None,
            Err(error) => return Err(error.into()),
        };
        let known = MIGRATIONS.iter().map(|migration| migration.version).max();
        match applied.cmp(&known) {
            std::cmp::Ordering::Equal => Ok(()),
            std::cmp::Ordering::Less => Err(LedgerError::Schema("older than this version of sceau; run `sceau migrate`")),
            std::cmp::Ordering::Greater => Err(LedgerError::Schema("newer than this version of sceau; update the service")),
        }
    }

    /// Fails unless a commit on this server survives a crash of server and machine.
    ///
    /// # Errors
    /// [`LedgerError::NotDurable`] names the first setting that would lose acknowledged proofs.
    pub async fn check_durability(&self) -> Result<()> {
        let row = sqlx::query!(
            r#"select current_setting('fsync') as "fsync!", current_setting('full_page_writes') as "full_page_writes!",
               current_setting('synchronous_commit') as "synchronous_commit!", pg_is_in_recovery() as "standby!",
               current_setting('data_checksums') as "checksums!""#
        )
        .fetch_one(&self.pool)
        .await?;
        let not = |setting, value| Err(LedgerError::NotDurable { setting, value });
        if row.fsync != "on" {
            return not("fsync", row.fsync);
        }
        if row.full_page_writes != "on" {
            return not("full_page_writes", row.full_page_writes);
        }
        // "local" waits for this server's disk, the others for standbys as well.
        if !matches!(&*row.synchronous_commit, "on" | "local" | "remote_write" | "remote_apply") {
            return not("synchronous_commit", row.synchronous_commit);
        }
        if row.standby {
            return not("hot standby", "read-only".into());
        }
        if row.checksums != "on" {
            tracing::warn!("data checksums are off: damage on disk will be noticed late (initdb -k turns them on)");
        }
        Ok(())
    }

    /// Answers when the database does.
    ///
    /// # Errors
    /// When it does not within two seconds.
    pub async fn ping(&self) -> Result<()> {
        let ask = sqlx::query_scalar!(r#"select 1 as "one!""#).fetch_one(&self.pool);
        tokio::time::timeout(Duration::from_secs(2), ask).await.map_err(|_| sqlx::Error::PoolTimedOut)??;
        Ok(())
    }

    /// Database time, the time all records carry.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn now(&self) -> Result<time::OffsetDateTime> {
        Ok(sqlx::query_scalar!(r#"select clock_timestamp() as "now!""#).fetch_one(&self.pool).await?)
    }

    /// Closes all connections.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

/// Makes a pool safe against sqlx 0.9.0's `begin()`, which is not cancel-safe: dropped in flight it hands its
/// connection back inside an open transaction, and the next borrower's acknowledged write is never committed. Rolling
/// back before every loan costs the round trip that the default liveness test costs, and does that test's work too.
#[must_use]
pub fn guarded(options: PgPoolOptions) -> PgPoolOptions {
    options
        .test_before_acquire(false)
        .before_acquire(|connection, _| {
            Box::pin(async move {
                // Outside a transaction this is a no-op with a notice.
                connection.execute("rollback").await?;
                Ok(true)
            })
        })
        .after_release(|connection, _| {
            Box::pin(async move {
                // Whoever gave up waiting leaves a connection on which nobody may ever answer again. sqlx waits for it
                // without end, and the pool would have one place less for good.
                let answered = tokio::time::timeout(LEFT_BEHIND, connection.ping()).await;
                answered.map_err(|_| no_answer(LEFT_BEHIND))??;
                Ok(true)
            })
        })
}

/// How long a connection that was given back has to answer before it is thrown away.
const LEFT_BEHIND: Duration = Duration::from_secs(5);

/// What a statement ends with that was given up.
fn no_answer(after: Duration) -> sqlx::Error {
    sqlx::Error::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, format!("the database did not answer within {after:?}")))
}

/// Turns "exactly one row" into a result.
fn exactly_one(rows: u64, what: &'static str) -> Result<()> {
    if rows == 1 { Ok(()) } else { Err(LedgerError::Moved { what }) }
}

/// Bytes of a fixed length as stored; another length means damage, since the schema checks it.
fn fixed<const N: usize>(bytes: &[u8], what: &'static str) -> Result<[u8; N]> {
    bytes.try_into().map_err(|_| LedgerError::Damaged(format!("{what}: {} bytes where {N} belong", bytes.len())))
}

/// A count or height as stored (Postgres has no unsigned integers; the schema keeps these from being negative).
fn natural(value: i64, what: &'static str) -> Result<u64> {
    value.try_into().map_err(|_| LedgerError::Damaged(format!("{what} is negative: {value}")))
}

/// A count or height on its way into the database.
///
/// # Panics
/// Above 2^63 − 1, which no count, height or fee of ours reaches.
fn stored(value: u64) -> i64 {
    value.try_into().expect("counts and heights stay below 2^63")
}
