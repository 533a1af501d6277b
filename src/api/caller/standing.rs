//! How credentials stand, remembered for a few seconds.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::ledger::accounts::Credential;
use crate::ledger::{self, Ledger};

/// A credential as it stood when it was asked for; `None`: there is none of that key.
pub(super) type Standing = Option<Arc<Credential>>;

/// Remembers for a few seconds how credentials stand, so that not every request asks the database. What is changed there
/// (an account disabled, a token revoked, networks, limits) is felt after that time at the latest.
#[derive(Debug)]
pub struct Standings {
    life: Duration,
    known: Mutex<HashMap<String, Arc<Known>>>,
}

/// What is known of one key. Whoever asks the database holds the lock, so that many requests at once are one question.
#[derive(Debug, Default)]
struct Known(tokio::sync::Mutex<Option<Answer>>);

#[derive(Debug, Clone)]
struct Answer {
    /// When the question was asked: what the database said may be older than its answer.
    asked: Instant,
    /// `None`: it could not be asked.
    standing: Option<Standing>,
}

impl Standings {
    /// More than this are not remembered.
    const MOST: usize = 10_000;

    /// Remembers for `life`.
    #[must_use]
    pub fn new(life: Duration) -> Self {
        Self { life, known: Mutex::default() }
    }

    pub(super) async fn of(&self, ledger: &Ledger, client_id: &str) -> ledger::Result<Standing> {
        let begun = Instant::now();
        let known = self.known(client_id);
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
        let found = ledger.credential(client_id).await.map(|credential| credential.map(Arc::new));
        *answer = Some(Answer { asked, standing: found.as_ref().ok().cloned() });
        found
    }

    fn known(&self, client_id: &str) -> Arc<Known> {
        let mut all = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = all.get(client_id) {
            return Arc::clone(known);
        }
        if all.len() >= Self::MOST {
            let old = |known: &Known| {
                known.0.try_lock().is_ok_and(|answer| answer.as_ref().is_none_or(|answer| answer.asked.elapsed() >= self.life))
            };
            all.retain(|_, known| !old(known));
            if all.len() >= Self::MOST {
                all.clear();
            }
        }
        Arc::clone(all.entry(client_id.into()).or_default())
    }

    /// Asks anew next time.
    pub fn forget(&self, client_id: &str) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).remove(client_id);
    }
}
