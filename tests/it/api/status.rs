//! `GET /v1/status`: what anybody may know of how the service is doing.

use std::sync::Arc;
use std::time::Duration;

use sceau::api::open::overview::Overview;
use sceau::pipeline::runner::{Watched, Work};
use sceau::pipeline::{Result, Step, StepError};
use serde_json::{Value, json};

use super::kit::{Service, digest, service, start};

async fn status(service: &Service) -> Value {
    let answer = service.get("/v1/status", "").await;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["cache-control"], "public, max-age=5");
    answer.json().await.unwrap()
}

async fn run(service: &Service, statement: &str) {
    sqlx::raw_sql(sqlx::AssertSqlSafe(statement.to_owned())).execute(&service.database.pool).await.expect(statement);
}

#[tokio::test]
async fn it_tells_what_waits_and_since_when() {
    let service = service().await;
    let quiet = status(&service).await;
    for nothing in ["last_sealed", "oldest_pending", "oldest_pending_age", "oldest_unanchored"] {
        assert_eq!(quiet[nothing], Value::Null, "{nothing}");
    }
    assert_eq!((&quiet["targets"], &quiet["halted"], &quiet["overdue"]), (&json!([]), &json!([]), &json!(0)));
    assert_eq!(quiet["policy"], json!({ "anchored_when": 1, "of": 0, "from_batch": 1 }));
    assert!(quiet["next_seal"].as_str() > quiet["time"].as_str(), "{quiet}");

    let (_, token) = service.partner("status").await;
    let proof = &service.submit(&token, &[digest(1)]).await[0];
    let waiting = status(&service).await;
    let oldest = &waiting["oldest_unanchored"];
    assert_eq!((&oldest["received_at"], &oldest["anchor_by"]), (&proof["received_at"], &proof["anchor_by"]));
    assert_eq!((&oldest["overdue"], &waiting["oldest_pending"]["received_at"]), (&json!(false), &proof["received_at"]));
    assert!(waiting["oldest_pending_age"].is_u64());
    service.seal().await;
    let sealed = status(&service).await;
    assert_eq!((&sealed["last_sealed"]["batch"], &sealed["oldest_pending"]), (&json!(1), &Value::Null));
    assert_eq!(sealed["oldest_unanchored"]["received_at"], proof["received_at"]);
}

#[tokio::test]
async fn broken_promises_are_counted_until_they_are_kept_and_again_when_a_block_is_taken_back() {
    // Promises as they are kept, and those of before they were.
    counted(true).await;
    counted(false).await;
}

async fn counted(kept: bool) {
    let service = service().await;
    let (_, token) = service.partner("status").await;
    service.submit(&token, &[digest(1), digest(2), digest(3)]).await;
    service.seal().await;
    service.submit(&token, &[digest(4), digest(5)]).await;
    // What is kept is moved; where nothing is, what it is computed from.
    let earlier = async |proofs: &str| {
        let moved = if kept { "anchor_by = anchor_by" } else { "anchor_by = null, received_at = received_at" };
        run(&service, &format!("update proofs set {moved} - interval '1 hour' where {proofs}")).await;
        run(&service, "update batches b set (anchor_by_first, anchor_by_last) = (select min(anchor_by), max(anchor_by) from proofs p where p.batch = b.number)").await;
    };
    if !kept {
        run(&service, "update proofs set anchor_by = null; update batches set anchor_by_first = null, anchor_by_last = null")
            .await;
    }
    let overdue = async || {
        let answer = status(&service).await;
        assert_eq!(answer["oldest_unanchored"]["overdue"], json!(answer["overdue"] != 0), "{answer}");
        answer["overdue"].as_u64().expect("a number")
    };
    let one = async |number: u64| {
        let answer = service.get(&format!("/v1/proofs/{}", digest(number)), &token).await;
        answer.json::<Value>().await.unwrap()["overdue"].clone()
    };
    assert_eq!(overdue().await, 0);
    // The promise was half an hour after the next full minute.
    earlier("batch = 1").await;
    if !kept {
        run(&service, "update batches set opened_at = opened_at - interval '1 hour', closed_at = closed_at - interval '1 hour'")
            .await;
    }
    assert_eq!(
        (overdue().await, one(1).await, one(4).await),
        (3, json!(true), json!(false)),
        "a whole batch, and none of the open one"
    );
    // Row by row where the moment lies within a batch.
    service.seal().await;
    earlier("batch = 2 and digest = (select digest from proofs where batch = 2 limit 1)").await;
    assert_eq!(overdue().await, 4, "a batch that was closed after the moment is looked at row by row");
    earlier("batch = 2").await;
    assert_eq!(overdue().await, 5);
    let now = service.ledger.now().await.unwrap();
    let batches: Vec<u64> = service.ledger.overdue_batches(now, 10).await.unwrap().iter().map(|one| one.batch).collect();
    assert_eq!(batches, if kept { vec![1, 2] } else { vec![] });

    run(&service, "insert into targets (chain_id, registry, first_number, code_hash) values (1, decode(repeat('ab', 20), 'hex'), 1, decode(repeat('00', 32), 'hex'))").await;
    run(&service, "insert into anchors (batch, target_id, state) values (1, 1, 'planned'), (2, 1, 'planned')").await;
    let standing = "update anchors set state = 'included', tx_hash = decode(repeat('11', 32), 'hex'), tx_index = 0, block_number = 5, \
        block_hash = decode(repeat('22', 32), 'hex'), block_time = 6 where batch = 1";
    run(&service, standing).await;
    assert_eq!((overdue().await, one(1).await), (2, json!(false)));
    let policy = status(&service).await["policy"].clone();
    assert_eq!(policy, json!({ "anchored_when": 1, "of": 1, "from_batch": 1 }));
    let back = "update anchors set state = 'planned', tx_hash = null, tx_index = null, block_number = null, block_hash = null, \
        block_time = null where batch = 1";
    run(&service, back).await;
    assert_eq!((overdue().await, one(1).await), (5, json!(true)));
}

#[tokio::test]
async fn it_is_answered_from_one_question_and_not_sent_twice() {
    let service = start(false, |state| {
        state.overview = Arc::new(Overview::new(state.ledger.clone(), state.deadline.clone(), Duration::from_secs(3600)));
    })
    .await;
    let (_, token) = service.partner("status").await;
    let first = service.get("/v1/status", "").await;
    let tag = first.headers()["etag"].to_str().unwrap().to_owned();
    assert!(tag.starts_with("W/\""), "{tag}");
    service.submit(&token, &[digest(1)]).await;
    let again = service.client.get(format!("{}/v1/status", service.base)).header("if-none-match", &tag).send().await.unwrap();
    assert_eq!((again.status().as_u16(), again.headers()["etag"].to_str().unwrap()), (304, &*tag));
    assert_eq!(again.headers()["cache-control"], "public, max-age=5");
    assert_eq!(again.text().await.unwrap(), "");

    let fresh = self::service().await;
    let (_, token) = fresh.partner("status").await;
    let before = fresh.get("/v1/status", "").await.headers()["etag"].clone();
    fresh.submit(&token, &[digest(1)]).await;
    let changed = fresh.client.get(format!("{}/v1/status", fresh.base)).header("if-none-match", &before).send().await.unwrap();
    assert_eq!(changed.status().as_u16(), 200);
    assert_ne!(changed.headers()["etag"], before);
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
