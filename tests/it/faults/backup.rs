//! An old backup is restored: nothing is accepted or signed before the database has learned what the chain knows, no number
//! and no nonce is used twice, and no hole is left.
//!
//! `SOAK_DRILLS=20` restores more often, each time from another moment.

use std::sync::Arc;
use std::time::Duration;

use sceau::audit::{self, Witness};
use sceau::chain::Chain;
use sceau::chain::evm::Evm;
use sceau::dev::anvil::Mining;
use sceau::ledger::Ledger;
use sceau::ledger::anchors::AnchorState;
use sceau::ledger::batches::Batch;
use sceau::ledger::intake::{Accepted, Intake, Limits, Submission};
use sceau::pipeline::anchoring::{Anchoring, Policy};
use sceau::pipeline::continuity::Compared;
use sceau::pipeline::seal::Sealer;
use sceau::pipeline::{Step, StepError};
use sceau::ports::{Entropy, SystemEntropy};
use sceau::recover::{self, Plan, Source};
use uuid::Uuid;

use crate::model::Rng;
use crate::pipeline::kit::Kit;
use crate::support::load::Partner;
use crate::support::service::{Deployment, Instance, lasting_port};
use crate::support::{self, Database};

/// Drills in a run that nobody asked more of.
const QUICK: u64 = 3;

/// The service on the restored copy.
struct Restored<'a> {
    kit: &'a Kit,
    database: Database,
    ledger: Ledger,
    compared: Compared,
}

impl<'a> Restored<'a> {
    async fn new(kit: &'a Kit, database: Database) -> Self {
        let ledger = Ledger::connect(&database.url, 6).expect("a URL");
        let policy = Policy { resend_after: Duration::from_millis(1), ..Policy::default() };
        let chain: Arc<dyn Chain> = Arc::clone(&kit.chain) as Arc<dyn Chain>;
        let wallet = Arc::clone(&kit.wallet) as Arc<dyn sceau::chain::signer::Signer>;
        let anchoring = Anchoring::connect(ledger.clone(), chain, wallet, policy, Uuid::from_u128(77)).await.expect("connected");
        let compared = Compared::new(anchoring, Arc::from(Self::targets(kit)));
        Self { kit, database, ledger, compared }
    }

    fn targets(kit: &Kit) -> Vec<(u64, [u8; 20])> {
        vec![(31337, kit.chain.target().registry.into())]
    }

    async fn read_only(&self) -> Option<String> {
        self.ledger.read_only(&Self::targets(self.kit)).await.expect("an answer")
    }

    async fn plan(&self) -> Plan {
        let chain = Evm::connect(&self.kit.anvil.url, self.kit.chain.target().clone()).expect("a URL");
        recover::plan(&self.ledger, &[Source { chain, depth: None }], None).await.expect("a plan")
    }

    async fn accept(&self, kind: u64, count: u64) -> Vec<Accepted> {
        let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
        let (intake, _lanes) = Intake::start(&self.ledger, &entropy, Limits::default());
        let account = self.kit.account;
        let items = (0..count).map(|n| Submission { account, digest: crate::ledger::digest(kind, n), detail: None });
        intake.accept(items.collect()).await.expect("accepted")
    }

