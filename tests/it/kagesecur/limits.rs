//! The dialect behind the limits, the addresses and the counts of the partner API.

use std::sync::Arc;

use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use reqwest::{Response, StatusCode};
use sceau::api::State;
use sceau::api::access::limit::{Rate, Rates};
use sceau::api::traffic::Traffic;
use sceau::ledger::accounts::Role;
use sceau::ledger::accounts::limits::{Change, Changes};
use serde_json::{Value, json};

use super::kit::{Kage, Speaker, kage, sha256, with};
use crate::api::kit::problem;

const KEEP: Changes = Changes { requests_per_second: Change::Keep, burst: Change::Keep, digests_per_day: Change::Keep };

/// Behind a proxy of ours, which says where requests come from.
fn proxied(state: &mut State) {
    state.trusted = [ipnet::IpNet::from(std::net::IpAddr::from([127, 0, 0, 1]))].into();
}

impl Kage {
    async fn from(&self, address: &str, path: &str, token: &str, body: &Value) -> Response {
        let request = self.client.post(format!("{}{path}", self.url)).header("authorization", format!("Bearer {token}"));
        request.header("x-forwarded-for", address).body(body.to_string()).send().await.expect("an answer")
    }

    async fn link(&self, path: &str, address: &str) -> Response {
        self.client.get(format!("{}{path}", self.url)).header("x-forwarded-for", address).send().await.expect("an answer")
    }
}

fn verifies(speaker: &Speaker, hash: &str) -> Value {
    let mut body = speaker.named();
    body["hash"] = sha256(hash).into();
    body
}

