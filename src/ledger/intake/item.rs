//! What is handed in, and what comes back.

use std::sync::Arc;

use sceau_verifier::digest::{Digest, Salt};
use time::OffsetDateTime;

use crate::ledger::LedgerError;
use crate::ledger::accounts::AccountId;

/// What the submitter says about a document. None of it enters the tree.
#[derive(Debug, Clone, Default, PartialEq, schemars::JsonSchema, serde::Serialize, serde::Deserialize)]
pub struct Detail {
    /// Name of the document on the submitter's side.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_name: Option<String>,
    /// The submitter's own reference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// Labels for finding the proof again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<Vec<String>>,
    /// Any JSON object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<serde_json::Map<String, serde_json::Value>>,
    /// Whether others who ask for the document in the KageSecur dialect are told that it belongs to somebody else. Kept
    /// beside the doubled digest, for accounts with an identity only, and not read back with a proof.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[schemars(skip)]
    pub visible: bool,
}

impl Detail {
    /// As the database's functions take it.
    pub(in crate::ledger) fn to_json(&self) -> serde_json::Value {
        serde_json::to_value(self).expect("a detail is plain JSON")
    }
}

/// One digest on its way in.
#[derive(Debug, Clone)]
pub struct Submission {
    /// Whose proof it becomes.
    pub account: AccountId,
    /// SHA-256 of the document.
    pub digest: Digest,
    /// What the submitter says about it. Strings must not contain U+0000, which Postgres cannot store.
    pub detail: Option<Detail>,
}

/// A digest that is durably accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accepted {
    /// The digest.
    pub digest: Digest,
    /// Its salt, drawn when it was first accepted.
    pub salt: Salt,
    /// The batch it is sealed in.
    pub batch: u64,
    /// Database time of first acceptance.
    pub received_at: OffsetDateTime,
    /// False when the account had submitted this digest before: then everything else is as it was then.
    pub fresh: bool,
    /// Counts the account's proofs from 1 without a hole, in the order of their acceptance.
    pub number: u64,
    /// Until when it was promised to be anchored; `None`: that was not kept when it was accepted.
    pub anchor_by: Option<OffsetDateTime>,
}

/// Why a submission was not acknowledged.
#[derive(Debug, thiserror::Error)]
pub enum IntakeError {
    /// More is waiting than the pool takes; nothing of this submission was stored.
    #[error("too many submissions are waiting")]
    Overloaded,
    /// More digests wait to be sealed than may; nothing of this submission was stored.
    #[error("the pool is over its high-water mark")]
    Full,
    /// The database does not answer; nothing of this submission was stored.
    #[error("the database is away")]
    Away,
    /// The database did not confirm the commit. Whether it took place is unknown; submitting again is safe.
    #[error(transparent)]
    Ledger(#[from] Arc<LedgerError>),
    /// The database is older than the chain: nothing is accepted until an operator has decided. Nothing was stored.
    #[error("nothing is accepted: {0}")]
    ReadOnly(Arc<str>),
    /// The intake has ended, because the process is stopping.
    #[error("the service is stopping")]
    Stopped,
}

impl IntakeError {
    /// One word for counting.
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::Overloaded => "overloaded",
            Self::Full => "full",
            Self::Away => "away",
            Self::Ledger(error) => error.reason(),
            Self::Stopped => "stopped",
            Self::ReadOnly(_) => "read_only",
        }
    }
}
