//! Webhooks against receivers that are down, slow, wrong or dying: every event arrives, in order, signed.

use std::sync::Arc;
use std::time::Duration;

use sceau::webhooks::address::System;
use serde_json::{Value, json};

use super::receiver::{Act, Got, Receiver, signature};
use super::{Running, anchor, by_batch, hurry, open, sender, service, tell, whole_log};
use crate::api::kit::{Service, digest};

/// A webhook of the account behind `token`; its id and secret.
pub(super) async fn webhook(service: &Service, token: &str, body: Value) -> (String, String) {
    let answer = service.post("/v1/webhooks", token, &body).await;
    assert_eq!(answer.status(), 201);
    let made: Value = answer.json().await.unwrap();
    (made["id"].as_str().unwrap().into(), made["secret"].as_str().unwrap().into())
}

/// Lets `batches` batches be sealed, anchored, taken back, anchored again and final; five events each.
pub(super) async fn live(service: &Service, token: &str, batches: u64, from: u64) {
    for round in from..from + batches {
        service.submit(token, &[digest(round)]).await;
        let batch = service.seal().await;
        for state in ["included", "planned", "included", "final"] {
            anchor(service, batch, state).await;
            if round % 2 == 0 {
                tell(&service.ledger).await;
            }
        }
    }
    tell(&service.ledger).await;
}

