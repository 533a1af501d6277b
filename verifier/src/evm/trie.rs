//! Strict check of a Merkle-Patricia inclusion proof (Yellow Paper, appendix D; EIP-1186 lists of nodes).

use std::fmt;

use super::rlp::{self, Item, RlpError};
use super::{Hash32, keccak256};

/// Why a proof does not prove the key's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrieError {
    /// A node is needed that the proof does not hold.
    Missing,
    /// A node of the proof is not the one its parent, or the root, names.
    OtherNode,
    /// A node is not a canonical node of a Merkle-Patricia trie.
    Node(RlpError),
    /// The proof shows that the key is not in the trie.
    Absent,
    /// Nodes are left over after the value was reached.
    LeftOver,
}

impl From<RlpError> for TrieError {
    fn from(error: RlpError) -> Self {
        Self::Node(error)
    }
}

impl fmt::Display for TrieError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("the proof ends too early"),
            Self::OtherNode => f.write_str("a node has another hash than its parent says"),
            Self::Node(error) => write!(f, "a node is malformed: {error}"),
            Self::Absent => f.write_str("the key is not in the trie"),
            Self::LeftOver => f.write_str("nodes are left over"),
        }
    }
}

impl std::error::Error for TrieError {}

/// The value that `nodes` prove for `key` under `root`. `nodes` go from the root down, each a whole node whose
/// Keccak-256 its parent names; nodes shorter than 32 bytes stand inside their parent and are not listed.
/// Every listed node must be used. For a secure trie `key` is the hash already.
///
/// # Errors
/// [`TrieError`]; a proof of absence is [`TrieError::Absent`].
pub fn value<'a, N: AsRef<[u8]>>(root: &Hash32, key: &[u8], nodes: &'a [N]) -> Result<&'a [u8], TrieError> {
    let mut listed = nodes.iter().map(AsRef::as_ref);
    let mut key = Nibbles { bytes: key, at: 0 };
    let mut node = fetch(root.as_bytes(), &mut listed)?;
    let value = loop {
        let items = node.list()?;
        let child = match items.as_slice() {
            [path, second] => {
                let leaf = key.take_path(path.string()?)?;
                if leaf {
                    if !key.is_empty() {
                        return Err(TrieError::Absent);
                    }
                    break second.string()?;
                }
                *second
            }
            [children @ .., value] if children.len() == 16 => match key.next() {
                None => break value.string()?,
                Some(nibble) => {
                    let child = children[usize::from(nibble)];
                    if child.raw == [0x80] {
                        return Err(TrieError::Absent);
                    }
                    child
                }
            },
            _ => return Err(TrieError::Node(RlpError("neither 2 nor 17 items"))),
        };
        node = if child.is_list {
            if child.raw.len() >= 32 {
                return Err(TrieError::Node(RlpError("a child of 32 bytes or more inside its parent")));
            }
            child
        } else {
            fetch(&child.array::<32>()?, &mut listed)?
        };
    };
    if value.is_empty() {
        return Err(TrieError::Absent);
    }
    if listed.next().is_some() {
        return Err(TrieError::LeftOver);
    }
    Ok(value)
}

fn fetch<'a>(hash: &[u8; 32], listed: &mut impl Iterator<Item = &'a [u8]>) -> Result<Item<'a>, TrieError> {
    let node = listed.next().ok_or(TrieError::Missing)?;
    if keccak256(node).as_bytes() != hash {
        return Err(TrieError::OtherNode);
    }
    Ok(rlp::exact(node)?)
}

/// The part of a key that has not been walked yet.
struct Nibbles<'k> {
    bytes: &'k [u8],
    at: usize,
}

impl Nibbles<'_> {
    const fn is_empty(&self) -> bool {
        self.at == 2 * self.bytes.len()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at / 2)?;
        let nibble = if self.at.is_multiple_of(2) { byte >> 4 } else { byte & 15 };
        self.at += 1;
        Some(nibble)
    }

    /// Walks a hex-prefix encoded path and tells whether its node is a leaf.
    fn take_path(&mut self, encoded: &[u8]) -> Result<bool, TrieError> {
        let mut path = Nibbles { bytes: encoded, at: 0 };
        let flag = path.next().ok_or(TrieError::Node(RlpError("an empty path")))?;
        let first = path.next();
        match (flag, first) {
            (1 | 3, _) => path.at = 1,
            (0 | 2, Some(0)) => {}
            _ => return Err(TrieError::Node(RlpError("a path with a wrong flag"))),
        }
        let leaf = flag >= 2;
        if !leaf && path.is_empty() {
            return Err(TrieError::Node(RlpError("an extension without a path")));
        }
        while let Some(nibble) = path.next() {
            if self.next() != Some(nibble) {
                return Err(TrieError::Absent);
            }
        }
        Ok(leaf)
    }
}
