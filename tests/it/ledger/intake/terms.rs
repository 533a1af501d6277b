//! The terms that what is accepted is promised by.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use sceau::ledger::intake::Limits;
use sceau::ports::{Clock, SystemClock};
use time::OffsetDateTime;

use super::super::{account, digest, ledger};
use super::{intake, plain};
use crate::support::database;

/// The system's clock, so many seconds off.
#[derive(Debug, Default)]
struct Off(AtomicI64);

impl Clock for Off {
    fn now(&self) -> OffsetDateTime {
        SystemClock.now() + time::Duration::seconds(self.0.load(Ordering::SeqCst))
    }
}

#[tokio::test]
async fn a_clock_that_is_wrong_promises_nothing_else() {
    let database = database().await;
    let (clock, asked) = (Arc::new(Off::default()), Arc::new(AtomicU64::new(0)));
    let counted = Arc::clone(&asked);
    let around = move |moment| {
        counted.fetch_add(1, Ordering::SeqCst);
        super::super::terms(moment)
    };
    let ledger = ledger(&database).promising(around, Arc::clone(&clock) as _);
    let account = account(&ledger, "late").await;
    let (intake, _lanes) = intake(&ledger, Limits::default());
    for (number, seconds) in [0, 3_600, -3_600, 0, 86_400 * 365, -7].into_iter().enumerate() {
        clock.0.store(seconds, Ordering::SeqCst);
        let before = asked.load(Ordering::SeqCst);
        let item = plain(account, digest(1, number as u64));
        let accepted = intake.accept(vec![item.clone()]).await.expect("accepted")[0];
        let hour = accepted.received_at.unix_timestamp().div_euclid(3600) * 3600;
        let by = accepted.anchor_by.expect("a promise");
        assert_eq!(by.unix_timestamp(), hour + 5400, "by the database's time, {seconds} s off");
        assert!(asked.load(Ordering::SeqCst) - before <= 2, "asked once more at most");
        // Told again whatever the clock says now.
        clock.0.store(seconds + 10_000, Ordering::SeqCst);
        let again = intake.accept(vec![item]).await.expect("accepted")[0];
        assert_eq!((again.anchor_by, again.number, again.fresh), (Some(by), accepted.number, false));
    }
    let batch = ledger.overdue_batches(SystemClock.now() + time::Duration::hours(3), 5).await.unwrap();
    assert_eq!(batch.iter().map(|one| one.batch).collect::<Vec<_>>(), [1]);
    assert_eq!(ledger.overdue_batches(SystemClock.now(), 5).await.unwrap(), []);
}
