//! The token endpoint: RFC 6749 §4.4 and every error of §5.2.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use reqwest::{Response, StatusCode};
use sceau::ledger::accounts::Role;
use serde_json::Value;

use crate::api::kit::{Account, LIFE, PUBLIC_URL, Service, forgetful, problem, service, start};

const GRANT: &str = "grant_type=client_credentials";

fn credentials(account: &Account) -> String {
    format!("client_id={}&client_secret={}", account.key, account.secret)
}

async fn with_basic(service: &Service, id: &str, secret: &str, form: &str) -> Response {
    let header = format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")));
    let request = service.client.post(format!("{}/oauth2/token", service.base)).header("authorization", header);
    request.header("content-type", "application/x-www-form-urlencoded").body(form.to_owned()).send().await.unwrap()
}

async fn refused(answer: Response, status: u16, error: &str) {
    let headers = answer.headers().clone();
    assert_eq!(headers["cache-control"], "no-store");
    assert_eq!(headers["content-type"], "application/json");
    assert_eq!(answer.status().as_u16(), status);
    assert_eq!(status == 401, headers.get("www-authenticate").is_some_and(|value| value.to_str().unwrap().starts_with("Basic ")));
    assert!(headers.contains_key("x-request-id"));
    let body: Value = answer.json().await.unwrap();
    assert_eq!(body["error"], error);
    let members: Vec<&str> = body.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(members, ["error", "error_description"]);
}

#[tokio::test]
async fn tokens_are_given_by_form_and_by_basic() {
    let service = start(true, |_| {}).await;
    let account = service.account("a", Role::Partner).await;
    let by_form = service.post_form("/oauth2/token", &format!("{GRANT}&{}", credentials(&account))).await;
    let by_basic =
        with_basic(&service, &account.key, &account.secret, &format!("{GRANT}&scope=proofs:read&unknown=1&unknown=2")).await;
    let encoded = with_basic(&service, &account.key.replace('_', "%5F"), &account.secret, GRANT).await;
    for (answer, scope) in
        [(by_form, "proofs:read proofs:write"), (by_basic, "proofs:read"), (encoded, "proofs:read proofs:write")]
    {
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.headers()["cache-control"], "no-store");
        assert_eq!(answer.headers()["pragma"], "no-cache");
        let body: Value = answer.json().await.unwrap();
        assert_eq!((&body["token_type"], &body["expires_in"], &body["scope"]), (&"Bearer".into(), &LIFE.into(), &scope.into()));
        let token = body["access_token"].as_str().unwrap();
        let parts: Vec<Value> = token
            .split('.')
            .take(2)
            .map(|part| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap())
            .collect();
        let keys: Value = service.get("/.well-known/jwks.json", "").await.json().await.unwrap();
        assert_eq!(
            (&parts[0]["typ"], &parts[0]["alg"], &parts[0]["kid"]),
            (&"at+jwt".into(), &"EdDSA".into(), &keys["keys"][0]["kid"])
        );
        assert_eq!((&parts[1]["iss"], &parts[1]["aud"]), (&PUBLIC_URL.into(), &PUBLIC_URL.into()));
        assert_eq!((&parts[1]["sub"], &parts[1]["client_id"]), (&account.id.0.to_string().into(), &account.key.clone().into()));
        assert_eq!(parts[1]["exp"].as_i64().unwrap() - parts[1]["iat"].as_i64().unwrap(), LIFE as i64);
        assert_eq!(parts[1]["scope"], scope);
    }
}

#[tokio::test]
async fn roles_have_their_scopes() {
    let service = service().await;
    for (role, scope) in [
        (Role::Partner, "proofs:read proofs:write"),
        (Role::Client, "proofs:read proofs:write"),
        (Role::Manager, "proofs:read proofs:write manage"),
        (Role::Validator, "proofs:read validate"),
    ] {
        let account = service.account(role.as_str(), role).await;
        let answer = service.post_form("/oauth2/token", &format!("{GRANT}&{}", credentials(&account))).await;
        assert_eq!(answer.json::<Value>().await.unwrap()["scope"], scope);
    }
}

