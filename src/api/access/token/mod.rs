//! `POST /oauth2/token`: access tokens by client credentials (RFC 6749 §4.4); `POST /oauth2/revoke` takes them back
//! (RFC 7009); and what describes both to machines.

mod claims;
mod client;
mod jwt;
mod keys;
pub(in crate::api) mod operations;
mod scope;
mod verified;

use std::net::IpAddr;

use axum::Json;
use axum::extract::Request;
use axum::http::header::{CACHE_CONTROL, PRAGMA, WWW_AUTHENTICATE};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use secrecy::ExposeSecret;
use serde_json::json;

pub use self::claims::Claims;
pub use self::client::{Presented, basic};
pub use self::jwt::{Refused, Tokens};
pub use self::scope::{Scope, Scopes};
use super::limit::Meter;
use crate::api::access::peer;
use crate::api::error::{Code, Problem, RequestId};
use crate::api::traffic::TokenFailure;
use crate::api::{State, body};
use crate::ledger::accounts::Credential;

/// Keys and metadata may be kept for five minutes: show a new key that long before it signs.
const MINUTES: [(HeaderName, &str); 1] = [(CACHE_CONTROL, "public, max-age=300")];
/// A token request is short.
const MAX_FORM: usize = 16 * 1024;

/// The ways of RFC 6749 §2.3.1, by their names in RFC 7591 §2.
const AUTHENTICATION: [&str; 2] = ["client_secret_basic", "client_secret_post"];

/// Errors of RFC 6749 §5.2, the only ones this endpoint answers in that form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GrantError {
    /// A parameter is missing, twice there, or the request is malformed.
    InvalidRequest,
    /// Unknown key, wrong secret, or disabled: which of them is not said.
    InvalidClient,
    /// A token of somebody else.
    InvalidGrant,
    /// Another grant than `client_credentials`.
    UnsupportedGrantType,
    /// A scope that does not exist or that the account may not have.
    InvalidScope,
}

/// Why no token was given.
#[derive(Debug)]
pub enum Failure {
    /// What the client has to change; the last is for whoever counts, who may know more than the client.
    Grant(GrantError, &'static str, TokenFailure),
    /// What it cannot change.
    Problem(Problem),
}

impl GrantError {
    fn because(self, description: &'static str) -> Failure {
        self.counted(description, self.as_str())
    }

    fn counted(self, description: &'static str, reason: &'static str) -> Failure {
        Failure::Grant(self, description, TokenFailure(reason))
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidClient => "invalid_client",
            Self::InvalidGrant => "invalid_grant",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::InvalidScope => "invalid_scope",
        }
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let (error, description, failure) = match self {
            Self::Problem(problem) => return problem.into_response(),
            Self::Grant(error, description, failure) => (error, description, failure),
        };
        let status = if error == GrantError::InvalidClient { StatusCode::UNAUTHORIZED } else { StatusCode::BAD_REQUEST };
        let mut response = (status, Json(json!({ "error": error.as_str(), "error_description": description }))).into_response();
        if error == GrantError::InvalidClient {
            // RFC 9110 §15.5.2 wants it with every 401, RFC 6749 where the client came with Authorization.
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"sceau\", charset=\"UTF-8\""));
        }
        response.extensions_mut().insert(failure);
        RequestId::printed(never_stored(response))
    }
}

fn never_stored(mut response: Response) -> Response {
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response.headers_mut().insert(PRAGMA, HeaderValue::from_static("no-cache"));
    response
}

/// A client that proved who it is.
struct Client {
    address: Option<IpAddr>,
    key: String,
    credential: Credential,
    form: client::Form,
}

