//! Submitting, beside what it cannot be faster than: a handler on the same server that only parses the same body, one
//! insert a request, the median commit, Postgres's own COPY of the same rows. Client, server and Postgres share the
//! machine.
//!
//! `cargo bench --bench submit -- [--requests 60000] [--bulk 500000] [--json]`; with `--profile` only the service is asked, over
//! `--at-once 256` connections, as fast as answers come or `--rate` times a second, for a profiler to look at.

#[path = "../kit"]
mod kit {
    pub mod arguments;
    pub mod database;
    pub mod load;
    pub mod peers;
    pub mod report;
    pub mod server;
    pub mod setting;
    pub mod single;
}
mod many;

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use futures_util::TryStreamExt;
use serde_json::json;
use sqlx::AssertSqlSafe;
use sqlx::postgres::{PgPool, PgPoolCopyExt};

use self::kit::arguments::Arguments;
use self::kit::database::Database;
use self::kit::load::{self, Case, Outcome, Plan};
use self::kit::peers;
use self::kit::report::{self, Aim, Row};
use self::kit::server::{self, Served};
use self::kit::single::Single;
use self::many::{Lines, Many, Prepared};

/// As the service has.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<()> {
    let arguments = Arguments::given();
    let (requests, bulk) = (arguments.value("--requests", 60_000)?, arguments.value("--bulk", 500_000)?);
    tracing_subscriber::fmt().with_max_level(tracing::Level::ERROR).with_writer(std::io::stderr).init();
    // A runtime each: the client's work must not wait in the server's queues.
    let server = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let client = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let stage = server.block_on(Stage::set())?;
    let rows = match arguments.flag("--profile") {
        true => {
            let (at_once, rate) = (arguments.value("--at-once", 256)?, arguments.value("--rate", 0)?);
            profile(&client, &stage, requests, at_once, (rate > 0).then_some(rate as f64))?
        }
        false => measure(&server, &client, &stage, requests, bulk)?,
    };
    let facts = json!({ "requests": requests, "bulk": bulk, "postgres": stage.database.version, "cores": std::thread::available_parallelism()?.get() });
    report::print("submit", &facts, &rows, arguments.flag("--json"));
    server.block_on(stage.database.stop());
    Ok(())
}

/// Everything that serves.
struct Stage {
    database: Database,
    service: (Served, String),
    no_op: Served,
    no_op_with_token: (Served, String),
    insert_each: Served,
}

impl Stage {
    async fn set() -> Result<Self> {
        let database = Database::start(&[("max_wal_size", "4GB")]).await?;
        let (ledger, pool) = (&database.ledger, &database.pool);
        for table in ["proofs_naive", "proofs_copied"] {
            sqlx::query(AssertSqlSafe(format!("create table {table} (like proofs including all)"))).execute(pool).await?;
        }
        Ok(Self {
            service: server::service(ledger).await?,
            no_op: peers::no_op().await?,
            no_op_with_token: peers::no_op_with_token(ledger).await?,
            insert_each: peers::insert_each(pool).await?,
            database,
        })
    }
}

type Runtime = tokio::runtime::Runtime;

fn measure(server: &Runtime, client: &Runtime, stage: &Stage, requests: u64, bulk: u64) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    let mut first = 0;
    let mut plan = |to: &Served, token: Option<&String>, streams: usize, at_once: usize, requests: u64, rate: Option<f64>| {
        let plan = Plan { address: to.address, authorization: token.cloned(), streams, at_once, requests, rate, first };
        first += requests;
        plan
    };
    let (service, token) = &stage.service;
    let mut go = |to: &Served, token: Option<&String>, streams: usize, at_once: usize, requests: u64, rate: Option<f64>| {
        client.block_on(load::run(&plan(to, token, streams, at_once, requests, rate), Arc::new(Single)))
    };
    // Caches, connections and plans as they are in the long run.
    go(service, Some(token), 1, 64, requests / 10, None)?;
    go(&stage.no_op, None, 1, 64, requests / 10, None)?;

    for (streams, name) in [(1, "HTTP/1.1"), (64, "HTTP/2")] {
        for at_once in [64, 256] {
            let no_op = go(&stage.no_op, None, streams, at_once, requests, None)?;
            let checked = go(&stage.no_op_with_token.0, Some(&stage.no_op_with_token.1), streams, at_once, requests, None)?;
            let submit = go(service, Some(token), streams, at_once, requests, None)?;
            // The machine is busy in all three. Noise can make the check seem to save time.
            let each = |outcome: &Outcome| 1e6 / outcome.rate();
            rows.push(Row {
                case: format!("check of a token, {at_once} at once, {name}"),
                value: (each(&checked) - each(&no_op)).max(0.0),
                against: "a submission".into(),
                limit: each(&submit),
                unit: "µs",
                aim: Some(0.0..=0.1),
            });
            let mut row = |case: String, value: f64, against: &str, limit: f64, aim: Aim| {
                rows.push(Row { case, value, against: against.into(), limit, unit: "/s", aim });
            };
            row(
                format!("submit, {at_once} at once, {name}"),
                submit.rate(),
                "no-op handler",
                no_op.rate(),
                Some(0.6..=f64::INFINITY),
            );
            if streams == 1 {
                let each = go(&stage.insert_each, None, streams, at_once, requests / 10, None)?;
                row(
                    format!("submit, {at_once} at once, {name}"),
                    submit.rate(),
                    "one insert a request",
                    each.rate(),
                    Some(10.0..=f64::INFINITY),
                );
                let commit = server.block_on(median_commit(&stage.database.pool))?;
                // Half of what was sustained: latency there is the server's, not the queue's.
                let calm = go(service, Some(token), streams, at_once, requests / 2, Some(submit.rate() / 2.0))?;
                for (share, aim) in [(0.5, None), (0.99, Some(0.0..=3.0))] {
                    rows.push(Row {
                        case: format!("latency p{}, {at_once} connections, half rate", share * 100.0),
                        value: micros(calm.quantile(share)),
                        against: "median commit of one row".into(),
                        limit: micros(commit),
                        unit: "µs",
                        aim,
                    });
                }
            }
        }
    }

    rows.push(many(server, client, stage, "10,000 a request", bulk, Many, Many::COUNT)?);
    rows.push(many(server, client, stage, "50,000 lines a request", bulk, Lines, Lines::COUNT)?);
    Ok(rows)
}

