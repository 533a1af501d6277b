//! One history, drawn from its seed.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use alloy::consensus::TxEip1559;
use alloy::primitives::{Address, B256};
use async_trait::async_trait;
use sceau::audit::{self, Witness};
use sceau::chain::Chain;
use sceau::chain::signer::{LocalWallet, SignError, SignedAnchor, Signer};
use sceau::ledger::accounts::AccountId;
use sceau::ledger::intake::{Intake, Limits, Submission};
use sceau::pipeline::anchoring::{Anchoring, Policy};
use sceau::pipeline::schedule::Schedule;
use sceau::pipeline::seal::Sealer;
use sceau::pipeline::{Step, StepError};
use sceau::ports::{Entropy, SystemEntropy};
use sceau_verifier::Digest;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::site::Site;
use crate::model::{Crash, Fate, Model, Moods, Rng, World};

/// Blocks below the head that are not final: the deepest reorg.
const LAG: u64 = 8;

/// What is broken on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control {
    None,
    /// Signed bytes reach the node before they are stored.
    SendBeforeStore,
    /// A block counts as canonical because its height is there.
    HeightOnly,
    /// Only the newest attempt of an anchor is kept.
    NewestOnly,
}

/// Sends what it signs at once, and often dies of it.
#[derive(Debug)]
struct Eager(Arc<LocalWallet>, Arc<Model>, bool);

#[async_trait]
impl Signer for Eager {
    fn address(&self) -> Address {
        self.0.account()
    }
    async fn sign_eip1559(&self, asked: &TxEip1559) -> Result<SignedAnchor, SignError> {
        let signed = self.0.sign_eip1559(asked).await?;
        let _ = self.1.send(&signed.raw).await;
        if self.2 {
            self.1.died.notify_one();
            std::future::pending::<()>().await;
        }
        Ok(signed)
    }
}

pub struct History<'a> {
    site: &'a Site,
    rng: Rng,
    control: Control,
    pub model: Arc<Model>,
    account: AccountId,
    intake: Intake,
    sealer: Sealer,
    /// Instances that anchor, `None` while they could not connect.
    instances: [Option<Anchoring>; 2],
    holders: u128,
    /// Another key than the publisher's, for instances that connect from now on.
    pub key: Option<Arc<LocalWallet>>,
    submitted: u64,
    acknowledged: HashMap<Digest, u64>,
    told: Vec<String>,
    _lanes: JoinSet<()>,
}

impl<'a> History<'a> {
    pub async fn new(site: &'a Site, seed: u64, control: Control) -> Self {
        site.clear().await;
        let mut rng = Rng::new(seed);
        let model = Arc::new(Model::new(site.wallet.account(), LAG, Rng::new(rng.next())));
        if control == Control::HeightOnly {
            model.echo_orphans();
        }
        let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
        let (intake, lanes) = Intake::start(&site.ledger, &entropy, Limits::default());
        let sealer = Sealer {
            ledger: site.ledger.clone(),
            origin: "simulation".into(),
            schedule: Schedule::parse("0 0 0 1 1 *").expect("a schedule"),
            threshold: 1_000_000,
            holder: Uuid::from_u128(1),
        };
        let account = crate::ledger::account(&site.ledger, "partner").await;
        Self {
            site,
            rng,
            control,
            model,
            account,
            intake,
            sealer,
            instances: [None, None],
            holders: 10,
            key: None,
            submitted: 0,
            acknowledged: HashMap::new(),
            told: Vec::new(),
            _lanes: lanes,
        }
    }

    pub fn story(&self) -> String {
        self.told.join("\n")
    }

    fn tell(&mut self, line: impl Into<String>) {
        self.told.push(line.into());
    }

    /// Plays the history and judges it.
    pub async fn play(&mut self) -> Result<(), String> {
        for _ in 0..40 + self.rng.below(40) {
            self.act().await?;
            self.check_finals().await?;
        }
        self.settle().await?;
        self.judge().await
    }

    async fn act(&mut self) -> Result<(), String> {
        let which = self.rng.below(2) as usize;
        match self.rng.below(100) {
            0..12 => self.submit().await,
            12..22 => self.seal().await?,
            22..50 => self.step(which, false).await?,
            50..56 => self.step(which, true).await?,
            56..60 => self.crash(which).await?,
            60..63 => {
                self.tell(format!("restart {which}"));
                self.instances[which] = None;
            }
            63..80 => {
                let count = 1 + self.rng.below(4);
                self.tell(format!("mine {count}"));
                (0..count).for_each(|_| self.model.world(World::mine));
            }
            80..86 => {
                let depth = 1 + self.rng.below(LAG);
                let fate = [Fate::Later, Fate::Pooled, Fate::Dropped][self.rng.below(3) as usize];
                self.tell(format!("reorg {depth} {fate:?}"));
                self.model.reorg(depth, fate);
            }
            86..89 => {
                let base_fee = [1, 3, 50, 90, 400][self.rng.below(5) as usize];
                self.tell(format!("base fee {base_fee} gwei"));
                self.model.world(|world| world.base_fee = base_fee * 1_000_000_000);
            }
            89..91 => {
                self.tell("the pool is dropped");
                self.model.world(World::drop_pool);
            }
            91..93 => {
                let broke = self.rng.chance(40);
                self.tell(format!("broke: {broke}"));
                self.model.world(|world| world.broke = broke);
            }
            93..96 => {
                let [lost, answer_lost, hang, moves] =
                    if self.rng.chance(30) { [0; 4] } else { [8, 8, 2, 6].map(|most| self.rng.below(most + 1)) };
                self.tell(format!("moods: lost {lost}, answer lost {answer_lost}, hang {hang}, moves {moves}"));
                self.model.set_moods(Moods { lost, answer_lost, hang, moves });
            }
            _ => {
                let (behind, at_once) = (self.rng.chance(50), self.rng.chance(50));
                self.tell(format!("behind: {behind}, at once: {at_once}"));
                if behind { self.model.fall_behind(at_once) } else { self.model.catch_up() }
            }
        }
        Ok(())
    }

