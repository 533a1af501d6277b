//! `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header-07): the same answer to whoever sends the same request again.
//!
//! Sending again is safe without it; what it adds is that the answer is the first one. The key is claimed before anything is
//! done, with a seed from which salts are drawn; the answer is kept after it, and the seed goes. *Crash in between*: whoever
//! comes again takes the claim over when it ran out, draws the same salts, and is answered as the first time.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::{Body, to_bytes};
use axum::http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use time::OffsetDateTime;

use crate::api::State;
use crate::api::access::caller::Caller;
use crate::api::error::{Code, Result};
use crate::ledger::intake::idempotency::Claim;
use crate::ports::{Clock, Entropy, Ports};

static KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Told with an answer that was given before.
static REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// Bytes of an answer that is kept. One of 10,000 proofs is shorter.
const LONGEST: usize = 8 * 1024 * 1024;
/// Seconds between two looks for keys that are too old.
const EVERY: i64 = 60;

/// The request that has a key.
#[derive(Debug, Clone)]
pub struct Request {
    /// The key.
    pub key: String,
    /// Tells the request from others.
    pub fingerprint: [u8; 32],
}

/// The key, if one was sent. As a quoted string (RFC 9651) or bare, which is the same key.
///
/// # Errors
/// [`Code::IdempotencyKeyInvalid`].
pub fn key(headers: &HeaderMap) -> Result<Option<String>> {
    let mut given = headers.get_all(&KEY).iter();
    let Some(value) = given.next() else { return Ok(None) };
    let text = value.to_str().ok().filter(|_| given.next().is_none()).map(str::trim);
    let bare = text.map(|text| text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text));
    let fit = |key: &&str| {
        (1..=255).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"\\".contains(&byte))
    };
    match bare.filter(fit) {
        Some(key) => Ok(Some(key.to_owned())),
        None => Err(Code::IdempotencyKeyInvalid.into()),
    }
}

/// Does `work` once for a key, and answers every repetition as the first time. Only what succeeded is kept. The work goes on
/// when the client hangs up.
///
/// # Errors
/// [`Code::IdempotencyKeyInUse`], [`Code::IdempotencyKeyReused`], and those of the work.
pub async fn once<F>(api: State, caller: Caller, of: Request, work: impl FnOnce(Ports) -> F + Send + 'static) -> Result<Response>
where
    F: Future<Output = Result<Response>> + Send,
{
    let account = caller.account;
    clean(&api, &caller);
    let mut seed = [0; 32];
    api.ports.entropy.fill(&mut seed);
    // Longer than the work may take.
    let seconds = (api.limits.answer + api.limits.commit).as_secs_f64();
    let (seed, begun_at) = match api.ledger.claim_key(account, &of.key, &of.fingerprint, seed, seconds).await? {
        Claim::Ours { seed, begun_at } => (seed, begun_at),
        Claim::UnderWay => return Err(Code::IdempotencyKeyInUse.with("a request with this key is under way").retry_after(1)),
        Claim::Other => return Err(Code::IdempotencyKeyReused.into()),
        Claim::Done { status, body } => {
            let status = StatusCode::from_u16(status).map_err(|error| Code::Internal.because(error))?;
            let replayed = (REPLAYED.clone(), HeaderValue::from_static("true"));
            return Ok((status, [(CONTENT_TYPE, HeaderValue::from_static("application/json")), replayed], body).into_response());
        }
    };
    let working = tokio::spawn(async move {
        let ports = Ports { clock: Arc::new(Stopped(begun_at)), entropy: Arc::new(Seeded::new(seed)) };
        match work(ports).await {
            Ok(response) => {
                let (head, body) = response.into_parts();
                let body = to_bytes(body, LONGEST).await.map_err(|error| Code::Internal.because(error))?;
                // Where this fails the work is done all the same: a repetition finds that, and is told the same.
                if let Err(error) = api.ledger.keep_answer(account, &of.key, &seed, head.status.as_u16(), &body).await {
                    tracing::warn!(%error, "the answer to a request with a key is not kept");
                }
                Ok(Response::from_parts(head, Body::from(body)))
            }
            Err(problem) => {
                // Whether a commit took place is not known of a fault: then the seed stays for whoever comes next.
                let nothing = problem.code().status().is_client_error();
                if let Err(error) = api.ledger.give_back_key(account, &of.key, &seed, nothing).await {
                    tracing::warn!(%error, "a key is not given back");
                }
                Err(problem)
            }
        }
    });
    working.await.map_err(|error| Code::Internal.because(error))?
}

/// Now and then forgets what is too old, beside the request.
fn clean(api: &State, caller: &Caller) {
    static LAST: AtomicI64 = AtomicI64::new(0);
    let (now, last) = (api.ports.clock.now().unix_timestamp(), LAST.load(Ordering::Relaxed));
    if (now - last).abs() < EVERY || LAST.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_err() {
        return;
    }
    let (ledger, account) = (api.ledger.clone(), caller.account);
    tokio::spawn(async move {
        if let Err(error) = ledger.forget_keys(account).await {
            tracing::warn!(%error, "forgetting old idempotency keys");
        }
    });
}

/// When the key was first used.
#[derive(Debug)]
struct Stopped(OffsetDateTime);

impl Clock for Stopped {
    fn now(&self) -> OffsetDateTime {
        self.0
    }
}

/// Bytes nobody can predict without the seed, and always the same with it: HMAC-SHA-256 of a counter.
struct Seeded {
    seed: [u8; 32],
    drawn: Mutex<u64>,
}

impl std::fmt::Debug for Seeded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Seeded").finish_non_exhaustive()
    }
}

