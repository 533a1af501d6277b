//! The service and its peers, on the same listener: what differs is the handler.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use axum::body::Bytes;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderName, StatusCode};
use axum::response::IntoResponse;
use axum::routing::post;
use axum::{Extension, Router};
use sceau::api::caller::Caller;
use sceau::api::listen::Listener;
use sceau::api::routes::Access;
use sceau::api::secret::Pepper;
use sceau::api::token::{Scope, Scopes, Tokens};
use sceau::api::{self, Deadline, State};
use sceau::config::Http;
use sceau::ledger::Ledger;
use sceau::ledger::accounts::Role;
use sceau::ledger::accounts::limits::{Change, Changes};
use sceau::ledger::intake::{Intake, Limits};
use sceau::pipeline::schedule::Schedule;
use sceau::ports::Ports;
use sceau_verifier::Digest;
use serde::Deserialize;
use sqlx::PgPool;
use tokio::task::JoinSet;

/// RFC 8410 §10.3: known to everybody, good for a bench.
const TOKEN_KEY: &str =
    "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE KEY-----\n";
const PUBLIC_URL: &str = "http://localhost";

/// A served router; ends with its runtime.
pub struct Served {
    /// Where it listens.
    pub address: SocketAddr,
    _lanes: Option<JoinSet<()>>,
}

/// The service as `sceau serve` runs its API, and a token for it.
pub async fn service(ledger: &Ledger) -> Result<(Served, String)> {
    let (state, lanes, token) = state(ledger, "service").await?;
    let mut served = serve(api::router(state)).await?;
    served._lanes = Some(lanes);
    Ok((served, format!("Bearer {token}")))
}

async fn state(ledger: &Ledger, name: &str) -> Result<(State, JoinSet<()>, String)> {
    let ports = Ports::system();
    let consumer_key = format!("ck_bench_{name}");
    ledger.create_account(&consumer_key, Role::Partner, &consumer_key, [0; 32]).await?;
    // What is measured is not the limit on requests.
    let changes =
        Changes { requests_per_second: Change::Set(1_000_000), burst: Change::Set(1_000_000), digests_per_day: Change::Keep };
    ledger.change_limits(Some(&consumer_key), changes).await?;
    let credential = ledger.credential(&consumer_key).await?.context("the credential just made")?;
    let schedule = Schedule::parse("0 * * * * *")?;
    let deadline = Deadline::new(move |moment| schedule.next_after(moment), Duration::from_secs(1800));
    let terms = deadline.clone();
    let ledger = &ledger.clone().promising(move |moment| terms.around(moment), Arc::clone(&ports.clock));
    let (intake, lanes) = Intake::start(ledger, &ports.entropy, Limits::default());
    let tokens = Tokens::from_pem(TOKEN_KEY.as_bytes(), PUBLIC_URL, 3600)?;
    let scopes = Scopes::of_role(Role::Partner);
    let token = tokens.issue(&credential, &consumer_key, scopes, ports.clock.now(), ports.entropy.as_ref())?;
    let pepper = Pepper::from_bytes([7; 32]);
    Ok((State::new(ledger.clone(), intake, ports, tokens, pepper, deadline, PUBLIC_URL), lanes, token))
}

/// Parses the same body and answers as many bytes; stores nothing.
pub async fn no_op() -> Result<Served> {
    serve(Router::new().route("/v1/proofs", post(async |body: Bytes| canned(&body)))).await
}

/// The same behind the check of an access token, and a token for it.
pub async fn no_op_with_token(ledger: &Ledger) -> Result<(Served, String)> {
    let (state, lanes, token) = state(ledger, "no_op").await?;
    let handler = async |_: Caller, body: Bytes| canned(&body);
    let access = Access::Scope(Scope::ProofsWrite);
    let mut served = serve(Router::new().route("/v1/proofs", post(handler).layer(Extension(access))).with_state(state)).await?;
    served._lanes = Some(lanes);
    Ok((served, format!("Bearer {token}")))
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
    serve(Router::new().route("/v1/proofs", post(handler))).await
}

async fn serve(router: Router) -> Result<Served> {
    let http = Http { listen: ([127, 0, 0, 1], 0).into(), public_url: PUBLIC_URL.into(), tls: None, plain: true };
    let listener = Listener::bind(&http).await.context("the bench's listener")?;
    let address = listener.address();
    tokio::spawn(listener.serve(router, std::future::pending()));
    Ok(Served { address, _lanes: None })
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

const JSON: [(HeaderName, &str); 1] = [(CONTENT_TYPE, "application/json")];

/// An answer as long as the service's.
fn canned(body: &[u8]) -> axum::response::Response {
    let Some(digest) = parsed(body) else { return StatusCode::BAD_REQUEST.into_response() };
    let answer = format!(
        r#"{{"proofs":[{{"digest":"{digest}","status":"pending","batch":1,"received_at":"2026-11-22T06:00:00.123456Z","anchor_by":"2026-11-22T06:31:00Z","created":true,"salt":"00000000000000000000000000000000","links":{{"proof":"http://localhost/v1/proofs/{digest}","receipt":"http://localhost/v1/proofs/{digest}/receipt","batch":"http://localhost/v1/batches/1"}}}}]}}"#
    );
    (StatusCode::CREATED, JSON, answer).into_response()
}
