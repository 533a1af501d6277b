//! A service without its API whose way to a real node leads through faulting proxies; and a straight way to the node, to
//! see what is true.

use std::sync::Arc;
use std::time::Duration;

use alloy::primitives::B256;
use sceau::audit::{self, Witness};
use sceau::chain::deploy::{self, Plan};
use sceau::chain::endpoints::{Endpoints, Rules};
use sceau::chain::evm::Evm;
use sceau::chain::signer::LocalWallet;
use sceau::chain::{Chain, Target};
use sceau::dev::anvil::Mining;
use sceau::ledger::Ledger;
use sceau::ledger::accounts::AccountId;
use sceau::ledger::anchors::AnchorState;
use sceau::ledger::intake::{Intake, Limits, Submission};
use sceau::pipeline::anchoring::{Anchoring, Policy};
use sceau::pipeline::schedule::Schedule;
use sceau::pipeline::seal::Sealer;
use sceau::pipeline::{Result, Step};
use sceau::ports::{Entropy, SystemEntropy};
use serde_json::json;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::support::rpc::Proxy;
use crate::support::{self, Anvil, Database};

/// First account of the test mnemonic.
const KEY: &str = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";

/// How long a call may take. What hangs on purpose hangs so long.
const TIMEOUT: Duration = Duration::from_millis(1_000);

/// See the module.
pub struct Bench {
    pub database: Database,
    pub anvil: Anvil,
    /// Another chain with the same id, where the registry has the same address and nothing was ever anchored.
    pub other: Anvil,
    pub ledger: Ledger,
    pub intake: Intake,
    pub sealer: Sealer,
    pub account: AccountId,
    pub wallet: Arc<LocalWallet>,
    pub target: Target,
    /// The straight way.
    pub truth: Arc<Evm>,
    pub proxies: Vec<Proxy>,
    pub policy: Policy,
    /// Shortest pause before an endpoint that failed is asked again.
    pub first_pause: Duration,
    digests: u64,
    holders: u128,
    _lanes: JoinSet<()>,
}

/// Deploys a registry on a node that makes blocks on demand.
pub async fn deploy(anvil: &Anvil, wallet: &LocalWallet) -> Target {
    let plan = Plan {
        chain_id: 31337,
        owner: wallet.account(),
        publisher: wallet.account(),
        first_number: 1,
        fee_ceiling: 100_000_000_000,
        patience: Duration::from_secs(60),
    };
    let deployed = deploy::deploy(&anvil.url, wallet, &plan);
    let mining = async {
        loop {
            tokio::time::sleep(Duration::from_millis(50)).await;
            anvil.mine_if_needed().await.expect("a block");
        }
    };
    let deployed = tokio::select! {
        deployed = deployed => deployed,
        () = mining => unreachable!("it goes on for ever"),
    };
    Target { chain_id: 31337, registry: deployed.expect("a registry").address }
}

impl Bench {
    /// Two chains, an empty database, and so many proxies before the first chain.
    pub async fn new(proxies: usize) -> Self {
        support::crypto();
        let wallet = Arc::new(LocalWallet::from_hex(&KEY.into()).expect("a key"));
        let (database, anvil, other) =
            tokio::join!(support::database(), support::anvil_with(Mining::OnDemand), support::anvil_with(Mining::OnDemand));
        // Nodes that start in the same second would make the same blocks.
        other.rpc("evm_increaseTime", json!([3_600])).await.expect("another time");
        let (target, there) = tokio::join!(deploy(&anvil, &wallet), deploy(&other, &wallet));
        assert_eq!(target, there, "the same address on both chains");
        anvil.mine(60).await.expect("blocks");
        other.mine(70).await.expect("blocks");
        // What is tried here is not the disk.
        let fast = format!("alter database {} set synchronous_commit = off", database.name);
        sqlx::query(sqlx::AssertSqlSafe(fast)).execute(&database.pool).await.expect("superuser");
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
        let truth = Arc::new(Evm::connect(&anvil.url, target.clone()).expect("a URL"));
        let mut before = Vec::new();
        for _ in 0..proxies {
            before.push(Proxy::before(&anvil.url, &other.url, TIMEOUT * 2).await);
        }
        let policy = Policy {
            bump_after: Duration::from_secs(3600),
            resend_after: Duration::from_millis(1),
            watch_every: Duration::ZERO,
            ..Policy::default()
        };
        Self {
            database,
            anvil,
            other,
            ledger,
            intake,
            sealer,
            account,
            wallet,
            target,
            truth,
            proxies: before,
            policy,
            first_pause: Duration::from_millis(20),
            digests: 0,
            holders: 10,
            _lanes: lanes,
        }
    }

    /// One of the proxies, as an endpoint.
    pub fn endpoint(&self, proxy: usize) -> Evm {
        Evm::connect_within(&self.proxies[proxy].url, self.target.clone(), TIMEOUT).expect("a URL")
    }

