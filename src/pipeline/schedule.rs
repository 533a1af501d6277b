//! When the pool is sealed by the clock.

use chrono::{DateTime, Utc};
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use time::OffsetDateTime;

/// A cron schedule with seconds, UTC.
#[derive(Debug, Clone)]
pub struct Schedule {
    cron: Cron,
    expression: String,
}

impl Schedule {
    /// Reads a cron expression of six fields: second, minute, hour, day of month, month, day of week.
    ///
    /// # Errors
    /// Says what is wrong with it, or that it never comes due.
    pub fn parse(expression: &str) -> anyhow::Result<Self> {
        // As tokio-cron-scheduler reads it, except that a schedule that ends with a year would leave digests unsealed.
        let parser = CronParser::builder().seconds(Seconds::Required).year(Year::Disallowed).dom_and_dow(true).build();
        let cron = parser.parse(expression).map_err(|error| anyhow::anyhow!("cron expression {expression:?}: {error}"))?;
        let start = DateTime::<Utc>::UNIX_EPOCH;
        anyhow::ensure!(cron.find_next_occurrence(&start, false).is_ok(), "cron expression {expression:?} never comes due");
        Ok(Self { cron, expression: expression.into() })
    }

    /// The expression as it was given.
    #[must_use]
    pub fn expression(&self) -> &str {
        &self.expression
    }

    /// The first scheduled time later than `time`.
    ///
    /// # Panics
    /// When the schedule has no more times before the end of the calendar.
    #[must_use]
    pub fn next_after(&self, time: OffsetDateTime) -> OffsetDateTime {
        let time =
            DateTime::<Utc>::from_timestamp(time.unix_timestamp(), time.nanosecond()).expect("both calendars have this time");
        let next = self.cron.find_next_occurrence(&time, false).expect("a cron schedule comes due again");
        OffsetDateTime::from_unix_timestamp(next.timestamp()).expect("both calendars have this time")
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn the_next_time_is_later_than_the_one_given() {
        let minutely = Schedule::parse("0 * * * * *").unwrap();
        assert_eq!(minutely.next_after(datetime!(2026-11-22 06:00:00 UTC)), datetime!(2026-11-22 06:01:00 UTC));
        assert_eq!(minutely.next_after(datetime!(2026-11-22 06:00:59.999 UTC)), datetime!(2026-11-22 06:01:00 UTC));
        let nightly = Schedule::parse("30 15 2 * * *").unwrap();
        assert_eq!(nightly.next_after(datetime!(2026-12-31 23:00:00 UTC)), datetime!(2027-01-01 02:15:30 UTC));
    }

    #[test]
    fn what_is_no_schedule_is_refused() {
        for wrong in ["", "* * * * *", "61 * * * * *", "0 0 0 30 2 *", "0 0 0 1 1 * 2027", "soon"] {
            assert!(Schedule::parse(wrong).is_err(), "{wrong}");
        }
    }
}
