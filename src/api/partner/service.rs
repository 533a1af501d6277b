//! `GET /v1/status`: how the service is doing.

use axum::Json;
use axum::http::header::{CACHE_CONTROL, ETAG};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use sceau_verifier::{Address, ChainRef, Digest};
use schemars::JsonSchema;
use serde::Serialize;
use time::OffsetDateTime;

use crate::api::error::{Code, Result};
use crate::api::openapi::schema;
use crate::api::{Deadline, State, conditional};
use crate::ledger::status::{ServiceStatus, TargetStatus};
use crate::ledger::targets::asides::EndpointAside;

/// What changes all the time stands beside the facts: the tag is of the facts alone.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "ServiceStatus")]
pub(super) struct Answer<'a> {
    #[serde(with = "time::serde::rfc3339")]
    #[schemars(with = "schema::Time")]
    time: OffsetDateTime,
    oldest_pending_age: Option<i64>,
    #[serde(flatten)]
    facts: &'a Facts,
}

#[derive(JsonSchema, Serialize)]
struct Facts {
    #[serde(with = "time::serde::rfc3339")]
    #[schemars(with = "schema::Time")]
    next_seal: OffsetDateTime,
    last_sealed: Option<LastSealed>,
    oldest_pending: Option<Pending>,
    oldest_unanchored: Option<Oldest>,
    overdue: u64,
    policy: Policy,
    targets: Vec<Target>,
    halted: Vec<Halted>,
    aside: Vec<Aside>,
}

#[derive(JsonSchema, Serialize)]
struct LastSealed {
    batch: u64,
    #[serde(with = "time::serde::rfc3339")]
    #[schemars(with = "schema::Time")]
    sealed_at: OffsetDateTime,
}

#[derive(JsonSchema, Serialize)]
struct Pending {
    #[serde(with = "time::serde::rfc3339")]
    #[schemars(with = "schema::Time")]
    received_at: OffsetDateTime,
}

#[derive(JsonSchema, Serialize)]
struct Oldest {
    #[serde(with = "time::serde::rfc3339")]
    #[schemars(with = "schema::Time")]
    received_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    #[schemars(with = "schema::Time")]
    anchor_by: OffsetDateTime,
    overdue: bool,
}

#[derive(JsonSchema, Serialize)]
struct Policy {
    anchored_when: u64,
    of: usize,
    from_batch: u64,
}

#[derive(JsonSchema, Serialize)]
struct Target {
    #[schemars(with = "Option<schema::Chain>")]
    chain: Option<ChainRef>,
    #[schemars(with = "schema::Address")]
    registry: Address,
    #[serde(skip_serializing_if = "Option::is_none", with = "time::serde::rfc3339::option")]
    #[schemars(with = "schema::Time")]
    retired_at: Option<OffsetDateTime>,
    last_final: Option<LastFinal>,
    waiting: u64,
}

#[derive(JsonSchema, Serialize)]
struct LastFinal {
    batch: u64,
    block_number: u64,
    block_time: u64,
}

#[derive(JsonSchema, Serialize)]
struct Halted {
    step: String,
    why: String,
    #[serde(with = "time::serde::rfc3339")]
    #[schemars(with = "schema::Time")]
    since: OffsetDateTime,
}

/// An endpoint of a chain that is not used, by its place in the settings: which address that is concerns operators only.
#[derive(JsonSchema, Serialize)]
struct Aside {
    step: String,
    endpoint: u32,
    why: String,
    #[serde(with = "time::serde::rfc3339")]
    #[schemars(with = "schema::Time")]
    since: OffsetDateTime,
}

/// Public: no token is asked for. Says nothing about any account.
///
/// # Errors
/// When the database cannot be asked.
pub async fn status(api: State, headers: HeaderMap) -> Result<Response> {
    let status = api.overview.status().await?;
    let facts = Facts::of(&status, &api.deadline);
    let bytes = serde_json::to_vec(&facts).map_err(|error| Code::Internal.because(error))?;
    let tag = format!("W/\"{}\"", Digest::of(&bytes));
    let same = conditional::has(&headers, &tag);
    let head = [(CACHE_CONTROL, "public, max-age=5".to_owned()), (ETAG, tag)];
    if same {
        return Ok((StatusCode::NOT_MODIFIED, head).into_response());
    }
    let age = |received: OffsetDateTime| (status.now - received).whole_seconds().max(0);
    let answer = Answer { time: status.now, oldest_pending_age: status.oldest_pending.map(age), facts: &facts };
    Ok((head, Json(answer)).into_response())
}

impl Facts {
    fn of(status: &ServiceStatus, deadline: &Deadline) -> Self {
        Self {
            next_seal: deadline.next_seal(status.now),
            last_sealed: status.last_sealed.map(|(batch, sealed_at)| LastSealed { batch, sealed_at }),
            oldest_pending: status.oldest_pending.map(|received_at| Pending { received_at }),
            oldest_unanchored: status.oldest_unanchored.map(|received_at| {
                let anchor_by = deadline.kept(status.oldest_anchor_by, received_at);
                Oldest { received_at, anchor_by, overdue: status.now > anchor_by }
            }),
            overdue: status.overdue,
            policy: Policy {
                anchored_when: status.policy.needed,
                of: status.targets.iter().filter(|target| target.retired_at.is_none()).count(),
                from_batch: status.policy.from_batch,
            },
            targets: status.targets.iter().map(Target::of).collect(),
            halted: status
                .halts
                .iter()
                .map(|halt| Halted { step: halt.step.clone(), why: halt.why.clone(), since: halt.since })
                .collect(),
            aside: status.asides.iter().map(Aside::of).collect(),
        }
    }
}

impl Aside {
    fn of(aside: &EndpointAside) -> Self {
        Self { step: aside.step.clone(), endpoint: aside.endpoint, why: aside.why.clone(), since: aside.since }
    }
}

impl Target {
    fn of(target: &TargetStatus) -> Self {
        Self {
            chain: ChainRef::new(target.chain_id),
            registry: target.registry.into(),
            retired_at: target.retired_at,
            last_final: target.last_final.map(|(batch, block_number, block_time)| LastFinal { batch, block_number, block_time }),
            waiting: target.waiting,
        }
    }
}
