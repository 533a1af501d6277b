//! What owner and publisher do with a registry beside anchoring. Each act is one transaction: drafted, signed, sent until
//! it is in a block, and watched until that block is final.

mod act;

use std::time::{Duration, Instant};

use alloy::consensus::TxEip1559;
use alloy::primitives::{Address, B256, TxKind, U256};

pub use self::act::Act;
use crate::chain::evm::Evm;
use crate::chain::signer::SignedAnchor;
use crate::chain::{Chain, ChainError, Inclusion, Sent, fees};

/// Pause between two looks for a transaction, at most.
const LONGEST_LOOK: Duration = Duration::from_secs(2);

/// After how long without a block the same bytes are handed to the node again.
const RESEND_AFTER: Duration = Duration::from_secs(15);

/// Why an act is not done, or not known to be.
#[derive(Debug, thiserror::Error)]
pub enum AdministerError {
    /// The chain could not be asked.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The account cannot pay.
    #[error("{from} has {has} wei and may need {needs}: send it funds, or lower the fee cap")]
    Poor {
        /// The account.
        from: Address,
        /// What it has, wei.
        has: u128,
        /// What the transaction may cost at most, wei.
        needs: u128,
    },
    /// The node did not take the transaction; it is not on its way.
    #[error("the node did not take the transaction: {0:?}")]
    NotTaken(Sent),
    /// It was mined and failed.
    #[error("the transaction {0} failed on chain: nothing is changed")]
    Reverted(B256),
    /// It was sent, but is in no block yet.
    #[error("the transaction {0} is sent but in no block yet: call this again, it goes on where it was")]
    StillWaiting(B256),
    /// It is in a block that is not final in time.
    #[error("the transaction {0} is in a block, which is not final yet: look again with `sceau contract status`")]
    NotFinal(B256),
}

/// The transaction of an act, unsigned.
///
/// # Errors
/// When the chain cannot be asked, the call would revert, or the account cannot pay.
pub async fn draft(evm: &Evm, act: &Act, from: Address, nonce: u64, ceiling: u128) -> Result<TxEip1559, AdministerError> {
    let input = act.call();
    let gas = evm.estimate(from, &input).await?;
    let fees = fees::first(evm.fees().await?, ceiling);
    let transaction = TxEip1559 {
        chain_id: evm.target().chain_id,
        nonce,
        gas_limit: gas.saturating_add(gas / 5),
        max_fee_per_gas: fees.max_fee,
        max_priority_fee_per_gas: fees.max_priority,
        to: TxKind::Call(evm.target().registry),
        value: U256::ZERO,
        access_list: Default::default(),
        input,
    };
    let (has, needs) = (evm.balance(from).await?, most(&transaction));
    if has < needs { Err(AdministerError::Poor { from, has, needs }) } else { Ok(transaction) }
}

/// What a transaction may cost at most, wei.
#[must_use]
pub fn most(transaction: &TxEip1559) -> u128 {
    u128::from(transaction.gas_limit).saturating_mul(transaction.max_fee_per_gas)
}

/// Sends signed bytes until they are in a block, for `patience` at most. Safe to repeat with the same bytes.
///
/// # Errors
/// See [`AdministerError`]; after [`AdministerError::StillWaiting`] they may still come through.
pub async fn deliver(evm: &Evm, signed: &SignedAnchor, patience: Duration) -> Result<Inclusion, AdministerError> {
    let (start, mut sent_at, mut pause) = (Instant::now(), None, Duration::from_millis(50));
    loop {
        // A node that hiccups after the sending must not hide that it was sent.
        match evm.inclusion(signed.hash).await {
            Ok(Some(inclusion)) if inclusion.success => return Ok(inclusion),
            Ok(Some(_)) => return Err(AdministerError::Reverted(signed.hash)),
            Ok(None) | Err(_) => {}
        }
        if sent_at.is_none_or(|at: Instant| at.elapsed() >= RESEND_AFTER) {
            match evm.send(&signed.raw).await {
                Ok(Sent::Accepted | Sent::AlreadyKnown) => sent_at = Some(Instant::now()),
                // Mined meanwhile, and found at the next look.
                Ok(Sent::NonceTooLow) => {}
                Ok(refused) if sent_at.is_none() => return Err(AdministerError::NotTaken(refused)),
                Ok(_) | Err(_) => {}
            }
        }
        if start.elapsed() >= patience {
            return Err(AdministerError::StillWaiting(signed.hash));
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_LOOK);
    }
}

/// Waits until the transaction's block is final, for `patience` at most: by the `finalized` tag, or `depth` below the
/// head. `tell` hears the block, and the newest final one. What a reorg takes away is sent again.
///
/// # Errors
/// [`AdministerError::NotFinal`] when it takes too long; [`AdministerError::Reverted`] when it fails in another block.
pub async fn finality(
    evm: &Evm,
    signed: &SignedAnchor,
    depth: Option<u64>,
    patience: Duration,
    mut tell: impl FnMut(u64, Option<u64>) + Send,
) -> Result<Inclusion, AdministerError> {
    let (start, mut pause) = (Instant::now(), Duration::from_millis(50));
    loop {
        // The heads first: a block that is canonical after its height was final is final.
        if let Ok(heads) = evm.heads().await {
            let end = heads.final_height(depth);
            match evm.inclusion(signed.hash).await {
                Ok(Some(inclusion)) if !inclusion.success => return Err(AdministerError::Reverted(signed.hash)),
                Ok(Some(inclusion)) => {
                    tell(inclusion.block.number, end);
                    if end.is_some_and(|end| inclusion.block.number <= end) {
                        return Ok(inclusion);
                    }
                }
                Ok(None) => drop(evm.send(&signed.raw).await),
                Err(_) => {}
            }
        }
        if start.elapsed() >= patience {
            return Err(AdministerError::NotFinal(signed.hash));
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_LOOK);
    }
}
