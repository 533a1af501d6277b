//! The real chain: a registry behind one JSON-RPC endpoint.
//!
//! No cache, no nonce bookkeeping, no retries, no filled-in fields: the caller owns nonces and fees and decides when to
//! ask again. Nothing a node says is taken further than it can be checked here; what counts in the end is evidence.

pub mod archive;
mod roles;
mod rpc;
mod sent;
mod wire;

use std::time::Duration;

use alloy::primitives::{Address, B256, Bytes, U64, U256, keccak256};
use alloy::sol_types::{SolCall, SolEvent};
use async_trait::async_trait;
use sceau_verifier::receipt::Evidence;
use serde_json::json;

pub use self::roles::Roles;
pub(in crate::chain) use self::rpc::Rpc;
use self::wire::{FeeHistory, Log, RpcBlock, RpcReceipt};
use super::fees::FeeQuote;
use super::registry::{AnchorRegistry, slot};
use super::{Block, Chain, ChainError, Heads, Inclusion, Record, Sent, Target, evidence};

/// How long one exchange with the node may take. A method of [`Chain`] makes at most a few, one after another.
pub const TIMEOUT: Duration = Duration::from_secs(10);

/// Blocks the tip is estimated from.
const FEE_BLOCKS: u64 = 20;

/// Tip assumed when the node gives no hint: what mainnet clients default to.
const DEFAULT_TIP: u128 = 1_000_000_000;

/// A registry on an EVM chain, asked over JSON-RPC.
#[derive(Debug)]
pub struct Evm {
    target: Target,
    rpc: Rpc,
}

impl Evm {
    /// Prepares the endpoint at `url` (`http://` or `https://`; it may hold a key and is never shown). Asks nothing
    /// over the network: see [`Evm::check`].
    ///
    /// # Errors
    /// When `url` is not an http(s) URL.
    pub fn connect(url: &str, target: Target) -> Result<Self, ChainError> {
        Self::connect_within(url, target, TIMEOUT)
    }

    /// [`Evm::connect`] with another time-out per exchange than [`TIMEOUT`].
    ///
    /// # Errors
    /// When `url` is not an http(s) URL.
    pub fn connect_within(url: &str, target: Target, timeout: Duration) -> Result<Self, ChainError> {
        Ok(Self { target, rpc: Rpc::new(url, timeout)? })
    }

    /// Makes sure that the endpoint serves the configured chain and that there is code at the registry's address, and
    /// returns that code's hash for the caller to compare with what it knows.
    ///
    /// # Errors
    /// [`ChainError::WrongChain`], [`ChainError::NoRegistry`], or why the node could not be asked.
    pub async fn check(&self) -> Result<B256, ChainError> {
        let found = self.chain_id().await?;
        if found != self.target.chain_id {
            return Err(ChainError::WrongChain { expected: self.target.chain_id, found });
        }
        self.code_hash().await?.ok_or(ChainError::NoRegistry { registry: self.target.registry })
    }

    pub(in crate::chain) const fn rpc(&self) -> &Rpc {
        &self.rpc
    }

    async fn tagged(&self, tag: &str) -> Result<Option<RpcBlock>, ChainError> {
        self.rpc.call("eth_getBlockByNumber", json!([tag, false])).await
    }

