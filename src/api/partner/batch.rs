//! `GET /v1/batches/{number}`: what anybody may know of a batch.

use axum::Json;
use axum::extract::Path;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use sceau_verifier::Digest;
use serde::Serialize;
use time::OffsetDateTime;

use super::AnchorView;
use crate::api::error::{Code, Result};
use crate::api::{State, etag};
use crate::ledger::anchors::AnchorState;
use crate::ledger::batches::Batch;

#[derive(Serialize)]
struct Unsealed {
    number: u64,
    state: &'static str,
}

#[derive(Serialize)]
struct Sealed {
    number: u64,
    state: &'static str,
    header: String,
    size: u64,
    root: Digest,
    #[serde(with = "time::serde::rfc3339")]
    sealed_at: OffsetDateTime,
    anchored_when: u64,
    anchors: Vec<AnchorView>,
}

/// A batch that a registry has and this service lost.
#[derive(Serialize)]
struct Lost {
    number: u64,
    state: &'static str,
    size: u64,
    root: Digest,
    anchors: Vec<AnchorView>,
}

/// A number in a path: decimal, no sign, no leading zero, so that every batch and tile has one address.
pub(in crate::api) fn number(text: &str) -> Option<u64> {
    let canonical = text == "0" || (!text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit()));
    text.parse().ok().filter(|_| canonical)
}

/// Public: no token is asked for. How many proofs wait in an unsealed batch is not said.
///
/// # Errors
/// [`Code::BatchUnknown`].
pub async fn batch(api: State, Path(number): Path<String>, headers: HeaderMap) -> Result<Response> {
    let number = self::number(&number).ok_or(Code::BatchUnknown)?;
    let sealed = match api.ledger.batch(number).await?.ok_or(Code::BatchUnknown)? {
        Batch::Sealed(sealed) => sealed,
        Batch::Lost { size, root, .. } => {
            let anchors = super::anchors(&api, number).await?;
            return Ok(Json(Lost { number, state: "lost", size, root: root.into(), anchors }).into_response());
        }
        Batch::Unsealed { closed_at, .. } => {
            return Ok(Json(Unsealed { number, state: if closed_at.is_some() { "closed" } else { "open" } }).into_response());
        }
    };
    let anchors = super::anchors(&api, number).await?;
    // Not for ever: a registry may be added that takes older batches too.
    let settled = !anchors.is_empty() && anchors.iter().all(|anchor| anchor.state == AnchorState::Final);
    let cache = if settled { "public, max-age=3600" } else { "public, max-age=5" };
    let answer = Sealed {
        number,
        state: "sealed",
        header: sealed.header,
        size: sealed.size,
        root: sealed.root.into(),
        sealed_at: sealed.sealed_at,
        anchored_when: api.ledger.anchors_needed(number).await?,
        anchors,
    };
    let body = serde_json::to_vec(&answer).map_err(|error| Code::Internal.because(error))?;
    let (tag, same) = etag(&body, &headers);
    let head = [(CACHE_CONTROL, cache.to_owned()), (ETAG, tag)];
    if same {
        return Ok((StatusCode::NOT_MODIFIED, head).into_response());
    }
    Ok((head, [(CONTENT_TYPE, "application/json")], body).into_response())
}
