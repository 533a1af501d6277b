//! Pools whose connections are what they seem when they are lent.

use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::postgres::PgPoolOptions;
use sqlx::{Connection, Executor, Postgres};

use super::no_answer;

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

/// A connection in the middle of a COPY. sqlx 0.9.0 does not count the answers that are still to come when a COPY is given
/// up, so whoever used the connection next would take them for his own: it is closed instead.
pub(in crate::ledger) struct Unfinished(Option<PoolConnection<Postgres>>);

impl From<PoolConnection<Postgres>> for Unfinished {
    fn from(connection: PoolConnection<Postgres>) -> Self {
        Self(Some(connection))
    }
}

impl Unfinished {
    pub(in crate::ledger) fn get(&mut self) -> &mut PoolConnection<Postgres> {
        self.0.as_mut().expect("taken out at the end only")
    }

    /// Everything was done that was begun: the next one may have it.
    pub(in crate::ledger) fn finished(mut self) {
        self.0 = None;
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(connection) = &mut self.0 {
            connection.close_on_drop();
        }
    }
}
