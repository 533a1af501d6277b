//! `GET /v1/proofs/{digest}/promise`.

use axum::extract::Path;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;

use super::proof::{Found, find_any};
use crate::api::State;
use crate::api::access::caller::Caller;
use crate::api::error::{Code, Problem, Result};
use crate::api::promise;
use crate::ledger::proofs::Status;

/// The promise about one proof, signed anew: what it says is what was stored when the proof was accepted.
///
/// # Errors
/// [`Code::PromiseMissing`], [`Code::ProofUnknown`], [`Code::DigestInvalid`].
pub async fn promise(api: State, caller: Caller, Path(digest): Path<String>) -> Result<impl IntoResponse> {
    let proof = match find_any(&api, &caller, &super::digest_of_path(&digest)?).await? {
        Found::Proof(proof) => proof,
        Found::Held(validation) => return Err(missing(super::validation::status(validation.state))),
    };
    let kept = proof
        .anchor_by
        .and_then(|by| promise::record((proof.digest, proof.salt), (proof.number, proof.batch), (proof.received_at, by)));
    let record = kept.ok_or_else(|| missing(proof.status))?;
    let jws = promise::sign(&api, &caller.name, &[record]).ok_or_else(|| missing(proof.status))?;
    Ok(([(CONTENT_TYPE, "application/jose")], jws))
}

fn missing(status: Status) -> Problem {
    let detail = match status {
        Status::AwaitingValidation => "the document waits for its validators",
        Status::Refused => "a validator refused the document",
        _ => "the proof was accepted before promises were signed",
    };
    Code::PromiseMissing.with(detail).member("proof_status", status.as_str())
}
