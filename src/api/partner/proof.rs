//! `GET /v1/proofs/{digest}` and its receipt.

use axum::Json;
use axum::extract::{Path, Query};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, VARY};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use sceau_verifier::{Digest, Salt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::validation::Progress;
use super::{AnchorView, Links};
use crate::api::access::caller::Caller;
use crate::api::error::{Code, Problem, Result};
use crate::api::openapi::schema;
use crate::api::receipt::Text;
use crate::api::{State, named, receipt};
use crate::ledger::intake::Detail;
use crate::ledger::proofs::{Proof, Status};
use crate::ledger::validations::{State as Standing, Validation};

/// A digest of the caller's, and how far it is.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "Proof")]
pub(super) struct Answer {
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
    overdue: bool,
    #[serde(flatten)]
    detail: Detail,
    #[schemars(with = "schema::Salt")]
    salt: Salt,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    anchors: Vec<AnchorView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    validation: Option<Progress>,
    links: Links,
}

/// The caller's proof of `digest`.
///
/// # Errors
/// [`Code::ProofUnknown`], also for a digest that waits for validators; [`Code::ProofErased`].
pub(super) async fn find(api: &State, caller: &Caller, digest: &Digest) -> Result<Proof> {
    match api.ledger.proof(caller.account, digest).await? {
        Some(proof) => Ok(proof),
        None => Err(gone(api, caller, digest).await?),
    }
}

/// Why there is no proof: nobody submitted it, or it was erased.
async fn gone(api: &State, caller: &Caller, digest: &Digest) -> Result<Problem> {
    let Some(erasure) = api.ledger.erasure(caller.account, digest).await? else { return Ok(super::unknown()) };
    let erased_at = erasure.erased_at.format(&Rfc3339).unwrap_or_default();
    let problem = Problem::new(Code::ProofErased).member("number", erasure.number).member("batch", erasure.batch);
    Ok(problem.member("erased_at", erased_at))
}

/// What the caller submitted: a proof, or a digest that is with its validators.
pub(super) enum Found {
    Proof(Box<Proof>),
    Held(Box<Validation>),
}

/// Like [`find`], digests that wait or were refused included.
///
/// # Errors
/// [`Code::ProofUnknown`].
pub(super) async fn find_any(api: &State, caller: &Caller, digest: &Digest) -> Result<Found> {
    if let Some(proof) = api.ledger.proof(caller.account, digest).await? {
        return Ok(Found::Proof(Box::new(proof)));
    }
    match api.ledger.validation_of(caller.account, digest).await? {
        // Accepted between the two questions.
        Some(validation) if validation.state == Standing::Accepted => {
            find(api, caller, digest).await.map(|proof| Found::Proof(Box::new(proof)))
        }
        Some(validation) => Ok(Found::Held(Box::new(validation))),
        None => Err(gone(api, caller, digest).await?),
    }
}

/// `GET /v1/proofs/{digest}`: what became of a digest of the caller's.
///
/// # Errors
/// [`Code::DigestInvalid`], [`Code::ProofUnknown`].
pub async fn status(api: State, caller: Caller, Path(digest): Path<String>) -> Result<Json<impl Serialize>> {
    let proof = match find_any(&api, &caller, &super::digest_of_path(&digest)?).await? {
        Found::Proof(proof) => *proof,
        Found::Held(validation) => return Ok(Json(held(&api, *validation))),
    };
    let anchors = if proof.status == Status::Pending { Vec::new() } else { super::anchors(&api, proof.batch).await? };
    let validation = api.ledger.validation_of(caller.account, &proof.digest).await?;
    let anchor_by = api.deadline.kept(proof.anchor_by, proof.received_at);
    Ok(Json(Answer {
        digest: proof.digest,
        status: proof.status,
        batch: Some(proof.batch),
        number: Some(proof.number),
        received_at: proof.received_at,
        anchor_by: Some(anchor_by),
        overdue: proof.status < Status::Anchored && api.ports.clock.now() > anchor_by,
        links: Links::of(&api, &proof.digest, proof.batch),
        detail: proof.detail,
        salt: proof.salt,
        anchors,
        validation: validation.map(|validation| Progress::of(&api, &validation)),
    }))
}

/// A digest that is with its validators: nothing is promised yet.
fn held(api: &State, validation: Validation) -> Answer {
    Answer {
        digest: validation.digest,
        status: super::validation::status(validation.state),
        batch: None,
        number: None,
        received_at: validation.received_at,
        anchor_by: None,
        overdue: false,
        salt: validation.salt,
        anchors: Vec::new(),
        validation: Some(Progress::of(api, &validation)),
        links: Links::waiting(api, &validation.digest, validation.id),
        detail: validation.detail,
    }
}

/// What the query of a receipt asks for.
#[derive(Deserialize, Default, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Wish {
    /// Not before the proof is final.
    #[serde(default, rename = "final")]
    only_final: bool,
}