    /// A block by a tag that not every chain has.
    async fn end(&self, tag: &'static str) -> Result<Option<Block>, ChainError> {
        match self.tagged(tag).await {
            Ok(block) => block.map(|b| b.block()).transpose(),
            Err(ChainError::Refused { code, ref message, .. }) if wire::is_unknown_block(code, message) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn read<C: SolCall + Send>(&self, call: C) -> Result<Bytes, ChainError> {
        let data = Bytes::from(call.abi_encode());
        self.rpc.call("eth_call", json!([{ "to": self.target.registry, "input": data }, "latest"])).await
    }

    fn not_the_registry(&self, error: &alloy::sol_types::Error) -> ChainError {
        ChainError::Garbage(format!("{} does not answer like a registry: {error}", self.target.registry))
    }

    async fn suggested_tip(&self) -> Result<u128, ChainError> {
        match self.rpc.call::<U256>("eth_maxPriorityFeePerGas", json!([])).await {
            Ok(tip) => Ok(tip.saturating_to()),
            Err(ChainError::Refused { .. }) => Ok(DEFAULT_TIP),
            Err(error) => Err(error),
        }
    }
}

#[async_trait]
impl Chain for Evm {
    fn target(&self) -> &Target {
        &self.target
    }

    async fn chain_id(&self) -> Result<u64, ChainError> {
        Ok(self.rpc.call::<U64>("eth_chainId", json!([])).await?.to())
    }

    async fn heads(&self) -> Result<Heads, ChainError> {
        let finalized = self.end("finalized").await?;
        let safe = self.end("safe").await?;
        let newest = self.tagged("latest").await?.ok_or_else(|| ChainError::Garbage("no block at `latest`".into()))?;
        let base_fee = newest.base_fee().ok_or_else(|| ChainError::Garbage("no base fee: a chain before EIP-1559".into()))?;
        let latest = newest.block()?;
        // The three come from three moments, but each later one can only be further. Where it is not, the endpoint
        // balances over nodes that disagree (or rolled back in between): ask again, believe none.
        let mut ends = [finalized, safe, Some(latest)].into_iter().flatten();
        let mut below = ends.next();
        for end in ends {
            if below.is_some_and(|b| b.number > end.number || (b.number == end.number && b.hash != end.hash)) {
                return Err(ChainError::Garbage("finalized, safe and latest contradict each other".into()));
            }
            below = Some(end);
        }
        Ok(Heads { latest, base_fee, safe, finalized })
    }

    async fn block(&self, number: u64) -> Result<Option<Block>, ChainError> {
        let Some(found) = self.tagged(&format!("{number:#x}")).await? else { return Ok(None) };
        let block = found.block()?;
        if block.number != number {
            return Err(ChainError::Garbage(format!("asked for block {number}, got {}", block.number)));
        }
        Ok(Some(block))
    }

    async fn nonce(&self, address: Address) -> Result<u64, ChainError> {
        Ok(self.rpc.call::<U64>("eth_getTransactionCount", json!([address, "latest"])).await?.to())
    }

    async fn balance(&self, address: Address) -> Result<u128, ChainError> {
        Ok(self.rpc.call::<U256>("eth_getBalance", json!([address, "latest"])).await?.saturating_to())
    }

    async fn code_hash(&self) -> Result<Option<B256>, ChainError> {
        let code: Bytes = self.rpc.call("eth_getCode", json!([self.target.registry, "latest"])).await?;
        Ok((!code.is_empty()).then(|| keccak256(&code)))
    }

    async fn first_number(&self) -> Result<u64, ChainError> {
        let returned = self.read(AnchorRegistry::firstNumberCall {}).await?;
        AnchorRegistry::firstNumberCall::abi_decode_returns_validate(&returned).map_err(|e| self.not_the_registry(&e))
    }

    async fn last_number(&self) -> Result<u64, ChainError> {
        let returned = self.read(AnchorRegistry::lastNumberCall {}).await?;
        AnchorRegistry::lastNumberCall::abi_decode_returns_validate(&returned).map_err(|e| self.not_the_registry(&e))
    }

    async fn publisher(&self) -> Result<Option<Address>, ChainError> {
        self.role(AnchorRegistry::publisherCall {}).await
    }

    async fn record(&self, root: B256) -> Result<Option<Record>, ChainError> {
        let returned = self.read(AnchorRegistry::anchorsCall { root }).await?;
        Record::from_getter(&returned).map_err(|e| self.not_the_registry(&e))
    }

    async fn inclusion(&self, tx_hash: B256) -> Result<Option<Inclusion>, ChainError> {
        let receipt: Option<RpcReceipt> = self.rpc.call("eth_getTransactionReceipt", json!([tx_hash])).await?;
        let Some(receipt) = receipt else { return Ok(None) };
        if receipt.transaction_hash != tx_hash {
            return Err(ChainError::Garbage("receipt of another transaction".into()));
        }
        // No block yet: some nodes answer so for a transaction that waits.
        let Some((hash, number)) = receipt.place() else { return Ok(None) };
        // A receipt may outlive its block on a node that has just reorganised, or come from another node behind the
        // same address: only the canonical block at its height counts.
        let Some(block) = self.block(number).await?.filter(|b| b.hash == hash) else { return Ok(None) };
        Ok(Some(Inclusion { tx_hash, tx_index: receipt.transaction_index.to(), block, success: receipt.success()? }))
    }

    async fn paid(&self, tx_hash: B256) -> Result<Option<u128>, ChainError> {
        let receipt: Option<RpcReceipt> = self.rpc.call("eth_getTransactionReceipt", json!([tx_hash])).await?;
        Ok(receipt.filter(|receipt| receipt.transaction_hash == tx_hash).and_then(|receipt| receipt.paid()))
    }

    async fn anchoring(&self, root: B256, record: &Record) -> Result<Option<Inclusion>, ChainError> {
        let height = format!("{:#x}", record.block_number);
        let filter = json!({
            "fromBlock": height, "toBlock": height, "address": self.target.registry,
            "topics": [AnchorRegistry::Anchored::SIGNATURE_HASH, root],
        });
        let logs: Vec<Log> = self.rpc.call("eth_getLogs", json!([filter])).await?;
        // The contract emits the event once per root; nodes that ignore parts of a filter are not trusted to have
        // filtered, so what counts is checked again.
        let log = logs.into_iter().find(|log| {
            log.address == self.target.registry
                && log.topics.first() == Some(&AnchorRegistry::Anchored::SIGNATURE_HASH)
                && log.topics.get(1) == Some(&root)
                && !log.removed
        });
        let Some(tx_hash) = log.and_then(|log| log.transaction_hash) else { return Ok(None) };
        let inclusion = self.inclusion(tx_hash).await?;
        Ok(inclusion.filter(|i| (i.block.number, i.block.time) == (record.block_number, record.timestamp)))
    }

    async fn fees(&self) -> Result<FeeQuote, ChainError> {
        let asked = json!([format!("{FEE_BLOCKS:#x}"), "latest", [50]]);
        let (base_fee, tip) = match self.rpc.call::<FeeHistory>("eth_feeHistory", asked).await {
            Ok(history) => (history.next_base_fee(), history.median_tip()),
            Err(ChainError::Refused { .. }) => (None, None),
            Err(error) => return Err(error),
        };
        let base_fee = match base_fee {
            Some(fee) => fee,
            // The next base fee is at most an eighth above the newest (EIP-1559).
            None => self.heads().await.map(|h| h.base_fee.saturating_add(h.base_fee.div_ceil(8)))?,
        };
        let tip = match tip {
            Some(tip) => tip,
            None => self.suggested_tip().await?,
        };
        // Many nodes drop an offer without any tip.
        Ok(FeeQuote { base_fee, tip: tip.max(1) })
    }

    async fn send(&self, raw: &[u8]) -> Result<Sent, ChainError> {
        let bytes = Bytes::copy_from_slice(raw);
        match self.rpc.call::<B256>("eth_sendRawTransaction", json!([bytes])).await {
            Ok(hash) if hash == keccak256(raw) => Ok(Sent::Accepted),
            Ok(_) => Err(ChainError::Garbage("eth_sendRawTransaction answered another hash".into())),
            Err(error) => sent::sort(error),
        }
    }

    async fn evidence(&self, root: B256, inclusion: &Inclusion) -> Result<Evidence, ChainError> {
        evidence::capture(&self.rpc, &self.target, root, slot(root), inclusion).await
    }
}
