//! What Sceau needs of an EVM chain, and nothing more: [`Chain`].
//!
//! A chain is asked, never remembered: every answer is a fact of one moment, and [`Block`] hashes are how two moments
//! are told apart. The real chain is [`evm`], or several of them through [`endpoints`]; tests bring a model of their own.

pub mod administer;
pub mod deploy;
pub mod endpoints;
pub mod evidence;
pub mod evm;
pub mod fees;
pub mod observed;
pub mod registry;
pub mod signer;

use alloy::primitives::{Address, B256};
use async_trait::async_trait;
use sceau_verifier::Evidence;

use self::fees::FeeQuote;

/// Where anchors go: one registry contract on one chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// Address of the `AnchorRegistry`.
    pub registry: Address,
}

impl Target {
    /// The chain as CAIP-2 names it, for example `eip155:1`.
    #[must_use]
    pub fn caip2(&self) -> String {
        format!("eip155:{}", self.chain_id)
    }
}

/// One block, by everything that names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    /// Height.
    pub number: u64,
    /// Hash of the header.
    pub hash: B256,
    /// The header's timestamp, seconds since 1970.
    pub time: u64,
}

/// The ends of the chain as the node sees them at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heads {
    /// Newest block.
    pub latest: Block,
    /// Base fee per gas of the newest block, wei.
    pub base_fee: u128,
    /// Block of the `safe` tag, where the chain has one.
    pub safe: Option<Block>,
    /// Block of the `finalized` tag, where the chain has one.
    pub finalized: Option<Block>,
}

impl Heads {
    /// Height at and below which blocks are final: that of the `finalized` tag, or `depth` below the head where a depth is
    /// given; `None` when no block is.
    #[must_use]
    pub fn final_height(&self, depth: Option<u64>) -> Option<u64> {
        match depth {
            // A young chain has no block that deep: no wrap-around into "everything is final".
            Some(depth) => self.latest.number.checked_sub(depth),
            None => self.finalized.map(|block| block.number),
        }
    }
}

/// What the registry stores of a root (one storage word).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record {
    /// Time of the anchoring block, seconds since 1970.
    pub timestamp: u64,
    /// Height of the anchoring block.
    pub block_number: u64,
    /// Leaves in the batch's tree.
    pub size: u64,
    /// The batch's number.
    pub number: u64,
}

/// A transaction's place in a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inclusion {
    /// The transaction.
    pub tx_hash: B256,
    /// Its position in the block.
    pub tx_index: u64,
    /// The block.
    pub block: Block,
    /// Whether it ran to its end (receipt status 1).
    pub success: bool,
}

/// How a node took a raw transaction. Texts differ between clients, so they are sorted into these once, in [`evm`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sent {
    /// New to the node and now in its pool.
    Accepted,
    /// The node has this very transaction already.
    AlreadyKnown,
    /// The nonce is used on chain: by this transaction, by another of its attempts, or by somebody else.
    NonceTooLow,
    /// Another transaction holds the nonce and the fees do not beat it, or they are below what the node takes.
    Underpriced,
    /// The signer cannot pay.
    InsufficientFunds,
    /// Anything else the node said about the transaction itself.
    Rejected(String),
}

/// Why the chain could not be asked. None of these says anything about the chain itself.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ChainError {
    /// No answer: connection refused, time-out, 5xx, 429.
    #[error("chain endpoint unreachable: {0}")]
    Unreachable(String),
    /// An answer that cannot be right: not JSON, wrong id, missing members, hash that does not match.
    #[error("chain endpoint answered nonsense: {0}")]
    Garbage(String),
    /// The node refused the call (JSON-RPC error object).
    #[error("chain endpoint refused {method}: {message} (code {code})")]
    Refused {
        /// JSON-RPC method.
        method: &'static str,
        /// JSON-RPC error code.
        code: i64,
        /// The node's text.
        message: String,
    },
    /// The node serves another chain than the one configured.
    #[error("endpoint serves chain {found}, configured is {expected}")]
    WrongChain {
        /// The configured chain id.
        expected: u64,
        /// The node's chain id.
        found: u64,
    },
    /// There is no contract at the registry's address.
    #[error("no contract at the registry's address {registry}")]
    NoRegistry {
        /// The configured address.
        registry: Address,
    },
}