impl Wish {
    /// # Errors
    /// [`Code::QueryInvalid`].
    pub(super) fn of(uri: &Uri) -> Result<Self> {
        let wish = Query::try_from_uri(uri).map_err(|_| Code::QueryInvalid.with("only final=true or final=false"))?;
        Ok(wish.0)
    }
}

/// `GET /v1/proofs/{digest}/receipt`: the receipt in its canonical bytes, as soon as the root is in a block. With
/// `?final=true` not before the proof is final.
///
/// # Errors
/// [`Code::ReceiptNotReady`], [`Code::ProofUnknown`], [`Code::DigestInvalid`], [`Code::QueryInvalid`].
pub async fn receipt(api: State, caller: Caller, Path(digest): Path<String>, uri: Uri, headers: HeaderMap) -> Result<Response> {
    let digest = super::digest_of_path(&digest)?;
    let wish = Wish::of(&uri)?;
    if let Some(text) = ready(receipt::text(&api.ledger, &api.known, caller.account, &digest).await?, &wish) {
        return Ok(answer(text, &headers));
    }
    match find_any(&api, &caller, &digest).await? {
        Found::Proof(proof) => give(&api, &proof, &wish, &headers).await,
        Found::Held(validation) => {
            let status = super::validation::status(validation.state).as_str();
            let detail = match validation.state {
                Standing::Refused => "a validator refused the document",
                _ => "the document waits for its validators",
            };
            Err(Code::ReceiptNotReady.with(detail).member("proof_status", status))
        }
    }
}

/// The receipt of a proof that the caller may see.
///
/// # Errors
/// [`Code::ReceiptNotReady`].
pub(super) async fn give(api: &State, proof: &Proof, wish: &Wish, headers: &HeaderMap) -> Result<Response> {
    match ready(receipt::text(&api.ledger, &api.known, proof.account, &proof.digest).await?, wish) {
        Some(text) => Ok(answer(text, headers)),
        None => Err(not_ready(api, proof)),
    }
}

/// The receipt, when it is as far as is wished. Decided by what is in it, not by a status read before: a reorg may come
/// between the two.
fn ready(text: Option<Text>, wish: &Wish) -> Option<Text> {
    text.filter(|text| if wish.only_final { text.finals >= text.needed } else { text.anchors > 0 })
}

fn answer(text: Text, headers: &HeaderMap) -> Response {
    let cache = if text.complete { "private, max-age=31536000, immutable" } else { "no-store" };
    let (tag, same) = named(&text.tag, headers);
    let head = [(CACHE_CONTROL, cache.to_owned()), (ETAG, tag), (VARY, "Authorization".to_owned())];
    if same {
        return (StatusCode::NOT_MODIFIED, head).into_response();
    }
    (head, [(CONTENT_TYPE, "application/json")], text.bytes).into_response()
}

fn not_ready(api: &State, proof: &Proof) -> Problem {
    let now = api.ports.clock.now();
    // Before the seal nothing can change; after it, blocks take some seconds.
    let wait =
        if proof.status == Status::Pending { (api.deadline.next_seal(now) - now).whole_seconds().clamp(1, 3600) } else { 15 };
    let anchor_by = api.deadline.kept(proof.anchor_by, proof.received_at).format(&Rfc3339).unwrap_or_default();
    Code::ReceiptNotReady
        .with(format!("the proof is {}", proof.status.as_str()))
        // Not `status`, which is the HTTP status in every problem.
        .member("proof_status", proof.status.as_str())
        .member("anchor_by", anchor_by)
        .retry_after(wait.unsigned_abs())
}
