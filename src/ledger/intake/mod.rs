//! Accepting digests: the one durable insert, shared by whoever is waiting.
//!
//! Submissions that arrive while a commit is under way wait together and go into the next one, so the cost of a commit
//! is shared by all who wait and nobody waits for more than the commit in flight and his own. Each is answered only
//! after its commit. The work runs in tasks of its own: a client that disconnects cannot cancel it half-way.

mod desk;
pub mod idempotency;
mod item;
mod line;
mod new;
pub mod promises;
mod queue;

use std::sync::Arc;
use std::time::Duration;

use sceau_verifier::digest::Salt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};
use tokio::task::JoinSet;

use self::desk::Desk;
pub(super) use self::desk::accept_any;
pub use self::item::{Accepted, Detail, IntakeError, Submission};
use self::queue::Entrance;
use super::server::events::Events;
use super::server::gate::Gate;
use super::{Ledger, LedgerError, Result};
use crate::ports::Entropy;

/// Bounds of the intake.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Digests waiting at most, all submissions together; beyond it [`IntakeError::Overloaded`].
    pub waiting: usize,
    /// Digests in one statement at most (a larger single submission is still one statement).
    pub group: usize,
    /// Statements under way at once.
    pub lanes: usize,
    /// How long one try of a statement may take. A server that says nothing must not stop the lane for good.
    pub patience: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { waiting: 200_000, group: 10_000, lanes: 2, patience: Duration::from_secs(10) }
    }
}

#[derive(Debug)]
struct Job {
    items: Vec<Submission>,
    /// One an item, or none at all: then they are drawn.
    salts: Vec<Salt>,
    answer: oneshot::Sender<std::result::Result<Vec<Accepted>, Arc<LedgerError>>>,
    _place: OwnedSemaphorePermit,
}

/// The way in. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct Intake {
    entrance: Arc<Entrance>,
    places: Arc<Semaphore>,
    limits: Limits,
    gate: Gate,
    events: Events,
    closed: Option<watch::Receiver<Option<Arc<str>>>>,
}

impl Intake {
    /// Starts the intake. The returned set ends when every [`Intake`] is dropped and all waiting work is done; a member
    /// that ends with a panic must end the process, because submissions would hang.
    #[must_use]
    pub fn start(ledger: &Ledger, entropy: &Arc<dyn Entropy>, limits: Limits) -> (Self, JoinSet<()>) {
        let (entrance, waiting) = queue::queue(limits.lanes.max(1));
        let mut lanes = JoinSet::new();
        for lane in waiting {
            let desk = Desk::new(ledger.clone(), Arc::clone(entropy), limits.patience);
            lanes.spawn(desk.work(lane, limits.group));
        }
        (
            Self {
                entrance: Arc::new(entrance),
                places: Arc::new(Semaphore::new(limits.waiting.max(1))),
                limits,
                gate: ledger.gate().clone(),
                events: ledger.events().clone(),
                closed: None,
            },
            lanes,
        )
    }

    /// Accepts nothing while `closed` says why.
    #[must_use]
    pub fn closed_while(mut self, closed: watch::Receiver<Option<Arc<str>>>) -> Self {
        self.closed = Some(closed);
        self
    }

    /// Accepts digests; answers one [`Accepted`] an item, in order, once all of them are durable.
    ///
    /// # Errors
    /// All or nothing is acknowledged; see [`IntakeError`].
    pub async fn accept(&self, items: Vec<Submission>) -> std::result::Result<Vec<Accepted>, IntakeError> {
        self.accept_with(items, Vec::new()).await
    }

    /// As [`Self::accept`], with salts that were drawn before, one an item: whoever calls again with the same ones is answered
    /// as the first time.
    ///
    /// # Errors
    /// See [`IntakeError`].
    pub async fn accept_with(&self, items: Vec<Submission>, salts: Vec<Salt>) -> std::result::Result<Vec<Accepted>, IntakeError> {
        let accepted = self.take(items, salts).await;
        if let Err(error) = &accepted {
            self.events.refused.get_or_create(&[("reason", error.reason())]).inc();
        }
        accepted
    }

    async fn take(&self, items: Vec<Submission>, salts: Vec<Salt>) -> std::result::Result<Vec<Accepted>, IntakeError> {
        if items.is_empty() {
            return Ok(Vec::new());
        }
        self.admits()?;
        let size = u32::try_from(items.len().min(self.limits.waiting.max(1))).map_err(|_| IntakeError::Overloaded)?;
        let place = Arc::clone(&self.places).try_acquire_many_owned(size).map_err(|_| IntakeError::Overloaded)?;
        let (answer, answered) = oneshot::channel();
        self.entrance.push(Job { items, salts, answer, _place: place }).map_err(|_| IntakeError::Stopped)?;
        Ok(answered.await.map_err(|_| IntakeError::Stopped)??)
    }

    /// Whether anything may enter the pool now. For what enters it on another way than [`Self::accept`].
    ///
    /// # Errors
    /// [`IntakeError::ReadOnly`], [`IntakeError::Away`], [`IntakeError::Full`].
    pub fn admits(&self) -> std::result::Result<(), IntakeError> {
        if let Some(why) = self.closed.as_ref().and_then(|closed| closed.borrow().clone()) {
            return Err(IntakeError::ReadOnly(why));
        }
        if self.gate.is_away() {
            return Err(IntakeError::Away);
        }
        if self.gate.is_full() {
            return Err(IntakeError::Full);
        }
        Ok(())
    }

    /// Digests that wait for their commit.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.limits.waiting.max(1) - self.places.available_permits()
    }

    /// Whether anybody takes what is handed in: false once every lane has ended.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.entrance.is_alive()
    }
}

/// Makes the same call again while it fails for reasons that pass, four times in all. Only for calls that may be repeated.
pub(super) async fn patiently<T, F: Future<Output = Result<T>>>(ledger: &Ledger, call: impl Fn() -> F) -> Result<T> {
    let mut pause = Duration::from_millis(20);
    for _ in 0..3 {
        match call().await {
            Err(error) if error.is_transient() => {
                ledger.events().retries.inc();
                tracing::warn!(%error, "writing to the ledger: trying again");
                tokio::time::sleep(pause).await;
                pause *= 4;
            }
            settled => return settled,
        }
    }
    call().await
}