    /// The first so many of the proxies, as endpoints of which `quorum` must agree.
    pub fn endpoints(&self, count: usize, quorum: usize) -> Arc<Endpoints> {
        let chains = (0..count).map(|proxy| Arc::new(self.endpoint(proxy)) as Arc<dyn Chain>).collect();
        let rules = Rules { quorum, max_lag: 5, timeout: TIMEOUT, first_pause: self.first_pause };
        Arc::new(Endpoints::new(chains, rules, Arc::new(SystemEntropy)))
    }

    /// Starts anchoring as a new process would: through the first proxy alone, or through several with a quorum.
    pub async fn start(&mut self, count: usize, quorum: usize) -> Result<Anchoring> {
        self.holders += 1;
        let (ledger, signer) = (self.ledger.clone(), Arc::<LocalWallet>::clone(&self.wallet));
        let holder = Uuid::from_u128(self.holders);
        // Whoever held the lease is dead, and its time is up.
        self.run("update leases set expires_at = clock_timestamp() where name like 'anchor%'").await;
        if count == 1 {
            return Anchoring::connect(ledger, Arc::new(self.endpoint(0)), signer, self.policy, holder).await;
        }
        Anchoring::connect_several(ledger, self.endpoints(count, quorum), signer, self.policy, holder).await
    }

    /// Submits two digests and seals them.
    pub async fn seal(&mut self) -> u64 {
        let items = (0..2).map(|n| Submission {
            account: self.account,
            digest: crate::ledger::digest(7, self.digests + n),
            detail: None,
        });
        let items: Vec<_> = items.collect();
        self.digests += 2;
        self.intake.accept(items).await.expect("accepted");
        self.sealer.seal_now().await.expect("sealed").expect("a batch")
    }

    /// Steps until there is nothing to do, or one fails.
    pub async fn settle(&self, anchoring: &Anchoring) -> Result<()> {
        while anchoring.step().await? == Step::Worked {}
        Ok(())
    }

    /// How far the anchor of a batch is.
    pub async fn state(&self, batch: u64) -> AnchorState {
        self.ledger.anchors(batch).await.expect("anchors").first().map_or(AnchorState::Planned, |anchor| anchor.state)
    }

    /// Steps and makes blocks until `batch` is final; answers how many rounds that took.
    pub async fn until_final(&self, anchoring: &Anchoring, batch: u64) -> std::result::Result<u32, String> {
        for blocks in 0..60 {
            let done = self.settle(anchoring).await;
            self.check_finals().await?;
            let state = self.state(batch).await;
            if state == AnchorState::Final {
                return Ok(blocks);
            }
            if blocks > 20 {
                let asides = self.ledger.asides().await.expect("asides");
                eprintln!("batch {batch} is {state:?}: {done:?}, aside: {asides:?}");
            }
            let deep = self.policy.depth.filter(|_| state == AnchorState::Included);
            self.anvil.mine(deep.unwrap_or(1)).await.expect("blocks");
        }
        Err(format!("batch {batch} stays {:?}", self.state(batch).await))
    }

    /// Transactions of the publisher on the chain.
    pub async fn transactions(&self) -> u64 {
        self.truth.nonce(self.wallet.account()).await.expect("a nonce")
    }

    pub async fn run(&self, statement: &'static str) {
        sqlx::query(statement).execute(&self.database.pool).await.expect(statement);
    }

    /// What counts as final stands on the chain, in a final block.
    pub async fn check_finals(&self) -> std::result::Result<(), String> {
        let finals: Vec<(i64, i64, Vec<u8>)> = sqlx::query_as(
            "select batch, block_number, block_hash from anchors where state = 'final' order by batch desc limit 4",
        )
        .fetch_all(&self.database.pool)
        .await
        .expect("anchors");
        if finals.is_empty() {
            return Ok(());
        }
        let end = self.truth.heads().await.expect("heads").finalized.expect("the tag");
        for (batch, number, hash) in finals {
            let number = number.unsigned_abs();
            let block = self.truth.block(number).await.expect("asked");
            if block.is_none_or(|block| block.hash != B256::from_slice(&hash)) || end.number < number {
                return Err(format!("batch {batch} counts as final in block {number}, which is not"));
            }
        }
        Ok(())
    }

    /// Judges everything.
    pub async fn audit(&self) -> std::result::Result<(), String> {
        let witness = Witness { chain: Arc::<Evm>::clone(&self.truth), depth: self.policy.depth, evidence: true };
        let report = audit::run(&self.ledger, &[witness], |_| ()).await.expect("a report");
        if !report.is_clean() {
            return Err(format!("the audit found {:?}", report.findings));
        }
        Ok(())
    }
}
