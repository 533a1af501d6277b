//! The routes of Sceau's own dialect, under `/v1`.

pub(super) mod batch;
pub(super) mod bulk;
mod certificate;
mod erase;
mod event;
mod idempotency;
mod item;
mod list;
mod operations;
mod promise;
mod proof;
mod service;
mod submit;
mod tile;
mod validation;
mod validators;
mod verify;
mod webhook;

use axum::routing::{delete, get, post, put};
use sceau_verifier::{Address, ChainRef, Digest, Hash32};
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use super::State;
use super::access::token::Scope;
use super::error::{Code, Problem, Result};
use super::openapi::schema;
use super::routes::{Access, Route};
use crate::ledger::anchors::{Anchor, AnchorState};

pub(super) const ROUTES: &[Route] = &[
    Route::post("/v1/proofs", Access::Scope(Scope::ProofsWrite), || post(submit::submit)).told(operations::submit),
    Route::get("/v1/proofs", Access::Scope(Scope::ProofsRead), || get(list::list)).told(operations::proofs),
    Route::other("DELETE", "/v1/proofs/{digest}", Access::Scope(Scope::ProofsWrite), || delete(erase::erase))
        .told(operations::erase),
    Route::get("/v1/proofs/{digest}", Access::Scope(Scope::ProofsRead), || get(proof::status)).told(operations::proof),
    Route::get("/v1/proofs/{digest}/receipt", Access::Scope(Scope::ProofsRead), || get(proof::receipt)).told(operations::receipt),
    Route::get("/v1/proofs/{digest}/promise", Access::Scope(Scope::ProofsRead), || get(promise::promise))
        .told(operations::promise),
    Route::get("/v1/proofs/{digest}/certificate", Access::Scope(Scope::ProofsRead), || get(certificate::certificate))
        .told(operations::certificate),
    Route::get("/v1/validations", Access::Scope(Scope::Validate), || get(validation::list)).told(operations::validations),
    Route::get("/v1/validations/{id}", Access::Scope(Scope::ProofsRead), || get(validation::show)).told(operations::validation),
    Route::post("/v1/validations/{id}", Access::Scope(Scope::Validate), || post(validation::decide)).told(operations::decide),
    Route::get("/v1/validations/{id}/decisions/{digest}/receipt", Access::Scope(Scope::ProofsRead), || get(validation::receipt))
        .told(operations::decision_receipt),
    Route::post("/v1/verify", Access::Scope(Scope::ProofsRead), || post(verify::verify)).told(operations::verify),
    Route::get("/v1/events", Access::Scope(Scope::ProofsRead), || get(event::events)).told(operations::events::events),
    Route::get("/v1/webhooks", Access::Scope(Scope::ProofsRead), || get(webhook::list)).told(operations::events::webhooks),
    Route::post("/v1/webhooks", Access::Scope(Scope::ProofsWrite), || post(webhook::create)).told(operations::events::create),
    Route::get("/v1/webhooks/{webhook}", Access::Scope(Scope::ProofsRead), || get(webhook::show))
        .told(operations::events::webhook),
    Route::post("/v1/webhooks/{webhook}/secret", Access::Scope(Scope::ProofsWrite), || post(webhook::rotate))
        .told(operations::events::rotate),
    Route::post("/v1/webhooks/{webhook}/resume", Access::Scope(Scope::ProofsWrite), || post(webhook::resume))
        .told(operations::events::resume),
    Route::post("/v1/webhooks/{webhook}/test", Access::Scope(Scope::ProofsWrite), || post(webhook::test))
        .told(operations::events::test),
    Route::get("/v1/webhooks/{webhook}/deliveries", Access::Scope(Scope::ProofsRead), || get(webhook::deliveries))
        .told(operations::events::deliveries),
    Route::other("DELETE", "/v1/webhooks/{webhook}", Access::Scope(Scope::ProofsWrite), || delete(webhook::remove))
        .told(operations::events::remove),
    Route::get("/v1/status", Access::Public, || get(service::status)).told(operations::status),
    Route::get("/v1/batches/{number}", Access::Public, || get(batch::batch)).told(operations::batch),
    Route::get("/v1/batches/{number}/tile/{level}/{*index}", Access::Public, || get(tile::tile)).told(operations::tile),
];

