//! The chain's side of a receipt: its values, and the proofs that lead from a block hash to the registry's record.

pub mod block;
pub mod evidence;
pub mod registry;
pub mod rlp;
pub mod transaction;
pub mod trie;

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use sha3::{Digest as _, Keccak256};

use crate::hex::{self, HexError, fixed_hex, text_form};

fixed_hex! {
    /// An account or contract. Printed as `0x` and 40 lower-case hex digits, never in the mixed case of EIP-55.
    Address, 20, "0x", "0x and 40 lower-case hex digits"
}

fixed_hex! {
    /// A Keccak-256 value of the chain: block hash, transaction hash, trie root. Printed as `0x` and 64 lower-case hex digits.
    Hash32, 32, "0x", "0x and 64 lower-case hex digits"
}

/// Any number of bytes. Printed as `0x` and lower-case hex digits.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Bytes(pub Vec<u8>);

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex::write(f, "0x", &self.0)
    }
}

impl FromStr for Bytes {
    type Err = HexError;

    fn from_str(text: &str) -> Result<Self, HexError> {
        hex::decode_vec(text, "0x").map(Self)
    }
}

text_form!(Bytes, "0x and an even number of lower-case hex digits");

/// An EVM chain, printed as its CAIP-2 reference `eip155:N` with N from 1 to 2^64−1 in plain decimal.
/// Ordered as that text, which is the order of anchors in a receipt: `eip155:10` comes before `eip155:9`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ChainRef(u64);

impl ChainRef {
    /// The chain with this EIP-155 id; `None` for 0.
    #[must_use]
    pub const fn new(id: u64) -> Option<Self> {
        if id == 0 { None } else { Some(Self(id)) }
    }

    /// The EIP-155 chain id.
    #[must_use]
    pub const fn id(self) -> u64 {
        self.0
    }
}

impl Ord for ChainRef {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.to_string().cmp(&other.0.to_string())
    }
}

impl PartialOrd for ChainRef {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for ChainRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "eip155:{}", self.0)
    }
}

/// The text is not `eip155:` and a plain decimal from 1 to 2^64−1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChainRefError;

impl fmt::Display for ChainRefError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not eip155:N")
    }
}

impl std::error::Error for ChainRefError {}

impl FromStr for ChainRef {
    type Err = ChainRefError;

    fn from_str(text: &str) -> Result<Self, ChainRefError> {
        let digits = text.strip_prefix("eip155:").ok_or(ChainRefError)?;
        // Only one spelling: no sign, no leading zero.
        if !digits.bytes().all(|b| b.is_ascii_digit()) || digits.starts_with('0') {
            return Err(ChainRefError);
        }
        digits.parse().ok().and_then(Self::new).ok_or(ChainRefError)
    }
}

text_form!(ChainRef, "eip155:N");

/// Keccak-256, the hash of the chain (not SHA3-256).
#[must_use]
pub fn keccak256(bytes: &[u8]) -> Hash32 {
    Hash32::from(<[u8; 32]>::from(Keccak256::digest(bytes)))
}
