//! The batch header: leaf 0 of every batch, which chains batches off chain and makes every root unique.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Digest, entry, receipt::MAX_INTEGER, utc};

/// The most characters an origin may have.
pub const MAX_ORIGIN: usize = 100;

/// A batch header. [`fmt::Display`] prints its canonical bytes, which are ASCII and always longer than an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchHeader {
    /// Who seals: 1 to 100 of `A-Z a-z 0-9 . _ : / -`.
    pub origin: String,
    /// The batch number.
    pub number: u64,
    /// Root of the batch before, all zero for the first.
    pub previous_root: Digest,
    /// When the operator says the batch was sealed, in seconds since 1970 (UTC). A claim, not proven by anything.
    pub sealed_at: u64,
    /// Documents in the batch: the tree has one leaf more.
    pub count: u64,
}

/// The text of the field that is not canonical, or of the syntax error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderError(String);

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for HeaderError {}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    v: u8,
    origin: String,
    number: u64,
    previous_root: Digest,
    sealed_at: String,
    count: u64,
}

impl BatchHeader {
    /// Reads a header and requires its canonical bytes.
    ///
    /// # Errors
    /// Anything that [`BatchHeader::check`] refuses, or that does not print back to the same text.
    pub fn parse(text: &str) -> Result<Self, HeaderError> {
        let wire: Wire = serde_json::from_str(text).map_err(|error| HeaderError(error.to_string()))?;
        if wire.v != 1 {
            return Err(HeaderError("v is not 1".into()));
        }
        let sealed_at = utc::parse(&wire.sealed_at).ok_or_else(|| HeaderError("sealed_at is not YYYY-MM-DDThh:mm:ssZ".into()))?;
        let header =
            Self { origin: wire.origin, number: wire.number, previous_root: wire.previous_root, sealed_at, count: wire.count };
        header.check()?;
        if header.to_string() != text {
            return Err(HeaderError("not the canonical bytes".into()));
        }
        Ok(header)
    }

    /// Checks what the types do not: the origin's alphabet, the range of the integers and of the time, and one document or more.
    ///
    /// # Errors
    /// Names the field.
    pub fn check(&self) -> Result<(), HeaderError> {
        let origin_ok = (1..=MAX_ORIGIN).contains(&self.origin.len())
            && self.origin.bytes().all(|b| b.is_ascii_alphanumeric() || b"._:/-".contains(&b));
        for (ok, what) in [
            (origin_ok, "origin is not 1 to 100 of A-Z a-z 0-9 . _ : / -"),
            (self.number <= MAX_INTEGER, "number is too large"),
            (self.sealed_at <= utc::MAX, "sealed_at is too late"),
            ((1..=MAX_INTEGER).contains(&self.count), "count is out of range"),
        ] {
            if !ok {
                return Err(HeaderError(what.into()));
            }
        }
        Ok(())
    }

    /// The leaf hash of this header.
    #[must_use]
    pub fn leaf(&self) -> Digest {
        entry::header_leaf(&self.to_string())
    }
}

impl fmt::Display for BatchHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wire = Wire {
            v: 1,
            origin: self.origin.clone(),
            number: self.number,
            previous_root: self.previous_root,
            sealed_at: utc::format(self.sealed_at).ok_or(fmt::Error)?,
            count: self.count,
        };
        f.write_str(&serde_json::to_string(&wire).map_err(|_| fmt::Error)?)
    }
}
