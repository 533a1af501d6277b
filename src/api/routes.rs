//! The list of all routes, and what each asks of its caller. The router is made of it, the scope is checked by it
//! ([`super::access::caller::Caller`]), and the tests and pages that speak of every route read it.

use axum::routing::{MethodRouter, get, post};
use axum::{Extension, Router, middleware};

use super::access::token;
use super::access::token::Scope;
use super::open::{check, health, operations, problems};
use super::openapi::{self, Operation};
use super::{State, core, partner};

/// What a route asks of its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Nothing.
    Public,
    /// Key and secret, as RFC 6749 §2.3.1 has them.
    Client,
    /// An access token with this scope, or key and secret of an account that may use them here.
    Scope(Scope),
}

/// One method of one path.
#[derive(Debug, Clone, Copy)]
pub struct Route {
    /// The method. What answers GET answers HEAD too.
    pub method: &'static str,
    /// The path, its parameters in braces.
    pub path: &'static str,
    /// What it asks of its caller.
    pub access: Access,
    handler: fn() -> MethodRouter<State>,
    /// Whether it is answered while the database is away.
    pub(super) alone: bool,
    /// What the OpenAPI document says about it.
    pub(super) operation: Option<fn() -> Operation>,
}

impl Route {
    /// A GET route; `handler` is `|| get(…)`.
    #[must_use]
    pub const fn get(path: &'static str, access: Access, handler: fn() -> MethodRouter<State>) -> Self {
        Self { method: "GET", path, access, handler, alone: false, operation: None }
    }

    /// A POST route; `handler` is `|| post(…)`.
    #[must_use]
    pub const fn post(path: &'static str, access: Access, handler: fn() -> MethodRouter<State>) -> Self {
        Self { method: "POST", path, access, handler, alone: false, operation: None }
    }

    /// A route of another method; `handler` is `|| put(…)`, say.
    #[must_use]
    pub const fn other(method: &'static str, path: &'static str, access: Access, handler: fn() -> MethodRouter<State>) -> Self {
        Self { method, path, access, handler, alone: false, operation: None }
    }

    /// What the OpenAPI document says about it. A route without is a failure of the tests.
    pub const fn told(self, operation: fn() -> Operation) -> Self {
        Self { operation: Some(operation), ..self }
    }

    /// It needs no database, or says itself that there is none.
    const fn alone(self) -> Self {
        Self { alone: true, ..self }
    }
}

const OWN: &[Route] = &[
    Route::get("/healthz", Access::Public, || get(health::lives)).alone().told(operations::lives),
    Route::get("/readyz", Access::Public, || get(health::ready)).alone().told(operations::ready),
    Route::get("/openapi.json", Access::Public, || get(openapi::json)).alone().told(operations::openapi),
    Route::get("/docs", Access::Public, || get(openapi::page)).alone().told(operations::docs),
    Route::get("/problems", Access::Public, || get(problems::problems)).alone().told(operations::problems),
    Route::get("/problems/{code}", Access::Public, || get(problems::problem)).alone().told(operations::problem),
    Route::post("/oauth2/token", Access::Client, || post(token::token)).told(token::operations::token),
    Route::post("/oauth2/revoke", Access::Client, || post(token::revoke)).told(token::operations::revoke),
    Route::get("/.well-known/jwks.json", Access::Public, || get(token::jwks)).alone().told(token::operations::jwks),
    Route::get("/.well-known/oauth-authorization-server", Access::Public, || get(token::metadata))
        .alone()
        .told(token::operations::metadata),
    Route::get("/check", Access::Public, || get(check::any)).alone().told(operations::check),
    Route::get("/check/{number}", Access::Public, || get(check::batch)).told(operations::check_batch),
];

/// What the managers' listener has beside the core API.
const CORE_OWN: &[Route] = &[
    Route::get("/healthz", Access::Public, || get(health::lives)).alone().told(operations::lives),
    Route::get("/openapi.json", Access::Public, || get(openapi::core_json)).alone().told(operations::openapi),
    Route::get("/docs", Access::Public, || get(openapi::core_page)).alone().told(operations::docs),
    Route::get("/problems", Access::Public, || get(problems::problems)).alone().told(operations::problems),
    Route::get("/problems/{code}", Access::Public, || get(problems::problem)).alone().told(operations::problem),
    Route::post("/oauth2/token", Access::Client, || post(token::token)).told(token::operations::token),
    Route::post("/oauth2/revoke", Access::Client, || post(token::revoke)).told(token::operations::revoke),
];

/// Every route of the partners' listener.
pub fn all() -> impl Iterator<Item = &'static Route> {
    OWN.iter().chain(partner::ROUTES).chain(partner::VALIDATORS)
}

/// Every route of the managers' listener.
pub fn core() -> impl Iterator<Item = &'static Route> {
    CORE_OWN.iter().chain(core::ROUTES).chain(partner::VALIDATORS)
}

/// Routes in one router.
pub(super) fn router(state: &State, routes: impl Iterator<Item = &'static Route>) -> Router<State> {
    let answering = middleware::from_fn_with_state(state.clone(), super::unless_away);
    routes.fold(Router::new(), |router, route| {
        let handler = (route.handler)().route_layer(Extension(route.access));
        router.route(route.path, if route.alone { handler } else { handler.layer(answering.clone()) })
    })
}
