//! What is written into the logs, and for whom.

use std::sync::Arc;

use reqwest::Method;
use sceau::ledger::anchors::recover::LostBatch;
use serde_json::{Value, json};

use super::{anchor, by_batch, service, tell, teller, whole_log};
use crate::api::kit::{digest, problem};
use crate::validations::office;

#[tokio::test(flavor = "multi_thread")]
async fn each_account_is_told_once_of_its_proofs_in_a_batch() {
    let service = service().await;
    let (_, first) = service.partner("first").await;
    let (_, second) = service.partner("second").await;
    let (_, nobody) = service.partner("nobody").await;
    let many: Vec<_> = (0..250).map(digest).collect();
    service.submit(&first, &many).await;
    service.submit(&second, &[digest(1), digest(7)]).await;
    service.seal().await;
    service.submit(&first, &[digest(1_000)]).await;
    service.seal().await;
    anchor(&service, 1, "included").await;
    anchor(&service, 1, "planned").await;
    anchor(&service, 1, "included").await;
    anchor(&service, 1, "final").await;
    anchor(&service, 2, "included").await;
    tell(&service.ledger).await;

    let log = whole_log(&service, &first).await;
    let word = |name: &str| format!("proofs.{name}");
    let told = ["sealed", "anchored", "regressed", "anchored", "final"].map(word).to_vec();
    assert_eq!(by_batch(&log), [(1, told.clone()), (2, ["sealed", "anchored"].map(word).to_vec())].into());
    let of = |batch: u64| log.iter().find(|event| event["data"]["batch"] == batch).unwrap();
    assert_eq!(
        of(1)["data"],
        json!({ "batch": 1, "first": 1, "last": 250, "count": 250, "status": "sealed", "before": "pending" }),
        "many are a range"
    );
    assert_eq!(
        of(2)["data"],
        json!({ "batch": 2, "first": 251, "last": 251, "count": 1, "status": "sealed", "before": "pending", "digests": [digest(1_000)] })
    );
    let regressed = log.iter().find(|event| event["type"] == "proofs.regressed").unwrap();
    assert_eq!((&regressed["data"]["before"], &regressed["data"]["status"]), (&json!("anchored"), &json!("sealed")));

    let other = whole_log(&service, &second).await;
    assert_eq!(by_batch(&other), [(1, told)].into(), "nothing of batch 2, in which it has no proof");
    assert_eq!(other[0]["data"]["digests"], json!([digest(1), digest(7)]), "in the order of their numbers");
    assert_eq!(whole_log(&service, &nobody).await, Vec::<Value>::new());
    let path = format!("/v1/proofs/{}?irrevocable=true", digest(7));
    let erased = service.send(Method::DELETE, &path, &second, None).await;
    assert_eq!(erased.status(), 200);
    assert_eq!(whole_log(&service, &second).await, other, "what was told stays, also of what is erased");
    let ids: std::collections::HashSet<_> = log.iter().chain(&other).map(|event| event["id"].to_string()).collect();
    assert_eq!(ids.len(), log.len() + other.len(), "ids are nobody else's");
    // Told is told.
    tell(&service.ledger).await;
    assert_eq!(whole_log(&service, &first).await, log);
    let beyond = service.get(&format!("/v1/events?after={}", log.len() + 1), &first).await;
    assert_eq!(problem(beyond, 409, "cursor_unknown").await["last"], log.len());
    for query in ["after=-1", "after=x", "limit=0", "limit=1001", "wait=11", "since=1"] {
        problem(service.get(&format!("/v1/events?{query}"), &first).await, 400, "query_invalid").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_of_one_batch_in_two_targets_at_once_miss_nothing() {
    let service = service().await;
    let (_, token) = service.partner("a").await;
    for round in 0..10 {
        service.submit(&token, &[digest(round)]).await;
        service.seal().await;
    }
    let pool = &service.database.pool;
    sqlx::query(
        "insert into targets (chain_id, registry, first_number, code_hash)
         select n, decode(repeat('0' || n, 20), 'hex'), 1, sha256('') from generate_series(1, 2) n",
    )
    .execute(pool)
    .await
    .unwrap();
    sqlx::query("update batches set anchors_needed = 2").execute(pool).await.unwrap();
    sqlx::query("insert into anchors (batch, target_id, state) select b.number, t.id, 'planned' from batches b, targets t where b.state = 'sealed'")
        .execute(pool)
        .await
        .unwrap();
    // Both anchors of a batch come on in two transactions at the same moment: the second looks while the first is not
    // committed.
    for batch in 1..=10 {
        for state in ["included", "final"] {
            let mut first = pool.begin().await.unwrap();
            advance(&mut first, batch, 1, state).await;
            sqlx::query("set constraints all immediate").execute(&mut *first).await.unwrap();
            let pool = pool.clone();
            let second = tokio::spawn(async move {
                let mut second = pool.begin().await.unwrap();
                advance(&mut second, batch, 2, state).await;
                second.commit().await.unwrap();
            });
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            first.commit().await.unwrap();
            second.await.unwrap();
        }
    }
    tell(&service.ledger).await;
    let log = whole_log(&service, &token).await;
    for (batch, told) in by_batch(&log) {
        assert_eq!(told, ["proofs.sealed", "proofs.anchored", "proofs.final"], "batch {batch}");
    }
    assert_eq!(log.len(), 30);
}

async fn advance(transaction: &mut sqlx::PgConnection, batch: i64, chain: i64, state: &str) {
    sqlx::query(
        "update anchors set state = $3, tx_hash = sha256(''), tx_index = 0, block_number = 1, block_hash = sha256(''), block_time = 1,
           evidence = case when $3 = 'final' then '{}' end
         where batch = $1 and target_id = (select id from targets where chain_id = $2)",
    )
    .bind(batch)
    .bind(chain)
    .bind(state)
    .execute(transaction)
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn steps_within_one_transaction_are_no_events() {
    let service = service().await;
    let (_, token) = service.partner("a").await;
    service.submit(&token, &[digest(1)]).await;
    service.seal().await;
    let pool = &service.database.pool;
    for statement in [
        "insert into targets (chain_id, registry, first_number, code_hash)
         select n, decode(repeat('0' || n, 20), 'hex'), 1, sha256('') from generate_series(1, 2) n",
        "update batches set anchors_needed = 2 where number = 1",
        "insert into anchors (batch, target_id, state, tx_hash, tx_index, block_number, block_hash, block_time)
         select 1, id, 'included', sha256(''), 0, 1, sha256(''), 1 from targets",
    ] {
        sqlx::query(statement).execute(pool).await.unwrap();
    }
    // Takes the anchor back, and then lowers the rule: the batch was anchored before and is afterwards.
    service.ledger.retire_target((2, [2; 20]), true).await.unwrap();
    tell(&service.ledger).await;
    assert_eq!(by_batch(&whole_log(&service, &token).await)[&1], ["proofs.sealed", "proofs.anchored"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_is_lost_is_taken_back_and_its_number_begins_anew() {
    let service = service().await;
    let (_, token) = service.partner("a").await;
    for number in 1..=3 {
        service.submit(&token, &[digest(number)]).await;
        service.seal().await;
    }
    tell(&service.ledger).await;
    // The registry has another batch 2 than this database, which never signed for its own.
    let lost = LostBatch { number: 2, root: [9; 32], size: 7 };
    service.ledger.recover(&[lost], &[]).await.unwrap();
    tell(&service.ledger).await;
    let told = |names: &[&str]| names.iter().map(|name| format!("proofs.{name}")).collect::<Vec<_>>();
    let log = whole_log(&service, &token).await;
    let expected = [(1, told(&["sealed"])), (2, told(&["sealed", "regressed"])), (3, told(&["sealed", "regressed"]))];
    assert_eq!(by_batch(&log), expected.into());
    assert_eq!(log.last().unwrap()["data"]["status"], "pending");
    // Both wait in the new batch 3, which is told of like any other.
    assert_eq!(service.seal().await, 3);
    tell(&service.ledger).await;
    let log = whole_log(&service, &token).await;
    assert_eq!(by_batch(&log)[&3], told(&["sealed", "regressed", "sealed"]));
    let newest = &log.last().unwrap()["data"];
    assert_eq!((&newest["batch"], &newest["count"], &newest["status"]), (&json!(3), &json!(2), &json!("sealed")));
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_are_told_to_their_owner_and_to_those_who_decide() {
    let service = service().await;
    let office = office(&service, 2, &["one", "two"]).await;
    let (_, stranger) = service.partner("stranger").await;
    let wish = json!({ "proofs": [{ "digest": digest(1) }, { "digest": digest(2) }], "validation": true });
    let made = service.propose(&office.token, &wish).await.1;
    let id = |place: usize| made[place]["validation"]["id"].as_str().unwrap().to_owned();
    for (_, token) in &office.validators {
        service.decide(token, &id(0), "approve").await;
    }
    service.decide(&office.validators[0].1, &id(1), "refuse").await;
    // Repeating changes nothing, and tells nothing.
    service.decide(&office.validators[0].1, &id(1), "refuse").await;
    service.propose(&office.token, &wish).await;
    tell(&service.ledger).await;
    for token in [&office.token, &office.validators[0].1, &office.validators[1].1] {
        let log = whole_log(&service, token).await;
        let mut told: Vec<(String, String)> = log
            .iter()
            .map(|event| {
                assert_eq!(event["data"]["account"], "acme");
                (event["data"]["digest"].as_str().unwrap().to_owned(), event["type"].as_str().unwrap().to_owned())
            })
            .collect();
        told.sort_by_key(|(digest, _)| digest.clone());
        let mut expected = vec![
            (digest(1).to_string(), "document.awaiting".to_owned()),
            (digest(1).to_string(), "document.accepted".to_owned()),
            (digest(2).to_string(), "document.awaiting".to_owned()),
            (digest(2).to_string(), "document.refused".to_owned()),
        ];
        expected.sort_by_key(|(digest, _)| digest.clone());
        assert_eq!(told, expected);
    }
    assert_eq!(whole_log(&service, &stranger).await, Vec::<Value>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_promise_is_told_once_for_each_account_and_batch() {
    let service = service().await;
    let (_, first) = service.partner("first").await;
    let (_, second) = service.partner("second").await;
    service.submit(&first, &[digest(1), digest(2)]).await;
    service.seal().await;
    service.submit(&first, &[digest(3)]).await;
    service.seal().await;
    anchor(&service, 2, "included").await;
    // The newest batch is not even closed.
    service.submit(&second, &[digest(4)]).await;
    let now = service.ledger.now().await.unwrap();
    let mut teller = teller(&service.ledger);
    teller.step().await.unwrap();
    assert!(!overdue(&whole_log(&service, &first).await), "nothing is late yet");
    // Batches 1 and 2 have promises of their own; that of batch 3 follows from its time.
    for statement in [
        "update proofs set anchor_by = case when batch < 3 then received_at end",
        "update batches set anchor_by_first = s.first, anchor_by_last = s.first from (
           select batch, min(anchor_by) as first from proofs group by batch
         ) s where s.batch = number",
    ] {
        sqlx::query(statement).execute(&service.database.pool).await.unwrap();
    }
    teller.passed = Arc::new(move |_| Some(now));
    for _ in 0..3 {
        teller.step().await.unwrap();
    }
    let log = whole_log(&service, &first).await;
    let late: Vec<&Value> = log.iter().filter(|event| event["type"] == "proofs.overdue").collect();
    assert_eq!(late.len(), 1, "batch 1 alone, and once: {log:?}");
    assert_eq!((&late[0]["data"]["batch"], &late[0]["data"]["count"]), (&json!(1), &json!(2)));
    let log = whole_log(&service, &second).await;
    assert_eq!(by_batch(&log), [(3, vec!["proofs.overdue".to_owned()])].into());
    assert_eq!(log[0]["data"]["status"], "pending");
    // A reorganisation takes back what was in time: then it is late too.
    anchor(&service, 2, "planned").await;
    teller.step().await.unwrap();
    teller.step().await.unwrap();
    let told = by_batch(&whole_log(&service, &first).await);
    assert_eq!(told[&2].iter().filter(|kind| *kind == "proofs.overdue").count(), 1, "{told:?}");
}

fn overdue(log: &[Value]) -> bool {
    log.iter().any(|event| event["type"] == "proofs.overdue")
}

#[tokio::test(flavor = "multi_thread")]
async fn two_who_tell_at_once_tell_everything_once() {
    let service = service().await;
    let (_, token) = service.partner("a").await;
    for round in 0..30 {
        service.submit(&token, &[digest(round)]).await;
        service.seal().await;
        let (mut one, mut two) = (teller(&service.ledger), teller(&service.ledger));
        two.holder = uuid::Uuid::from_u128(8);
        // Either may find the other at it.
        let (_, _) = tokio::join!(one.step(), two.step());
    }
    tell(&service.ledger).await;
    let log = whole_log(&service, &token).await;
    assert_eq!(log.len(), 30);
    assert!(by_batch(&log).values().all(|told| told == &["proofs.sealed"]));
}
