//! What a transaction offers (EIP-1559), pure arithmetic. All amounts are wei per gas; nothing overflows.

/// What the chain asks now, wei per gas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeeQuote {
    /// Base fee of the next block.
    pub base_fee: u128,
    /// Tip that gets a transaction in within a few blocks.
    pub tip: u128,
}

/// What a transaction offers, wei per gas. `max_priority` never exceeds `max_fee` when it comes from this module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fees {
    /// `maxFeePerGas`: the most that is paid, base fee and tip together.
    pub max_fee: u128,
    /// `maxPriorityFeePerGas`: the most that is paid to the block's proposer.
    pub max_priority: u128,
}

/// Offer of a first attempt: the tip, and a cap that survives the base fee doubling (six full blocks in a row, each
/// raises it by an eighth at most), neither above `ceiling`.
///
/// With a ceiling below the base fee the offer waits until the base fee falls: that is what a ceiling means.
#[must_use]
pub fn first(quote: FeeQuote, ceiling: u128) -> Fees {
    let max_fee = quote.base_fee.saturating_mul(2).saturating_add(quote.tip).min(ceiling);
    Fees { max_fee, max_priority: quote.tip.min(max_fee) }
}

/// Offer that replaces `previous` at the same nonce: what a first attempt would offer now, but both fees at least an
/// eighth (12.5 %, rounded up, at least 1 wei) above `previous`. geth and its descendants ask a tenth on *both*
/// (`txpool.pricebump`); an eighth leaves room for clients that round differently.
///
/// `None` when that would pass `ceiling`: then the previous bytes stay the best offer and are sent again unchanged.
#[must_use]
pub fn bump(previous: Fees, quote: FeeQuote, ceiling: u128) -> Option<Fees> {
    let least_fee = raised(previous.max_fee)?;
    let least_priority = raised(previous.max_priority)?;
    if least_fee > ceiling {
        return None;
    }
    let fresh = first(quote, ceiling);
    let max_fee = fresh.max_fee.max(least_fee);
    let max_priority = fresh.max_priority.max(least_priority);
    // Only a previous offer with a tip above its cap (never made here) can leave a tip that the cap does not cover.
    (max_priority <= max_fee).then_some(Fees { max_fee, max_priority })
}

/// `fee` and an eighth, rounded up, at least 1 more; `None` past 2^128.
fn raised(fee: u128) -> Option<u128> {
    fee.checked_add(fee.div_ceil(8).max(1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GWEI: u128 = 1_000_000_000;

    #[test]
    fn the_first_offer_is_twice_the_base_fee_and_the_tip() {
        let quote = FeeQuote { base_fee: 10 * GWEI, tip: GWEI };
        assert_eq!(first(quote, 100 * GWEI), Fees { max_fee: 21 * GWEI, max_priority: GWEI });
    }

    #[test]
    fn the_ceiling_limits_cap_and_tip() {
        let quote = FeeQuote { base_fee: 10 * GWEI, tip: 3 * GWEI };
        assert_eq!(first(quote, 15 * GWEI), Fees { max_fee: 15 * GWEI, max_priority: 3 * GWEI });
        assert_eq!(first(quote, 2 * GWEI), Fees { max_fee: 2 * GWEI, max_priority: 2 * GWEI });
    }

    #[test]
    fn a_bump_rounds_up_and_moves_even_from_zero() {
        let calm = FeeQuote { base_fee: 0, tip: 0 };
        let bumped = bump(Fees { max_fee: 9, max_priority: 0 }, calm, GWEI);
        assert_eq!(bumped, Some(Fees { max_fee: 11, max_priority: 1 }));
    }

    #[test]
    fn a_bump_follows_a_chain_that_became_dearer() {
        let quote = FeeQuote { base_fee: 50 * GWEI, tip: 2 * GWEI };
        let bumped = bump(Fees { max_fee: 21 * GWEI, max_priority: GWEI }, quote, 200 * GWEI);
        assert_eq!(bumped, Some(Fees { max_fee: 102 * GWEI, max_priority: 2 * GWEI }));
    }

    #[test]
    fn no_bump_above_the_ceiling() {
        let quote = FeeQuote { base_fee: 10, tip: 1 };
        let previous = Fees { max_fee: 80, max_priority: 8 };
        assert_eq!(bump(previous, quote, 90), Some(Fees { max_fee: 90, max_priority: 9 }));
        assert_eq!(bump(previous, quote, 89), None);
        let huge = Fees { max_fee: u128::MAX, max_priority: 1 };
        assert_eq!(bump(huge, quote, u128::MAX), None);
    }

    fn amount() -> impl Strategy<Value = u128> {
        prop_oneof![0..100_u128, 0..1_000 * GWEI, any::<u128>()]
    }

    proptest! {
        #[test]
        fn a_first_offer_is_sound(base_fee in amount(), tip in amount(), ceiling in amount()) {
            let fees = first(FeeQuote { base_fee, tip }, ceiling);
            prop_assert!(fees.max_priority <= fees.max_fee && fees.max_fee <= ceiling);
        }

        #[test]
        fn a_bump_is_a_valid_replacement_or_none(
            base_fee in amount(), tip in amount(), ceiling in amount(), old_fee in amount(), old_tip in amount(),
        ) {
            let quote = FeeQuote { base_fee, tip };
            let previous = Fees { max_fee: old_fee, max_priority: old_tip.min(old_fee) };
            // x is at least 9/8 of y, without overflow: x − y ≥ y/8 rounded up.
            let enough = |x: u128, y: u128| x > y && x - y >= y.div_ceil(8);
            match bump(previous, quote, ceiling) {
                Some(fees) => {
                    prop_assert!(enough(fees.max_fee, previous.max_fee));
                    prop_assert!(enough(fees.max_priority, previous.max_priority));
                    prop_assert!(fees.max_priority <= fees.max_fee && fees.max_fee <= ceiling);
                    prop_assert!(fees.max_fee >= first(quote, ceiling).max_fee);
                }
                // Given up only when the least valid replacement passes the ceiling.
                None => prop_assert!(!enough(ceiling, previous.max_fee)),
            }
        }

        #[test]
        fn bumping_ends(start in 1..u128::MAX, ceiling: u128) {
            let mut fees = Fees { max_fee: start, max_priority: 0 };
            let mut steps = 0;
            while let Some(next) = bump(fees, FeeQuote { base_fee: 0, tip: 0 }, ceiling) {
                fees = next;
                steps += 1;
                prop_assert!(steps < 1_000, "an eighth each time reaches any ceiling soon");
            }
        }
    }
}
