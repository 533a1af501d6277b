//! JSON-RPC 2.0 over HTTP, one request a connection turn.
//!
//! Why not alloy's own transport: the address of a hosted node carries its API key, and that transport writes the
//! whole address into spans and error texts; it also reads bodies of any length and does not compare response ids.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use alloy::primitives::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use crate::chain::ChainError;
use crate::chain::registry::RegistryError;

/// Longest answer read. A block of 2,000 transactions with all their fields stays below a quarter of it.
const MAX_BODY: usize = 32 * 1024 * 1024;

/// Longest text of a node that is passed on, in characters.
const MAX_TEXT: usize = 300;

/// One endpoint. Every call answers or fails within the time-out, body included.
pub(in crate::chain) struct Rpc {
    http: reqwest::Client,
    url: reqwest::Url,
    timeout: Duration,
    next_id: AtomicU64,
}

#[derive(Serialize)]
struct Request<P> {
    jsonrpc: &'static str,
    id: u64,
    method: &'static str,
    params: P,
}

#[derive(Deserialize)]
struct Response {
    #[serde(default)]
    id: Option<serde_json::Value>,
    /// `null` is an answer; a missing member is none.
    #[serde(default, deserialize_with = "present")]
    result: Option<Box<RawValue>>,
    #[serde(default)]
    error: Option<ErrorObject>,
}

#[derive(Deserialize)]
struct ErrorObject {
    code: i64,
    #[serde(default)]
    message: String,
    #[serde(default)]
    data: Option<serde_json::Value>,
}

fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::<RawValue>::deserialize(deserializer).map(Some)
}

impl Rpc {
    /// Prepares an endpoint; asks nothing yet.
    pub(in crate::chain) fn new(url: &str, timeout: Duration) -> Result<Self, ChainError> {
        // The parse error does not repeat the input.
        let url: reqwest::Url = url.parse().map_err(|e| ChainError::Unreachable(format!("not a URL: {e}")))?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(ChainError::Unreachable("not an http(s) URL".into()));
        }
        // The TLS library wants its cryptography named once a process; `main` does it, tests and tools may not have.
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            let _already = rustls::crypto::ring::default_provider().install_default();
        }
        let mut http = reqwest::Client::builder()
            .timeout(timeout)
            .connect_timeout(timeout)
            // A redirected POST would carry a transaction to somebody nobody configured.
            .redirect(reqwest::redirect::Policy::none());
        if is_loopback(&url) {
            http = http.no_proxy();
        }
        let http = http.build().map_err(|e| ChainError::Unreachable(format!("HTTP client: {e}")))?;
        Ok(Self { http, url, timeout, next_id: AtomicU64::new(1) })
    }

    /// Calls `method` and reads its result. `R = Option<_>` where the node may answer `null`.
    pub(in crate::chain) async fn call<R: DeserializeOwned>(
        &self,
        method: &'static str,
        params: impl Serialize + Send,
    ) -> Result<R, ChainError> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let request = serde_json::to_vec(&Request { jsonrpc: "2.0", id, method, params })
            .map_err(|e| ChainError::Garbage(format!("request of {method}: {e}")))?;
        let (status, body) = self.post(request).await?;
        let garbage = |what: String| ChainError::Garbage(format!("{method}: {what}"));

        let response = serde_json::from_slice::<Response>(&body);
        // Gateways send their own pages, and some wrap node errors into 4xx and 5xx: only a JSON-RPC error object
        // counts there, and "too many requests" never says anything about the call.
        if !status.is_success() && (status.as_u16() == 429 || !matches!(&response, Ok(Response { error: Some(_), .. }))) {
            return Err(ChainError::Unreachable(format!("HTTP {}", status.as_u16())));
        }
        let response = response.map_err(|e| garbage(format!("no JSON-RPC response: {}", place(&e))))?;
        if let Some(error) = response.error {
            return Err(self.refused(method, error));
        }
        if response.id != Some(id.into()) {
            return Err(garbage("response to another request".into()));
        }
        let result = response.result.ok_or_else(|| garbage("neither result nor error".into()))?;
        serde_json::from_str(result.get()).map_err(|e| garbage(self.text(&e.to_string())))
    }

    async fn post(&self, request: Vec<u8>) -> Result<(reqwest::StatusCode, Vec<u8>), ChainError> {
        let post = self.http.post(self.url.clone()).header("content-type", "application/json").body(request);
        let mut response = post.send().await.map_err(|e| self.unreachable(e))?;
        let status = response.status();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|e| self.unreachable(e))? {
            if body.len() + chunk.len() > MAX_BODY {
                return Err(ChainError::Garbage(format!("answer longer than {MAX_BODY} bytes")));
            }
            body.extend_from_slice(&chunk);
        }
        Ok((status, body))
    }

    fn unreachable(&self, error: reqwest::Error) -> ChainError {
        if error.is_timeout() {
            return ChainError::Unreachable(format!("no answer within {:?}", self.timeout));
        }
        let error = error.without_url();
        // The outer text says "error sending request"; the innermost says why.
        let mut cause: &dyn std::error::Error = &error;
        while let Some(inner) = cause.source() {
            cause = inner;
        }
        ChainError::Unreachable(self.text(&cause.to_string()))
    }

    fn refused(&self, method: &'static str, error: ErrorObject) -> ChainError {
        let mut message = self.text(&error.message);
        if is_throttling(error.code, &message) {
            return ChainError::Unreachable(message);
        }
        // Revert data comes as a hex string (geth, anvil) or behind a word (`Reverted 0x…`, nethermind).
        let data = error.data.as_ref().and_then(serde_json::Value::as_str).and_then(|s| s.split(' ').next_back());
        if let Some(revert) = data.and_then(|s| s.parse::<Bytes>().ok()).filter(|d| d.len() >= 4) {
            message = format!("{message}: {}", RegistryError::decode(&revert));
        }
        ChainError::Refused { method, code: error.code, message }
    }

    /// A node's text fit for logs: bounded, without control characters, and without the secrets of our own address
    /// (gateways like to repeat it).
    fn text(&self, said: &str) -> String {
        let mut text: String = said.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        for secret in secrets(&self.url) {
            text = text.replace(secret, "…");
        }
        if let Some((cut, _)) = text.char_indices().nth(MAX_TEXT) {
            text.truncate(cut);
        }
        text
    }
}

