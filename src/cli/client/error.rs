//! What can go wrong between here and the API, in words for people.

use std::error::Error;
use std::{fmt, io};

use serde::Deserialize;

/// The API's account of what went wrong (RFC 9457).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Problem {
    /// Stable name.
    pub code: String,
    /// One line for people.
    pub title: String,
    /// What exactly.
    #[serde(default)]
    pub detail: Option<String>,
    /// Names the request in the operator's logs.
    #[serde(default)]
    pub request_id: Option<String>,
    /// With a receipt that is not ready: by when the proof is promised to be anchored, RFC 3339.
    #[serde(default)]
    pub anchor_by: Option<String>,
    /// The items that are not in order, the first hundred of them.
    #[serde(default)]
    pub errors: Vec<ItemProblem>,
}

/// One item that is not in order.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ItemProblem {
    /// Position in the request, from 0.
    #[serde(default)]
    pub index: Option<usize>,
    /// What is wrong.
    #[serde(default)]
    pub detail: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.title.trim_end_matches('.'))?;
        if let Some(detail) = &self.detail {
            write!(f, ": {}", detail.trim_end_matches('.'))?;
        }
        if let Some(ItemProblem { index: Some(index), detail: Some(detail) }) = self.errors.first() {
            write!(f, "; item {index}: {}", detail.trim_end_matches('.'))?;
        }
        match &self.request_id {
            Some(id) => write!(f, " (request {id})"),
            None => Ok(()),
        }
    }
}

/// Why a call has no result. Never holds the secret or a token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// The client cannot be made from what was given.
    #[error("{0}")]
    Setup(String),
    /// The API does not know the consumer key or its secret.
    #[error(
        "the API does not accept the consumer key and secret: {0}; check them, or ask the operator whether the account is active"
    )]
    Refused(String),
    /// The API answered a problem.
    #[error("{0}")]
    Problem(Box<Problem>),
    /// No answer, several times over.
    #[error("cannot reach the API at {address}: {reason}")]
    Unreachable {
        /// The API's address.
        address: String,
        /// The last failure.
        reason: String,
    },
    /// The API asks to wait longer than this client does.
    #[error("{said}; try again in {seconds} s")]
    Busy {
        /// What the API said last.
        said: String,
        /// Seconds until another attempt makes sense.
        seconds: u64,
    },
    /// The answer is not what the API answers.
    #[error("{0}; check that the address is that of a Sceau API")]
    Unexpected(String),
}

/// The innermost cause: "Connection refused" says more than "error sending request".
pub(super) fn root(error: &(dyn Error + 'static)) -> String {
    causes(error).last().unwrap_or(error).to_string()
}

/// `error` and everything below it. [`io::Error::source`] leaves out the very error it wraps, so that is asked for.
pub(super) fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    fn below<'a>(cause: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
        match cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(wrapped) => Some(wrapped),
            None => cause.source(),
        }
    }
    std::iter::successors(Some(error), |cause| below(*cause))
}
