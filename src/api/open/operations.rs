//! What the OpenAPI document says about the routes that are open to anybody.

use axum::http::StatusCode;
use schemars::JsonSchema;
use serde_json::json;

use crate::api::error::Code;
use crate::api::openapi::{Operation, schema};

const SERVICE: &str = "service";

/// `{"status":"ok"}`
#[derive(JsonSchema)]
#[expect(dead_code, reason = "it describes what is printed from parts")]
struct Health {
    #[schemars(extend("enum" = ["ok", "ready"]))]
    status: String,
    #[schemars(skip_serializing_if = "Option::is_none")]
    checks: Option<schema::AnyObject>,
}

pub(in crate::api) fn lives() -> Operation {
    Operation::new(SERVICE, "lives", "Whether the process answers").gives::<Health>(
        StatusCode::OK,
        "It does.",
        json!({ "status": "ok" }),
    )
}

pub(in crate::api) fn ready() -> Operation {
    let example = json!({ "status": "ready", "checks": { "database": "ok", "durability": "ok", "intake": "ok" } });
    Operation::new(SERVICE, "ready", "Whether digests can be accepted")
        .gives::<Health>(StatusCode::OK, "They can.", example)
        .fails(&[Code::NotReady])
}

pub(in crate::api) fn openapi() -> Operation {
    Operation::new(SERVICE, "openapi", "This document")
        .gives::<schema::AnyObject>(StatusCode::OK, "OpenAPI 3.1.", json!({ "openapi": "3.1.0" }))
        .tagged()
}

pub(in crate::api) fn docs() -> Operation {
    Operation::new(SERVICE, "docs", "This document for people")
        .gives_bytes(StatusCode::OK, "A page.", "text/html; charset=utf-8")
        .tagged()
}

/// A problem, as its `type` explains it.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "it describes what is printed from parts")]
struct Explained {
    code: schema::ProblemCode,
    status: u16,
    title: String,
    /// What it means, and what to do about it.
    description: String,
}

/// Every problem there is.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "it describes what is printed from parts")]
struct AllExplained {
    problems: Vec<Explained>,
}

pub(in crate::api) fn problems() -> Operation {
    let example = json!({ "problems": [super::problems::described(Code::ProofUnknown)] });
    Operation::new(SERVICE, "problems", "Every problem there is").gives::<AllExplained>(StatusCode::OK, "All of them.", example)
}

pub(in crate::api) fn problem() -> Operation {
    Operation::new(SERVICE, "problem", "What a problem means: where its `type` leads")
        .path::<schema::ProblemCode>("code", "The problem's `code`.", Code::ProofUnknown.as_str())
        .gives::<Explained>(StatusCode::OK, "It.", super::problems::described(Code::ProofUnknown))
        .fails(&[Code::NotFound])
}

pub(in crate::api) fn check() -> Operation {
    Operation::new("public", "check", "A page for people: how a certificate is checked").gives_bytes(
        StatusCode::OK,
        "A page, French or English.",
        "text/html; charset=utf-8",
    )
}

pub(in crate::api) fn check_batch() -> Operation {
    Operation::new("public", "checkBatch", "A page for people: where the QR code of a certificate leads")
        .path::<schema::Number>("number", "Number of a batch.", 1)
        .gives_bytes(StatusCode::OK, "A page, French or English.", "text/html; charset=utf-8")
        .fails(&[Code::BatchUnknown])
}
