//! A typed client of the partner API: repeats what is safe to repeat, keeps its token fresh, and takes no answer that
//! is not about what was asked.

mod call;
mod error;
mod events;
mod listing;
mod validations;
mod validators;
mod wire;

use std::net::IpAddr;
use std::time::Duration;

use reqwest::{Certificate, Method, RequestBuilder, Url};
use sceau_verifier::Digest;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Mutex;

use self::call::Call;
pub use self::error::{ClientError, Problem};
pub use self::events::{Event, EventPage};
pub use self::listing::{Erased, Listed, Page};
pub use self::validations::Verb;
pub use self::wire::{Anchor, Batch, Item, Proof, Status, Validation, Validator, Validators};
use crate::certificate::Language;

/// Most proofs one request may carry.
pub const MAX_ITEMS: usize = 10_000;
/// Most bytes of one request's body: the API takes 8 MiB.
pub const MAX_BODY: usize = 7 << 20;

/// Time-out of one request, answer included. Longer than the API's own, so that its problem arrives.
const REQUEST: Duration = Duration::from_secs(60);
const CONNECT: Duration = Duration::from_secs(10);

/// Result of a call.
pub type Result<T> = std::result::Result<T, ClientError>;

/// Where the API is, and who asks.
#[derive(Debug, Clone)]
pub struct Access {
    /// Base address, for example `https://sceau.example`. Plain HTTP is used only when it says `http://`.
    pub api_url: String,
    /// Certificates to trust instead of the system's, PEM.
    pub ca_cert: Option<Vec<u8>>,
    /// The account's consumer key.
    pub consumer_key: String,
    /// Its secret.
    pub consumer_secret: SecretString,
}

/// A receipt, or when to come back for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Receipt {
    /// The exact bytes.
    Ready(Vec<u8>),
    /// It is too early.
    NotReady {
        /// The API's words.
        problem: Problem,
        /// When to ask again, if the API said so.
        retry_after: Option<Duration>,
    },
}

/// The client. Calls may be made at once; they share connections and the token.
pub struct Client {
    http: reqwest::Client,
    base: Url,
    consumer_key: String,
    consumer_secret: SecretString,
    token: Mutex<Option<SecretString>>,
    notice: Box<dyn Fn(&str) + Send + Sync>,
}