#[tokio::test]
async fn an_account_asks_from_its_own_networks_only() {
    let kage = with(proxied, 20).await;
    let speaker = kage.speaker("alice", Role::Client).await;
    let token = kage.login(&speaker).await;
    kage.write(&speaker, &token, json!([speaker.item(&sha256("a"), "a")])).await;
    let auth = kage.verify(&speaker, &token, &sha256(sha256("a"))).await["auth"].as_str().unwrap().to_owned();
    kage.service.ledger.set_networks("alice", &["192.0.2.0/24".parse().unwrap()]).await.unwrap();

    // At the login it is nobody: another answer would say that the empreinte is right.
    let login = async |address: &str, body: &Value| {
        let answer = kage.from(address, "/connexionKS", "noJwt", body).await;
        assert_eq!(answer.status(), StatusCode::OK);
        answer.text().await.unwrap()
    };
    let wrong = json!({ "empreinte": sha256("x"), "hashJwt": sha256("x") });
    assert_eq!(login("198.51.100.1", &speaker.named()).await, login("198.51.100.1", &wrong).await);
    assert!(login("192.0.2.7", &speaker.named()).await.starts_with(r#"{"resultat":"Connecté""#));
    // With a token it is told.
    let mut body = verifies(&speaker, "a");
    body["allDatas"] = json!([speaker.item(&sha256("b"), "b")]);
    for path in ["/verification", "/writeProof"] {
        problem(kage.from("198.51.100.1", path, &token, &body).await, 403, "address_refused").await;
        assert_eq!(kage.from("192.0.2.7", path, &token, &body).await.status(), StatusCode::OK);
    }
    assert_eq!(kage.service.stored().await, 2);
    // What an auth opens is opened for whoever was given it.
    assert_eq!(kage.link(&format!("/certificat/{auth}"), "198.51.100.1").await.status(), StatusCode::OK);
    // Such logins count as failed ones.
    let kage = with(proxied, 3).await;
    let speaker = kage.speaker("alice", Role::Client).await;
    kage.service.ledger.set_networks("alice", &["192.0.2.0/24".parse().unwrap()]).await.unwrap();
    let mut failed = 0;
    while kage.from("198.51.100.1", "/connexionKS", "noJwt", &speaker.named()).await.status() == StatusCode::OK {
        failed += 1;
        assert!(failed < 10, "never refused");
    }
}

#[tokio::test]
async fn who_asks_too_often_waits() {
    let kage = with(proxied, 0).await;
    let (hasty, calm) = (kage.speaker("hasty", Role::Client).await, kage.speaker("calm", Role::Client).await);
    let (of_hasty, of_calm) = (kage.login(&hasty).await, kage.login(&calm).await);
    kage.write(&hasty, &of_hasty, json!([hasty.item(&sha256("a"), "a")])).await;
    let doubled = sha256(sha256("a"));
    let auth = kage.verify(&hasty, &of_hasty, &doubled).await["auth"].as_str().unwrap().to_owned();
    let slow = Changes { requests_per_second: Change::Set(1), burst: Change::Set(3), ..KEEP };
    kage.service.ledger.change_limits(Some("hasty"), slow).await.unwrap();
    let until_refused = async |ask: &dyn AsyncAsk| {
        for _ in 0..100 {
            let answer = ask.ask().await;
            if answer.status() == StatusCode::TOO_MANY_REQUESTS {
                assert!(answer.headers()["retry-after"].to_str().unwrap().parse::<u64>().unwrap() >= 1);
                assert!(answer.headers()["ratelimit"].to_str().unwrap().contains("\"requests\";r=0;"));
                problem(answer, 429, "rate_limited").await;
                return;
            }
        }
        panic!("never refused");
    };
    let mut body = verifies(&hasty, &sha256("a"));
    body["allDatas"] = json!([hasty.item(&sha256("a"), "a")]);
    // Every way in uses the same places: that of the links too, whoever opens them.
    for path in ["/verification", "/writeProof", "/connexionKS"] {
        until_refused(&async || kage.post(path, &of_hasty, &body).await).await;
    }
    for path in [format!("/recu/{auth}"), format!("/certificat/{auth}")] {
        until_refused(&async || kage.link(&path, "203.0.113.9").await).await;
    }
    let partner = kage.service.token(&hasty.account).await;
    let native = format!("/v1/proofs/{}", sha256("a"));
    until_refused(&async || kage.service.get(&native, &partner).await).await;
    assert_eq!(kage.verify(&calm, &of_calm, &doubled).await["resultat"], "Ce document n'est pas enregistré.");
}

/// A question that is asked again and again.
trait AsyncAsk {
    fn ask(&self) -> std::pin::Pin<Box<dyn Future<Output = Response> + '_>>;
}

impl<F: AsyncFn() -> Response> AsyncAsk for F {
    fn ask(&self) -> std::pin::Pin<Box<dyn Future<Output = Response> + '_>> {
        Box::pin(self())
    }
}

#[tokio::test]
async fn logins_and_numbers_that_open_nothing_are_limited_by_address() {
    let few = |state: &mut State| {
        proxied(state);
        state.rates = Arc::new(Rates::new(Rate { per_second: 1, burst: 5 }));
    };
    let kage = with(few, 0).await;
    let speaker = kage.speaker("alice", Role::Client).await;
    for (address, right) in [("192.0.2.1", true), ("192.0.2.2", false)] {
        let body = if right { speaker.named() } else { json!({}) };
        let mut asked = 0;
        while kage.from(address, "/connexionKS", "noJwt", &body).await.status() == StatusCode::OK {
            asked += 1;
            assert!(asked < 100, "never refused");
        }
        assert!(asked >= 5, "the burst is let through");
        problem(kage.from(address, "/connexionKS", "noJwt", &body).await, 429, "rate_limited").await;
    }
    let mut guesses = 0;
    while kage.link(&format!("/recu/{guesses:052}"), "192.0.2.3").await.status() == StatusCode::NOT_FOUND {
        guesses += 1;
        assert!(guesses < 100, "never refused");
    }
    assert!(guesses >= 5);
}

#[tokio::test]
async fn a_day_has_so_many_new_digests_for_each_owner() {
    let kage = kage().await;
    let manager = kage.speaker("gérante", Role::Manager).await;
    let (few, free) = (kage.speaker("peu", Role::Client).await, kage.speaker("libre", Role::Client).await);
    for client in ["peu", "libre"] {
        kage.service.ledger.add_client("gérante", client).await.unwrap();
    }
    let token = kage.login(&manager).await;
    let day = Changes { digests_per_day: Change::Set(Some(3)), ..KEEP };
    kage.service.ledger.change_limits(Some("peu"), day).await.unwrap();
    let items = |speaker: &Speaker, names: &[&str]| -> Vec<Value> {
        names.iter().map(|name| speaker.item(&sha256(name), &format!("{} {name}", speaker.identifiant))).collect()
    };
    let both = [items(&few, &["a", "b"]), items(&free, &["a", "b"])].concat();
    let answer = kage.write(&manager, &token, both.into()).await;
    assert_eq!(answer, json!({ "resultat": { "peu a": true, "peu b": true, "libre a": true, "libre b": true } }));
    // One is left, two are new: neither is taken. What was there before, and other owners, are answered as ever.
    let more = [items(&few, &["b", "c", "d"]), items(&free, &["c", "d", "e", "f"])].concat();
    let answer = kage.write(&manager, &token, more.into()).await;
    let nonconforme = "Les informations ne sont pas conformes et ne peuvent donc pas être validées.";
    assert_eq!(answer["resultat"]["peu b"], "Ce document est déjà enregistré.");
    assert_eq!((&answer["resultat"]["peu c"], &answer["resultat"]["peu d"]), (&json!(nonconforme), &json!(nonconforme)));
    assert_eq!(answer["details"][1]["motif"], "quota_epuise");
    assert!(["c", "d", "e", "f"].iter().all(|name| answer["resultat"][format!("libre {name}")] == true), "{answer}");
    let own = kage.login(&few).await;
    assert_eq!(kage.write(&few, &own, items(&few, &["c"]).into()).await["resultat"]["peu c"], true, "the last one");
    assert_eq!(kage.write(&few, &own, items(&few, &["d"]).into()).await["details"][0]["motif"], "quota_epuise");
    assert_eq!(kage.service.stored().await, 9);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_days_count_is_right_when_many_ask_at_once() {
    let kage = Arc::new(kage().await);
    let speaker = kage.speaker("peu", Role::Client).await;
    let token = kage.login(&speaker).await;
    let day = Changes { digests_per_day: Change::Set(Some(10)), ..KEEP };
    kage.service.ledger.change_limits(Some("peu"), day).await.unwrap();
    let mut asking = tokio::task::JoinSet::new();
    for number in 0..40 {
        let (kage, speaker, token) = (Arc::clone(&kage), speaker.clone(), token.clone());
        asking.spawn(async move {
            let name = format!("{number}");
            let answer = kage.write(&speaker, &token, json!([speaker.item(&sha256(&name), &name)])).await;
            match &answer["resultat"][&name] {
                Value::Bool(true) => 1,
                _ => {
                    assert_eq!(answer["details"][0]["motif"], "quota_epuise", "{answer}");
                    0
                }
            }
        });
    }
    let taken: Vec<i64> = asking.join_all().await;
    assert_eq!((taken.iter().sum::<i64>(), kage.service.stored().await), (10, 10));
}

#[tokio::test]
async fn an_item_that_stands_twice_is_refused_as_its_first() {
    let kage = kage().await;
    let speaker = kage.speaker("étude", Role::Client).await;
    let token = kage.login(&speaker).await;
    // Nobody could validate it: neither item may be called registered.
    let mut body = speaker.named();
    body["allDatas"] = json!([speaker.item(&sha256("a"), "un"), speaker.item(&sha256("a"), "deux")]);
    body["checkedExterne"] = true.into();
    let answer = kage.ask("/writeProof", &token, &body).await;
    let nonconforme = "Les informations ne sont pas conformes et ne peuvent donc pas être validées.";
    assert_eq!(answer["resultat"], json!({ "un": nonconforme, "deux": nonconforme }));
    // It waits: the way around is closed for both names.
    kage.service.account("notaire", Role::Validator).await;
    kage.service.ledger.add_validator("étude", "notaire").await.unwrap();
    let waiting = kage.ask("/writeProof", &token, &body).await;
    assert_eq!(waiting["resultat"], json!({ "un": true, "deux": "Ce document est déjà enregistré." }));
    body["checkedExterne"] = false.into();
    let around = kage.ask("/writeProof", &token, &body).await;
    let pending = "Le document n'a pas encore été validé.";
    assert_eq!(around["resultat"], json!({ "un": pending, "deux": pending }));
}

#[tokio::test]
async fn requests_and_failed_logins_are_counted() {
    let mut traffic = None;
    let kage = with(|state| traffic = Some(state.traffic.clone()), 0).await;
    let speaker = kage.speaker("alice", Role::Client).await;
    let token = kage.login(&speaker).await;
    kage.ask("/connexionKS", "noJwt", &json!({})).await;
    kage.verify(&speaker, &token, &sha256("a")).await;
    problem(kage.post("/verification", "noJwt", &speaker.named()).await, 403, "authentication_failed").await;
    let text = printed(&traffic.expect("a state"));
    for line in [
        r#"http_requests_total{route="/connexionKS",method="POST",status="200"} 2"#,
        r#"http_requests_total{route="/verification",method="POST",status="200"} 1"#,
        r#"http_requests_total{route="/verification",method="POST",status="403"} 1"#,
        r#"http_problems_total{code="authentication_failed"} 1"#,
        r#"token_failures_total{reason="authentication_failed"} 1"#,
        r#"token_failures_total{reason="unknown_empreinte"} 1"#,
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
}

fn printed(traffic: &Traffic) -> String {
    let (mut registry, mut text) = (Registry::default(), String::new());
    traffic.register(&mut registry);
    encode(&mut text, &registry).expect("text");
    text
}
