//! Problems (RFC 9457): the one shape of every answer that is not what was asked for.

mod code;
mod finish;

use std::fmt::Display;
use std::sync::Arc;

use axum::http::{HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value};

pub use self::code::Code;
pub use self::finish::{RequestId, finish, panicked};
use crate::ledger::LedgerError;
use crate::ledger::intake::IntakeError;

/// Seconds after which it makes sense to try again when the database is away.
const RETRY_UNAVAILABLE: u64 = 2;
/// Seconds after which it makes sense to try again while an operator has to decide.
const RETRY_READ_ONLY: u64 = 60;
/// Seconds after which it makes sense to try again when too many wait for their commit.
const RETRY_FULL: u64 = 1;
/// Seconds after which it makes sense to try again when the pool is over its high-water mark: sealing it takes a while.
const RETRY_SEALED: u64 = 30;

/// One item of a list that is not in order.
#[derive(Debug, Clone, serde::Serialize)]
pub struct ItemError {
    /// Its position, from 0.
    pub index: usize,
    /// What is wrong, as a stable name.
    pub code: &'static str,
    /// What exactly, for people.
    pub detail: String,
}

/// An answer in the making. It travels in the extensions of an empty response and is printed by [`finish`], which
/// alone knows the request id.
#[derive(Debug, Clone)]
pub struct Problem(Box<Parts>);

#[derive(Debug, Clone)]
struct Parts {
    code: Code,
    detail: Option<String>,
    members: Map<String, Value>,
    headers: Vec<(HeaderName, HeaderValue)>,
    cause: Option<Arc<str>>,
}

/// Result of a handler.
pub type Result<T> = std::result::Result<T, Problem>;

impl Problem {
    /// A problem that says no more than its code.
    #[must_use]
    pub fn new(code: Code) -> Self {
        Self(Box::new(Parts { code, detail: None, members: Map::new(), headers: Vec::new(), cause: None }))
    }

    /// Its code.
    #[must_use]
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// What exactly went wrong, for people. Not shown with a status of 500.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.0.detail = Some(detail.into());
        self
    }

    /// What it says inside an answer that has begun: `code`, `status`, `detail`, members, `retry_after`. Its cause is logged.
    #[must_use]
    pub fn said(&self) -> Map<String, Value> {
        let parts = &*self.0;
        let status = parts.code.status();
        if status.is_server_error() {
            tracing::warn!(code = parts.code.as_str(), cause = parts.cause.as_deref().unwrap_or("no cause given"), "problem");
        }
        let mut said = parts.members.clone();
        said.insert("code".into(), parts.code.as_str().into());
        said.insert("status".into(), status.as_u16().into());
        let shown = parts.detail.clone().filter(|_| status != axum::http::StatusCode::INTERNAL_SERVER_ERROR);
        said.insert("detail".into(), shown.unwrap_or_else(|| parts.code.description()).into());
        let retry = parts.headers.iter().find(|(name, _)| name == axum::http::header::RETRY_AFTER);
        if let Some(seconds) = retry.and_then(|(_, value)| value.to_str().ok()?.parse::<u64>().ok()) {
            said.insert("retry_after".into(), seconds.into());
        }
        said
    }

    /// The cause, for the log alone.
    #[must_use]
    pub fn cause(mut self, cause: impl Display) -> Self {
        self.0.cause = Some(cause.to_string().into());
        self
    }

    /// One more member (RFC 9457 §3.2).
    #[must_use]
    pub fn member(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.members.insert(name.into(), value.into());
        self
    }

    /// One more header.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.0.headers.push((name, value));
        }
        self
    }

    /// When to try again, in seconds.
    #[must_use]
    pub fn retry_after(self, seconds: u64) -> Self {
        self.header(axum::http::header::RETRY_AFTER, &seconds.to_string())
    }
}

impl From<Code> for Problem {
    fn from(code: Code) -> Self {
        Self::new(code)
    }
}

impl From<&LedgerError> for Problem {
    fn from(error: &LedgerError) -> Self {
        if matches!(error, LedgerError::TooFewValidators) {
            return Code::ValidatorsMissing.into();
        }
        let away = error.is_transient() || matches!(error, LedgerError::Database(sqlx::Error::PoolClosed | sqlx::Error::Tls(_)));
        if matches!(error, LedgerError::OverQuota(_)) {
            // Refused in the transaction: another submission was faster. Whoever asks again hears when the day ends.
            return Code::QuotaExceeded
                .with("another submission took what was left for today; nothing was stored")
                .retry_after(1);
        }
        if away { Code::Unavailable.because(error).retry_after(RETRY_UNAVAILABLE) } else { Code::Internal.because(error) }
    }
}

impl From<LedgerError> for Problem {
    fn from(error: LedgerError) -> Self {
        Self::from(&error)
    }
}

impl From<IntakeError> for Problem {
    fn from(error: IntakeError) -> Self {
        match error {
            IntakeError::Overloaded => Code::PoolFull.because(error).retry_after(RETRY_FULL),
            IntakeError::Full => Code::PoolFull.because(error).retry_after(RETRY_SEALED),
            IntakeError::Stopped | IntakeError::Away => Code::Unavailable.because(error).retry_after(RETRY_UNAVAILABLE),
            IntakeError::ReadOnly(_) => Code::ReadOnly.because(error).retry_after(RETRY_READ_ONLY),
            IntakeError::Ledger(error) => Self::from(&*error),
        }
    }
}

impl Code {
    /// A problem that says no more than its code, with a header.
    #[must_use]
    pub fn header(self, name: HeaderName, value: &str) -> Problem {
        Problem::new(self).header(name, value)
    }

    /// A problem with its detail.
    #[must_use]
    pub fn with(self, detail: impl Into<String>) -> Problem {
        Problem::new(self).detail(detail)
    }

    /// A problem whose cause goes to the log.
    #[must_use]
    pub fn because(self, cause: impl Display) -> Problem {
        Problem::new(self).cause(cause)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.0.code.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}
