//! The signed promise: what it says, that it holds, and that it is nothing else.

use std::time::Duration;

use reqwest::Response;
use sceau::api::Deadline;
use sceau_verifier::promise::judge::{Judgement, Outcome, judge};
use sceau_verifier::promise::{KeySet, jws};
use sceau_verifier::{Code, Digest};
use serde_json::{Value, json};

use super::kit::{PUBLIC_URL, Service, digest, problem, service};
use crate::cli::command::Place;
use crate::validations::office;

async fn keys(service: &Service) -> KeySet {
    let answer = service.get("/.well-known/jwks.json", "").await;
    KeySet::parse(&answer.bytes().await.unwrap()).unwrap()
}

async fn judged(service: &Service, promise: &[u8], document: Option<&Digest>) -> Judgement {
    judge(promise, &keys(service).await, document, None, |_, _| unreachable!("there is no receipt"))
}

async fn submitted(service: &Service, token: &str, body: &Value) -> Vec<u8> {
    let answer = service.post("/v1/proofs", token, body).await;
    assert!(answer.status().is_success());
    answer.bytes().await.unwrap().to_vec()
}

fn proofs(numbers: impl IntoIterator<Item = u64>) -> Value {
    let items: Vec<Value> = numbers.into_iter().map(|number| json!({ "digest": digest(number) })).collect();
    json!({ "proofs": items })
}

async fn one(service: &Service, token: &str, number: u64) -> Response {
    service.get(&format!("/v1/proofs/{}/promise", digest(number)), token).await
}

#[tokio::test]
async fn every_acceptance_is_promised_with_one_signature() {
    let service = service().await;
    let (_, token) = service.partner("acme").await;
    for (body, count, number) in [
        (proofs([1]), 1, 1),
        (proofs(2..5), 3, 2),
        // Again, and twice in one submission.
        (proofs([1]), 1, 1),
        (proofs([2, 5, 2, 5]), 4, 2),
        (proofs(1..=300), 300, 1),
    ] {
        let saved = submitted(&service, &token, &body).await;
        let answer: Value = serde_json::from_slice(&saved).unwrap();
        let about: Digest = body["proofs"][0]["digest"].as_str().unwrap().parse().unwrap();
        let judgement = judged(&service, &saved, Some(&about)).await;
        assert_eq!((judgement.code, judgement.outcome), (Code::Ok, Some(Outcome::Given)), "{}", judgement.detail);
        let (signed, record) = (judgement.signed.unwrap(), judgement.record.unwrap());
        assert_eq!((&*signed.payload.iss, &*signed.payload.account), (PUBLIC_URL, "acme"));
        assert_eq!((signed.payload.count.unwrap_or(1), record.number, record.batch), (count, number, 1));
        assert_eq!(json!(record.anchor_by), answer["proofs"][0]["anchor_by"]);
        // Nothing of it can be told otherwise afterwards.
        for (member, value) in [("number", json!(9)), ("batch", json!(2)), ("anchor_by", json!("2030-01-01T00:00:00Z"))] {
            let mut changed = answer.clone();
            changed["proofs"][0][member] = value;
            assert_eq!(judged(&service, changed.to_string().as_bytes(), None).await.code, Code::PromiseRecords, "{member}");
        }
        // The proof alone says the same, now and later.
        let alone = one(&service, &token, record.number).await;
        assert_eq!(alone.headers()["content-type"], "application/jose");
        let alone = judged(&service, &alone.bytes().await.unwrap(), Some(&about)).await;
        assert_eq!(alone.record, Some(record));
    }
    // Numbers are those of the account.
    let (_, other) = service.partner("other").await;
    let answer: Value = serde_json::from_slice(&submitted(&service, &other, &proofs([1, 7])).await).unwrap();
    assert_eq!((&answer["proofs"][0]["number"], &answer["proofs"][1]["number"]), (&json!(1), &json!(2)));
    let status: Value = service.get(&format!("/v1/proofs/{}", digest(7)), &other).await.json().await.unwrap();
    assert_eq!(status["number"], 2);
}

#[tokio::test]
async fn a_later_change_of_the_settings_changes_no_promise() {
    let service = service().await;
    let (_, token) = service.partner("acme").await;
    let saved = submitted(&service, &token, &proofs([1])).await;
    let promised = judged(&service, &saved, Some(&digest(1))).await.record.unwrap();
    // An instance that allows a day more.
    let generous = |moment: time::OffsetDateTime| moment.replace_nanosecond(0).unwrap() + Duration::from_secs(60);
    let twin = service.twin(|state| state.deadline = Deadline::new(generous, Duration::from_secs(86_400))).await;
    let own: Value = twin.get(&format!("/v1/proofs/{}", digest(1)), &token).await.json().await.unwrap();
    assert_eq!(own["anchor_by"], json!(promised.anchor_by));
    let again = submitted(&twin, &token, &proofs([1])).await;
    assert_eq!(judged(&twin, &again, None).await.record, Some(promised));
    let alone = one(&twin, &token, 1).await.bytes().await.unwrap();
    assert_eq!(judged(&twin, &alone, None).await.record, Some(promised));
    let receipt = problem(twin.get(&format!("/v1/proofs/{}/receipt", digest(1)), &token).await, 409, "receipt_not_ready").await;
    assert_eq!(receipt["anchor_by"], json!(promised.anchor_by));
}

