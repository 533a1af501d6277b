//! What the OpenAPI document says about these routes.

pub(super) mod events;

use axum::http::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::api::error::Code;
use crate::api::openapi::{Operation, schema};
use crate::api::partner::{batch, certificate, erase, item, list, proof, service, submit, validation, validators, verify};

const PROOFS: &str = "proofs";
const VALIDATIONS: &str = "validations";
const PUBLIC: &str = "public";

/// SHA-256 of `hello`.
const DIGEST: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
const SALT: &str = "71d3db3020157b0d6660201d43fe521d";
const ID: &str = "019f0c1a-5f43-7c11-9d3a-6d0c2f1e7a10";
const HASH: &str = "0x832c5d2fb0ad1b0c9e5a4d7f8e6c3b2a1908f7e6d5c4b3a291807f6e5d4c9bf1";
const REGISTRY: &str = "0x5fbdb2315678afecb367f032d93f642f64180aa3";

fn links() -> Value {
    json!({
        "self": format!("https://proofs.example/v1/proofs/{DIGEST}"),
        "receipt": format!("https://proofs.example/v1/proofs/{DIGEST}/receipt"),
        "certificate": format!("https://proofs.example/v1/proofs/{DIGEST}/certificate"),
        "batch": "https://proofs.example/v1/batches/1",
    })
}

fn anchor() -> Value {
    json!({
        "chain": "eip155:31337", "registry": REGISTRY, "state": "final", "tx_hash": HASH,
        "block_number": 4, "block_hash": HASH, "block_time": 1_795_331_480,
    })
}

fn one(operation: Operation) -> Operation {
    operation.path::<schema::Digest>("digest", "SHA-256 of the document.", DIGEST).fails(&[
        Code::DigestInvalid,
        Code::ProofUnknown,
        Code::ProofErased,
    ])
}

pub(in crate::api::partner) fn submit() -> Operation {
    let answer = |created| {
        json!({ "proofs": [{
            "digest": DIGEST, "status": "pending", "batch": 1, "number": 1, "received_at": "2026-11-22T07:11:19.631019Z",
            "anchor_by": "2026-11-22T07:42:00Z", "created": created, "salt": SALT, "links": links(),
        }] })
    };
    Operation::new(PROOFS, "submit", "Accepts digests")
        .about(
            "The answer comes after the commit, one object an item, in their order. When one item is not in order nothing is stored. \
             Repeating a submission is safe: account and digest are the key. Keep the salt with the digest. With \
             `Idempotency-Key` a repetition gets the first answer again. With `Content-Type: application/x-ndjson` the body has one \
             item a line, up to 1,000,000, and the answer one result a line, as the lines are committed.",
        )
        .takes::<item::Body<'_>>([
            ("one", json!({ "proofs": [{ "digest": DIGEST }] })),
            ("described", json!({ "proofs": [{ "digest": DIGEST, "file_name": "letter.txt", "labels": ["2026"] }] })),
        ])
        .gives::<submit::Answer>(StatusCode::CREATED, "Every item was new.", answer(true))
        .gives::<submit::Answer>(StatusCode::OK, "At least one item was there before, or stood twice here.", answer(false))
        .fails(&[
            Code::ProofsCount,
            Code::ProofsInvalid,
            Code::SubscriptionExpired,
            Code::QuotaExceeded,
            Code::ValidatorsMissing,
            Code::PoolFull,
            Code::ReadOnly,
            Code::IdempotencyKeyInvalid,
            Code::IdempotencyKeyInUse,
            Code::IdempotencyKeyReused,
        ])
}

pub(in crate::api::partner) fn proofs() -> Operation {
    let example = json!({
        "number": 1, "digest": DIGEST, "status": "final", "batch": 1, "received_at": "2026-11-22T07:11:19.631019Z",
        "anchor_by": "2026-11-22T07:42:00Z", "overdue": false, "file_name": "letter.txt", "salt": SALT, "links": links(),
    });
    Operation::new(PROOFS, "proofs", "The account's proofs, by filters")
        .about("With `Accept: application/x-ndjson` all of them, one a line.")
        .query::<list::Asked>()
        .gives::<list::Page>(StatusCode::OK, "A page.", json!({ "proofs": [example], "next": null }))
        .fails(&[Code::RateLimited])
}

pub(in crate::api::partner) fn erase() -> Operation {
    let example = json!({ "digest": DIGEST, "number": 1, "batch": 1, "erased_at": "2026-11-22T07:42:00Z" });
    one(Operation::new(PROOFS, "erase", "Erases salt and details of a final proof, for good"))
        .query::<erase::Wish>()
        .gives::<erase::Answer>(StatusCode::OK, "It is erased.", example)
        .fails(&[Code::ConfirmationMissing, Code::ErasureTooEarly, Code::DecisionKept])
}

