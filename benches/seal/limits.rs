//! What a seal cannot be faster than, and how much memory it takes.

use std::time::{Duration, Instant};

use anyhow::Result;
use futures_util::TryStreamExt;
use sceau_verifier::merkle;
use sqlx::postgres::{PgPool, PgPoolCopyExt};

/// One thread, no tree: as many leaf and node hashes as the tree has.
pub fn bare_hashing(entries: u64) -> Duration {
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
pub async fn copy_out(pool: &PgPool) -> Result<Duration> {
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
pub async fn copy_in(pool: &PgPool) -> Result<Duration> {
    let mut rows = Vec::new();
    let mut stream =
        pool.copy_out_raw("copy (select * from tiles where batch = 1 order by level, index) to stdout (format binary)").await?;
    while let Some(chunk) = stream.try_next().await? {
        rows.push(chunk);
    }
    drop(stream);
    sqlx::query("create table tiles_again (like tiles including all)").execute(pool).await?;
    checkpoint(pool).await?;
    let started = Instant::now();
    let mut copy = pool.copy_in_raw("copy tiles_again from stdin (format binary)").await?;
    for row in rows {
        copy.send(row).await?;
    }
    copy.finish().await?;
    Ok(started.elapsed())
}

/// What was written is on the disk: it is not paid for by what is measured next.
pub async fn checkpoint(pool: &PgPool) -> Result<()> {
    sqlx::query("checkpoint").execute(pool).await?;
    Ok(())
}

/// Has Linux forget the peak so far.
pub fn reset_peak() {
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

/// Peak resident memory of this process, bytes; where the system tells.
pub fn peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib * 1024)
}
