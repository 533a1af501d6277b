//! A service of one test: its database, its clock, its listener.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use reqwest::{Method, Response, StatusCode};
use sceau::api::access::caller::Standings;
use sceau::api::access::secret::{Pepper, generate};
use sceau::api::access::token::Tokens;
use sceau::api::listen::{Crowd, Listener};
use sceau::api::open::overview::Overview;
use sceau::api::{Deadline, State, core_router, router};
use sceau::config::{Http, Tls};
use sceau::ledger::Ledger;
use sceau::ledger::accounts::{AccountId, Role};
use sceau::ledger::intake::{Intake, Limits};
use sceau::pipeline::schedule::Schedule;
use sceau::pipeline::seal::Sealer;
use sceau::ports::{Clock, Ports, SystemClock, SystemEntropy};
use sceau_verifier::Digest;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use time::OffsetDateTime;
use tokio::task::{JoinHandle, JoinSet};
use uuid::Uuid;

use crate::support::{Database, crypto, database};

/// RFC 8410 §10.3.
pub const TOKEN_KEY: &str =
    "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE KEY-----\n";
/// What links and tokens name.
pub const PUBLIC_URL: &str = "https://proofs.example";
/// Life of a token, seconds.
pub const LIFE: u64 = 600;

/// The system's clock, moved.
#[derive(Debug, Default)]
pub struct MovedClock(AtomicI64);

impl MovedClock {
    pub fn advance(&self, seconds: i64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }
}

impl Clock for MovedClock {
    fn now(&self) -> OffsetDateTime {
        SystemClock.now() + time::Duration::seconds(self.0.load(Ordering::SeqCst))
    }
}

pub struct Service {
    pub database: Arc<Database>,
    pub ledger: Ledger,
    pub clock: Arc<MovedClock>,
    pub base: String,
    pub client: reqwest::Client,
    pub address: std::net::SocketAddr,
    pub lanes: JoinSet<()>,
    pub stop: Option<tokio::sync::oneshot::Sender<()>>,
    pub served: JoinHandle<anyhow::Result<()>>,
    _files: tempfile::TempDir,
}

/// Serves plain HTTP.
pub async fn service() -> Service {
    start(false, |_| {}).await
}

/// Serves as told.
pub async fn start(tls: bool, change: impl FnOnce(&mut State)) -> Service {
    crowded(tls, Crowd::default(), change).await
}

/// Serves as told, with so many connections.
pub async fn crowded(tls: bool, crowd: Crowd, change: impl FnOnce(&mut State)) -> Service {
    instance(tls, crowd, Arc::new(database().await), Arc::default(), router, change).await
}

async fn instance(
    tls: bool,
    crowd: Crowd,
    database: Arc<Database>,
    clock: Arc<MovedClock>,
    routes: fn(State) -> axum::Router,
    change: impl FnOnce(&mut State),
) -> Service {
    crypto();
    // What a failed test's log says: the causes that answers do not tell.
    let _ = tracing_subscriber::fmt().with_max_level(tracing::Level::WARN).with_test_writer().try_init();
    let ledger = Ledger::connect(&database.url, 8).unwrap();
    let ports = Ports { clock: clock.clone(), entropy: Arc::new(SystemEntropy) };
    let schedule = Schedule::parse("0 * * * * *").unwrap();
    let deadline = Deadline::new(move |moment| schedule.next_after(moment), Duration::from_secs(1800));
    let terms = deadline.clone();
    let ledger = ledger.promising(move |moment| terms.around(moment), clock.clone());
    let (intake, lanes) = Intake::start(&ledger, &ports.entropy, Limits::default());
    let tokens = Tokens::from_pem(TOKEN_KEY.as_bytes(), PUBLIC_URL, LIFE).unwrap();
    let mut state = State::new(ledger.clone(), intake, ports, tokens, Pepper::from_bytes([7; 32]), deadline, PUBLIC_URL);
    // Tests look right after what they did.
    state.overview = Arc::new(Overview::new(ledger.clone(), state.deadline.clone(), Duration::ZERO));
    change(&mut state);

    let files = tempfile::tempdir().unwrap();
    let mut client = reqwest::Client::builder();
    let tls = tls.then(|| {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
        let (cert, key) = (files.path().join("cert.pem"), files.path().join("key.pem"));
        std::fs::write(&cert, made.cert.pem()).unwrap();
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        client = reqwest::Client::builder().tls_certs_only([reqwest::Certificate::from_pem(made.cert.pem().as_bytes()).unwrap()]);
        Tls { cert, key }
    });
    let scheme = if tls.is_some() { "https" } else { "http" };
    let plain = tls.is_none();
    let listener =
        Listener::bind(&Http { listen: ([127, 0, 0, 1], 0).into(), public_url: PUBLIC_URL.into(), tls, plain }).await.unwrap();
    let listener = listener.bounded(crowd);
    let address = listener.address();
    let (stop, stopped) = tokio::sync::oneshot::channel();
    let served = tokio::spawn(listener.serve(routes(state), async {
        let _ = stopped.await;
    }));
    Service {
        database,
        ledger,
        clock,
        base: format!("{scheme}://localhost:{}", address.port()),
        client: client.build().unwrap(),
        address,
        lanes,
        stop: Some(stop),
        served,
        _files: files,
    }
}

