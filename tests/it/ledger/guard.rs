//! sqlx 0.9.0 hands out connections that a cancelled `begin()` left inside a transaction: the next borrower's
//! acknowledged write vanishes. The guarded pool must not, and the unguarded one must, or this test proves nothing.

use std::time::Duration;

use sceau::ledger::{Ledger, guarded};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use tokio::sync::Notify;

use super::held::Held;
use crate::support::{Database, database};

async fn turns(count: i64) {
    for _ in 0..count {
        tokio::task::yield_now().await;
    }
}

/// Cancels `begin()` after more and more turns of the runtime, writing one row after each; answers rows acknowledged and
/// kept.
async fn cancel_and_write(database: &Database, pool: PgPool, table: &str) -> (i64, i64) {
    sqlx::query(sqlx::AssertSqlSafe(format!("create table {table} (n bigint)"))).execute(&database.pool).await.expect("a table");
    let insert = format!("insert into {table} values ($1)");
    let mut acknowledged = 0;
    for round in 0..40_i64 {
        // The connection comes back in a task of its own.
        while pool.num_idle() == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        tokio::select! {
            biased;
            _ = pool.begin() => {}
            // Dropped in flight, wherever it is.
            () = turns(round % 8) => {}
        }
        if sqlx::query(sqlx::AssertSqlSafe(insert.clone())).bind(round).execute(&pool).await.is_ok() {
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

/// Reading a batch in bulk that is given up half-way (a lease lost, a step that took too long) must not leave its answers
/// to whoever asks next on that connection.
#[tokio::test]
async fn a_bulk_read_given_up_half_way_leaves_no_answers_to_others() {
    const ROWS: u64 = 20_000;
    let database = database().await;
    let held = Held::start(&database.url).await;
    let ledger = Ledger::connect(&held.url, 1).expect("a URL");
    let account = super::account(&ledger, "partner").await;
    sqlx::query(
        "with counting as (insert into account_numbers (account_id) values ($1))
         insert into proofs (account_id, batch, received_at, digest, salt, number)
         select $1, 1, now(), sha256(n::text::bytea), substr(sha256(n::text::bytea), 1, 16), n from generate_series(1, $2) n",
    )
    .bind(account.0)
    .bind(ROWS as i64)
    .execute(&database.pool)
    .await
    .expect("proofs");
    for round in 0..12 {
        // Fewer bytes than the entries have.
        held.hold_after(20_000 + 50_000 * round);
        let begun = Notify::new();
        tokio::select! {
            biased;
            read = ledger.each_entry(1, |_| begun.notify_one()) => panic!("round {round}: not given up, {read:?}"),
            () = begun.notified() => {}
        }
        held.hold_after(usize::MAX);
        let fill = ledger.pool_fill(ROWS + 1).await.unwrap_or_else(|error| panic!("round {round}: {error}"));
        assert_eq!(fill.fill, ROWS, "round {round}: an answer to another question");
    }
    assert_eq!(ledger.each_entry(1, |_| ()).await.expect("entries"), ROWS);
}
