//! How the whole service is doing, asked of the database once for all who want to know at about the same time.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::api::Deadline;
use crate::ledger::status::ServiceStatus;
use crate::ledger::{Ledger, Result};

/// Answers for all who ask within its life. One question at a time is under way.
#[derive(Debug)]
pub struct Overview {
    ledger: Ledger,
    deadline: Deadline,
    life: Duration,
    known: Mutex<Option<(Instant, Arc<ServiceStatus>)>>,
}

impl Overview {
    /// How old an answer may be.
    pub const LIFE: Duration = Duration::from_secs(2);

    /// Keeps an answer for `life`.
    #[must_use]
    pub fn new(ledger: Ledger, deadline: Deadline, life: Duration) -> Self {
        Self { ledger, deadline, life, known: Mutex::default() }
    }

    /// What is promised.
    #[must_use]
    pub const fn deadline(&self) -> &Deadline {
        &self.deadline
    }

    /// How the service is doing now, or was a moment ago.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn status(&self) -> Result<Arc<ServiceStatus>> {
        let mut known = self.known.lock().await;
        if let Some((at, status)) = &*known
            && at.elapsed() < self.life
        {
            return Ok(Arc::clone(status));
        }
        // The moment before the question: what the database says may be older than its answer.
        let asked = Instant::now();
        *known = None;
        let status = Arc::new(self.ledger.service_status(|now| self.deadline.passed(now)).await?);
        *known = Some((asked, Arc::clone(&status)));
        Ok(status)
    }
}
