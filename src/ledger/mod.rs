//! All SQL of Sceau: one file a table or two, record types beside their queries; rooms by what the tables are about.
//!
//! What one room needs of another goes one way (`docs/architecture.md` has the arrows); what all of them need is here.
//!
//! What is acknowledged is committed here first. Every change of state names the state it expects in its `WHERE`
//! clause and must change exactly one row, so that two instances that both believe it is their turn cannot both win.

pub mod accounts;
pub mod anchors;
pub mod audit;
pub mod batches;
mod error;
pub mod intake;
pub mod kagesecur;
pub mod leases;
pub mod notices;
pub mod proofs;
pub mod server;
pub mod status;
pub mod targets;
pub mod validations;

use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions, Postgres, Transaction};
use tokio::sync::Semaphore;

use self::accounts::audit_log::Actor;
pub use self::error::LedgerError;
use self::intake::promises::Promises;
use self::server::events::Events;
use self::server::gate::Gate;
pub use self::server::guarded::guarded;

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
    together: Arc<Semaphore>,
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
        Self {
            pool,
            gate: Gate::default(),
            events: Events::default(),
            promises: None,
            actor: None,
            together: Arc::new(Semaphore::new(1)),
        }
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

    /// Closes all connections.
    pub async fn close(&self) {
        self.pool.close().await;
    }
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
