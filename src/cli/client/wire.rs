//! What goes over the wire. Answers may carry more members than are named here; they are kept.

use sceau_verifier::Digest;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{ClientError, MAX_BODY, MAX_ITEMS, Result};
pub use crate::ledger::proofs::Status;

/// One digest to submit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Item {
    /// SHA-256 of the document.
    pub digest: Digest,
    /// Name to show beside it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_name: Option<String>,
    /// The partner's own reference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// Labels.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// Whether it is to wait for the account's validators.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub validation: bool,
    /// Whether a refusal is to open another round.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub again: bool,
}

/// One proof as the API has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Proof {
    /// SHA-256 of the document.
    pub digest: Digest,
    /// How far it is.
    pub status: Status,
    /// The batch that takes or took it; none while it is with its validators.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch: Option<u64>,
    /// Everything else the API said.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

impl Proof {
    /// By when it is promised to be anchored, RFC 3339.
    #[must_use]
    pub fn anchor_by(&self) -> Option<&str> {
        self.rest.get("anchor_by")?.as_str()
    }

    /// Whether that promise is broken.
    #[must_use]
    pub fn overdue(&self) -> bool {
        self.rest.get("overdue").is_some_and(|value| *value == Value::Bool(true))
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Proofs {
    pub(super) proofs: Vec<Proof>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Token {
    pub(super) access_token: SecretString,
}

/// A document that waits for the validator who asks, or that was decided about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Validation {
    /// Names it.
    pub id: String,
    /// `awaiting`, `accepted` or `refused`.
    pub state: String,
    /// Name of the account it belongs to.
    pub account: String,
    /// SHA-256 of the document.
    pub digest: Digest,
    /// Approvals there are.
    pub approvals: u32,
    /// Approvals it needs.
    pub approvals_needed: u32,
    /// Everything else the API said.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// A page of them.
#[derive(Debug, Deserialize)]
pub(super) struct Validations {
    pub(super) validations: Vec<Validation>,
    pub(super) next: Option<String>,
}

/// Who decides about an account's documents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Validators {
    /// The account.
    pub account: String,
    /// How many of them must approve what is submitted from now on.
    pub approvals_needed: u32,
    /// Whether enough of them can decide.
    pub enough: bool,
    /// They, by name.
    pub validators: Vec<Validator>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Validator {
    /// Its name.
    pub name: String,
    /// Since when it may decide, RFC 3339.
    pub since: String,
    /// Whether its account is not disabled.
    pub active: bool,
}

/// A batch as the API has it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Batch {
    /// Its number.
    pub number: u64,
    /// `open`, `closed` or `sealed`.
    pub state: String,
    /// One for each target chain.
    #[serde(default)]
    pub anchors: Vec<Anchor>,
    /// How many of them it needs to count as anchored, or final.
    #[serde(default = "one")]
    pub anchored_when: usize,
}

const fn one() -> usize {
    1
}

impl Batch {
    /// How far every proof of this batch is: as far as so many of its anchors are as it needs.
    #[must_use]
    pub fn status(&self) -> Status {
        if self.state != "sealed" {
            return Status::Pending;
        }
        let of_anchor = |anchor: &Anchor| match &*anchor.state {
            "final" => Status::Final,
            "included" => Status::Anchored,
            _ => Status::Sealed,
        };
        let mut far: Vec<Status> = self.anchors.iter().map(of_anchor).collect();
        far.sort_unstable_by(|a, b| b.cmp(a));
        far.get(self.anchored_when.saturating_sub(1)).copied().unwrap_or(Status::Sealed)
    }
}

/// A batch on one chain.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Anchor {
    /// How far it is there: `planned`, `sent`, `included`, `final` or `withdrawn`.
    pub state: String,
}

/// Cuts a submission into bodies within both limits, each with the items it holds.
pub(super) fn bodies(items: &[Item]) -> impl Iterator<Item = Result<(String, &[Item])>> {
    let mut rest = items;
    std::iter::from_fn(move || {
        let mut body = String::from(r#"{"proofs":["#);
        let mut count = 0;
        for item in rest.iter().take(MAX_ITEMS) {
            let text = serde_json::to_string(item).expect("texts and digests have a JSON form");
            if body.len() + text.len() + 3 > MAX_BODY {
                break;
            }
            if count > 0 {
                body.push(',');
            }
            body.push_str(&text);
            count += 1;
        }
        if count == 0 {
            let too_long = rest.first()?;
            rest = &[];
            return Some(Err(ClientError::Setup(format!(
                "{}: name, reference and labels are too long to send",
                too_long.digest
            ))));
        }
        body.push_str("]}");
        let (part, left) = rest.split_at(count);
        rest = left;
        Some(Ok((body, part)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(n: usize, name: &str) -> Item {
        let (digest, file_name) = (Digest::of(&n.to_be_bytes()), Some(name.into()));
        Item { digest, file_name, reference: None, labels: Vec::new(), validation: false, again: false }
    }

    #[test]
    fn bodies_keep_both_limits_and_lose_nothing() {
        let long = "x".repeat(1_000);
        for (count, name, expected) in
            [(0, "a", 0), (1, "a", 1), (10_000, "a", 1), (10_001, "a", 2), (25_000, "a", 3), (20_000, &long, 3)]
        {
            let items: Vec<Item> = (0..count).map(|n| item(n, name)).collect();
            let parts: Vec<_> = bodies(&items).map(|part| part.expect("fits")).collect();
            assert_eq!(parts.len(), expected, "{count} items");
            for (body, part) in &parts {
                assert!(body.len() <= MAX_BODY && part.len() <= MAX_ITEMS);
                let value: Value = serde_json::from_str(body).expect("JSON");
                assert_eq!(value, serde_json::json!({ "proofs": part }));
            }
            assert!(parts.iter().flat_map(|(_, part)| *part).eq(&items));
        }
    }

    #[test]
    fn a_batch_is_as_far_as_so_many_anchors_as_it_needs() {
        let of = |anchored_when: usize, state: &str, anchors: &[&str]| {
            let anchors = anchors.iter().map(|state| Anchor { state: (*state).into() }).collect();
            Batch { number: 1, state: state.into(), anchors, anchored_when }.status()
        };
        let status = |state: &str, anchors: &[&str]| of(1, state, anchors);
        assert_eq!(status("open", &[]), Status::Pending);
        assert_eq!(status("closed", &[]), Status::Pending);
        assert_eq!(status("sealed", &[]), Status::Sealed);
        assert_eq!(status("sealed", &["planned", "sent"]), Status::Sealed);
        assert_eq!(status("sealed", &["sent", "included"]), Status::Anchored);
        assert_eq!(status("sealed", &["final", "included"]), Status::Final);
        assert_eq!(of(2, "sealed", &["final", "withdrawn", "sent"]), Status::Sealed);
        assert_eq!(of(2, "sealed", &["sent", "final", "included"]), Status::Anchored);
        assert_eq!(of(2, "sealed", &["final", "sent", "final"]), Status::Final);
        assert_eq!(of(3, "sealed", &["final", "final"]), Status::Sealed);
    }

    #[test]
    fn what_cannot_be_sent_is_an_error() {
        let items = [item(1, "a"), item(2, &"x".repeat(MAX_BODY))];
        let parts: Vec<_> = bodies(&items).collect();
        assert!(parts.len() == 2 && parts[0].is_ok() && parts[1].is_err());
    }
}