    pub async fn submit(&mut self) {
        let count = 1 + self.rng.below(4);
        self.tell(format!("submit {count}"));
        let submission = |number| Submission { account: self.account, digest: crate::ledger::digest(0, number), detail: None };
        // The first is often one that was submitted before.
        let items: Vec<_> = (0..count).map(|n| submission((self.submitted + n).saturating_sub(1))).collect();
        self.submitted += count;
        for accepted in self.intake.accept(items).await.expect("accepted") {
            let before = *self.acknowledged.entry(accepted.digest).or_insert(accepted.batch);
            assert_eq!(before, accepted.batch, "the answer to a repeated submission changed");
        }
    }

    pub async fn seal(&mut self) -> Result<(), String> {
        let sealed = self.sealer.seal_now().await.map_err(|error| format!("sealing: {error}"))?;
        self.tell(format!("seal {sealed:?}"));
        Ok(())
    }

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
        let chain = Arc::<Model>::clone(&self.model);
        Anchoring::connect(self.site.ledger.clone(), chain, signer, policy, Uuid::from_u128(self.holders)).await
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
            Some(Err(StepError::Halt(why))) => Err(format!("halted: {why}")),
            // An endpoint that fails, two instances at once, or a death.
            _ => Ok(()),
        }
    }

    /// One step of an instance; with `hurry` it offers more at once.
    pub async fn step(&mut self, which: usize, hurry: bool) -> Result<(), String> {
        self.live(which, hurry, None).await
    }

    /// A step that ends with one of its calls.
    async fn crash(&mut self, which: usize) -> Result<(), String> {
        let crash = Crash { after: self.rng.below(25), effect: self.rng.chance(50) };
        self.live(which, false, Some(crash)).await
    }

    async fn run(&self, statement: &'static str) {
        sqlx::query(statement).execute(&self.site.database.pool).await.expect(statement);
    }

    /// Whatever moves: what counts as final stands on the chain, in a final block.
    pub async fn check_finals(&mut self) -> Result<(), String> {
        let finals: Vec<(i64, i64, Vec<u8>)> =
            sqlx::query_as("select batch, block_number, block_hash from anchors where state = 'final'")
                .fetch_all(&self.site.database.pool)
                .await
                .expect("anchors");
        for (batch, number, hash) in finals {
            let (block, end) = self.model.world(|world| (world.block(number.unsigned_abs()), world.finalized()));
            if block.is_none_or(|block| block.hash != B256::from_slice(&hash)) || end.number < number.unsigned_abs() {
                return Err(format!("batch {batch} counts as final in block {number}, which is not"));
            }
        }
        Ok(())
    }

    /// Nothing bad happens any more; everything comes to its end.
    pub async fn settle(&mut self) -> Result<(), String> {
        self.tell("quiet from here on");
        self.model.set_moods(Moods::default());
        self.model.catch_up();
        self.model.world(|world| {
            world.base_fee = 1_000_000_000;
            world.broke = false;
        });
        self.seal().await?;
        for round in 0..120 {
            self.step(round % 2, false).await?;
            self.check_finals().await?;
            let left: i64 = sqlx::query_scalar("select count(*) from anchors where state <> 'final'")
                .fetch_one(&self.site.database.pool)
                .await
                .expect("a count");
            if left == 0 {
                return Ok(());
            }
            (0..2).for_each(|_| self.model.world(World::mine));
        }
        Err("it does not settle".into())
    }

    async fn judge(&mut self) -> Result<(), String> {
        let chain: Arc<dyn Chain> = Arc::<Model>::clone(&self.model);
        let witness = Witness { chain, depth: None, evidence: false };
        let report = audit::run(&self.site.ledger, &[witness], |_| ()).await.expect("a report");
        // The pool was empty when nothing was ever stepped.
        let pinned = report.findings.iter().all(|finding| finding.table == "targets") && self.acknowledged.is_empty();
        if !report.is_clean() && !pinned {
            return Err(format!("the audit found {:?}", report.findings));
        }
        let stored: Vec<(Vec<u8>, i64)> =
            sqlx::query_as("select digest, batch from proofs").fetch_all(&self.site.database.pool).await.expect("proofs");
        if stored.len() != self.acknowledged.len() {
            return Err(format!("{} digests were acknowledged, {} are stored", self.acknowledged.len(), stored.len()));
        }
        for (digest, batch) in stored {
            let digest = Digest::from(<[u8; 32]>::try_from(digest).expect("32 bytes"));
            if self.acknowledged.get(&digest) != Some(&batch.unsigned_abs()) {
                return Err(format!("{digest} is in batch {batch}, acknowledged for {:?}", self.acknowledged.get(&digest)));
            }
        }
        let sealed: i64 = sqlx::query_scalar("select count(*) from batches where state = 'sealed'")
            .fetch_one(&self.site.database.pool)
            .await
            .expect("a count");
        let (transactions, reverted) = self.model.world(|world| world.transactions());
        let last = self.model.world(|world| world.last_number());
        if (transactions as i64, reverted, last as i64) != (sealed, 0, sealed) {
            return Err(format!(
                "{sealed} batches, {transactions} transactions ({reverted} reverted), the registry's newest is {last}"
            ));
        }
        Ok(())
    }
}
