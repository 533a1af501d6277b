//! What the model answers to each call, when it does.

use alloy::primitives::{Address, B256};
use async_trait::async_trait;
use sceau::chain::fees::FeeQuote;
use sceau::chain::{Block, Chain, ChainError, Heads, Inclusion, Record, Sent, Target};
use sceau_verifier::Evidence;
use serde_json::json;

use super::Model;
use super::world::GWEI;

#[async_trait]
impl Chain for Model {
    fn target(&self) -> &Target {
        &self.target
    }
    async fn chain_id(&self) -> Result<u64, ChainError> {
        self.call(|_| 31337).await
    }
    async fn heads(&self) -> Result<Heads, ChainError> {
        self.call(|world| Heads {
            latest: world.latest(),
            base_fee: world.base_fee,
            safe: Some(world.finalized()),
            finalized: Some(world.finalized()),
        })
        .await
    }
    async fn block(&self, number: u64) -> Result<Option<Block>, ChainError> {
        let orphan = {
            let inside = self.inside.lock().unwrap();
            inside.orphans.iter().find(|block| inside.echo && block.number == number).copied()
        };
        self.call(|world| orphan.or(world.block(number))).await
    }
    async fn nonce(&self, address: Address) -> Result<u64, ChainError> {
        self.call(|world| world.nonce(address)).await
    }
    async fn balance(&self, _: Address) -> Result<u128, ChainError> {
        self.call(|world| if world.broke { 0 } else { GWEI * GWEI }).await
    }
    async fn code_hash(&self) -> Result<Option<B256>, ChainError> {
        self.call(|_| Some(B256::repeat_byte(1))).await
    }
    async fn first_number(&self) -> Result<u64, ChainError> {
        self.call(|_| 1).await
    }
    async fn last_number(&self) -> Result<u64, ChainError> {
        self.call(|world| world.last_number()).await
    }
    async fn publisher(&self) -> Result<Option<Address>, ChainError> {
        self.call(|world| Some(world.publisher)).await
    }
    async fn paid(&self, tx_hash: B256) -> Result<Option<u128>, ChainError> {
        self.call(|world| world.inclusion(tx_hash).map(|_| 52_000 * GWEI)).await
    }
    async fn record(&self, root: B256) -> Result<Option<Record>, ChainError> {
        self.call(|world| world.record(root)).await
    }
    async fn inclusion(&self, tx_hash: B256) -> Result<Option<Inclusion>, ChainError> {
        self.call(|world| world.inclusion(tx_hash)).await
    }
    async fn anchoring(&self, root: B256, record: &Record) -> Result<Option<Inclusion>, ChainError> {
        self.call(|world| world.anchoring(root, record)).await
    }
    async fn fees(&self) -> Result<FeeQuote, ChainError> {
        self.call(|world| FeeQuote { base_fee: world.base_fee, tip: GWEI / 10 }).await
    }
    async fn send(&self, raw: &[u8]) -> Result<Sent, ChainError> {
        self.call(|world| world.send(raw)).await
    }
    async fn evidence(&self, _: B256, inclusion: &Inclusion) -> Result<Evidence, ChainError> {
        // A node serves no state of a block it does not hold.
        let hash = inclusion.block.hash;
        let known = self.call(|world| world.block(inclusion.block.number).is_some_and(|block| block.hash == hash)).await?;
        if !known && !self.inside.lock().unwrap().echo {
            return Err(ChainError::Garbage("the block is not served any more".into()));
        }
        Ok(no_evidence())
    }
}

/// Evidence in form only: a model has no tries.
pub fn no_evidence() -> Evidence {
    let transaction = json!({"index": 0, "raw": "0x", "proof": []});
    let evidence = json!({"header": "0x", "account_proof": [], "storage_proof": [], "transaction": transaction});
    serde_json::from_value(evidence).expect("evidence")
}
