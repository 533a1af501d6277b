//! The statement of a validator's decision, `sceau-decision/1`, and the salt that marks its entry (SPEC.md §2.4).

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::{Digest, Salt, utc};

/// The most characters the name of an account or a validator may have.
pub const MAX_NAME: usize = 100;

/// The most characters a comment may have.
pub const MAX_COMMENT: usize = 1_000;

/// What goes before the digest where the salt of a decision's entry is computed.
const SALT_TAG: &[u8] = b"sceau-decision/1\0";

/// What a validator decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Choice {
    /// The document may be sealed.
    Approved,
    /// It may not.
    Refused,
}

impl Choice {
    /// The word in statements.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::Refused => "refused",
        }
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Who decided what about which document, and when. [`fmt::Display`] prints the canonical bytes, whose SHA-256 is sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// SHA-256 of the document.
    pub document: Digest,
    /// Name of the account that the document belongs to, 1 to [`MAX_NAME`] characters.
    pub account: String,
    /// Name of the validator, 1 to [`MAX_NAME`] characters.
    pub validator: String,
    /// What was decided.
    pub decision: Choice,
    /// What the validator said, at most [`MAX_COMMENT`] characters; empty when nothing.
    pub comment: String,
    /// When, in seconds since 1970 (UTC). The operator's word.
    pub decided_at: u64,
    /// Random: without it the digest of a statement could be guessed.
    pub nonce: Salt,
}

/// The text of the field that is not canonical, or of the syntax error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatementError(String);

impl fmt::Display for StatementError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for StatementError {}

#[derive(Serialize, Deserialize)]
enum Format {
    #[serde(rename = "sceau-decision/1")]
    V1,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    format: Format,
    document: Digest,
    account: String,
    validator: String,
    decision: Choice,
    comment: String,
    decided_at: String,
    nonce: Salt,
}

impl Statement {
    /// Reads a statement and requires its canonical bytes.
    ///
    /// # Errors
    /// Anything that [`Statement::check`] refuses, or that does not print back to the same text.
    pub fn parse(text: &str) -> Result<Self, StatementError> {
        let wire: Wire = serde_json::from_str(text).map_err(|error| StatementError(error.to_string()))?;
        let decided_at =
            utc::parse(&wire.decided_at).ok_or_else(|| StatementError("decided_at is not YYYY-MM-DDThh:mm:ssZ".into()))?;
        let statement = Self {
            document: wire.document,
            account: wire.account,
            validator: wire.validator,
            decision: wire.decision,
            comment: wire.comment,
            decided_at,
            nonce: wire.nonce,
        };
        statement.check()?;
        if statement.to_string() != text {
            return Err(StatementError("not the canonical bytes".into()));
        }
        Ok(statement)
    }

    /// Checks what the types do not: the lengths of names and comment, and the range of the time.
    ///
    /// # Errors
    /// Names the field.
    pub fn check(&self) -> Result<(), StatementError> {
        let name = |text: &str| (1..=MAX_NAME).contains(&text.chars().count());
        for (ok, what) in [
            (name(&self.account), "account is not 1 to 100 characters long"),
            (name(&self.validator), "validator is not 1 to 100 characters long"),
            (self.comment.chars().count() <= MAX_COMMENT, "comment is longer than 1000 characters"),
            (self.decided_at <= utc::MAX, "decided_at is too late"),
        ] {
            if !ok {
                return Err(StatementError(what.into()));
            }
        }
        Ok(())
    }

    /// What is sealed: SHA-256 of the canonical bytes.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(self.to_string().as_bytes())
    }
}

impl fmt::Display for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wire = Wire {
            format: Format::V1,
            document: self.document,
            account: self.account.clone(),
            validator: self.validator.clone(),
            decision: self.decision,
            comment: self.comment.clone(),
            decided_at: utc::format(self.decided_at).ok_or(fmt::Error)?,
            nonce: self.nonce,
        };
        f.write_str(&serde_json::to_string(&wire).map_err(|_| fmt::Error)?)
    }
}

/// The salt that the entry of a decision has, where other entries have a random one. Submitters choose digests, never
/// salts: who submits the digest of a forged statement does not get this salt, but for one chance in 2^128.
#[must_use]
pub fn salt(statement: &Digest) -> Salt {
    let hash = Sha256::new().chain_update(SALT_TAG).chain_update(statement.as_bytes()).finalize();
    let mut salt = [0; Salt::LEN];
    salt.copy_from_slice(&hash[..Salt::LEN]);
    salt.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statement() -> Statement {
        Statement {
            document: Digest::of(b"contract"),
            account: "Étude Dupont".into(),
            validator: "Maître \"X\"".into(),
            decision: Choice::Approved,
            comment: "vu\nle 1er \u{1}".into(),
            decided_at: 1_790_000_000,
            nonce: [9; 16].into(),
        }
    }

    #[test]
    fn one_spelling_makes_the_round_trip() {
        let text = statement().to_string();
        assert_eq!(Statement::parse(&text), Ok(statement()));
        assert!(text.contains(r#""validator":"Maître \"X\"","decision":"approved","comment":"vu\nle 1er \u0001""#), "{text}");
        for (from, to) in [
            ("approved", "Approved"),
            ("approved", "maybe"),
            ("\"comment\"", " \"comment\""),
            ("sceau-decision/1", "sceau-decision/2"),
            ("Étude", "\\u00c9tude"),
            ("2026-09-21T14:13:20Z", "2026-09-21T14:13:20.0Z"),
            ("\"nonce\"", "\"x\":1,\"nonce\""),
            ("\"comment\":\"vu\\nle 1er \\u0001\",", ""),
            ("}", "}\n"),
        ] {
            let bent = text.replacen(from, to, 1);
            assert_ne!(bent, text, "{from}");
            assert!(Statement::parse(&bent).is_err(), "{bent}");
        }
    }

    #[test]
    fn lengths_are_counted_in_characters() {
        let with =
            |name: usize, comment: usize| Statement { account: "é".repeat(name), comment: "é".repeat(comment), ..statement() };
        assert!(with(100, 1_000).check().is_ok() && with(1, 0).check().is_ok());
        assert!(with(0, 0).check().is_err() && with(101, 0).check().is_err() && with(1, 1_001).check().is_err());
        let nobody = Statement { validator: String::new(), ..statement() };
        assert!(nobody.check().is_err());
    }

    #[test]
    fn the_salt_is_the_tagged_hash() {
        let digest = Digest::of(b"x");
        let whole = Digest::of(&[b"sceau-decision/1\0".as_slice(), digest.as_bytes()].concat());
        assert_eq!(salt(&digest).as_bytes()[..], whole.as_bytes()[..16]);
        assert_ne!(salt(&digest), salt(&Digest::of(b"y")));
    }
}
