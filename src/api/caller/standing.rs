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
    known: Mutex<HashMap<String, (Instant, Standing)>>,
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
        let now = Instant::now();
        let remembered = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(client_id).cloned();
        if let Some((at, standing)) = remembered
            && now.duration_since(at) < self.life
        {
            return Ok(standing);
        }
        let standing = ledger.credential(client_id).await?.map(Arc::new);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= Self::MOST {
            known.retain(|_, (at, _)| now.duration_since(*at) < self.life);
            if known.len() >= Self::MOST {
                known.clear();
            }
        }
        // The time before the question: what the database said may be older than its answer.
        known.insert(client_id.into(), (now, standing.clone()));
        Ok(standing)
    }

    /// Asks anew next time.
    pub fn forget(&self, client_id: &str) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).remove(client_id);
    }
}
