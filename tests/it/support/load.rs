//! Clients that submit and remember what they were told.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use sceau_verifier::Digest;
use serde_json::{Value, json};

use super::service::Deployment;

/// What a client was told.
pub struct Acknowledged {
    pub digest: Digest,
    pub salt: String,
    pub batch: u64,
}

impl Acknowledged {
    /// From one item of the service's answer.
    pub fn read(proof: &Value) -> Self {
        Self {
            digest: proof["digest"].as_str().expect("a digest").parse().expect("a digest"),
            salt: proof["salt"].as_str().expect("a salt").to_owned(),
            batch: proof["batch"].as_u64().expect("a batch"),
        }
    }
}

/// What clients share.
#[derive(Debug, Default)]
pub struct Load {
    pub stop: AtomicBool,
    /// Digests acknowledged so far.
    pub acknowledged: AtomicU64,
    /// Answers that told a client not to try again.
    pub refused: AtomicU64,
}

/// Submits until told to stop, to one of `ports` after the other as they fail; keeps what was acknowledged. Whatever
/// fails is simply not acknowledged.
pub async fn client(number: u64, ports: Vec<u16>, credentials: (String, String), load: Arc<Load>) -> Vec<Acknowledged> {
    let http = reqwest::Client::builder().timeout(Duration::from_secs(10)).build().expect("a client");
    let (mut kept, mut token, mut round, mut which) = (Vec::new(), None::<String>, 0_u64, number as usize);
    while !load.stop.load(Ordering::Relaxed) {
        let base = format!("http://127.0.0.1:{}", ports[which % ports.len()]);
        let Some(bearer) = &token else {
            let asked = http.post(format!("{base}/oauth2/token")).basic_auth(&credentials.0, Some(&credentials.1));
            match asked
                .header("content-type", "application/x-www-form-urlencoded")
                .body("grant_type=client_credentials")
                .send()
                .await
            {
                Ok(answer) if answer.status().is_success() => {
                    let answer: Value = answer.json().await.unwrap_or_default();
                    token = answer["access_token"].as_str().map(str::to_owned);
                }
                _ => {
                    which += 1;
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
            continue;
        };
        round += 1;
        let digests: Vec<Digest> =
            (0..=round % 7).map(|n| Digest::of(&[number, round, n].map(u64::to_be_bytes).concat())).collect();
        let items: Vec<Value> = digests.iter().map(|digest| json!({ "digest": digest, "file_name": "a" })).collect();
        let sent = http.post(format!("{base}/v1/proofs")).bearer_auth(bearer).json(&json!({ "proofs": items })).send().await;
        let Ok(answer) = sent else {
            which += 1;
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        let status = answer.status();
        if status == 401 {
            // The token's time is over.
            token = None;
            continue;
        }
        if !status.is_success() {
            assert!(status.is_server_error(), "{status}");
            if !answer.headers().contains_key("retry-after") {
                load.refused.fetch_add(1, Ordering::Relaxed);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        }
        // A body cut off by a kill acknowledges nothing.
        let Ok(answer) = answer.json::<Value>().await else { continue };
        for (digest, proof) in digests.into_iter().zip(answer["proofs"].as_array().expect("proofs")) {
            kept.push(Acknowledged::read(proof));
            assert_eq!(kept.last().map(|one| one.digest), Some(digest));
            load.acknowledged.fetch_add(1, Ordering::Relaxed);
        }
    }
    kept
}

/// `count` clients on these ports.
pub fn clients(
    count: u64,
    ports: &[u16],
    deployment: &Deployment,
    load: &Arc<Load>,
) -> Vec<tokio::task::JoinHandle<Vec<Acknowledged>>> {
    let start = |number| client(number, ports.to_vec(), deployment.credentials.clone(), Arc::clone(load));
    (0..count).map(|number| tokio::spawn(start(number))).collect()
}

/// Stops the clients and collects what they were told.
pub async fn collect(load: &Load, clients: Vec<tokio::task::JoinHandle<Vec<Acknowledged>>>) -> Vec<Acknowledged> {
    load.stop.store(true, Ordering::Relaxed);
    let mut acknowledged = Vec::new();
    for client in clients {
        acknowledged.extend(client.await.expect("a client"));
    }
    acknowledged
}

/// One partner with a token, for single questions.
pub struct Partner {
    http: reqwest::Client,
    base: String,
    pub token: String,
}

impl Partner {
    pub async fn new(port: u16, credentials: &(String, String)) -> Self {
        Self::try_new(port, credentials).await.expect("a token")
    }

    /// `None` when nobody gives a token.
    pub async fn try_new(port: u16, credentials: &(String, String)) -> Option<Self> {
        let http = reqwest::Client::builder().timeout(Duration::from_secs(30)).build().expect("a client");
        let base = format!("http://127.0.0.1:{port}");
        let asked = http.post(format!("{base}/oauth2/token")).basic_auth(&credentials.0, Some(&credentials.1));
        let answer = asked
            .header("content-type", "application/x-www-form-urlencoded")
            .body("grant_type=client_credentials")
            .send()
            .await
            .ok()?;
        let token = answer.json::<Value>().await.ok()?["access_token"].as_str()?.to_owned();
        Some(Self { http, base, token })
    }

    /// Submits one document; answers status and body.
    pub async fn submit(&self, document: &str) -> (u16, Value) {
        self.try_submit(document).await.expect("an answer")
    }

    /// `None` when there is no answer, or none to its end.
    pub async fn try_submit(&self, document: &str) -> Option<(u16, Value)> {
        self.send(json!({ "proofs": [{ "digest": Digest::of(document.as_bytes()) }] })).await
    }

    /// Submits several with something to say about each.
    pub async fn submit_many(&self, documents: &[String], reference: &str) -> (u16, Value) {
        let items: Vec<Value> = documents
            .iter()
            .map(|document| json!({ "digest": Digest::of(document.as_bytes()), "reference": reference }))
            .collect();
        self.send(json!({ "proofs": items })).await.expect("an answer")
    }

    /// What the service says of a digest: status and body.
    pub async fn proof(&self, digest: &Digest) -> (u16, Value) {
        let asked = self.http.get(format!("{}/v1/proofs/{digest}", self.base)).bearer_auth(&self.token).send().await;
        let answer = asked.expect("an answer");
        (answer.status().as_u16(), answer.json().await.expect("JSON"))
    }

    async fn send(&self, body: Value) -> Option<(u16, Value)> {
        let sent = self.http.post(format!("{}/v1/proofs", self.base)).bearer_auth(&self.token).json(&body).send().await;
        let answer = sent.ok()?;
        Some((answer.status().as_u16(), answer.json().await.ok()?))
    }
}
