//! `POST /v1/proofs`: accepts digests, or stores them with their validators. What all forms of a submission share; a stream
//! of lines is read and answered in [`super::bulk`].

mod body;
mod store;
mod together;

use std::collections::HashMap;

use axum::Json;
use axum::extract::{FromRequest, Request as HttpRequest};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use sceau_verifier::promise::Record;
use sceau_verifier::{Digest, Salt};
use schemars::JsonSchema;
use serde::Serialize;
use time::OffsetDateTime;

pub(super) use self::store::{Outcome, accept, ask, merge};
use super::item::Read;
use super::validation::Progress;
use super::{Links, bulk, idempotency};
use crate::api::State;
use crate::api::access::caller::Caller;
use crate::api::access::limit::Quota;
use crate::api::body::{JsonBytes, media_type};
use crate::api::error::{Code, Result};
use crate::api::openapi::schema;
use crate::api::promise;
use crate::ledger::proofs::Status;
use crate::ports::Ports;

/// What was accepted, in the order of the items.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "Accepted")]
pub(super) struct Answer {
    proofs: Vec<Acknowledged>,
    /// About every item that has an `anchor_by`; absent where none has.
    #[serde(skip_serializing_if = "Option::is_none")]
    promise: Option<String>,
}

/// What the submitter gets for one item.
#[derive(JsonSchema, Serialize)]
pub(super) struct Acknowledged {
    #[schemars(with = "schema::Digest")]
    digest: Digest,
    status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    batch: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    number: Option<u64>,
    #[serde(with = "time::serde::rfc3339")]
    #[schemars(with = "schema::Time")]
    received_at: OffsetDateTime,
    #[serde(skip_serializing_if = "Option::is_none", with = "time::serde::rfc3339::option")]
    #[schemars(with = "schema::Time")]
    anchor_by: Option<OffsetDateTime>,
    pub(super) created: bool,
    #[schemars(with = "schema::Salt")]
    salt: Salt,
    #[serde(skip_serializing_if = "Option::is_none")]
    validation: Option<Progress>,
    #[serde(skip_serializing_if = "Option::is_none")]
    links: Option<Links>,
}

impl Acknowledged {
    /// Without links: they follow from the digest.
    pub(super) fn short(self) -> Self {
        Self { links: None, ..self }
    }
}

/// Answers after the commit: 201 when every item is new, 200 when the account had submitted one of them before (or twice
/// now). Repeating a submission is always safe. When one item is not in order, or one is refused, nothing is stored.
///
/// # Errors
/// [`Code::ProofsCount`], [`Code::ProofsInvalid`], [`Code::SubscriptionExpired`], [`Code::QuotaExceeded`],
/// [`Code::ValidatorsMissing`], [`Code::PoolFull`], [`Code::Unavailable`].
pub async fn submit(api: State, caller: Caller, request: HttpRequest) -> Result<Response> {
    caller.subscribed(api.ports.clock.now())?;
    let key = idempotency::key(request.headers())?;
    if media_type(request.headers()) == bulk::MEDIA {
        return match key {
            None => bulk::submit(api, caller, request).await,
            Some(_) => Err(Code::IdempotencyKeyInvalid.with("a stream of lines has no key: sending it again is safe")),
        };
    }
    let body = JsonBytes::from_request(request, &api).await?;
    let Some(key) = key else {
        let ports = api.ports.clone();
        return whole(api, caller, body, ports).await;
    };
    let of = idempotency::Request { key, fingerprint: body.fingerprint("POST /v1/proofs") };
    idempotency::once(api.clone(), caller.clone(), of, move |ports| whole(api, caller, body, ports)).await
}

/// A submission that is read and answered as a whole. Salts are drawn from `ports`.
async fn whole(api: State, caller: Caller, body: JsonBytes, ports: Ports) -> Result<Response> {
    let items = body::read(&body)?;
    let again = || body::read(&body);
    let quota = ask_quota(&api, &caller, &items).await?;
    // One step that stores, in each case: what is refused has stored nothing.
    let waiting = items.iter().filter(|item| item.validation).count();
    let outcomes = if waiting == 0 {
        store::accept(&api, &caller, items, &again, &quota, &ports).await?
    } else if waiting == items.len() {
        store::ask(&api, caller.account, &items, &ports).await?
    } else {
        together::store(&api, &caller, &items, &quota, &ports).await?
    };
    quota.note(fresh(&outcomes));
    let promised: Vec<Record> = outcomes.iter().filter_map(|(_, outcome)| outcome.promised()).collect();
    let promise = promise::sign(&api, &caller.name, &promised);
    let proofs = acknowledge(&api, outcomes.into_iter().map(|(_, outcome)| outcome).collect()).await?;
    let status = if proofs.iter().all(|proof| proof.created) { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(Answer { proofs, promise })).into_response())
}

/// What waits for validators costs nothing, nor does what they decide.
pub(super) async fn ask_quota(api: &State, caller: &Caller, items: &[Read]) -> Result<Quota> {
    Quota::ask(api, caller, items.iter().filter(|item| !item.validation).map(|item| item.digest)).await
}

/// How many were accepted for the first time.
pub(super) fn fresh(outcomes: &[(usize, Outcome)]) -> u64 {
    outcomes.iter().filter(|(_, outcome)| matches!(outcome, Outcome::Accepted(proof) if proof.fresh)).count() as u64
}

/// What is told of each outcome, in their order.
pub(super) async fn acknowledge(api: &State, outcomes: Vec<Outcome>) -> Result<Vec<Acknowledged>> {
    // A batch that takes new proofs is not sealed: only older ones need a look.
    let mut older: Vec<u64> = outcomes.iter().filter_map(Outcome::older).collect();
    older.sort_unstable();
    older.dedup();
    let statuses = if older.is_empty() { HashMap::new() } else { api.ledger.batch_statuses(&older).await? };
    let told = |outcome| match outcome {
        Outcome::Accepted(proof) => Acknowledged {
            digest: proof.digest,
            status: statuses.get(&proof.batch).copied().unwrap_or(Status::Pending),
            batch: Some(proof.batch),
            number: Some(proof.number),
            received_at: proof.received_at,
            anchor_by: proof.anchor_by,
            created: proof.fresh,
            salt: proof.salt,
            validation: None,
            links: Some(Links::of(api, &proof.digest, proof.batch)),
        },
        Outcome::Waiting(waiting) => Acknowledged {
            digest: waiting.digest,
            status: super::validation::status(waiting.state),
            batch: None,
            number: None,
            received_at: waiting.received_at,
            anchor_by: None,
            created: waiting.fresh,
            salt: waiting.salt,
            validation: Some(Progress::from(&waiting)),
            links: Some(Links::waiting(api, &waiting.digest, waiting.id)),
        },
    };
    Ok(outcomes.into_iter().map(told).collect())
}
