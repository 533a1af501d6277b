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
mod error;
pub mod events;
pub mod finality;
pub mod funds;
pub mod gate;
pub mod gauges;
mod guarded;
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
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions, Postgres, Transaction};

use self::audit_log::Actor;
pub use self::error::LedgerError;
use self::events::Events;
use self::gate::Gate;
pub use self::guarded::guarded;
use self::promises::Promises;

static MIGRATIONS: Migrator = sqlx::migrate!();

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
