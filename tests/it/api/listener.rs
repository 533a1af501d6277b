//! What peers cannot make the listener do.

use std::time::Duration;

use reqwest::{StatusCode, Version};
use sceau::api::listen::Listener;
use sceau::config::{Http, Tls};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use crate::api::kit::{PUBLIC_URL, digest, problem, service, start};

/// Well above the bounds in the listener, and below the half minute that hyper gives a head where nobody sets a bound.
const SOON: Duration = Duration::from_secs(25);

async fn is_cut(mut stream: TcpStream) -> bool {
    let mut bytes = [0; 1024];
    let ended = async {
        loop {
            match stream.read(&mut bytes).await {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
        }
    };
    timeout(SOON, ended).await.is_ok()
}

#[tokio::test]
async fn slow_and_silent_connections_are_cut() {
    for tls in [false, true] {
        let service = start(tls, |_| {}).await;
        let mut cuts = Vec::new();
        for begin in ["", "G", "GET / HTTP/1.1\r\nhost: x\r\nx-slow: "] {
            for trickle in [false, true] {
                let stream = TcpStream::connect(service.address).await.unwrap();
                cuts.push(tokio::spawn(async move {
                    let (mut reader, mut writer) = stream.into_split();
                    writer.write_all(begin.as_bytes()).await.unwrap();
                    if trickle && !begin.is_empty() {
                        tokio::spawn(async move {
                            while writer.write_all(b"a").await.is_ok() {
                                sleep(Duration::from_secs(1)).await;
                            }
                        });
                        let mut bytes = Vec::new();
                        return (begin, trickle, timeout(SOON, reader.read_to_end(&mut bytes)).await.is_ok());
                    }
                    (begin, trickle, is_cut(reader.reunite(writer).unwrap()).await)
                }));
            }
        }
        for cut in cuts {
            let (begin, trickle, ended) = cut.await.unwrap();
            assert!(ended, "kept: {begin:?}, trickle {trickle}, tls {tls}");
        }
        assert_eq!(service.get("/healthz", "").await.status(), StatusCode::OK);
    }
}

#[tokio::test]
async fn a_slow_body_is_given_up() {
    let service = start(false, |state| state.limits.body = Duration::from_millis(300)).await;
    let (_, token) = service.partner("a").await;
    let mut stream = TcpStream::connect(service.address).await.unwrap();
    let head = format!(
        "POST /v1/proofs HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{{"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut text = Vec::new();
    timeout(SOON, stream.read_to_end(&mut text)).await.unwrap().unwrap();
    let text = String::from_utf8(text).unwrap();
    assert!(text.starts_with("HTTP/1.1 408 ") && text.contains("request_timeout"), "{text}");
}

#[tokio::test]
async fn an_answer_that_takes_too_long_is_given_up() {
    let service = start(false, |state| state.limits.answer = Duration::from_millis(500)).await;
    let (_, token) = service.partner("a").await;
    let mut closing = service.database.pool.begin().await.unwrap();
    sqlx::query("select pg_advisory_xact_lock(x'5ceab001'::bigint)").execute(&mut *closing).await.unwrap();
    let late = service.post("/v1/proofs", &token, &serde_json::json!({ "proofs": [{ "digest": digest(1) }] })).await;
    problem(late, 504, "timeout").await;
}

#[derive(Debug)]
struct BrokenClock;

impl sceau::ports::Clock for BrokenClock {
    fn now(&self) -> time::OffsetDateTime {
        panic!("a secret of the clock")
    }
}

#[tokio::test]
async fn a_panic_is_a_problem_and_the_service_goes_on() {
    let service = start(false, |state| state.ports.clock = std::sync::Arc::new(BrokenClock)).await;
    let account = service.account("a", sceau::ledger::accounts::Role::Partner).await;
    let form = format!("grant_type=client_credentials&client_id={}&client_secret={}", account.key, account.secret);
    let broken = problem(service.post_form("/oauth2/token", &form).await, 500, "internal").await;
    assert!(!broken.to_string().contains("clock"), "{broken}");
    assert_eq!(service.get("/healthz", "").await.status(), StatusCode::OK);
}

#[tokio::test]
async fn both_versions_are_spoken_over_tls() {
    let service = start(true, |_| {}).await;
    assert_eq!(service.get("/healthz", "").await.version(), Version::HTTP_2);
    // The plain client of the kit speaks HTTP/1.1.
    let plain = crate::api::kit::service().await;
    assert_eq!(plain.get("/healthz", "").await.version(), Version::HTTP_11);
}

#[tokio::test]
async fn nobody_is_told_about_other_origins() {
    let service = service().await;
    let answer = service
        .client
        .get(format!("{}/healthz", service.base))
        .header("origin", "https://attacker.example")
        .send()
        .await
        .unwrap();
    assert!(answer.headers().keys().all(|name| !name.as_str().starts_with("access-control")));
    assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
}

#[tokio::test]
async fn readiness_follows_database_and_intake() {
    let mut service = service().await;
    let ready: Value = service.get("/readyz", "").await.json().await.unwrap();
    assert_eq!(ready["status"], "ready");
    service.lanes.shutdown().await;
    let amiss = problem(service.get("/readyz", "").await, 503, "not_ready").await;
    assert_eq!((&amiss["checks"]["intake"], &amiss["checks"]["database"]), (&"failed".into(), &"ok".into()));
    let (_, token) = service.partner("a").await;
    let body = serde_json::json!({ "proofs": [{ "digest": digest(1) }] });
    let refused = service.post("/v1/proofs", &token, &body).await;
    assert!(refused.headers().contains_key("retry-after"));
    problem(refused, 503, "unavailable").await;
    service.ledger.close().await;
    let amiss = problem(service.get("/readyz", "").await, 503, "not_ready").await;
    assert_eq!(amiss["checks"]["database"], "failed");
    assert_eq!(service.get("/healthz", "").await.status(), StatusCode::OK, "the process lives all the same");
}

#[tokio::test]
async fn a_full_pool_and_a_lost_database_ask_to_come_back() {
    let service = start(false, |state| {
        let limits = sceau::ledger::intake::Limits { waiting: 1, ..Default::default() };
        let (intake, mut lanes) = sceau::ledger::intake::Intake::start(&state.ledger, &state.ports.entropy, limits);
        lanes.detach_all();
        state.intake = intake;
        state.limits.commit = Duration::from_secs(2);
    })
    .await;
    let (_, token) = service.partner("a").await;
    // Whoever closes a batch holds this lock; here it is held until the submission gives up.
    let mut closing = service.database.pool.begin().await.unwrap();
    sqlx::query("select pg_advisory_xact_lock(x'5ceab001'::bigint)").execute(&mut *closing).await.unwrap();
    let body = |number| serde_json::json!({ "proofs": [{ "digest": digest(number) }] });
    let (first, second) = (body(1), body(2));
    let waiting = service.post("/v1/proofs", &token, &first);
    let full = async {
        let stands = "select exists (select from pg_locks where locktype = 'advisory' and not granted
            and database = (select oid from pg_database where datname = current_database()))";
        let stands = async {
            while !sqlx::query_scalar::<_, bool>(stands).fetch_one(&service.database.pool).await.unwrap() {
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(SOON, stands).await.expect("the first stands before the lock");
        service.post("/v1/proofs", &token, &second).await
    };
    let (waited, full) = tokio::join!(waiting, full);
    for (answer, code) in [(waited, "unavailable"), (full, "pool_full")] {
        assert!(answer.headers()["retry-after"].to_str().unwrap().parse::<u64>().unwrap() >= 1);
        problem(answer, 503, code).await;
    }
    closing.rollback().await.unwrap();
    // The one that gave up waiting was accepted all the same: asking again finds it. The other was not.
    let again = timeout(SOON, async {
        loop {
            let again = service.post("/v1/proofs", &token, &first).await;
            if again.status() != StatusCode::SERVICE_UNAVAILABLE {
                return again.json::<Value>().await.unwrap();
            }
            sleep(Duration::from_millis(50)).await;
        }
    });
    assert_eq!(again.await.unwrap()["proofs"][0]["created"], false);
    problem(service.get(&format!("/v1/proofs/{}", digest(2)), &token).await, 404, "proof_unknown").await;

    service.ledger.close().await;
    let lost = service.get(&format!("/v1/proofs/{}", digest(1)), &token).await;
    assert!(lost.headers().contains_key("retry-after"));
    problem(lost, 503, "unavailable").await;
}

#[tokio::test]
async fn a_stop_lets_the_request_under_way_finish() {
    let mut service = service().await;
    let (_, token) = service.partner("a").await;
    let mut stream = TcpStream::connect(service.address).await.unwrap();
    let body = format!("{{\"proofs\":[{{\"digest\":\"{}\"}}]}}", digest(1));
    let head = format!(
        "POST /v1/proofs HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    sleep(Duration::from_millis(200)).await;
    service.stop.take().unwrap().send(()).unwrap();
    sleep(Duration::from_millis(200)).await;
    assert!(TcpStream::connect(service.address).await.is_err(), "nobody new is let in");
    stream.write_all(body.as_bytes()).await.unwrap();
    let mut text = Vec::new();
    timeout(SOON, stream.read_to_end(&mut text)).await.unwrap().unwrap();
    assert!(String::from_utf8(text).unwrap().starts_with("HTTP/1.1 201 "));
    let begun = Instant::now();
    timeout(SOON, service.served).await.unwrap().unwrap().unwrap();
    assert!(begun.elapsed() < Duration::from_secs(11));
}

#[tokio::test]
async fn what_cannot_be_bound_or_read_is_named() {
    let service = service().await;
    let http = |tls| Http { listen: service.address, public_url: PUBLIC_URL.into(), tls, plain: false };
    let error = format!("{:#}", Listener::bind(&http(None)).await.unwrap_err());
    assert!(error.contains(&format!("cannot listen on {}", service.address)), "{error}");
    let folder = tempfile::tempdir().unwrap();
    let (cert, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    let tls = || Some(Tls { cert: cert.clone(), key: key.clone() });
    let error = format!("{:#}", Listener::bind(&http(tls())).await.unwrap_err());
    assert!(error.contains("cert.pem"), "{error}");
    let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&key, "secret words").unwrap();
    let error = format!("{:#}", Listener::bind(&http(tls())).await.unwrap_err());
    assert!(error.contains("key.pem") && !error.contains("secret"), "{error}");
    std::fs::write(&key, rcgen::KeyPair::generate().unwrap().serialize_pem()).unwrap();
    let error = format!("{:#}", Listener::bind(&http(tls())).await.unwrap_err());
    assert!(error.contains("do not fit together"), "{error}");
}
