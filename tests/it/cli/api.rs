//! A small API on loopback that behaves like the real one, and on request badly.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use sceau_verifier::Digest;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

use crate::cli::command::Place;

pub const KEY: &str = "ck_test";
pub const SECRET: &str = "cs_very_secret";
/// `ck_test:cs_very_secret` as RFC 7617 wants it.
const BASIC: &str = "Basic Y2tfdGVzdDpjc192ZXJ5X3NlY3JldA==";
pub const ANCHOR_BY: &str = "2031-01-01T00:00:00Z";

/// One request as it came in.
#[derive(Debug, Clone)]
pub struct Seen {
    pub line: String,
    pub authorized: bool,
    pub body: Value,
}

/// What the API knows and does.
#[derive(Default)]
pub struct Model {
    /// Everything that was asked, in order.
    pub seen: Vec<Seen>,
    /// Batch of every digest; decided by [`Model::batch_of`].
    pub proofs: BTreeMap<String, u64>,
    /// Which batch takes the n-th new digest; 7 unless set.
    pub batch_of: Option<fn(usize) -> u64>,
    /// Answers of a batch, one a question; the last one stays.
    pub batches: BTreeMap<u64, VecDeque<Value>>,
    /// Answers to give instead, by the request line.
    pub instead: Vec<(&'static str, Answer)>,
    /// Connections to close at once.
    pub hang_up: usize,
    /// The number of the token that is valid; every new one is.
    pub token: usize,
    /// Receipts, by digest.
    pub receipts: BTreeMap<String, Vec<u8>>,
    /// Certificates by digest.
    pub certificates: BTreeMap<String, Vec<u8>>,
    /// Added to every proof that is looked up.
    pub proof_members: Value,
}

/// An answer made by a test.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub retry_after: Option<u64>,
    pub body: Value,
}

/// The API, running until dropped.
pub struct Api {
    address: SocketAddr,
    model: Arc<Mutex<Model>>,
    runtime: Option<Runtime>,
}

pub fn problem(status: u16, code: &str, retry_after: Option<u64>) -> Answer {
    let body = json!({
        "type": format!("https://sceau.example/problems/{code}"), "title": "The title", "status": status, "code": code,
        "detail": "The detail.", "request_id": "0123abcd",
    });
    Answer { status, retry_after, body }
}

impl Api {
    pub fn start() -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let model = Arc::new(Mutex::new(Model::default()));
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port");
        let address = listener.local_addr().expect("bound");
        runtime.spawn(axum::serve(Moody { listener, model: model.clone() }, router(model.clone())).into_future());
        Self { address, model, runtime: Some(runtime) }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn model(&self) -> MutexGuard<'_, Model> {
        self.model.lock().expect("not poisoned")
    }

    /// A folder whose environment points here.
    pub fn place(&self) -> Place {
        Place::new().with("SCEAU_API_URL", &self.url()).with("SCEAU_CONSUMER_KEY", KEY).with("SCEAU_CONSUMER_SECRET", SECRET)
    }

    /// How often such a line was asked.
    pub fn asked(&self, line: &str) -> usize {
        self.model().seen.iter().filter(|seen| seen.line == line).count()
    }

    /// The items of all submissions that were let in.
    pub fn items(&self) -> Vec<Value> {
        let seen = &self.model().seen;
        let submissions = seen.iter().filter(|seen| seen.line == "POST /v1/proofs" && seen.authorized);
        submissions.flat_map(|seen| seen.body["proofs"].as_array().expect("a list").clone()).collect()
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// The routes, for any listener.
pub fn router(model: Arc<Mutex<Model>>) -> Router {
    Router::new().fallback(handle).with_state(model)
}

/// Closes some connections before a byte is read.
struct Moody {
    listener: TcpListener,
    model: Arc<Mutex<Model>>,
}

impl axum::serve::Listener for Moody {
    type Io = TcpStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        loop {
            let Ok(accepted) = self.listener.accept().await else { continue };
            let mut model = self.model.lock().expect("not poisoned");
            if model.hang_up == 0 {
                return accepted;
            }
            model.hang_up -= 1;
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let media_type = if self.status >= 400 { "application/problem+json" } else { "application/json" };
        let mut response = (StatusCode::from_u16(self.status).expect("a status"), self.body.to_string()).into_response();
        response.headers_mut().insert(CONTENT_TYPE, media_type.parse().expect("a value"));
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
        if (300..400).contains(&self.status) {
            response.headers_mut().insert("location", "/elsewhere".parse().expect("a value"));
        }
        response
    }
}

fn ok(body: Value) -> Response {
    Answer { status: 200, retry_after: None, body }.into_response()
}

async fn handle(State(model): State<Arc<Mutex<Model>>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 8 << 20).await.expect("below the API's limit");
    let mut model = model.lock().expect("not poisoned");
    model.answer(&head.method, &head.uri, &head.headers, &body)
}

