//! One of several endpoints: as good as the model, or in a world of its own.

use std::sync::{Arc, Mutex};

use alloy::primitives::{Address, B256};
use async_trait::async_trait;
use sceau::chain::fees::FeeQuote;
use sceau::chain::{Block, Chain, ChainError, Heads, Inclusion, Record, Sent, Target};
use sceau_verifier::Evidence;

use super::{Fate, Model, World};

/// See the module.
#[derive(Debug)]
pub struct Peer {
    model: Arc<Model>,
    own: Mutex<Option<World>>,
}

impl Peer {
    pub fn of(model: &Arc<Model>) -> Self {
        Self { model: Arc::clone(model), own: Mutex::new(None) }
    }

    /// From now on it has a world of its own, that begins with a reorg of so many blocks and goes on so many blocks.
    pub fn fork(&self, depth: u64, fate: Fate, blocks: u64) {
        let mut world = self.model.world(|world| world.clone());
        world.set_apart();
        if depth > 0 {
            world.reorg(depth, fate);
        }
        (0..blocks).for_each(|_| world.mine());
        *self.own.lock().unwrap() = Some(world);
    }

    /// It sees what is so.
    pub fn catch_up(&self) {
        *self.own.lock().unwrap() = None;
    }

    /// Whether it has a world of its own, in which another block comes.
    pub fn go_on(&self) -> bool {
        let mut own = self.own.lock().unwrap();
        own.as_mut().map(World::mine).is_some()
    }

    fn own<T>(&self, ask: impl FnOnce(&mut World) -> T) -> Option<T> {
        self.own.lock().unwrap().as_mut().map(ask)
    }
}

#[async_trait]
impl Chain for Peer {
    fn target(&self) -> &Target {
        self.model.target()
    }
    async fn chain_id(&self) -> Result<u64, ChainError> {
        self.model.chain_id().await
    }
    async fn heads(&self) -> Result<Heads, ChainError> {
        let heads = |world: &mut World| Heads {
            latest: world.latest(),
            base_fee: world.base_fee,
            safe: Some(world.finalized()),
            finalized: Some(world.finalized()),
        };
        match self.own(heads) {
            Some(own) => Ok(own),
            None => self.model.heads().await,
        }
    }
    async fn block(&self, number: u64) -> Result<Option<Block>, ChainError> {
        match self.own(|world| world.block(number)) {
            Some(own) => Ok(own),
            None => self.model.block(number).await,
        }
    }
    async fn nonce(&self, address: Address) -> Result<u64, ChainError> {
        match self.own(|world| world.nonce(address)) {
            Some(own) => Ok(own),
            None => self.model.nonce(address).await,
        }
    }
    async fn balance(&self, address: Address) -> Result<u128, ChainError> {
        self.model.balance(address).await
    }
    async fn code_hash(&self) -> Result<Option<B256>, ChainError> {
        self.model.code_hash().await
    }
    async fn first_number(&self) -> Result<u64, ChainError> {
        self.model.first_number().await
    }
    async fn last_number(&self) -> Result<u64, ChainError> {
        match self.own(|world| world.last_number()) {
            Some(own) => Ok(own),
            None => self.model.last_number().await,
        }
    }
    async fn publisher(&self) -> Result<Option<Address>, ChainError> {
        self.model.publisher().await
    }
    async fn paid(&self, tx_hash: B256) -> Result<Option<u128>, ChainError> {
        self.model.paid(tx_hash).await
    }
    async fn record(&self, root: B256) -> Result<Option<Record>, ChainError> {
        match self.own(|world| world.record(root)) {
            Some(own) => Ok(own),
            None => self.model.record(root).await,
        }
    }
    async fn inclusion(&self, tx_hash: B256) -> Result<Option<Inclusion>, ChainError> {
        match self.own(|world| world.inclusion(tx_hash)) {
            Some(own) => Ok(own),
            None => self.model.inclusion(tx_hash).await,
        }
    }
    async fn anchoring(&self, root: B256, record: &Record) -> Result<Option<Inclusion>, ChainError> {
        match self.own(|world| world.anchoring(root, record)) {
            Some(own) => Ok(own),
            None => self.model.anchoring(root, record).await,
        }
    }
    async fn fees(&self) -> Result<FeeQuote, ChainError> {
        self.model.fees().await
    }
    async fn send(&self, raw: &[u8]) -> Result<Sent, ChainError> {
        match self.own(|world| world.send(raw)) {
            Some(own) => Ok(own),
            None => self.model.send(raw).await,
        }
    }
    async fn evidence(&self, root: B256, inclusion: &Inclusion) -> Result<Evidence, ChainError> {
        let known = self.own(|world| world.block(inclusion.block.number) == Some(inclusion.block));
        if known == Some(false) {
            return Err(ChainError::Garbage("the block is not served any more".into()));
        }
        if known == Some(true) {
            return Ok(super::answers::no_evidence());
        }
        self.model.evidence(root, inclusion).await
    }
}
