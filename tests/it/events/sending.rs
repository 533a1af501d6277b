//! Webhooks against receivers that are down, slow, wrong or dying: every event arrives, in order, signed.

use std::sync::Arc;
use std::time::Duration;

use sceau::ledger::notices::{Outcome, Verdict};
use sceau::webhooks::address::System;
use sceau::webhooks::sender::Patience;
use serde_json::{Value, json};

use super::receiver::{Act, Got, Receiver, signature};
use super::{Running, anchor, by_batch, hurry, open, sender, service, tell, whole_log};
use crate::api::kit::{Service, digest};

/// A webhook of the account behind `token`; its id and secret.
async fn webhook(service: &Service, token: &str, body: Value) -> (String, String) {
    let answer = service.post("/v1/webhooks", token, &body).await;
    assert_eq!(answer.status(), 201);
    let made: Value = answer.json().await.unwrap();
    (made["id"].as_str().unwrap().into(), made["secret"].as_str().unwrap().into())
}

/// Lets `batches` batches be sealed, anchored, taken back, anchored again and final; five events each.
async fn live(service: &Service, token: &str, batches: u64, from: u64) {
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
async fn complete(service: &Service, token: &str, receiver: &Receiver, secret: &str) {
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

fn taken(got: &[Got]) -> usize {
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
    let cursor: i64 = sqlx::query_scalar("select cursor from webhooks").fetch_one(pool).await.unwrap();
    assert_eq!(cursor, 1, "sent and not noted");
    sqlx::query("drop trigger dead on webhooks").execute(pool).await.unwrap();
    // The dead one's claim is over after a while.
    let claimed: bool =
        sqlx::query_scalar("select claimed_until > clock_timestamp() from webhooks").fetch_one(pool).await.unwrap();
    assert!(claimed);
    sqlx::query("update webhooks set claimed_until = clock_timestamp()").execute(pool).await.unwrap();
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

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_for_too_long_is_parked_told_and_sent_when_its_owner_resumes_it() {
    let service = service().await;
    let (_, token) = service.partner("a").await;
    let receiver = Receiver::new(vec![Act::Status(500); 1_000]).await;
    let watching = Receiver::new([]).await;
    let (id, secret) = webhook(&service, &token, json!({ "url": receiver.url() })).await;
    webhook(&service, &token, json!({ "url": watching.url(), "types": ["webhook.parked"] })).await;
    let patience = Patience { give_up: Duration::from_millis(400), ..hurry() };
    let running = Running::of(sender(&service.ledger, open(), Arc::new(System), patience));
    live(&service, &token, 1, 0).await;
    let at = format!("/v1/webhooks/{id}");
    let mut shown = service.json(&at, &token).await;
    while shown["state"] != "parked" {
        assert_eq!(shown["cursor"], 0);
        tokio::time::sleep(Duration::from_millis(50)).await;
        shown = service.json(&at, &token).await;
    }
    assert!(shown["failures"].as_u64().unwrap() >= 3 && shown["parked_at"].is_string() && shown["failing_since"].is_string());
    tell(&service.ledger).await;
    watching
        .until("it is told", |got| {
            got.iter().any(|got| got.body["type"] == "webhook.parked" && got.body["data"]["webhook"] == *id)
        })
        .await;
    let tried = receiver.got().len();
    live(&service, &token, 1, 1).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(receiver.got().len(), tried, "nothing is sent to what is parked");
    drop(running);

    receiver.acts([]);
    let healthy = Receiver::new([]).await;
    sqlx::query("update webhooks set url = $1 where id = $2::uuid")
        .bind(healthy.url())
        .bind(&id)
        .execute(&service.database.pool)
        .await
        .unwrap();
    let resumed: Value = service.post(&format!("{at}/resume"), &token, &json!({})).await.json().await.unwrap();
    assert_eq!((&resumed["state"], &resumed["failures"]), (&json!("active"), &json!(0)));
    let _running = Running::start(&service);
    healthy.until("all eleven", |got| taken(got) == 11).await;
    complete(&service, &token, &healthy, &secret).await;
    // Again from the fourth on.
    service.post(&format!("{at}/resume"), &token, &json!({ "after": 3 })).await;
    healthy.until("again", |got| got.len() == 11 + 8).await;
    assert_eq!(healthy.taken()[11..], (4..=11).collect::<Vec<u64>>());

    // An endpoint that says it is gone is not asked again.
    let gone = Receiver::new([Act::Status(410)]).await;
    let (id, _) = webhook(&service, &token, json!({ "url": gone.url(), "after": 0 })).await;
    gone.until("asked", |got| got.len() == 1).await;
    for _ in 0..200 {
        if service.json(&format!("/v1/webhooks/{id}"), &token).await["state"] == "parked" {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("410 parks");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_who_goes_back_is_not_overtaken_by_what_is_under_way() {
    let service = service().await;
    let (_, token) = service.partner("a").await;
    let receiver = Receiver::new([Act::Take, Act::Take, Act::Take, Act::Take, Act::Late(1_500)]).await;
    let (id, secret) = webhook(&service, &token, json!({ "url": receiver.url() })).await;
    live(&service, &token, 2, 0).await;
    let mut sender = sender(&service.ledger, open(), Arc::new(System), hurry());
    sender.post = sceau::webhooks::post::Post::new(open(), Arc::new(System), Duration::from_secs(60)).unwrap();
    let _running = Running::of(sender);
    receiver.until("the fifth is under way", |got| got.len() == 5).await;
    service.post(&format!("/v1/webhooks/{id}/resume"), &token, &json!({ "after": 1 })).await;
    // The answer to the fifth comes while the second to fourth go out again.
    receiver.until("all of it again", |got| got.len() >= 5 + 9 && got.last().unwrap().body["seq"] == 10).await;
    assert_eq!(receiver.taken(), [(1..=5).collect::<Vec<u64>>(), (2..=10).collect()].concat());
    assert_eq!(receiver.got()[5].signatures, [signature(&secret, &receiver.got()[5])]);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_comes_back_late_moves_nothing() {
    let service = service().await;
    let (_, token) = service.partner("a").await;
    let (id, _) = webhook(&service, &token, json!({ "url": "http://127.0.0.1/hook" })).await;
    live(&service, &token, 2, 0).await;
    let ledger = &service.ledger;
    let outcome = |error| Outcome { took: Duration::ZERO, status: None, error, answer: None };
    let cursor = async || service.json(&format!("/v1/webhooks/{id}"), &token).await["cursor"].as_u64().unwrap();
    let mut claim = ledger.claim_webhooks(8).await.unwrap().pop().expect("something to send");
    assert!(ledger.claim_webhooks(8).await.unwrap().is_empty(), "it is somebody's");
    for seq in 1..=3 {
        let event = ledger.next_message(&mut claim).await.unwrap().expect("an event");
        assert_eq!(event.seq, seq);
        assert!(ledger.note_taken(&mut claim, &event, &outcome(None)).await.unwrap());
    }
    let event = ledger.next_message(&mut claim).await.unwrap().expect("the fourth");
    // The owner goes back, and nobody has taken it up since.
    service.post(&format!("/v1/webhooks/{id}/resume"), &token, &json!({ "after": 1 })).await;
    assert!(!ledger.note_taken(&mut claim.clone(), &event, &outcome(None)).await.unwrap());
    assert_eq!(cursor().await, 1);
    ledger.note_failed(&claim, &event, &outcome(Some("status")), Verdict::Park).await.unwrap();
    ledger.release_webhook(&claim).await.unwrap();
    assert!(ledger.next_message(&mut claim).await.unwrap().is_none());
    // Somebody slept past the end of the claim.
    let mut slept = ledger.claim_webhooks(8).await.unwrap().pop().expect("active, whatever the late one said");
    let event = ledger.next_message(&mut slept).await.unwrap().expect("the second");
    sqlx::query("update webhooks set claimed_until = clock_timestamp()").execute(&service.database.pool).await.unwrap();
    let mut other = ledger.claim_webhooks(8).await.unwrap().pop().expect("taken over");
    assert!(!ledger.note_taken(&mut slept, &event, &outcome(None)).await.unwrap());
    assert_eq!((event.seq, ledger.next_message(&mut other).await.unwrap().unwrap().seq, cursor().await), (2, 2, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_secret_signs_beside_the_one_before_for_a_while() {
    let service = service().await;
    let (_, token) = service.partner("a").await;
    let receiver = Receiver::new([]).await;
    let (id, old) = webhook(&service, &token, json!({ "url": receiver.url() })).await;
    let _running = Running::start(&service);
    let rotate = async |overlap: u32| {
        let path = format!("/v1/webhooks/{id}/secret");
        let answer: Value = service.post(&path, &token, &json!({ "overlap": overlap })).await.json().await.unwrap();
        answer["secret"].as_str().unwrap().to_owned()
    };
    let ping = async |count: usize| {
        assert_eq!(service.post(&format!("/v1/webhooks/{id}/test"), &token, &json!({})).await.status(), 202);
        tell(&service.ledger).await;
        receiver.until("the test", |got| got.len() == count).await;
        receiver.got().pop().unwrap()
    };
    let got = ping(1).await;
    assert_eq!((&got.body["type"], &got.body["data"]), (&json!("webhook.test"), &json!({ "webhook": id })));
    assert_eq!(got.signatures, [signature(&old, &got)]);
    let new = rotate(3_600).await;
    let got = ping(2).await;
    assert_eq!(got.signatures, [signature(&new, &got), signature(&old, &got)]);
    let newest = rotate(0).await;
    let got = ping(3).await;
    assert_eq!(got.signatures, [signature(&newest, &got)], "no overlap was asked for");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_types_asked_for_are_sent_and_tests_to_the_webhook_tested() {
    let service = service().await;
    let (_, token) = service.partner("a").await;
    let (finals, all) = (Receiver::new([]).await, Receiver::new([]).await);
    let (id, _) = webhook(&service, &token, json!({ "url": finals.url(), "types": ["proofs.final", "proofs.regressed"] })).await;
    webhook(&service, &token, json!({ "url": all.url() })).await;
    let _running = Running::start(&service);
    live(&service, &token, 2, 0).await;
    service.post(&format!("/v1/webhooks/{id}/test"), &token, &json!({})).await;
    live(&service, &token, 1, 2).await;
    finals.until("seven", |got| got.len() == 7).await;
    all.until("fifteen", |got| got.len() == 15).await;
    let types: Vec<String> = finals.got().iter().map(|got| got.body["type"].as_str().unwrap().to_owned()).collect();
    assert_eq!(types.iter().filter(|kind| *kind == "webhook.test").count(), 1);
    assert_eq!(types.iter().filter(|kind| *kind == "proofs.final").count(), 3);
    assert!(all.got().iter().all(|got| got.body["type"] != "webhook.test"));
    for (which, path) in [("finals", format!("/v1/webhooks/{id}"))] {
        for _ in 0..200 {
            if service.json(&path, &token).await["waiting"] == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{which}: nothing waits that is not wanted");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_account_is_sent_nothing() {
    let service = service().await;
    let (_, token) = service.partner("a").await;
    let receiver = Receiver::new([]).await;
    webhook(&service, &token, json!({ "url": receiver.url() })).await;
    service.ledger.disable_account("a").await.unwrap();
    service.database.pool.acquire().await.unwrap();
    sqlx::query(
        "insert into changes (kind, account_id, webhook_id, after) select 'webhook', account_id, id, 'test' from webhooks",
    )
    .execute(&service.database.pool)
    .await
    .unwrap();
    tell(&service.ledger).await;
    let _running = Running::start(&service);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(receiver.got().len(), 0);
}
