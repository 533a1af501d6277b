//! How often an account may ask, and how much it may submit.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::StreamExt;
use reqwest::{Response, StatusCode};
use sceau::api::State;
use sceau::api::access::caller::Standings;
use sceau::api::access::limit::{Rate, Rates};
use sceau::ledger::accounts::Role;
use sceau::ledger::accounts::limits::{Change, Changes};
use sceau::ledger::kagesecur::import::DeclaredDocument;
use sceau::ports::Clock;
use sceau_verifier::Digest;
use serde_json::{Value, json};

use crate::api::kit::{Service, digest, forgetful, problem, service, start};
use crate::validations::office;

const PATH: &str = "/v1/proofs/abababababababababababababababababababababababababababababababab";
const KEEP: Changes = Changes { requests_per_second: Change::Keep, burst: Change::Keep, digests_per_day: Change::Keep };

fn field<'a>(answer: &'a Response, name: &str) -> &'a str {
    answer.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

fn retry_after(answer: &Response) -> u64 {
    field(answer, "retry-after").parse().unwrap()
}

async fn submit(service: &Service, token: &str, digests: &[Digest]) -> Response {
    let proofs: Vec<Value> = digests.iter().map(|digest| json!({ "digest": digest })).collect();
    service.post("/v1/proofs", token, &json!({ "proofs": proofs })).await
}

