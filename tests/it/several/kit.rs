//! One ledger, and as many real chains as a test adds.

use std::sync::Arc;
use std::time::Duration;

use alloy::primitives::B256;
use sceau::api::receipt::{self, Assembled};
use sceau::audit::{self, Report, Witness};
use sceau::chain::deploy::{self, Plan};
use sceau::chain::evm::Evm;
use sceau::chain::signer::LocalWallet;
use sceau::chain::{Chain, Target};
use sceau::dev::anvil::Mining;
use sceau::ledger::Ledger;
use sceau::ledger::accounts::AccountId;
use sceau::ledger::anchors::AnchorState;
use sceau::ledger::intake::{Intake, Limits, Submission};
use sceau::ledger::proofs::Proof;
use sceau::ledger::targets::policy::TargetName;
use sceau::pipeline::anchoring::{Anchoring, Policy};
use sceau::pipeline::schedule::Schedule;
use sceau::pipeline::seal::Sealer;
use sceau::pipeline::{Result, Step};
use sceau::ports::{Entropy, SystemEntropy};
use serde_json::json;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::support::{self, Anvil, Database, process};

/// First account of the test mnemonic.
const KEY: &str = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";

pub struct OneChain {
    pub anvil: Anvil,
    pub chain: Arc<dyn Chain>,
    anchoring: Anchoring,
    paused: bool,
}

impl OneChain {
    pub fn name(&self) -> TargetName {
        let target = self.chain.target();
        (target.chain_id, target.registry.into())
    }

    /// The node keeps its sockets open and answers nothing.
    pub fn pause(&mut self) {
        process::signal(self.anvil.child.pid(), "STOP");
        self.paused = true;
    }

    pub fn resume(&mut self) {
        process::signal(self.anvil.child.pid(), "CONT");
        self.paused = false;
    }

    pub async fn step(&self) -> Result<Step> {
        self.anchoring.step().await
    }
}

impl Drop for OneChain {
    fn drop(&mut self) {
        if self.paused {
            self.resume();
        }
    }
}

/// See the module.
pub struct Chains {
    pub database: Database,
    pub ledger: Ledger,
    pub targets: Vec<OneChain>,
    intake: Intake,
    sealer: Sealer,
    account: AccountId,
    wallet: Arc<LocalWallet>,
    _lanes: JoinSet<()>,
}

impl Chains {
    /// An empty database and no chain.
    pub async fn new() -> Self {
        support::crypto();
        let database = support::database().await;
        let ledger = Ledger::connect(&database.url, 8).expect("a URL");
        let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
        let (intake, lanes) = Intake::start(&ledger, &entropy, Limits::default());
        let sealer = Sealer {
            ledger: ledger.clone(),
            origin: "test".into(),
            schedule: Schedule::parse("0 0 0 1 1 *").expect("a schedule"),
            threshold: 1_000_000,
            holder: Uuid::from_u128(1),
        };
        let account = crate::ledger::account(&ledger, "partner").await;
        let wallet = Arc::new(LocalWallet::from_hex(&KEY.into()).expect("a key"));
        Self { database, ledger, targets: Vec::new(), intake, sealer, account, wallet, _lanes: lanes }
    }

    /// Adds a chain with a registry whose first batch is `first_number`; answers its place.
    pub async fn add(&mut self, chain_id: u64, first_number: u64) -> usize {
        let anvil = support::anvil_with(Mining::Instant).await;
        anvil.rpc("anvil_setChainId", json!([chain_id])).await.expect("another chain id");
        let plan = Plan {
            chain_id,
            owner: self.wallet.account(),
            publisher: self.wallet.account(),
            first_number,
            fee_ceiling: 100_000_000_000,
            patience: Duration::from_secs(30),
        };
        let registry = deploy::deploy(&anvil.url, &self.wallet, &plan).await.expect("a registry").address;
        let target = Target { chain_id, registry };
        let chain: Arc<dyn Chain> = Arc::new(Evm::connect_within(&anvil.url, target, Duration::from_secs(2)).expect("a URL"));
        let policy =
            Policy { resend_after: Duration::from_millis(1), watch_every: Duration::from_secs(3600), ..Policy::default() };
        let signer = Arc::<LocalWallet>::clone(&self.wallet);
        let anchoring =
            Anchoring::connect(self.ledger.clone(), Arc::clone(&chain), signer, policy, Uuid::from_u128(chain_id.into()))
                .await
                .expect("connected");
        self.targets.push(OneChain { anvil, chain, anchoring, paused: false });
        self.targets.len() - 1
    }

    /// Seals one digest.
    pub async fn seal(&self, kind: u64) -> (u64, Proof) {
        let submission = Submission { account: self.account, digest: crate::ledger::digest(kind, 0), detail: None };
        let accepted = self.intake.accept(vec![submission]).await.expect("accepted");
        let batch = self.sealer.seal_now().await.expect("sealed").expect("a batch");
        let proof = self.ledger.proof(self.account, &accepted[0].digest).await.expect("an answer").expect("stored");
        (batch, proof)
    }

    /// Works on one target until the anchor of `batch` there is in `state`.
    pub async fn until(&self, target: usize, batch: u64, state: AnchorState) {
        let target = &self.targets[target];
        for _ in 0..200 {
            while target.step().await.expect("a step") == Step::Worked {}
            let anchors = self.ledger.anchors(batch).await.expect("anchors");
            let chain = target.chain.target().chain_id;
            if anchors.iter().any(|anchor| anchor.chain_id == chain && anchor.state == state) {
                return;
            }
            target.anvil.mine(1).await.expect("a block");
        }
        panic!("batch {batch} does not become {state:?}");
    }

    /// The receipt of a proof, which every verifier must take.
    pub async fn receipt(&self, proof: &Proof) -> Assembled {
        receipt::assemble(&self.ledger, &receipt::Known::default(), proof)
            .await
            .expect("a receipt that verifies")
            .expect("sealed")
    }

    pub async fn report(&self) -> Report {
        let reachable = self.targets.iter().filter(|target| !target.paused);
        let witnesses: Vec<Witness> =
            reachable.map(|target| Witness { chain: Arc::clone(&target.chain), depth: None, evidence: true }).collect();
        audit::run(&self.ledger, &witnesses, |_| ()).await.expect("a report")
    }

    /// The oracle finds nothing.
    pub async fn audit(&self) {
        let report = self.report().await;
        assert!(report.is_clean(), "{:#?}", report.findings);
    }
}

/// Numbers of the batches that a registry holds, by its events.
pub async fn numbers(target: &OneChain) -> Vec<u64> {
    let signature = <sceau::chain::registry::AnchorRegistry::Anchored as alloy::sol_types::SolEvent>::SIGNATURE_HASH;
    let filter = json!([{ "fromBlock": "0x0", "address": target.chain.target().registry, "topics": [signature] }]);
    let logs = target.anvil.rpc("eth_getLogs", filter).await.expect("logs");
    let mut numbers = Vec::new();
    for log in logs.as_array().expect("a list") {
        let root: B256 = serde_json::from_value(log["topics"][1].clone()).expect("a root");
        numbers.push(target.chain.record(root).await.expect("an answer").expect("a record").number);
    }
    numbers
}
