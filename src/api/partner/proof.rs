//! `GET /v1/proofs/{digest}` and its receipt.

use axum::Json;
use axum::extract::{Path, Query};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use sceau_verifier::{Digest, Salt};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{AnchorView, Links};
use crate::api::State;
use crate::api::caller::Caller;
use crate::api::error::{Code, Problem, Result};
use crate::api::receipt;
use crate::ledger::intake::Detail;
use crate::ledger::proofs::{Proof, Status};

#[derive(Serialize)]
struct Answer {
    digest: Digest,
    status: Status,
    batch: u64,
    #[serde(with = "time::serde::rfc3339")]
    received_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    anchor_by: OffsetDateTime,
    overdue: bool,
    #[serde(flatten)]
    detail: Detail,
    salt: Salt,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    anchors: Vec<AnchorView>,
    links: Links,
}

pub(super) async fn find(api: &State, caller: &Caller, digest: &Digest) -> Result<Proof> {
    api.ledger.proof(caller.account, digest).await?.ok_or_else(super::unknown)
}

/// `GET /v1/proofs/{digest}`: what became of a digest of the caller's.
///
/// # Errors
/// [`Code::DigestInvalid`], [`Code::ProofUnknown`].
pub async fn status(api: State, caller: Caller, Path(digest): Path<String>) -> Result<Json<impl Serialize>> {
    let proof = find(&api, &caller, &super::digest_of_path(&digest)?).await?;
    let anchors = if proof.status == Status::Pending { Vec::new() } else { super::anchors(&api, proof.batch).await? };
    let anchor_by = api.deadline.of(proof.received_at);
    Ok(Json(Answer {
        digest: proof.digest,
        status: proof.status,
        batch: proof.batch,
        received_at: proof.received_at,
        anchor_by,
        overdue: proof.status < Status::Anchored && api.ports.clock.now() > anchor_by,
        links: Links::of(&api, &proof.digest, proof.batch),
        detail: proof.detail,
        salt: proof.salt,
        anchors,
    }))
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Wish {
    #[serde(default, rename = "final")]
    only_final: bool,
}

/// `GET /v1/proofs/{digest}/receipt`: the receipt in its canonical bytes, as soon as the root is in a block. With
/// `?final=true` not before a block is final.
///
/// # Errors
/// [`Code::ReceiptNotReady`], [`Code::ProofUnknown`], [`Code::DigestInvalid`], [`Code::QueryInvalid`].
pub async fn receipt(api: State, caller: Caller, Path(digest): Path<String>, uri: Uri, headers: HeaderMap) -> Result<Response> {
    let digest = super::digest_of_path(&digest)?;
    let wish = Query::<Wish>::try_from_uri(&uri).map_err(|_| Code::QueryInvalid.with("only final=true or final=false"))?.0;
    let proof = find(&api, &caller, &digest).await?;
    // Decided by what is in the receipt, not by the status read before: a reorg may come between the two.
    let enough = |anchor: &sceau_verifier::Anchor| !wish.only_final || anchor.evidence.is_some();
    let assembled =
        receipt::assemble(&api.ledger, &proof).await?.filter(|assembled| assembled.receipt.anchors.iter().any(enough));
    let Some(assembled) = assembled else { return Err(not_ready(&api, &proof)) };
    let cache = if assembled.complete { "private, max-age=31536000, immutable" } else { "no-store" };
    let tag = format!("\"{}\"", Digest::of(&assembled.bytes));
    let same = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    let same = same.map(|value| value.trim().trim_start_matches("W/")).any(|value| value == tag || value == "*");
    let head = [(CACHE_CONTROL, cache.to_owned()), (ETAG, tag)];
    if same {
        return Ok((StatusCode::NOT_MODIFIED, head).into_response());
    }
    Ok((head, [(CONTENT_TYPE, "application/json")], assembled.bytes).into_response())
}

fn not_ready(api: &State, proof: &Proof) -> Problem {
    let now = api.ports.clock.now();
    // Before the seal nothing can change; after it, blocks take some seconds.
    let wait =
        if proof.status == Status::Pending { (api.deadline.next_seal(now) - now).whole_seconds().clamp(1, 3600) } else { 15 };
    let anchor_by = api.deadline.of(proof.received_at).format(&Rfc3339).unwrap_or_default();
    Code::ReceiptNotReady
        .with(format!("the proof is {}", proof.status.as_str()))
        // Not `status`, which is the HTTP status in every problem.
        .member("proof_status", proof.status.as_str())
        .member("anchor_by", anchor_by)
        .retry_after(wait.unsigned_abs())
}
