//! Waiting for events: many wait, one asks.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::error::{Code, Result};
use crate::ledger::accounts::AccountId;
use crate::ledger::{self, Ledger};

/// Whoever waits looks so often; all of them together are one question to the database.
pub const EVERY: Duration = Duration::from_secs(1);

/// Who waits for events of which account.
#[derive(Debug)]
pub struct News {
    waiting: Mutex<HashMap<AccountId, usize>>,
    /// What the logs of those who wait ended with, and when that was asked.
    seen: tokio::sync::Mutex<Option<(Instant, HashMap<AccountId, u64>)>>,
    stopped: watch::Receiver<bool>,
    /// Keeps `stopped` open where nobody else does.
    _open: Option<watch::Sender<bool>>,
}

impl Default for News {
    fn default() -> Self {
        let (open, stopped) = watch::channel(false);
        Self { _open: Some(open), ..Self::until(stopped) }
    }
}

/// A place among those who wait; given back when dropped.
#[derive(Debug)]
pub struct Seat {
    news: Arc<News>,
    account: AccountId,
}

impl News {
    /// Of one account so many may wait at once, in one process.
    pub const OF_ONE: usize = 16;
    /// Of all together so many.
    pub const OF_ALL: usize = 2_000;

    /// Nobody waits any more once `stopped` says true.
    #[must_use]
    pub fn until(stopped: watch::Receiver<bool>) -> Self {
        Self { waiting: Mutex::default(), seen: tokio::sync::Mutex::default(), stopped, _open: None }
    }

    /// A place to wait.
    ///
    /// # Errors
    /// [`Code::RateLimited`] when too many wait already.
    pub fn enter(self: &Arc<Self>, account: AccountId) -> Result<Seat> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let all: usize = waiting.values().sum();
        let own = waiting.entry(account).or_default();
        if *own >= Self::OF_ONE || all >= Self::OF_ALL {
            let detail = format!("{} requests of one account may wait for events at once; try again in a moment", Self::OF_ONE);
            if *own == 0 {
                waiting.remove(&account);
            }
            return Err(Code::RateLimited.with(detail).retry_after(5));
        }
        *own += 1;
        Ok(Seat { news: Arc::clone(self), account })
    }
}

impl Seat {
    /// Waits until the account's log is longer than `after`, no longer than until `end`. False when it is not, or when the
    /// service stops.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn longer_than(&self, after: u64, end: Instant, ledger: &Ledger) -> ledger::Result<bool> {
        let mut stopped = self.news.stopped.clone();
        loop {
            let next = Instant::now() + EVERY;
            tokio::select! {
                () = tokio::time::sleep_until(next.min(end)) => {}
                _ = stopped.wait_for(|stopped| *stopped) => return Ok(false),
            }
            if self.look(ledger).await? > after {
                return Ok(true);
            }
            if Instant::now() >= end {
                return Ok(false);
            }
        }
    }

    /// Whether the service stops.
    #[must_use]
    pub fn is_over(&self) -> bool {
        *self.news.stopped.borrow()
    }

    /// What the log ends with, as it was less than [`EVERY`] ago.
    async fn look(&self, ledger: &Ledger) -> ledger::Result<u64> {
        let mut seen = self.news.seen.lock().await;
        if let Some((at, lasts)) = &*seen
            && at.elapsed() < EVERY / 2
            && let Some(last) = lasts.get(&self.account)
        {
            return Ok(*last);
        }
        let accounts: Vec<AccountId> = self.news.waiting.lock().unwrap_or_else(PoisonError::into_inner).keys().copied().collect();
        let at = Instant::now();
        let mut lasts: HashMap<AccountId, u64> = accounts.iter().map(|account| (*account, 0)).collect();
        lasts.extend(ledger.newest_events(&accounts).await?);
        let last = lasts.get(&self.account).copied().unwrap_or_default();
        *seen = Some((at, lasts));
        Ok(last)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut waiting = self.news.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = waiting.get_mut(&self.account) {
            *own -= 1;
            if *own == 0 {
                waiting.remove(&self.account);
            }
        }
    }
}
