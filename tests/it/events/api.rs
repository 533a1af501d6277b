//! Waiting for events, streams, and what an owner does with webhooks.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use reqwest::Method;
use sceau::api::news::News;
use serde_json::{Value, json};

use super::{service, tell};
use crate::api::kit::{LIFE, Service, digest, forgetful, problem, start};

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_waits_hears_of_what_happens_meanwhile() {
    let service = Arc::new(service().await);
    let (_, token) = service.partner("a").await;
    let (_, other) = service.partner("b").await;
    service.submit(&other, &[digest(9)]).await;
    service.submit(&token, &[digest(1)]).await;
    let waiting = {
        let (service, token) = (Arc::clone(&service), token.clone());
        tokio::spawn(async move { service.json("/v1/events?wait=10", &token).await })
    };
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!waiting.is_finished());
    service.seal().await;
    tell(&service.ledger).await;
    let page = waiting.await.unwrap();
    assert_eq!((page["events"].as_array().unwrap().len(), &page["next"], &page["last"]), (1, &json!(1), &json!(1)));
    let nothing = service.json("/v1/events?after=1&wait=1", &token).await;
    assert_eq!(nothing, json!({ "events": [], "next": 1, "last": 1 }));
}

/// The events of a stream: id, type and data of each; comments are left out.
async fn read(answer: reqwest::Response, count: usize) -> (Vec<(u64, String, Value)>, reqwest::Response) {
    let mut answer = answer;
    let (mut text, mut found) = (String::new(), Vec::new());
    while found.len() < count {
        let chunk = answer.chunk().await.unwrap().unwrap_or_else(|| panic!("the stream ended: {text}"));
        text.push_str(std::str::from_utf8(&chunk).unwrap());
        while let Some((block, rest)) = text.split_once("\n\n") {
            let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
            if let Some(data) = field("data:") {
                let id = field("id:").unwrap().parse().unwrap();
                found.push((id, field("event:").unwrap().to_owned(), serde_json::from_str(data).unwrap()));
            }
            text = rest.to_owned();
        }
    }
    (found, answer)
}

