//! `POST /v1/proofs`: accepts digests, or stores them with their validators. What all forms of a submission share; a stream
//! of lines is read and answered in [`super::bulk`].

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

use super::item::{self, Body, MOST, Read};
use super::validation::Progress;
use super::{Links, bulk, idempotency};
use crate::api::State;
use crate::api::body::{JsonBytes, media_type};
use crate::api::caller::Caller;
use crate::api::error::{Code, ItemError, Problem, Result};
use crate::api::limit::Quota;
use crate::api::openapi::schema;
use crate::api::promise;
use crate::ledger::LedgerError;
use crate::ledger::accounts::AccountId;
use crate::ledger::intake::{Accepted, IntakeError, Submission};
use crate::ledger::proofs::Status;
use crate::ledger::validations::{Asked, Request, Waiting};
use crate::ports::Ports;

/// Faults listed at most; all are counted.
const LISTED: usize = 100;

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
/// now). Repeating a submission is always safe. When one item is not in order nothing is stored. Items that wait for
/// validators are stored before the others.
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
    let items = read(&body)?;
    let again = || read(&body);
    let quota = ask_quota(&api, &caller, &items).await?;
    let asked = ask(&api, caller.account, &items, &ports).await?;
    let accepted = accept(&api, &caller, items, &again, &quota, &ports).await?;
    let outcomes = merge(asked, accepted);
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

/// What became of one item.
#[derive(Clone, Copy)]
pub(super) enum Outcome {
    Accepted(Accepted),
    Waiting(Waiting),
}

impl Outcome {
    /// What is promised about it.
    pub(super) fn promised(&self) -> Option<Record> {
        match self {
            Self::Accepted(proof) => {
                promise::record((proof.digest, proof.salt), (proof.number, proof.batch), (proof.received_at, proof.anchor_by?))
            }
            Self::Waiting(_) => None,
        }
    }

    /// The batch of a proof that was there before.
    fn older(&self) -> Option<u64> {
        match self {
            Self::Accepted(proof) if !proof.fresh => Some(proof.batch),
            _ => None,
        }
    }
}

/// The commit runs in a task of its own, or in the database alone: ending the wait, or a client that goes away, does not
/// undo it half-way.
async fn in_time<T>(api: &State, work: impl Future<Output = Result<T>>) -> Result<T> {
    let late = |_| Problem::from(Code::Unavailable).cause("no commit in time").retry_after(2);
    tokio::time::timeout(api.limits.commit, work).await.map_err(late)?
}

/// Stores what waits for validators; answers with the places of these items.
///
/// # Errors
/// [`Code::ValidatorsMissing`], [`Code::PoolFull`], [`Code::Unavailable`], [`Code::ReadOnly`].
pub(super) async fn ask(api: &State, account: AccountId, items: &[Read], ports: &Ports) -> Result<Vec<(usize, Outcome)>> {
    let (places, requests): (Vec<usize>, Vec<Request>) = items
        .iter()
        .enumerate()
        .filter(|(_, item)| item.validation)
        .map(|(at, item)| (at, Request { digest: item.digest, detail: item.detail.clone(), again: item.again }))
        .unzip();
    if requests.is_empty() {
        return Ok(Vec::new());
    }
    api.intake.admits()?;
    let asked = async { Ok(api.ledger.await_validation(account, &requests, ports).await?) };
    let asked: Vec<Asked> = in_time(api, asked).await?;
    let outcomes = asked.into_iter().map(|asked| match asked {
        Asked::Waiting(waiting) => Outcome::Waiting(waiting),
        Asked::Accepted(accepted) => Outcome::Accepted(accepted),
    });
    Ok(places.into_iter().zip(outcomes).collect())
}

