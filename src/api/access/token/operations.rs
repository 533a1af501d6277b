//! What the OpenAPI document says about the token routes.

use axum::http::StatusCode;
use schemars::JsonSchema;
use serde_json::json;

use crate::api::openapi::{Operation, schema};

const TOKENS: &str = "tokens";

/// What a token is asked for with. Key and secret stand in `Authorization` (Basic) or here, never in both.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "it describes a form that is read by hand")]
struct TokenRequest {
    #[schemars(extend("enum" = ["client_credentials"]))]
    grant_type: String,
    /// Words separated by a space; without it, all scopes of the account's role.
    #[schemars(default, regex(pattern = "^([!-~]+( [!-~]+)*)?$"))]
    scope: String,
    #[schemars(default)]
    client_id: String,
    #[schemars(default)]
    client_secret: String,
}

/// An access token.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "it describes what is printed from parts")]
struct Token {
    /// A JWT of RFC 9068.
    access_token: String,
    #[schemars(extend("enum" = ["Bearer"]))]
    token_type: String,
    /// Seconds.
    expires_in: u64,
    scope: String,
}

pub(in crate::api) fn token() -> Operation {
    let example = json!({
        "access_token": "eyJ0eXAiOiJhdCtqd3QiLCJhbGciOiJFZERTQSJ9.eyJpc3MiOiJodHRwczovLy4uLiJ9.c2lnbmF0dXJl",
        "expires_in": 600,
        "scope": "proofs:read proofs:write",
        "token_type": "Bearer",
    });
    Operation::new(TOKENS, "token", "Gives an access token for key and secret (RFC 6749 §4.4)")
        .takes_form::<TokenRequest>([("all", json!({ "grant_type": "client_credentials" }))])
        .gives::<Token>(StatusCode::OK, "A token.", example)
}

/// What is to be taken back. Key and secret stand in `Authorization` (Basic) or here, never in both.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "it describes a form that is read by hand")]
struct Revocation {
    /// The access token.
    #[schemars(length(min = 1))]
    token: String,
    #[schemars(default)]
    client_id: String,
    #[schemars(default)]
    client_secret: String,
}

pub(in crate::api) fn revoke() -> Operation {
    Operation::new(TOKENS, "revoke", "Takes an access token back (RFC 7009)")
        .about("What is no token, or no longer one, is as good as revoked.")
        .takes_form::<Revocation>([("one", json!({ "token": "eyJ0eXAiOiJhdCtqd3QiLCJhbGciOiJFZERTQSJ9.e30.c2ln" }))])
        .gives_nothing(StatusCode::OK, "It is refused from now on.")
}

/// A set of keys (RFC 7517).
#[derive(JsonSchema)]
#[expect(dead_code, reason = "it describes what is printed from parts")]
struct Keys {
    keys: Vec<schema::AnyObject>,
}

pub(in crate::api) fn jwks() -> Operation {
    let key = json!({ "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": "…", "x": "…" });
    Operation::new(TOKENS, "jwks", "Public keys of the access tokens (RFC 7517)").gives::<Keys>(
        StatusCode::OK,
        "The keys.",
        json!({ "keys": [key] }),
    )
}

/// Metadata of RFC 8414.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "it describes what is printed from parts")]
struct Metadata {
    issuer: String,
    token_endpoint: String,
    jwks_uri: String,
    scopes_supported: Vec<String>,
    response_types_supported: Vec<String>,
    grant_types_supported: Vec<String>,
    token_endpoint_auth_methods_supported: Vec<String>,
    revocation_endpoint: String,
    revocation_endpoint_auth_methods_supported: Vec<String>,
}

pub(in crate::api) fn metadata() -> Operation {
    let example = json!({
        "issuer": "https://proofs.example",
        "token_endpoint": "https://proofs.example/oauth2/token",
        "jwks_uri": "https://proofs.example/.well-known/jwks.json",
        "scopes_supported": ["proofs:read", "proofs:write", "manage", "validate"],
        "response_types_supported": [],
        "grant_types_supported": ["client_credentials"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "revocation_endpoint": "https://proofs.example/oauth2/revoke",
        "revocation_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
    });
    Operation::new(TOKENS, "metadata", "Metadata of the token routes (RFC 8414)").gives::<Metadata>(
        StatusCode::OK,
        "They.",
        example,
    )
}