    /// Seals, and works until everything is final.
    async fn finish(&mut self) {
        let sealer = Sealer { ledger: self.ledger.clone(), ..self.kit.sealer.clone() };
        sealer.seal_now().await.expect("sealed");
        for _ in 0..200 {
            while self.compared.step().await.expect("a step") == Step::Worked {}
            let left: i64 = sqlx::query_scalar("select count(*) from anchors where state <> 'final'")
                .fetch_one(&self.database.pool)
                .await
                .expect("a count");
            if left == 0 {
                return;
            }
            self.kit.anvil.mine(1).await.expect("a block");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("it does not become final");
    }
}

async fn drill(seed: u64) {
    let mut rng = Rng::new(seed);
    let kit = Kit::new(Mining::Instant).await;
    for kind in 0..rng.below(3) {
        let (batch, _) = kit.seal(kind, 1 + rng.below(3)).await;
        kit.until(batch, AnchorState::Final).await.unwrap();
    }
    // The backup is made while something is under way.
    let mut before: Vec<Accepted> = Vec::new();
    let under_way = rng.below(5);
    if under_way >= 1 {
        before.extend(submit(&kit, 10, 3).await);
    }
    match under_way {
        2 => {
            let closed: Option<i64> =
                sqlx::query_scalar("select close_batch()").fetch_one(&kit.database.pool).await.expect("closed");
            assert!(closed.is_some());
        }
        3 | 4 => {
            kit.sealer.seal_now().await.unwrap();
            if under_way == 4 {
                kit.settle().await.unwrap();
            }
        }
        _ => {}
    }
    let copy = kit.database.copy().await;

    // Life goes on, and is lost: digests, batches, transactions.
    let mut after = Vec::new();
    let rounds = rng.below(4);
    for round in 0..rounds {
        after.extend(submit(&kit, 20 + round, 1 + rng.below(3)).await);
        kit.sealer.seal_now().await.unwrap();
        kit.settle().await.unwrap();
    }
    kit.sealer.seal_now().await.unwrap();
    kit.settle().await.unwrap();
    kit.anvil.mine(8).await.unwrap();
    let (mined, last) = (kit.transactions().await, kit.chain.last_number().await.unwrap());
    let mut old_roots = Vec::new();
    for number in 1..=last {
        old_roots.push(kit.root(number).await);
    }

    let mut restored = Restored::new(&kit, copy).await;
    assert!(restored.read_only().await.is_some(), "seed {seed}: a copy elsewhere is compared before anything is done");
    let first = restored.compared.step().await;
    let plan = restored.plan().await;
    let behind = !plan.is_empty();
    assert_eq!(matches!(first, Err(StepError::Halt(_))), behind, "seed {seed}: {first:?}, {plan:?}");
    assert_eq!(restored.read_only().await.is_some(), behind, "seed {seed}");
    assert_eq!(kit.transactions().await, mined, "seed {seed}: nothing is signed by an old database");
    if behind {
        assert_eq!(plan.obstacles, [""; 0], "seed {seed}");
        let done = restored.ledger.recover(&plan.lost, &plan.forgotten).await.unwrap();
        assert_eq!(done.moved, plan.moved, "seed {seed}");
        assert!(restored.plan().await.is_empty(), "seed {seed}: {:?}", restored.plan().await);
    }
    // Whoever has no receipt submits again.
    let again = restored.accept(10, 3).await;
    for (told, now) in before.iter().zip(&again) {
        assert_eq!((told.digest, told.salt, false), (now.digest, now.salt, now.fresh), "seed {seed}: what the backup has stays");
    }
    restored.accept(99, 2).await;
    restored.finish().await;
    assert_eq!(restored.read_only().await, None);

    let chain: Arc<dyn Chain> = Arc::clone(&kit.chain) as Arc<dyn Chain>;
    let newest = chain.last_number().await.unwrap();
    assert_eq!(kit.transactions().await, 1 + newest, "seed {seed}: one transaction a batch");
    for (number, root) in (1..).zip(&old_roots) {
        let record = chain.record((*root).into()).await.unwrap().expect("nobody takes a root back");
        assert_eq!(record.number, number);
        assert!(matches!(
            restored.ledger.batch(number).await.unwrap(),
            Some(Batch::Sealed(sceau::ledger::batches::SealedBatch { root: stored, .. }) | Batch::Lost { root: stored, .. }) if stored == *root
        ));
    }
    let report = audit::run(&restored.ledger, &[Witness { chain, depth: None, evidence: true }], |_| ()).await.unwrap();
    assert!(report.is_clean(), "seed {seed}: {:#?}", report.findings);
    eprintln!(
        "drill {seed}: {} batches lost, {} transactions forgotten, {} proofs moved, newest batch {newest}",
        plan.lost.len(),
        plan.forgotten.len(),
        plan.moved
    );
}

async fn submit(kit: &Kit, kind: u64, count: u64) -> Vec<Accepted> {
    let items = (0..count).map(|n| Submission { account: kit.account, digest: crate::ledger::digest(kind, n), detail: None });
    kit.intake.accept(items.collect()).await.expect("accepted")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_backup_goes_on_behind_what_the_chain_holds() {
    let drills = std::env::var("SOAK_DRILLS").ok().map_or(QUICK, |text| text.parse().expect("SOAK_DRILLS is a number"));
    // Drawn so that the first few differ in what was under way.
    for seed in 0..drills {
        drill(seed).await;
    }
}

async fn get(url: &str, token: &str) -> (u16, serde_json::Value) {
    let answer = reqwest::Client::new().get(url).bearer_auth(token).send().await.expect("an answer");
    (answer.status().as_u16(), answer.json().await.expect("JSON"))
}

/// The answer of a submission, made again for as long as the service says that it cannot take it now.
async fn taken(partner: &Partner, document: &str, instance: &Instance) -> serde_json::Value {
    let deadline = std::time::Instant::now() + Duration::from_secs(90);
    loop {
        let (status, told) = partner.submit(document).await;
        if status == 201 {
            return told;
        }
        assert!(status == 503 && std::time::Instant::now() < deadline, "{status} {told}\n{}", instance.log());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// The real program on a restored copy: it reads, refuses what is new, says what to do, and goes on when that is done.
#[tokio::test(flavor = "multi_thread")]
async fn the_service_on_an_old_backup_only_reads_until_it_is_recovered() {
    let database = support::database().await;
    let mut deployment = Deployment::new(&database.url).await;
    let port = lasting_port();
    let mut instance = Instance::start(&deployment.config, port);
    instance.ready().await;
    let partner = Partner::new(port, &deployment.credentials).await;
    let (status, told) = partner.submit("kept").await;
    assert_eq!(status, 201, "{told}");
    deployment.settle(1).await;
    let backup = database.copy().await;
    // Lost with what came after the backup.
    instance.ready().await;
    let lost = taken(&partner, "lost", &instance).await;
    deployment.settle(lost["proofs"][0]["batch"].as_u64().expect("a batch")).await;
    instance.stop();

    deployment.move_to(&backup.url);
    let mut instance = Instance::start(&deployment.config, port);
    instance.ready().await;
    let partner = Partner::new(port, &deployment.credentials).await;
    let (status, refused) = partner.submit("new").await;
    assert_eq!((status, &refused["code"]), (503, &serde_json::json!("read_only")), "{refused}");
    let digest = told["proofs"][0]["digest"].as_str().expect("a digest");
    let (status, proof) = get(&format!("http://127.0.0.1:{port}/v1/proofs/{digest}"), &partner.token).await;
    assert_eq!((status, &proof["status"]), (200, &serde_json::json!("final")), "reading goes on");

    let recover = |more: &[&str]| {
        let done = std::process::Command::new(env!("CARGO_BIN_EXE_sceau"))
            .args(["recover", "--config"])
            .arg(&deployment.config)
            .args(more)
            .output()
            .expect("it runs");
        (done.status.code(), String::from_utf8_lossy(&done.stdout).into_owned())
    };
    let (code, said) = recover(&[]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("would record batch 2 as lost") && said.contains("would store transaction"), "{said}");
    assert_eq!(partner.submit("new").await.0, 503, "a dry run changes nothing");
    let (code, said) = recover(&["--apply"]);
    assert!(code == Some(0) && said.contains("recorded batch 2 as lost"), "{said}");
    let (code, said) = recover(&["--apply"]);
    assert!(code == Some(0) && said.contains("nothing to do"), "{said}");
    let batch = taken(&partner, "lost", &instance).await["proofs"][0]["batch"].as_u64().expect("a batch");
    assert_eq!(batch, 3, "numbers go on behind the lost one");
    deployment.settle(3).await;
    let (status, lost) = get(&format!("http://127.0.0.1:{port}/v1/batches/2"), &partner.token).await;
    assert_eq!((status, &lost["state"]), (200, &serde_json::json!("lost")), "{lost}");
    instance.stop();
    deployment.audit().await;
}
