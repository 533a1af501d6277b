//! A service without its API: ledger, intake, sealer and one target on a real node.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use alloy::primitives::{Address, B256};
use async_trait::async_trait;
use sceau::chain::deploy::{self, Plan};
use sceau::chain::evm::Evm;
use sceau::chain::fees::FeeQuote;
use sceau::chain::signer::LocalWallet;
use sceau::chain::{Block, Chain, ChainError, Heads, Inclusion, Record, Sent, Target};
use sceau::dev::anvil::Mining;
use sceau::ledger::Ledger;
use sceau::ledger::accounts::AccountId;
use sceau::ledger::anchors::AnchorState;
use sceau::ledger::intake::{Accepted, Intake, Limits, Submission};
use sceau::pipeline::anchoring::{Anchoring, Policy};
use sceau::pipeline::schedule::Schedule;
use sceau::pipeline::seal::Sealer;
use sceau::pipeline::{Result, Step};
use sceau::ports::{Entropy, SystemEntropy};
use sceau_verifier::Evidence;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::support::{self, Anvil, Database};

/// First account of the test mnemonic.
pub const KEY: &str = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
/// Second account of the test mnemonic.
pub const OTHER_KEY: &str = "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d";

/// Third account of the test mnemonic: owns the registry, unless it is told otherwise.
pub const OWNER_KEY: &str = "0x5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a";

/// What happens to a transaction on its way to the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It never arrives.
    Lost,
    /// It arrives, but nobody hears of it.
    AnswerLost,
}

/// The real chain, except that sending fails as planned.
#[derive(Debug)]
pub struct Flaky {
    chain: Evm,
    /// Faults of the next sendings, in order.
    pub faults: Mutex<VecDeque<Fault>>,
    /// Everything that was handed over, arrived or not.
    pub sent: Mutex<Vec<Vec<u8>>>,
    /// Roots whose evidence the node no longer keeps.
    pub pruned: Mutex<Vec<B256>>,
}

impl Flaky {
    /// The registry at `address` of the node at `url`, without faults.
    pub fn at(url: &str, address: Address) -> Arc<Self> {
        let target = Target { chain_id: 31337, registry: address };
        Arc::new(Self {
            chain: Evm::connect(url, target).expect("a URL"),
            faults: Mutex::default(),
            sent: Mutex::default(),
            pruned: Mutex::default(),
        })
    }
}

#[async_trait]
impl Chain for Flaky {
    fn target(&self) -> &Target {
        self.chain.target()
    }
    async fn chain_id(&self) -> std::result::Result<u64, ChainError> {
        self.chain.chain_id().await
    }
    async fn heads(&self) -> std::result::Result<Heads, ChainError> {
        self.chain.heads().await
    }
    async fn block(&self, number: u64) -> std::result::Result<Option<Block>, ChainError> {
        self.chain.block(number).await
    }
    async fn nonce(&self, address: Address) -> std::result::Result<u64, ChainError> {
        self.chain.nonce(address).await
    }
    async fn balance(&self, address: Address) -> std::result::Result<u128, ChainError> {
        self.chain.balance(address).await
    }
    async fn code_hash(&self) -> std::result::Result<Option<B256>, ChainError> {
        self.chain.code_hash().await
    }
    async fn first_number(&self) -> std::result::Result<u64, ChainError> {
        self.chain.first_number().await
    }
    async fn last_number(&self) -> std::result::Result<u64, ChainError> {
        self.chain.last_number().await
    }
    async fn publisher(&self) -> std::result::Result<Option<Address>, ChainError> {
        self.chain.publisher().await
    }
    async fn paid(&self, tx_hash: B256) -> std::result::Result<Option<u128>, ChainError> {
        self.chain.paid(tx_hash).await
    }
    async fn record(&self, root: B256) -> std::result::Result<Option<Record>, ChainError> {
        self.chain.record(root).await
    }
    async fn inclusion(&self, tx_hash: B256) -> std::result::Result<Option<Inclusion>, ChainError> {
        self.chain.inclusion(tx_hash).await
    }
    async fn anchoring(&self, root: B256, record: &Record) -> std::result::Result<Option<Inclusion>, ChainError> {
        self.chain.anchoring(root, record).await
    }
    async fn fees(&self) -> std::result::Result<FeeQuote, ChainError> {
        self.chain.fees().await
    }
    async fn send(&self, raw: &[u8]) -> std::result::Result<Sent, ChainError> {
        self.sent.lock().unwrap().push(raw.to_vec());
        let fault = self.faults.lock().unwrap().pop_front();
        if fault == Some(Fault::Lost) {
            return Err(ChainError::Unreachable("planned".into()));
        }
        let answer = self.chain.send(raw).await;
        if fault == Some(Fault::AnswerLost) {
            return Err(ChainError::Unreachable("planned".into()));
        }
        answer
    }
    async fn evidence(&self, root: B256, inclusion: &Inclusion) -> std::result::Result<Evidence, ChainError> {
        if self.pruned.lock().unwrap().contains(&root) {
            return Err(ChainError::Refused { method: "eth_getProof", code: -32000, message: "planned".into() });
        }
        self.chain.evidence(root, inclusion).await
    }
}

/// See the module.
pub struct Kit {
    pub database: Database,
    pub anvil: Anvil,
    pub ledger: Ledger,
    pub intake: Intake,
    pub sealer: Sealer,
    pub chain: Arc<Flaky>,
    pub anchoring: Anchoring,
    pub account: AccountId,
    pub wallet: Arc<LocalWallet>,
    _lanes: JoinSet<()>,
}