/// What was taken, against the log: everything, in order, each signed, the same id at each try.
pub(super) async fn complete(service: &Service, token: &str, receiver: &Receiver, secret: &str) {
    let log = whole_log(service, token).await;
    let all: Vec<u64> = (1..=log.len() as u64).collect();
    let mut taken = receiver.taken();
    assert!(taken.is_sorted(), "in order: {taken:?}");
    taken.dedup();
    assert_eq!(taken, all, "none is missing");
    for got in receiver.got() {
        let event = &log[got.body["seq"].as_u64().unwrap() as usize - 1];
        assert_eq!((&got.body, got.id.as_str()), (event, event["id"].as_str().unwrap()));
        assert_eq!(got.signatures, [signature(secret, &got)]);
        let moment = service.ledger.now().await.unwrap().unix_timestamp();
        assert!((moment - got.timestamp).abs() < 300, "receivers refuse old messages");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_event_arrives_in_order_whatever_the_receiver_does() {
    let service = service().await;
    let (_, token) = service.partner("a").await;
    let bad = [
        Act::Status(500),
        Act::Slow,
        Act::Close,
        Act::CloseInHead,
        Act::Refuse,
        Act::Status(429),
        Act::Redirect("http://127.0.0.1:1/".into()),
        Act::CloseInBody,
        Act::Endless,
        Act::Status(404),
        Act::Status(500),
        Act::Status(503),
        Act::Status(500),
        Act::Take,
        Act::Close,
        Act::Status(502),
    ];
    let receiver = Receiver::new(bad.clone()).await;
    let (id, secret) = webhook(&service, &token, json!({ "url": receiver.url() })).await;
    let running = Running::start(&service);
    live(&service, &token, 2, 0).await;
    receiver.until("ten taken", |got| taken(got) == 10).await;
    // Down for longer than several tries, while events go on; then everything comes.
    receiver.down().await;
    live(&service, &token, 2, 2).await;
    tokio::time::sleep(Duration::from_millis(600)).await;
    receiver.up().await;
    receiver.until("twenty taken", |got| taken(got) == 20).await;
    complete(&service, &token, &receiver, &secret).await;
    for (batch, told) in by_batch(&whole_log(&service, &token).await) {
        assert_eq!(told.len(), 5, "batch {batch}: {told:?}");
    }

    // The history says all of it.
    drop(running);
    let history = service.json(&format!("/v1/webhooks/{id}/deliveries?limit=200"), &token).await;
    let history = history["deliveries"].as_array().unwrap();
    let words: std::collections::BTreeSet<&str> = history.iter().filter_map(|one| one["error"].as_str()).collect();
    assert!(words.is_superset(&["status", "timeout", "closed", "redirect", "connect"].into()), "{words:?}");
    assert_eq!(history.iter().filter(|one| one["error"].is_null()).count(), 20);
    assert!(history.iter().any(|one| one["status"] == 500 && one["answer"] == "sorry"));
    assert!(history.iter().any(|one| one["attempt"] == 3));
    assert!(history.iter().all(|one| one["answer"].as_str().is_none_or(|answer| answer.len() <= 1_024)));
    let shown = service.json(&format!("/v1/webhooks/{id}"), &token).await;
    assert_eq!((&shown["cursor"], &shown["waiting"], &shown["failures"]), (&json!(20), &json!(0), &json!(0)));
    let mut paged = Vec::new();
    let mut path = format!("/v1/webhooks/{id}/deliveries?limit=7");
    loop {
        let page = service.json(&path, &token).await;
        paged.extend(page["deliveries"].as_array().unwrap().clone());
        let Some(next) = page["next"].as_u64() else { break };
        path = format!("/v1/webhooks/{id}/deliveries?limit=7&before={next}");
    }
    assert_eq!(&paged, history);
}

pub(super) fn taken(got: &[Got]) -> usize {
    let mut seen: Vec<u64> = got
        .iter()
        .filter(|got| matches!(got.did, Act::Take | Act::CloseInBody | Act::Endless))
        .map(|got| got.body["seq"].as_u64().unwrap())
        .collect();
    seen.dedup();
    seen.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_that_dies_after_sending_sends_again_and_leaves_nothing_out() {
    let service = service().await;
    let (_, token) = service.partner("a").await;
    let receiver = Receiver::new([]).await;
    let (_, secret) = webhook(&service, &token, json!({ "url": receiver.url() })).await;
    live(&service, &token, 3, 0).await;
    // What was taken cannot be noted: as if the process had died in between, each time.
    let pool = &service.database.pool;
    for statement in [
        "create function dead() returns trigger language plpgsql as 'begin raise exception ''planned''; end'",
        "create trigger dead before update of cursor on webhooks for each row when (old.cursor % 3 = 1) execute function dead()",
    ] {
        sqlx::query(statement).execute(pool).await.unwrap();
    }
    let running = Running::start(&service);
    receiver.until("the second is sent", |got| taken(got) == 2).await;
    drop(running);
    // The dead one's claim is over after a while, and then another's; what it may still have on its way to the database counts no more.
    let claimed: bool =
        sqlx::query_scalar("select claimed_until > clock_timestamp() from webhooks").fetch_one(pool).await.unwrap();
    assert!(claimed);
    let over = "update webhooks set claim = claim + 1, claimed_until = clock_timestamp() returning cursor";
    let cursor: i64 = sqlx::query_scalar(over).fetch_one(pool).await.unwrap();
    assert_eq!(cursor, 1, "sent and not noted");
    sqlx::query("drop trigger dead on webhooks").execute(pool).await.unwrap();
    let _running = Running::start(&service);
    receiver.until("all are sent", |got| taken(got) == 15).await;
    let taken = receiver.taken();
    assert_eq!(taken[..3], [1, 2, 2], "twice, never not at all");
    complete(&service, &token, &receiver, &secret).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_senders_share_the_work_and_keep_the_order() {
    let service = service().await;
    let mut owners = Vec::new();
    for name in ["a", "b", "c"] {
        let (_, token) = service.partner(name).await;
        let receiver = Receiver::new([Act::Status(500), Act::Close]).await;
        let (_, secret) = webhook(&service, &token, json!({ "url": receiver.url() })).await;
        owners.push((token, receiver, secret));
    }
    let _running = [Running::start(&service), Running::start(&service)];
    for round in 0..6 {
        for (token, ..) in &owners {
            service.submit(token, &[digest(round)]).await;
        }
        let batch = service.seal().await;
        anchor(&service, batch, "included").await;
        anchor(&service, batch, "final").await;
        tell(&service.ledger).await;
    }
    for (token, receiver, secret) in &owners {
        receiver.until("all", |got| taken(got) == 18).await;
        complete(&service, token, receiver, secret).await;
        let taken = receiver.taken();
        assert_eq!(taken, (1..=18).collect::<Vec<u64>>(), "and none twice without a reason");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_receiver_delays_no_other() {
    let service = service().await;
    let (_, slow) = service.partner("slow").await;
    let (_, quick) = service.partner("quick").await;
    let (hanging, receiver) = (Receiver::new(vec![Act::Slow; 200]).await, Receiver::new([]).await);
    for _ in 0..6 {
        webhook(&service, &slow, json!({ "url": hanging.url() })).await;
    }
    webhook(&service, &quick, json!({ "url": receiver.url() })).await;
    service.submit(&slow, &[digest(1)]).await;
    service.submit(&quick, &[digest(1)]).await;
    service.seal().await;
    tell(&service.ledger).await;
    let mut sender = sender(&service.ledger, open(), Arc::new(System), hurry());
    sender.post = sceau::webhooks::post::Post::new(open(), Arc::new(System), Duration::from_secs(600)).unwrap();
    let _running = Running::of(sender);
    hanging.until("all six hang", |got| got.len() == 6).await;
    service.submit(&quick, &[digest(2)]).await;
    service.seal().await;
    tell(&service.ledger).await;
    receiver.until("both", |got| taken(got) == 2).await;
    assert_eq!(hanging.got().len(), 6, "these hang as before");
}