#[tokio::test]
async fn every_error_of_the_grant() {
    let service = service().await;
    let account = service.account("a", Role::Partner).await;
    let other = service.account("b", Role::Partner).await;
    let own = credentials(&account);
    let long = "x".repeat(4000);
    for (form, status, error) in [
        (String::new(), 401, "invalid_client"),
        (GRANT.into(), 401, "invalid_client"),
        (format!("{GRANT}&client_id={}", account.key), 401, "invalid_client"),
        (format!("{GRANT}&client_secret={}", account.secret), 401, "invalid_client"),
        (format!("{GRANT}&client_id={}&client_secret=", account.key), 401, "invalid_client"),
        (format!("{GRANT}&client_id={}&client_secret={}", account.key, other.secret), 401, "invalid_client"),
        (format!("{GRANT}&client_id=ck_nobody&client_secret={}", account.secret), 401, "invalid_client"),
        (format!("{GRANT}&client_id=%00&client_secret={}", account.secret), 401, "invalid_client"),
        (format!("{GRANT}&client_id={long}&client_secret={long}"), 401, "invalid_client"),
        (own.clone(), 400, "invalid_request"),
        (format!("grant_type=&{own}"), 400, "invalid_request"),
        (format!("{GRANT}&{GRANT}&{own}"), 400, "invalid_request"),
        (format!("{GRANT}&{own}&client_id={}", account.key), 400, "invalid_request"),
        (format!("grant_type=password&{own}"), 400, "unsupported_grant_type"),
        (format!("{GRANT}&{own}&scope=manage"), 400, "invalid_scope"),
        (format!("{GRANT}&{own}&scope=proofs:read+validate"), 400, "invalid_scope"),
        (format!("{GRANT}&{own}&scope=everything"), 400, "invalid_scope"),
        (format!("{GRANT}&{own}&scope=+"), 400, "invalid_scope"),
    ] {
        println!("{form}");
        refused(service.post_form("/oauth2/token", &form).await, status, error).await;
    }
    refused(with_basic(&service, &account.key, &other.secret, GRANT).await, 401, "invalid_client").await;
    refused(with_basic(&service, &account.key, &account.secret, &format!("{GRANT}&{own}")).await, 400, "invalid_request").await;
    refused(
        with_basic(&service, &account.key, &account.secret, &format!("{GRANT}&client_id={}", other.key)).await,
        400,
        "invalid_request",
    )
    .await;
    let post = || service.client.post(format!("{}/oauth2/token", service.base));
    let form = format!("{GRANT}&{own}");
    refused(post().header("content-type", "application/json").body(form.clone()).send().await.unwrap(), 400, "invalid_request")
        .await;
    refused(post().body(form.clone()).send().await.unwrap(), 400, "invalid_request").await;
    for header in ["Bearer x", "Basic", "Basic !", "Basic eA=="] {
        let request = post().header("content-type", "application/x-www-form-urlencoded").header("authorization", header);
        refused(request.body(GRANT).send().await.unwrap(), 401, "invalid_client").await;
    }
    problem(service.post_form("/oauth2/token", &"x".repeat(17 * 1024)).await, 413, "body_too_large").await;
    problem(service.get("/oauth2/token", "").await, 405, "method_not_allowed").await;
}

#[tokio::test]
async fn disabled_accounts_get_nothing_and_lose_what_they_have() {
    let service = forgetful().await;
    let (account, token) = service.partner("a").await;
    let (_, other) = service.partner("b").await;
    let path = format!("/v1/proofs/{}", "ab".repeat(32));
    problem(service.get(&path, &token).await, 404, "proof_unknown").await;
    service.ledger.disable_account(&account.name).await.unwrap();
    problem(service.get(&path, &token).await, 403, "account_disabled").await;
    problem(service.get(&path, &other).await, 404, "proof_unknown").await;
    refused(service.post_form("/oauth2/token", &format!("{GRANT}&{}", credentials(&account))).await, 401, "invalid_client").await;
}

#[tokio::test]
async fn scopes_are_asked_for_by_each_route() {
    let service = service().await;
    let validator = service.account("v", Role::Validator).await;
    let token = service.token(&validator).await;
    let answer = service.post("/v1/proofs", &token, &serde_json::json!({ "proofs": [] })).await;
    assert_eq!(
        answer.headers()["www-authenticate"],
        "Bearer realm=\"sceau\", error=\"insufficient_scope\", scope=\"proofs:write\""
    );
    problem(answer, 403, "scope_missing").await;
    let partner = service.account("p", Role::Partner).await;
    let form = format!("{GRANT}&{}&scope=proofs:write", credentials(&partner));
    let writer: Value = service.post_form("/oauth2/token", &form).await.json().await.unwrap();
    let writer = writer["access_token"].as_str().unwrap();
    let path = format!("/v1/proofs/{}", "ab".repeat(32));
    problem(service.get(&path, writer).await, 403, "scope_missing").await;
    problem(service.get(&format!("{path}/receipt"), writer).await, 403, "scope_missing").await;
    problem(service.post("/v1/verify", writer, &serde_json::json!({})).await, 403, "scope_missing").await;
}

#[tokio::test]
async fn machines_find_what_they_need() {
    let service = service().await;
    let metadata: Value = service.get("/.well-known/oauth-authorization-server", "").await.json().await.unwrap();
    assert_eq!(metadata["issuer"], PUBLIC_URL);
    assert_eq!(metadata["token_endpoint"], format!("{PUBLIC_URL}/oauth2/token"));
    let keys: Value = service.get("/.well-known/jwks.json", "").await.json().await.unwrap();
    let key = keys["keys"][0].as_object().unwrap();
    assert_eq!((&key["kty"], &key["crv"]), (&"OKP".into(), &"Ed25519".into()));
    assert!(!key.contains_key("d"), "the private half is not shown");
}
