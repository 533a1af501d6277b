//! Requests with an `Idempotency-Key`.

use reqwest::Response;
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;

use super::kit::{Service, digest, problem, service};

async fn send(service: &Service, token: &str, key: &str, body: &Value) -> Response {
    let request = service.client.post(format!("{}/v1/proofs", service.base)).bearer_auth(token);
    request.header("content-type", "application/json").header("idempotency-key", key).body(body.to_string()).send().await.unwrap()
}

async fn run(service: &Service, statement: &str) -> u64 {
    sqlx::query(AssertSqlSafe(statement.to_owned())).execute(&service.database.pool).await.unwrap().rows_affected()
}

fn of(numbers: std::ops::Range<u64>) -> Value {
    json!({ "proofs": numbers.map(|number| json!({ "digest": digest(number) })).collect::<Vec<_>>() })
}

#[tokio::test]
async fn the_same_request_has_the_same_answer_and_another_one_is_refused() {
    let service = service().await;
    let (_, token) = service.partner("a").await;
    let (_, other) = service.partner("b").await;
    let first = send(&service, &token, "one", &of(0..3)).await;
    assert_eq!((first.status().as_u16(), first.headers().get("idempotency-replayed")), (201, None));
    let body = first.text().await.unwrap();
    service.seal().await;
    let again = send(&service, &token, "\"one\"", &of(0..3)).await;
    assert_eq!((again.status().as_u16(), &again.headers()["idempotency-replayed"]), (201, &"true".parse().unwrap()));
    assert_eq!(again.headers()["content-type"], "application/json");
    assert_eq!(again.text().await.unwrap(), body, "byte for byte, sealed or not");
    problem(send(&service, &token, "one", &of(0..2)).await, 422, "idempotency_key_reused").await;
    assert_eq!(send(&service, &other, "one", &of(0..3)).await.status(), 201, "keys are each account's own");
    assert_eq!(send(&service, &token, "two", &of(0..3)).await.status(), 200, "another key is another request");
    problem(send(&service, &token, "no key", &of(0..3)).await, 400, "idempotency_key_invalid").await;

    // What was refused has not used the key up.
    problem(send(&service, &token, "three", &json!({ "proofs": [{ "digest": "no" }] })).await, 422, "proofs_invalid").await;
    assert_eq!(send(&service, &token, "three", &of(5..6)).await.status(), 201);

    let lines = service.client.post(format!("{}/v1/proofs", service.base)).bearer_auth(&token);
    let lines = lines.header("content-type", "application/x-ndjson").header("idempotency-key", "four").body("{}").send().await;
    problem(lines.unwrap(), 400, "idempotency_key_invalid").await;
}

#[tokio::test]
async fn after_a_crash_between_commit_and_answer_the_repetition_is_answered_as_the_first_time() {
    let service = service().await;
    let (_, token) = service.partner("a").await;
    // A crash before anything was done: the key is claimed, and nobody is at it.
    let seed = format!("'\\x{}'", "5e".repeat(32));
    assert_eq!(send(&service, &token, "one", &of(0..3)).await.status(), 201);
    let crashed = format!(
        "update idempotency_keys set seed = {seed}, status = null, body = null, claimed_until = clock_timestamp() - interval '1 s'"
    );
    run(&service, "delete from proofs").await;
    run(&service, &crashed).await;
    let first = send(&service, &token, "one", &of(0..3)).await;
    assert_eq!(first.status(), 201);
    let first: Value = first.json().await.unwrap();
    // A crash after the commit: the proofs are there, the answer is not.
    assert_eq!(run(&service, &crashed).await, 1);
    let second = send(&service, &token, "one", &of(0..3)).await;
    assert_eq!(second.status(), 201);
    let second: Value = second.json().await.unwrap();
    for (first, second) in first["proofs"].as_array().unwrap().iter().zip(second["proofs"].as_array().unwrap()) {
        for member in ["digest", "salt", "batch", "number", "received_at", "created"] {
            assert_eq!(first[member], second[member], "{member}");
        }
    }
    let left: i64 = sqlx::query_scalar("select count(*) from idempotency_keys where seed is not null")
        .fetch_one(&service.database.pool)
        .await
        .unwrap();
    assert_eq!((left, service.stored().await), (0, 3));
}

#[tokio::test]
async fn requests_at_once_are_done_once_and_old_keys_go() {
    let service = service().await;
    let (account, token) = service.partner("a").await;
    let sending = (0..8).map(|_| async {
        let body = of(0..50);
        let answer = send(&service, &token, "race", &body).await;
        (answer.status().as_u16(), answer.text().await.unwrap())
    });
    let answers = futures_util::future::join_all(sending).await;
    let done: Vec<&String> = answers.iter().filter(|(status, _)| *status == 201).map(|(_, body)| body).collect();
    assert!(!done.is_empty() && done.windows(2).all(|pair| pair[0] == pair[1]));
    for (status, body) in answers.iter().filter(|(status, _)| *status != 201) {
        assert!(*status == 409 && body.contains("idempotency_key_in_use"), "{status} {body}");
    }
    run(&service, "update idempotency_keys set seed = sha256('x'), status = null, body = null, claimed_until = clock_timestamp() + interval '1 h'").await;
    problem(send(&service, &token, "race", &of(0..50)).await, 409, "idempotency_key_in_use").await;
    run(&service, "update idempotency_keys set begun_at = begun_at - interval '1 day 1 s'").await;
    assert_eq!(service.ledger.forget_keys(account.id).await.unwrap(), 1);
    assert_eq!(send(&service, &token, "race", &of(0..50)).await.status(), 200);
}