impl fmt::Debug for Rpc {
    /// Scheme, host and port: the rest of the address may be a key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Rpc").field(&self.url.origin().ascii_serialization()).finish()
    }
}

/// Parts of an address that may be an API key: password, long path segments, query values.
fn secrets(url: &reqwest::Url) -> impl Iterator<Item = &str> {
    let path = url.path().split('/').filter(|s| s.len() >= 8);
    let query = url.query().unwrap_or_default().split('&').filter_map(|p| p.split('=').next_back());
    path.chain(query.filter(|s| s.len() >= 8)).chain(url.password().filter(|s| !s.is_empty()))
}

fn is_loopback(url: &reqwest::Url) -> bool {
    match url.host_str() {
        Some("localhost" | "[::1]") => true,
        Some(host) => host.parse::<std::net::Ipv4Addr>().is_ok_and(|ip| ip.is_loopback()),
        None => false,
    }
}

/// Whether an error object means "ask later" and not "no". The codes overlap between vendors (−32005 is a rate limit
/// at one and the block gas limit at another), so the words decide.
fn is_throttling(code: i64, message: &str) -> bool {
    const WORDS: [&str; 5] = ["rate limit", "too many requests", "request limit", "rate exceeded", "compute units"];
    let message = message.to_lowercase();
    code == 429 || WORDS.iter().any(|w| message.contains(w))
}

/// Where JSON stopped making sense, without repeating it.
fn place(error: &serde_json::Error) -> String {
    format!("{:?} error at line {} column {}", error.classify(), error.line(), error.column())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rpc(url: &str) -> Rpc {
        Rpc::new(url, Duration::from_secs(1)).expect("a URL")
    }

    #[test]
    fn keys_in_the_address_are_never_shown() {
        let rpc = rpc("https://user:hunter22@node.example/v3/0123456789abcdef?apikey=fedcba9876543210");
        let said = rpc.text("bad key 0123456789abcdef or fedcba9876543210 (hunter22)\n");
        assert_eq!(said, "bad key … or … (…) ");
        let shown = format!("{rpc:?}");
        assert_eq!(shown, r#"Rpc("https://node.example")"#);
        let error = Rpc::new("0123456789abcdef", Duration::from_secs(1)).expect_err("refused").to_string();
        assert!(!error.contains("0123456789"), "{error}");
        assert!(Rpc::new("file:///etc/passwd", Duration::from_secs(1)).is_err());
    }

    #[test]
    fn errors_of_the_http_client_lose_the_address() {
        use reqwest::ResponseBuilderExt;
        let url: reqwest::Url = "http://127.0.0.1:1/short".parse().expect("a URL");
        let response = axum::http::Response::builder().status(500).url(url).body("").expect("a response");
        // An error without an inner one: its own text holds the address.
        let error = reqwest::Response::from(response).error_for_status().expect_err("an error");
        assert!(error.to_string().contains("short"), "{error}");
        let shown = rpc("http://127.0.0.1:1/short").unreachable(error).to_string();
        assert!(!shown.contains("short"), "{shown}");
    }

    #[test]
    fn long_texts_are_cut() {
        assert_eq!(rpc("http://127.0.0.1:1").text(&"é".repeat(1000)).chars().count(), MAX_TEXT);
    }

    #[test]
    fn throttling_is_told_from_refusal() {
        assert!(is_throttling(429, "x"));
        assert!(is_throttling(-32005, "project ID request rate exceeded"));
        assert!(is_throttling(-32007, "50/second request limit reached"));
        assert!(!is_throttling(-32005, "Transaction gas limit exceeds block gas limit"));
        assert!(!is_throttling(-32000, "nonce too low"));
    }

    #[test]
    fn null_is_a_result_and_absence_is_not() {
        let read = |s| serde_json::from_str::<Response>(s).expect("read");
        assert!(read(r#"{"jsonrpc":"2.0","id":1,"result":null}"#).result.is_some());
        assert!(read(r#"{"jsonrpc":"2.0","id":1}"#).result.is_none());
        assert!(read(r#"{"id":1,"error":null,"result":1}"#).error.is_none());
    }

    #[test]
    fn revert_data_is_put_into_words() {
        use crate::chain::registry::AnchorRegistry;
        use alloy::sol_types::SolError;
        let data = Bytes::from(AnchorRegistry::ZeroRoot {}.abi_encode()).to_string();
        for data in [data.clone(), format!("Reverted {data}")] {
            let error = ErrorObject { code: 3, message: "execution reverted".into(), data: Some(data.into()) };
            let told = rpc("http://127.0.0.1:1").refused("eth_call", error).to_string();
            assert!(told.contains("the all-zero root cannot be anchored"), "{told}");
        }
    }
}
