//! `POST /v1/verify`: the operator's own word on a digest or a receipt.

use std::collections::BTreeSet;

use axum::Json;
use sceau_verifier::verify::AnchorReport;
use sceau_verifier::{Address, ChainRef, Digest, Hash32, Receipt, Report, Trust, Verdict};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use time::OffsetDateTime;

use super::proof::{Found, find_any};
use crate::api::State;
use crate::api::access::caller::Caller;
use crate::api::body::JsonBytes;
use crate::api::error::{Code, Result};
use crate::api::openapi::schema;
use crate::api::receipt;
use crate::ledger::anchors::AnchorState;
use crate::ledger::proofs::Status;
use crate::ledger::validations::Validation;

/// Said in every answer: this route is a convenience, not a proof.
pub(super) const NOTE: &str =
    "This is the operator's own word. Check the receipt without the operator: sceau-verify reads the document and the receipt.";

/// A digest, a receipt, or both.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Question", extend("anyOf" = [{ "required": ["digest"] }, { "required": ["receipt"] }]))]
pub(super) struct Question<'a> {
    #[schemars(with = "Option<schema::Digest>")]
    digest: Option<String>,
    #[serde(borrow)]
    #[schemars(with = "schema::Anything", default)]
    receipt: Option<&'a RawValue>,
}

/// The operator's word.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "Verification")]
pub(super) struct Answer {
    #[schemars(with = "schema::Verdict")]
    verdict: Verdict,
    #[schemars(with = "schema::VerdictCode")]
    code: &'static str,
    #[serde(skip_serializing_if = "String::is_empty")]
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status>,
    #[serde(skip_serializing_if = "Option::is_none", with = "time::serde::rfc3339::option")]
    #[schemars(with = "schema::Time")]
    anchor_by: Option<OffsetDateTime>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "schema::AnyObject")]
    receipt: Option<Box<RawValue>>,
    #[schemars(with = "Vec<schema::AnchorReport>")]
    anchors: Vec<AnchorReport>,
    note: &'static str,
}

impl Answer {
    fn new(report: Report, status: Option<Status>) -> Self {
        Self {
            verdict: report.verdict,
            code: report.code.as_str(),
            detail: report.detail,
            status,
            anchor_by: None,
            receipt: None,
            anchors: report.anchors,
            note: NOTE,
        }
    }
}

/// With `receipt`: reads it strictly, checks all it proves, and compares its blocks and registries with those this
/// ledger knows to be final; `digest` beside it is the document it must be about. With `digest` alone: the caller's own
/// proof, with its receipt as soon as it is anchored.
///
/// # Errors
/// [`Code::BodyInvalid`] when there is neither, [`Code::DigestInvalid`], [`Code::ProofUnknown`].
pub async fn verify(api: State, caller: Caller, body: JsonBytes) -> Result<Json<impl Serialize>> {
    let question: Question<'_> = body.read()?;
    let digest = question.digest.as_deref().map(super::digest_of_path).transpose()?;
    match (digest, question.receipt) {
        (digest, Some(receipt)) => of_receipt(&api, digest, receipt.get().as_bytes()).await,
        (Some(digest), None) => of_digest(&api, &caller, &digest).await,
        (None, None) => Err(Code::BodyInvalid.with("give digest, receipt, or both")),
    }
    .map(Json)
}

async fn of_receipt(api: &State, document: Option<Digest>, bytes: &[u8]) -> Result<Answer> {
    let receipt = match sceau_verifier::receipt::parse(bytes) {
        Ok(receipt) => receipt,
        Err(failure) => return Ok(Answer::new(failure.into(), None)),
    };
    let (report, status) = judge(api, &document.unwrap_or(receipt.document.digest), &receipt).await?;
    Ok(Answer::new(report, status))
}