/// Repeats what a busy machine had no time for, as the answer says.
async fn patiently(service: &Service, token: &str, digests: &[Digest]) -> Response {
    loop {
        let answer = submit(service, token, digests).await;
        if answer.status() != StatusCode::SERVICE_UNAVAILABLE {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn per_day(service: &Service, name: Option<&str>, digests: Change<Option<u64>>) {
    service.ledger.change_limits(name, Changes { digests_per_day: digests, ..KEEP }).await.unwrap();
}

#[tokio::test]
async fn who_asks_too_often_waits_and_others_do_not() {
    let service = forgetful().await;
    let (_, hasty) = service.partner("hasty").await;
    let (_, calm) = service.partner("calm").await;
    // One in a thousand seconds would need fractions: one a second, and a burst that is used up faster than it fills.
    let slow = Changes { requests_per_second: Change::Set(1), burst: Change::Set(3), ..KEEP };
    service.ledger.change_limits(Some("hasty"), slow).await.unwrap();
    let (mut passed, mut refused) = (0, None);
    for _ in 0..200 {
        let answer = service.get(PATH, &hasty).await;
        assert_eq!(field(&answer, "ratelimit-policy"), "\"requests\";q=3;w=3");
        if answer.status() == StatusCode::TOO_MANY_REQUESTS {
            refused = Some(answer);
            break;
        }
        passed += 1;
    }
    let refused = refused.expect("two hundred are too many");
    assert!(passed >= 3, "the burst is let through");
    assert_eq!(retry_after(&refused), 1);
    assert!(field(&refused, "ratelimit").starts_with("\"requests\";r=0;t="), "{}", field(&refused, "ratelimit"));
    problem(refused, 429, "rate_limited").await;
    let answer = service.get(PATH, &calm).await;
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);
    assert_eq!(field(&answer, "ratelimit-policy"), "\"requests\";q=2000;w=2");
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_eq!(service.get(PATH, &hasty).await.status(), StatusCode::NOT_FOUND, "after Retry-After it is let through");
}

fn guarded(state: &mut State) {
    state.standings = Arc::new(Standings::new(Duration::ZERO));
    // As good as never filled again while the test runs.
    state.rates = Arc::new(Rates::new(Rate { per_second: 1, burst: 5 }));
    state.trusted = [ipnet::IpNet::from(std::net::IpAddr::from([127, 0, 0, 1]))].into();
}

#[tokio::test]
async fn the_token_endpoint_has_a_limit_for_each_address() {
    let service = start(false, guarded).await;
    let account = service.account("a", Role::Partner).await;
    service.ledger.set_basic("a", true).await.unwrap();
    let ask = async |path: &str, from: &str| {
        let request = service.client.post(format!("{}{path}", service.base)).header("x-forwarded-for", from);
        let form = format!("grant_type=client_credentials&client_id={}&client_secret=wrong", account.key);
        request.header("content-type", "application/x-www-form-urlencoded").body(form).send().await.unwrap()
    };
    let basic = async |secret: &str, from: &str| {
        let header = format!("Basic {}", STANDARD.encode(format!("{}:{secret}", account.key)));
        let request = service.client.get(format!("{}{PATH}", service.base)).header("x-forwarded-for", from);
        request.header("authorization", header).send().await.unwrap()
    };
    let until_refused = async |path: &str, from: &str| {
        for number in 0..200 {
            let answer = ask(path, from).await;
            if answer.status() == StatusCode::TOO_MANY_REQUESTS {
                assert!(number >= 5, "the burst is let through");
                assert!(retry_after(&answer) >= 1);
                problem(answer, 429, "rate_limited").await;
                return;
            }
            assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
        }
        panic!("never refused");
    };
    until_refused("/oauth2/token", "192.0.2.1").await;
    assert_eq!(ask("/oauth2/token", "192.0.2.2").await.status(), StatusCode::UNAUTHORIZED, "another address");
    until_refused("/oauth2/revoke", "2001:db8::1").await;
    until_refused("/oauth2/revoke", "2001:db8:0:1::1").await;
    // Guessing secrets elsewhere uses the same places; right ones use none.
    for _ in 0..20 {
        assert_eq!(basic(&account.secret, "192.0.2.3").await.status(), StatusCode::NOT_FOUND);
    }
    let mut guesses = 0;
    while basic("wrong", "192.0.2.3").await.status() == StatusCode::UNAUTHORIZED {
        guesses += 1;
        assert!(guesses < 200, "never refused");
    }
    assert!(guesses >= 5);
}

#[tokio::test]
async fn a_day_has_so_many_new_digests() {
    let service = forgetful().await;
    let (_, token) = service.partner("a").await;
    per_day(&service, Some("a"), Change::Set(Some(5))).await;
    let first = submit(&service, &token, &[1, 2, 2, 3].map(digest)).await;
    assert_eq!(first.status(), StatusCode::OK);
    assert_eq!(field(&first, "ratelimit-policy"), "\"requests\";q=2000;w=2, \"digests\";q=5;w=86400;qu=\"digests\"");
    assert!(field(&first, "ratelimit").contains("\"digests\";r=2;t="), "{}", field(&first, "ratelimit"));
    let refused = submit(&service, &token, &[4, 5, 6].map(digest)).await;
    assert!((1..=86_400).contains(&retry_after(&refused)));
    assert!(field(&refused, "ratelimit").contains("\"digests\";r=2;t="));
    problem(refused, 429, "quota_exceeded").await;
    assert_eq!(service.stored().await, 3, "nothing of it was stored");
    assert_eq!(submit(&service, &token, &[3, 4, 5, 1, 4].map(digest)).await.status(), StatusCode::OK, "two of them are new");
    let again = submit(&service, &token, &[1, 2, 3, 4, 5].map(digest)).await;
    assert_eq!(again.status(), StatusCode::OK, "what is there already costs nothing");
    assert!(field(&again, "ratelimit").contains("\"digests\";r=0;t="));
    problem(submit(&service, &token, &[6].map(digest)).await, 429, "quota_exceeded").await;
    let (_, other) = service.partner("b").await;
    let free = submit(&service, &other, &[1, 2, 3, 4, 5, 6, 7].map(digest)).await;
    assert_eq!((free.status(), field(&free, "ratelimit-policy")), (StatusCode::CREATED, "\"requests\";q=2000;w=2"));
    per_day(&service, Some("a"), Change::Set(None)).await;
    assert_eq!(submit(&service, &token, &[6].map(digest)).await.status(), StatusCode::CREATED);
    per_day(&service, Some("a"), Change::Default).await;
    per_day(&service, None, Change::Set(Some(1))).await;
    problem(submit(&service, &token, &[7, 8].map(digest)).await, 429, "quota_exceeded").await;
}

/// What validators decide and what an operator moves in is not of the account's doing: refused, it would be stuck.
#[tokio::test]
async fn decisions_and_imports_neither_meet_the_days_limit_nor_count() {
    let service = forgetful().await;
    let office = office(&service, 1, &["notary"]).await;
    per_day(&service, Some("acme"), Change::Set(Some(1))).await;
    assert_eq!(submit(&service, &office.token, &[digest(1)]).await.status(), StatusCode::CREATED);
    problem(submit(&service, &office.token, &[digest(2)]).await, 429, "quota_exceeded").await;
    for (number, word, stored) in [(3, "approve", 3), (4, "refuse", 4)] {
        let wish = json!({ "proofs": [{ "digest": digest(number) }], "validation": true });
        let (status, waiting) = service.propose(&office.token, &wish).await;
        assert_eq!(status, 201, "what waits is no proof yet");
        let id = waiting[0]["validation"]["id"].as_str().unwrap();
        assert_eq!(service.decide(&office.validators[0].1, id, word).await.status(), StatusCode::OK);
        assert_eq!(service.stored().await, stored, "{word}: the decision, and what it let in");
    }
    let documents: Vec<DeclaredDocument> = [5, 6]
        .map(|number| DeclaredDocument {
            account: office.owner.id,
            digest: digest(number),
            file_name: format!("{number}.pdf"),
            declared_at: time::macros::datetime!(2020-01-02 03:04:05 UTC),
        })
        .into();
    service.ledger.import_documents(&documents, &[[5; 16], [6; 16]]).await.expect("imported");
    assert_eq!(service.stored().await, 6);
    let used = service.ledger.used_today(office.owner.id, service.clock.now()).await.unwrap();
    assert_eq!(used, 1, "only what the account submitted itself");
    // The same connections serve submissions afterwards.
    problem(submit(&service, &office.token, &[digest(2)]).await, 429, "quota_exceeded").await;
    per_day(&service, Some("acme"), Change::Set(Some(2))).await;
    assert_eq!(submit(&service, &office.token, &[digest(2)]).await.status(), StatusCode::CREATED);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_count_is_right_across_instances_and_others_are_not_held_up() {
    let one = service().await;
    let two = one.twin(|_| {}).await;
    let (_, token) = one.partner("a").await;
    let (_, free) = one.partner("b").await;
    per_day(&one, Some("a"), Change::Set(Some(50))).await;
    // 120 submissions of one digest, 16 at once, on two instances that know nothing of each other, between those of somebody else.
    let asking = (0..120_u64).map(|number| {
        let service = if number % 2 == 0 { &one } else { &two };
        let (token, free) = (&token, &free);
        async move {
            let digests = [digest(number)];
            let (limited, unlimited) = tokio::join!(patiently(service, token, &digests), patiently(service, free, &digests));
            assert!(unlimited.status().is_success(), "{:?}", unlimited.text().await);
            if limited.status().is_success() {
                return true;
            }
            assert!(retry_after(&limited) >= 1);
            problem(limited, 429, "quota_exceeded").await;
            false
        }
    });
    let accepted =
        futures_util::stream::iter(asking).buffer_unordered(16).filter(|accepted| std::future::ready(*accepted)).count();
    let accepted = accepted.await;
    assert_eq!(accepted, 50, "exactly as many as the day has");
    let stored: Vec<(i64, i64)> = sqlx::query_as("select account_id, count(*) from proofs group by 1 order by 1")
        .fetch_all(&one.database.pool)
        .await
        .unwrap();
    assert_eq!(stored.iter().map(|(_, count)| *count).collect::<Vec<_>>(), [50, 120]);
    let counted: i64 =
        sqlx::query_scalar("select sum(digests)::bigint from daily_usage").fetch_one(&one.database.pool).await.unwrap();
    assert_eq!(counted, 50);
}
