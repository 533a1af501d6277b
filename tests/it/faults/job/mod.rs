//! The service's whole write path as one script: two submissions, two batches, a replacement, a reorg, finality and a halt.
//! Each part is done again until the database says that it is done, as clients and the runner would.

mod life;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use sceau::audit::{self, Witness};
use sceau::chain::Chain;
use sceau::ledger::accounts::AccountId;
use sceau::ledger::intake::{Accepted, Detail, Submission};
use sceau::pipeline::StepError;
use sceau::pipeline::runner::{Bounded, Work};
use sceau_verifier::Digest;

use self::life::{Anchors, Life};
use crate::model::{Fate, Model, Rng, World};
use crate::simulation::site::Site;
use crate::support::postgres_proxy::Proxy;

/// Tries of one part of the job: what fails once is done by the second.
const TRIES: u32 = 60;

/// What the service does about the fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// The process dies of it, and another starts.
    Restart,
    /// It goes on.
    GoOn,
}

/// See the module.
pub struct Job<'a> {
    site: &'a Site,
    proxy: &'a Proxy,
    model: Arc<Model>,
    account: AccountId,
    then: Then,
    lives: u128,
    life: Option<Life>,
    acknowledged: HashMap<Digest, Accepted>,
    /// A positive control: answers before the commit.
    pub hasty: bool,
    died: bool,
}

impl<'a> Job<'a> {
    pub async fn new(site: &'a Site, proxy: &'a Proxy, then: Then) -> Self {
        site.clear().await;
        let account = crate::ledger::account(&site.ledger, "partner").await;
        let model = Arc::new(Model::new(site.wallet.account(), 2, Rng::new(1)));
        Self { site, proxy, model, account, then, lives: 0, life: None, acknowledged: HashMap::new(), hasty: false, died: false }
    }

    /// Does all of it, and judges what became of it.
    pub async fn run(&mut self) -> Result<(), String> {
        self.submit(0..3).await?;
        if self.hasty {
            // What it did not store will never be sealed.
            return self.judge().await;
        }
        self.seal().await?;
        self.anchor("sending", false, "select exists (select from anchors where state = 'sent')").await?;
        self.model.world(World::drop_pool);
        self.anchor("replacing", true, "select count(*) > 1 from attempts").await?;
        self.mine(1);
        self.anchor("including", false, "select exists (select from anchors where state = 'included')").await?;
        self.model.reorg(1, Fate::Dropped);
        self.anchor("going back", false, "select exists (select from anchor_history where note like '%no longer canonical')")
            .await?;
        // The first is a repetition.
        self.submit(2..5).await?;
        self.seal().await?;
        for _ in 0..4 {
            self.anchor("going on", false, "select true").await?;
            self.mine(1);
        }
        self.anchor("finality", false, "select count(*) = 2 and bool_and(state = 'final') from anchors").await?;
        self.halt(true, "select exists (select from halts)").await?;
        self.halt(false, "select not exists (select from halts)").await?;
        self.judge().await
    }

    fn mine(&self, blocks: usize) {
        (0..blocks).for_each(|_| self.model.world(World::mine));
    }

    fn life(&mut self) -> &mut Life {
        if self.life.is_none() {
            self.lives += 1;
            self.life = Some(Life::begin(&self.proxy.url, self.lives));
        }
        self.life.as_mut().expect("a life")
    }

    /// The process is gone: its memory, its connections, and in time its leases.
    async fn die(&mut self) {
        self.died = true;
        self.life = None;
        self.proxy.cut_all();
        self.proxy.release();
        self.run_sql("update leases set expires_at = clock_timestamp()").await;
    }

    /// Does `work` once. `None` when the process died of it.
    async fn attempt<T>(&mut self, work: impl AsyncFnOnce(&mut Life) -> T) -> Option<T> {
        let (proxy, dies) = (self.proxy, self.then == Then::Restart && !self.died);
        self.life();
        let life = self.life.as_mut().expect("a life");
        let done = tokio::select! {
            biased;
            () = async { proxy.fired().await; tokio::time::sleep(Duration::from_millis(3)).await }, if dies => None,
            done = work(life) => Some(done),
        };
        if done.is_none() || (dies && proxy.has_fired()) {
            self.die().await;
        } else if proxy.has_fired() {
            // Whoever waited for the answer has given up, or never did.
            proxy.release();
        }
        done
    }

