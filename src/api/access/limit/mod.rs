//! How often somebody may ask, and how that is told: 429, `Retry-After`, and the fields `RateLimit-Policy` and
//! `RateLimit` (draft-ietf-httpapi-ratelimit-headers-10).

mod bucket;
mod quota;

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use tokio::time::Instant;

pub use self::bucket::{Buckets, Rate, Taken};
pub use self::quota::Quota;
use crate::api::error::{Code, Result};
use crate::ledger::accounts::AccountId;
use crate::ledger::accounts::limits::Limits;

static POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
static STATE: HeaderName = HeaderName::from_static("ratelimit");
/// The largest integer a structured field can hold (RFC 9651 §3.3.1).
const LARGEST: u64 = 999_999_999_999_999;

/// The buckets of one instance.
#[derive(Debug)]
pub struct Rates {
    accounts: Buckets<AccountId>,
    addresses: Buckets<IpAddr>,
    strangers: Rate,
}

impl Default for Rates {
    fn default() -> Self {
        Self::new(Rate { per_second: 20, burst: 200 })
    }
}

impl Rates {
    /// `strangers` is for one address at the token endpoint, and for key and secret that were wrong elsewhere.
    #[must_use]
    pub fn new(strangers: Rate) -> Self {
        Self { accounts: Buckets::default(), addresses: Buckets::default(), strangers }
    }

    /// One request of an account.
    ///
    /// # Errors
    /// [`Code::RateLimited`].
    pub fn account(&self, account: AccountId, limits: &Limits, meter: &Meter) -> Result<()> {
        let rate = Rate { per_second: limits.requests_per_second, burst: limits.burst };
        told("requests", rate, self.accounts.take(account, rate, Instant::now()), meter)
    }

    /// One attempt to prove who one is, from `address`.
    ///
    /// # Errors
    /// [`Code::RateLimited`].
    pub fn stranger(&self, address: Option<IpAddr>, meter: &Meter) -> Result<()> {
        let Some(address) = address else { return Ok(()) };
        told("tokens", self.strangers, self.addresses.take(neighbourhood(address), self.strangers, Instant::now()), meter)
    }

    /// As [`Rates::stranger`], but takes nothing.
    ///
    /// # Errors
    /// [`Code::RateLimited`].
    pub fn may_try(&self, address: Option<IpAddr>, meter: &Meter) -> Result<()> {
        let Some(address) = address else { return Ok(()) };
        let said = self.addresses.look(&neighbourhood(address), self.strangers, Instant::now());
        if said.let_through { Ok(()) } else { told("tokens", self.strangers, said, meter) }
    }
}

/// One customer of a network provider has at least 2^64 addresses of version 6.
pub(in crate::api) fn neighbourhood(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() & !u128::from(u64::MAX)).into()),
        address @ IpAddr::V4(_) => address,
    }
}

fn told(name: &'static str, rate: Rate, taken: Taken, meter: &Meter) -> Result<()> {
    meter.note(Noted {
        name,
        unit: None,
        quota: rate.burst.into(),
        window: seconds(rate.window()),
        remaining: taken.remaining.into(),
        reset: seconds(taken.full_in),
    });
    if taken.let_through {
        return Ok(());
    }
    let wait = seconds(taken.retry_in).max(1);
    let detail = format!("{} requests at once, {} a second in the long run; try again in {wait} s", rate.burst, rate.per_second);
    Err(Code::RateLimited.with(detail).retry_after(wait))
}

/// Rounded up: whoever waits so long does not come too early.
fn seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

/// One policy and how it stands.
#[derive(Debug, Clone, Copy)]
struct Noted {
    name: &'static str,
    unit: Option<&'static str>,
    quota: u64,
    window: u64,
    remaining: u64,
    reset: u64,
}

/// Where the limits that a request met are noted until its answer is printed. Cloning shares.
#[derive(Debug, Clone, Default)]
pub struct Meter(Arc<Mutex<Vec<Noted>>>);

impl Meter {
    fn note(&self, noted: Noted) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|other| other.name != noted.name);
        all.push(noted);
    }

    /// Writes what was noted into the answer's head.
    pub fn write(&self, headers: &mut HeaderMap) {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.is_empty() {
            return;
        }
        let policy = all.iter().map(|noted| {
            let unit = noted.unit.map(|unit| format!(";qu=\"{unit}\"")).unwrap_or_default();
            format!("\"{}\";q={};w={}{unit}", noted.name, noted.quota.min(LARGEST), noted.window)
        });
        let state = all.iter().map(|noted| format!("\"{}\";r={};t={}", noted.name, noted.remaining.min(LARGEST), noted.reset));
        for (name, items) in [(&POLICY, policy.collect::<Vec<_>>()), (&STATE, state.collect())] {
            if let Ok(value) = HeaderValue::from_str(&items.join(", ")) {
                headers.insert(name, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_one_customer_share_a_bucket() {
        let of = |text: &str| neighbourhood(text.parse().unwrap());
        assert_eq!(of("2001:db8:1:2:3::4"), of("2001:db8:1:2:ffff::1"));
        assert_ne!(of("2001:db8:1:2::4"), of("2001:db8:1:3::4"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert_ne!(of("192.0.2.2"), of("192.0.2.1"));
    }

    #[test]
    fn seconds_are_rounded_up() {
        assert_eq!([0, 1, 999, 1000, 1001].map(|ms| seconds(Duration::from_millis(ms))), [0, 1, 1, 1, 2]);
    }

    #[test]
    fn the_fields_are_lists_of_strings_with_parameters() {
        let (meter, mut headers) = (Meter::default(), HeaderMap::new());
        meter.write(&mut headers);
        assert!(headers.is_empty());
        let noted = Noted { name: "requests", unit: None, quota: 5, window: 2, remaining: 4, reset: 1 };
        meter.note(noted);
        meter.note(Noted { name: "digests", unit: Some("digests"), quota: u64::MAX, ..noted });
        meter.write(&mut headers);
        assert_eq!(headers[&POLICY], "\"requests\";q=5;w=2, \"digests\";q=999999999999999;w=2;qu=\"digests\"");
        assert_eq!(headers[&STATE], "\"requests\";r=4;t=1, \"digests\";r=4;t=1");
    }
}
