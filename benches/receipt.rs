//! Receipts, beside what they cannot be much faster than: a handler on the same listener, with the same authentication, that reads
//! one proof by its primary key and answers as many bytes. Client, server and Postgres share the machine.
//!
//! `cargo bench --bench receipt -- [--requests 10000] [--entries 100000] [--batches 3] [--json]`

#[path = "receipt/ask.rs"]
mod ask;
#[path = "../verifier/tests/verifier/support/chain.rs"]
mod chain;
#[path = "kit"]
mod kit {
    pub mod arguments;
    pub mod database;
    pub mod report;
    pub mod setting;
}
#[path = "receipt/stage.rs"]
mod stage;

use std::time::Duration;

use anyhow::Result;
use serde_json::json;

use self::ask::Asked;
use self::kit::arguments::Arguments;
use self::kit::report::{self, Row};
use self::stage::{Served, Stage};

/// As the service has.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Whose receipt the n-th request is for.
type Pick = dyn Fn(u64) -> Asked + Sync;

/// Rounds of each case, in turn; the fastest counts.
const ROUNDS: u64 = 3;

/// Postgres tells what an idle backend counted after ten seconds at the latest.
const TOLD: Duration = Duration::from_secs(11);

fn main() -> Result<()> {
    let arguments = Arguments::given();
    let (requests, entries, batches) =
        (arguments.value("--requests", 10_000)?, arguments.value("--entries", 100_000)?, arguments.value("--batches", 3)?);
    // A runtime each: the client's work must not wait in the server's queues.
    let server = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let client = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let stage = server.block_on(Stage::set(entries, batches))?;
    eprintln!("{batches} batches of {entries} sealed, receipts of {} bytes", stage.length);

    let all = move |n: u64| Asked::new(1 + n % batches, (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20) % entries);
    let one = move |n: u64| Asked::new(1, (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20) % entries);
    let cases: [(&str, &Served, &Pick); 4] = [
        ("one proof by primary key", &stage.row, &all),
        ("receipts of all batches", &stage.service, &all),
        ("receipts of one batch", &stage.service, &one),
        ("receipts of all batches, nothing remembered", &stage.forgetful, &all),
    ];
    let mut best = [0.0_f64; 4];
    let mut median = [Duration::MAX; 4];
    for round in 0..ROUNDS {
        for (at, (_, served, asked)) in cases.iter().enumerate() {
            let begin = round * requests;
            let outcome = client.block_on(ask::run(served, stage.length, (begin..begin + requests).map(asked).collect()))?;
            best[at] = best[at].max(outcome.rate);
            median[at] = median[at].min(outcome.median);
        }
    }
    let mut rows = Vec::new();
    for at in 1..4 {
        let aim = if at < 3 { Some(0.5..=f64::INFINITY) } else { None };
        rows.push(Row { case: cases[at].0.into(), value: best[at], against: cases[0].0.into(), limit: best[0], unit: "/s", aim });
    }
    let micros = |time: Duration| time.as_secs_f64() * 1e6;
    for at in 1..4 {
        let case = format!("median latency, {}", cases[at].0);
        rows.push(Row {
            case,
            value: micros(median[at]),
            against: cases[0].0.into(),
            limit: micros(median[0]),
            unit: "µs",
            aim: None,
        });
    }
    for at in [3, 1] {
        let requests = requests.min(3_000);
        let look = || {
            std::thread::sleep(TOLD);
            server.block_on(stage.scans())
        };
        let before = look()?;
        client.block_on(ask::run(cases[at].1, stage.length, (0..requests).map(cases[at].2).collect()))?;
        let each = look()?.into_iter().map(|(index, scans)| {
            let before = before.iter().find(|(name, _)| *name == index).map_or(0, |(_, scans)| *scans);
            (index, (scans - before) as f64 / requests as f64)
        });
        let each: Vec<_> = each.filter(|(_, scans)| *scans > 0.005).collect();
        let tiles = each.iter().filter(|(index, _)| index.starts_with("tiles")).fold(0.0, |sum, (_, scans)| sum + scans);
        eprintln!(
            "{}: index searches a request: {}",
            cases[at].0,
            each.iter().map(|(index, scans)| format!("{index} {scans:.2}")).collect::<Vec<_>>().join(", ")
        );
        let case = format!("index searches for the path, {}", cases[at].0);
        rows.push(Row {
            case,
            value: tiles,
            against: "three".into(),
            limit: 3.0,
            unit: "",
            aim: if at == 1 { Some(0.0..=1.0) } else { None },
        });
    }
    let facts = json!({ "requests": requests, "entries": entries, "batches": batches, "bytes": stage.length, "connections": ask::CONNECTIONS,
        "postgres": stage.database.version, "cores": std::thread::available_parallelism()?.get() });
    report::print("receipt", &facts, &rows, arguments.flag("--json"));
    server.block_on(stage.database.stop());
    Ok(())
}