#[tokio::test]
async fn what_waits_is_not_promised() {
    let service = service().await;
    let office = office(&service, 1, &["notary"]).await;
    let body = json!({ "proofs": [{ "digest": digest(1), "validation": true }, { "digest": digest(2) }] });
    let saved = submitted(&service, &office.token, &body).await;
    let answer: Value = serde_json::from_slice(&saved).unwrap();
    assert!(answer["proofs"][0].get("anchor_by").is_none() && answer["proofs"][0].get("number").is_none());
    assert_eq!(judged(&service, &saved, Some(&digest(2))).await.code, Code::Ok);
    assert_eq!(judged(&service, &saved, Some(&digest(1))).await.code, Code::PromiseOtherDocument);
    let waiting = problem(one(&service, &office.token, 1).await, 409, "promise_missing").await;
    assert_eq!(waiting["proof_status"], "awaiting_validation");
    let alone = submitted(&service, &office.token, &json!({ "proofs": [{ "digest": digest(3), "validation": true }] })).await;
    assert!(serde_json::from_slice::<Value>(&alone).unwrap().get("promise").is_none());
    // The last approval promises it.
    let id = answer["proofs"][0]["validation"]["id"].as_str().unwrap();
    assert!(service.decide(&office.validators[0].1, id, "approve").await.status().is_success());
    let promise = one(&service, &office.token, 1).await.bytes().await.unwrap();
    assert_eq!(judged(&service, &promise, Some(&digest(1))).await.outcome, Some(Outcome::Given));

    // What was accepted before promises were kept.
    sqlx::query("update proofs set anchor_by = null").execute(&service.database.pool).await.unwrap();
    problem(one(&service, &office.token, 2).await, 409, "promise_missing").await;
    let again = submitted(&service, &office.token, &proofs([2])).await;
    assert!(serde_json::from_slice::<Value>(&again).unwrap().get("promise").is_none());
    let mixed = submitted(&service, &office.token, &proofs([2, 8])).await;
    assert_eq!(judged(&service, &mixed, Some(&digest(8))).await.code, Code::Ok);
    assert_eq!(judged(&service, &mixed, Some(&digest(2))).await.code, Code::PromiseOtherDocument);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_keeps_what_is_promised_and_checks_it() {
    let service = service().await;
    let (account, _) = service.partner("acme").await;
    let place = Place::new()
        .with("SCEAU_API_URL", &service.base)
        .with("SCEAU_CONSUMER_KEY", &account.key)
        .with("SCEAU_CONSUMER_SECRET", &account.secret);
    for name in ["a", "b", "c"] {
        place.file(name, name);
    }
    let run = |arguments: &'static [&str]| tokio::task::block_in_place(|| place.run(arguments));
    run(&["submit", "--promises", "kept", "a", "b"]).ends(0);
    run(&["submit", "--promises", "kept", "c", "a"]).ends(0);
    let mut names: Vec<String> =
        std::fs::read_dir(place.path("kept")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert!(names.len() == 3 && names[0].starts_with("keys-"), "{names:?}");
    assert!(
        names[1].starts_with("promise-000000001-000000002-") || names[1].starts_with("promise-000000001-000000003-"),
        "{names:?}"
    );
    let keys = std::fs::read(place.path("kept").join(&names[0])).unwrap();
    for name in &names[1..] {
        let saved = std::fs::read(place.path("kept").join(name)).unwrap();
        let judgement = judge(&saved, &KeySet::parse(&keys).unwrap(), Some(&Digest::of(b"a")), None, |_, _| unreachable!());
        assert_eq!((judgement.code, judgement.record.unwrap().number), (Code::Ok, 1), "{name}");
    }
}

#[tokio::test]
async fn a_promise_is_no_token_and_a_token_no_promise() {
    let service = service().await;
    let (_, token) = service.partner("acme").await;
    submitted(&service, &token, &proofs([1])).await;
    let promise = one(&service, &token, 1).await.text().await.unwrap();
    problem(service.get("/v1/proofs/x", &promise).await, 401, "token_invalid").await;
    let keys = keys(&service).await;
    assert_eq!(jws::open(&token, &keys).unwrap_err().code, Code::PromiseType);
    assert!(jws::open(&promise, &keys).is_ok());
}
