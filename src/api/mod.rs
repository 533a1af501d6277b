//! The HTTP side: tokens, submissions, receipts, public batches. Speaks to the ledger only; the chain is never asked.

pub mod access;
mod body;
pub mod certificate;
mod conditional;
mod core;
mod deadline;
pub mod error;
pub mod kagesecur;
pub mod listen;
pub mod news;
pub mod open;
pub mod openapi;
mod partner;
mod promise;
pub mod receipt;
pub mod routes;
mod state;
pub mod streams;
pub mod traffic;

use axum::extract::Request;
use axum::http::HeaderMap;
use axum::middleware::Next;
use axum::response::Response;
use axum::{Router, middleware};
use sceau_verifier::Digest;
use tower_http::catch_panic::CatchPanicLayer;

pub use self::deadline::Deadline;
use self::deadline::LAST;
use self::error::{Code, Problem, Result};
use self::routes::Route;
pub use self::state::{Limits, Shared, State};
use crate::ledger::intake::IntakeError;

/// All routes of the partners' listener.
pub fn router(state: State) -> Router {
    finished(state, routes::all())
}

/// All routes of the managers' listener.
pub fn core_router(state: State) -> Router {
    finished(state, routes::core())
}

fn finished(state: State, routes: impl Iterator<Item = &'static Route>) -> Router {
    routes::router(&state, routes)
        .fallback(async || error::Problem::new(Code::NotFound))
        .layer(CatchPanicLayer::custom(error::panicked))
        .layer(middleware::from_fn_with_state(state.clone(), error::finish))
        .with_state(state)
}

/// In front of what cannot be answered without the database: refused at once while it is away, and given up when it goes.
/// Handlers may be dropped at any point: what they had handed to the intake goes on there.
async fn unless_away(api: State, request: Request, next: Next) -> Result<Response> {
    tokio::select! {
        biased;
        () = api.ledger.gate().away() => Err(Problem::from(IntakeError::Away)),
        response = next.run(request) => Ok(response),
    }
}

/// The entity tag of a body, and whether the client has that one already (RFC 9110 §13.1.2).
fn etag(body: &[u8], headers: &HeaderMap) -> (String, bool) {
    named(&Digest::of(body), headers)
}

/// The entity tag of what `name` names, and whether the client has that already.
fn named(name: &Digest, headers: &HeaderMap) -> (String, bool) {
    let tag = format!("\"{name}\"");
    let same = conditional::has(headers, &tag);
    (tag, same)
}
