//! What submitting is measured against, on the same listener: what differs is the handler.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Result;
use axum::body::Bytes;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderName, StatusCode};
use axum::response::IntoResponse;
use axum::routing::post;
use axum::{Extension, Router};
use sceau::api::access::caller::Caller;
use sceau::api::access::token::Scope;
use sceau::api::routes::Access;
use sceau::ledger::Ledger;
use sceau_verifier::Digest;
use serde::Deserialize;
use sqlx::PgPool;

use super::server::{Served, state};
use super::setting::{PUBLIC_URL, listen};

/// Parses the same body and answers as many bytes; stores nothing.
pub async fn no_op() -> Result<Served> {
    let router = Router::new().route("/v1/proofs", post(async |body: Bytes| canned(&body)));
    Ok(Served::new(listen(router).await?, None))
}

/// The same behind the check of an access token, and a token for it.
pub async fn no_op_with_token(ledger: &Ledger) -> Result<(Served, String)> {
    let (state, lanes, token) = state(ledger, "ck_bench_no_op").await?;
    let handler = async |_: Caller, body: Bytes| canned(&body);
    let access = Access::Scope(Scope::ProofsWrite);
    let address = listen(Router::new().route("/v1/proofs", post(handler).layer(Extension(access))).with_state(state)).await?;
    Ok((Served::new(address, Some(lanes)), token))
}

/// One insert a request into a table of the same shape, answered after its commit.
pub async fn insert_each(pool: &PgPool) -> Result<Served> {
    let (pool, counter) = (Arc::new(pool.clone()), Arc::new(AtomicU64::new(1)));
    let handler = async move |body: Bytes| {
        let Some(digest) = parsed(&body) else { return StatusCode::BAD_REQUEST.into_response() };
        let done = sqlx::query(
            "insert into proofs_naive (account_id, batch, received_at, digest, salt, number) values (1, 1, now(), $1, $2, $3)",
        )
        .bind(digest.as_ref())
        .bind(&digest.as_ref()[..16])
        .bind(i64::try_from(counter.fetch_add(1, Ordering::Relaxed)).unwrap_or(i64::MAX))
        .execute(&*pool)
        .await;
        if done.is_ok() { canned(&body) } else { StatusCode::SERVICE_UNAVAILABLE.into_response() }
    };
    Ok(Served::new(listen(Router::new().route("/v1/proofs", post(handler))).await?, None))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body<'a> {
    #[serde(borrow)]
    proofs: Vec<Item<'a>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Item<'a> {
    digest: &'a str,
}

fn parsed(body: &[u8]) -> Option<Digest> {
    let body: Body<'_> = serde_json::from_slice(body).ok()?;
    body.proofs.iter().map(|item| item.digest.parse::<Digest>().ok()).collect::<Option<Vec<_>>>()?.pop()
}

/// As many bytes as the promise has that the service signs.
const PROMISE: [u8; 656] = [b'e'; 656];

const JSON: [(HeaderName, &str); 1] = [(CONTENT_TYPE, "application/json")];

/// An answer as long as the service's, but for what differs from one to the next.
fn canned(body: &[u8]) -> axum::response::Response {
    let Some(digest) = parsed(body) else { return StatusCode::BAD_REQUEST.into_response() };
    let proof = format!("{PUBLIC_URL}/v1/proofs/{digest}");
    let answer = format!(
        r#"{{"proofs":[{{"digest":"{digest}","status":"pending","batch":1,"number":1,"received_at":"2026-11-22T06:00:00.123456Z","anchor_by":"2026-11-22T06:31:00Z","created":true,"salt":"00000000000000000000000000000000","links":{{"self":"{proof}","receipt":"{proof}/receipt","promise":"{proof}/promise","certificate":"{proof}/certificate","batch":"{PUBLIC_URL}/v1/batches/1"}}}}],"promise":"{}"}}"#,
        std::str::from_utf8(&PROMISE).expect("ASCII")
    );
    (StatusCode::CREATED, JSON, answer).into_response()
}
