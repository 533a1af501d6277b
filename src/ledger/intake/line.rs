//! A lane's own way to the database.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sqlx::postgres::PgConnection;
use sqlx::{Connection, PgPool};
use tokio::time::Instant;

use crate::ledger::{LedgerError, Result};

/// Idle for longer, a connection is not used again: what is in between may have forgotten it without a word.
const IDLE: Duration = Duration::from_secs(60);

/// One connection beside the pool, made when it is needed. To borrow one of the pool for each commit would cost two round trips more,
/// with which the pool makes sure that nobody left it inside a transaction or without an answer. Here there is one statement
/// at a time, which is its own transaction, and a connection whose answer was not waited for is never used again.
#[derive(Debug)]
pub(super) struct Line {
    pool: PgPool,
    kept: Mutex<Option<(PgConnection, Instant)>>,
}

impl Line {
    /// To where the connections of `pool` lead.
    pub(super) fn beside(pool: &PgPool) -> Self {
        Self { pool: pool.clone(), kept: Mutex::default() }
    }

    /// Makes a call. The connection is kept when the server has answered; given up in between, it is closed.
    pub(super) async fn call<T>(&self, call: impl AsyncFnOnce(&mut PgConnection) -> Result<T>) -> Result<T> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).take();
        let mut connection = match kept {
            Some((connection, used)) if used.elapsed() < IDLE => connection,
            _ => PgConnection::connect_with(&self.pool.connect_options()).await?,
        };
        let answer = call(&mut connection).await;
        if !matches!(answer, Err(LedgerError::Database(_))) {
            *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some((connection, Instant::now()));
        }
        answer
    }
    /// Says goodbye to the server, which would otherwise find out by itself.
    pub(super) async fn close(self) {
        let kept = self.kept.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Some((connection, _)) = kept {
            let _ = connection.close().await;
        }
    }
}
