//! A receiver of webhooks on raw sockets, which does what it is told, and checks what it gets by code of its own.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What it does with one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// 204.
    Take,
    /// Another status.
    Status(u16),
    /// 302 to there.
    Redirect(String),
    /// 204, after so many milliseconds.
    Late(u64),
    /// Nothing, for longer than anybody waits; the event was read.
    Slow,
    /// Hangs up after the request, without a word.
    Close,
    /// Hangs up in the middle of the head of its answer.
    CloseInHead,
    /// Says 200 and a long body, and hangs up in the middle of it.
    CloseInBody,
    /// Resets the connection before anything is read.
    Refuse,
    /// Answers with a body that never ends.
    Endless,
}

/// One request that came.
#[derive(Debug, Clone)]
pub struct Got {
    pub body: Value,
    pub id: String,
    pub timestamp: i64,
    pub signatures: Vec<String>,
    pub raw: Vec<u8>,
    pub did: Act,
}

#[derive(Debug, Default)]
struct Script {
    acts: VecDeque<Act>,
    got: Vec<Got>,
}

#[derive(Debug, Clone)]
pub struct Receiver {
    pub address: SocketAddr,
    script: Arc<Mutex<Script>>,
    serving: Arc<Mutex<Option<tokio::task::JoinHandle<()>>>>,
}

impl Receiver {
    /// Does `acts` one after the other, then takes everything.
    pub async fn new(acts: impl IntoIterator<Item = Act>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let script = Arc::new(Mutex::new(Script { acts: acts.into_iter().collect(), got: Vec::new() }));
        let receiver = Self { address, script, serving: Default::default() };
        receiver.serve(listener);
        receiver
    }

    fn serve(&self, listener: TcpListener) {
        let script = Arc::clone(&self.script);
        let task = tokio::spawn(async move {
            let mut open = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                open.spawn(serve(stream, Arc::clone(&script)));
            }
        });
        *self.serving.lock().unwrap() = Some(task);
    }

    /// Nobody listens any more, and who is connected is cut off.
    pub async fn down(&self) {
        let task = self.serving.lock().unwrap().take().expect("up");
        task.abort();
        let _ = task.await;
    }

    pub async fn up(&self) {
        let listener = loop {
            if let Ok(listener) = TcpListener::bind(self.address).await {
                break listener;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        };
        self.serve(listener);
    }

    pub fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    pub fn got(&self) -> Vec<Got> {
        self.script.lock().unwrap().got.clone()
    }

    pub fn acts(&self, acts: impl IntoIterator<Item = Act>) {
        self.script.lock().unwrap().acts.extend(acts);
    }

    /// What it took, in order: places in the log.
    pub fn taken(&self) -> Vec<u64> {
        let taken = |got: &Got| matches!(got.did, Act::Take | Act::Late(_) | Act::CloseInBody | Act::Endless);
        self.got().iter().filter(|got| taken(got)).map(|got| got.body["seq"].as_u64().unwrap()).collect()
    }

    /// Waits until `done` says so.
    pub async fn until(&self, what: &str, done: impl Fn(&[Got]) -> bool) {
        for _ in 0..1_500 {
            if done(&self.got()) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("never: {what}: {:#?}", self.got());
    }
}

async fn serve(mut stream: TcpStream, script: Arc<Mutex<Script>>) {
    let mut bytes = Vec::new();
    loop {
        let next = script.lock().unwrap().acts.front().cloned();
        if next == Some(Act::Refuse) && bytes.is_empty() {
            // Only what begins to speak uses a planned act up.
            let mut one = [0; 1];
            if !matches!(stream.read(&mut one).await, Ok(1)) {
                return;
            }
            script.lock().unwrap().acts.pop_front();
            let _ = stream.set_zero_linger();
            return;
        }
        let Some((head, body, rest)) = request(&mut stream, std::mem::take(&mut bytes)).await else { return };
        bytes = rest;
        let field = |name: &str| {
            let lines = head.lines().filter_map(|line| line.split_once(": "));
            lines.filter(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned()).collect::<Vec<_>>()
        };
        let one = |name: &str| <[String; 1]>::try_from(field(name)).unwrap_or_else(|all| panic!("{name}: {all:?}"))[0].clone();
        let act = {
            let mut script = script.lock().unwrap();
            let act = script.acts.pop_front().unwrap_or(Act::Take);
            assert!(head.starts_with("POST /hook HTTP/1.1"), "{head}");
            assert_eq!(one("content-type"), "application/json");
            script.got.push(Got {
                body: serde_json::from_slice(&body).unwrap(),
                id: one("webhook-id"),
                timestamp: one("webhook-timestamp").parse().unwrap(),
                signatures: one("webhook-signature").split(' ').map(str::to_owned).collect(),
                raw: body,
                did: act.clone(),
            });
            act
        };
        let answer = match act {
            Act::Take | Act::Refuse => "HTTP/1.1 204 No Content\r\n\r\n".to_owned(),
            Act::Late(millis) => {
                tokio::time::sleep(Duration::from_millis(millis)).await;
                "HTTP/1.1 204 No Content\r\n\r\n".to_owned()
            }
            Act::Status(status) => format!("HTTP/1.1 {status} X\r\ncontent-length: 5\r\n\r\nsorry"),
            Act::Redirect(to) => format!("HTTP/1.1 302 Found\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n"),
            Act::Slow => {
                tokio::time::sleep(Duration::from_secs(60)).await;
                return;
            }
            Act::Close => return,
            Act::CloseInHead => {
                let _ = stream.write_all(b"HTTP/1.1 20").await;
                return;
            }
            Act::CloseInBody => {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4000\r\n\r\nhalf").await;
                return;
            }
            Act::Endless => {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
                while stream.write_all(&[b'x'; 4_096]).await.is_ok() {}
                return;
            }
        };
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn request(stream: &mut TcpStream, mut bytes: Vec<u8>) -> Option<(String, Vec<u8>, Vec<u8>)> {
    loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
            let length = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
            let whole = end + 4 + length.unwrap_or(0);
            if bytes.len() >= whole {
                return Some((head, bytes[end + 4..whole].to_vec(), bytes[whole..].to_vec()));
            }
        }
        let mut more = [0; 8_192];
        match stream.read(&mut more).await {
            Ok(count) if count > 0 => bytes.extend_from_slice(&more[..count]),
            _ => return None,
        }
    }
}

/// HMAC-SHA-256 by RFC 2104, written out: no code of the sender's.
pub fn signature(secret: &str, got: &Got) -> String {
    let key = STANDARD.decode(secret.strip_prefix("whsec_").expect("a prefix")).expect("base64");
    assert_eq!(key.len(), 32);
    let mut padded = [0; 64];
    padded[..32].copy_from_slice(&key);
    let content = [format!("{}.{}.", got.id, got.timestamp).as_bytes(), &got.raw].concat();
    let inner = Sha256::new().chain_update(padded.map(|byte| byte ^ 0x36)).chain_update(&content).finalize();
    let outer = Sha256::new().chain_update(padded.map(|byte| byte ^ 0x5c)).chain_update(inner).finalize();
    format!("v1,{}", STANDARD.encode(outer))
}
