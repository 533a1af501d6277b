//! One call to the API: sent again while that is safe and makes sense.

use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Method, RequestBuilder, Response};
use secrecy::ExposeSecret;
use serde::de::DeserializeOwned;

use super::error::{Problem, causes, root};
use super::{Client, ClientError, Result};

/// Attempts when there is no answer: waits of 0.5, 1, 2 and 4 seconds between them.
const ATTEMPTS: u32 = 5;
/// First of those waits.
const BACKOFF: Duration = Duration::from_millis(500);
/// All the time one call waits for a busy API at most.
const PATIENCE: Duration = Duration::from_secs(120);
/// No answer is longer: 10,000 proofs take about 5 MB.
const MAX_ANSWER: usize = 32 << 20;

/// What to send; may be sent any number of times.
#[derive(Debug)]
pub(super) struct Call {
    method: Method,
    path: String,
    body: Option<(&'static str, String)>,
    public: bool,
}

impl Call {
    pub(super) fn get(path: String) -> Self {
        Self { method: Method::GET, path, body: None, public: false }
    }

    /// Without a body.
    pub(super) fn bare(method: Method, path: String) -> Self {
        Self { method, path, body: None, public: false }
    }

    pub(super) fn json(method: Method, path: &str, body: String) -> Self {
        Self { method, path: path.into(), body: Some(("application/json", body)), public: false }
    }

    /// RFC 6749 §4.4.2.
    pub(super) fn token() -> Self {
        let body = Some(("application/x-www-form-urlencoded", "grant_type=client_credentials".into()));
        Self { method: Method::POST, path: "oauth2/token".into(), body, public: true }
    }

    /// Without a token.
    pub(super) fn public(self) -> Self {
        Self { public: true, ..self }
    }
}

/// What came back.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) retry_after: Option<Duration>,
    body: Vec<u8>,
}

impl Answer {
    async fn read(mut response: Response) -> reqwest::Result<Option<Self>> {
        let status = response.status().as_u16();
        // A date is not read: that would need a clock that agrees with the server's.
        let header = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let retry_after = header.and_then(|text| text.trim().parse().ok()).map(Duration::from_secs);
        let mut body = Vec::new();
        while let Some(part) = response.chunk().await? {
            if body.len() + part.len() > MAX_ANSWER {
                return Ok(None);
            }
            body.extend_from_slice(&part);
        }
        Ok(Some(Self { status, retry_after, body }))
    }

    /// The problem in the body, if it is one.
    pub(super) fn problem(&self) -> Option<Problem> {
        (self.status >= 400).then(|| serde_json::from_slice(&self.body).ok()).flatten()
    }

    /// RFC 6749 §5.2.
    pub(super) fn oauth_error(&self) -> String {
        let value: serde_json::Value = serde_json::from_slice(&self.body).unwrap_or_default();
        let text = |name: &str| value.get(name).and_then(serde_json::Value::as_str);
        let said = text("error_description").or_else(|| text("detail")).or_else(|| text("error"));
        said.map_or_else(|| format!("status {}", self.status), |text| text.trim_end_matches('.').to_owned())
    }

    /// The body, when the status is one of those.
    pub(super) fn expect(self, statuses: &[u16]) -> Result<Vec<u8>> {
        if statuses.contains(&self.status) { Ok(self.body) } else { Err(self.failure()) }
    }

    /// The body's value, when the status is one of those.
    pub(super) fn decode<T: DeserializeOwned>(self, statuses: &[u16]) -> Result<T> {
        let body = self.expect(statuses)?;
        serde_json::from_slice(&body)
            .map_err(|error| ClientError::Unexpected(format!("the API's answer cannot be read: {error}")))
    }

    fn failure(&self) -> ClientError {
        self.problem().map_or_else(
            || ClientError::Unexpected(format!("the API answered status {} without saying why", self.status)),
            |problem| ClientError::Problem(Box::new(problem)),
        )
    }

    /// Whether the same call may succeed later by itself.
    fn busy(&self) -> bool {
        matches!(self.status, 429 | 502 | 503 | 504)
    }
}

impl Client {
    /// Sends with the token, renewed once when the API says that it has expired.
    pub(super) async fn call(&self, call: Call) -> Result<Answer> {
        if call.public {
            return self.repeat(&call, |request| request).await;
        }
        let mut renewed = false;
        loop {
            let token = self.token().await?;
            let answer = self.repeat(&call, |request| request.bearer_auth(token.expose_secret())).await?;
            // An invalid token may be one from before the operator changed the signing key.
            let stale = |problem: Problem| matches!(&*problem.code, "token_expired" | "token_invalid");
            if renewed || answer.status != 401 || !answer.problem().is_some_and(stale) {
                return Ok(answer);
            }
            self.forget(&token).await;
            renewed = true;
        }
    }

    /// Sends until there is an answer other than "later". All calls of this API are safe to repeat.
    pub(super) async fn repeat(&self, call: &Call, sign: impl Fn(RequestBuilder) -> RequestBuilder) -> Result<Answer> {
        let (mut failures, mut backoff, mut waited) = (0, BACKOFF, Duration::ZERO);
        loop {
            let (said, pause) = match self.send(call, &sign).await {
                Ok(Some(answer)) if answer.busy() => {
                    let said =
                        answer.problem().map_or_else(|| format!("the API answered status {}", answer.status), |p| p.to_string());
                    // Not at once, whatever the answer says: that would only add to what keeps it busy.
                    let pause = answer.retry_after.map_or(backoff, |asked| asked.max(Duration::from_millis(50)));
                    waited += pause;
                    if waited > PATIENCE {
                        return Err(ClientError::Busy { said, seconds: pause.as_secs().max(1) });
                    }
                    (said, pause)
                }
                Ok(Some(answer)) => return Ok(answer),
                Ok(None) => return Err(ClientError::Unexpected(format!("the API's answer is longer than {MAX_ANSWER} bytes"))),
                Err(error) => {
                    let reason = root(&error);
                    failures += 1;
                    if failures == ATTEMPTS || !passing(&error) {
                        return Err(ClientError::Unreachable { address: self.base.to_string(), reason });
                    }
                    (format!("no answer from the API ({reason})"), backoff)
                }
            };
            (self.notice)(&format!("{said}; trying again in {:.1} s", pause.as_secs_f32()));
            tokio::time::sleep(pause).await;
            backoff = (backoff * 2).min(Duration::from_secs(30));
        }
    }

    async fn send(&self, call: &Call, sign: impl Fn(RequestBuilder) -> RequestBuilder) -> reqwest::Result<Option<Answer>> {
        let mut request =
            self.http.request(call.method.clone(), format!("{}/{}", self.base.as_str().trim_end_matches('/'), call.path));
        if let Some((media_type, body)) = &call.body {
            request = request.header(CONTENT_TYPE, *media_type).body(body.clone());
        }
        Answer::read(sign(request).send().await?).await
    }
}

/// A certificate that is not trusted stays so; everything else about a network may pass.
fn passing(error: &reqwest::Error) -> bool {
    !error.is_builder() && !causes(error).any(|cause| cause.is::<rustls::Error>())
}