/// What managers do, here and on their own listener.
pub(super) const VALIDATORS: &[Route] = &[
    Route::get("/v1/validators", Access::Scope(Scope::Manage), || get(validators::list)).told(operations::validators),
    Route::other("PUT", "/v1/validators", Access::Scope(Scope::Manage), || put(validators::require))
        .told(operations::require_validators),
    Route::other("PUT", "/v1/validators/{validator}", Access::Scope(Scope::Manage), || put(validators::add))
        .told(operations::add_validator),
    Route::other("DELETE", "/v1/validators/{validator}", Access::Scope(Scope::Manage), || delete(validators::remove))
        .told(operations::remove_validator),
];

/// Reads a digest and says what is wrong with it where it is none.
fn digest(text: &str) -> std::result::Result<Digest, String> {
    let length = text.chars().count();
    if length != 64 {
        return Err(format!("a digest has 64 hexadecimal digits, this has {length} characters"));
    }
    text.parse().map_err(|_| {
        let hex = text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let why =
            if hex { "hexadecimal digits must be in lower case" } else { "a digest has only hexadecimal digits (0-9, a-f)" };
        why.into()
    })
}

/// A digest in a path.
fn digest_of_path(text: &str) -> Result<Digest> {
    digest(text).map_err(|why| Code::DigestInvalid.with(why))
}

/// Says nothing that differs between a digest nobody has and one that another account has.
fn unknown() -> Problem {
    Code::ProofUnknown.into()
}

/// Where to go from a digest.
#[derive(Debug, JsonSchema, Serialize)]
struct Links {
    #[serde(rename = "self")]
    itself: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    receipt: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    promise: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    batch: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    validation: Option<String>,
}

impl Links {
    /// Of a proof.
    fn of(api: &State, digest: &Digest, batch: u64) -> Self {
        let url = &api.public_url;
        Self {
            itself: format!("{url}/v1/proofs/{digest}"),
            receipt: Some(format!("{url}/v1/proofs/{digest}/receipt")),
            promise: Some(format!("{url}/v1/proofs/{digest}/promise")),
            certificate: Some(format!("{url}/v1/proofs/{digest}/certificate")),
            batch: Some(format!("{url}/v1/batches/{batch}")),
            validation: None,
        }
    }

    /// Of a digest that waits.
    fn waiting(api: &State, digest: &Digest, id: Uuid) -> Self {
        let url = &api.public_url;
        let validation = Some(format!("{url}/v1/validations/{id}"));
        let itself = format!("{url}/v1/proofs/{digest}");
        let certificate = Some(format!("{itself}/certificate"));
        Self { itself, receipt: None, promise: None, certificate, batch: None, validation }
    }
}

/// An anchor as status and batch show it.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(rename = "Anchor")]
struct AnchorView {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::Chain>")]
    chain: Option<ChainRef>,
    #[schemars(with = "schema::Address")]
    registry: Address,
    state: AnchorState,
    #[serde(flatten)]
    place: Option<PlaceView>,
}

#[derive(Debug, JsonSchema, Serialize)]
struct PlaceView {
    #[schemars(with = "schema::Hash32")]
    tx_hash: Hash32,
    block_number: u64,
    #[schemars(with = "schema::Hash32")]
    block_hash: Hash32,
    block_time: u64,
}

impl From<&Anchor> for AnchorView {
    fn from(anchor: &Anchor) -> Self {
        Self {
            chain: ChainRef::new(anchor.chain_id),
            registry: anchor.registry.into(),
            state: anchor.state,
            place: anchor.place.map(|place| PlaceView {
                tx_hash: place.tx_hash.into(),
                block_number: place.block_number,
                block_hash: place.block_hash.into(),
                block_time: place.block_time,
            }),
        }
    }
}

async fn anchors(api: &State, batch: u64) -> Result<Vec<AnchorView>> {
    Ok(api.ledger.anchors(batch).await?.iter().map(AnchorView::from).collect())
}

#[cfg(test)]
mod tests {
    use super::digest;

    #[test]
    fn a_digest_is_64_lower_case_digits_and_the_answer_says_which_it_is_not() {
        let right = "0123456789abcdef".repeat(4);
        assert_eq!(digest(&right).unwrap().to_string(), right);
        for (text, why) in [
            (right.to_uppercase(), "lower case"),
            (right[..63].into(), "63 characters"),
            (format!("{right}0"), "65 characters"),
            (right.replace('0', "g"), "only hexadecimal digits"),
            (format!("0x{}", &right[2..]), "only hexadecimal digits"),
            ("é".repeat(32), "32 characters"),
            (String::new(), "0 characters"),
        ] {
            assert!(digest(&text).unwrap_err().contains(why), "{text}");
        }
    }
}
