//! A service that speaks both dialects, and the client in Python.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Response, StatusCode};
use sceau::api::access::caller::Standings;
use sceau::api::access::secret::{Domain, Pepper, empreinte};
use sceau::api::kagesecur::jwt::Key;
use sceau::api::kagesecur::{Dialect, Options, router};
use sceau::api::listen::Listener;
use sceau::api::{Limits, State};
use sceau::config::{Http, Tls};
use sceau::ledger::accounts::Role;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::api::kit::{Account, Service, start};

/// Where links of the dialect lead.
pub const DIALECT_URL: &str = "https://kage.example:42000";
/// How long an `auth` is good, seconds.
pub const AUTH_LIFE: u64 = 7200;

/// Both dialects over one database and one clock.
pub struct Kage {
    pub service: Service,
    pub url: String,
    pub client: reqwest::Client,
    ca: PathBuf,
    files: tempfile::TempDir,
    _stop: tokio::sync::oneshot::Sender<()>,
}

/// Somebody with an identity, and the session of its client.
#[derive(Clone)]
pub struct Speaker {
    pub account: Account,
    pub identifiant: String,
    pub clef: String,
    pub empreinte: String,
}

/// How the client ended, and what was answered, byte for byte.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: i32,
    pub text: String,
}

impl Answer {
    #[track_caller]
    pub fn json(&self) -> Value {
        assert_eq!(self.status, 0, "{}", self.text);
        serde_json::from_str(&self.text).expect("JSON")
    }
}

pub async fn kage() -> Kage {
    with(|_| {}, 20).await
}

pub async fn with(change: impl FnOnce(&mut State), login_failures: u32) -> Kage {
    let mut shared = None;
    let service = start(false, |state| {
        // A busy machine must not turn a slow answer into another one.
        state.limits = Limits { answer: Duration::from_secs(60), commit: Duration::from_secs(50), ..Limits::default() };
        // Tests look right after what they did.
        state.standings = Arc::new(Standings::new(Duration::ZERO));
        change(state);
        shared = Some(state.clone());
    })
    .await;
    let options = Options {
        key: Key::from_bytes([9; 32]),
        public_url: DIALECT_URL.into(),
        nodes: vec!["seal.example".into(), "pair-2".into()],
        auth_life: Duration::from_secs(AUTH_LIFE),
        login_failures,
    };
    let dialect = Dialect::new(shared.expect("a state"), options);
    let files = tempfile::tempdir().expect("a folder");
    let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).expect("a certificate");
    let (cert, key) = (files.path().join("cert.pem"), files.path().join("key.pem"));
    std::fs::write(&cert, made.cert.pem()).expect("written");
    std::fs::write(&key, made.signing_key.serialize_pem()).expect("written");
    let client = reqwest::Client::builder()
        .tls_certs_only([reqwest::Certificate::from_pem(made.cert.pem().as_bytes()).expect("a certificate")])
        .build()
        .expect("a client");
    let tls = Some(Tls { cert: cert.clone(), key });
    let http = Http { listen: ([127, 0, 0, 1], 0).into(), public_url: DIALECT_URL.into(), tls, plain: false };
    let listener = Listener::bind(&http).await.expect("a socket");
    let url = format!("https://localhost:{}", listener.address().port());
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    tokio::spawn(listener.serve(router(dialect), async {
        let _ = stopped.await;
    }));
    Kage { service, url, client, ca: cert, files, _stop: stop }
}

impl Kage {
    /// An account that speaks the dialect under its name.
    pub async fn speaker(&self, name: &str, role: Role) -> Speaker {
        let account = self.service.account(name, role).await;
        self.identify(account, name, "clef très secrète").await
    }

    /// Gives an account an identity.
    pub async fn identify(&self, account: Account, identifiant: &str, clef: &str) -> Speaker {
        let empreinte = empreinte(identifiant, clef);
        let hash = Pepper::from_bytes([7; 32]).keyed(Domain::Empreinte, empreinte.as_bytes());
        self.service.ledger.set_identity(&account.name, identifiant, &hash).await.expect("an identity");
        Speaker { account, identifiant: identifiant.into(), clef: clef.into(), empreinte }
    }

    /// A file of the test.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.files.path().join("documents").join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(&path, content).expect("written");
        path.to_str().expect("UTF-8").into()
    }

    /// Runs the client for `speaker`, whose session it keeps.
    pub async fn run(&self, speaker: &Speaker, arguments: &[&str]) -> Answer {
        self.run_with(speaker, arguments, None).await
    }

    pub async fn run_with(&self, speaker: &Speaker, arguments: &[&str], input: Option<&Value>) -> Answer {
        let clef = self.file(&format!("{}.clef", speaker.identifiant), format!("{}\n", speaker.clef));
        let mut command = Command::new("python3");
        command
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/kagesecur/client.py"))
            .args(["--url", &self.url, "--identifiant", &speaker.identifiant, "--clef-file", &clef, "--ca"])
            .arg(&self.ca)
            .arg("--session")
            .arg(self.files.path().join(format!("{}.session", speaker.identifiant)))
            .args(arguments)
            .kill_on_drop(true)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("python3 starts");
        let mut stdin = child.stdin.take().expect("a pipe");
        if let Some(input) = input {
            stdin.write_all(input.to_string().as_bytes()).await.expect("written");
        }
        drop(stdin);
        let output = child.wait_with_output().await.expect("it ran");
        assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        Answer { status: output.status.code().expect("an exit status"), text: text.trim_end_matches('\n').into() }
    }

    /// A request as it is, without the client.
    pub async fn post(&self, path: &str, token: &str, body: &Value) -> Response {
        let request = self.client.post(format!("{}{path}", self.url)).header("authorization", format!("Bearer {token}"));
        request.body(body.to_string()).send().await.expect("an answer")
    }

    /// As [`Kage::post`], answered with 200.
    pub async fn ask(&self, path: &str, token: &str, body: &Value) -> Value {
        let answer = self.post(path, token, body).await;
        let (status, text) = (answer.status(), answer.text().await.expect("a body"));
        assert_eq!(status, StatusCode::OK, "{text}");
        serde_json::from_str(&text).expect("JSON")
    }

    /// A token of the speaker's.
    pub async fn login(&self, speaker: &Speaker) -> String {
        let answer = self.ask("/connexionKS", "noJwt", &speaker.named()).await;
        answer["jwt"].as_str().expect("a token").into()
    }

    pub async fn write(&self, speaker: &Speaker, token: &str, items: Value) -> Value {
        let mut body = speaker.named();
        body["allDatas"] = items;
        self.ask("/writeProof", token, &body).await
    }

    pub async fn verify(&self, speaker: &Speaker, token: &str, hash: &str) -> Value {
        let mut body = speaker.named();
        body["hash"] = hash.into();
        self.ask("/verification", token, &body).await
    }

    pub async fn count(&self, table: &str) -> i64 {
        let statement = sqlx::AssertSqlSafe(format!("select count(*) from {table}"));
        sqlx::query_scalar(statement).fetch_one(&self.service.database.pool).await.expect("counted")
    }
}

impl Speaker {
    /// What every body begins with.
    pub fn named(&self) -> Value {
        json!({ "empreinte": self.empreinte, "hashJwt": self.empreinte })
    }

    /// An item of `/writeProof`.
    pub fn item(&self, hash: &str, name: &str) -> Value {
        json!({ "empreinte": self.empreinte, "hash": hash, "fileName": name, "node": "localhost" })
    }
}

/// SHA-256 in hex.
pub fn sha256(data: impl AsRef<[u8]>) -> String {
    sceau_verifier::Digest::of(data.as_ref()).to_string()
}