impl Client {
    /// A client that has not connected yet.
    ///
    /// # Errors
    /// [`ClientError::Setup`] when the address or the certificates are unusable.
    pub fn new(access: Access) -> Result<Self> {
        let setup = |text: String| ClientError::Setup(text);
        let base = Url::parse(access.api_url.trim_end_matches('/'))
            .map_err(|error| setup(format!("the API's address {:?} is not a URL: {error}", access.api_url)))?;
        if !matches!(base.scheme(), "https" | "http") || base.cannot_be_a_base() {
            return Err(setup(format!("the API's address {:?} must start with https://", access.api_url)));
        }
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("sceau/", env!("CARGO_PKG_VERSION")))
            .https_only(base.scheme() == "https")
            // A redirect would carry digests and the token elsewhere.
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT)
            .timeout(REQUEST);
        if let Some(pem) = &access.ca_cert {
            let certificates = Certificate::from_pem_bundle(pem).ok().filter(|found| !found.is_empty());
            builder = builder.tls_certs_only(certificates.ok_or_else(|| setup("the CA certificate is not PEM".into()))?);
        }
        if loopback(&base) {
            // A proxy's idea of this machine is another one.
            builder = builder.no_proxy();
        }
        let http = builder.build().map_err(|error| setup(format!("HTTP client: {}", error::root(&error))))?;
        let Access { consumer_key, consumer_secret, .. } = access;
        Ok(Self { http, base, consumer_key, consumer_secret, token: Mutex::new(None), notice: Box::new(|_| {}) })
    }

    /// Has every wait before a repetition told to `notice`, in one line for people.
    #[must_use]
    pub fn on_wait(mut self, notice: impl Fn(&str) + Send + Sync + 'static) -> Self {
        self.notice = Box::new(notice);
        self
    }

    /// Submits digests, in as many requests as needed, and answers their proofs in the same order. Submitting a digest
    /// again changes nothing, so after an error the whole call may be repeated.
    ///
    /// # Errors
    /// See [`ClientError`]. Requests before the one that failed stand.
    pub async fn submit(&self, items: &[Item]) -> Result<Vec<Proof>> {
        self.submit_keeping(items, |_| Ok(())).await
    }

    /// Like [`Self::submit`], with each answer handed over byte for byte: with its promise it is evidence.
    ///
    /// # Errors
    /// See [`ClientError`]; those of `keep` end it too.
    pub async fn submit_keeping(&self, items: &[Item], mut keep: impl FnMut(&[u8]) -> Result<()>) -> Result<Vec<Proof>> {
        let mut proofs = Vec::with_capacity(items.len());
        for body in wire::bodies(items) {
            let (body, part) = body?;
            let answer = self.call(Call::json(Method::POST, "v1/proofs", body)).await?;
            let answer = answer.expect(&[200, 201, 202])?;
            keep(&answer)?;
            let found: wire::Proofs = serde_json::from_slice(&answer)
                .map_err(|error| ClientError::Unexpected(format!("the API's answer cannot be read: {error}")))?;
            if !found.proofs.iter().map(|proof| proof.digest).eq(part.iter().map(|item| item.digest)) {
                return Err(ClientError::Unexpected("the API answered for other digests than were sent".into()));
            }
            proofs.extend(found.proofs);
        }
        Ok(proofs)
    }

    /// This account's proof of `digest`; `None` when it was never submitted.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn proof(&self, digest: Digest) -> Result<Option<Proof>> {
        let answer = self.call(Call::get(format!("v1/proofs/{digest}"))).await?;
        if answer.status == 404 && answer.problem().is_some_and(|problem| problem.code == "proof_unknown") {
            return Ok(None);
        }
        let proof: Proof = answer.decode(&[200])?;
        if proof.digest != digest {
            return Err(ClientError::Unexpected("the API answered for another digest than was asked".into()));
        }
        Ok(Some(proof))
    }

    /// The receipt of `digest` as the API has it now, byte for byte; with `only_final`, not before an anchor of it is final.
    ///
    /// # Errors
    /// See [`ClientError`]. Also when what came is not the receipt of `digest`, strictly read.
    pub async fn receipt(&self, digest: Digest, only_final: bool) -> Result<Receipt> {
        let query = if only_final { "?final=true" } else { "" };
        let answer = self.call(Call::get(format!("v1/proofs/{digest}/receipt{query}"))).await?;
        let not_ready = (answer.status == 409).then(|| answer.problem()).flatten().filter(|p| p.code == "receipt_not_ready");
        if let Some(problem) = not_ready {
            return Ok(Receipt::NotReady { problem, retry_after: answer.retry_after });
        }
        let bytes = answer.expect(&[200])?;
        let receipt = sceau_verifier::receipt::parse(&bytes)
            .map_err(|failure| ClientError::Unexpected(format!("what the API answered is no receipt: {failure}")))?;
        if receipt.document.digest != digest {
            return Err(ClientError::Unexpected("the API answered the receipt of another document".into()));
        }
        // One final anchor proves; others may follow.
        if only_final && receipt.anchors.iter().all(|anchor| anchor.evidence.is_none()) {
            return Err(ClientError::Unexpected("the API answered a receipt that is not final".into()));
        }
        Ok(Receipt::Ready(bytes))
    }

    /// The certificate of `digest` as it is now: a PDF. A receipt inside it is that of `digest`.
    ///
    /// # Errors
    /// See [`ClientError`]. Also when what came is no PDF, or holds the receipt of another document.
    pub async fn certificate(&self, digest: Digest, language: Language) -> Result<Vec<u8>> {
        use sceau_verifier::certificate::{NoReceipt, is_pdf, receipt};
        let answer = self.call(Call::get(format!("v1/proofs/{digest}/certificate?lang={}", language.tag()))).await?;
        let bytes = answer.expect(&[200])?;
        let unexpected = |text: &str| ClientError::Unexpected(format!("what the API answered is no certificate: {text}"));
        if !is_pdf(&bytes) {
            return Err(unexpected("not a PDF"));
        }
        match receipt(&bytes) {
            // Nothing is sealed yet.
            Err(NoReceipt::None) => {}
            Err(error) => return Err(unexpected(&error.to_string())),
            Ok(inside) => {
                let inside = sceau_verifier::receipt::parse(inside).map_err(|failure| unexpected(&failure.to_string()))?;
                if inside.document.digest != digest {
                    return Err(unexpected("it is about another document"));
                }
            }
        }
        Ok(bytes)
    }

    /// The operator's public keys (RFC 7517), byte for byte. Public: sent without a token.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn keys(&self) -> Result<Vec<u8>> {
        self.call(Call::get(".well-known/jwks.json".into()).public()).await?.expect(&[200])
    }

    /// A batch by its number; `None` when there is no such batch. Public: sent without a token.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn batch(&self, number: u64) -> Result<Option<Batch>> {
        let answer = self.call(Call::get(format!("v1/batches/{number}")).public()).await?;
        if answer.status == 404 && answer.problem().is_some_and(|problem| problem.code == "batch_unknown") {
            return Ok(None);
        }
        let batch: Batch = answer.decode(&[200])?;
        if batch.number != number {
            return Err(ClientError::Unexpected("the API answered for another batch than was asked".into()));
        }
        Ok(Some(batch))
    }

    /// The token in use, asking for one when there is none. Calls made at once wait for the same one.
    async fn token(&self) -> Result<SecretString> {
        let mut held = self.token.lock().await;
        if let Some(token) = &*held {
            return Ok(token.clone());
        }
        let sign = |request: RequestBuilder| request.basic_auth(&self.consumer_key, Some(self.consumer_secret.expose_secret()));
        let answer = self.repeat(&Call::token(), sign).await?;
        if answer.status == 400 || answer.status == 401 {
            return Err(ClientError::Refused(answer.oauth_error()));
        }
        let token: SecretString = answer.decode::<wire::Token>(&[200])?.access_token;
        *held = Some(token.clone());
        Ok(token)
    }

    /// Forgets `stale`, unless another call has replaced it already.
    async fn forget(&self, stale: &SecretString) {
        let mut held = self.token.lock().await;
        if held.as_ref().is_some_and(|token| token.expose_secret() == stale.expose_secret()) {
            *held = None;
        }
    }
}

fn loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("base", &self.base.as_str())
            .field("consumer_key", &self.consumer_key)
            .finish_non_exhaustive()
    }
}
