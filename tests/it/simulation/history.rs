//! One history, drawn from its seed.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use sceau::chain::signer::LocalWallet;
use sceau::ledger::accounts::AccountId;
use sceau::ledger::intake::{Intake, Limits, Submission};
use sceau::pipeline::anchoring::Anchoring;
use sceau::pipeline::notify::Teller;
use sceau::pipeline::schedule::Schedule;
use sceau::pipeline::seal::Sealer;
use sceau::ports::{Entropy, SystemEntropy};
use sceau_verifier::Digest;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::control::Control;
use super::site::Site;
use crate::model::{Fate, Model, Moods, Peer, Rng, World};

/// Blocks below the head that are not final: the deepest reorg.
pub(super) const LAG: u64 = 8;
/// The same in every fourth history.
const DEEP: u64 = 64;

pub struct History<'a> {
    pub(super) site: &'a Site,
    pub(super) rng: Rng,
    pub(super) control: Control,
    pub model: Arc<Model>,
    /// Several endpoints, of which one may be in a world of its own. None: the model is the one endpoint.
    pub peers: Vec<Arc<Peer>>,
    pub(super) account: AccountId,
    pub(super) intake: Intake,
    pub(super) sealer: Sealer,
    /// Instances that anchor, `None` while they could not connect.
    pub(super) instances: [Option<Anchoring>; 2],
    pub(super) holders: u128,
    /// Another key than the publisher's, for instances that connect from now on.
    pub key: Option<Arc<LocalWallet>>,
    pub(super) submitted: u64,
    pub(super) acknowledged: HashMap<Digest, u64>,
    pub(super) lag: u64,
    pub(super) told: Vec<String>,
    pub(super) teller: Teller,
    /// Where the account's log was read to, and what it says of each batch.
    pub(super) log: (u64, HashMap<u64, Vec<String>>),
    /// Whether nothing bad happens any more.
    pub(super) quiet: bool,
    _lanes: JoinSet<()>,
}

impl<'a> History<'a> {
    pub async fn new(site: &'a Site, seed: u64, control: Control) -> Self {
        site.clear().await;
        let mut rng = Rng::new(seed);
        let lag = if seed % 4 == 3 { DEEP } else { LAG };
        let model = Arc::new(Model::new(site.wallet.account(), lag, Rng::new(rng.next())));
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
            peers: Vec::new(),
            account,
            intake,
            sealer,
            instances: [None, None],
            holders: 10,
            key: None,
            submitted: 0,
            acknowledged: HashMap::new(),
            lag,
            told: Vec::new(),
            teller: Teller {
                ledger: site.ledger.clone(),
                passed: Arc::new(|_| None),
                every: Duration::MAX,
                holder: Uuid::from_u128(2),
                looked: Some(std::time::Instant::now()),
            },
            log: Default::default(),
            quiet: false,
            _lanes: lanes,
        }
    }

    /// With three endpoints, two of which must agree on what is final.
    pub fn with_peers(mut self) -> Self {
        self.peers = (0..3).map(|_| Arc::new(Peer::of(&self.model))).collect();
        self
    }

    pub fn story(&self) -> String {
        self.told.join("\n")
    }

    pub(super) fn tell(&mut self, line: impl Into<String>) {
        self.told.push(line.into());
    }

    /// Plays the history and judges it.
    pub async fn play(&mut self) -> Result<(), String> {
        for _ in 0..40 + self.rng.below(40) {
            self.act().await?;
            self.check_finals().await?;
            // Often several changes are told together.
            if self.rng.chance(40) {
                self.check_log().await?;
            }
        }
        self.settle().await?;
        self.judge().await?;
        self.judge_log().await
    }

    async fn act(&mut self) -> Result<(), String> {
        if !self.peers.is_empty() && self.rng.chance(20) {
            self.stir_peers();
            return Ok(());
        }
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
                let depth = 1 + self.rng.below(self.lag);
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
            93..94 => {
                let hours = if self.rng.chance(50) { 1 } else { -1 };
                self.tell(format!("the clock jumps: {hours} h"));
                self.jump(hours).await;
            }
            94..96 => {
                let [lost, answer_lost, hang, moves] =
                    if self.rng.chance(30) { [0; 4] } else { [8, 8, 2, 6].map(|most| self.rng.below(most + 1)) };
                self.tell(format!("moods: lost {lost}, answer lost {answer_lost}, hang {hang}, moves {moves}"));
                self.model.set_moods(Moods { lost, answer_lost, hang, moves });
            }
            // What stays behind among several is one of them.
            _ if !self.peers.is_empty() => self.stir_peers(),
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

    /// The database's clock is the only one the pipeline reads: that it jumps is the same as that everything stored jumps
    /// the other way.
    async fn jump(&self, hours: i32) {
        for statement in [
            "update leases set expires_at = expires_at - make_interval(hours => $1)",
            "update attempts set signed_at = signed_at - make_interval(hours => $1), sent_at = sent_at - make_interval(hours => $1)",
        ] {
            sqlx::query(statement).bind(hours).execute(&self.site.database.pool).await.expect(statement);
        }
    }

    pub(super) async fn run(&self, statement: &'static str) {
        sqlx::query(statement).execute(&self.site.database.pool).await.expect(statement);
    }
}
