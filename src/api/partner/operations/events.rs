//! What the document says about events and webhooks.

use std::borrow::Cow;

use axum::http::StatusCode;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};
use uuid::Uuid;

use super::DIGEST;
use crate::api::error::Code;
use crate::api::openapi::{Operation, schema};
use crate::api::partner::{event, webhook};
use crate::ledger::notices::Kind;

const EVENTS: &str = "events";
const ID: &str = "0b1c7a52-90f1-4a57-9a51-0c5c2a1b7f3e";
const SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// A type of events.
#[derive(Debug, Clone, Copy)]
pub enum Kinds {}

impl JsonSchema for Kinds {
    fn schema_name() -> Cow<'static, str> {
        "EventType".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "enum": Kind::ALL.iter().map(|kind| kind.as_str()).collect::<Vec<_>>() })
    }
}

/// Whether events are sent.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "it describes the ledger's type")]
#[schemars(rename = "WebhookState", rename_all = "lowercase")]
pub enum Standing {
    Active,
    Parked,
}

/// One event of the log.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "it describes what the ledger prints from parts")]
#[schemars(rename = "Event")]
pub struct Told {
    /// Names it everywhere and for ever.
    #[schemars(regex(pattern = "^evt_[0-9a-f]{32}$"))]
    id: String,
    /// Its place in the log, from 1 without a hole.
    seq: u64,
    r#type: Kinds,
    timestamp: schema::Time,
    /// What it is about: proofs of one batch, a document with validators, or a webhook.
    data: About,
}

/// Which members there are is said by `type`.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "it describes what the ledger prints from parts")]
#[schemars(rename = "EventData")]
pub struct About {
    #[schemars(with = "u64", skip_serializing_if = "Option::is_none")]
    batch: Option<u64>,
    /// Number of the first proof.
    #[schemars(with = "u64", skip_serializing_if = "Option::is_none")]
    first: Option<u64>,
    /// Number of the last proof.
    #[schemars(with = "u64", skip_serializing_if = "Option::is_none")]
    last: Option<u64>,
    #[schemars(with = "u64", skip_serializing_if = "Option::is_none")]
    count: Option<u64>,
    #[schemars(with = "String", skip_serializing_if = "Option::is_none")]
    status: Option<String>,
    #[schemars(skip_serializing_if = "Option::is_none")]
    before: Option<String>,
    /// Of up to 100 proofs, in the order of their numbers.
    #[schemars(with = "Vec<schema::Digest>", skip_serializing_if = "Option::is_none", length(max = 100))]
    digests: Option<Vec<schema::Digest>>,
    #[schemars(with = "Uuid", skip_serializing_if = "Option::is_none")]
    validation: Option<Uuid>,
    #[schemars(with = "schema::Digest", skip_serializing_if = "Option::is_none")]
    digest: Option<schema::Digest>,
    /// Whose document it is.
    #[schemars(with = "String", skip_serializing_if = "Option::is_none")]
    account: Option<String>,
    #[schemars(with = "String", skip_serializing_if = "Option::is_none")]
    state: Option<String>,
    #[schemars(with = "Uuid", skip_serializing_if = "Option::is_none")]
    webhook: Option<Uuid>,
}

/// One try of one message.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "it describes the ledger's type")]
#[schemars(rename = "Delivery")]
pub struct Tried {
    /// Its place in the history.
    id: u64,
    /// Place of the event in the log.
    seq: u64,
    /// The event's id.
    event: String,
    r#type: Kinds,
    /// Counts the tries of this event from 1.
    attempt: u64,
    /// When it ended.
    at: schema::Time,
    duration_ms: u64,
    /// Status of the answer.
    status: Option<u16>,
    /// Why it does not count, in a word; null: it was taken.
    error: Option<String>,
    /// The beginning of the answer's body.
    answer: Option<String>,
}

fn shown() -> Value {
    json!({
        "id": ID, "url": "https://partner.example/sceau", "types": ["proofs.final"], "state": "active",
        "created_at": "2026-11-22T08:01:14.2Z", "cursor": 12, "waiting": 0, "failures": 0,
    })
}

