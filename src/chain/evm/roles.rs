//! Who may do what in the registry.

use alloy::primitives::{Address, Bytes, U64, U256};
use alloy::sol_types::SolCall;
use serde_json::json;

use super::Evm;
use crate::chain::registry::AnchorRegistry;
use crate::chain::{Chain, ChainError};

/// Who may do what, and how far the registry is, at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Roles {
    /// Names and revokes publishers.
    pub owner: Address,
    /// May take over ownership.
    pub pending_owner: Option<Address>,
    /// May anchor; `None` while revoked.
    pub publisher: Option<Address>,
    /// May take over publishing.
    pub pending_publisher: Option<Address>,
    /// Number of the registry's first batch.
    pub first_number: u64,
    /// Number of its newest anchor; one below the first while there is none.
    pub last_number: u64,
}

impl Evm {
    /// Everybody's rights in the registry, at `latest`.
    ///
    /// # Errors
    /// Why the node could not be asked, or that the address holds another contract.
    pub async fn roles(&self) -> Result<Roles, ChainError> {
        let owner = self.role(AnchorRegistry::ownerCall {}).await?;
        Ok(Roles {
            owner: owner.ok_or_else(|| ChainError::Garbage("a registry without owner".into()))?,
            pending_owner: self.role(AnchorRegistry::pendingOwnerCall {}).await?,
            publisher: self.role(AnchorRegistry::publisherCall {}).await?,
            pending_publisher: self.role(AnchorRegistry::pendingPublisherCall {}).await?,
            first_number: self.first_number().await?,
            last_number: self.last_number().await?,
        })
    }

    /// Gas that a call of the registry by `from` takes now. A call that would revert is refused in words.
    pub(in crate::chain) async fn estimate(&self, from: Address, input: &Bytes) -> Result<u64, ChainError> {
        let call = json!([{ "from": from, "to": self.target.registry, "input": input }]);
        Ok(self.rpc.call::<U64>("eth_estimateGas", call).await?.to())
    }

    /// An address the registry returns; `None` for the zero address.
    pub(super) async fn role<C: SolCall + Send>(&self, call: C) -> Result<Option<Address>, ChainError> {
        let returned = self.read(call).await?;
        // One word, its upper twelve bytes zero: anything else is no registry's answer.
        let word = <[u8; 32]>::try_from(returned.as_ref()).ok().filter(|word| word[..12] == [0; 12]);
        let word = word.ok_or_else(|| {
            ChainError::Garbage(format!("{} does not answer like a registry: {} bytes", self.target.registry, returned.len()))
        })?;
        let address = Address::from_word(U256::from_be_bytes(word).into());
        Ok((!address.is_zero()).then_some(address))
    }
}