async fn of_digest(api: &State, caller: &Caller, digest: &Digest) -> Result<Answer> {
    let proof = match find_any(api, caller, digest).await? {
        Found::Proof(proof) => proof,
        Found::Held(validation) => return Ok(held(&validation)),
    };
    let assembled = receipt::assemble(&api.ledger, &api.known, &proof).await?;
    let Some(assembled) = assembled else {
        return Ok(Answer {
            verdict: Verdict::NotYet,
            code: "not_sealed",
            detail: "accepted, but its batch is not sealed yet".into(),
            status: Some(proof.status),
            anchor_by: Some(api.deadline.of(proof.received_at)),
            receipt: None,
            anchors: Vec::new(),
            note: NOTE,
        });
    };
    let (report, status) = judge(api, digest, &assembled.receipt).await?;
    let mut answer = Answer::new(report, status);
    if assembled.receipt.anchors.is_empty() {
        answer.anchor_by = Some(api.deadline.of(proof.received_at));
    } else {
        let text = String::from_utf8(assembled.bytes).map_err(|error| Code::Internal.because(error))?;
        answer.receipt = Some(RawValue::from_string(text).map_err(|error| Code::Internal.because(error))?);
    }
    Ok(answer)
}

/// A digest that is with its validators: there is no receipt, and after a refusal there will be none.
fn held(validation: &Validation) -> Answer {
    let status = super::validation::status(validation.state);
    let detail = match status {
        Status::Refused => "a validator refused the document; it was never sealed",
        _ => "the document waits for its validators",
    };
    Answer {
        verdict: Verdict::NotYet,
        code: status.as_str(),
        detail: detail.into(),
        status: Some(status),
        anchor_by: None,
        receipt: None,
        anchors: Vec::new(),
        note: NOTE,
    }
}

/// Hashes of the blocks that this ledger knows to be final and that the batches of a receipt's decisions are in.
async fn blocks_of_decisions(api: &State, receipt: &Receipt) -> Result<Vec<Hash32>> {
    let mut hashes = Vec::new();
    for decision in &receipt.decisions {
        if let Some(batch) = api.ledger.batch_of_root(decision.receipt.tree.root.as_bytes()).await? {
            let known = api.ledger.anchors(batch).await?;
            let finals = known.iter().filter(|anchor| anchor.state == AnchorState::Final);
            hashes.extend(finals.filter_map(|anchor| anchor.place).map(|place| Hash32::from(place.block_hash)));
        }
    }
    Ok(hashes)
}

/// Steps 2 to 19 and 25 to 28 of the verifier, with the blocks and registries of the batch that has the receipt's root as trust. A root
/// that is not ours leaves nothing to compare with.
async fn judge(api: &State, document: &Digest, receipt: &Receipt) -> Result<(Report, Option<Status>)> {
    let Some(batch) = api.ledger.batch_of_root(receipt.tree.root.as_bytes()).await? else {
        return Ok((sceau_verifier::verify::verify(document, receipt, &Trust::default()), None));
    };
    let status = api.ledger.batch_status(batch).await?;
    let known = api.ledger.anchors(batch).await?;
    let finals = known.iter().filter(|anchor| anchor.state == AnchorState::Final);
    let mut block_hashes: BTreeSet<Hash32> =
        finals.filter_map(|anchor| anchor.place).map(|place| place.block_hash.into()).collect();
    block_hashes.extend(blocks_of_decisions(api, receipt).await?);
    let ours: Vec<(Option<ChainRef>, Address)> =
        known.iter().map(|anchor| (ChainRef::new(anchor.chain_id), anchor.registry.into())).collect();
    // One registry counts at a time. Without one that is named in the receipt the first of ours decides: then the answer
    // is that the receipt is anchored elsewhere.
    let named =
        |own: &&(Option<ChainRef>, Address)| receipt.anchors.iter().any(|anchor| (Some(anchor.chain), anchor.registry) == **own);
    let mut candidates: Vec<_> = ours.iter().filter(named).collect();
    if candidates.is_empty() {
        candidates.extend(ours.first());
    }
    let mut reports: Vec<Report> = candidates
        .into_iter()
        .map(|(chain, registry)| Trust { block_hashes: block_hashes.clone(), registry: Some(*registry), chain: *chain })
        .map(|trust| sceau_verifier::verify::verify(document, receipt, &trust))
        .collect();
    if reports.is_empty() {
        reports.push(sceau_verifier::verify::verify(document, receipt, &Trust::default()));
    }
    let best = reports.iter().position(|report| report.verdict == Verdict::Verified).unwrap_or(0);
    Ok((reports.swap_remove(best), Some(status)))
}
