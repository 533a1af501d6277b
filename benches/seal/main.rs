//! Sealing one large batch, beside what it cannot be faster than: bare hashing of the same tree and Postgres's own COPY
//! of the same rows; and submitting while such batches are sealed, beside submitting while none is.
//!
//! `cargo bench --bench seal -- [--entries 1000000] [--accounts 1] [--beside 4] [--audit] [--json]`

mod beside;
mod fill;
#[path = "../kit"]
mod kit {
    pub mod arguments;
    pub mod database;
    pub mod load;
    pub mod report;
    pub mod server;
    pub mod setting;
    pub mod single;
}
mod limits;

use std::time::Instant;

use anyhow::{Result, ensure};
use sceau::ledger::Ledger;
use sceau::pipeline::recheck::recheck;
use sceau::pipeline::schedule::Schedule;
use sceau::pipeline::seal::Sealer;
use serde_json::json;
use sqlx::postgres::PgPool;
use uuid::Uuid;

use self::fill::Filler;
use self::kit::arguments::Arguments;
use self::kit::database::Database;
use self::kit::report::{self, Row};
use self::kit::server;

/// As the service has.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

struct Wanted {
    entries: u64,
    accounts: u64,
    beside: u32,
    audit: bool,
}

fn main() -> Result<()> {
    let arguments = Arguments::given();
    let entries = arguments.value("--entries", 1_000_000)?;
    let wanted = Wanted {
        entries,
        accounts: arguments.value("--accounts", 1)?.max(1),
        // What is disturbed is measured with batches of a million.
        beside: u32::try_from(arguments.value("--beside", if entries > 1_000_000 { 0 } else { 4 })?)?,
        audit: arguments.flag("--audit"),
    };
    // A runtime each: the client's work must not wait in the server's queues.
    let server = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let client = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let (version, rows) = server.block_on(run(&client, &wanted))?;
    let facts = json!({ "entries": wanted.entries, "accounts": wanted.accounts, "postgres": version,
        "cores": std::thread::available_parallelism()?.get() });
    report::print("seal", &facts, &rows, arguments.flag("--json"));
    Ok(())
}

async fn run(client: &tokio::runtime::Runtime, wanted: &Wanted) -> Result<(String, Vec<Row>)> {
    let database = Database::start(&[("max_wal_size", "4GB")]).await?;
    let rows = measure(client, &database.ledger, &database.pool, wanted).await?;
    let version = database.version.clone();
    database.stop().await;
    Ok((version, rows))
}

async fn measure(client: &tokio::runtime::Runtime, ledger: &Ledger, pool: &PgPool, wanted: &Wanted) -> Result<Vec<Row>> {
    let &Wanted { entries, accounts, beside, audit } = wanted;
    let mut filler = Filler::new(ledger, accounts, entries * u64::from(1 + beside)).await?;
    filler.fill(pool, entries).await?;
    limits::checkpoint(pool).await?;
    let sealer = Sealer {
        ledger: ledger.clone(),
        origin: "bench".into(),
        schedule: Schedule::parse("0 0 0 1 1 *")?,
        threshold: u64::MAX >> 1,
        holder: Uuid::from_u128(1),
    };
    limits::reset_peak();
    let started = Instant::now();
    ensure!(sealer.seal_now().await? == Some(1), "the batch was not sealed");
    let (seal, peak) = (started.elapsed(), limits::peak());
    ensure!(recheck(ledger, 1).await?.1 == entries + 1, "the batch has another size");

    let hashing = limits::bare_hashing(entries);
    let copy_out = limits::copy_out(pool).await?;
    let copy_in = limits::copy_in(pool).await?;
    let limit = hashing + copy_out + copy_in;
    let mut rows = Vec::new();
    for (against, limit, aim) in [
        ("bare hashing, COPY of entries and of tiles", limit, Some(0.0..=1.5)),
        ("of these: bare hashing", hashing, None),
        ("of these: COPY of the entries", copy_out, None),
        ("of these: COPY of the tiles", copy_in, None),
    ] {
        rows.push(Row {
            case: format!("seal {entries}"),
            value: seal.as_secs_f64() * 1e3,
            against: against.into(),
            limit: limit.as_secs_f64() * 1e3,
            unit: "ms",
            aim,
        });
    }
    if let Some(peak) = peak {
        let bound = if entries > 1_000_000 { 1024.0 } else { 256.0 };
        rows.push(Row {
            case: format!("peak memory while sealing {entries}"),
            value: (peak >> 10) as f64 / 1024.0,
            against: "bound".into(),
            limit: bound,
            unit: "MiB",
            aim: Some(0.0..=1.0),
        });
    }
    if beside > 0 {
        for _ in 0..beside {
            filler.fill(pool, entries).await?;
            sqlx::query("select close_batch()").execute(pool).await?;
        }
        let service = server::service(ledger).await?;
        rows.extend(beside::measure(client, &service, &sealer, pool, beside, seal).await?);
    }
    if audit {
        let report = sceau::audit::run(ledger, &[], |_| ()).await?;
        ensure!(report.findings.is_empty(), "the audit finds {:?}", report.findings);
    }
    Ok(rows)
}
