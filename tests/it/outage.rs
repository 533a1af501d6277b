//! The database goes away and comes back; the pool fills up. Clients are told at once, and nothing is half-done.

use std::time::{Duration, Instant};

use sceau::api::access::secret::{Domain, Pepper, empreinte, generate};
use sceau::dev::postgres::{self, Options, Postgres};
use sceau::ledger::Ledger;
use sceau::ledger::accounts::Role;
use sceau::ports::SystemEntropy;
use sceau_verifier::Digest;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::api::kit::{digest, problem, start};
use crate::support::instance::{Instance, settings};
use crate::support::metrics::read;
use crate::support::service::lasting_port;
use crate::support::{self, process};

/// What one request to a server that is away may take at most. Waiting for a connection would take five seconds and more.
const AT_ONCE: Duration = Duration::from_millis(2_500);

async fn server(data: &std::path::Path, port: u16) -> Postgres {
    let options = Options {
        data,
        port: Some(port),
        database: "sceau",
        password: "correct horse",
        binaries: None,
        settings: &[],
        throw_away: false,
    };
    postgres::start(options, &support::progress).await.expect("a Postgres server")
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_database_is_away_clients_are_told_at_once_and_then_it_goes_on() {
    support::crypto();
    let home = tempfile::tempdir().expect("a folder");
    let data = home.path().join("postgres");
    let [api, metrics, database, dialect] = [(); 4].map(|()| lasting_port());
    let postgres = server(&data, database).await;
    let ledger = Ledger::connect(&postgres.url, 2).expect("a URL");
    ledger.migrate().await.expect("migrated");
    let made = generate(&SystemEntropy);
    let secret = made.secret.expose_secret();
    ledger.create_account("a", Role::Partner, &made.key, Pepper::from_bytes([0x5c; 32]).hash(secret)).await.expect("made");
    // Both dialects.
    let own = empreinte("a", "clef");
    let hash = Pepper::from_bytes([0x5c; 32]).keyed(Domain::Empreinte, own.as_bytes());
    ledger.set_identity("a", "a", &hash).await.expect("an identity");
    let key = home.path().join("kagesecur.key");
    std::fs::write(&key, "9a".repeat(32)).expect("a key");
    let more = format!(
        "[kagesecur]\nlisten = \"127.0.0.1:{dialect}\"\npublic_url = \"http://instance.test:42000\"\ntoken_key = {key:?}\n"
    );
    let file = settings(home.path(), "sceau.toml", &postgres.url, [api, metrics], &more);
    let mut instance = Instance::start(&file, "sceau", &[]);
    let base = format!("http://127.0.0.1:{api}");
    instance.ready(&format!("{base}/readyz")).await;
    let http = reqwest::Client::new();
    let form = http.post(format!("{base}/oauth2/token")).header("content-type", "application/x-www-form-urlencoded");
    let form = form.basic_auth(&made.key, Some(secret)).body("grant_type=client_credentials");
    let token: Value = form.send().await.expect("an answer").json().await.expect("a token");
    let token = token["access_token"].as_str().expect("a token").to_owned();
    let submit = async |number: u64| {
        let body = json!({ "proofs": [{ "digest": digest(number) }, { "digest": digest(1_000_000 + number) }] });
        let begun = Instant::now();
        let answer = http.post(format!("{base}/v1/proofs")).bearer_auth(&token).json(&body).send().await.expect("an answer");
        (answer.status().as_u16(), answer.headers().clone(), answer.json::<Value>().await.expect("JSON"), begun.elapsed())
    };
    let kage = async |path: &str, jwt: &str| {
        let named = json!({ "empreinte": own, "hashJwt": own, "hash": digest(7), "allDatas": [] });
        let begun = Instant::now();
        let request = http.post(format!("http://127.0.0.1:{dialect}{path}")).bearer_auth(jwt).json(&named);
        let answer = request.send().await.expect("an answer");
        let retry = answer.headers().contains_key("retry-after");
        (answer.status().as_u16(), retry, answer.json::<Value>().await.expect("JSON"), begun.elapsed())
    };
    let (status, _, login, _) = kage("/connexionKS", "noJwt").await;
    assert_eq!((status, &login["resultat"]), (200, &json!("Connecté")));
    let jwt = login["jwt"].as_str().expect("a token").to_owned();
    let ready = async || reqwest::get(format!("{base}/readyz")).await.expect("an answer").status().as_u16();
    let (mut acknowledged, mut number) = (Vec::new(), 0);

    let url = postgres.url.clone();
    let mut server_now = Some(postgres);
    for how in ["stopped", "frozen"] {
        number += 1;
        assert_eq!(submit(number).await.0, 201, "{how}: before");
        acknowledged.push(number);
        let mut pids = Vec::new();
        if how == "stopped" {
            server_now.take().expect("a server").stop().await;
        } else {
            // Answers nothing, but its sockets stay open: the postmaster and all it has started.
            let pid = server_now.as_ref().expect("a server").child.pid();
            let children = std::process::Command::new("pgrep").args(["-P", &pid.to_string()]).output().expect("pgrep runs");
            pids.push(pid);
            pids.extend(String::from_utf8_lossy(&children.stdout).lines().map(|line| line.parse::<u32>().expect("a pid")));
            pids.iter().for_each(|pid| process::signal(*pid, "STOP"));
        }
        // As soon as the service has noticed, whoever comes is told at once.
        let deadline = Instant::now() + Duration::from_secs(60);
        while instance.lines("the database is away: requests are answered with 503 until it is back").len() < number as usize {
            assert!(Instant::now() < deadline, "{how}: not noticed:\n{}", instance.said());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let mut fastest = Duration::MAX;
        for _ in 0..10 {
            let (status, headers, body, took) = submit(900_000 + number).await;
            assert_eq!((status, &body["code"]), (503, &json!("unavailable")), "{how}: {body}");
            assert!(headers["retry-after"].to_str().is_ok_and(|text| text.parse::<u64>().is_ok()), "{how}");
            fastest = fastest.min(took);
        }
        eprintln!("{how}: refused after {fastest:?} at best");
        assert!(fastest < AT_ONCE, "{how}: refused after {fastest:?}");
        for path in ["/connexionKS", "/verification", "/writeProof"] {
            let mut fastest = Duration::MAX;
            for _ in 0..3 {
                let (status, retry, body, took) = kage(path, &jwt).await;
                assert_eq!((status, &body["code"], retry), (503, &json!("unavailable"), true), "{how}: {body}");
                fastest = fastest.min(took);
            }
            eprintln!("{how}: {path} refused after {fastest:?} at best");
            assert!(fastest < AT_ONCE, "{how}: {path} refused after {fastest:?}");
        }
        assert_eq!(ready().await, 503, "{how}: not ready");
        assert_eq!(reqwest::get(format!("{base}/healthz")).await.expect("an answer").status(), 200, "{how}: but alive");
        let text =
            reqwest::get(format!("http://127.0.0.1:{metrics}/metrics")).await.expect("an answer").text().await.expect("text");
        let scrape = read(&text);
        assert_eq!(scrape.value("sceau_database_up"), 0.0, "{how}");
        assert!(!text.contains("sceau_oldest_unsealed_age"), "{how}: nothing old is shown as new");
        assert!(
            scrape.value("sceau_intake_refused_total{reason=\"away\"}")
                + scrape.sum("sceau_http_problems_total", &["unavailable"])
                >= 10.0
        );
        for (route, status) in
            [("/connexionKS", "200"), ("/connexionKS", "503"), ("/verification", "503"), ("/writeProof", "503")]
        {
            let labels = [&*format!("route=\"{route}\""), &*format!("status=\"{status}\"")];
            assert!(scrape.sum("sceau_http_requests_total", &labels) >= 1.0, "{how}: {labels:?} is counted");
        }

        if how == "stopped" {
            server_now = Some(server(&data, database).await);
        } else {
            pids.iter().for_each(|pid| process::signal(*pid, "CONT"));
        }
        let deadline = Instant::now() + Duration::from_secs(60);
        while ready().await != 200 {
            assert!(Instant::now() < deadline, "{how}: it does not come back:\n{}", instance.said());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let (status, _, body, _) = kage("/verification", &jwt).await;
        assert_eq!((status, &body["resultat"]), (200, &json!("Ce document n'est pas enregistré.")), "{how}: by itself");
        let (status, _, body, _) = submit(500_000 + number).await;
        assert_eq!(status, 201, "{how}: by itself: {body}");
        acknowledged.push(500_000 + number);
    }
    // All of a submission or nothing of it, and everything that was acknowledged.
    let ledger = Ledger::connect(&url, 2).expect("a URL");
    let stored: Vec<Vec<u8>> = {
        let mut connection = <sqlx::PgConnection as sqlx::Connection>::connect(&url).await.expect("a connection");
        sqlx::query_scalar("select digest from proofs").fetch_all(&mut connection).await.expect("proofs")
    };
    let has = |number: u64| stored.contains(&digest(number).as_ref().to_vec());
    for number in acknowledged {
        assert!(has(number) && has(1_000_000 + number), "{number} was acknowledged");
    }
    for number in [900_001, 900_002] {
        assert_eq!(has(number), has(1_000_000 + number), "{number} is half-done");
    }
    ledger.close().await;
    assert!(instance.stop().success(), "an orderly end:\n{}", instance.said());
    server_now.expect("a server").stop().await;
}

#[tokio::test]
async fn over_its_high_water_mark_the_pool_takes_nothing_until_it_is_sealed() {
    let service = start(false, |_| {}).await;
    let (_, token) = service.partner("a").await;
    service.submit(&token, &[digest(1), digest(2), digest(3)]).await;
    let keeping = tokio::spawn(service.ledger.clone().keep_gate(3));
    let body = |number| json!({ "proofs": [{ "digest": digest(number) }] });
    let until = async |full: bool| {
        let deadline = Instant::now() + Duration::from_secs(60);
        while service.ledger.gate().is_full() != full {
            assert!(Instant::now() < deadline, "the gate stays as it is");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    until(true).await;
    let refused = service.post("/v1/proofs", &token, &body(4)).await;
    assert_eq!(refused.headers()["retry-after"], "30");
    problem(refused, 503, "pool_full").await;
    assert_eq!((service.stored().await, service.ledger.gate().waiting()), (3, 3), "nothing of it was stored");
    assert_eq!(service.get(&format!("/v1/proofs/{}", digest(1)), &token).await.status(), 200, "reading goes on");
    service.seal().await;
    until(false).await;
    assert_eq!(service.post("/v1/proofs", &token, &body(4)).await.status(), 201);
    keeping.abort();
    assert_eq!(Digest::of(&4_u64.to_be_bytes()), digest(4));
}