pub(in crate::api::partner) fn proof() -> Operation {
    let example = json!({
        "digest": DIGEST, "status": "final", "batch": 1, "number": 1, "received_at": "2026-11-22T07:11:19.631019Z",
        "anchor_by": "2026-11-22T07:42:00Z", "overdue": false, "file_name": "letter.txt", "salt": SALT, "anchors": [anchor()],
        "links": links(),
    });
    one(Operation::new(PROOFS, "proof", "What became of a digest")).gives::<proof::Answer>(
        StatusCode::OK,
        "How far it is.",
        example,
    )
}

pub(in crate::api::partner) fn receipt() -> Operation {
    one(Operation::new(PROOFS, "receipt", "The receipt of a digest"))
        .about("The canonical bytes of SPEC.md §2, as soon as the root is in a block. Save them as they come.")
        .query::<proof::Wish>()
        .gives_bytes(StatusCode::OK, "The receipt.", "application/json")
        .tagged()
        .fails(&[Code::ReceiptNotReady])
}

pub(in crate::api::partner) fn certificate() -> Operation {
    one(Operation::new(PROOFS, "certificate", "The certificate of a digest: a PDF for people, with the receipt attached"))
        .query::<certificate::Wish>()
        .gives_bytes(StatusCode::OK, "The certificate (PDF/A-3a).", "application/pdf")
        .tagged()
}

pub(in crate::api::partner) fn promise() -> Operation {
    one(Operation::new(PROOFS, "promise", "The signed promise about a digest: by when it is anchored"))
        .about("A JWS of SPEC.md §2.6, signed anew; what it says is what was stored when the digest was accepted.")
        .gives_bytes(StatusCode::OK, "The promise.", "application/jose")
        .fails(&[Code::PromiseMissing])
}

fn bound(id: &'static str, summary: &'static str) -> Operation {
    Operation::new(VALIDATIONS, id, summary).query::<validators::Whose>().fails(&[Code::AccountUnknown])
}

fn listed() -> Value {
    let validators = json!([{ "name": "notary", "since": "2026-11-22T07:11:19.631019Z", "active": true }]);
    json!({ "account": "acme", "approvals_needed": 1, "enough": true, "validators": validators })
}

pub(in crate::api::partner) fn validators() -> Operation {
    bound("validators", "Who decides about the documents of a manager or its client").gives::<validators::List>(
        StatusCode::OK,
        "They, and how many must approve.",
        listed(),
    )
}

pub(in crate::api::partner) fn require_validators() -> Operation {
    bound("requireValidators", "How many approvals documents need that are submitted from now on")
        .takes::<validators::Rule>([("one", json!({ "approvals_needed": 1 }))])
        .gives::<validators::List>(StatusCode::OK, "As it is now.", listed())
}

fn validator(operation: Operation) -> Operation {
    operation
        .path::<String>("validator", "A consumer key of a validator, or its name where the caller knows it.", "notary")
        .fails(&[Code::ValidatorUnknown])
}

pub(in crate::api::partner) fn add_validator() -> Operation {
    validator(bound("addValidator", "Lets a validator decide"))
        .gives::<validators::List>(StatusCode::CREATED, "It could not before.", listed())
        .gives::<validators::List>(StatusCode::OK, "It could already.", listed())
}

pub(in crate::api::partner) fn remove_validator() -> Operation {
    validator(bound("removeValidator", "Lets a validator decide no more, also about what waits")).gives::<validators::List>(
        StatusCode::OK,
        "As it is now.",
        listed(),
    )
}

fn waiting() -> Value {
    json!({
        "id": ID, "state": "awaiting", "account": "acme", "digest": DIGEST, "received_at": "2026-11-22T07:11:19.631019Z",
        "approvals": 0, "approvals_needed": 1, "file_name": "acte.pdf", "decisions": [],
    })
}

fn example_id() -> Uuid {
    Uuid::try_parse(ID).unwrap_or_default()
}

fn validated(operation: Operation) -> Operation {
    operation.path::<Uuid>("id", "Id of the validation.", example_id().to_string()).fails(&[Code::ValidationUnknown])
}

pub(in crate::api::partner) fn validations() -> Operation {
    Operation::new(VALIDATIONS, "validations", "What waits for the caller, oldest first")
        .query::<validation::Page>()
        .gives::<validation::List>(StatusCode::OK, "A page.", json!({ "validations": [waiting()], "next": null }))
}

