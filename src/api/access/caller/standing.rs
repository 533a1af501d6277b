//! How those who ask stand, remembered for a few seconds.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::ledger;
use crate::ledger::accounts::Credential;

/// Remembers for a few seconds how credentials stand, or whatever else proves who asks, so that not every request asks the
/// database. What is changed there (an account disabled, a token revoked, networks, limits) is felt after that time at the
/// latest.
#[derive(Debug)]
pub struct Standings<T = Credential> {
    life: Duration,
    known: Mutex<HashMap<String, Arc<Known<T>>>>,
}

/// What is known of one key. Whoever asks the database holds the lock, so that many requests at once are one question.
#[derive(Debug)]
struct Known<T>(tokio::sync::Mutex<Option<Answer<T>>>);

impl<T> Default for Known<T> {
    fn default() -> Self {
        Self(tokio::sync::Mutex::default())
    }
}

#[derive(Debug)]
struct Answer<T> {
    /// When the question was asked: what the database said may be older than its answer.
    asked: Instant,
    /// `None`: it could not be asked. Inside, `None`: there is none of that key.
    standing: Option<Option<Arc<T>>>,
}

impl<T> Standings<T> {
    /// More than this are not remembered.
    const MOST: usize = 10_000;

    /// Remembers for `life`.
    #[must_use]
    pub fn new(life: Duration) -> Self {
        Self { life, known: Mutex::default() }
    }

    /// For how long.
    pub(in crate::api) fn life(&self) -> Duration {
        self.life
    }

    /// What `ask` says of `key`, or said a moment ago.
    pub(in crate::api) async fn of(
        &self,
        key: &str,
        ask: impl AsyncFnOnce() -> ledger::Result<Option<T>>,
    ) -> ledger::Result<Option<Arc<T>>> {
        let begun = Instant::now();
        let known = self.known(key);
        let mut answer = known.0.lock().await;
        if let Some(Answer { asked, standing }) = &*answer {
            // A question asked after this request began answers it, however short answers are remembered; whoever waited
            // for one that failed does not ask again behind all the others.
            let shared = *asked >= begun;
            match standing {
                Some(standing) if shared || asked.elapsed() < self.life => return Ok(standing.clone()),
                None if shared => return Err(sqlx::Error::PoolTimedOut.into()),
                _ => {}
            }
        }
        let asked = Instant::now();
        let found = ask().await.map(|found| found.map(Arc::new));
        *answer = Some(Answer { asked, standing: found.as_ref().ok().cloned() });
        found
    }

    fn known(&self, key: &str) -> Arc<Known<T>> {
        let mut all = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = all.get(key) {
            return Arc::clone(known);
        }
        if all.len() >= Self::MOST {
            let old = |known: &Known<T>| {
                known.0.try_lock().is_ok_and(|answer| answer.as_ref().is_none_or(|answer| answer.asked.elapsed() >= self.life))
            };
            all.retain(|_, known| !old(known));
            if all.len() >= Self::MOST {
                all.clear();
            }
        }
        Arc::clone(all.entry(key.into()).or_default())
    }

    /// Asks anew next time.
    pub fn forget(&self, key: &str) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}