/// Accepts the others; one that waits, or was refused, is answered as it stands. `again` reads the items anew.
///
/// # Errors
/// [`Code::QuotaExceeded`], [`Code::PoolFull`], [`Code::Unavailable`], [`Code::ReadOnly`].
pub(super) async fn accept(
    api: &State,
    caller: &Caller,
    items: Vec<Read>,
    again: &(impl Fn() -> Result<Vec<Read>> + Sync),
    quota: &Quota,
    ports: &Ports,
) -> Result<Vec<(usize, Outcome)>> {
    // One for each item, so that it does not matter which of them are held.
    let mut salts = vec![[0; Salt::LEN]; items.len()];
    ports.entropy.fill(salts.as_flattened_mut());
    in_time(api, accept_all(api, caller, items, again, quota, &salts)).await
}

async fn accept_all(
    api: &State,
    caller: &Caller,
    items: Vec<Read>,
    again: &(impl Fn() -> Result<Vec<Read>> + Sync),
    quota: &Quota,
    drawn: &[[u8; Salt::LEN]],
) -> Result<Vec<(usize, Outcome)>> {
    let account = caller.account;
    let mut items = Some(items);
    let mut held: HashMap<Digest, Waiting> = HashMap::new();
    // Twice at most, unless digests begin to wait at this very moment. What is held is seldom there, so the items are
    // handed over for good, and read again when they are needed again.
    for _ in 0..4 {
        let (mut places, mut rest, mut salts, mut outcomes) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (at, item) in items.take().map_or_else(again, Ok)?.into_iter().enumerate() {
            match held.get(&item.digest) {
                _ if item.validation => {}
                Some(waiting) => outcomes.push((at, Outcome::Waiting(*waiting))),
                None => {
                    places.push(at);
                    salts.extend(drawn.get(at).copied().map(Salt::from));
                    rest.push(Submission { account, digest: item.digest, detail: item.detail });
                }
            }
        }
        match api.intake.accept_with(rest, salts).await {
            Ok(accepted) => {
                outcomes.extend(places.into_iter().zip(accepted.into_iter().map(Outcome::Accepted)));
                return Ok(outcomes);
            }
            Err(IntakeError::Ledger(error)) if matches!(*error, LedgerError::Held) => {
                let direct = again()?.into_iter().filter(|item| !item.validation);
                held = api.ledger.held(account, &direct.map(|item| item.digest).collect::<Vec<_>>()).await?;
            }
            Err(IntakeError::Ledger(error)) if matches!(*error, LedgerError::OverQuota(_)) => return Err(quota.exceeded()),
            Err(error) => return Err(error.into()),
        }
    }
    Err(Code::Unavailable.because("digests begin to wait again and again").retry_after(2))
}

/// In the order of the items.
pub(super) fn merge(asked: Vec<(usize, Outcome)>, accepted: Vec<(usize, Outcome)>) -> Vec<(usize, Outcome)> {
    let mut all: Vec<(usize, Outcome)> = asked.into_iter().chain(accepted).collect();
    all.sort_unstable_by_key(|(at, _)| *at);
    all
}

fn read(body: &JsonBytes) -> Result<Vec<Read>> {
    let body = body.read::<Body<'_>>()?;
    let (items, validation) = (body.proofs, body.validation);
    if !(1..=MOST).contains(&items.count) {
        return Err(Code::ProofsCount.with(format!("a submission has 1 to {MOST} proofs, this has {}", items.count)));
    }
    let (mut read, mut faults, mut count) = (Vec::with_capacity(items.count), Vec::new(), 0);
    for (index, raw) in items.kept.into_iter().enumerate() {
        match item::read(raw, validation) {
            Ok(item) => read.push(item),
            Err((code, detail)) => {
                count += 1;
                if faults.len() < LISTED {
                    faults.push(ItemError { index, code, detail });
                }
            }
        }
    }
    if count == 0 {
        return Ok(read);
    }
    let listed = serde_json::to_value(&faults).map_err(|error| Code::Internal.because(error))?;
    let detail = format!("{count} of {} proofs are not in order; nothing was stored", items.count);
    Err(Code::ProofsInvalid.with(detail).member("errors", listed).member("error_count", count))
}
