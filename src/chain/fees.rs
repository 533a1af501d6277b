//! Fees of EIP-1559 transactions: pure arithmetic.

/// What the chain asks now, wei per gas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeeQuote {
    /// Base fee of the next block.
    pub base_fee: u128,
    /// Tip that gets a transaction in within a few blocks.
    pub tip: u128,
}
