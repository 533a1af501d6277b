//! The fields of a block header that a receipt needs.

use super::Hash32;
use super::rlp::{self, RlpError};

/// What a receipt needs of a block header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockHeader {
    /// Root of the state trie.
    pub state_root: Hash32,
    /// Root of the transaction trie.
    pub transactions_root: Hash32,
    /// Block number.
    pub number: u64,
    /// Block time, in seconds since 1970.
    pub timestamp: u64,
}

impl BlockHeader {
    /// Reads a header by position (Yellow Paper §4.4). Forks append fields: whatever follows the first fifteen is not
    /// looked at, since the block hash covers all of them.
    ///
    /// # Errors
    /// Not canonical RLP, fewer than 15 items, or a field of the wrong size.
    pub fn decode(bytes: &[u8]) -> Result<Self, RlpError> {
        let items = rlp::exact(bytes)?.list()?;
        if items.len() < 15 {
            return Err(RlpError("fewer than 15 fields"));
        }
        Ok(Self {
            state_root: items[3].array::<32>()?.into(),
            transactions_root: items[4].array::<32>()?.into(),
            number: items[8].uint()?,
            timestamp: items[11].uint()?,
        })
    }
}
