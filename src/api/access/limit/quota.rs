//! New digests a day.

use std::collections::HashSet;

use sceau_verifier::Digest;
use time::{Duration, OffsetDateTime, Time};

use super::{Meter, Noted, seconds};
use crate::api::State;
use crate::api::access::caller::Caller;
use crate::api::error::{Code, Problem, Result};
use crate::ledger::accounts::AccountId;

/// What an account may still submit today. The count itself, and the exact refusal, are in the database, in the
/// transaction of the proofs; this asks before, so that a submission that is too much does not get that far.
#[derive(Debug)]
pub struct Quota {
    limit: Option<u64>,
    used: u64,
    now: OffsetDateTime,
    meter: Meter,
}

impl Quota {
    /// Passes when `digests` fit in. Those that the account has submitted before cost nothing: a repetition is answered
    /// even when nothing is left.
    ///
    /// # Errors
    /// [`Code::QuotaExceeded`], and those of the database.
    pub async fn ask(api: &State, caller: &Caller, digests: impl Iterator<Item = Digest>) -> Result<Self> {
        let now = api.ports.clock.now();
        Self::of(api, caller.account, caller.limits.digests_per_day, &caller.meter, now, digests).await
    }

    async fn of(
        api: &State,
        account: AccountId,
        limit: Option<u64>,
        meter: &Meter,
        now: OffsetDateTime,
        digests: impl Iterator<Item = Digest>,
    ) -> Result<Self> {
        let mut quota = Self { limit, used: 0, now, meter: meter.clone() };
        let Some(limit) = limit else { return Ok(quota) };
        quota.used = api.ledger.used_today(account, now).await?;
        let digests: Vec<Digest> = digests.collect::<HashSet<_>>().into_iter().collect();
        let mut new = digests.len() as u64;
        if quota.used.saturating_add(new) > limit {
            new -= api.ledger.known_among(account, &digests).await?.min(new);
        }
        quota.note(0);
        if quota.used.saturating_add(new) > limit && new > 0 {
            return Err(quota.exceeded());
        }
        Ok(quota)
    }

    /// Tells what is left after `accepted` more.
    pub fn note(&self, accepted: u64) {
        let Some(limit) = self.limit else { return };
        self.meter.note(Noted {
            name: "digests",
            unit: Some("digests"),
            quota: limit,
            window: 86_400,
            remaining: limit.saturating_sub(self.used).saturating_sub(accepted),
            reset: until_tomorrow(self.now),
        });
    }

    fn exceeded(&self) -> Problem {
        let left = self.limit.unwrap_or(u64::MAX).saturating_sub(self.used);
        self.problem(format!("{left} new digests are left for today (UTC)"))
    }

    /// The refusal of the database, which knows better how much is left: others submit at the same time, and limits are
    /// remembered for some seconds.
    #[must_use]
    pub fn refused(&self) -> Problem {
        self.problem("fewer new digests are left for today (UTC)".into())
    }

    fn problem(&self, detail: String) -> Problem {
        Code::QuotaExceeded.with(detail).retry_after(until_tomorrow(self.now))
    }
}

/// Seconds until the next day begins, UTC.
fn until_tomorrow(now: OffsetDateTime) -> u64 {
    let now = now.to_offset(time::UtcOffset::UTC);
    let next = now.replace_time(Time::MIDNIGHT).saturating_add(Duration::DAY);
    seconds((next - now).unsigned_abs()).max(1)
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn a_day_ends_at_midnight_utc() {
        for (now, left) in [
            (datetime!(2026-11-22 00:00:00 UTC), 86_400),
            (datetime!(2026-11-22 23:59:59.5 UTC), 1),
            (datetime!(2026-11-23 01:30:00 +2), 1_800),
            (datetime!(9999-12-31 23:59:00 UTC), 60),
        ] {
            assert_eq!(until_tomorrow(now), left, "{now}");
        }
    }
}
