//! The anchoring transaction, as far as a receipt needs it.

use super::Address;
use super::rlp::{self, RlpError};

/// A signed EIP-1559 transaction. The signature is not checked: the block that holds the transaction vouches for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transaction<'a> {
    /// EIP-155 chain id: the only place where a block names its chain.
    pub chain_id: u64,
    /// The contract called.
    pub to: Address,
    /// Whether any ether is sent.
    pub has_value: bool,
    /// Calldata.
    pub input: &'a [u8],
}

impl<'a> Transaction<'a> {
    /// Reads the EIP-2718 bytes of a type 2 transaction (EIP-1559): twelve fields, canonical, nothing left over.
    ///
    /// # Errors
    /// Another type, not canonical RLP, a field of the wrong size, or a contract creation.
    pub fn decode(raw: &'a [u8]) -> Result<Self, RlpError> {
        let Some((0x02, body)) = raw.split_first() else {
            return Err(RlpError("not an EIP-1559 transaction"));
        };
        let items = rlp::exact(body)?.list()?;
        let [chain_id, nonce, tip, max_fee, gas, to, value, input, access_list, parity, r, s] = items.as_slice() else {
            return Err(RlpError("not 12 fields"));
        };
        for field in [nonce, gas] {
            field.uint()?;
        }
        for field in [tip, max_fee, r, s] {
            field.word()?;
        }
        if parity.uint()? > 1 {
            return Err(RlpError("a parity above 1"));
        }
        access_list.list()?;
        Ok(Self {
            chain_id: chain_id.uint()?,
            to: to.array::<20>()?.into(),
            has_value: value.word()? != [0; 32],
            input: input.string()?,
        })
    }
}
