//! Submitting while batches are sealed, beside submitting while none is.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use sceau::pipeline::seal::Sealer;
use sqlx::postgres::PgPool;

use crate::kit::load::{self, Outcome, Plan};
use crate::kit::report::Row;
use crate::kit::server::Served;
use crate::kit::single::Single;
use crate::limits::checkpoint;

/// Connections.
const AT_ONCE: usize = 64;
/// Requests that find the rate that is sustained.
const REQUESTS: u64 = 20_000;

/// Submits at half the rate that is sustained: before, while `batches` closed batches are sealed one after the other, and
/// afterwards. `alone` is how long the seal of such a batch takes by itself.
pub async fn measure(
    client: &tokio::runtime::Runtime,
    (served, token): &(Served, String),
    sealer: &Sealer,
    pool: &PgPool,
    batches: u32,
    alone: Duration,
) -> Result<Vec<Row>> {
    let mut first = 0;
    let mut go = |requests: u64, rate: Option<f64>| {
        let plan = Plan {
            address: served.address,
            authorization: Some(token.clone()),
            streams: 1,
            at_once: AT_ONCE,
            requests,
            rate,
            first,
        };
        first += requests;
        client.spawn(async move { load::run(&plan, Arc::new(Single)).await })
    };
    go(REQUESTS / 4, None).await??;
    let rate = go(REQUESTS, None).await??.rate() / 2.0;
    // Sealing is slower beside submissions than alone, so it goes on for as long as these.
    let requests = (rate * alone.as_secs_f64() * f64::from(batches)) as u64;

    checkpoint(pool).await?;
    let before = go(requests, Some(rate)).await??;
    checkpoint(pool).await?;
    let load = go(requests, Some(rate));
    let started = Instant::now();
    let sealed = sealer.seal_now();
    let sealed = async { anyhow::Ok((sealed.await?, started.elapsed())) };
    let during = async { anyhow::Ok((load.await??, started.elapsed())) };
    let ((sealed, took), (during, until)) = tokio::try_join!(sealed, during)?;
    ensure!(sealed.is_some_and(|number| number > u64::from(batches)), "not all batches were sealed");
    // Small batches may be sealed before the submissions end.
    let covered = (took.as_secs_f64() / until.as_secs_f64()).min(1.0) * 100.0;
    checkpoint(pool).await?;
    let after = go(requests, Some(rate)).await??;

    let mut without = Outcome { took: before.took + after.took, latencies: [before.latencies, after.latencies].concat() };
    without.latencies.sort_unstable();
    let mut rows = Vec::new();
    for (share, aim) in [(0.5, None), (0.99, Some(0.0..=2.0)), (0.999, None)] {
        rows.push(Row {
            case: format!("submit p{} at {rate:.0}/s, {covered:.0} % beside sealing", share * 100.0),
            value: during.quantile(share).as_secs_f64() * 1e3,
            against: "the same without sealing".into(),
            limit: without.quantile(share).as_secs_f64() * 1e3,
            unit: "ms",
            aim,
        });
    }
    rows.push(Row {
        case: "seal beside submissions, each".into(),
        value: took.as_secs_f64() * 1e3 / f64::from(batches),
        against: "seal alone".into(),
        limit: alone.as_secs_f64() * 1e3,
        unit: "ms",
        aim: None,
    });
    Ok(rows)
}
