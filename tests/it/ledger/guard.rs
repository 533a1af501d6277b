//! sqlx 0.9.0 hands out connections that a cancelled `begin()` left inside a transaction: the next borrower's
//! acknowledged write vanishes. The guarded pool must not, and the unguarded one must, or this test proves nothing.

use std::pin::pin;
use std::task::Poll;

use sceau::ledger::guarded;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;

use crate::support::{Database, database};

/// Cancels `begin()` after each number of polls in turn, writing one row after each; answers rows acknowledged and kept.
async fn cancel_and_write(database: &Database, pool: PgPool, table: &str) -> (i64, i64) {
    sqlx::query(sqlx::AssertSqlSafe(format!("create table {table} (n bigint)"))).execute(&database.pool).await.expect("a table");
    let insert = format!("insert into {table} values ($1)");
    let mut acknowledged = 0;
    for polls in 0..40_i64 {
        {
            let mut begin = pin!(pool.begin());
            let mut left = polls % 8;
            std::future::poll_fn(|context| {
                if left == 0 || begin.as_mut().poll(context).is_ready() {
                    return Poll::Ready(());
                }
                left -= 1;
                Poll::Pending
            })
            .await;
            // Dropped here, wherever it is.
        }
        tokio::task::yield_now().await;
        if sqlx::query(sqlx::AssertSqlSafe(insert.clone())).bind(polls).execute(&pool).await.is_ok() {
            acknowledged += 1;
        }
    }
    pool.close().await;
    let kept = sqlx::query_scalar(sqlx::AssertSqlSafe(format!("select count(*) from {table}")))
        .fetch_one(&database.pool)
        .await
        .expect("a count");
    (acknowledged, kept)
}

#[tokio::test]
async fn a_cancelled_begin_loses_nothing_behind_the_guard() {
    let database = database().await;
    let options = guarded(PgPoolOptions::new()).max_connections(1);
    let pool = options.connect(&database.url).await.expect("a pool");
    let (acknowledged, kept) = cancel_and_write(&database, pool, "guarded").await;
    assert_eq!(acknowledged, 40);
    assert_eq!(kept, acknowledged);
}

#[tokio::test]
async fn without_the_guard_it_does() {
    let database = database().await;
    let options = PgPoolOptions::new().max_connections(1).test_before_acquire(false);
    let pool = options.connect(&database.url).await.expect("a pool");
    let (acknowledged, kept) = cancel_and_write(&database, pool, "unguarded").await;
    assert!(kept < acknowledged, "{kept} of {acknowledged} kept: sqlx mended it, the guard can go");
}
