//! `GET /v1/status`: what anybody may know of how the service is doing.

use sceau::ledger::accounts::Role;
use sceau::pipeline::runner::{Watched, Work};
use sceau::pipeline::{Result, Step, StepError};
use sceau_verifier::Digest;
use serde_json::{Value, json};

use super::kit::{Service, service};

async fn status(service: &Service) -> Value {
    let answer = service.get("/v1/status", "").await;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["cache-control"], "public, max-age=5");
    answer.json().await.unwrap()
}

#[tokio::test]
async fn it_tells_what_waits_and_since_when() {
    let service = service().await;
    let quiet = status(&service).await;
    assert_eq!((&quiet["last_sealed"], &quiet["oldest_unanchored"]), (&Value::Null, &Value::Null));
    assert_eq!((&quiet["targets"], &quiet["halted"]), (&json!([]), &json!([])));
    assert!(quiet["next_seal"].as_str() > quiet["time"].as_str(), "{quiet}");

    let account = service.account("status", Role::Partner).await;
    let token = service.token(&account).await;
    let proof = &service.submit(&token, &[Digest::of(b"a")]).await[0];
    let waiting = status(&service).await;
    let oldest = &waiting["oldest_unanchored"];
    assert_eq!((&oldest["received_at"], &oldest["anchor_by"]), (&proof["received_at"], &proof["anchor_by"]));
    assert_eq!(oldest["overdue"], false);
    service.seal().await;
    assert_eq!(status(&service).await["last_sealed"]["batch"], 1);

    // The promise was half an hour after the next full minute.
    sqlx::query("update batches set sealed_at = sealed_at - interval '1 hour'").execute(&service.database.pool).await.unwrap();
    service.submit(&token, &[Digest::of(b"b")]).await;
    sqlx::query("update proofs set received_at = received_at - interval '1 hour' where batch = 2")
        .execute(&service.database.pool)
        .await
        .unwrap();
    assert_eq!(status(&service).await["oldest_unanchored"]["overdue"], true);
}

/// Halts, then fails otherwise, then goes on.
struct Rough(Vec<Result<Step>>);

impl Work for Rough {
    async fn step(&mut self) -> Result<Step> {
        self.0.remove(0)
    }
}

#[tokio::test]
async fn a_halt_is_told_until_the_step_goes_on() {
    let service = service().await;
    let halt = || Err(StepError::Halt("look at the registry".into()));
    let other = Err(StepError::Chain(sceau::chain::ChainError::Unreachable("planned".into())));
    let steps = Rough(vec![halt(), other, halt(), Ok(Step::Idle)]);
    let mut work = Watched { work: steps, name: "anchor".into(), ledger: service.ledger.clone(), halted: true };

    work.step().await.unwrap_err();
    let first = status(&service).await["halted"].clone();
    assert_eq!((&first[0]["step"], &first[0]["why"]), (&json!("anchor"), &json!("look at the registry")));
    for _ in 0..2 {
        work.step().await.unwrap_err();
        assert_eq!(status(&service).await["halted"], first, "the same halt since the same moment");
    }
    work.step().await.unwrap();
    assert_eq!(status(&service).await["halted"], json!([]));
}

#[tokio::test]
async fn endpoints_that_are_not_used_are_told_until_they_are() {
    let service = service().await;
    let note = async |asides: &[(u32, &str, String)]| service.ledger.note_asides("anchor", asides).await.unwrap();
    note(&[(1, "away", "no answer".into()), (3, "behind", "its head is 7".into())]).await;
    let first = status(&service).await["aside"].clone();
    assert_eq!((&first[0]["endpoint"], &first[0]["why"]), (&json!(1), &json!("no answer")));
    assert_eq!((&first[1]["endpoint"], &first[1]["step"]), (&json!(3), &json!("anchor")));
    note(&[(1, "away", "HTTP 503".into()), (3, "wrong chain", "serves chain 5".into())]).await;
    let later = status(&service).await["aside"].clone();
    assert_eq!(later[0], first[0], "the same kind of reason since the same moment");
    assert_eq!(later[1]["why"], "serves chain 5");
    assert!(later[1]["since"].as_str() > first[1]["since"].as_str());
    note(&[]).await;
    assert_eq!(status(&service).await["aside"], json!([]));
}