pub(in crate::api::partner) fn validation() -> Operation {
    validated(Operation::new(VALIDATIONS, "validation", "How a document stands with its validators")).gives::<validation::View>(
        StatusCode::OK,
        "For the owner and the validators it has now.",
        waiting(),
    )
}

pub(in crate::api::partner) fn decide() -> Operation {
    validated(Operation::new(VALIDATIONS, "decide", "Approves or refuses a document"))
        .about("The answer comes after the commit. Repeating a decision is safe; the first word of a validator stands.")
        .takes::<validation::Word>([("approve", json!({ "decision": "approve", "comment": "conforme" }))])
        .gives::<validation::View>(StatusCode::OK, "How it stands now.", waiting())
        .fails(&[Code::ValidationSettled, Code::DecisionDiffers, Code::PoolFull, Code::ReadOnly])
}

pub(in crate::api::partner) fn decision_receipt() -> Operation {
    validated(Operation::new(VALIDATIONS, "decisionReceipt", "The receipt of a decision's statement"))
        .path::<schema::Digest>("digest", "`digest` of the decision.", DIGEST)
        .query::<proof::Wish>()
        .gives_bytes(StatusCode::OK, "The receipt.", "application/json")
        .tagged()
        .fails(&[Code::ReceiptNotReady])
}

pub(in crate::api::partner) fn verify() -> Operation {
    let example = json!({
        "verdict": "not_yet", "code": "not_sealed", "detail": "accepted, but its batch is not sealed yet", "status": "pending",
        "anchor_by": "2026-11-22T07:42:00Z", "anchors": [], "note": verify::NOTE,
    });
    Operation::new(PROOFS, "verify", "The operator's own word on a digest or a receipt")
        .takes::<verify::Question<'_>>([("digest", json!({ "digest": DIGEST }))])
        .gives::<verify::Answer>(StatusCode::OK, "A verdict.", example)
        .fails(&[Code::DigestInvalid, Code::ProofUnknown, Code::ProofErased])
}

pub(in crate::api::partner) fn status() -> Operation {
    let example = json!({
        "time": "2026-11-22T08:00:00.5Z", "oldest_pending_age": 2, "next_seal": "2026-11-22T08:01:00Z",
        "last_sealed": { "batch": 41, "sealed_at": "2026-11-22T08:00:00Z" },
        "oldest_pending": { "received_at": "2026-11-22T07:59:58.1Z" },
        "oldest_unanchored":
            { "received_at": "2026-11-22T07:59:12Z", "anchor_by": "2026-11-22T08:30:00Z", "overdue": false },
        "overdue": 0, "policy": { "anchored_when": 1, "of": 1, "from_batch": 1 },
        "targets": [{
            "chain": "eip155:31337", "registry": REGISTRY, "waiting": 1,
            "last_final": { "batch": 40, "block_number": 23_000_000, "block_time": 1_790_000_000 },
        }],
        "halted": [], "aside": [],
    });
    Operation::new(PUBLIC, "status", "How the service is doing")
        .gives::<service::Answer<'_>>(StatusCode::OK, "Facts about the service; nothing about any account.", example)
        .tagged()
}

pub(in crate::api::partner) fn batch() -> Operation {
    let example = json!({
        "number": 1, "state": "sealed",
        "header": "{\"batch\":1,\"count\":1}", "size": 2, "root": DIGEST, "sealed_at": "2026-11-22T07:12:00Z",
        "anchored_when": 1, "anchors": [anchor()],
    });
    Operation::new(PUBLIC, "batch", "What anybody may know of a batch")
        .path::<schema::Number>("number", "Its number.", 1)
        .gives::<batch::Answer>(StatusCode::OK, "The batch, as far as it is.", example)
        .gives_nothing(StatusCode::NOT_MODIFIED, "You have it already.")
        .fails(&[Code::BatchUnknown])
}

pub(in crate::api::partner) fn tile() -> Operation {
    Operation::new(PUBLIC, "tile", "A tile of a batch's tree (C2SP tlog-tiles)")
        .path::<schema::Number>("number", "Number of the batch.", 1)
        .path::<schema::TileLevel>("level", "Level of the tile.", 0)
        .path::<schema::TileIndex>(
            "index",
            "Groups of three digits, all but the last with an `x`, and `.p/` and the width behind a partial tile. Slashes stay.",
            "000.p/2",
        )
        .gives_bytes(StatusCode::OK, "Hashes of 32 bytes.", "application/octet-stream")
        .fails(&[Code::TileUnknown])
}