/// Reads the form and checks key and secret: not too often from one address, and only from where the account may ask.
/// Which of unknown, wrong, disabled and elsewhere it was is not said.
async fn proven(api: &State, request: Request) -> Result<Client, Failure> {
    let (head, stream) = request.into_parts();
    let address = peer::address(&head, &api.trusted);
    api.rates.stranger(address, &head.extensions.get::<Meter>().cloned().unwrap_or_default())?;
    if body::media_type(&head.headers) != "application/x-www-form-urlencoded" {
        return Err(GrantError::InvalidRequest.because("send application/x-www-form-urlencoded"));
    }
    let bytes = body::read(&head.headers, stream, MAX_FORM, api.limits.body).await?;
    let mut form = client::Form::read(&bytes)?;
    let client = client::presented(&head.headers, &mut form)?;
    let known =
        if client.could_be_ours() { api.ledger.credential(&client.client_id).await.map_err(Problem::from)? } else { None };
    let proven = api.pepper.matches(client.secret.expose_secret(), known.as_ref().map(|credential| &credential.secret_hash));
    let reason = match &known {
        None => "unknown_key",
        Some(_) if !proven => "wrong_secret",
        Some(credential) if !credential.active => "disabled",
        Some(_) => "address_refused",
    };
    let account = known.as_ref().map(|credential| credential.account);
    match known.filter(|credential| proven && credential.active && credential.lets_in(address)) {
        Some(credential) => Ok(Client { address, key: client.client_id, credential, form }),
        None => {
            api.journal.refused(account, address, reason);
            let description = "unknown key, wrong secret, disabled, or an address that is not allowed";
            Err(GrantError::InvalidClient.counted(description, reason))
        }
    }
}

/// `POST /oauth2/token`.
///
/// # Errors
/// Those of RFC 6749 §5.2; problems for what the client cannot change.
pub async fn token(api: State, request: Request) -> Result<Response, Failure> {
    let Client { address, key, credential, form } = proven(&api, request).await?;
    match form.grant_type.as_deref() {
        Some("client_credentials") => {}
        Some(_) => return Err(GrantError::UnsupportedGrantType.because("only client_credentials")),
        None => return Err(GrantError::InvalidRequest.because("grant_type is missing")),
    }
    let allowed = Scopes::of_role(credential.role);
    let scopes = match &form.scope {
        None => allowed,
        Some(words) => Scopes::parse(words)
            .filter(|scopes| scopes.within(allowed))
            .ok_or(GrantError::InvalidScope.because("unknown, or more than this account may have"))?,
    };
    let token = api
        .tokens
        .issue(&credential, &key, scopes, api.ports.clock.now(), api.ports.entropy.as_ref())
        .map_err(|error| Code::Internal.because(error))?;
    api.journal.issued(credential.account, address, &key);
    let answer =
        json!({ "access_token": token, "token_type": "Bearer", "expires_in": api.tokens.life(), "scope": scopes.to_string() });
    Ok(never_stored(Json(answer).into_response()))
}

/// `POST /oauth2/revoke` (RFC 7009): takes back one token of the account. A token that is none, or no longer one, is as
/// good as revoked. Here it is refused from the next request on, on other instances after [`State::STANDING`] at the latest.
///
/// # Errors
/// `invalid_request` without a token, `invalid_grant` for another account's token.
pub async fn revoke(api: State, request: Request) -> Result<Response, Failure> {
    let Client { address, credential, form, .. } = proven(&api, request).await?;
    let token = form.token.ok_or(GrantError::InvalidRequest.because("token is missing"))?;
    if let Ok(claims) = api.tokens.check(&token, api.ports.clock.now())
        && let Some(name) = claims.name()
    {
        if claims.sub != credential.account.0.to_string() {
            return Err(GrantError::InvalidGrant.because("the token was given to another account"));
        }
        api.ledger.revoke_token(credential.account, name, claims.accepted_until(), address).await.map_err(Problem::from)?;
        api.standings.forget(&claims.client_id);
    }
    Ok(never_stored(StatusCode::OK.into_response()))
}

/// `GET /.well-known/jwks.json` (RFC 7517).
pub async fn jwks(api: State) -> impl IntoResponse {
    (MINUTES, Json(api.tokens.jwks()))
}

/// `GET /.well-known/oauth-authorization-server` (RFC 8414).
pub async fn metadata(api: State) -> impl IntoResponse {
    let metadata = json!({
        "issuer": &*api.public_url,
        "token_endpoint": format!("{}/oauth2/token", api.public_url),
        "jwks_uri": format!("{}/.well-known/jwks.json", api.public_url),
        "scopes_supported": Scopes::all_names(),
        "response_types_supported": [],
        "grant_types_supported": ["client_credentials"],
        "token_endpoint_auth_methods_supported": AUTHENTICATION,
        "revocation_endpoint": format!("{}/oauth2/revoke", api.public_url),
        "revocation_endpoint_auth_methods_supported": AUTHENTICATION,
    });
    (MINUTES, Json(metadata))
}