impl Kit {
    /// A node that makes blocks as `mining` says, a registry on it, an empty database.
    pub async fn new(mining: Mining) -> Self {
        Self::owned_by(mining, OWNER_KEY).await
    }

    /// [`Kit::new`] with another owner of the registry.
    pub async fn owned_by(mining: Mining, owner: &str) -> Self {
        support::crypto();
        let (database, anvil) = tokio::join!(support::database(), support::anvil_with(mining));
        let wallet = Arc::new(LocalWallet::from_hex(&KEY.into()).expect("a key"));
        let plan = Plan {
            chain_id: 31337,
            owner: LocalWallet::from_hex(&owner.into()).expect("a key").account(),
            publisher: wallet.account(),
            first_number: 1,
            fee_ceiling: 100_000_000_000,
            patience: Duration::from_secs(30),
        };
        let (deployed, ()) = tokio::join!(deploy::deploy(&anvil.url, &wallet, &plan), async {
            if mining == Mining::OnDemand {
                tokio::time::sleep(Duration::from_millis(300)).await;
                while !anvil.mine_if_needed().await.expect("a block") {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        });
        let chain = Flaky::at(&anvil.url, deployed.expect("a registry").address);
        let ledger = crate::ledger::promising(Ledger::connect(&database.url, 8).expect("a URL"));
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
        let anchoring = Self::anchoring(&ledger, &chain, &wallet, 1).await.expect("connected");
        Self { database, anvil, ledger, intake, sealer, chain, anchoring, account, wallet, _lanes: lanes }
    }

    async fn anchoring(ledger: &Ledger, chain: &Arc<Flaky>, wallet: &Arc<LocalWallet>, holder: u128) -> Result<Anchoring> {
        let policy =
            Policy { bump_after: Duration::from_secs(3600), resend_after: Duration::from_millis(1), ..Policy::default() };
        Anchoring::connect(
            ledger.clone(),
            Arc::<Flaky>::clone(chain),
            Arc::<LocalWallet>::clone(wallet),
            policy,
            Uuid::from_u128(holder),
        )
        .await
    }

    /// Starts over, as a new process would.
    pub async fn restart(&mut self) -> Result<()> {
        self.anchoring = Self::anchoring(&self.ledger, &self.chain, &self.wallet, 2).await?;
        Ok(())
    }

    /// Starts over with another key and no patience: whatever waits is to be replaced at once.
    pub async fn restart_with_another_key(&mut self) -> Result<()> {
        let wallet = Arc::new(LocalWallet::from_hex(&OTHER_KEY.into()).expect("a key"));
        let policy = Policy { bump_after: Duration::ZERO, resend_after: Duration::ZERO, ..Policy::default() };
        let chain = Arc::<Flaky>::clone(&self.chain);
        self.anchoring = Anchoring::connect(self.ledger.clone(), chain, wallet, policy, Uuid::from_u128(3)).await?;
        Ok(())
    }

    /// Starts over with other settings: this key, this policy, whatever `chain` is now.
    pub async fn restart_with(&mut self, key: &str, policy: Policy) -> Result<()> {
        self.wallet = Arc::new(LocalWallet::from_hex(&key.into()).expect("a key"));
        let (chain, wallet) = (Arc::<Flaky>::clone(&self.chain), Arc::<LocalWallet>::clone(&self.wallet));
        self.anchoring = Anchoring::connect(self.ledger.clone(), chain, wallet, policy, Uuid::from_u128(4)).await?;
        Ok(())
    }

    /// Submits `count` digests and seals them.
    pub async fn seal(&self, kind: u64, count: u64) -> (u64, Vec<Accepted>) {
        let items =
            (0..count).map(|n| Submission { account: self.account, digest: crate::ledger::digest(kind, n), detail: None });
        let accepted = self.intake.accept(items.collect()).await.expect("accepted");
        (self.sealer.seal_now().await.expect("sealed").expect("a batch"), accepted)
    }

    /// Steps until there is nothing to do.
    pub async fn settle(&self) -> Result<()> {
        while self.anchoring.step().await? == Step::Worked {}
        Ok(())
    }

    /// Steps and makes blocks until every anchor of `batch` is in `state`.
    pub async fn until(&self, batch: u64, state: AnchorState) -> Result<()> {
        for _ in 0..200 {
            self.settle().await?;
            if self.state(batch).await == state {
                return Ok(());
            }
            self.anvil.mine(1).await.expect("a block");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("batch {batch} stays {:?}", self.state(batch).await);
    }

    /// How far the anchor of a batch is.
    pub async fn state(&self, batch: u64) -> AnchorState {
        self.ledger.anchors(batch).await.expect("anchors")[0].state
    }

    /// Transactions of the publisher on chain: one is the deployment, each other an anchor.
    pub async fn transactions(&self) -> u64 {
        self.chain.nonce(self.wallet.account()).await.expect("a nonce")
    }

    /// What the registry says of a batch.
    pub async fn record(&self, batch: u64) -> Option<Record> {
        self.chain.record(self.root(batch).await.into()).await.expect("a record")
    }

    /// The root of a sealed batch.
    pub async fn root(&self, batch: u64) -> [u8; 32] {
        let Some(sceau::ledger::batches::Batch::Sealed(sealed)) = self.ledger.batch(batch).await.expect("a batch") else {
            panic!("batch {batch} is not sealed")
        };
        sealed.root
    }
}
