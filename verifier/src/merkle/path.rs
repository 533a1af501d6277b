//! The strict check of an inclusion path.

use std::fmt;

use super::node_hash;
use crate::Digest;

/// Why a path does not prove inclusion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathError {
    /// The index is not below the tree's size.
    OutOfRange,
    /// The path ends before the root is reached.
    TooShort,
    /// The path goes on after the root is reached.
    TooLong,
    /// The path leads to another root.
    OtherRoot,
}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OutOfRange => "the index is not below the tree's size",
            Self::TooShort => "the path is too short for this index and size",
            Self::TooLong => "the path is too long for this index and size",
            Self::OtherRoot => "the path leads to another root",
        })
    }
}

impl std::error::Error for PathError {}

/// The root that `path` (leaf to root) computes for the leaf hash `leaf` at `index` in a tree of `size` leaves:
/// RFC 9162 §2.1.3.2, with every element used and none missing. `leaf` must come from an entry, never from the prover:
/// an interior node would pass as a leaf of a smaller tree.
///
/// # Errors
/// Every [`PathError`] but [`PathError::OtherRoot`].
pub fn root(leaf: &Digest, index: u64, size: u64, path: &[Digest]) -> Result<Digest, PathError> {
    if index >= size {
        return Err(PathError::OutOfRange);
    }
    let (mut node, mut last) = (index, size - 1);
    let mut hash = *leaf.as_bytes();
    for sibling in path {
        if last == 0 {
            return Err(PathError::TooLong);
        }
        if node & 1 == 1 || node == last {
            hash = node_hash(sibling.as_bytes(), &hash);
            // A right edge without a sibling was promoted: those layers have no element.
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(&hash, sibling.as_bytes());
        }
        node >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(PathError::TooShort);
    }
    Ok(hash.into())
}

/// Checks that `leaf` is at `index` of the tree of `size` leaves whose root is `expected`.
///
/// # Errors
/// As [`root()`], and [`PathError::OtherRoot`].
pub fn verify(leaf: &Digest, index: u64, size: u64, path: &[Digest], expected: &Digest) -> Result<(), PathError> {
    if root(leaf, index, size, path)? == *expected { Ok(()) } else { Err(PathError::OtherRoot) }
}
