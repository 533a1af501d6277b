//! What is true on the chain, and what makes it change.

use std::collections::BTreeMap;

use alloy::consensus::{SignableTransaction, TxEnvelope};
use alloy::eips::eip2718::Decodable2718;
use alloy::primitives::{Address, B256, keccak256};
use alloy::sol_types::SolCall;
use sceau::chain::registry::AnchorRegistry::anchorCall;
use sceau::chain::{Block, Inclusion, Record, Sent};

pub const GWEI: u128 = 1_000_000_000;

/// What becomes of the transactions of blocks that a reorg takes away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// They are in the new blocks, one block later each.
    Later,
    /// They wait in the pool again.
    Pooled,
    /// The node forgets them.
    Dropped,
}

#[derive(Debug, Clone)]
struct Tx {
    hash: B256,
    sender: Address,
    nonce: u64,
    max_fee: u128,
    max_priority: u128,
    call: anchorCall,
}

/// State after a block.
#[derive(Debug, Clone, Default)]
struct State {
    records: BTreeMap<B256, (Record, B256)>,
    last: u64,
    nonces: BTreeMap<Address, u64>,
}

#[derive(Debug, Clone)]
struct Mined {
    block: Block,
    txs: Vec<(Tx, bool)>,
    state: State,
}

/// A chain as one node sees it: the last block is its head.
#[derive(Debug, Clone)]
pub struct World {
    blocks: Vec<Mined>,
    pool: BTreeMap<u64, Tx>,
    /// Transactions read before: recovering a signer takes long.
    read: BTreeMap<B256, Tx>,
    /// Whose anchors the registry takes.
    pub publisher: Address,
    pub base_fee: u128,
    /// Blocks this far below the head become final; final ones stay it.
    lag: u64,
    finalized: u64,
    /// Tells blocks of one height apart.
    forks: u64,
    /// Whether the signer's account is empty.
    pub broke: bool,
}

impl World {
    pub fn new(publisher: Address, lag: u64) -> Self {
        let block = Block { number: 0, hash: keccak256(b"genesis"), time: 1_700_000_000 };
        let genesis = Mined { block, txs: Vec::new(), state: State::default() };
        Self {
            blocks: vec![genesis],
            pool: BTreeMap::new(),
            read: BTreeMap::new(),
            publisher,
            base_fee: GWEI,
            lag,
            finalized: 0,
            forks: 0,
            broke: false,
        }
    }

    fn head(&self) -> &Mined {
        self.blocks.last().expect("a genesis block")
    }

    pub fn latest(&self) -> Block {
        self.head().block
    }

    pub fn finalized(&self) -> Block {
        self.blocks[self.finalized as usize].block
    }

    pub fn block(&self, number: u64) -> Option<Block> {
        self.blocks.get(usize::try_from(number).ok()?).map(|mined| mined.block)
    }

    pub fn nonce(&self, address: Address) -> u64 {
        self.head().state.nonces.get(&address).copied().unwrap_or(0)
    }

    pub fn last_number(&self) -> u64 {
        self.head().state.last
    }

    pub fn record(&self, root: B256) -> Option<Record> {
        self.head().state.records.get(&root).map(|(record, _)| *record)
    }

    pub fn inclusion(&self, tx_hash: B256) -> Option<Inclusion> {
        self.blocks.iter().rev().find_map(|mined| {
            let place = mined.txs.iter().position(|(tx, _)| tx.hash == tx_hash)?;
            Some(Inclusion { tx_hash, tx_index: place as u64, block: mined.block, success: mined.txs[place].1 })
        })
    }

    pub fn anchoring(&self, root: B256, record: &Record) -> Option<Inclusion> {
        let (stored, tx_hash) = self.head().state.records.get(&root)?;
        (stored == record).then(|| self.inclusion(*tx_hash)).flatten()
    }

    /// Transactions in blocks, and those of them that reverted.
    pub fn transactions(&self) -> (usize, usize) {
        let txs = || self.blocks.iter().flat_map(|mined| &mined.txs);
        (txs().count(), txs().filter(|(_, success)| !success).count())
    }

    /// How many blocks a reorg may take away.
    pub fn loose(&self) -> u64 {
        self.latest().number - self.finalized
    }

