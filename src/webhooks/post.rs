//! One message, sent once.

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use reqwest::header::CONTENT_TYPE;
use reqwest::redirect::Policy;

use super::address::{Allowed, Guarded, Lookup, Refused};
use crate::ledger::notices::Outcome;

/// Bytes of an answer's body that are read: for the history, and for nothing else.
const MAX_ANSWER: usize = 1024;

/// The status decides; its body has this long to come.
const BODY: Duration = Duration::from_secs(2);

/// Status of an endpoint that wants no more messages.
pub const GONE: u16 = 410;

/// Sends messages: to allowed addresses only, by no proxy, and never where a redirect leads.
#[derive(Debug)]
pub struct Post {
    http: reqwest::Client,
    allowed: Arc<Allowed>,
    timeout: Duration,
}

/// A message ready to go.
#[derive(Debug)]
pub struct Message<'a> {
    /// Where to.
    pub url: &'a str,
    /// Names the event.
    pub id: &'a str,
    /// When this try was made, seconds since 1970.
    pub timestamp: i64,
    /// Signatures, separated by spaces.
    pub signature: &'a str,
    /// JSON.
    pub body: Vec<u8>,
}

impl Post {
    /// A client that gives up after `timeout`.
    ///
    /// # Errors
    /// When there are no certificates to trust.
    pub fn new(allowed: Arc<Allowed>, lookup: Arc<dyn Lookup>, timeout: Duration) -> anyhow::Result<Self> {
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            let _already = rustls::crypto::ring::default_provider().install_default();
        }
        let http = reqwest::Client::builder()
            .user_agent(concat!("sceau/", env!("CARGO_PKG_VERSION")))
            .https_only(!allowed.plain)
            .redirect(Policy::none())
            .no_proxy()
            .referer(false)
            .timeout(timeout)
            .connect_timeout(timeout)
            // An endpoint that is asked now and then closes meanwhile, and what is sent into that is sent in vain.
            .pool_idle_timeout(Duration::from_secs(10))
            .pool_max_idle_per_host(4)
            .dns_resolver(Guarded { lookup, allowed: Arc::clone(&allowed) })
            .build()
            .map_err(|error| anyhow::anyhow!("HTTP client of webhooks: {error}"))?;
        Ok(Self { http, allowed, timeout })
    }

    /// Sends it. Anything but a status of 2xx counts as not taken.
    pub async fn send(&self, message: Message<'_>) -> Outcome {
        let begun = Instant::now();
        let done = self.exchange(message);
        let (status, error, answer) = match tokio::time::timeout(self.timeout, done).await {
            Ok(Ok((status, answer))) => (Some(status), reason(status), answer),
            Ok(Err(word)) => (None, Some(word), None),
            Err(_) => (None, Some("timeout"), None),
        };
        Outcome { took: begun.elapsed(), status, error, answer }
    }

    async fn exchange(&self, message: Message<'_>) -> Result<(u16, Option<String>), &'static str> {
        // Looked at again: what was allowed when it was made may not be any more.
        let url = self.allowed.url(message.url).map_err(|_| "address_refused")?;
        let request = self
            .http
            .post(url)
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", message.id)
            .header("webhook-timestamp", message.timestamp)
            .header("webhook-signature", message.signature)
            .body(message.body);
        let response = request.send().await.map_err(|error| word(&error))?;
        let status = response.status().as_u16();
        let mut answer = Vec::new();
        let reading = async {
            let mut body = response.bytes_stream();
            while let Some(Ok(chunk)) = body.next().await {
                answer.extend_from_slice(&chunk[..chunk.len().min(MAX_ANSWER - answer.len())]);
                if answer.len() == MAX_ANSWER {
                    break;
                }
            }
        };
        let _in_time = tokio::time::timeout(BODY, reading).await;
        let text: String = String::from_utf8_lossy(&answer).chars().filter(|c| *c != '\0').collect();
        Ok((status, Some(text).filter(|text| !text.is_empty())))
    }
}

/// Why an answer with this status is none.
fn reason(status: u16) -> Option<&'static str> {
    match status {
        200..300 => None,
        300..400 => Some("redirect"),
        GONE => Some("gone"),
        _ => Some("status"),
    }
}

/// What went wrong, in a word: the whole text would show addresses.
fn word(error: &reqwest::Error) -> &'static str {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    let mut names = false;
    while let Some(this) = cause {
        if this.is::<Refused>() {
            return "address_refused";
        }
        if this.is::<rustls::Error>() {
            return "tls";
        }
        // rustls' errors travel inside those of input and output, which do not name them as their cause.
        if let Some(inner) = this.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref)
            && inner.is::<rustls::Error>()
        {
            return "tls";
        }
        names |= this.to_string().contains("dns error");
        cause = this.source();
    }
    match () {
        () if error.is_timeout() => "timeout",
        () if names => "dns",
        () if error.is_connect() => "connect",
        () => "closed",
    }
}