impl Model {
    fn answer(&mut self, method: &Method, uri: &Uri, headers: &HeaderMap, body: &Bytes) -> Response {
        let line = format!("{method} {uri}");
        let header = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let authorized = header(AUTHORIZATION) == format!("Bearer token-{}", self.token) && self.token > 0;
        let parsed = serde_json::from_slice(body).unwrap_or_default();
        self.seen.push(Seen { line: line.clone(), authorized, body: parsed });
        if let Some(at) = self.instead.iter().position(|(on, _)| *on == line) {
            return self.instead.remove(at).1.into_response();
        }
        let path: Vec<&str> = uri.path().trim_matches('/').split('/').collect();
        match (method, &*path) {
            (&Method::POST, ["oauth2", "token"]) => {
                let right = header(AUTHORIZATION) == BASIC
                    && header(CONTENT_TYPE) == "application/x-www-form-urlencoded"
                    && body == "grant_type=client_credentials";
                if !right {
                    let body =
                        json!({ "error": "invalid_client", "error_description": "unknown key, wrong secret, or disabled" });
                    return Answer { status: 401, retry_after: None, body }.into_response();
                }
                self.token += 1;
                ok(json!({ "access_token": format!("token-{}", self.token), "token_type": "Bearer", "expires_in": 600 }))
            }
            (&Method::GET, ["v1", "batches", number]) => self.batch(number.parse().expect("a number")),
            _ if !authorized => problem(401, "token_expired", None).into_response(),
            (&Method::POST, ["v1", "proofs"]) => self.submit(header(CONTENT_TYPE)),
            (&Method::GET, ["v1", "proofs", digest]) => self.proof(digest),
            (&Method::GET, ["v1", "proofs", digest, "receipt"]) => self.receipt(digest),
            (&Method::GET, ["v1", "proofs", digest, "certificate"]) => match self.certificates.get(*digest) {
                Some(bytes) => ([(CONTENT_TYPE, "application/pdf")], bytes.clone()).into_response(),
                None => problem(404, "proof_unknown", None).into_response(),
            },
            _ => problem(404, "not_found", None).into_response(),
        }
    }

    fn submit(&mut self, media_type: &str) -> Response {
        assert_eq!(media_type, "application/json");
        let items = self.seen.last().expect("this one").body["proofs"].as_array().expect("a list").clone();
        assert!((1..=10_000).contains(&items.len()));
        let mut created = false;
        let answers: Vec<Value> = items
            .iter()
            .map(|item| {
                let digest = item["digest"].as_str().expect("a digest").to_owned();
                let place = self.proofs.len();
                let new = !self.proofs.contains_key(&digest);
                created |= new;
                let batch = *self.proofs.entry(digest.clone()).or_insert_with(|| self.batch_of.map_or(7, |of| of(place)));
                json!({ "digest": digest, "status": "pending", "batch": batch, "created": new, "salt": "00".repeat(16),
                        "received_at": "2030-12-31T00:00:00Z", "anchor_by": ANCHOR_BY })
            })
            .collect();
        Answer { status: if created { 201 } else { 200 }, retry_after: None, body: json!({ "proofs": answers }) }.into_response()
    }

    fn batch(&mut self, number: u64) -> Response {
        match self.batches.get_mut(&number) {
            None => problem(404, "batch_unknown", None).into_response(),
            Some(answers) if answers.len() > 1 => ok(answers.pop_front().expect("several")),
            Some(answers) => ok(answers.front().expect("one at least").clone()),
        }
    }

    fn proof(&self, digest: &str) -> Response {
        let Some(batch) = self.proofs.get(digest) else { return problem(404, "proof_unknown", None).into_response() };
        let mut body = json!({ "digest": digest, "status": "pending", "batch": batch, "anchor_by": ANCHOR_BY, "overdue": false });
        if let (Value::Object(body), Value::Object(more)) = (&mut body, &self.proof_members) {
            body.extend(more.clone());
        }
        ok(body)
    }

    fn receipt(&self, digest: &str) -> Response {
        let Some(bytes) = self.receipts.get(digest) else {
            let mut not_ready = problem(409, "receipt_not_ready", Some(42));
            not_ready.body["anchor_by"] = ANCHOR_BY.into();
            return not_ready.into_response();
        };
        ([(CONTENT_TYPE, "application/json")], bytes.clone()).into_response()
    }
}

/// A batch as the API shows it.
pub fn batch(number: u64, state: &str, anchors: &[&str]) -> Value {
    let anchors: Vec<Value> = anchors.iter().map(|state| json!({ "state": state, "registry": "0x00" })).collect();
    json!({ "number": number, "state": state, "anchors": anchors })
}

/// SHA-256 in hex.
pub fn digest(content: &str) -> String {
    Digest::of(content.as_bytes()).to_string()
}
