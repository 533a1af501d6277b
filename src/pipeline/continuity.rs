//! Whether this database goes on where the registry is.
//!
//! A database restored from a backup forgets what was sealed and signed since. Going on would number new batches like
//! lost ones and use nonces twice, so before anything else it is compared with the chain, which forgets nothing.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::anchoring::Anchoring;
use super::confirm::LOOKS;
use super::runner::Work;
use super::through::through;
use super::{Result, Step, StepError};
use crate::chain::endpoints::View;
use crate::ledger::Ledger;
use crate::ledger::batches::Batch;

/// Pause between two looks at the recorded outcome.
const LOOK: Duration = Duration::from_secs(1);

impl Anchoring {
    /// Compares the database with the registry, and with the signer's nonce where `nonces` says so, and records the
    /// outcome. (While a service runs, a nonce it did not use means that somebody else has the key; only at the start
    /// it may mean that the database is old.)
    ///
    /// # Errors
    /// [`StepError::Halt`] when the chain has what the database has not.
    pub async fn compare(&self, nonces: bool) -> Result<()> {
        let compared = match &self.endpoints {
            None => self.compare_here(nonces).await,
            Some(endpoints) => {
                let known = self.ledger.finality(self.target).await?.map(|block| (block.number, block.hash.into()));
                let compare = async |view: Arc<View>| {
                    let one = Self { chain: view, ..self.clone() };
                    one.compare_here(nonces).await
                };
                through(endpoints, known, compare).await
            }
        };
        match compared {
            Ok(()) => Ok(self.ledger.note_continuity(self.target, None).await?),
            Err(StepError::Halt(why)) => {
                self.ledger.note_continuity(self.target, Some(&why)).await?;
                Err(StepError::Halt(why))
            }
            // Nobody could be asked: what was known before still holds.
            Err(error) => Err(error),
        }
    }

    /// Compares with what `chain` alone says.
    async fn compare_here(&self, nonces: bool) -> Result<()> {
        for look in 1.. {
            let Some(why) = self.unknown(nonces).await? else { break };
            if look == LOOKS {
                return Err(StepError::Halt(why));
            }
            // A reorg between two questions, or another node, may look like it.
            self.sound_heads().await?;
        }
        Ok(())
    }

    /// Something that the chain has and this database has not.
    async fn unknown(&self, nonces: bool) -> Result<Option<String>> {
        const ASK: &str = "it was restored from an older copy, or another deployment uses the registry; see `sceau recover`";
        // The chain first: the database only grows.
        let last = self.chain.last_number().await?;
        let signer = self.signer.address();
        let mined = if nonces { self.chain.nonce(signer).await? } else { 0 };
        if last >= self.chain.first_number().await? {
            let known = match self.ledger.batch(last).await? {
                Some(Batch::Sealed(batch)) => Some(batch.root),
                Some(Batch::Lost { root, .. }) => Some(root),
                _ => None,
            };
            let holds = match known {
                Some(root) => self.chain.record(root.into()).await?.is_some_and(|record| record.number == last),
                None => false,
            };
            if !holds {
                return Ok(Some(format!("the registry holds batch {last}, which this database does not have: {ASK}")));
            }
        }
        let journal = self.ledger.next_nonce(self.chain.target().chain_id, &signer.into()).await?;
        Ok(journal
            .filter(|next| mined > *next)
            .map(|next| format!("{signer} has {mined} transactions on the chain, of which this database knows {next}: {ASK}")))
    }
}

/// An [`Anchoring`] that compares before it does anything, and does nothing while the database is not known to go on
/// where every registry is.
#[derive(Debug)]
pub struct Compared {
    anchoring: Anchoring,
    targets: Arc<[(u64, [u8; 20])]>,
    /// Whether it was compared since anything looked wrong.
    compared: bool,
    /// Whether it ever went on since the process started.
    started: bool,
}

impl Compared {
    /// `targets` are all that are configured: chain id and registry.
    #[must_use]
    pub fn new(anchoring: Anchoring, targets: Arc<[(u64, [u8; 20])]>) -> Self {
        Self { anchoring, targets, compared: false, started: false }
    }

    /// Compares when that is called for, then does [`Anchoring::step`]; idle while nothing may be done.
    ///
    /// # Errors
    /// See [`StepError`].
    pub async fn step(&mut self) -> Result<Step> {
        if !self.compared {
            self.anchoring.compare(!self.started).await?;
            self.compared = true;
        }
        if self.anchoring.ledger.read_only(&self.targets).await?.is_some() {
            self.compared = false;
            return Ok(Step::Idle);
        }
        self.started = true;
        let done = self.anchoring.step().await;
        // It may be that the database was changed for an older one under our hands.
        self.compared = !matches!(done, Err(StepError::Halt(_)));
        done
    }
}

/// Work that rests while the database is not known to go on where every registry is.
#[derive(Debug)]
pub struct Resting<W> {
    /// The work.
    pub work: W,
    /// The database.
    pub ledger: Ledger,
    /// All configured targets: chain id and registry.
    pub targets: Arc<[(u64, [u8; 20])]>,
}

impl<W: Work> Work for Resting<W> {
    async fn step(&mut self) -> Result<Step> {
        if self.ledger.read_only(&self.targets).await?.is_some() {
            return Ok(Step::Idle);
        }
        self.work.step().await
    }
}

/// Tells, as it changes, why nothing may be accepted. Never ends.
pub async fn watch(ledger: Ledger, targets: Arc<[(u64, [u8; 20])]>, tell: watch::Sender<Option<Arc<str>>>) {
    loop {
        // While the database is away nothing is accepted anyhow.
        if let Ok(why) = ledger.read_only(&targets).await {
            tell.send_if_modified(|told| {
                let changed = told.as_deref() != why.as_deref();
                if changed {
                    match &why {
                        Some(why) => tracing::error!(why, "nothing is accepted, sealed or anchored; reading goes on"),
                        None => tracing::info!("accepting"),
                    }
                    *told = why.map(Into::into);
                }
                changed
            });
        }
        tokio::time::sleep(LOOK).await;
    }
}