/// One registry on one chain, as the pipeline sees it. Every call answers or fails within a bounded time (10 s by
/// default for each exchange with the node) and may be repeated at will.
#[async_trait]
pub trait Chain: std::fmt::Debug + Send + Sync {
    /// Which registry on which chain.
    fn target(&self) -> &Target;

    /// Chain id as the node says it.
    async fn chain_id(&self) -> Result<u64, ChainError>;

    /// The ends of the chain, read in this order: finalized, safe, latest, so that a growing chain cannot make
    /// `finalized` look newer than `latest`.
    async fn heads(&self) -> Result<Heads, ChainError>;

    /// The canonical block at a height, `None` above the head.
    async fn block(&self, number: u64) -> Result<Option<Block>, ChainError>;

    /// Transactions of `address` mined so far at the `latest` block (never `pending`: nodes get that one wrong).
    async fn nonce(&self, address: Address) -> Result<u64, ChainError>;

    /// Balance of `address` at `latest`, wei.
    async fn balance(&self, address: Address) -> Result<u128, ChainError>;

    /// Hash of the code at the registry's address at `latest`; `None` where there is no code.
    async fn code_hash(&self) -> Result<Option<B256>, ChainError>;

    /// The number the registry starts with.
    async fn first_number(&self) -> Result<u64, ChainError>;

    /// Number of the registry's newest anchor at `latest` (its first number minus one when it has none).
    async fn last_number(&self) -> Result<u64, ChainError>;

    /// Who may anchor, at `latest`; `None` while the publisher is revoked.
    async fn publisher(&self) -> Result<Option<Address>, ChainError>;

    /// The registry's record of `root` at `latest`.
    async fn record(&self, root: B256) -> Result<Option<Record>, ChainError>;

    /// Where the transaction is on the canonical chain; `None` when it is not mined. The block's hash is the one the
    /// node answers for that height at the same moment.
    async fn inclusion(&self, tx_hash: B256) -> Result<Option<Inclusion>, ChainError>;

    /// What a mined transaction cost its sender, wei; `None` when it is not mined, or the node does not tell.
    async fn paid(&self, tx_hash: B256) -> Result<Option<u128>, ChainError>;

    /// The transaction that anchored `root`, looked up by its event in the block `record` names.
    async fn anchoring(&self, root: B256, record: &Record) -> Result<Option<Inclusion>, ChainError>;

    /// What a transaction should offer now.
    async fn fees(&self) -> Result<FeeQuote, ChainError>;

    /// Hands signed bytes to the node. An `Err` means that it is unknown whether the node took them.
    async fn send(&self, raw: &[u8]) -> Result<Sent, ChainError>;

    /// Everything a verifier needs to check the anchor from the block's hash alone, checked before it is returned.
    async fn evidence(&self, root: B256, inclusion: &Inclusion) -> Result<Evidence, ChainError>;

    /// Height at and below which blocks count as final, `heads` being what [`Chain::heads`] answered.
    fn final_height(&self, heads: &Heads, depth: Option<u64>) -> Option<u64> {
        heads.final_height(depth)
    }

    /// Whether everybody who has a say calls `block` final. Where one endpoint is all there is, nobody else is asked.
    async fn vouched(&self, _block: &Block, _depth: Option<u64>) -> Result<bool, ChainError> {
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_young_chain_has_no_final_block() {
        let block = |number| Block { number, hash: B256::ZERO, time: 0 };
        let heads = Heads { latest: block(5), base_fee: 0, safe: None, finalized: None };
        assert_eq!(heads.final_height(Some(6)), None);
        assert_eq!(heads.final_height(Some(5)), Some(0));
        assert_eq!(heads.final_height(Some(0)), Some(5));
        assert_eq!(heads.final_height(None), None, "no tag, no depth: nothing is ever final");
        let tagged = Heads { finalized: Some(block(3)), ..heads };
        assert_eq!(tagged.final_height(None), Some(3));
    }
}
