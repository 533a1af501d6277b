//! `GET /v1/status`: how the service is doing.

use axum::Json;
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse, Response};
use sceau_verifier::{Address, ChainRef};
use serde::Serialize;
use time::OffsetDateTime;

use crate::api::State;
use crate::api::error::Result;

#[derive(Serialize)]
struct Answer {
    #[serde(with = "time::serde::rfc3339")]
    time: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    next_seal: OffsetDateTime,
    last_sealed: Option<LastSealed>,
    oldest_unanchored: Option<Oldest>,
    targets: Vec<Target>,
    halted: Vec<Halted>,
    aside: Vec<Aside>,
}

#[derive(Serialize)]
struct LastSealed {
    batch: u64,
    #[serde(with = "time::serde::rfc3339")]
    sealed_at: OffsetDateTime,
}

#[derive(Serialize)]
struct Oldest {
    #[serde(with = "time::serde::rfc3339")]
    received_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    anchor_by: OffsetDateTime,
    overdue: bool,
}

#[derive(Serialize)]
struct Target {
    chain: Option<ChainRef>,
    registry: Address,
    last_final: Option<LastFinal>,
    waiting: u64,
}

#[derive(Serialize)]
struct LastFinal {
    batch: u64,
    block_number: u64,
    block_time: u64,
}

#[derive(Serialize)]
struct Halted {
    step: String,
    why: String,
    #[serde(with = "time::serde::rfc3339")]
    since: OffsetDateTime,
}

/// An endpoint of a chain that is not used, by its place in the settings: which address that is concerns operators only.
#[derive(Serialize)]
struct Aside {
    step: String,
    endpoint: u32,
    why: String,
    #[serde(with = "time::serde::rfc3339")]
    since: OffsetDateTime,
}

/// Public: no token is asked for. Says nothing about any account.
///
/// # Errors
/// When the database cannot be asked.
pub async fn status(api: State) -> Result<Response> {
    let status = api.ledger.service_status().await?;
    let asides = api.ledger.asides().await?;
    let now = status.now;
    let answer = Answer {
        time: now,
        next_seal: api.deadline.next_seal(now),
        last_sealed: status.last_sealed.map(|(batch, sealed_at)| LastSealed { batch, sealed_at }),
        // The oldest has the earliest deadline: when it is in time, all are.
        oldest_unanchored: status.oldest_unanchored.map(|received_at| {
            let anchor_by = api.deadline.of(received_at);
            Oldest { received_at, anchor_by, overdue: now > anchor_by }
        }),
        targets: status
            .targets
            .into_iter()
            .map(|target| Target {
                chain: ChainRef::new(target.chain_id),
                registry: target.registry.into(),
                last_final: target.last_final.map(|(batch, block_number, block_time)| LastFinal {
                    batch,
                    block_number,
                    block_time,
                }),
                waiting: target.waiting,
            })
            .collect(),
        halted: status.halts.into_iter().map(|halt| Halted { step: halt.step, why: halt.why, since: halt.since }).collect(),
        aside: asides
            .into_iter()
            .map(|aside| Aside { step: aside.step, endpoint: aside.endpoint, why: aside.why, since: aside.since })
            .collect(),
    };
    Ok(([(CACHE_CONTROL, "public, max-age=5")], Json(answer)).into_response())
}
