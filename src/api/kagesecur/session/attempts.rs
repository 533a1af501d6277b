//! Failed logins, counted by address, so that nobody tries passwords at leisure.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use time::OffsetDateTime;

use crate::api::access::limit::neighbourhood;

/// Addresses whose failures are counted one by one in a minute. Those of further ones are counted together.
const ADDRESSES: usize = 10_000;

/// Counts failures of the minute. Memory is bounded whatever is tried from wherever.
#[derive(Debug)]
pub(in super::super) struct Attempts {
    most: u32,
    minute: Mutex<Minute>,
}

#[derive(Debug, Default)]
struct Minute {
    number: i64,
    failures: HashMap<IpAddr, u32>,
    others: u32,
}

impl Attempts {
    /// At most so many failed logins a minute from one address; 0: without limit.
    pub(in super::super) fn new(most: u32) -> Self {
        Self { most, minute: Mutex::default() }
    }

    /// Seconds to wait before the next try, when too many failed from there in this minute.
    pub(super) fn wait(&self, from: IpAddr, now: OffsetDateTime) -> Option<u64> {
        let count = self.of(now).count(from);
        (self.most > 0 && count >= self.most).then(|| 60 - u64::from(now.second()))
    }

    /// A login from there failed.
    pub(super) fn failed(&self, from: IpAddr, now: OffsetDateTime) {
        let mut minute = self.of(now);
        let count = minute.slot(from);
        *count = count.saturating_add(1);
    }

    fn of(&self, now: OffsetDateTime) -> std::sync::MutexGuard<'_, Minute> {
        let number = now.unix_timestamp().div_euclid(60);
        let mut minute = self.minute.lock().unwrap_or_else(PoisonError::into_inner);
        if minute.number != number {
            *minute = Minute { number, ..Minute::default() };
        }
        minute
    }
}

impl Minute {
    /// Takes no place: whoever logs in well is no reason to count others together.
    fn count(&self, from: IpAddr) -> u32 {
        let known = self.failures.get(&neighbourhood(from)).copied();
        known.unwrap_or(if self.failures.len() < ADDRESSES { 0 } else { self.others })
    }

    fn slot(&mut self, from: IpAddr) -> &mut u32 {
        let from = neighbourhood(from);
        if self.failures.len() >= ADDRESSES && !self.failures.contains_key(&from) {
            return &mut self.others;
        }
        self.failures.entry(from).or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    const NOW: OffsetDateTime = datetime!(2026-11-22 09:10:20 UTC);

    fn v4(number: u32) -> IpAddr {
        std::net::Ipv4Addr::from_bits(number).into()
    }

    #[test]
    fn failures_count_for_a_minute_and_for_their_address() {
        let attempts = Attempts::new(3);
        for _ in 0..3 {
            assert_eq!(attempts.wait(v4(1), NOW), None);
            attempts.failed(v4(1), NOW);
        }
        assert_eq!(attempts.wait(v4(1), NOW), Some(40));
        assert_eq!(attempts.wait(v4(2), NOW), None);
        assert_eq!(attempts.wait(v4(1), NOW + time::Duration::seconds(40)), None);
        let without = Attempts::new(0);
        without.failed(v4(1), NOW);
        assert_eq!(without.wait(v4(1), NOW), None);
    }

    #[test]
    fn a_network_of_ipv6_is_one_address() {
        let attempts = Attempts::new(1);
        attempts.failed("2001:db8::1".parse().unwrap(), NOW);
        assert!(attempts.wait("2001:db8::2".parse().unwrap(), NOW).is_some());
        assert!(attempts.wait("2001:db8:0:1::1".parse().unwrap(), NOW).is_none());
        attempts.failed("::ffff:10.0.0.1".parse().unwrap(), NOW);
        assert!(attempts.wait("10.0.0.1".parse().unwrap(), NOW).is_some());
        assert!(attempts.wait("10.0.0.2".parse().unwrap(), NOW).is_none());
    }

    #[test]
    fn memory_is_bounded_and_the_limit_still_holds() {
        let attempts = Attempts::new(2);
        for number in 0..20_000 {
            attempts.failed(v4(number), NOW);
        }
        assert_eq!(attempts.minute.lock().unwrap().failures.len(), ADDRESSES);
        assert!(attempts.wait(v4(30_000), NOW).is_some(), "those beyond share one count");
        assert!(attempts.wait(v4(5), NOW).is_none(), "those before have their own");
    }

    #[test]
    fn whoever_only_asks_takes_no_place() {
        let attempts = Attempts::new(1);
        for number in 0..20_000 {
            assert_eq!(attempts.wait(v4(number), NOW), None);
        }
        attempts.failed(v4(30_000), NOW);
        assert!(attempts.wait(v4(30_000), NOW).is_some());
        assert!(attempts.wait(v4(30_001), NOW).is_none(), "another's failure");
    }
}
