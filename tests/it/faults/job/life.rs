//! One life of the service in the job: what a process has in memory, and the steps it does.

use std::sync::Arc;
use std::time::Duration;

use sceau::chain::signer::LocalWallet;
use sceau::ledger::Ledger;
use sceau::ledger::intake::{Intake, Limits};
use sceau::pipeline::anchoring::{Anchoring, Policy};
use sceau::pipeline::runner::{Watched, Work};
use sceau::pipeline::schedule::Schedule;
use sceau::pipeline::seal::Sealer;
use sceau::pipeline::{Result as Done, Step, StepError};
use sceau::ports::{Entropy, SystemEntropy};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::model::Model;

/// One life of the service.
pub(super) struct Life {
    pub(super) ledger: Ledger,
    pub(super) intake: Intake,
    anchoring: Option<(bool, Anchoring)>,
    pub(super) watched: Watched<Halting>,
    holder: Uuid,
    _lanes: JoinSet<()>,
}

impl Life {
    /// The one of that number, on the database behind `url`.
    pub(super) fn begin(url: &str, number: u128) -> Self {
        let ledger = Ledger::connect(url, 4).expect("a URL");
        let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
        let limits = Limits { lanes: 1, patience: Duration::from_millis(400), ..Limits::default() };
        let (intake, lanes) = Intake::start(&ledger, &entropy, limits);
        let watched = Watched { work: Halting(false), name: "planned".into(), ledger: ledger.clone(), halted: true };
        Self { ledger, intake, anchoring: None, watched, holder: Uuid::from_u128(number), _lanes: lanes }
    }

    pub(super) fn sealing(&self) -> Sealing {
        Sealing(Sealer {
            ledger: self.ledger.clone(),
            origin: "faults".into(),
            schedule: Schedule::parse("0 0 0 1 1 *").expect("a schedule"),
            threshold: 1,
            holder: self.holder,
        })
    }
}

/// Halts until it is told that the cause is gone.
pub(super) struct Halting(pub(super) bool);

impl Work for Halting {
    async fn step(&mut self) -> Done<Step> {
        if self.0 { Err(StepError::Halt("planned".into())) } else { Ok(Step::Idle) }
    }
}

pub(super) struct Sealing(Sealer);

impl Work for Sealing {
    async fn step(&mut self) -> Done<Step> {
        self.0.step().await
    }
}

pub(super) struct Anchors<'a> {
    pub(super) life: &'a mut Life,
    pub(super) wallet: Arc<LocalWallet>,
    pub(super) model: Arc<Model>,
    pub(super) hurry: bool,
}

impl Work for Anchors<'_> {
    async fn step(&mut self) -> Done<Step> {
        let instance = match self.life.anchoring.take() {
            Some((hurry, instance)) if hurry == self.hurry => instance,
            _ => {
                let policy = Policy {
                    resend_after: Duration::ZERO,
                    bump_after: if self.hurry { Duration::ZERO } else { Duration::from_secs(3_600) },
                    watch_every: Duration::ZERO,
                    ..Policy::default()
                };
                let chain = Arc::<Model>::clone(&self.model);
                let signer = Arc::<LocalWallet>::clone(&self.wallet);
                Anchoring::connect(self.life.ledger.clone(), chain, signer, policy, self.life.holder).await?
            }
        };
        let instance = &self.life.anchoring.insert((self.hurry, instance)).1;
        instance.step().await
    }
}