fn one(id: &'static str, summary: &'static str) -> Operation {
    Operation::new(EVENTS, id, summary).path::<Uuid>("webhook", "Its id.", ID).fails(&[Code::WebhookUnknown])
}

pub(in crate::api::partner) fn events() -> Operation {
    let event = json!({
        "id": "evt_7c7a0f7e2b1d4c5f8e9a0b1c2d3e41e0", "seq": 12, "type": "proofs.anchored", "timestamp": "2026-11-22T08:01:14.2Z",
        "data": { "batch": 41, "first": 1001, "last": 1001, "count": 1, "status": "anchored", "before": "sealed", "digests": [DIGEST] },
    });
    Operation::new(EVENTS, "events", "Every change of status, in one log")
        .about(
            "With `Accept: text/event-stream` a stream of server-sent events whose `id` is the `seq`; `Last-Event-ID` says where to \
             go on.",
        )
        .query::<event::Wish>()
        .gives::<event::Answer>(StatusCode::OK, "A page.", json!({ "events": [event], "next": 12, "last": 12 }))
        .fails(&[Code::CursorUnknown, Code::RateLimited])
}

pub(in crate::api::partner) fn webhooks() -> Operation {
    Operation::new(EVENTS, "webhooks", "Where the account has its events sent").gives::<webhook::List>(
        StatusCode::OK,
        "All of them, oldest first.",
        json!({ "webhooks": [shown()] }),
    )
}

pub(in crate::api::partner) fn create() -> Operation {
    let mut made = shown();
    made["secret"] = SECRET.into();
    Operation::new(EVENTS, "createWebhook", "Has events sent to an address (Standard Webhooks)")
        .about("`secret` is shown this once. `https` and public addresses only.")
        .takes::<webhook::New>([("one", json!({ "url": "https://partner.example/sceau", "types": ["proofs.final"] }))])
        .gives::<webhook::Made>(StatusCode::CREATED, "It begins with what happens from now on, or behind `after`.", made)
        .fails(&[Code::WebhookUrlRefused, Code::WebhooksCount, Code::CursorUnknown])
}

pub(in crate::api::partner) fn webhook() -> Operation {
    one("webhook", "How a webhook stands").gives::<webhook::View>(StatusCode::OK, "The webhook.", shown())
}

pub(in crate::api::partner) fn remove() -> Operation {
    one("removeWebhook", "Sends nothing more there, and forgets its history").gives_nothing(StatusCode::NO_CONTENT, "It is gone.")
}

pub(in crate::api::partner) fn rotate() -> Operation {
    let example = json!({ "secret": SECRET, "previous_secret_until": "2026-11-23T08:01:14.2Z" });
    one("rotateSecret", "A new secret; the one before signs beside it for a while")
        .takes::<webhook::Rotation>([("day", json!({})), ("hour", json!({ "overlap": 3600 }))])
        .gives::<webhook::Rotated>(StatusCode::OK, "Shown this once.", example)
}

pub(in crate::api::partner) fn resume() -> Operation {
    one("resumeWebhook", "Sends again at once, from where it stopped or from behind an event")
        .takes::<webhook::Resumption>([("goOn", json!({})), ("again", json!({ "after": 3 }))])
        .gives::<webhook::View>(StatusCode::OK, "As it is now.", shown())
        .fails(&[Code::CursorUnknown])
}

pub(in crate::api::partner) fn test() -> Operation {
    one("testWebhook", "An event that this webhook alone is sent").gives_nothing(StatusCode::ACCEPTED, "It stands in the log.")
}

pub(in crate::api::partner) fn deliveries() -> Operation {
    let tried = json!({
        "id": 7, "seq": 12, "event": "evt_7c7a0f7e2b1d4c5f8e9a0b1c2d3e41e0", "type": "proofs.final", "attempt": 1,
        "at": "2026-11-22T08:01:15.2Z", "duration_ms": 31, "status": 204, "error": null, "answer": "",
    });
    one("deliveries", "What was sent and how it went, newest first").query::<webhook::Page>().gives::<webhook::History>(
        StatusCode::OK,
        "A page.",
        json!({ "deliveries": [tried], "next": null }),
    )
}