async fn stream(service: &Service, token: &str, path: &str, last: Option<&str>) -> reqwest::Response {
    let mut request =
        service.client.get(format!("{}{path}", service.base)).bearer_auth(token).header("accept", "text/event-stream");
    if let Some(last) = last {
        request = request.header("last-event-id", last);
    }
    request.send().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_goes_on_where_it_was_cut() {
    let service = service().await;
    let (_, token) = service.partner("a").await;
    for round in 0..3 {
        service.submit(&token, &[digest(round)]).await;
        service.seal().await;
    }
    tell(&service.ledger).await;
    let answer = stream(&service, &token, "/v1/events?after=1", None).await;
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    let (events, answer) = read(answer, 2).await;
    assert_eq!(events.iter().map(|(id, ..)| *id).collect::<Vec<_>>(), [2, 3]);
    let page = service.json("/v1/events?after=1", &token).await;
    assert_eq!(Value::from(events.iter().map(|(.., data)| data.clone()).collect::<Vec<_>>()), page["events"]);
    // What happens while it is open comes; what happens while it is cut comes afterwards.
    service.submit(&token, &[digest(3)]).await;
    service.seal().await;
    tell(&service.ledger).await;
    let (events, answer) = read(answer, 1).await;
    assert_eq!((events[0].0, &*events[0].1), (4, "proofs.sealed"));
    drop(answer);
    service.submit(&token, &[digest(4)]).await;
    service.seal().await;
    tell(&service.ledger).await;
    let (events, _) = read(stream(&service, &token, "/v1/events?after=1", Some("4")).await, 1).await;
    assert_eq!(events[0].0, 5);
    problem(stream(&service, &token, "/v1/events", Some("99")).await, 409, "cursor_unknown").await;
    problem(stream(&service, &token, "/v1/events", Some("x")).await, 400, "query_invalid").await;
}

/// Reads until the stream ends; fails when it does not.
async fn ends(answer: reqwest::Response) {
    let rest = answer.bytes_stream().for_each(|_| async {});
    tokio::time::timeout(Duration::from_secs(60), rest).await.expect("the stream ends");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_with_its_token_its_account_and_the_service() {
    let service = forgetful().await;
    let (_, token) = service.partner("a").await;
    let open = stream(&service, &token, "/v1/events", None).await;
    service.clock.advance(LIFE as i64 + 60);
    ends(open).await;
    service.clock.advance(-(LIFE as i64 + 60));

    let open = stream(&service, &token, "/v1/events", None).await;
    service.ledger.revoke_tokens("a").await.unwrap();
    ends(open).await;

    let (_, token) = service.partner("b").await;
    let open = stream(&service, &token, "/v1/events", None).await;
    service.ledger.disable_account("b").await.unwrap();
    ends(open).await;

    let (stop, stopped) = tokio::sync::watch::channel(false);
    let service = start(false, |state| state.news = Arc::new(News::until(stopped))).await;
    let (_, token) = service.partner("c").await;
    let open = stream(&service, &token, "/v1/events", None).await;
    stop.send(true).unwrap();
    ends(open).await;
    assert_eq!(service.json("/v1/events?wait=10", &token).await["last"], 0, "nobody waits any more");
}

#[tokio::test(flavor = "multi_thread")]
async fn so_many_may_wait_and_no_more() {
    let service = service().await;
    let (_, token) = service.partner("a").await;
    let (_, other) = service.partner("b").await;
    let mut open = Vec::new();
    for _ in 0..News::OF_ONE {
        let answer = stream(&service, &token, "/v1/events", None).await;
        assert_eq!(answer.status(), 200);
        open.push(answer);
    }
    let refused = stream(&service, &token, "/v1/events", None).await;
    assert!(refused.headers().contains_key("retry-after"));
    problem(refused, 429, "rate_limited").await;
    problem(service.get("/v1/events?wait=1", &token).await, 429, "rate_limited").await;
    assert_eq!(service.get("/v1/events", &token).await.status(), 200, "who does not wait needs no place");
    assert_eq!(stream(&service, &other, "/v1/events", None).await.status(), 200);
    drop(open);
    for _ in 0..300 {
        let answer = stream(&service, &token, "/v1/events", None).await;
        if answer.status() == 200 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("places are not given back");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_makes_shows_changes_and_deletes_webhooks() {
    let service = service().await;
    let (_, token) = service.partner("a").await;
    let (_, other) = service.partner("b").await;
    let post = async |path: &str, body: Value| service.post(path, &token, &body).await;
    for (url, code) in [
        ("https://10.0.0.1/", "webhook_url_refused"),
        ("https://0x7f.1.1.1.1/", "webhook_url_refused"),
        ("gopher://a.example/", "webhook_url_refused"),
        ("http://[::1]/", "webhook_url_refused"),
        ("https://user:word@a.example/", "webhook_url_refused"),
    ] {
        problem(post("/v1/webhooks", json!({ "url": url })).await, 422, code).await;
    }
    for body in [
        json!({}),
        json!({ "url": "https://a.example/", "types": [] }),
        json!({ "url": "https://a.example/", "types": ["proofs.lost"] }),
        json!({ "url": "https://a.example/", "secret": "mine" }),
    ] {
        problem(post("/v1/webhooks", body).await, 422, "body_invalid").await;
    }
    problem(post("/v1/webhooks", json!({ "url": "https://a.example/", "after": 1 })).await, 409, "cursor_unknown").await;

    let wish = json!({ "url": "https://a.example/hook?of=a", "types": ["proofs.final", "proofs.overdue", "proofs.final"] });
    let answer = post("/v1/webhooks", wish).await;
    assert_eq!(answer.status(), 201);
    let made: Value = answer.json().await.unwrap();
    let (id, secret) = (made["id"].as_str().unwrap().to_owned(), made["secret"].as_str().unwrap().to_owned());
    assert!(secret.starts_with("whsec_") && secret.len() == 50, "{secret}");
    let shown = service.json(&format!("/v1/webhooks/{id}"), &token).await;
    assert_eq!(shown["types"], json!(["proofs.final", "proofs.overdue"]));
    assert_eq!((&shown["state"], &shown["cursor"], &shown["failures"]), (&json!("active"), &json!(0), &json!(0)));
    assert!(shown.get("secret").is_none(), "it is shown once");
    assert_eq!(service.json("/v1/webhooks", &token).await, json!({ "webhooks": [shown] }));
    assert_eq!(service.json("/v1/webhooks", &other).await, json!({ "webhooks": [] }));
    // Neither is it in the database.
    let stored: Vec<u8> = sqlx::query_scalar("select secret from webhooks").fetch_one(&service.database.pool).await.unwrap();
    use base64::Engine;
    let plain = base64::engine::general_purpose::STANDARD.decode(&secret[6..]).unwrap();
    assert!(stored.len() == 60 && !stored.windows(plain.len()).any(|part| part == plain));

    // To others it is as unknown as what nobody has.
    for (id, token) in
        [(&*id, &other), ("0198f2b6-7c1e-7d33-9a55-2f6f0d3f7b10", &token), ("x", &token), (&id.to_uppercase(), &token)]
    {
        let at = |rest: &str| format!("/v1/webhooks/{id}{rest}");
        problem(service.get(&at(""), token).await, 404, "webhook_unknown").await;
        problem(service.get(&at("/deliveries"), token).await, 404, "webhook_unknown").await;
        problem(service.post(&at("/test"), token, &json!({})).await, 404, "webhook_unknown").await;
        problem(service.post(&at("/secret"), token, &json!({})).await, 404, "webhook_unknown").await;
        problem(service.post(&at("/resume"), token, &json!({})).await, 404, "webhook_unknown").await;
        problem(service.send(Method::DELETE, &at(""), token, None).await, 404, "webhook_unknown").await;
    }
    problem(post(&format!("/v1/webhooks/{id}/resume"), json!({ "after": 5 })).await, 409, "cursor_unknown").await;
    problem(post(&format!("/v1/webhooks/{id}/secret"), json!({ "overlap": 604_801 })).await, 422, "body_invalid").await;
    let rotated: Value = post(&format!("/v1/webhooks/{id}/secret"), json!({ "overlap": 60 })).await.json().await.unwrap();
    assert_ne!(rotated["secret"], secret);
    let shown = service.json(&format!("/v1/webhooks/{id}"), &token).await;
    assert_eq!(shown["previous_secret_until"], rotated["previous_secret_until"]);

    for _ in 1..10 {
        assert_eq!(post("/v1/webhooks", json!({ "url": "https://a.example/" })).await.status(), 201);
    }
    problem(post("/v1/webhooks", json!({ "url": "https://a.example/" })).await, 409, "webhooks_count").await;
    let gone = service.send(Method::DELETE, &format!("/v1/webhooks/{id}"), &token, None).await;
    assert_eq!(gone.status(), 204);
    problem(service.get(&format!("/v1/webhooks/{id}"), &token).await, 404, "webhook_unknown").await;
    assert_eq!(post("/v1/webhooks", json!({ "url": "https://a.example/" })).await.status(), 201, "there is a place again");
}
