//! Sealing one large batch, beside what it cannot be faster than: bare hashing of the same tree and Postgres's own COPY
//! of the same rows. Prints values and ratios, as JSON with `--json`.
//!
//! `cargo bench --bench seal -- [--entries 1000000] [--json]`

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures_util::TryStreamExt;
use sceau::dev::postgres::{self, Options};
use sceau::ledger::accounts::Role;
use sceau::ledger::intake::{Intake, Limits, Submission};
use sceau::ledger::{Ledger, guarded};
use sceau::pipeline::schedule::Schedule;
use sceau::pipeline::seal::Sealer;
use sceau::ports::{Entropy, SystemEntropy};
use sceau_verifier::{Digest, merkle};
use sqlx::AssertSqlSafe;
use sqlx::postgres::{PgPool, PgPoolCopyExt, PgPoolOptions};
use uuid::Uuid;

/// Digests in one submission, the API's bound.
const CHUNK: u64 = 10_000;

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let entries = match arguments.iter().position(|argument| argument == "--entries") {
        Some(place) => arguments.get(place + 1).context("--entries wants a number")?.parse()?,
        None => 1_000_000,
    };
    let json = arguments.iter().any(|argument| argument == "--json");

    let folder = std::env::temp_dir().join(format!("sceau-bench-{}", std::process::id()));
    let options = Options {
        data: &folder,
        port: None,
        database: "bench",
        password: "bench",
        binaries: None,
        settings: &[("max_wal_size", "4GB")],
        throw_away: true,
    };
    let postgres = postgres::start(options, &|line| eprintln!("{line}")).await?;
    let ledger = Ledger::connect(&postgres.url, 8)?;
    ledger.migrate().await?;
    let pool = guarded(PgPoolOptions::new()).connect(&postgres.url).await?;
    let figures = measure(&ledger, &pool, entries).await?;
    if json {
        println!("{}", figures.json())
    } else {
        print!("{}", figures.text())
    }
    ledger.close().await;
    pool.close().await;
    postgres.stop().await;
    Ok(())
}

struct Figures {
    entries: u64,
    submit: Duration,
    hashing: Duration,
    copy_out: Duration,
    copy_in: Duration,
    seal: Duration,
    peak: Option<u64>,
    postgres: String,
}

async fn measure(ledger: &Ledger, pool: &PgPool, entries: u64) -> Result<Figures> {
    let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
    let account = ledger.create_account("bench", Role::Partner, "ck_bench", [0; 32]).await?;
    let (intake, _lanes) = Intake::start(ledger, &entropy, Limits::default());
    let started = Instant::now();
    for start in (0..entries).step_by(CHUNK as usize) {
        let chunk = (start..entries.min(start + CHUNK)).map(|n| Digest::of(&n.to_be_bytes()));
        let accepted = intake.accept(chunk.map(|digest| Submission { account, digest, detail: None }).collect()).await?;
        ensure!(accepted.iter().all(|one| one.batch == 1 && one.fresh));
    }
    let submit = started.elapsed();
    sqlx::query("vacuum analyze proofs").execute(pool).await?;

    reset_peak();
    let sealer = Sealer {
        ledger: ledger.clone(),
        origin: "bench".into(),
        schedule: Schedule::parse("0 0 0 1 1 *")?,
        threshold: u64::MAX >> 1,
        holder: Uuid::from_u128(1),
    };
    let started = Instant::now();
    ensure!(sealer.seal_now().await? == Some(1));
    let (seal, peak) = (started.elapsed(), peak());

    let hashing = bare_hashing(entries);
    let copy_out = copy_out(pool).await?;
    let copy_in = copy_in(pool).await?;
    let postgres = sqlx::query_scalar("show server_version").fetch_one(pool).await?;
    Ok(Figures { entries, submit, hashing, copy_out, copy_in, seal, peak, postgres })
}

/// One thread, no tree: as many leaf and node hashes as the tree has.
fn bare_hashing(entries: u64) -> Duration {
    let started = Instant::now();
    let mut entry = [7; 48];
    let mut node = [0; 32];
    for n in 0..entries {
        entry[..8].copy_from_slice(&n.to_be_bytes());
        node = merkle::leaf_hash(&entry).into();
    }
    for _ in 0..entries {
        node = merkle::node_hash(&node, &node);
    }
    std::hint::black_box(node);
    started.elapsed()
}

/// The entries as Postgres gives them, read and thrown away.
async fn copy_out(pool: &PgPool) -> Result<Duration> {
    let started = Instant::now();
    let mut stream =
        pool.copy_out_raw("copy (select digest, salt from proofs where batch = 1) to stdout (format binary)").await?;
    let mut bytes = 0;
    while let Some(chunk) = stream.try_next().await? {
        bytes += chunk.len();
    }
    std::hint::black_box(bytes);
    Ok(started.elapsed())
}

/// The tiles as Postgres takes them: the same rows into a table of the same shape and indexes.
async fn copy_in(pool: &PgPool) -> Result<Duration> {
    let mut rows = Vec::new();
    let mut stream = pool.copy_out_raw("copy tiles to stdout (format binary)").await?;
    while let Some(chunk) = stream.try_next().await? {
        rows.push(chunk);
    }
    drop(stream);
    sqlx::query(AssertSqlSafe("create table tiles_again (like tiles including all)")).execute(pool).await?;
    let started = Instant::now();
    let mut copy = pool.copy_in_raw("copy tiles_again from stdin (format binary)").await?;
    for row in rows {
        copy.send(row).await?;
    }
    copy.finish().await?;
    Ok(started.elapsed())
}

/// Has Linux forget the peak so far.
fn reset_peak() {
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

/// Peak resident memory of this process, bytes; where the system tells.
fn peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib * 1024)
}

impl Figures {
    fn limit(&self) -> Duration {
        self.hashing + self.copy_out + self.copy_in
    }

    fn ratio(&self) -> f64 {
        self.seal.as_secs_f64() / self.limit().as_secs_f64()
    }

    fn text(&self) -> String {
        let mut text = format!("sealing {} entries, Postgres {}\n", self.entries, self.postgres);
        for (name, time) in [
            ("submitting (10,000 a time)", self.submit),
            ("limit: bare hashing", self.hashing),
            ("limit: COPY of the entries", self.copy_out),
            ("limit: COPY of the tiles", self.copy_in),
            ("limit together", self.limit()),
            ("seal", self.seal),
        ] {
            let _ = writeln!(text, "  {name:<28} {:>9.3} s", time.as_secs_f64());
        }
        let _ = writeln!(text, "  {:<28} {:>9.2} × limit", "ratio", self.ratio());
        if let Some(peak) = self.peak {
            let _ = writeln!(text, "  {:<28} {:>9} MiB", "peak memory while sealing", peak >> 20);
        }
        text
    }

    fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "bench": "seal", "entries": self.entries, "postgres": self.postgres, "submit_s": self.submit.as_secs_f64(),
            "hashing_s": self.hashing.as_secs_f64(), "copy_out_s": self.copy_out.as_secs_f64(),
            "copy_in_s": self.copy_in.as_secs_f64(), "seal_s": self.seal.as_secs_f64(), "ratio": self.ratio(),
            "peak_bytes": self.peak,
        })
    }
}
