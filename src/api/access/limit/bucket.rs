//! Token buckets: so many at once, so many in the long run. Kept as one moment each (the *theoretical arrival time* of
//! GCRA, ITU-T I.371), so a bucket nobody used for a while is the same as none.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How fast a bucket fills and how much it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Let through in the long run. At least 1.
    pub per_second: u32,
    /// Let through at once. At least 1.
    pub burst: u32,
}

impl Rate {
    /// Time in which one place becomes free.
    fn interval(self) -> Duration {
        Duration::from_secs(1) / self.per_second.max(1)
    }

    /// Time in which an empty bucket is full again.
    #[must_use]
    pub fn window(self) -> Duration {
        self.interval() * self.burst.max(1)
    }
}

/// What a bucket said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// Whether there was a place. Who is refused takes none.
    pub let_through: bool,
    /// Places left now.
    pub remaining: u32,
    /// Until all places are free.
    pub full_in: Duration,
    /// Until one place is free; zero when there is one.
    pub retry_in: Duration,
}

/// A bucket for each key.
#[derive(Debug)]
pub struct Buckets<K> {
    arrivals: Mutex<HashMap<K, Instant>>,
}

impl<K> Default for Buckets<K> {
    fn default() -> Self {
        Self { arrivals: Mutex::default() }
    }
}

impl<K: Eq + Hash> Buckets<K> {
    /// Buckets in use at most. When more would be needed all are forgotten: memory is bounded, and whoever makes that
    /// happen has more addresses than a limit for each of them could stop.
    const MOST: usize = 100_000;

    /// Takes a place of `key` if there is one.
    pub fn take(&self, key: K, rate: Rate, now: Instant) -> Taken {
        let mut arrivals = self.arrivals.lock().unwrap_or_else(PoisonError::into_inner);
        let arrival = arrivals.get(&key).copied().unwrap_or(now).max(now);
        let next = arrival + rate.interval();
        let let_through = next <= now + rate.window();
        if let_through {
            if arrivals.len() >= Self::MOST {
                arrivals.retain(|_, arrival| *arrival > now);
                if arrivals.len() >= Self::MOST {
                    arrivals.clear();
                }
            }
            arrivals.insert(key, next);
        }
        Self::said(let_through, if let_through { next } else { arrival }, rate, now)
    }

    /// What [`Buckets::take`] would say, without taking.
    pub fn look(&self, key: &K, rate: Rate, now: Instant) -> Taken {
        let arrivals = self.arrivals.lock().unwrap_or_else(PoisonError::into_inner);
        let arrival = arrivals.get(key).copied().unwrap_or(now).max(now);
        Self::said(arrival + rate.interval() <= now + rate.window(), arrival, rate, now)
    }

    fn said(let_through: bool, arrival: Instant, rate: Rate, now: Instant) -> Taken {
        let used = arrival - now;
        let left = rate.window().saturating_sub(used);
        Taken {
            let_through,
            remaining: u32::try_from(left.as_nanos() / rate.interval().as_nanos().max(1)).unwrap_or(u32::MAX),
            full_in: used,
            retry_in: (used + rate.interval()).saturating_sub(rate.window()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_burst_then_the_rate() {
        let (buckets, rate, start) = (Buckets::default(), Rate { per_second: 4, burst: 3 }, Instant::now());
        let take = |at: u64| buckets.take("a", rate, start + Duration::from_millis(at));
        for remaining in [2, 1, 0] {
            assert_eq!((take(0).let_through, take_left(&buckets, rate, start)), (true, remaining));
        }
        let refused = take(0);
        assert_eq!((refused.let_through, refused.remaining, refused.retry_in), (false, 0, Duration::from_millis(250)));
        assert_eq!(refused.full_in, Duration::from_millis(750));
        assert!(!take(249).let_through);
        assert!(take(250).let_through, "whoever was refused took nothing");
        assert!(!take(251).let_through);
        assert!(buckets.take("b", rate, start).let_through, "others have their own");
        assert_eq!(take(10_000).remaining, 2, "it never holds more than the burst");
    }

    fn take_left(buckets: &Buckets<&'static str>, rate: Rate, now: Instant) -> u32 {
        buckets.look(&"a", rate, now).remaining
    }

    proptest! {
        /// Against the definition: in no span of time more than burst + rate × span, and nobody is refused who could be let
        /// through under it.
        #[test]
        fn agrees_with_the_definition(pauses in prop::collection::vec(0_u64..400, 1..200), per_second in 1_u32..20, burst in 1_u32..8) {
            let (buckets, rate, start) = (Buckets::default(), Rate { per_second, burst }, Instant::now());
            let (mut now, mut level, cost) = (0_u64, u64::from(burst) * 1000, 1000_u64);
            for pause in pauses {
                now += pause;
                // Thousandths of a place.
                level = (level + pause * u64::from(per_second)).min(u64::from(burst) * 1000);
                let taken = buckets.take((), rate, start + Duration::from_millis(now));
                // An interval is rounded down to nanoseconds: at the edge the bucket may be a hair more generous.
                if level >= cost { prop_assert!(taken.let_through); level -= cost; }
                else { prop_assert!(!taken.let_through || level + 1 >= cost); if taken.let_through { level = 0; } }
            }
        }
    }

    #[test]
    fn memory_is_bounded() {
        let (buckets, rate, now) = (Buckets::default(), Rate { per_second: 1, burst: 1 }, Instant::now());
        for key in 0..Buckets::<usize>::MOST + 10 {
            buckets.take(key, rate, now);
        }
        assert!(buckets.arrivals.lock().unwrap().len() <= Buckets::<usize>::MOST);
    }
}
