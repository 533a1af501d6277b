//! Documents as they are named on the command line.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::Context;
use sceau_verifier::Digest;

use super::hash::hash_file;

/// A file, or the digest of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Document {
    /// 64 hex digits. A file of such a name is meant by `./` before it.
    Digest(Digest),
    /// Anything else.
    File(PathBuf),
}

impl FromStr for Document {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(text.to_ascii_lowercase().parse().map_or_else(|_| Self::File(text.into()), Self::Digest))
    }
}

impl Document {
    /// The file's name as it was given.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::Digest(_) => None,
            Self::File(path) => Some(path),
        }
    }

    /// The digest, computed if need be.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn digest(&self) -> anyhow::Result<Digest> {
        match self {
            Self::Digest(digest) => Ok(*digest),
            Self::File(path) => hash_file(path, &|_| {}).with_context(|| path.display().to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_and_files_are_told_apart() {
        let digits = "ab".repeat(32);
        let digest = Document::Digest(digits.parse().expect("a digest"));
        assert_eq!(digits.parse(), Ok(digest.clone()));
        assert_eq!(digits.to_uppercase().parse(), Ok(digest));
        for file in [format!("./{digits}"), digits[1..].into(), format!("{digits}0"), "contract.pdf".into()] {
            assert_eq!(file.parse(), Ok(Document::File(file.into())));
        }
    }
}
