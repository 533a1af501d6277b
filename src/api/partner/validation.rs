//! `/v1/validations`: what waits for a validator, and deciding about it.

use axum::Json;
use axum::extract::{Path, Query};
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use sceau_verifier::Digest;
use sceau_verifier::decision::{Choice, MAX_COMMENT};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

use super::proof::Wish;
use crate::api::State;
use crate::api::access::caller::Caller;
use crate::api::body::JsonBytes;
use crate::api::error::{Code, Result};
use crate::api::openapi::schema;
use crate::ledger::intake::Detail;
use crate::ledger::proofs::Status;
use crate::ledger::validations::{Decided, Decision, State as Standing, Validation, Waiting};

/// Items of a page when nothing is said, and at most.
const PAGE: (u32, u32) = (50, 200);

/// The status of a digest that stands so. One that is accepted is a proof and has a status of its own.
pub(super) fn status(state: Standing) -> Status {
    if state == Standing::Refused { Status::Refused } else { Status::AwaitingValidation }
}

/// How far a validation is, beside the digest it is about.
#[derive(Debug, JsonSchema, Serialize)]
pub(super) struct Progress {
    id: Uuid,
    approvals: u32,
    approvals_needed: u32,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    decisions: Vec<DecisionView>,
}

impl From<&Waiting> for Progress {
    fn from(waiting: &Waiting) -> Self {
        let (approvals, approvals_needed) = (waiting.approvals, waiting.approvals_needed);
        Self { id: waiting.id, approvals, approvals_needed, decisions: Vec::new() }
    }
}

impl Progress {
    pub(super) fn of(api: &State, validation: &Validation) -> Self {
        Self {
            id: validation.id,
            approvals: validation.approvals(),
            approvals_needed: validation.approvals_needed,
            decisions: DecisionView::all(api, validation),
        }
    }
}

#[derive(Debug, JsonSchema, Serialize)]
#[schemars(rename = "Decision")]
struct DecisionView {
    validator: String,
    #[schemars(with = "schema::Choice")]
    decision: Choice,
    #[serde(skip_serializing_if = "String::is_empty")]
    comment: String,
    #[serde(with = "time::serde::rfc3339")]
    #[schemars(with = "schema::Time")]
    decided_at: OffsetDateTime,
    #[schemars(with = "schema::Digest")]
    digest: Digest,
    statement: String,
    receipt: String,
}

impl DecisionView {
    fn all(api: &State, validation: &Validation) -> Vec<Self> {
        let view = |decision: &Decision| Self {
            validator: decision.validator_name.clone(),
            decision: decision.choice,
            comment: decision.comment.clone(),
            decided_at: decision.decided_at,
            digest: decision.digest,
            statement: decision.statement.clone(),
            receipt: format!("{}/v1/validations/{}/decisions/{}/receipt", api.public_url, validation.id, decision.digest),
        };
        validation.decisions.iter().map(view).collect()
    }
}

/// A validation as owner and validators see it. The salt is for the owner alone, who has it with the proof.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "Validation")]
pub(super) struct View {
    id: Uuid,
    state: Standing,
    account: String,
    #[schemars(with = "schema::Digest")]
    digest: Digest,
    #[serde(with = "time::serde::rfc3339")]
    #[schemars(with = "schema::Time")]
    received_at: OffsetDateTime,
    #[serde(skip_serializing_if = "Option::is_none", with = "time::serde::rfc3339::option")]
    #[schemars(with = "schema::Time")]
    settled_at: Option<OffsetDateTime>,
    approvals: u32,
    approvals_needed: u32,
    #[serde(flatten)]
    detail: Detail,
    decisions: Vec<DecisionView>,
}

impl View {
    fn of(api: &State, validation: Validation) -> Self {
        Self {
            id: validation.id,
            state: validation.state,
            digest: validation.digest,
            received_at: validation.received_at,
            settled_at: validation.settled_at,
            approvals: validation.approvals(),
            approvals_needed: validation.approvals_needed,
            decisions: DecisionView::all(api, &validation),
            account: validation.account_name,
            detail: validation.detail,
        }
    }
}

#[derive(Deserialize, Default, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Page {
    /// `next` of the page before.
    after: Option<Uuid>,
    /// Items of a page; 50 when nothing is said.
    #[schemars(range(min = 1, max = 200))]
    limit: Option<u32>,
}

#[derive(JsonSchema, Serialize)]
#[schemars(rename = "Validations")]
pub(super) struct List {
    validations: Vec<View>,
    /// What `after` must be for the next page; none when there is none.
    next: Option<Uuid>,
}

