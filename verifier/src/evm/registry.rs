//! What the contract `AnchorRegistry` stores and how it is called.

use super::{Address, Hash32, keccak256};
use crate::Digest;

/// What a batch is, as its registry must have recorded it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Statement {
    /// Root of the batch's tree.
    pub root: Digest,
    /// Leaves of the tree, the header included.
    pub size: u64,
    /// The batch number.
    pub number: u64,
}

/// The registry's record of one root: one storage word, `timestamp` in the lowest 64 bits, `number` in the highest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// Time of the block that anchored the root, in seconds since 1970.
    pub timestamp: u64,
    /// Number of that block.
    pub block_number: u64,
    /// Leaves of the tree.
    pub size: u64,
    /// The batch number.
    pub number: u64,
}

impl Record {
    /// The record in a storage word (big-endian, as it is in the storage trie once padded to 32 bytes).
    #[must_use]
    pub fn from_word(word: &[u8; 32]) -> Self {
        let part = |at: usize| word[at..at + 8].iter().fold(0, |n, byte| n << 8 | u64::from(*byte));
        Self { timestamp: part(24), block_number: part(16), size: part(8), number: part(0) }
    }

    /// The storage word of this record.
    #[must_use]
    pub fn to_word(&self) -> [u8; 32] {
        let mut word = [0; 32];
        for (part, value) in word.chunks_exact_mut(8).zip([self.number, self.size, self.block_number, self.timestamp]) {
            part.copy_from_slice(&value.to_be_bytes());
        }
        word
    }
}

/// The storage position of a root's record, `keccak256(root ‖ uint256(0))`: the key for `eth_getProof`.
/// The storage trie itself is keyed by the Keccak-256 of this.
#[must_use]
pub fn storage_key(root: &Digest) -> Hash32 {
    let mut input = [0; 64];
    input[..32].copy_from_slice(root.as_bytes());
    keccak256(&input)
}

/// The trie path of an account: `keccak256(address)`.
#[must_use]
pub fn account_key(registry: &Address) -> Hash32 {
    keccak256(registry.as_bytes())
}

/// The calldata of `anchor(uint64 number, bytes32 root, uint64 size)`.
#[must_use]
pub fn anchor_call(statement: &Statement) -> [u8; 100] {
    let mut call = [0; 100];
    call[..4].copy_from_slice(&keccak256(b"anchor(uint64,bytes32,uint64)").as_bytes()[..4]);
    call[28..36].copy_from_slice(&statement.number.to_be_bytes());
    call[36..68].copy_from_slice(statement.root.as_bytes());
    call[92..].copy_from_slice(&statement.size.to_be_bytes());
    call
}

/// The calldata of the getter `anchors(bytes32 root)`.
#[must_use]
pub fn anchors_call(root: &Digest) -> [u8; 36] {
    let mut call = [0; 36];
    call[..4].copy_from_slice(&keccak256(b"anchors(bytes32)").as_bytes()[..4]);
    call[4..].copy_from_slice(root.as_bytes());
    call
}
