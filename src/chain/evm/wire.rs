//! The members of node answers that are read, and nothing else: chains add members of their own.

use alloy::primitives::{Address, B256, U64, U256};
use serde::Deserialize;

use crate::chain::{Block, ChainError};

/// A block, without its transactions. Members are absent on pending blocks only.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RpcBlock {
    number: Option<U64>,
    hash: Option<B256>,
    timestamp: U64,
    base_fee_per_gas: Option<U256>,
}

impl RpcBlock {
    pub(super) fn block(&self) -> Result<Block, ChainError> {
        match (self.number, self.hash) {
            (Some(number), Some(hash)) => Ok(Block { number: number.to(), hash, time: self.timestamp.to() }),
            _ => Err(ChainError::Garbage("block without number or hash".into())),
        }
    }

    /// `None` before the London fork.
    pub(super) fn base_fee(&self) -> Option<u128> {
        self.base_fee_per_gas.map(|fee| fee.saturating_to())
    }
}

/// A transaction receipt.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RpcReceipt {
    pub(super) transaction_hash: B256,
    pub(super) transaction_index: U64,
    block_hash: Option<B256>,
    block_number: Option<U64>,
    status: Option<U64>,
    gas_used: Option<U64>,
    effective_gas_price: Option<U256>,
    /// What rollups of the OP stack charge beside, for their data on the chain below.
    l1_fee: Option<U256>,
}

impl RpcReceipt {
    pub(super) fn place(&self) -> Option<(B256, u64)> {
        Some((self.block_hash?, self.block_number?.to()))
    }

    /// What the sender paid, wei.
    pub(super) fn paid(&self) -> Option<u128> {
        let gas: u128 = self.gas_used?.to();
        let price: u128 = self.effective_gas_price?.saturating_to();
        Some(gas.saturating_mul(price).saturating_add(self.l1_fee.map_or(0, |fee| fee.saturating_to())))
    }

    pub(super) fn success(&self) -> Result<bool, ChainError> {
        // Since Byzantium (EIP-658), long before type-2 transactions.
        let status = self.status.ok_or_else(|| ChainError::Garbage("receipt without status".into()))?;
        Ok(status == U64::from(1))
    }
}

/// An event.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Log {
    pub(super) address: Address,
    pub(super) topics: Vec<B256>,
    pub(super) transaction_hash: Option<B256>,
    #[serde(default)]
    pub(super) removed: bool,
}

/// Answer of `eth_feeHistory` for one percentile.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FeeHistory {
    #[serde(default)]
    base_fee_per_gas: Vec<U256>,
    #[serde(default)]
    gas_used_ratio: Vec<f64>,
    #[serde(default)]
    reward: Option<Vec<Vec<U256>>>,
}

impl FeeHistory {
    /// The last member is the block after the newest; it has one more than there are blocks.
    pub(super) fn next_base_fee(&self) -> Option<u128> {
        let complete = !self.gas_used_ratio.is_empty() && self.base_fee_per_gas.len() == self.gas_used_ratio.len() + 1;
        self.base_fee_per_gas.last().filter(|_| complete).map(|fee| fee.saturating_to())
    }

    /// Median over the blocks of what half of the gas paid at least. Empty blocks say nothing and are left out.
    pub(super) fn median_tip(&self) -> Option<u128> {
        let rewards = self.reward.as_ref()?;
        let mut tips: Vec<u128> = rewards
            .iter()
            .zip(&self.gas_used_ratio)
            .filter(|(_, used)| **used > 0.0)
            .filter_map(|(percentiles, _)| percentiles.first().map(|tip| tip.saturating_to()))
            .collect();
        tips.sort_unstable();
        tips.get(tips.len() / 2).copied()
    }
}

/// Whether an error on a block tag says that the chain has no such block (yet), and not that the node has trouble:
/// −39001 is "unknown block" of the execution APIs; chains without the tags refuse them as invalid parameters.
pub(super) fn is_unknown_block(code: i64, message: &str) -> bool {
    const WORDS: [&str; 4] = ["not found", "unknown block", "not supported", "unsupported"];
    let message = message.to_lowercase();
    matches!(code, -39001 | -32602) || (code != -32601 && WORDS.iter().any(|w| message.contains(w)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(json: &str) -> FeeHistory {
        serde_json::from_str(json).expect("a fee history")
    }

    #[test]
    fn fees_are_read_from_the_history() {
        let h = history(
            r#"{"oldestBlock":"0x1","baseFeePerGas":["0x7","0x8","0x9","0xa"],"gasUsedRatio":[0.5,0,1],
                "reward":[["0x64"],["0x0"],["0x32"]]}"#,
        );
        assert_eq!(h.next_base_fee(), Some(10));
        // The empty block's 0 does not count; of 50 and 100 the upper is taken.
        assert_eq!(h.median_tip(), Some(100));
    }

    #[test]
    fn an_incomplete_history_says_nothing() {
        assert_eq!(history(r#"{"baseFeePerGas":["0x7"],"gasUsedRatio":[0.5]}"#).next_base_fee(), None);
        assert_eq!(history(r#"{"baseFeePerGas":["0x7"],"gasUsedRatio":[]}"#).next_base_fee(), None);
        assert_eq!(history(r#"{"baseFeePerGas":["0x7","0x7"],"gasUsedRatio":[0.5]}"#).median_tip(), None);
        assert_eq!(history(r#"{"gasUsedRatio":[0],"reward":[["0x5"]]}"#).median_tip(), None);
        assert_eq!(history("{}").median_tip(), None);
    }

    #[test]
    fn what_a_transaction_cost_is_gas_by_price_and_the_data_fee() {
        let read = |more: &str| {
            let hash = B256::ZERO;
            let json = format!(r#"{{"transactionHash":"{hash}","transactionIndex":"0x0"{more}}}"#);
            serde_json::from_str::<RpcReceipt>(&json).expect("a receipt").paid()
        };
        assert_eq!(read(""), None);
        assert_eq!(read(r#","gasUsed":"0x5208""#), None);
        assert_eq!(read(r#","gasUsed":"0x5208","effectiveGasPrice":"0xa""#), Some(210_000));
        assert_eq!(read(r#","gasUsed":"0x5208","effectiveGasPrice":"0xa","l1Fee":"0x7""#), Some(210_007));
    }

    #[test]
    fn a_missing_tag_is_told_from_trouble() {
        assert!(is_unknown_block(-39001, "Unknown block"));
        assert!(is_unknown_block(-32000, "finalized block not found"));
        assert!(is_unknown_block(-32602, "invalid argument 0: hex string without 0x prefix"));
        assert!(!is_unknown_block(-32603, "internal error"));
        assert!(!is_unknown_block(-32000, "database is locked"));
        assert!(!is_unknown_block(-32601, "method eth_getBlockByNumber not found"));
    }
}
