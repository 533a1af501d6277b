//! Telling: what changed is appended to the logs of the accounts it concerns, and broken promises are noted.
//!
//! A change was written down in the transaction that made it. Here it is told in one transaction as well, so a crash at any
//! line leaves it untold or told, never told in part.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use time::OffsetDateTime;
use uuid::Uuid;

use super::{Result, Step, runner, with_lease};
use crate::ledger::Ledger;

/// Events written in one transaction, about.
const AT_ONCE: u64 = 5_000;

/// What was received before the answered moment had to be anchored before the given one.
pub type Passed = Arc<dyn Fn(OffsetDateTime) -> Option<OffsetDateTime> + Send + Sync>;

/// Tells changes, and looks for broken promises now and then.
pub struct Teller {
    /// Where changes and logs are.
    pub ledger: Ledger,
    /// Says what is late, of what has no promise of its own.
    pub passed: Passed,
    /// Pause between two looks for broken promises.
    pub every: Duration,
    /// Names this instance in leases.
    pub holder: Uuid,
    /// When that was last looked for.
    pub looked: Option<Instant>,
}

impl fmt::Debug for Teller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Teller").field("every", &self.every).field("holder", &self.holder).finish_non_exhaustive()
    }
}

impl Teller {
    /// Tells some of what changed. Idle when another instance is at it.
    ///
    /// # Errors
    /// See [`super::StepError`]; nothing is half-done.
    pub async fn step(&mut self) -> Result<Step> {
        let look = self.looked.is_none_or(|at| at.elapsed() >= self.every);
        // Idle instances only read.
        if !look && !self.ledger.has_untold().await? {
            return Ok(Step::Idle);
        }
        let (ledger, passed) = (&self.ledger, &self.passed);
        let done = with_lease(ledger, "notify", self.holder, |lease| async move {
            if look {
                let late = passed(ledger.now().await?);
                let noted = ledger.note_overdue(&lease, late, AT_ONCE).await?;
                if noted > 0 {
                    tracing::warn!(batches = noted, "promises to anchor were broken");
                }
            }
            let told = ledger.tell_changes(&lease, AT_ONCE).await?;
            Ok(if told > 0 { Step::Worked } else { Step::Idle })
        });
        let done = done.await?;
        if look {
            self.looked = Some(Instant::now());
        }
        Ok(done.unwrap_or(Step::Idle))
    }
}

impl runner::Work for Teller {
    async fn step(&mut self) -> Result<Step> {
        Self::step(self).await
    }
}