    async fn submit(&mut self, numbers: std::ops::Range<u64>) -> Result<(), String> {
        let account = self.account;
        let detail = Detail { file_name: Some("a".into()), ..Detail::default() };
        let items: Vec<Submission> = numbers
            .map(|n| Submission { account, digest: crate::ledger::digest(9, n), detail: (n == 0).then(|| detail.clone()) })
            .collect();
        if self.hasty {
            // The answer is given while the commit is under way.
            let hasty = items.clone();
            let done = self.attempt(async |life: &mut Life| life.intake.accept(hasty).await.ok()).await.flatten();
            let told = done.unwrap_or_else(|| {
                let made_up = |item: &Submission| Accepted {
                    digest: item.digest,
                    salt: [0; 16].into(),
                    batch: 1,
                    received_at: time::OffsetDateTime::UNIX_EPOCH,
                    fresh: true,
                    number: 1,
                    anchor_by: None,
                };
                items.iter().map(made_up).collect()
            });
            self.acknowledged.extend(told.into_iter().map(|one| (one.digest, one)));
            return Ok(());
        }
        for _ in 0..TRIES {
            let items = items.clone();
            let done = self.attempt(async |life: &mut Life| life.intake.accept(items).await).await;
            let Some(Ok(accepted)) = done else { continue };
            for one in accepted {
                let before = *self.acknowledged.entry(one.digest).or_insert(one);
                if (before.salt, before.batch) != (one.salt, one.batch) {
                    return Err(format!("{} was acknowledged twice, differently", one.digest));
                }
            }
            return Ok(());
        }
        Err("nothing is accepted any more".into())
    }

    async fn seal(&mut self) -> Result<(), String> {
        let done = "select not exists (select from proofs p join batches b on b.number = p.batch where b.state <> 'sealed')";
        let mut last = None;
        for _ in 0..TRIES {
            last = self
                .attempt(async |life: &mut Life| Bounded { work: life.sealing(), limit: Duration::from_secs(1) }.step().await)
                .await;
            if self.holds(done).await {
                return Ok(());
            }
        }
        Err(format!("nothing is sealed any more: {last:?}"))
    }

    async fn anchor(&mut self, what: &str, hurry: bool, done: &'static str) -> Result<(), String> {
        let mut last = None;
        for _ in 0..TRIES {
            let (wallet, model) = (Arc::clone(&self.site.wallet), Arc::clone(&self.model));
            last = self
                .attempt(async |life: &mut Life| {
                    Bounded { work: Anchors { life, wallet, model, hurry }, limit: Duration::from_secs(1) }.step().await
                })
                .await;
            if let Some(Err(StepError::Halt(why))) = last {
                return Err(format!("{what}: halted: {why}"));
            }
            // A step that failed has not looked at everything: the condition may hold since before.
            if matches!(last, Some(Ok(_))) && self.holds(done).await {
                return Ok(());
            }
        }
        Err(format!("{what}: it does not come: {last:?}"))
    }

    async fn halt(&mut self, halted: bool, done: &'static str) -> Result<(), String> {
        for _ in 0..TRIES {
            self.attempt(async |life: &mut Life| {
                life.watched.work.0 = halted;
                let _ = tokio::time::timeout(Duration::from_secs(1), life.watched.step()).await;
            })
            .await;
            if self.holds(done).await {
                return Ok(());
            }
        }
        Err(format!("a halt ({halted}) is not told"))
    }

    async fn holds(&self, question: &'static str) -> bool {
        sqlx::query_scalar(question).fetch_one(&self.site.database.pool).await.expect(question)
    }

    async fn run_sql(&self, statement: &'static str) {
        sqlx::query(statement).execute(&self.site.database.pool).await.expect(statement);
    }

    async fn judge(&self) -> Result<(), String> {
        for (digest, told) in &self.acknowledged {
            match self.site.ledger.proof(self.account, digest).await.expect("an answer") {
                None => return Err(format!("{digest} was acknowledged and is gone")),
                Some(proof) if (proof.salt, proof.batch) != (told.salt, told.batch) => {
                    return Err(format!("{digest} is not as it was acknowledged"));
                }
                Some(_) => {}
            }
        }
        let chain: Arc<dyn Chain> = Arc::<Model>::clone(&self.model);
        let report = audit::run(&self.site.ledger, &[Witness { chain, depth: None, evidence: false }], |_| ()).await;
        let report = report.expect("a report");
        if !report.is_clean() {
            return Err(format!("the audit found {:?}", report.findings));
        }
        let stored: i64 =
            sqlx::query_scalar("select count(*) from proofs").fetch_one(&self.site.database.pool).await.expect("a count");
        let (transactions, reverted) = self.model.world(|world| world.transactions());
        if (stored, self.acknowledged.len(), transactions, reverted) != (5, 5, 2, 0) {
            return Err(format!(
                "{stored} digests are stored, {} acknowledged; {transactions} transactions, {reverted} reverted",
                self.acknowledged.len()
            ));
        }
        Ok(())
    }
}
