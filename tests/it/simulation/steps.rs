//! Steps of an instance in a history, whole or cut short.

use std::sync::Arc;
use std::time::Duration;

use sceau::chain::Chain;
use sceau::chain::endpoints::{Endpoints, Rules};
use sceau::chain::signer::{LocalWallet, Signer};
use sceau::pipeline::anchoring::{Anchoring, Policy};
use sceau::pipeline::{Step, StepError};
use sceau::ports::SystemEntropy;
use uuid::Uuid;

use super::control::{Control, Eager};
use super::history::History;
use crate::model::{Crash, Model, Peer};

impl History<'_> {
    /// Connects an instance unless it is.
    async fn connect(&mut self, which: usize, hurry: bool) -> Result<Anchoring, StepError> {
        if let Some(instance) = self.instances[which].take()
            && !hurry
        {
            return Ok(instance);
        }
        self.holders += 1;
        let policy = Policy {
            resend_after: Duration::ZERO,
            bump_after: if hurry { Duration::ZERO } else { Duration::from_secs(3_600) },
            ceiling: 100_000_000_000,
            window: 8,
            watch_every: Duration::ZERO,
            ..Policy::default()
        };
        let dies = self.control == Control::SendBeforeStore && self.rng.chance(40);
        let signer: Arc<dyn Signer> = match self.control {
            Control::SendBeforeStore => Arc::new(Eager(Arc::clone(&self.site.wallet), Arc::clone(&self.model), dies)),
            _ => Arc::<LocalWallet>::clone(self.key.as_ref().unwrap_or(&self.site.wallet)),
        };
        let (ledger, holder) = (self.site.ledger.clone(), Uuid::from_u128(self.holders));
        if self.peers.is_empty() {
            return Anchoring::connect(ledger, Arc::<Model>::clone(&self.model), signer, policy, holder).await;
        }
        let chains = self.peers.iter().map(|peer| Arc::<Peer>::clone(peer) as Arc<dyn Chain>).collect();
        let (timeout, first_pause) = (Duration::from_millis(40), Duration::from_millis(1));
        let quorum = if self.control == Control::NoQuorum { 1 } else { 2 };
        let rules = Rules { quorum, max_lag: 2 * self.lag, timeout, first_pause };
        let endpoints = Arc::new(Endpoints::new(chains, rules, Arc::new(SystemEntropy)));
        Anchoring::connect_several(ledger, endpoints, signer, policy, holder).await
    }

    pub async fn attempt(&mut self, which: usize, hurry: bool) -> Result<Step, StepError> {
        let instance = self.connect(which, hurry).await?;
        let done = instance.step().await;
        if !hurry {
            self.instances[which] = Some(instance);
        }
        done
    }

    /// One step of an instance, `None` when it died of it: then another may go on when the lease is over.
    async fn live(&mut self, which: usize, hurry: bool, crash: Option<Crash>) -> Result<(), String> {
        let model = Arc::clone(&self.model);
        model.begin();
        model.set_crash(crash);
        let ended = tokio::select! {
            done = self.attempt(which, hurry) => Some(done),
            () = model.died.notified() => None,
        };
        model.set_crash(None);
        self.tell(format!("step {which}, hurry {hurry}, {crash:?}: {ended:?}"));
        if ended.is_none() {
            self.instances[which] = None;
            self.run("update leases set expires_at = clock_timestamp()").await;
        }
        if self.control == Control::NewestOnly {
            self.run(
                "delete from attempts a where exists (select from attempts b where b.batch = a.batch and b.max_fee > a.max_fee)",
            )
            .await;
        }
        match ended {
            // While the others fail one that lies is alone.
            Some(Err(StepError::Halt(why))) if self.peers.is_empty() || self.quiet => Err(format!("halted: {why}")),
            // An endpoint that fails, two instances at once, or a death.
            _ => Ok(()),
        }
    }

    /// One step of an instance; with `hurry` it offers more at once.
    pub async fn step(&mut self, which: usize, hurry: bool) -> Result<(), String> {
        self.live(which, hurry, None).await
    }

    /// A step that ends with one of its calls.
    pub(super) async fn crash(&mut self, which: usize) -> Result<(), String> {
        let crash = Crash { after: self.rng.below(25), effect: self.rng.chance(50) };
        self.live(which, false, Some(crash)).await
    }
}
