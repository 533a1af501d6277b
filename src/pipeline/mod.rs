//! From pool to final anchor: [`seal`], [`publish`], [`confirm`], each a step that says worked or idle and may be
//! repeated after a crash at any line. Start-up runs the same steps; there is no recovery code beside them.

pub mod anchoring;
pub mod confirm;
pub mod continuity;
pub mod finality;
pub mod funds;
pub mod notify;
pub mod publish;
pub mod recheck;
pub mod runner;
pub mod schedule;
pub mod seal;
pub mod through;

use std::time::Duration;

use uuid::Uuid;

use crate::chain::ChainError;
use crate::chain::endpoints::NoView;
use crate::chain::signer::SignError;
use crate::ledger::leases::Lease;
use crate::ledger::{Ledger, LedgerError};

/// What a step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Something changed; there may be more to do at once.
    Worked,
    /// Nothing to do now.
    Idle,
}

impl Step {
    /// Worked when either did.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        if self == Self::Worked { self } else { other }
    }
}

/// Why a step ended early. What it had committed stands; the next run goes on from there.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// The database failed or another instance was first.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The chain could not be asked.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The signer failed.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// The step did not come to its end; the database has stopped to answer, perhaps.
    #[error("no end after {0:?}")]
    TooLong(Duration),
    /// Something that must not be: going on could make it worse, so a person has to look. The step is tried again now
    /// and then and goes on by itself once the cause is gone.
    #[error("HALTED: {0}")]
    Halt(String),
    /// The publisher cannot pay. Told like a halt; it goes on by itself once there are funds.
    #[error("HALTED: {0}")]
    Funds(String),
}

impl StepError {
    /// One word for counting.
    #[must_use]
    pub const fn cause(&self) -> &'static str {
        match self {
            Self::Ledger(LedgerError::LeaseLost { .. }) => "lease_lost",
            Self::Ledger(LedgerError::Moved { .. }) => "moved",
            Self::Ledger(_) => "database",
            Self::Chain(_) => "chain",
            Self::Sign(_) => "signer",
            Self::Halt(_) => "halt",
            Self::Funds(_) => "funds",
            Self::TooLong(_) => "too_long",
        }
    }
}

impl From<NoView> for StepError {
    fn from(nobody: NoView) -> Self {
        match nobody {
            NoView::Chain(error) => Self::Chain(error),
            NoView::Disagreement(why) => Self::Chain(ChainError::Garbage(why)),
            NoView::Halt(why) => Self::Halt(why),
        }
    }
}

/// Result of a step.
pub type Result<T, E = StepError> = std::result::Result<T, E>;

/// How long a lease lasts without renewal: an instance that dies is replaced after at most this time.
pub const LEASE: Duration = Duration::from_secs(10);

/// Runs `work` while this instance holds the lease `name`, renewing it meanwhile. `None` when another instance holds it.
///
/// # Errors
/// Those of `work`, or [`LedgerError::LeaseLost`] when the lease is taken over while it runs.
pub async fn with_lease<T, F: Future<Output = Result<T>>>(
    ledger: &Ledger,
    name: &str,
    holder: Uuid,
    work: impl FnOnce(Lease) -> F,
) -> Result<Option<T>> {
    let Some(lease) = ledger.lease(name, holder, LEASE).await? else { return Ok(None) };
    let renew = async {
        loop {
            tokio::time::sleep(LEASE / 4).await;
            match ledger.lease(name, holder, LEASE).await {
                Ok(Some(renewed)) if renewed == lease => {}
                Ok(_) => return,
                Err(error) => tracing::warn!(%error, lease = name, "renewing a lease: trying again"),
            }
        }
    };
    let result = tokio::select! {
        result = work(lease.clone()) => result,
        () = renew => Err(LedgerError::LeaseLost { name: name.into() }.into()),
    };
    // Best effort: it expires by itself.
    if let Err(error) = ledger.release(&lease).await {
        tracing::debug!(%error, lease = name, "releasing a lease");
    }
    result.map(Some)
}
