//! By when proofs are promised to be anchored: column `anchor_by`, written once by `accept_proofs`.
//!
//! The ledger keeps promises and knows no schedule. The time of acceptance is the database's, and what is promised
//! follows from it; so terms are sent along for a while around now, and the database chooses. Whose clock is so wrong
//! that its terms are of another time is told by the database what time it is, and asks again.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use time::{Duration, OffsetDateTime};

use crate::ledger::{Ledger, LedgerError, Result, natural};
use crate::ports::Clock;

/// What is promised around some moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// What is received from the first moment on is promised for the second; ascending.
    pub steps: Vec<(OffsetDateTime, OffsetDateTime)>,
    /// What is received from then on has other terms.
    pub until: OffsetDateTime,
}

/// Where terms come from, and what is known of the database's clock.
#[derive(Clone)]
pub(in crate::ledger) struct Promises {
    around: Arc<dyn Fn(OffsetDateTime) -> Terms + Send + Sync>,
    clock: Arc<dyn Clock>,
    /// How far the database's clock is ahead of ours, microseconds.
    ahead: Arc<AtomicI64>,
}

impl fmt::Debug for Promises {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Promises").field("ahead", &self.ahead).finish_non_exhaustive()
    }
}

/// Terms as `accept_proofs` takes them; none: nothing is promised.
#[derive(Debug, Clone, Default)]
pub(in crate::ledger) struct Offer {
    pub(in crate::ledger) since: Option<Vec<OffsetDateTime>>,
    pub(in crate::ledger) anchor_by: Option<Vec<Option<OffsetDateTime>>>,
}

/// A batch that is not anchored though something in it was promised to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OverdueBatch {
    /// Its number.
    pub batch: u64,
    /// The earliest promise in it.
    pub first: OffsetDateTime,
    /// The latest promise in it: when that has passed too, all of its proofs are overdue.
    pub last: OffsetDateTime,
}

impl Ledger {
    /// Everything accepted through the answered ledger, and through its clones, is promised by the terms that `around`
    /// answers for a moment; they must hold for a while before and after it. Through other ledgers nothing is promised.
    #[must_use]
    pub fn promising(mut self, around: impl Fn(OffsetDateTime) -> Terms + Send + Sync + 'static, clock: Arc<dyn Clock>) -> Self {
        self.promises = Some(Promises { around: Arc::new(around), clock, ahead: Arc::default() });
        self
    }

    /// Makes a call with terms for now, and again when the database's time is another than it was taken for. Nothing was
    /// stored where that is what it says.
    pub(in crate::ledger) async fn with_offer<T, F: Future<Output = Result<T>>>(&self, call: impl Fn(Offer) -> F) -> Result<T> {
        for _ in 0..3 {
            match call(self.offer()).await {
                Err(LedgerError::OtherTime(now)) => self.learn(now),
                settled => return settled,
            }
        }
        call(self.offer()).await
    }

    fn offer(&self) -> Offer {
        let Some(promises) = &self.promises else { return Offer::default() };
        let ahead = Duration::microseconds(promises.ahead.load(Ordering::Relaxed));
        let terms = (promises.around)(promises.clock.now().saturating_add(ahead));
        let (mut since, anchor_by): (Vec<_>, Vec<_>) = terms.steps.into_iter().map(|(since, by)| (since, Some(by))).unzip();
        since.push(terms.until);
        Offer { since: Some(since), anchor_by: Some(anchor_by.into_iter().chain([None]).collect()) }
    }

    fn learn(&self, now: OffsetDateTime) {
        let Some(promises) = &self.promises else { return };
        let ahead = now - promises.clock.now();
        tracing::warn!(seconds = ahead.as_seconds_f64(), "the database's clock is ahead of ours (behind where negative)");
        let ahead = i64::try_from(ahead.whole_microseconds()).unwrap_or_default();
        promises.ahead.store(ahead, Ordering::Relaxed);
    }

    /// Batches that are not anchored at `now` though the earliest promise in them has passed; ascending, up to `limit`.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn overdue_batches(&self, now: OffsetDateTime, limit: i64) -> Result<Vec<OverdueBatch>> {
        let rows = sqlx::query!(
            r#"select number, anchor_by_first as "first!", anchor_by_last as "last!" from batches
               where not anchored and anchor_by_first < $1 order by number limit $2"#,
            now,
            limit
        )
        .fetch_all(self.pool())
        .await?;
        rows.into_iter()
            .map(|row| Ok(OverdueBatch { batch: natural(row.number, "batches.number")?, first: row.first, last: row.last }))
            .collect()
    }
}
