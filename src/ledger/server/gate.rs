//! Whether anything can come in: the database answers, and what is not sealed stays below its high-water mark.
//!
//! A pool of connections waits for a server that is away, each caller for itself. The gate asks on a connection of its
//! own, so that who comes meanwhile is told at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sqlx::postgres::PgConnection;
use sqlx::{ConnectOptions, Connection};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::ledger::{Ledger, Result, natural, stored};

/// Pause between two questions.
const EVERY: Duration = Duration::from_secs(1);
/// A server that does not answer the smallest question within this time is away.
const PATIENCE: Duration = Duration::from_secs(3);
/// Counting the pool may take one part in so many of the server's time.
const SHARE: u32 = 20;
/// No counting takes longer.
const LONGEST: Duration = Duration::from_secs(60);

/// What keeps digests out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Closed {
    away: bool,
    full: bool,
}

/// The gate of one ledger. Cloning gives another hold on the same.
#[derive(Debug, Clone)]
pub struct Gate {
    closed: watch::Sender<Closed>,
    waiting: Arc<AtomicU64>,
}

impl Default for Gate {
    /// Open: who never asks never learns otherwise.
    fn default() -> Self {
        Self { closed: watch::Sender::new(Closed::default()), waiting: Arc::default() }
    }
}

impl Gate {
    /// Whether the database did not answer when it was last asked.
    #[must_use]
    pub fn is_away(&self) -> bool {
        self.closed.borrow().away
    }

    /// Whether more digests wait to be sealed than may.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.closed.borrow().full
    }

    /// Digests that were not sealed when they were last counted.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Ends when the database is away: at once when it is.
    pub async fn away(&self) {
        // The sender is ours, so it cannot be gone.
        let _ = self.closed.subscribe().wait_for(|closed| closed.away).await;
    }

    fn set_away(&self, away: bool) {
        if self.closed.send_if_modified(|closed| std::mem::replace(&mut closed.away, away) != away) {
            match away {
                true => tracing::warn!("the database is away: requests are answered with 503 until it is back"),
                false => tracing::info!("the database is back"),
            }
        }
    }

    fn set_full(&self, full: bool) {
        if self.closed.send_if_modified(|closed| std::mem::replace(&mut closed.full, full) != full) {
            match full {
                true => tracing::warn!("the pool is over its high-water mark: nothing is accepted until it is sealed"),
                false => tracing::info!("the pool is below its high-water mark again"),
            }
        }
    }
}

impl Ledger {
    /// What keeps digests out.
    #[must_use]
    pub const fn gate(&self) -> &Gate {
        &self.gate
    }

    /// Keeps the gate: asks each second whether the database answers, and now and then whether `high_water` digests or
    /// more wait to be sealed. Never ends.
    pub async fn keep_gate(self, high_water: u64) {
        tokio::join!(self.watch_database(), self.watch_pool(high_water));
    }

    async fn watch_database(&self) {
        let mut connection = None;
        loop {
            match tokio::time::timeout(PATIENCE, self.reach(connection.take())).await {
                Ok(Ok(open)) => {
                    connection = Some(open);
                    self.gate.set_away(false);
                }
                Ok(Err(error)) => {
                    tracing::debug!(%error, "asking the database whether it answers");
                    self.gate.set_away(true);
                }
                Err(_) => self.gate.set_away(true),
            }
            tokio::time::sleep(EVERY).await;
        }
    }

    async fn reach(&self, connection: Option<PgConnection>) -> Result<PgConnection> {
        let mut open = match connection {
            Some(open) => open,
            None => self.pool.connect_options().connect().await?,
        };
        open.ping().await?;
        Ok(open)
    }

    async fn watch_pool(&self, high_water: u64) {
        loop {
            let begun = Instant::now();
            match tokio::time::timeout(LONGEST, self.unsealed(high_water)).await {
                Ok(Ok(waiting)) => {
                    self.gate.waiting.store(waiting, Ordering::Relaxed);
                    self.gate.set_full(waiting >= high_water);
                }
                Ok(Err(error)) => tracing::debug!(%error, "counting the pool"),
                Err(_) => tracing::warn!("counting the pool takes too long"),
            }
            tokio::time::sleep(EVERY.max(begun.elapsed() * SHARE)).await;
        }
    }

    /// Digests that are not sealed, counted up to `most`.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn unsealed(&self, most: u64) -> Result<u64> {
        let waiting = sqlx::query_scalar!(
            r#"select count(*) as "count!" from (
                 select from proofs p where p.batch in (select number from batches where not anchored and state <> 'sealed') limit $1
               ) counted"#,
            stored(most)
        );
        natural(waiting.fetch_one(self.pool()).await?, "digests that wait")
    }
}