    pub fn send(&mut self, raw: &[u8]) -> Sent {
        let hash = keccak256(raw);
        let Some(tx) = self.read.get(&hash).cloned().or_else(|| read(raw)) else {
            return Sent::Rejected("not understood".into());
        };
        self.read.entry(hash).or_insert_with(|| tx.clone());
        if tx.nonce < self.nonce(tx.sender) {
            return Sent::NonceTooLow;
        }
        if self.broke {
            return Sent::InsufficientFunds;
        }
        if tx.max_fee < self.base_fee {
            return Sent::Underpriced;
        }
        match self.pool.get(&tx.nonce) {
            Some(waiting) if waiting.hash == tx.hash => return Sent::AlreadyKnown,
            Some(waiting) => {
                let enough = |new: u128, old: u128| new * 10 >= old * 11;
                if !enough(tx.max_fee, waiting.max_fee) || !enough(tx.max_priority, waiting.max_priority) {
                    return Sent::Underpriced;
                }
            }
            None => {}
        }
        self.pool.insert(tx.nonce, tx);
        Sent::Accepted
    }

    /// A block with everything the pool can give it.
    pub fn mine(&mut self) {
        let mut txs = Vec::new();
        let mut nonce = self.nonce(self.publisher);
        self.pool.retain(|waiting, _| *waiting >= nonce);
        while self.pool.get(&nonce).is_some_and(|tx| tx.max_fee >= self.base_fee) {
            txs.extend(self.pool.remove(&nonce));
            nonce += 1;
        }
        self.append(txs);
        let head = self.latest().number;
        self.finalized = self.finalized.max(head.saturating_sub(self.lag));
    }

    fn append(&mut self, txs: Vec<Tx>) {
        let parent = self.latest();
        let number = parent.number + 1;
        let name = [parent.hash.as_slice(), &self.forks.to_be_bytes(), &(txs.len() as u64).to_be_bytes()].concat();
        let block = Block { number, hash: keccak256(name), time: parent.time + 12 };
        let mut state = self.head().state.clone();
        let run = |tx: Tx| {
            let success = state.run(&tx, &block, self.publisher);
            (tx, success)
        };
        let txs = txs.into_iter().map(run).collect();
        self.blocks.push(Mined { block, txs, state });
    }

    /// A reorg that no chain with finality makes: it takes back what was final, and calls the new blocks final.
    pub fn break_finality(&mut self, depth: u64) {
        let finalized = std::mem::take(&mut self.finalized);
        self.reorg(depth, Fate::Dropped);
        self.finalized = finalized;
    }

    /// The blocks to come are of a fork that nobody else is on.
    pub fn set_apart(&mut self) {
        self.forks += 1 << 32;
    }

    /// Replaces the newest `depth` blocks by one more of other ones.
    pub fn reorg(&mut self, depth: u64, fate: Fate) {
        let depth = depth.min(self.loose());
        let gone = self.blocks.split_off(self.blocks.len() - depth as usize);
        self.forks += 1;
        let mut txs: Vec<Vec<Tx>> = gone.into_iter().map(|mined| mined.txs.into_iter().map(|(tx, _)| tx).collect()).collect();
        match fate {
            Fate::Later => self.append(Vec::new()),
            Fate::Pooled => {
                for tx in txs.iter_mut().flat_map(std::mem::take) {
                    self.pool.entry(tx.nonce).or_insert(tx);
                }
                self.append(Vec::new());
            }
            Fate::Dropped => {
                txs.iter_mut().for_each(Vec::clear);
                self.append(Vec::new());
            }
        }
        for txs in txs {
            self.append(txs);
        }
    }

    /// The node forgets what waits.
    pub fn drop_pool(&mut self) {
        self.pool.clear();
    }
}

impl State {
    /// The registry's rules (contracts/src/AnchorRegistry.sol); false is a revert. The nonce is used either way.
    fn run(&mut self, tx: &Tx, block: &Block, publisher: Address) -> bool {
        *self.nonces.entry(tx.sender).or_insert(0) = tx.nonce + 1;
        let anchorCall { number, root, size } = tx.call;
        if tx.sender != publisher || root.is_zero() || size < 2 {
            return false;
        }
        if let Some((record, _)) = self.records.get(&root) {
            return (record.number, record.size) == (number, size);
        }
        if number != self.last + 1 {
            return false;
        }
        self.last = number;
        let record = Record { timestamp: block.time, block_number: block.number, size, number };
        self.records.insert(root, (record, tx.hash));
        true
    }
}

fn read(raw: &[u8]) -> Option<Tx> {
    let TxEnvelope::Eip1559(signed) = TxEnvelope::decode_2718_exact(raw).ok()? else { return None };
    let tx = signed.tx();
    Some(Tx {
        hash: keccak256(raw),
        sender: signed.signature().recover_address_from_prehash(&tx.signature_hash()).ok()?,
        nonce: tx.nonce,
        max_fee: tx.max_fee_per_gas,
        max_priority: tx.max_priority_fee_per_gas,
        call: anchorCall::abi_decode_validate(&tx.input).ok()?,
    })
}
