//! `DELETE /v1/proofs/{digest}`: erases what is said about a proof, and its salt.

use axum::Json;
use axum::extract::{Path, Query};
use axum::http::Uri;
use sceau_verifier::Digest;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::proof::{Found, find_any};
use crate::api::State;
use crate::api::access::caller::Caller;
use crate::api::error::{Code, Result};
use crate::api::openapi::schema;
use crate::ledger::proofs::erasures::Erasing;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Wish {
    /// Says that it is meant: erasing cannot be taken back.
    #[serde(default)]
    irrevocable: bool,
}

#[derive(JsonSchema, Serialize)]
#[schemars(rename = "Erased")]
pub(super) struct Answer {
    #[schemars(with = "schema::Digest")]
    digest: Digest,
    number: u64,
    batch: u64,
    #[serde(with = "time::serde::rfc3339")]
    #[schemars(with = "schema::Time")]
    erased_at: OffsetDateTime,
}

/// Erases a final proof for good. What was erased before is answered as it was then, so repeating is safe.
///
/// # Errors
/// [`Code::ConfirmationMissing`], [`Code::QueryInvalid`], [`Code::DigestInvalid`], [`Code::ProofUnknown`],
/// [`Code::ErasureTooEarly`], [`Code::DecisionKept`].
pub async fn erase(api: State, caller: Caller, Path(digest): Path<String>, uri: Uri) -> Result<Json<impl Serialize>> {
    let digest = super::digest_of_path(&digest)?;
    let wish = Query::<Wish>::try_from_uri(&uri).map_err(|_| Code::QueryInvalid.with("only irrevocable=true"))?.0;
    if !wish.irrevocable {
        return Err(Code::ConfirmationMissing.into());
    }
    match api.ledger.erase(caller.account, &digest, &caller.pass.client_id).await? {
        Erasing::Erased => tracing::info!("a proof was erased"),
        Erasing::Decision => return Err(Code::DecisionKept.into()),
        Erasing::Early => {
            let proof = super::proof::find(&api, &caller, &digest).await?;
            let detail = format!(
                "the proof is {}; it can be erased when it is final and none of its anchors is on its way",
                proof.status.as_str()
            );
            return Err(Code::ErasureTooEarly.with(detail).member("proof_status", proof.status.as_str()).retry_after(60));
        }
        Erasing::Unknown => {}
    }
    match api.ledger.erasure(caller.account, &digest).await? {
        Some(erasure) => Ok(Json(Answer { digest, number: erasure.number, batch: erasure.batch, erased_at: erasure.erased_at })),
        // With its validators, or never submitted.
        None => match find_any(&api, &caller, &digest).await? {
            Found::Held(validation) => {
                let status = super::validation::status(validation.state).as_str();
                Err(Code::ErasureTooEarly.with("the document is no proof").member("proof_status", status).retry_after(60))
            }
            Found::Proof(_) => Err(Code::Unavailable.because("submitted again at this moment").retry_after(1)),
        },
    }
}
