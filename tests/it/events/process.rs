//! The real service, killed again and again, on a real chain: everything that became of a proof is told, and sent.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use sceau::ledger::proofs::Status;
use serde_json::{Value, json};

use super::receiver::{Act, Receiver, signature};
use crate::api::kit::digest;
use crate::support;
use crate::support::service::{Deployment, Instance, lasting_port};

struct Running {
    deployment: Deployment,
    instance: Instance,
    base: String,
    http: reqwest::Client,
}

impl Running {
    async fn start(url: &str) -> Self {
        let deployment = Deployment::new(url).await;
        let mut text = std::fs::read_to_string(&deployment.config).expect("settings");
        text.push_str("[webhooks]\nallow_plain = true\nallow_networks = [\"127.0.0.0/8\"]\n");
        std::fs::write(&deployment.config, text).expect("settings");
        let mut instance = Instance::start(&deployment.config, lasting_port());
        instance.ready().await;
        let base = format!("http://127.0.0.1:{}", instance.port);
        Self { deployment, instance, base, http: reqwest::Client::new() }
    }

    async fn token(&self) -> String {
        let (key, secret) = &self.deployment.credentials;
        let form = self.http.post(format!("{}/oauth2/token", self.base)).basic_auth(key, Some(secret));
        let form = form.header("content-type", "application/x-www-form-urlencoded").body("grant_type=client_credentials");
        let answer: Value = form.send().await.expect("an answer").json().await.expect("a token");
        answer["access_token"].as_str().expect("a token").to_owned()
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        let asked = self.http.post(format!("{}{path}", self.base)).bearer_auth(self.token().await).json(&body);
        asked.send().await.expect("an answer").json().await.expect("JSON")
    }

    async fn get(&self, path: &str) -> Value {
        let asked = self.http.get(format!("{}{path}", self.base)).bearer_auth(self.token().await);
        asked.send().await.expect("an answer").json().await.expect("JSON")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_killed_again_and_again_tells_everything() {
    let database = support::database().await;
    let mut running = Running::start(&database.url).await;
    let receiver = Receiver::new([Act::Status(500), Act::Close, Act::Take, Act::CloseInHead]).await;
    let made = running.post("/v1/webhooks", json!({ "url": receiver.url() })).await;
    let secret = made["secret"].as_str().expect("a secret").to_owned();
    let mut batches = std::collections::BTreeSet::new();
    for round in 0..6 {
        let answer = running.post("/v1/proofs", json!({ "proofs": [{ "digest": digest(round) }] })).await;
        batches.insert(answer["proofs"][0]["batch"].as_u64().expect("a batch"));
        tokio::time::sleep(Duration::from_millis(300 * round)).await;
        running.instance.kill_and_restart();
        running.instance.ready().await;
        // What a killed one had claimed is free after a while; nobody has to wait for that here.
        sqlx::query("update webhooks set claimed_until = null, next_at = clock_timestamp()")
            .execute(&database.pool)
            .await
            .expect("let go");
    }
    let newest = *batches.last().expect("some");
    running.deployment.settle(newest).await;
    let deadline = Instant::now() + Duration::from_secs(120);
    let log = loop {
        let log = running.get("/v1/events?limit=1000").await;
        let events = log["events"].as_array().expect("events").clone();
        let finals = events.iter().filter(|event| event["type"] == "proofs.final").count();
        let taken = receiver.taken();
        if finals == batches.len() && taken.last() == log["last"].as_u64().as_ref() {
            break events;
        }
        assert!(Instant::now() < deadline, "{finals} final, taken {taken:?}: {log}\n{}", running.instance.log());
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    for batch in batches {
        let told: Vec<&str> = log
            .iter()
            .filter(|event| event["data"]["batch"] == batch)
            .map(|event| event["data"]["status"].as_str().expect("a status"))
            .collect();
        assert_eq!((told[0], *told.last().expect("one")), ("sealed", Status::Final.as_str()), "{told:?}");
    }
    let mut taken = receiver.taken();
    assert!(taken.is_sorted(), "{taken:?}");
    taken.dedup();
    assert_eq!(taken, (1..=log.len() as u64).collect::<Vec<_>>());
    for got in receiver.got() {
        assert_eq!(got.signatures, [signature(&secret, &got)]);
    }
    running.instance.stop();
    running.deployment.audit().await;
}

/// Started by tests/webhooks/check, which installs the reference library.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the library standardwebhooks; see tests/webhooks/check"]
async fn the_reference_library_takes_what_is_sent() {
    let python = std::env::var("WEBHOOKS_PYTHON").expect("WEBHOOKS_PYTHON: a Python that has standardwebhooks");
    let database = support::database().await;
    let mut running = Running::start(&database.url).await;
    let receiver = Receiver::new([]).await;
    let made = running.post("/v1/webhooks", json!({ "url": receiver.url() })).await;
    let (id, old) = (made["id"].as_str().expect("an id"), made["secret"].as_str().expect("a secret").to_owned());
    running.post("/v1/proofs", json!({ "proofs": [{ "digest": digest(1), "file_name": "é.pdf" }] })).await;
    receiver.until("final", |got| got.iter().any(|got| got.body["type"] == "proofs.final")).await;
    let new = running.post(&format!("/v1/webhooks/{id}/secret"), json!({})).await["secret"].as_str().expect("one").to_owned();
    let before = receiver.got().len();
    running.post("/v1/proofs", json!({ "proofs": [{ "digest": digest(2) }] })).await;
    receiver.until("more", |got| got.len() >= before + 3).await;
    let mut judge = Command::new(python)
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/webhooks/judge.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python runs");
    let mut expected = Vec::new();
    let mut pipe = judge.stdin.take().expect("a pipe");
    for (place, got) in receiver.got().iter().enumerate() {
        let headers = json!({ "webhook-id": got.id, "webhook-timestamp": got.timestamp.to_string(), "webhook-signature": got.signatures.join(" ") });
        for (secret, good) in [(&old, true), (&new, place >= before)] {
            let line = json!({ "secret": secret, "headers": headers, "body": std::str::from_utf8(&got.raw).expect("UTF-8") });
            writeln!(pipe, "{line}").expect("written");
            expected.push(if good { "taken" } else { "refused" });
        }
        let line =
            json!({ "secret": old, "headers": headers, "body": format!("{} ", std::str::from_utf8(&got.raw).expect("UTF-8")) });
        writeln!(pipe, "{line}").expect("written");
        expected.push("refused");
    }
    drop(pipe);
    let said = judge.wait_with_output().expect("its words");
    assert!(said.status.success());
    assert_eq!(String::from_utf8(said.stdout).expect("text").lines().collect::<Vec<_>>(), expected);
    eprintln!("{} messages judged", expected.len());
    running.instance.stop();
}
