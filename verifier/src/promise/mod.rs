//! The operator's signed promise `sceau-promise/1` (SPEC.md §2.6): which digests it accepted, and by when it anchors them.

pub mod answer;
mod json;
pub mod judge;
pub mod jws;
mod moment;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

pub use self::answer::Evidence;
pub use self::jws::{KeySet, Signed};
pub use self::moment::Moment;
use crate::receipt::MAX_INTEGER;
use crate::{Digest, Salt};

/// A file with a promise may not be longer than this, in bytes.
pub const MAX_BYTES: usize = 16 << 20;

/// What the header's `typ` says, so that a promise never passes for another kind of token, nor another kind for it.
pub const TYPE: &str = "sceau-promise+jwt";

/// The format's name and version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Format {
    /// The only version there is.
    #[default]
    #[serde(rename = "sceau-promise/1")]
    V1,
}

/// One accepted digest and what is promised about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// SHA-256 of the document.
    pub digest: Digest,
    /// Salt of its entry.
    pub salt: Salt,
    /// Counts the account's proofs from 1 without a hole.
    pub number: u64,
    /// The batch it is sealed in.
    pub batch: u64,
    /// When it was accepted.
    pub accepted_at: Moment,
    /// By when it is in a block.
    pub anchor_by: Moment,
}

impl Record {
    /// Bytes of a record as it is hashed.
    pub const LEN: usize = 80;

    /// `digest ‖ salt ‖ number ‖ batch ‖ accepted_at ‖ anchor_by`, numbers and microseconds since 1970 with 8 bytes each,
    /// big-endian.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        bytes[..32].copy_from_slice(self.digest.as_ref());
        bytes[32..48].copy_from_slice(self.salt.as_ref());
        let numbers = [self.number, self.batch, self.accepted_at.micros(), self.anchor_by.micros()];
        for (place, number) in bytes[48..].chunks_exact_mut(8).zip(numbers) {
            place.copy_from_slice(&number.to_be_bytes());
        }
        bytes
    }

    const fn is_in_range(&self) -> bool {
        self.number >= 1 && self.number <= MAX_INTEGER && self.batch <= MAX_INTEGER
    }
}

/// SHA-256 of the records, one behind the other.
#[must_use]
pub fn hash(records: &[Record]) -> Digest {
    let mut hasher = Sha256::new();
    for record in records {
        hasher.update(record.to_bytes());
    }
    <[u8; 32]>::from(hasher.finalize()).into()
}

/// What is signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Payload {
    /// Which format this is.
    pub format: Format,
    /// Who promises: the service's public address.
    pub iss: String,
    /// When it was signed, seconds since 1970.
    pub iat: u64,
    /// To whom: the account's name.
    pub account: String,
    /// The one digest, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<Record>,
    /// How many digests, where there are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// [`hash`] of their records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub records: Option<Digest>,
}

impl Payload {
    /// Promises `records`, of which there is at least one, in the order given.
    #[must_use]
    pub fn new(iss: &str, iat: u64, account: &str, records: &[Record]) -> Self {
        let (proof, count, records) = match records {
            [one] => (Some(*one), None, None),
            several => (None, Some(several.len() as u64), Some(hash(several))),
        };
        Self { format: Format::V1, iss: iss.into(), iat, account: account.into(), proof, count, records }
    }

    fn is_whole(&self) -> bool {
        let kinds = match (&self.proof, self.count, &self.records) {
            (Some(record), None, None) => record.is_in_range(),
            (None, Some(count), Some(_)) => (2..=MAX_INTEGER).contains(&count),
            _ => false,
        };
        kinds && self.iat <= MAX_INTEGER
    }

    /// Whether it is about exactly these records.
    #[must_use]
    pub fn covers(&self, records: &[Record]) -> bool {
        match (&self.proof, self.count, &self.records) {
            (Some(record), ..) => records == [*record],
            (None, Some(count), Some(signed)) => count == records.len() as u64 && *signed == hash(records),
            _ => false,
        }
    }
}
