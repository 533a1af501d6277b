//! An entry is what a leaf commits to: `digest ‖ salt`.

use crate::{Digest, Salt, merkle};

/// One document in a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Entry {
    /// SHA-256 of the document.
    pub digest: Digest,
    /// Keeps a neighbour's path from confirming a guessed document.
    pub salt: Salt,
}

impl Entry {
    /// Length of the encoded entry in bytes. A batch header is always longer, so the two can never be confused.
    pub const LEN: usize = Digest::LEN + Salt::LEN;

    /// `digest ‖ salt`.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        bytes[..Digest::LEN].copy_from_slice(self.digest.as_bytes());
        bytes[Digest::LEN..].copy_from_slice(self.salt.as_bytes());
        bytes
    }

    /// The leaf hash of this entry.
    #[must_use]
    pub fn leaf(&self) -> Digest {
        merkle::leaf_hash(&self.to_bytes())
    }
}

/// The leaf hash of the entry `digest ‖ salt`.
#[must_use]
pub fn leaf(digest: Digest, salt: Salt) -> Digest {
    Entry { digest, salt }.leaf()
}

/// The leaf hash of a batch header, leaf 0 of its batch: over its exact bytes.
#[must_use]
pub fn header_leaf(header: &str) -> Digest {
    merkle::leaf_hash(header.as_bytes())
}
