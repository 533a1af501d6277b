//! Submissions of which some items wait for validators and others do not: all of it is stored, or nothing.

use sceau::ledger::accounts::limits::{Change, Changes};
use serde_json::{Value, json};

use super::{Office, office};
use crate::api::kit::{Service, digest, problem, service};

/// The first of `numbers` waits, the others do not.
fn mixed(numbers: &[u64]) -> Value {
    let item = |(at, number): (usize, &u64)| json!({ "digest": digest(*number), "validation": at == 0 });
    json!({ "proofs": numbers.iter().enumerate().map(item).collect::<Vec<_>>() })
}

/// Sends a body as it is.
async fn send(service: &Service, token: &str, body: String, headers: &[(&str, &str)]) -> reqwest::Response {
    let request = service.client.post(format!("{}/v1/proofs", service.base)).bearer_auth(token).body(body);
    headers.iter().fold(request, |request, (name, value)| request.header(*name, *value)).send().await.unwrap()
}

async fn per_day(service: &Service, digests: Option<u64>) {
    let digests_per_day = Change::Set(digests);
    let changes = Changes { requests_per_second: Change::Keep, burst: Change::Keep, digests_per_day };
    service.ledger.change_limits(Some("acme"), changes).await.unwrap();
}

/// Proofs, and documents that wait.
async fn stored(service: &Service) -> (i64, i64) {
    let count = sqlx::query_scalar("select count(*) from validations");
    (service.stored().await, count.fetch_one(&service.database.pool).await.unwrap())
}

async fn words(service: &Service, office: &Office, body: &Value) -> (u16, Vec<(Value, bool)>) {
    let (status, proofs) = service.propose(&office.token, body).await;
    (status, proofs.iter().map(|proof| (proof["status"].clone(), proof["created"] == true)).collect())
}

