//! What owners do with webhooks while events are sent: resume, change secrets, choose types.

use std::sync::Arc;
use std::time::Duration;

use sceau::ledger::notices::{Outcome, Verdict};
use sceau::webhooks::address::System;
use sceau::webhooks::sender::Patience;
use serde_json::{Value, json};

use super::receiver::{Act, Receiver, signature};
use super::sending::{complete, live, taken, webhook};
use super::{Running, hurry, open, sender, service, tell};

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
    for _ in 0..200 {
        if service.json(&format!("/v1/webhooks/{id}"), &token).await["waiting"] == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("what is not wanted does not wait");
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
