//! What history costs: the rate of acceptance, and the bytes a proof takes, as the table of proofs grows.
//!
//! `cargo bench --bench growth -- [--millions 1,10] [--shared-buffers 2GB] [--huge-pages] [--json]`: each mark is reached by submitting
//! through the intake, 10,000 a time from four accounts, and sealed in batches of a million, as the service does; the rate at a mark is
//! that of the last half million before it, and that of groups of 64 right after it. `--millions 1,10,50` takes 15 GB and a quarter of
//! an hour. With `--huge-pages` Postgres does not start unless the system has enough of them (`vm.nr_hugepages`).

mod kit {
    pub mod arguments;
    pub mod database;
    pub mod report;
}

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Result, ensure};
use sceau::ledger::Ledger;
use sceau::ledger::accounts::{AccountId, Role};
use sceau::ledger::intake::{Intake, Limits, Submission};
use sceau::pipeline::schedule::Schedule;
use sceau::pipeline::seal::Sealer;
use sceau::ports::{Entropy, SystemEntropy};
use sceau_verifier::Digest;
use serde_json::json;
use sqlx::postgres::PgPool;
use tokio::task::JoinSet;
use uuid::Uuid;

use self::kit::arguments::Arguments;
use self::kit::database::Database;
use self::kit::report::{self, Row};

/// As the service has.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ACCOUNTS: u64 = 4;
/// Digests in one large submission, the API's bound.
const CHUNK: u64 = 10_000;
/// Digests in one small group: what waits together when many submit one each.
const GROUP: u64 = 64;
const GROUPS: u64 = 1_000;
/// What a rate is measured over.
const SPAN: u64 = 500_000;
/// Proofs in a batch.
const BATCH: u64 = 1_000_000;

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::given();
    let millions: String = arguments.value("--millions", "1,10".into())?;
    let marks: Vec<u64> = millions.split(',').map(|mark| Ok(mark.parse::<u64>()? * 1_000_000)).collect::<Result<_>>()?;
    ensure!(marks.first().is_some_and(|mark| *mark > 0) && marks.is_sorted(), "--millions wants ascending numbers");

    let shared_buffers: String = arguments.value("--shared-buffers", "2GB".into())?;
    let huge_pages = if arguments.flag("--huge-pages") { "on" } else { "off" };
    // Checkpoints are as rare as docs/operations.md recommends.
    let settings = [
        ("max_wal_size", "16GB"),
        ("checkpoint_timeout", "30min"),
        ("shared_buffers", &*shared_buffers),
        ("huge_pages", huge_pages),
    ];
    let database = Database::start(&settings).await?;
    let rows = measure(&database.ledger, &database.pool, &marks).await?;
    let facts = json!({ "millions": millions, "postgres": database.version, "settings": settings });
    report::print("growth", &facts, &rows, arguments.flag("--json"));
    database.stop().await;
    Ok(())
}

async fn measure(ledger: &Ledger, pool: &PgPool, marks: &[u64]) -> Result<Vec<Row>> {
    let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
    let mut accounts = Vec::new();
    for n in 0..ACCOUNTS {
        accounts.push(ledger.create_account(&format!("bench {n}"), Role::Partner, &format!("ck_bench_{n}"), [0; 32]).await?);
    }
    let (intake, _lanes) = Intake::start(ledger, &entropy, Limits::default());
    let sealer = Sealer {
        ledger: ledger.clone(),
        origin: "bench".into(),
        schedule: Schedule::parse("0 0 0 1 1 *")?,
        threshold: u64::MAX >> 1,
        holder: Uuid::from_u128(1),
    };
    let mut pool_of = Growing { intake, accounts, next: 0 };
    let mut rows: Vec<Row> = Vec::new();
    let mut first = None;
    for mark in marks {
        let until = mark - SPAN;
        while pool_of.next < until {
            pool_of.submit((until - pool_of.next).min(BATCH), CHUNK).await?;
            sealer.seal_now().await?;
            eprintln!("{} of {mark} proofs", pool_of.next);
        }
        let large = pool_of.submit(SPAN, CHUNK).await?;
        let small = pool_of.submit(GROUP * GROUPS, GROUP).await?;
        sealer.seal_now().await?;
        let (large_first, small_first) = *first.get_or_insert((large, small));
        let million = mark / 1_000_000;
        for (what, rate, at_first) in [("10,000 a time", large, large_first), ("in groups of 64", small, small_first)] {
            rows.push(Row {
                case: format!("accepting {what} at {million} million proofs"),
                value: rate,
                against: "the same at the first mark".into(),
                limit: at_first,
                unit: "/s",
                aim: Some(0.8..=f64::INFINITY),
            });
        }
        for (what, bytes) in sizes(pool).await? {
            rows.push(Row {
                case: format!("{what} at {million} million proofs"),
                value: bytes as f64 / pool_of.next as f64,
                against: "200 bytes a proof".into(),
                limit: 200.0,
                unit: "B",
                aim: if what == "all of it" { Some(0.0..=1.0) } else { None },
            });
        }
    }
    Ok(rows)
}

struct Growing {
    intake: Intake,
    accounts: Vec<AccountId>,
    next: u64,
}

impl Growing {
    /// Accepts so many new digests and answers the rate.
    async fn submit(&mut self, count: u64, at_once: u64) -> Result<f64> {
        let started = Instant::now();
        let end = self.next + count;
        let mut under_way = JoinSet::new();
        while self.next < end || !under_way.is_empty() {
            while self.next < end && under_way.len() < self.accounts.len() {
                let numbers = self.next..(self.next + at_once).min(end);
                self.next = numbers.end;
                let account = self.accounts[(numbers.start / at_once % ACCOUNTS) as usize];
                let intake = self.intake.clone();
                under_way.spawn(async move {
                    let item = |n: u64| Submission { account, digest: Digest::of(&n.to_be_bytes()), detail: None };
                    intake.accept(numbers.map(item).collect()).await
                });
            }
            if let Some(done) = under_way.join_next().await {
                ensure!(done??.iter().all(|one| one.fresh), "a digest was there before");
            }
        }
        Ok(count as f64 / started.elapsed().as_secs_f64())
    }
}

/// Bytes of what a proof takes: the row, each index, the leaf in its tile.
async fn sizes(pool: &PgPool) -> Result<Vec<(String, i64)>> {
    let mut sizes: Vec<(String, i64)> = sqlx::query_as(
        "select 'table proofs', pg_relation_size('proofs')
         union all select 'index ' || i.indexrelid::regclass::text, pg_relation_size(i.indexrelid)
           from pg_index i where i.indrelid = 'proofs'::regclass and pg_relation_size(i.indexrelid) > 65536
         union all select 'tiles', pg_total_relation_size('tiles')",
    )
    .fetch_all(pool)
    .await?;
    let all = sizes.iter().map(|(_, bytes)| bytes).sum();
    sizes.push(("all of it".into(), all));
    Ok(sizes)
}
