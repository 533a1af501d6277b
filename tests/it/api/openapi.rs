//! The OpenAPI document against the service: judged by other programs (`tests/openapi/check`), and used to ask every route
//! that names an object for another account's.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sceau::api::access::limit::{Rate, Rates};
use sceau::ledger::accounts::Role;
use serde_json::{Value, json};

use super::kit::{Service, core_of, digest, start};
use crate::validations::{Office, office};

/// A service with something behind every kind of object.
struct Furnished {
    service: Service,
    office: Office,
    /// Path parameters that lead to something, by name.
    examples: Value,
}

fn quick() -> Arc<Rates> {
    Arc::new(Rates::new(Rate { per_second: 100_000, burst: 100_000 }))
}

async fn furnished() -> Furnished {
    let service = start(false, |state| state.rates = quick()).await;
    let office = office(&service, 2, &["first", "second"]).await;
    service.submit(&office.token, &[digest(1)]).await;
    service.seal().await;
    let wish = json!({ "proofs": [{ "digest": digest(2) }], "validation": true });
    let validation = service.propose(&office.token, &wish).await.1[0]["validation"]["id"].as_str().unwrap().to_owned();
    service.decide(&office.validators[0].1, &validation, "approve").await;
    let made = service.post("/v1/webhooks", &office.token, &json!({ "url": "https://a.example/" })).await;
    let webhook = made.json::<Value>().await.unwrap()["id"].take();
    let examples = json!({ "digest": digest(1), "id": validation, "webhook": webhook, "number": 1, "level": 0, "index": "000.p/2", "validator": "second", "code": "not_found" });
    Furnished { service, office, examples }
}

/// Asked for by `tests/openapi/check`, which says where the programs are.
#[tokio::test(flavor = "multi_thread")]
async fn judged_by_others() {
    let Ok(tools) = std::env::var("SCEAU_OPENAPI_TOOLS") else { return };
    let Furnished { service, office, examples } = furnished().await;
    let manager = service.account("manager", Role::Manager).await;
    let manager_token = service.token(&manager).await;
    let basic = format!("Basic {}", STANDARD.encode(format!("{}:{}", office.owner.key, office.owner.secret)));
    let caller = |name: &str, header: String, scopes: &[&str]| json!({ "name": name, "header": header, "scopes": scopes });
    let core = core_of(&service, |state| state.rates = quick()).await;
    let made = core.post("/core/v1/accounts", &manager_token, &json!({ "name": "managed", "role": "client" })).await;
    let made: Value = made.json().await.unwrap();
    let managed = json!({ "id": made["account"]["id"], "key": made["credential"]["consumer_key"], "code": "not_found" });
    let facts = json!({
        "examples_most": std::env::var("SCEAU_OPENAPI_EXAMPLES").ok().and_then(|most| most.parse::<u32>().ok()).unwrap_or(15),
        "seconds": 11,
        "services": [{
            "base": service.base,
            "examples": examples,
            "callers": [
                caller("nobody, and a partner's key and secret", basic, &[]),
                caller("partner", format!("Bearer {}", office.token), &["proofs:read", "proofs:write"]),
                caller("validator", format!("Bearer {}", office.validators[1].1), &["validate"]),
                caller("manager of validators", format!("Bearer {manager_token}"), &["manage"]),
            ],
        }, {
            "base": core.base,
            "examples": managed,
            // Those of the other listener.
            "except": ["lives", "openapi", "docs", "problems", "problem", "token", "revoke"],
            "callers": [caller("manager", format!("Bearer {manager_token}"), &["manage"])],
        }],
    });
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("facts.json");
    std::fs::write(&file, facts.to_string()).unwrap();
    let judge = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/openapi/judge.py");
    let done = tokio::task::spawn_blocking(move || {
        Command::new(Path::new(&tools).join("bin/python")).arg(judge).arg(file).status().unwrap()
    });
    assert!(done.await.unwrap().success(), "see above");
}

/// The answer without what differs from request to request.
async fn bare(service: &Service, method: &str, path: &str, token: &str, body: Option<String>) -> (u16, Vec<String>, Value) {
    let answer = service.send(method.parse().unwrap(), path, token, body).await;
    let status = answer.status().as_u16();
    let varying = ["x-request-id", "date", "ratelimit"];
    let mut headers: Vec<String> = answer
        .headers()
        .iter()
        .filter(|(name, _)| !varying.contains(&name.as_str()))
        .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
        .collect();
    headers.sort();
    let text = answer.text().await.unwrap();
    let mut body: Value = serde_json::from_str(&text).unwrap_or(Value::String(text));
    if let Some(body) = body.as_object_mut() {
        body.remove("request_id");
    }
    (status, headers, body)
}

/// Another account's object is answered like one that nobody has, to the byte, on every route that names an object.
#[tokio::test(flavor = "multi_thread")]
async fn what_belongs_to_others_is_as_unknown_as_what_nobody_has() {
    let Furnished { service, office, examples } = furnished().await;
    let document: Value = service.get("/openapi.json", "").await.json().await.unwrap();
    let (_, partner) = service.partner("curious").await;
    let validator = service.account("curious validator", Role::Validator).await;
    let validator = service.token(&validator).await;
    // Names of what belongs to somebody; batches and tiles are public.
    let mine = json!({ "digest": examples["digest"], "id": examples["id"], "webhook": examples["webhook"] });
    let id = "019f0c1a-5f43-7c11-9d3a-6d0c2f1e7a10";
    let nobodys = json!({ "digest": digest(404), "id": id, "webhook": id });
    let filled = |path: &str, values: &Value| {
        values
            .as_object()
            .unwrap()
            .iter()
            .fold(path.to_owned(), |path, (name, value)| path.replace(&format!("{{{name}}}"), value.as_str().unwrap()))
    };
    let mut tried = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let scope = operation["security"][0]["token"][0].as_str();
            let body = match operation["operationId"].as_str().unwrap() {
                "decide" => Some(json!({ "decision": "approve" }).to_string()),
                "verify" => Some(json!({ "digest": "DIGEST" }).to_string()),
                "rotateSecret" | "resumeWebhook" => Some("{}".to_owned()),
                _ => None,
            };
            let named =
                ["{digest}", "{id}", "{webhook}"].iter().any(|name| path.contains(name)) || operation["operationId"] == "verify";
            let (Some(scope), true) = (scope, named) else { continue };
            // Asked for in so many words.
            let query = if operation["operationId"] == "erase" { "?irrevocable=true" } else { "" };
            let token = if scope == "validate" { &validator } else { &partner };
            let of = |values: &Value| {
                let digest = values["digest"].as_str().unwrap();
                (filled(path, values) + query, body.as_ref().map(|body| body.replace("DIGEST", digest)))
            };
            let (theirs, their_body) = of(&mine);
            let (unknown, unknown_body) = of(&nobodys);
            let method = method.to_uppercase();
            let seen = bare(&service, &method, &theirs, token, their_body).await;
            let expected = bare(&service, &method, &unknown, token, unknown_body).await;
            assert_eq!(seen.0, 404, "{method} {path}: {}", seen.2);
            assert_eq!(seen, expected, "{method} {path}");
            tried += 1;
        }
    }
    assert!(tried >= 7, "only {tried} operations name an object");
    // The same requests find something for whom it belongs to.
    let found = bare(&service, "GET", &filled("/v1/proofs/{digest}", &mine), &office.token, None).await;
    assert_eq!(found.0, 200);
}
