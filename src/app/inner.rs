//! The listener for whoever runs the service: health and metrics. Never for partners.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;

use crate::api::open::health;
use crate::ledger::Ledger;
use crate::ledger::intake::Intake;
use crate::metrics::{CONTENT_TYPE, Metrics};

/// What its routes need.
#[derive(Debug, Clone)]
pub(super) struct Inner {
    pub(super) ledger: Ledger,
    /// The way in for digests, where this process has one.
    pub(super) intake: Option<Intake>,
    pub(super) metrics: Arc<Metrics>,
}

/// All routes.
pub(super) fn router(inner: Inner) -> Router {
    Router::new()
        .route("/healthz", get(health::lives))
        .route("/readyz", get(ready))
        .route("/metrics", get(scrape))
        .with_state(inner)
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

async fn scrape(State(inner): State<Inner>) -> Response {
    match inner.metrics.scrape().await {
        Ok(text) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "printing metrics");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