/// A service that asks the database about a credential at every request.
pub async fn forgetful() -> Service {
    start(false, |state| state.standings = Arc::new(Standings::new(Duration::ZERO))).await
}

/// The managers' listener beside a service, which asks the database about a credential at every request.
pub async fn core_of(service: &Service, change: impl FnOnce(&mut State)) -> Service {
    let (database, clock) = (Arc::clone(&service.database), Arc::clone(&service.clock));
    instance(false, Crowd::default(), database, clock, core_router, |state| {
        state.standings = Arc::new(Standings::new(Duration::ZERO));
        change(state);
    })
    .await
}

/// An account with its credential.
#[derive(Clone)]
pub struct Account {
    pub id: AccountId,
    pub name: String,
    pub key: String,
    pub secret: String,
}

impl Service {
    /// Another instance on the same database, with the same clock.
    pub async fn twin(&self, change: impl FnOnce(&mut State)) -> Service {
        instance(false, Crowd::default(), Arc::clone(&self.database), Arc::clone(&self.clock), router, change).await
    }

    pub async fn account(&self, name: &str, role: Role) -> Account {
        let made = generate(&SystemEntropy);
        let hash = Pepper::from_bytes([7; 32]).hash(made.secret.expose_secret());
        let id = self.ledger.create_account(name, role, &made.key, hash).await.unwrap();
        Account { id, name: name.into(), key: made.key, secret: made.secret.expose_secret().into() }
    }

    /// Asks for a token with a form, authenticating by the form.
    pub async fn token(&self, account: &Account) -> String {
        let form = format!("grant_type=client_credentials&client_id={}&client_secret={}", account.key, account.secret);
        let answer = self.post_form("/oauth2/token", &form).await;
        assert_eq!(answer.status(), StatusCode::OK);
        answer.json::<Value>().await.unwrap()["access_token"].as_str().unwrap().into()
    }

    pub async fn partner(&self, name: &str) -> (Account, String) {
        let account = self.account(name, Role::Partner).await;
        let token = self.token(&account).await;
        (account, token)
    }

    pub async fn post_form(&self, path: &str, form: &str) -> Response {
        self.client
            .post(format!("{}{path}", self.base))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form.to_owned())
            .send()
            .await
            .unwrap()
    }

    pub async fn get(&self, path: &str, token: &str) -> Response {
        self.send(Method::GET, path, token, None).await
    }

    pub async fn post(&self, path: &str, token: &str, body: &Value) -> Response {
        self.send(Method::POST, path, token, Some(body.to_string())).await
    }

    pub async fn send(&self, method: Method, path: &str, token: &str, body: Option<String>) -> Response {
        let mut request = self.client.request(method, format!("{}{path}", self.base));
        if !token.is_empty() {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body);
        }
        request.send().await.unwrap()
    }

    /// Submits digests and expects them to be accepted.
    pub async fn submit(&self, token: &str, digests: &[Digest]) -> Vec<Value> {
        let proofs: Vec<Value> = digests.iter().map(|digest| json!({ "digest": digest })).collect();
        let answer = self.post("/v1/proofs", token, &json!({ "proofs": proofs })).await;
        assert!(answer.status().is_success(), "{:?}", answer.text().await);
        answer.json::<Value>().await.unwrap()["proofs"].as_array().unwrap().clone()
    }

    /// Seals what is in the pool; answers the batch's number.
    pub async fn seal(&self) -> u64 {
        let sealer = Sealer {
            ledger: self.ledger.clone(),
            origin: "test".into(),
            schedule: Schedule::parse("0 * * * * *").unwrap(),
            threshold: 1,
            holder: Uuid::from_u128(1),
        };
        sealer.seal_now().await.unwrap().expect("something to seal")
    }

    /// Rows in the table of proofs.
    pub async fn stored(&self) -> i64 {
        sqlx::query_scalar("select count(*) from proofs").fetch_one(&self.database.pool).await.unwrap()
    }
}

/// Expects a problem and answers its body. Checks what every problem has.
pub async fn problem(answer: Response, status: u16, code: &str) -> Value {
    let headers = answer.headers().clone();
    let (found, text) = (answer.status(), answer.text().await.unwrap());
    assert_eq!(found.as_u16(), status, "{text}");
    assert_eq!(headers["content-type"], "application/problem+json", "{text}");
    assert_eq!(headers["x-content-type-options"], "nosniff");
    let body: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(body["code"], code, "{text}");
    assert_eq!(body["status"], status, "{text}");
    assert_eq!(body["type"], format!("{PUBLIC_URL}/problems/{code}"));
    assert!(body["title"].is_string() && body["detail"].is_string(), "{text}");
    let id = body["request_id"].as_str().unwrap();
    assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
    assert_eq!(headers["x-request-id"], id);
    body
}

pub fn digest(number: u64) -> Digest {
    Digest::of(&number.to_be_bytes())
}
