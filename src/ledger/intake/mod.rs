//! Accepting digests: the one durable insert, shared by whoever is waiting.
//!
//! Submissions that arrive while a commit is under way wait together and go into the next one, so the cost of a commit
//! is shared by all who wait and nobody waits for more than the commit in flight and his own. Each is answered only
//! after its commit. The work runs in tasks of its own: a client that disconnects cannot cancel it half-way.

pub mod idempotency;
mod item;
mod new;
pub mod promises;
mod queue;

use std::sync::Arc;
use std::time::Duration;

use sceau_verifier::digest::Salt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};
use tokio::task::JoinSet;

pub use self::item::{Accepted, Detail, IntakeError, Submission};
use self::promises::Offer;
use self::queue::{Entrance, Lane};
use super::server::events::Events;
use super::server::gate::Gate;
use super::server::no_answer;
use super::{Ledger, LedgerError, Result, fixed, natural};
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
            lanes.spawn(run(ledger.clone(), Arc::clone(entropy), lane, limits));
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

async fn run(ledger: Ledger, entropy: Arc<dyn Entropy>, lane: Lane, limits: Limits) {
    while let Some(mut taken) = lane.take(limits.group).await {
        settle(&ledger, entropy.as_ref(), limits.patience, std::mem::take(&mut taken.jobs)).await;
    }
}

/// Commits the jobs together; where that fails for a reason that lies in one of them, those of the account that is over its
/// quota each by itself, and the others together as before.
async fn settle(ledger: &Ledger, entropy: &dyn Entropy, patience: Duration, mut batch: Vec<Job>) {
    let mut late = Vec::new();
    while !batch.is_empty() {
        match commit(ledger, entropy, patience, &batch).await {
            Ok(mut accepted) => {
                for job in batch.drain(..).rev() {
                    let own = accepted.split_off(accepted.len() - job.items.len());
                    // A client that went away has its digests accepted all the same.
                    let _ = job.answer.send(Ok(own));
                }
            }
            Err(LedgerError::OverQuota(account)) if batch.len() > 1 => {
                let (over, rest) = batch.into_iter().partition(|job| job.items.iter().any(|item| item.account == account));
                late.extend::<Vec<Job>>(over);
                batch = rest;
            }
            Err(error) if batch.len() > 1 && !error.is_transient() => late.append(&mut batch),
            Err(error) => {
                let error = Arc::new(error);
                for job in batch.drain(..) {
                    let _ = job.answer.send(Err(Arc::clone(&error)));
                }
            }
        }
    }
    for job in late {
        let settled = commit(ledger, entropy, patience, std::slice::from_ref(&job)).await.map_err(Arc::new);
        let _ = job.answer.send(settled);
    }
}

/// Inserts, and counts what was accepted.
async fn commit(ledger: &Ledger, entropy: &dyn Entropy, patience: Duration, jobs: &[Job]) -> Result<Vec<Accepted>> {
    let begun = tokio::time::Instant::now();
    let accepted = insert(ledger, entropy, patience, jobs).await?;
    let events = ledger.events();
    let fresh = accepted.iter().filter(|one| one.fresh).count() as u64;
    events.accepted.inc_by(fresh);
    events.repeated.inc_by(accepted.len() as u64 - fresh);
    events.group.observe(accepted.len() as f64);
    events.commit_seconds.observe(begun.elapsed().as_secs_f64());
    Ok(accepted)
}

/// Inserts with the same salts until the database says yes or no: when an answer was lost after the commit, the second
/// run finds the rows of the first by their salts and reports them as fresh.
async fn insert(ledger: &Ledger, entropy: &dyn Entropy, patience: Duration, jobs: &[Job]) -> Result<Vec<Accepted>> {
    let items: Vec<&Submission> = jobs.iter().flat_map(|job| &job.items).collect();
    let items = &items[..];
    let mut salts = vec![0; items.len() * 16];
    entropy.fill(&mut salts);
    let mut at = 0;
    for job in jobs {
        for (place, salt) in salts[at..].chunks_exact_mut(Salt::LEN).zip(&job.salts) {
            place.copy_from_slice(salt.as_bytes());
        }
        at += job.items.len() * Salt::LEN;
    }
    let salts: Vec<&[u8]> = salts.chunks_exact(16).collect();
    // Given up here, it may be done there all the same: the next try waits for it and finds its rows.
    let salts = &salts;
    patiently(ledger, || async move {
        match tokio::time::timeout(patience, ledger.accept(items, salts)).await {
            Ok(accepted) => accepted,
            Err(_) => Err(no_answer(patience).into()),
        }
    })
    .await
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

/// What is said of items, one each; `None` where nothing is said of any.
fn details<'a>(items: impl ExactSizeIterator<Item = &'a Submission> + Clone) -> Option<Vec<Option<serde_json::Value>>> {
    let value = |detail: &Detail| serde_json::to_value(detail).expect("a detail is plain JSON");
    items.clone().any(|item| item.detail.is_some()).then(|| items.map(|item| item.detail.as_ref().map(value)).collect())
}

impl Ledger {
    async fn accept(&self, items: &[&Submission], salts: &[&[u8]]) -> Result<Vec<Accepted>> {
        let accept = |offer: Offer| async move {
            match self.accept_new(items, salts, &offer).await? {
                Some(accepted) => Ok(accepted),
                None => self.accept_any(items, salts, &offer).await,
            }
        };
        self.with_offer(accept).await
    }

    async fn accept_any(&self, items: &[&Submission], salts: &[&[u8]], offer: &Offer) -> Result<Vec<Accepted>> {
        let accounts: Vec<i64> = items.iter().map(|item| item.account.0).collect();
        let digests: Vec<&[u8]> = items.iter().map(|item| item.digest.as_ref()).collect();
        let details = details(items.iter().copied());
        let rows = sqlx::query!(
            r#"select ord as "ord!", salt as "salt!", batch as "batch!", received_at as "received_at!", fresh as "fresh!",
                 number as "number!", anchor_by
               from accept_proofs($1, $2, $3, $4, $5, $6), refuse_held($1, $2)"#,
            &accounts,
            &digests as _,
            salts as _,
            details.as_deref() as _,
            offer.since.as_deref() as _,
            offer.anchor_by.as_deref() as _,
        );
        let rows = rows.fetch_all(self.pool()).await.map_err(LedgerError::from_sql)?;
        let mut accepted: Vec<Option<Accepted>> = vec![None; items.len()];
        for row in rows {
            let place = usize::try_from(row.ord - 1).ok().filter(|place| *place < items.len());
            let place = place.ok_or_else(|| LedgerError::Damaged(format!("accept_proofs answered item {}", row.ord)))?;
            accepted[place] = Some(Accepted {
                digest: items[place].digest,
                salt: fixed::<16>(&row.salt, "proofs.salt")?.into(),
                batch: natural(row.batch, "proofs.batch")?,
                received_at: row.received_at,
                fresh: row.fresh,
                number: natural(row.number, "proofs.number")?,
                anchor_by: row.anchor_by,
            });
        }
        let whole: Option<Vec<Accepted>> = accepted.into_iter().collect();
        whole.ok_or_else(|| LedgerError::Damaged("accept_proofs left an item unanswered".into()))
    }
}