impl Seeded {
    fn new(seed: [u8; 32]) -> Self {
        Self { seed, drawn: Mutex::new(0) }
    }
}

impl Entropy for Seeded {
    fn fill(&self, bytes: &mut [u8]) {
        let mut drawn = self.drawn.lock().unwrap_or_else(PoisonError::into_inner);
        for chunk in bytes.chunks_mut(32) {
            let mut mac = Hmac::<Sha256>::new_from_slice(&self.seed).expect("HMAC takes keys of any length");
            mac.update(&drawn.to_be_bytes());
            *drawn += 1;
            chunk.copy_from_slice(&mac.finalize().into_bytes()[..chunk.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_visible_and_bounded() {
        let of = |values: &[&'static str]| {
            let headers = values.iter().map(|value| (KEY.clone(), HeaderValue::from_static(value)));
            key(&headers.collect()).map_err(|problem| problem.code())
        };
        assert_eq!(of(&[]), Ok(None));
        for text in ["8e03978e-40d5-43dd-bc93-6894a57f9324", "\"8e03978e-40d5-43dd-bc93-6894a57f9324\""] {
            assert_eq!(of(&[text]), Ok(Some("8e03978e-40d5-43dd-bc93-6894a57f9324".into())));
        }
        for values in [&[""][..], &["\"\""], &["a b"], &["a\"b"], &["a", "b"]] {
            assert_eq!(of(values), Err(Code::IdempotencyKeyInvalid), "{values:?}");
        }
        let long = |length| key(&HeaderMap::from_iter([(KEY.clone(), HeaderValue::from_str(&"k".repeat(length)).unwrap())]));
        assert!(long(255).is_ok() && long(256).is_err());
    }

    #[test]
    fn what_is_drawn_depends_on_the_seed_alone_and_never_repeats() {
        let draw = |seed: u8| {
            let (seeded, mut bytes) = (Seeded::new([seed; 32]), vec![0; 1000]);
            for part in bytes.chunks_mut(50) {
                seeded.fill(part);
            }
            bytes
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
        let bytes = draw(1);
        let parts: std::collections::HashSet<&[u8]> = bytes.chunks_exact(10).collect();
        assert_eq!(parts.len(), 100);
    }
}
