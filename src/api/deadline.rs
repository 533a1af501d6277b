//! Promises of a moment: the schedule, and what anchoring is allowed to take.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;

use crate::ledger::intake::promises::Terms;

/// The last moment RFC 3339 can write.
pub(super) const LAST: OffsetDateTime = time::macros::datetime!(9999-12-31 23:59:59 UTC);

/// Nobody looks for broken promises further back: about 136 years, in seconds.
const LONGEST: i64 = 1 << 32;

/// By when a proof is promised to be anchored.
#[derive(Clone)]
pub struct Deadline {
    next_seal: Arc<dyn Fn(OffsetDateTime) -> OffsetDateTime + Send + Sync>,
    allowance: Duration,
}

impl fmt::Debug for Deadline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deadline").field("allowance", &self.allowance).finish_non_exhaustive()
    }
}

impl Deadline {
    /// `next_seal` answers the first scheduled seal after a moment; anchoring is allowed to take `allowance` from there.
    pub fn new(next_seal: impl Fn(OffsetDateTime) -> OffsetDateTime + Send + Sync + 'static, allowance: Duration) -> Self {
        Self { next_seal: Arc::new(next_seal), allowance }
    }

    /// The first scheduled seal after `moment`.
    #[must_use]
    pub fn next_seal(&self, moment: OffsetDateTime) -> OffsetDateTime {
        (self.next_seal)(moment)
    }

    /// By when what was received then is promised to be anchored. Stays within the years that can be written.
    #[must_use]
    pub fn of(&self, received_at: OffsetDateTime) -> OffsetDateTime {
        let allowance = time::Duration::try_from(self.allowance).unwrap_or(time::Duration::MAX);
        self.next_seal(received_at).saturating_add(allowance).min(LAST)
    }

    /// By when a proof is promised to be anchored: what was kept with it, or else what the settings say now.
    #[must_use]
    pub fn kept(&self, anchor_by: Option<OffsetDateTime>, received_at: OffsetDateTime) -> OffsetDateTime {
        anchor_by.unwrap_or_else(|| self.of(received_at))
    }

    /// What is promised to those who are received around `moment`: from five seconds before it, for eight scheduled seals
    /// or fifteen seconds, whichever ends first. Longer waits are asked for again.
    #[must_use]
    pub fn around(&self, moment: OffsetDateTime) -> Terms {
        let last = moment.saturating_add(time::Duration::seconds(15));
        let mut since = moment.saturating_sub(time::Duration::seconds(5));
        let mut steps = Vec::with_capacity(2);
        while steps.len() < 8 && since < last {
            steps.push((since, self.of(since)));
            since = self.next_seal(since);
        }
        Terms { steps, until: since.min(last) }
    }

    /// What was received before the answered moment had to be anchored before `now`; `None` when nothing had to be.
    #[must_use]
    pub fn passed(&self, now: OffsetDateTime) -> Option<OffsetDateTime> {
        let allowance = time::Duration::try_from(self.allowance).ok()?;
        let late = |received: OffsetDateTime| self.next_seal(received).saturating_add(allowance).min(LAST) < now;
        // Whoever was received earlier is late earlier. Seals come at whole seconds, so whole seconds decide.
        let back =
            |seconds: i64| now.checked_sub(time::Duration::seconds(seconds)).map(|at| at.replace_nanosecond(0).unwrap_or(at));
        let (mut near, mut far) = (0_i64, 1_i64);
        while !late(back(far)?) {
            near = far;
            far = far.checked_mul(2).filter(|far| *far < LONGEST)?;
        }
        while far - near > 1 {
            let middle = near + (far - near) / 2;
            if late(back(middle)?) { far = middle } else { near = middle }
        }
        Some(self.next_seal(back(far)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn a_deadline_can_always_be_written() {
        let seal = datetime!(2026-11-22 06:01:00 UTC);
        for (allowance, by) in [(1800, datetime!(2026-11-22 06:31:00 UTC)), (u64::MAX, LAST), (1 << 40, LAST)] {
            assert_eq!(Deadline::new(move |_| seal, Duration::from_secs(allowance)).of(datetime!(2026-11-22 06:00:30 UTC)), by);
        }
    }

    #[test]
    fn what_was_received_before_the_passed_moment_is_late_and_nothing_else() {
        let start = datetime!(2026-11-22 06:00:00 UTC);
        // Seals each 7 minutes; now and then none for three days.
        let next = move |moment: OffsetDateTime| {
            let mut step = (moment - start).whole_nanoseconds().div_euclid(420_000_000_000) as i64 + 1;
            while step.rem_euclid(2_000) < 600 {
                step += 1;
            }
            start + time::Duration::seconds(step * 420)
        };
        for allowance in [0, 1, 419, 1_800, 500_000] {
            let deadline = Deadline::new(next, Duration::from_secs(allowance));
            for at in 0..400_i64 {
                let now = start + time::Duration::milliseconds(at * 7_777_777);
                let passed = deadline.passed(now).expect("seals have no beginning");
                for off in [-1, 0, 1] {
                    let received = passed + time::Duration::nanoseconds(off);
                    assert_eq!(deadline.of(received) < now, received < passed, "{allowance} {now} {received}");
                }
            }
        }
        assert_eq!(Deadline::new(|_| LAST, Duration::ZERO).passed(start), None, "no seal ever came");
        assert_eq!(Deadline::new(next, Duration::MAX).passed(start), None);
    }
}
