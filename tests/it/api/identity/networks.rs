//! From where an account may ask.

use reqwest::{Response, StatusCode};
use sceau::api::State;
use sceau::api::access::caller::Standings;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

use crate::api::kit::{Account, Service, problem, start};

const PATH: &str = "/v1/proofs/abababababababababababababababababababababababababababababababab";

async fn behind(trusted: &'static [&'static str]) -> Service {
    start(false, move |state: &mut State| {
        state.standings = Arc::new(Standings::new(Duration::ZERO));
        state.trusted = trusted.iter().map(|text| text.parse().unwrap()).collect();
    })
    .await
}

async fn get(service: &Service, token: &str, fields: &[(&str, &str)]) -> Response {
    let mut request = service.client.get(format!("{}{PATH}", service.base)).bearer_auth(token);
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    request.send().await.unwrap()
}

async fn allow(service: &Service, networks: &[&str]) {
    let networks: Vec<_> = networks.iter().map(|text| text.parse().unwrap()).collect();
    service.ledger.set_networks("a", &networks).await.unwrap();
}

async fn asks_for_a_token(service: &Service, account: &Account, secret: &str, from: &str) -> (StatusCode, Value) {
    let form = format!("grant_type=client_credentials&client_id={}&client_secret={secret}", account.key);
    let request = service.client.post(format!("{}/oauth2/token", service.base)).header("x-forwarded-for", from);
    let answer = request.header("content-type", "application/x-www-form-urlencoded").body(form).send().await.unwrap();
    (answer.status(), answer.json().await.unwrap())
}

#[tokio::test]
async fn the_address_is_the_sockets_whatever_the_client_says() {
    let service = behind(&[]).await;
    let (_, token) = service.partner("a").await;
    allow(&service, &["192.0.2.0/24", "2001:db8::/32"]).await;
    for fields in [
        &[][..],
        &[("x-forwarded-for", "192.0.2.1")],
        &[("forwarded", "for=192.0.2.1")],
        &[("x-forwarded-for", "192.0.2.1"), ("forwarded", "for=192.0.2.1")],
        &[("x-real-ip", "192.0.2.1")],
    ] {
        problem(get(&service, &token, fields).await, 403, "address_refused").await;
    }
    for networks in [&["127.0.0.1/32"][..], &["127.0.0.0/8", "192.0.2.0/24"], &["0.0.0.0/0"], &[]] {
        allow(&service, networks).await;
        assert_eq!(get(&service, &token, &[]).await.status(), StatusCode::NOT_FOUND, "{networks:?}");
    }
    allow(&service, &["::/0"]).await;
    problem(get(&service, &token, &[]).await, 403, "address_refused").await;
}

#[tokio::test]
async fn behind_a_proxy_it_is_the_nearest_hop_that_is_no_proxy() {
    let service = behind(&["127.0.0.0/8", "10.0.0.0/8"]).await;
    let (_, token) = service.partner("a").await;
    allow(&service, &["192.0.2.0/24", "2001:db8::/32"]).await;
    for (fields, let_in) in [
        (&[("x-forwarded-for", "192.0.2.1")][..], true),
        (&[("x-forwarded-for", "198.51.100.1, 192.0.2.1, 10.1.1.1")], true),
        (&[("x-forwarded-for", "::ffff:192.0.2.1")], true),
        (&[("x-forwarded-for", "[2001:db8::1]:4711")], true),
        (&[("forwarded", "for=\"[2001:db8::1]:4711\";proto=https")], true),
        (&[("x-forwarded-for", "192.0.2.1"), ("x-forwarded-for", "10.1.1.1")], true),
        (&[("x-forwarded-for", "192.0.2.1, 198.51.100.1")], false),
        (&[("x-forwarded-for", "192.0.2.1, unknown")], false),
        (&[("x-forwarded-for", "198.51.100.1"), ("forwarded", "for=192.0.2.1")], false),
        (&[("forwarded", "for=192.0.2.1, for=")], false),
        (&[], false),
    ] {
        let answer = get(&service, &token, fields).await;
        if let_in {
            assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{fields:?}");
        } else {
            problem(answer, 403, "address_refused").await;
        }
    }
}

#[tokio::test]
async fn a_stolen_secret_used_from_elsewhere_looks_like_a_wrong_one() {
    let service = behind(&["127.0.0.0/8"]).await;
    let (account, _) = service.partner("a").await;
    allow(&service, &["192.0.2.0/24"]).await;
    let inside = asks_for_a_token(&service, &account, &account.secret, "192.0.2.1").await;
    assert_eq!(inside.0, StatusCode::OK);
    let outside = asks_for_a_token(&service, &account, &account.secret, "198.51.100.1").await;
    let wrong = asks_for_a_token(&service, &account, "cs_wrong", "192.0.2.1").await;
    assert_eq!(outside.0, StatusCode::UNAUTHORIZED);
    assert_eq!(outside, wrong);
}
