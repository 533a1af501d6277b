//! When the pool is sealed by the clock: a cron expression with seconds, in UTC.

use chrono::{DateTime, Utc};
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use time::{Duration, OffsetDateTime};

/// A cron expression with six fields (seconds first), read in UTC.
#[derive(Debug, Clone)]
pub struct Schedule {
    cron: Cron,
}

/// The expression is not a schedule, or one that never comes.
#[derive(Debug, Clone, thiserror::Error)]
#[error("schedule {expression:?}: {reason}")]
pub struct ScheduleError {
    expression: String,
    reason: String,
}

impl Schedule {
    /// Reads `second minute hour day month weekday`, as tokio-cron-scheduler does (days of month and of week must both
    /// match). No field for years: a schedule must not end.
    ///
    /// # Errors
    /// When the expression is malformed or no moment fits it (30 February).
    pub fn parse(expression: &str) -> Result<Self, ScheduleError> {
        let fail = |reason: String| ScheduleError { expression: expression.into(), reason };
        let parser = CronParser::builder().seconds(Seconds::Required).year(Year::Disallowed).dom_and_dow(true).build();
        let cron = parser.parse(expression).map_err(|error| fail(error.to_string()))?;
        // A calendar repeats after 400 years at most, and the search goes further than that: what comes once comes again.
        cron.find_next_occurrence(&DateTime::<Utc>::UNIX_EPOCH, false).map_err(|_| fail("no moment fits it".into()))?;
        Ok(Self { cron })
    }

    /// The first moment of the schedule later than `moment`.
    #[must_use]
    pub fn next_after(&self, moment: OffsetDateTime) -> OffsetDateTime {
        // Whole seconds are enough: schedules have no fractions, and "later than" is kept because the search starts
        // after the second it is given.
        let next = DateTime::<Utc>::from_timestamp(moment.unix_timestamp(), 0)
            .and_then(|start| self.cron.find_next_occurrence(&start, false).ok())
            .and_then(|next| OffsetDateTime::from_unix_timestamp(next.timestamp()).ok());
        // Only beyond the year 5000, where croner stops to search.
        next.unwrap_or_else(|| moment.saturating_add(Duration::days(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn the_next_moment_is_strictly_later() {
        let minutely = Schedule::parse("0 * * * * *").unwrap();
        for (moment, next) in [
            (datetime!(2026-11-22 06:00:00 UTC), datetime!(2026-11-22 06:01:00 UTC)),
            (datetime!(2026-11-22 06:00:00.000001 UTC), datetime!(2026-11-22 06:01:00 UTC)),
            (datetime!(2026-11-22 06:00:59.999999 UTC), datetime!(2026-11-22 06:01:00 UTC)),
            (datetime!(2026-12-31 23:59:30 UTC), datetime!(2027-01-01 00:00:00 UTC)),
        ] {
            assert_eq!(minutely.next_after(moment), next, "after {moment}");
        }
    }

    #[test]
    fn other_offsets_are_the_same_moments() {
        let noon = Schedule::parse("0 0 12 * * *").unwrap();
        assert_eq!(noon.next_after(datetime!(2026-11-22 23:00:00 +12)), datetime!(2026-11-22 12:00:00 UTC));
    }

    #[test]
    fn day_and_weekday_must_both_match() {
        let friday_13th = Schedule::parse("0 0 0 13 * FRI").unwrap();
        assert_eq!(friday_13th.next_after(datetime!(2026-11-22 00:00:00 UTC)), datetime!(2027-08-13 00:00:00 UTC));
    }

    #[test]
    fn leap_days_come() {
        let leap = Schedule::parse("0 0 0 29 2 *").unwrap();
        assert_eq!(leap.next_after(datetime!(2096-03-01 00:00:00 UTC)), datetime!(2104-02-29 00:00:00 UTC));
    }

    #[test]
    fn what_is_no_schedule_is_refused() {
        for expression in ["", "* * * * *", "0 * * * * * 2027", "60 * * * * *", "0 0 0 30 2 *", "soon", "@never"] {
            let error = Schedule::parse(expression).expect_err(expression);
            assert!(error.to_string().contains(&format!("{expression:?}")), "{error}");
        }
    }
}
