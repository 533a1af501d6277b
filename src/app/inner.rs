//! The listener for whoever runs the service: health and metrics. Never for partners.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;

use crate::api::health;
use crate::ledger::Ledger;
use crate::ledger::intake::Intake;

/// What its routes need.
#[derive(Debug, Clone)]
pub(super) struct Inner {
    pub(super) ledger: Ledger,
    /// The way in for digests, where this process has one.
    pub(super) intake: Option<Intake>,
}

/// All routes.
pub(super) fn router(inner: Inner) -> Router {
    Router::new().route("/healthz", get(health::lives)).route("/readyz", get(ready)).with_state(inner)
}

async fn ready(State(inner): State<Inner>) -> Response {
    let (checks, amiss) = health::checks(&inner.ledger, inner.intake.as_ref()).await;
    match amiss {
        None => Json(json!({ "status": "ready", "checks": checks })).into_response(),
        Some(cause) => {
            tracing::warn!(cause, "not ready");
            (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "status": "not_ready", "checks": checks }))).into_response()
        }
    }
}