/// Many digests a request, beside COPY of the same rows.
fn many(server: &Runtime, client: &Runtime, stage: &Stage, name: &str, digests: u64, case: impl Case, size: u64) -> Result<Row> {
    let (service, token) = &stage.service;
    let requests = digests.div_ceil(size);
    let authorization = Some(token.clone());
    let plan = Plan { address: service.address, authorization, streams: 1, at_once: 2, requests, rate: None, first: 0 };
    let case = Arc::new(Prepared::new(case, requests));
    let submitted = client.block_on(load::run(&plan, Arc::clone(&case) as _))?;
    ensure!(case.is_answered(), "{name}: not every digest was answered as it should be");
    let copied = server.block_on(copy_again(&stage.database.pool, requests * size))?;
    Ok(Row {
        case: format!("submit, {name}, 2 at once"),
        value: (requests * size) as f64 / submitted.took.as_secs_f64(),
        against: "COPY of the same rows, same indexes".into(),
        limit: (requests * size) as f64 / copied.as_secs_f64(),
        unit: "/s",
        aim: Some(0.7..=f64::INFINITY),
    })
}

/// The service alone.
fn profile(client: &Runtime, stage: &Stage, requests: u64, at_once: usize, rate: Option<f64>) -> Result<Vec<Row>> {
    let (service, token) = &stage.service;
    let authorization = Some(token.clone());
    let plan = Plan { address: service.address, authorization, streams: 1, at_once, requests, rate, first: 0 };
    let outcome = client.block_on(load::run(&plan, Arc::new(Single)))?;
    let row =
        |case: &str, value: f64, unit| Row { case: case.into(), value, against: "itself".into(), limit: value, unit, aim: None };
    Ok(vec![
        row("submit, HTTP/1.1", outcome.rate(), "/s"),
        row("latency p50", micros(outcome.quantile(0.5)), "µs"),
        row("latency p99", micros(outcome.quantile(0.99)), "µs"),
    ])
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// One row, one connection, one commit at a time.
async fn median_commit(pool: &PgPool) -> Result<Duration> {
    let mut connection = pool.acquire().await?;
    let mut times = Vec::new();
    sqlx::query("delete from proofs_naive where account_id = 2").execute(&mut *connection).await?;
    for number in 1..=500_i64 {
        let started = Instant::now();
        sqlx::query("insert into proofs_naive (account_id, batch, received_at, digest, salt, number) values (2, 1, now(), sha256($1::text::bytea), '\\x00112233445566778899aabbccddeeff', $1)")
            .bind(number)
            .execute(&mut *connection)
            .await?;
        times.push(started.elapsed());
    }
    times.sort_unstable();
    Ok(times[times.len() / 2])
}

/// The newest `rows` of the pool's table, in the order they were stored, into a table of the same shape and indexes that has as
/// many other rows already.
async fn copy_again(pool: &PgPool, rows: u64) -> Result<Duration> {
    let total: i64 = sqlx::query_scalar("select count(*) from proofs").fetch_one(pool).await?;
    let before = total - i64::try_from(rows)?;
    sqlx::query("truncate proofs_copied").execute(pool).await?;
    sqlx::query(AssertSqlSafe(format!("insert into proofs_copied select * from proofs order by ctid limit {before}")))
        .execute(pool)
        .await?;
    let mut chunks = Vec::new();
    let mut stream = pool
        .copy_out_raw(&format!("copy (select * from proofs order by ctid offset {before}) to stdout (format binary)"))
        .await?;
    while let Some(chunk) = stream.try_next().await? {
        chunks.push(chunk);
    }
    drop(stream);
    let started = Instant::now();
    let mut copy = pool.copy_in_raw("copy proofs_copied from stdin (format binary)").await?;
    for chunk in chunks {
        copy.send(chunk).await?;
    }
    let copied = copy.finish().await?;
    let took = started.elapsed();
    ensure!(copied == rows, "COPY stored {copied} of {rows} rows");
    Ok(took)
}
