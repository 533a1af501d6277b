//! What a registry took, from its events: how a database that lost its newest rows learns of them again.

use alloy::consensus::TxEnvelope;
use alloy::eips::eip2718::Encodable2718;
use alloy::primitives::{Address, B256, Bytes, U64, keccak256};
use alloy::sol_types::{SolCall, SolEvent};
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::registry::AnchorRegistry;
use super::super::{Chain, ChainError};
use super::Evm;

/// Blocks asked for at once: what public endpoints allow.
const BLOCKS: u64 = 2_000;

/// A root that a registry took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Anchored {
    /// The batch's number.
    pub number: u64,
    /// Its root.
    pub root: B256,
    /// Leaves of its tree.
    pub size: u64,
    /// Height of the block.
    pub block_number: u64,
    /// The transaction.
    pub tx_hash: B256,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    address: Address,
    topics: Vec<B256>,
    data: Bytes,
    block_number: Option<U64>,
    transaction_hash: Option<B256>,
    #[serde(default)]
    removed: bool,
}

impl Evm {
    /// Everything the registry took in blocks `from` to `to`, in order of the numbers.
    ///
    /// # Errors
    /// When the node cannot be asked, or contradicts itself.
    pub async fn anchored(&self, from: u64, to: u64) -> Result<Vec<Anchored>, ChainError> {
        let mut found = Vec::new();
        for start in (from..=to).step_by(usize::try_from(BLOCKS).expect("a small number")) {
            let end = to.min(start + BLOCKS - 1);
            let filter = json!({
                "fromBlock": format!("{start:#x}"), "toBlock": format!("{end:#x}"), "address": self.target.registry,
                "topics": [AnchorRegistry::Anchored::SIGNATURE_HASH],
            });
            let events: Vec<Event> = self.rpc.call("eth_getLogs", json!([filter])).await?;
            for event in events {
                let ours = event.address == self.target.registry
                    && event.topics.first() == Some(&AnchorRegistry::Anchored::SIGNATURE_HASH)
                    && !event.removed;
                if !ours {
                    continue;
                }
                let nonsense = || ChainError::Garbage("an event of the registry that cannot be read".into());
                let read = AnchorRegistry::Anchored::decode_raw_log_validate(event.topics.iter().copied(), &event.data)
                    .map_err(|_| nonsense())?;
                let (Some(block_number), Some(tx_hash)) = (event.block_number, event.transaction_hash) else {
                    return Err(nonsense());
                };
                found.push(Anchored {
                    number: read.number,
                    root: read.root,
                    size: read.size,
                    block_number: block_number.to(),
                    tx_hash,
                });
            }
        }
        found.sort_unstable_by_key(|one| one.number);
        Ok(found)
    }

    /// The signed bytes of a transaction on the chain.
    ///
    /// # Errors
    /// When the node cannot be asked, does not know the transaction, or answers another.
    pub async fn signed_bytes(&self, tx_hash: B256) -> Result<Vec<u8>, ChainError> {
        let answer: Option<Value> = self.rpc.call("eth_getTransactionByHash", json!([tx_hash])).await?;
        let answer = answer.ok_or_else(|| ChainError::Garbage(format!("the node does not know transaction {tx_hash}")))?;
        let envelope = TxEnvelope::deserialize(&answer)
            .map_err(|error| ChainError::Garbage(format!("transaction {tx_hash} cannot be read: {error}")))?;
        let raw = envelope.encoded_2718();
        if keccak256(&raw) != tx_hash {
            return Err(ChainError::Garbage(format!("the node answers other bytes than those of transaction {tx_hash}")));
        }
        Ok(raw)
    }

    /// Transactions of `address` that are mined or wait, as the node thinks. Nodes get it wrong after a reorg, so it is good
    /// for waiting only.
    ///
    /// # Errors
    /// When the node cannot be asked.
    pub async fn waiting(&self, address: Address) -> Result<u64, ChainError> {
        Ok(self.rpc.call::<U64>("eth_getTransactionCount", json!([address, "pending"])).await?.to())
    }

    /// The call data with which a batch is anchored.
    #[must_use]
    pub fn call_of(anchored: &Anchored) -> Vec<u8> {
        AnchorRegistry::anchorCall { number: anchored.number, root: anchored.root, size: anchored.size }.abi_encode()
    }

    /// Height up to which blocks are final: by `depth` where one is given, by the chain's tag else; `None` while none is.
    ///
    /// # Errors
    /// When the node cannot be asked.
    pub async fn final_height(&self, depth: Option<u64>) -> Result<Option<u64>, ChainError> {
        let heads = self.heads().await?;
        Ok(match depth {
            Some(depth) => heads.latest.number.checked_sub(depth),
            None => heads.finalized.map(|block| block.number),
        })
    }
}
