//! Keys, secrets and tokens are exchanged and taken back while work goes on.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::StatusCode;
use sceau::api::State;
use sceau::api::access::caller::Standings;
use sceau::api::access::secret::{Pepper, generate};
use sceau::api::access::token::Tokens;
use sceau::ledger::accounts::Role;
use sceau::ports::{Clock, SystemClock, SystemEntropy};
use secrecy::ExposeSecret;
use serde_json::Value;
use time::OffsetDateTime;

use crate::api::kit::{Account, LIFE, PUBLIC_URL, Service, forgetful, problem, service, start};

const PATH: &str = "/v1/proofs/abababababababababababababababababababababababababababababababab";

fn key_file(folder: &Path, name: &str, written: OffsetDateTime) {
    let path = folder.join(name);
    std::fs::write(&path, rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap().serialize_pem()).unwrap();
    std::fs::File::options().write(true).open(path).unwrap().set_modified(written.into()).unwrap();
}

async fn key_ids(service: &Service) -> Vec<String> {
    let listed: Value = service.get("/.well-known/jwks.json", "").await.json().await.unwrap();
    listed["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().into()).collect()
}

fn signer(token: &str) -> String {
    jsonwebtoken::decode_header(token).unwrap().kid.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_change_and_no_valid_token_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let begun = SystemClock.now();
    key_file(folder.path(), "1.pem", begun - time::Duration::HOUR);
    let mut kept = None;
    let tokens = |folder: &Path| Arc::new(Tokens::load(folder, PUBLIC_URL, LIFE).unwrap());
    let first = tokens(folder.path());
    let one = start(false, |state| {
        state.tokens = Arc::clone(&first);
        kept = Some(Arc::clone(&state.ports.clock));
    })
    .await;
    let second = tokens(folder.path());
    let two = one.twin(|state| state.tokens = Arc::clone(&second)).await;
    // Two instances look at different times, as they would.
    let looks = [
        tokio::spawn(Arc::clone(&first).follow(Duration::from_millis(70))),
        tokio::spawn(Arc::clone(&second).follow(Duration::from_millis(190))),
    ];
    let account = one.account("a", Role::Partner).await;
    let clock = kept.unwrap();
    let (stop, asked) = (AtomicBool::new(false), AtomicU64::new(0));

    // Tokens of each instance are shown to the other, fresh ones and ones that were kept for most of their life. One whose
    // life ended while it was on its way (the clock jumps) says nothing.
    let load = async {
        let mut old: Vec<(OffsetDateTime, String)> = Vec::new();
        while !stop.load(Ordering::SeqCst) {
            for (giver, asker) in [(&one, &two), (&two, &one)] {
                let given = clock.now();
                let token = giver.token(&account).await;
                old.push((given, token));
                old.retain(|(given, _)| clock.now() - *given < time::Duration::seconds(LIFE as i64 - 60));
                let Some(fresh) = old.last() else { continue };
                for (given, token) in [fresh, &old[asked.load(Ordering::SeqCst) as usize % old.len()]] {
                    let answer = asker.get(PATH, token).await;
                    if clock.now() - *given < time::Duration::seconds(LIFE as i64) {
                        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{:?}", answer.text().await);
                        asked.fetch_add(1, Ordering::SeqCst);
                    }
                }
            }
        }
    };
    let some_time = async || {
        let before = asked.load(Ordering::SeqCst);
        while asked.load(Ordering::SeqCst) < before + 40 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let everybody_shows = async |ids: usize| {
        while key_ids(&one).await.len() != ids || key_ids(&two).await.len() != ids {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let change = async {
        some_time().await;
        let old = key_ids(&one).await;
        let before = one.token(&account).await;
        key_file(folder.path(), "2.pem", clock.now());
        everybody_shows(2).await;
        assert_eq!(signer(&two.token(&account).await), old[0], "shown, but not used yet");
        some_time().await;
        one.clock.advance(330);
        let new = one.token(&account).await;
        assert_ne!(signer(&new), old[0], "the new one signs");
        some_time().await;
        one.clock.advance(LIFE as i64 + 30);
        std::fs::remove_file(folder.path().join("1.pem")).unwrap();
        everybody_shows(1).await;
        some_time().await;
        problem(two.get(PATH, &before).await, 401, "token_invalid").await;
        stop.store(true, Ordering::SeqCst);
    };
    tokio::time::timeout(Duration::from_secs(120), async { tokio::join!(load, change) })
        .await
        .expect("the change comes to an end");
    looks.iter().for_each(tokio::task::JoinHandle::abort);
    println!("{} requests with valid tokens, none refused", asked.load(Ordering::SeqCst));
}

#[tokio::test]
async fn keys_that_cannot_be_read_leave_those_of_before() {
    let folder = tempfile::tempdir().unwrap();
    key_file(folder.path(), "1.pem", SystemClock.now());
    let tokens = Arc::new(Tokens::load(folder.path(), PUBLIC_URL, LIFE).unwrap());
    let service = start(false, |state| state.tokens = Arc::clone(&tokens)).await;
    let (_, token) = service.partner("a").await;
    assert!(!tokens.reload().unwrap(), "nothing changed");
    std::fs::write(folder.path().join("2.pem"), "half a key").unwrap();
    let error = format!("{:#}", tokens.reload().unwrap_err());
    assert!(error.contains("2.pem") && !error.contains("half"), "{error}");
    assert_eq!(service.get(PATH, &token).await.status(), StatusCode::NOT_FOUND);
}

async fn revoke(service: &Service, account: &Account, more: &str) -> reqwest::Response {
    let form = format!("client_id={}&client_secret={}{more}", account.key, account.secret);
    service.post_form("/oauth2/revoke", &form).await
}

#[tokio::test]
async fn a_revoked_token_is_refused_everywhere_within_seconds() {
    let one = service().await;
    let (account, token) = one.partner("a").await;
    let kept = one.token(&account).await;
    let life = Duration::from_secs(2);
    let two = one.twin(|state| state.standings = Arc::new(Standings::new(life))).await;
    for service in [&one, &two] {
        assert_eq!(service.get(PATH, &token).await.status(), StatusCode::NOT_FOUND);
    }
    for _ in 0..2 {
        let answer = revoke(&one, &account, &format!("&token={token}&token_type_hint=access_token")).await;
        assert_eq!((answer.status(), answer.headers()["cache-control"].to_str().unwrap()), (StatusCode::OK, "no-store"));
        assert!(answer.bytes().await.unwrap().is_empty());
    }
    problem(one.get(PATH, &token).await, 401, "token_invalid").await;
    tokio::time::sleep(life).await;
    problem(two.get(PATH, &token).await, 401, "token_invalid").await;
    for service in [&one, &two] {
        assert_eq!(service.get(PATH, &kept).await.status(), StatusCode::NOT_FOUND, "the other token goes on");
    }
    assert_eq!(State::STANDING, Duration::from_secs(5), "what the pages promise");
}

#[tokio::test]
async fn revocation_asks_who_it_is_and_touches_nobody_else() {
    let service = forgetful().await;
    let (own, token) = service.partner("a").await;
    let (other, others) = service.partner("b").await;
    let error = async |answer: reqwest::Response, status: u16, error: &str| {
        assert_eq!(answer.status().as_u16(), status);
        assert_eq!(answer.json::<Value>().await.unwrap()["error"], error);
    };
    error(revoke(&service, &own, "").await, 400, "invalid_request").await;
    error(revoke(&service, &own, &format!("&token={others}")).await, 400, "invalid_grant").await;
    let stranger = Account { secret: other.secret.clone(), ..own.clone() };
    error(revoke(&service, &stranger, &format!("&token={token}")).await, 401, "invalid_client").await;
    for nonsense in ["x", "a.b.c", "%00", &format!("{token}x")] {
        assert_eq!(revoke(&service, &own, &format!("&token={nonsense}")).await.status(), StatusCode::OK, "{nonsense}");
    }
    for token in [&token, &others] {
        assert_eq!(service.get(PATH, token).await.status(), StatusCode::NOT_FOUND);
    }
    // What has ended is not kept.
    sqlx::query("insert into revoked_tokens select decode(repeat('ab', 16), 'hex'), $1, now() - interval '1 day'")
        .bind(own.id.0)
        .execute(&service.database.pool)
        .await
        .unwrap();
    assert_eq!(revoke(&service, &own, &format!("&token={token}")).await.status(), StatusCode::OK);
    let kept: i64 = sqlx::query_scalar("select count(*) from revoked_tokens").fetch_one(&service.database.pool).await.unwrap();
    assert_eq!(kept, 1);
}

#[tokio::test]
async fn all_tokens_of_an_account_are_taken_back_at_once() {
    let service = forgetful().await;
    let (account, token) = service.partner("a").await;
    let (_, others) = service.partner("b").await;
    service.ledger.revoke_tokens("a").await.unwrap();
    problem(service.get(PATH, &token).await, 401, "token_invalid").await;
    assert_eq!(service.get(PATH, &service.token(&account).await).await.status(), StatusCode::NOT_FOUND, "new ones are good");
    assert_eq!(service.get(PATH, &others).await.status(), StatusCode::NOT_FOUND);
    assert!(service.ledger.revoke_tokens("nobody").await.is_err());
}

#[tokio::test]
async fn two_secrets_work_while_they_are_exchanged() {
    let service = forgetful().await;
    let (old, token) = service.partner("a").await;
    let pepper = Pepper::from_bytes([7; 32]);
    let add = async || {
        let made = generate(&SystemEntropy);
        let added = service.ledger.add_credential("a", &made.key, pepper.hash(made.secret.expose_secret())).await.unwrap();
        (added, Account { key: made.key, secret: made.secret.expose_secret().into(), ..old.clone() })
    };
    // Whoever adds at the same time does not get a third one in.
    let added = tokio::join!(add(), add(), add());
    let mut new = [added.0, added.1, added.2].into_iter().filter(|(added, _)| *added);
    let (_, new_one) = new.next().expect("one is added");
    assert!(new.next().is_none(), "two at a time");
    let second = service.token(&new_one).await;
    for token in [&token, &second, &service.token(&old).await] {
        assert_eq!(service.get(PATH, token).await.status(), StatusCode::NOT_FOUND);
    }
    service.ledger.revoke_credential("a", &old.key).await.unwrap();
    assert!(service.ledger.revoke_credential("a", &old.key).await.is_err(), "revoked already");
    assert!(service.ledger.revoke_credential("b", &new_one.key).await.is_err(), "somebody else's");
    problem(service.get(PATH, &token).await, 403, "account_disabled").await;
    let form = format!("grant_type=client_credentials&client_id={}&client_secret={}", old.key, old.secret);
    assert_eq!(service.post_form("/oauth2/token", &form).await.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(service.get(PATH, &second).await.status(), StatusCode::NOT_FOUND);
    assert!(add().await.0, "there is room again");
    let listed = service.ledger.credentials("a").await.unwrap();
    assert_eq!(listed.iter().map(|shown| shown.revoked_at.is_some()).collect::<Vec<_>>(), [true, false, false]);
}

#[tokio::test]
async fn key_and_secret_are_taken_only_where_the_account_says_so() {
    let service = forgetful().await;
    let account = service.account("a", Role::Partner).await;
    let other = service.account("b", Role::Partner).await;
    let ask = async |key: &str, secret: &str| {
        let header = format!("Basic {}", STANDARD.encode(format!("{key}:{secret}")));
        service.client.get(format!("{}{PATH}", service.base)).header("authorization", header).send().await.unwrap()
    };
    let refused = problem(ask(&account.key, &account.secret).await, 401, "credentials_invalid").await;
    let wrong = problem(ask(&account.key, &other.secret).await, 401, "credentials_invalid").await;
    assert_eq!(refused["detail"], wrong["detail"], "off and wrong are told the same way");
    service.ledger.set_basic("a", true).await.unwrap();
    assert_eq!(ask(&account.key, &account.secret).await.status(), StatusCode::NOT_FOUND);
    problem(ask(&account.key, &other.secret).await, 401, "credentials_invalid").await;
    problem(ask(&other.key, &other.secret).await, 401, "credentials_invalid").await;
    problem(ask("ck_%00", "x").await, 401, "credentials_invalid").await;
    service.ledger.set_networks("a", &["192.0.2.0/24".parse().unwrap()]).await.unwrap();
    problem(ask(&account.key, &account.secret).await, 403, "address_refused").await;
    service.ledger.set_networks("a", &[]).await.unwrap();
    service.ledger.set_basic("a", false).await.unwrap();
    problem(ask(&account.key, &account.secret).await, 401, "credentials_invalid").await;
    service.ledger.set_basic("a", true).await.unwrap();
    service.ledger.disable_account("a").await.unwrap();
    problem(ask(&account.key, &account.secret).await, 403, "account_disabled").await;
}