#[tokio::test]
async fn what_the_database_refuses_for_the_quota_leaves_nothing_behind() {
    let service = service().await;
    let office = office(&service, 1, &["notary"]).await;
    // How the account stands is remembered for some seconds: what is asked before sees no limit, the database does.
    assert_eq!(service.propose(&office.token, &mixed(&[1, 2])).await.0, 201);
    per_day(&service, Some(1)).await;
    let json = ("content-type", "application/json");
    let send = async |key: &str| {
        let headers = [json, ("idempotency-key", key)];
        send(&service, &office.token, mixed(&[3, 4, 5]).to_string(), &headers[..1 + usize::from(!key.is_empty())]).await
    };
    for key in ["", "k"] {
        let refused = send(key).await;
        let wait: u64 = refused.headers()["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((1..=86_400).contains(&wait), "{wait}");
        let refused = problem(refused, 429, "quota_exceeded").await;
        assert!(!refused["detail"].as_str().unwrap().contains(&u64::MAX.to_string()), "{refused}");
        assert_eq!(stored(&service).await, (1, 1), "it says that nothing was stored");
        problem(service.get(&format!("/v1/proofs/{}", digest(3)), &office.token).await, 404, "proof_unknown").await;
    }
    per_day(&service, None).await;
    let first: Value = send("k").await.json().await.unwrap();
    let created = first["proofs"].as_array().unwrap().iter().filter(|proof| proof["created"] == true).count();
    assert_eq!((created, stored(&service).await), (3, (3, 2)), "{first}");
}

#[tokio::test]
async fn what_fails_behind_leaves_nothing_behind() {
    let service = service().await;
    let office = office(&service, 1, &["notary"]).await;
    sqlx::raw_sql(
        "create function fail() returns trigger language plpgsql as $$ begin raise 'no' using errcode = '53100'; end $$;
         create trigger fails before insert on proofs for each statement execute function fail()",
    )
    .execute(&service.database.pool)
    .await
    .unwrap();
    let failed = service.post("/v1/proofs", &office.token, &mixed(&[1, 2])).await;
    problem(failed, 503, "unavailable").await;
    assert_eq!(stored(&service).await, (0, 0));
    sqlx::raw_sql("drop trigger fails on proofs").execute(&service.database.pool).await.unwrap();
    let one = (json!("awaiting_validation"), true);
    assert_eq!(words(&service, &office, &mixed(&[1, 2])).await, (201, vec![one, (json!("pending"), true)]));
}

#[tokio::test]
async fn what_waits_or_stands_already_is_answered_as_it_stands() {
    let service = service().await;
    let office = office(&service, 1, &["notary"]).await;
    let (waits, pending) = (|created| (json!("awaiting_validation"), created), |created| (json!("pending"), created));
    assert_eq!(words(&service, &office, &mixed(&[1, 2])).await, (201, vec![waits(true), pending(true)]));
    assert_eq!(words(&service, &office, &mixed(&[1, 2])).await, (200, vec![waits(false), pending(false)]));
    // One that waited before is not accepted beside another that is to wait, nor does one wait that is a proof.
    let answer = words(&service, &office, &mixed(&[3, 1, 4])).await;
    assert_eq!(answer, (200, vec![waits(true), waits(false), pending(true)]));
    assert_eq!(words(&service, &office, &mixed(&[2, 5, 3])).await, (200, vec![pending(false), pending(true), waits(false)]));
    // The same one twice in one submission.
    assert_eq!(words(&service, &office, &mixed(&[6, 6, 7])).await, (200, vec![waits(true), waits(false), pending(true)]));
    assert_eq!(words(&service, &office, &mixed(&[8, 8])).await, (200, vec![waits(true), waits(false)]));
    assert_eq!(words(&service, &office, &mixed(&[9, 10, 10])).await, (200, vec![waits(true), pending(true), pending(false)]));
    assert_eq!(stored(&service).await, (5, 5));
}

#[tokio::test]
async fn many_at_once_are_all_stored_once() {
    let service = service().await;
    let office = office(&service, 1, &["notary"]).await;
    let asking = (0..24_u64).map(|at| {
        let body = mixed(&[at / 2, 100 + at / 2, 200 + at]);
        let (service, token) = (&service, &office.token);
        async move { service.propose(token, &body).await.1 }
    });
    let all: Vec<Vec<Value>> = futures_util::future::join_all(asking).await;
    let created = all.iter().flatten().filter(|proof| proof["created"] == true).count();
    assert_eq!((created, stored(&service).await), (48, (36, 12)));
    for pair in all.chunks(2) {
        assert_eq!((&pair[0][0]["salt"], &pair[0][1]["salt"]), (&pair[1][0]["salt"], &pair[1][1]["salt"]));
    }
}

/// Of a stream each line stands for itself, and says what became of it.
#[tokio::test]
async fn a_stream_tells_what_was_stored_line_by_line() {
    let service = service().await;
    let office = office(&service, 1, &["notary"]).await;
    assert_eq!(service.propose(&office.token, &mixed(&[1, 2])).await.0, 201);
    per_day(&service, Some(1)).await;
    let body: String = mixed(&[3, 4, 5])["proofs"].as_array().unwrap().iter().map(|item| format!("{item}\n")).collect();
    let media = [("content-type", "application/x-ndjson")];
    let answer = send(&service, &office.token, body, &media).await.text().await.unwrap();
    let lines: Vec<Value> = answer.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&lines[0]["status"], &lines[0]["created"]), (&json!("awaiting_validation"), &json!(true)), "{answer}");
    for line in &lines[1..3] {
        assert_eq!((&line["code"], &line["digest"]), (&json!("quota_exceeded"), &Value::Null), "{answer}");
    }
    let end = &lines[3]["end"];
    assert_eq!((&end["accepted"], &end["created"], &end["refused"]), (&json!(1), &json!(1), &json!(2)), "{answer}");
    assert_eq!((&end["stopped"]["line"], &end["stopped"]["code"]), (&json!(2), &json!("quota_exceeded")));
    assert!(!answer.contains("nothing was stored"), "{answer}");
    assert_eq!(stored(&service).await, (1, 2));
}
