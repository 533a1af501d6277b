//! The publisher's money: nothing is signed that it cannot pay for, and its end is told long before.
//!
//! A transaction that is signed and cannot be paid waits in no node's pool, and every later one waits behind its nonce.
//! So the account must have the most that everything on its way and the next one may cost.

use std::sync::atomic::Ordering;

use alloy::primitives::Address;
use alloy::primitives::utils::format_ether;

use super::anchoring::Anchoring;
use super::{Result, StepError};
use crate::chain::fees;
use crate::chain::signer::ANCHOR_GAS;

impl Anchoring {
    /// Fails unless the publisher can pay an attempt for batch `number` at `max_fee` wei per gas beside everything that is
    /// on its way. An earlier attempt for the same batch does not count: one of them is mined.
    ///
    /// # Errors
    /// [`StepError::Funds`], or why it could not be found out.
    pub(super) async fn affords(&self, number: u64, max_fee: u128) -> Result<()> {
        let signer = self.signer.address();
        let (balance, others) = (self.balance(signer).await?, self.committed(signer, Some(number)).await?);
        let next = cost(max_fee);
        if balance >= others.saturating_add(next) {
            return Ok(());
        }
        Err(StepError::Funds(format!(
            "the publisher {signer} cannot pay for batch {number}: it has {}, may need {} for what is on its way and {} for \
             this one (in the chain's coin). Send it funds; nothing is lost meanwhile",
            format_ether(balance),
            format_ether(others),
            format_ether(next)
        )))
    }

    /// Looks at the publisher's account now and then, notes what it has, and warns once when it ends soon.
    pub(super) async fn watch_funds(&self) -> Result<()> {
        let signer = self.signer.address();
        let balance = self.balance(signer).await?;
        let funds = self.ledger.funds_of(self.chain.target().chain_id, &signer.into()).await?;
        let days = funds.as_ref().and_then(|funds| funds.runway_days());
        // Before there is a rate: can it pay one more?
        let next = cost(fees::first(self.chain.fees().await?, self.policy.ceiling).max_fee);
        let poor = balance < self.committed(signer, None).await?.saturating_add(next);
        let low = poor || days.is_some_and(|days| days < f64::from(self.policy.warn_runway));
        let was = self.low.swap(low, Ordering::Relaxed);
        let (chain, has) = (self.chain.target().caip2(), format_ether(balance));
        match (was, low) {
            (false, true) => match days {
                Some(days) => {
                    tracing::warn!(%signer, chain, balance = has, "the publisher's funds last {days:.1} days: send it more");
                }
                None => tracing::warn!(%signer, chain, balance = has, "the publisher cannot pay for an anchor: send it funds"),
            },
            (true, false) => tracing::info!(%signer, chain, balance = has, "the publisher has funds again"),
            _ => {}
        }
        Ok(())
    }

    /// What the account has, wei; noted for whoever asks how it is.
    async fn balance(&self, signer: Address) -> Result<u128> {
        let balance = self.chain.balance(signer).await?;
        self.ledger.note_balance(self.chain.target().chain_id, &signer.into(), balance).await?;
        Ok(balance)
    }

    /// What everything of the signer that is on its way may cost at most, wei, on all registries of the chain; without
    /// batch `number` of this one.
    async fn committed(&self, signer: Address, number: Option<u64>) -> Result<u128> {
        let flight = self.ledger.caps_in_flight(self.chain.target().chain_id, &signer.into()).await?;
        let others = flight.iter().filter(|(target, batch, _)| (*target, Some(*batch)) != (self.target, number));
        Ok(others.fold(0, |sum: u128, (_, _, max_fee)| sum.saturating_add(cost((*max_fee).into()))))
    }
}

/// The most an anchor may cost, wei.
fn cost(max_fee: u128) -> u128 {
    u128::from(ANCHOR_GAS).saturating_mul(max_fee)
}