/// `GET /v1/validations`: what waits for the caller, oldest first.
///
/// # Errors
/// [`Code::QueryInvalid`].
pub async fn list(api: State, caller: Caller, uri: Uri) -> Result<Json<impl Serialize>> {
    let page = Query::<Page>::try_from_uri(&uri).map_err(|_| Code::QueryInvalid.with("only after=ID and limit=NUMBER"))?.0;
    let limit = page.limit.unwrap_or(PAGE.0);
    if !(1..=PAGE.1).contains(&limit) {
        return Err(Code::QueryInvalid.with(format!("limit is 1 to {}", PAGE.1)));
    }
    // One more than is shown tells whether there is another page.
    let mut found = api.ledger.waiting_for(caller.account, page.after, i64::from(limit) + 1).await?;
    let more = found.len() > limit as usize;
    found.truncate(limit as usize);
    let next = found.last().filter(|_| more).map(|last| last.id);
    Ok(Json(List { validations: found.into_iter().map(|validation| View::of(&api, validation)).collect(), next }))
}

/// Reads an id in its one spelling. What is none is as unknown as one that nobody has.
fn id(text: &str) -> Result<Uuid> {
    Uuid::try_parse(text).ok().filter(|id| id.hyphenated().to_string() == text).ok_or(Code::ValidationUnknown.into())
}

async fn find(api: &State, caller: &Caller, text: &str) -> Result<Validation> {
    Ok(api.ledger.validation(id(text)?, caller.account).await?.ok_or(Code::ValidationUnknown)?)
}

/// `GET /v1/validations/{id}`: for the owner and the owner's validators.
///
/// # Errors
/// [`Code::ValidationUnknown`], also for what is there but not for the caller.
pub async fn show(api: State, caller: Caller, Path(id): Path<String>) -> Result<Json<impl Serialize>> {
    let validation = find(&api, &caller, &id).await?;
    Ok(Json(View::of(&api, validation)))
}

/// What a validator says about a document.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Word")]
pub(super) struct Word {
    decision: Verb,
    #[serde(default)]
    #[schemars(length(max = MAX_COMMENT), regex(pattern = schema::NO_NUL))]
    comment: String,
}

#[derive(Deserialize, Clone, Copy, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Verb {
    Approve,
    Refuse,
}

/// `POST /v1/validations/{id}`: approves or refuses. Answers after the commit with how the document stands then;
/// repeating a decision is safe.
///
/// # Errors
/// [`Code::ValidationUnknown`], [`Code::ValidationSettled`], [`Code::DecisionDiffers`], [`Code::BodyInvalid`].
pub async fn decide(api: State, caller: Caller, Path(id): Path<String>, body: JsonBytes) -> Result<Json<impl Serialize>> {
    let id = self::id(&id)?;
    let word: Word = body.read()?;
    if word.comment.chars().nth(MAX_COMMENT).is_some() {
        return Err(Code::BodyInvalid.with(format!("comment has at most {MAX_COMMENT} characters")));
    }
    if word.comment.contains('\0') {
        return Err(Code::BodyInvalid.with("comment must not contain U+0000"));
    }
    let choice = match word.decision {
        Verb::Approve => Choice::Approved,
        Verb::Refuse => Choice::Refused,
    };
    api.intake.admits()?;
    let decided = api.ledger.decide(id, caller.account, choice, &word.comment, api.ports.entropy.as_ref()).await?;
    match decided {
        Decided::Stands(validation) => Ok(Json(View::of(&api, *validation))),
        Decided::Settled(validation) => Err(Code::ValidationSettled
            .with(format!("the document is {}", validation.state.as_str()))
            .member("state", validation.state.as_str())),
        Decided::Differs(validation) => {
            let mine = validation.decisions.iter().find(|decision| decision.validator == caller.account);
            let word = mine.map_or("", |decision| decision.choice.as_str());
            Err(Code::DecisionDiffers.with(format!("you {word} it before, and that stands")).member("decision", word))
        }
        Decided::Unknown => Err(Code::ValidationUnknown.into()),
    }
}

/// `GET /v1/validations/{id}/decisions/{digest}/receipt`: the receipt of a decision's statement, for the owner and the
/// owner's validators. The owner has the same as the receipt of the digest.
///
/// # Errors
/// [`Code::ValidationUnknown`], [`Code::ReceiptNotReady`], [`Code::QueryInvalid`].
pub async fn receipt(
    api: State,
    caller: Caller,
    Path((id, digest)): Path<(String, String)>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response> {
    let wish = Wish::of(&uri)?;
    let validation = find(&api, &caller, &id).await?;
    let decision = validation.decisions.iter().find(|decision| decision.digest.to_string() == digest);
    let decision = decision.ok_or(Code::ValidationUnknown)?;
    let proof = api.ledger.proof(validation.account, &decision.digest).await?.ok_or(Code::ValidationUnknown)?;
    super::proof::give(&api, &proof, &wish, &headers).await
}
