//! For each route a request that is in order, and what is answered to whom.

use sceau::api::routes::Route;
use serde_json::{Value, json};

use crate::api::kit::digest;

/// A request that is in order, as the owner of proof 1 would make it.
pub struct Sample {
    pub path: &'static str,
    pub body: Option<Value>,
    /// What the owner gets.
    pub own: (u16, &'static str),
    /// What another account gets; `None` where the route speaks of nothing that belongs to anyone.
    pub foreign: Option<(u16, &'static str)>,
}

/// A row for each route. Proof 1 is in batch 1, which is sealed and not anchored; document 2 waits for the second of two
/// validators.
pub fn sample(route: &Route) -> Sample {
    let row = |path, own| Sample { path, body: None, own, foreign: None };
    match (route.method, route.path) {
        ("GET", path @ ("/healthz" | "/readyz" | "/problems" | "/v1/status" | "/openapi.json" | "/docs")) => row(path, (200, "")),
        ("GET", path @ ("/.well-known/jwks.json" | "/.well-known/oauth-authorization-server")) => row(path, (200, "")),
        ("GET", "/problems/{code}") => row("/problems/not_found", (200, "")),
        ("POST", path @ ("/oauth2/token" | "/oauth2/revoke")) => row(path, (200, "")),
        ("POST", "/v1/proofs") => {
            // What another account submitted is as new to this one as anything.
            let body = Some(json!({ "proofs": [{ "digest": digest(1) }] }));
            Sample { body, foreign: Some((201, "")), ..row("/v1/proofs", (200, "")) }
        }
        ("GET", "/v1/proofs") => row("/v1/proofs", (200, "")),
        ("DELETE", "/v1/proofs/{digest}") => Sample {
            foreign: Some((404, "proof_unknown")),
            ..row("/v1/proofs/DIGEST?irrevocable=true", (409, "erasure_too_early"))
        },
        ("GET", "/v1/proofs/{digest}") => Sample { foreign: Some((404, "proof_unknown")), ..row("/v1/proofs/DIGEST", (200, "")) },
        ("GET", "/v1/proofs/{digest}/receipt") => {
            Sample { foreign: Some((404, "proof_unknown")), ..row("/v1/proofs/DIGEST/receipt", (409, "receipt_not_ready")) }
        }
        ("GET", "/v1/proofs/{digest}/promise") => {
            Sample { foreign: Some((404, "proof_unknown")), ..row("/v1/proofs/DIGEST/promise", (200, "")) }
        }
        ("GET", "/v1/proofs/{digest}/certificate") => {
            Sample { foreign: Some((404, "proof_unknown")), ..row("/v1/proofs/DIGEST/certificate", (200, "")) }
        }
        ("GET", "/v1/validations") => row("/v1/validations", (200, "")),
        ("GET" | "POST", "/v1/validations/{id}") => Sample {
            body: (route.method == "POST").then(|| json!({ "decision": "approve" })),
            foreign: Some((404, "validation_unknown")),
            ..row("/v1/validations/VALIDATION", (200, ""))
        },
        ("GET", "/v1/validations/{id}/decisions/{digest}/receipt") => Sample {
            foreign: Some((404, "validation_unknown")),
            ..row("/v1/validations/VALIDATION/decisions/DECISION/receipt", (409, "receipt_not_ready"))
        },
        ("GET", "/v1/events") => row("/v1/events?after=0&limit=10", (200, "")),
        ("GET", "/v1/webhooks") => row("/v1/webhooks", (200, "")),
        ("POST", "/v1/webhooks") => {
            Sample { body: Some(json!({ "url": "https://a.example/" })), ..row("/v1/webhooks", (201, "")) }
        }
        (method, path) if path.starts_with("/v1/webhooks/{webhook}") => {
            let (path, status) = match (method, path) {
                ("GET", "/v1/webhooks/{webhook}") => ("/v1/webhooks/WEBHOOK", 200),
                ("DELETE", "/v1/webhooks/{webhook}") => ("/v1/webhooks/WEBHOOK", 204),
                ("POST", "/v1/webhooks/{webhook}/secret") => ("/v1/webhooks/WEBHOOK/secret", 200),
                ("POST", "/v1/webhooks/{webhook}/resume") => ("/v1/webhooks/WEBHOOK/resume", 200),
                ("POST", "/v1/webhooks/{webhook}/test") => ("/v1/webhooks/WEBHOOK/test", 202),
                ("GET", "/v1/webhooks/{webhook}/deliveries") => ("/v1/webhooks/WEBHOOK/deliveries", 200),
                _ => panic!("{method} {path} has no row in this table"),
            };
            let body = (method == "POST").then(|| json!({}));
            Sample { body, foreign: Some((404, "webhook_unknown")), ..row(path, (status, "")) }
        }
        (method @ ("GET" | "PUT"), "/v1/validators") => Sample {
            body: (method == "PUT").then(|| json!({ "approvals_needed": 2 })),
            foreign: Some((404, "account_unknown")),
            ..row("/v1/validators?account=acme", (200, ""))
        },
        ("PUT" | "DELETE", "/v1/validators/{validator}") => {
            let foreign = Some((404, "account_unknown"));
            Sample { foreign, ..row("/v1/validators/second?account=acme", (200, "")) }
        }
        ("GET", "/check") => row("/check", (200, "")),
        ("GET", "/check/{number}") => row("/check/1", (200, "")),
        ("POST", "/v1/verify") => {
            let body = Some(json!({ "digest": digest(1) }));
            Sample { body, foreign: Some((404, "proof_unknown")), ..row("/v1/verify", (200, "")) }
        }
        ("GET", "/v1/batches/{number}") => row("/v1/batches/1", (200, "")),
        ("GET", "/v1/batches/{number}/tile/{level}/{*index}") => row("/v1/batches/1/tile/0/000.p/2", (200, "")),
        ("GET", path @ ("/core/v1/accounts" | "/core/v1/log")) => row(path, (200, "")),
        ("POST", "/core/v1/accounts") => {
            Sample { body: Some(json!({ "name": "acme", "role": "client" })), ..row("/core/v1/accounts", (409, "name_taken")) }
        }
        (method, path) if path.starts_with("/core/v1/accounts/{id}") => {
            let (path, body, own) = match (method, path.trim_start_matches("/core/v1/accounts/{id}")) {
                ("GET", "") => ("/core/v1/accounts/MANAGED", None, (200, "")),
                ("PATCH", "") => ("/core/v1/accounts/MANAGED", Some(json!({})), (200, "")),
                ("GET", "/credentials") => ("/core/v1/accounts/MANAGED/credentials", None, (200, "")),
                ("POST", "/credentials") => ("/core/v1/accounts/MANAGED/credentials", None, (201, "")),
                ("DELETE", "/credentials/{key}") => {
                    ("/core/v1/accounts/MANAGED/credentials/ck", None, (404, "credential_unknown"))
                }
                ("DELETE", "/tokens") => ("/core/v1/accounts/MANAGED/tokens", None, (204, "")),
                ("GET", "/networks") => ("/core/v1/accounts/MANAGED/networks", None, (200, "")),
                ("PUT", "/networks") => ("/core/v1/accounts/MANAGED/networks", Some(json!({ "networks": [] })), (200, "")),
                ("GET", "/limits") => ("/core/v1/accounts/MANAGED/limits", None, (200, "")),
                ("PUT", "/limits") => ("/core/v1/accounts/MANAGED/limits", Some(json!({})), (200, "")),
                ("GET", "/subscription") => ("/core/v1/accounts/MANAGED/subscription", None, (200, "")),
                ("PUT", "/subscription") => ("/core/v1/accounts/MANAGED/subscription", Some(json!({ "until": null })), (200, "")),
                (method, _) => panic!("{method} {path} has no row in this table"),
            };
            Sample { body, foreign: Some((404, "account_unknown")), ..row(path, own) }
        }
        (method, path) => panic!("{method} {path} has no row in this table"),
    }
}
