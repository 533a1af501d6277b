//! The KageSecur dialect: programs written against its published page work unchanged.
//!
//! Three endpoints on a listener of their own, over the same ledger as the partner API. Every answered request has 200,
//! an authentication problem 403; what goes wrong below the protocol (a body that is no JSON, a database that is away,
//! too many requests) is a problem as everywhere, by the same layers and limits as in the partner API.

mod auth;
mod session;
pub mod texts;
mod verification;
mod write;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::routing::{get, post};
use axum::{Router, middleware};
use tower_http::catch_panic::CatchPanicLayer;

use self::jwt::Key;
use self::session::attempts::Attempts;
pub use self::session::jwt;
use super::State;
use super::access::caller::Standings;
use super::access::secret::Domain;
use super::error::{self, Code};
use crate::ledger::kagesecur::identities::Identity;

/// What the dialect is told by the settings.
#[derive(Debug)]
pub struct Options {
    /// Signs its tokens.
    pub key: Key,
    /// Links to this listener start with it; no slash at the end.
    pub public_url: String,
    /// Names under which documents are registered on this node, beside `localhost`.
    pub nodes: Vec<String>,
    /// How long an `auth` opens its certificate.
    pub auth_life: Duration,
    /// Failed logins a minute from one address; 0: without limit.
    pub login_failures: u32,
}

/// What the handlers need. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct Dialect {
    api: State,
    told: Arc<Told>,
}

#[derive(Debug)]
struct Told {
    key: Key,
    public_url: String,
    nodes: Vec<String>,
    auth_life: Duration,
    attempts: Attempts,
    /// How those who ask stand, by the hash of their empreinte.
    standings: Standings<Identity>,
}

impl Dialect {
    /// The dialect over what the partner API works with.
    #[must_use]
    pub fn new(api: State, options: Options) -> Self {
        let Options { key, public_url, nodes, auth_life, login_failures } = options;
        let (attempts, standings) = (Attempts::new(login_failures), Standings::new(api.standings.life()));
        Self { api, told: Arc::new(Told { key, public_url, nodes, auth_life, attempts, standings }) }
    }

    /// What stands in a token for an empreinte: whoever sees the token cannot log in with it.
    fn claim(&self, empreinte: &str) -> String {
        hex::encode(self.api.pepper.keyed(Domain::Token, empreinte.as_bytes()))
    }
}

/// Handlers take it as it is.
impl FromRequestParts<Self> for Dialect {
    type Rejection = Infallible;

    async fn from_request_parts(_: &mut Parts, dialect: &Self) -> Result<Self, Infallible> {
        Ok(dialect.clone())
    }
}

/// The routes of the dialect.
pub fn router(dialect: Dialect) -> Router {
    Router::new()
        .route("/connexionKS", post(session::connexion::connexion))
        .route("/writeProof", post(write::write))
        .route("/verification", post(verification::verification))
        .route("/certificat/{auth}", get(auth::certificate))
        .route("/recu/{auth}", get(auth::receipt))
        .route_layer(middleware::from_fn_with_state(dialect.api.clone(), super::unless_away))
        .fallback(async || error::Problem::new(Code::NotFound))
        .layer(CatchPanicLayer::custom(error::panicked))
        .layer(middleware::from_fn_with_state(dialect.api.clone(), error::finish))
        .with_state(dialect)
}
