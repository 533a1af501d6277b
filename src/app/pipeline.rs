//! The pipeline's tasks: one that seals, one that tells, one for each target.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_cron_scheduler::{Job, JobScheduler};
use uuid::Uuid;

use super::targets::{Endpoint, Pinned, Way};
use crate::chain::observed::Seen;
use crate::config::Config;
use crate::ledger::Ledger;
use crate::pipeline::anchoring::Anchoring;
use crate::pipeline::continuity::{Compared, Resting};
use crate::pipeline::notify::{Passed, Teller};
use crate::pipeline::runner::{self, Watched, Work};
use crate::pipeline::schedule::Schedule;
use crate::pipeline::seal::Sealer;
use crate::pipeline::{self, Step};
use crate::ports::Ports;

/// Pause between two looks at the pool, and at the chain, while there is nothing to do.
const POLL: Duration = Duration::from_secs(1);

/// Pause between two looks for broken promises.
const OVERDUE: Duration = Duration::from_secs(10);

/// Starts all of it as members of `tasks`, which never end by themselves. The answered clock only wakes the sealer.
///
/// # Errors
/// When a setting cannot be used: nothing is started then.
pub(super) async fn start(
    config: &Config,
    ledger: &Ledger,
    (schedule, passed, pinned): (&Schedule, Passed, &Pinned),
    (ports, seen): (&Ports, &Seen),
    holder: Uuid,
    tasks: &mut JoinSet<()>,
) -> anyhow::Result<JobScheduler> {
    let endpoints =
        config.targets.iter().map(|target| Endpoint::of(target, &ports.entropy, seen)).collect::<anyhow::Result<Vec<_>>>()?;
    let (due, sealed) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let sealer = Sealer {
        ledger: ledger.clone(),
        origin: config.origin.clone(),
        schedule: schedule.clone(),
        threshold: config.seal.threshold,
        holder,
    };
    let seal = Seal { sealer, sealed: Arc::clone(&sealed) };
    let seal = Resting { work: seal, ledger: ledger.clone(), targets: Arc::clone(pinned) };
    let seal = Watched { work: seal, name: "seal".into(), ledger: ledger.clone(), halted: true };
    tasks.spawn(runner::run("seal", POLL, Arc::clone(&due), seal));
    let teller = Teller { ledger: ledger.clone(), passed, every: OVERDUE, holder, looked: None };
    let teller = Watched { work: teller, name: "notify".into(), ledger: ledger.clone(), halted: true };
    tasks.spawn(runner::run("notify", POLL, Arc::default(), teller));
    for (target, endpoint) in config.targets.iter().zip(endpoints) {
        let name = format!("anchor eip155:{} {}", target.chain_id, target.registry.to_lowercase());
        let anchor = Anchor { ledger: ledger.clone(), endpoint, holder, targets: Arc::clone(pinned), connected: None };
        let anchor = Watched { work: anchor, name, ledger: ledger.clone(), halted: true };
        tasks.spawn(runner::run("anchor", POLL, Arc::clone(&sealed), anchor));
    }
    // What is due is decided from the database, so a missed tick is caught up by the next look.
    tick(&config.seal.schedule, due).await
}

async fn tick(schedule: &str, due: Arc<Notify>) -> anyhow::Result<JobScheduler> {
    let scheduler = JobScheduler::new().await.context("starting the schedule")?;
    let job = Job::new(schedule, move |_, _| due.notify_one()).context("seal.schedule")?;
    scheduler.add(job).await.context("starting the schedule")?;
    scheduler.start().await.context("starting the schedule")?;
    Ok(scheduler)
}

/// Seals, and wakes whoever anchors.
struct Seal {
    sealer: Sealer,
    sealed: Arc<Notify>,
}

impl Work for Seal {
    async fn step(&mut self) -> pipeline::Result<Step> {
        let done = self.sealer.step().await?;
        if done == Step::Worked {
            self.sealed.notify_waiters();
        }
        Ok(done)
    }
}

/// Connects, however long that takes, then anchors. A chain that is down at start delays nothing else.
struct Anchor {
    ledger: Ledger,
    endpoint: Endpoint,
    holder: Uuid,
    targets: Pinned,
    connected: Option<Compared>,
}

impl Work for Anchor {
    async fn step(&mut self) -> pipeline::Result<Step> {
        if let Some(anchoring) = &mut self.connected {
            return anchoring.step().await;
        }
        let Endpoint { way, key, policy } = &self.endpoint;
        let (ledger, signer) = (self.ledger.clone(), key.open().await?);
        let anchoring = match way.clone() {
            Way::One(chain) => Anchoring::connect(ledger, chain, signer, *policy, self.holder).await?,
            Way::Several(endpoints) => Anchoring::connect_several(ledger, endpoints, signer, *policy, self.holder).await?,
        };
        tracing::info!(chain = ?self.endpoint.way, "connected");
        self.connected = Some(Compared::new(anchoring, Arc::clone(&self.targets)));
        Ok(Step::Worked)
    }
}
