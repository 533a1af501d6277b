//! The real service as processes, on a database and a chain of one test.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use sceau::api::access::secret::{Pepper, generate};
use sceau::audit::{self, Witness};
use sceau::chain::deploy::{self, Plan};
use sceau::chain::evm::Evm;
use sceau::chain::signer::LocalWallet;
use sceau::chain::{Chain, Target};
use sceau::dev::anvil::Mining;
use sceau::ledger::Ledger;
use sceau::ledger::accounts::{AccountId, Role};
use sceau::ledger::proofs::Status;
use sceau::ports::{Entropy, SystemEntropy};
use secrecy::ExposeSecret;

use super::load::Acknowledged;
use super::{Anvil, process};

const KEY: &str = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";

/// A running `sceau serve`. Killed when dropped.
pub struct Instance {
    pub child: Child,
    pub config: PathBuf,
    pub port: u16,
}

impl Instance {
    pub fn start(config: &Path, port: u16) -> Self {
        Self::start_under(&[], config, port)
    }

    /// Started by another program, given with its arguments.
    pub fn start_under(program: &[&str], config: &Path, port: u16) -> Self {
        let command: Vec<&str> = program.iter().copied().chain([env!("CARGO_BIN_EXE_sceau")]).collect();
        let log = std::fs::OpenOptions::new().append(true).create(true).open(config.with_extension("log")).expect("a log");
        let child = Command::new(command[0])
            .args(&command[1..])
            .arg("serve")
            .arg("--config")
            .arg(config)
            .env("SCEAU_HTTP__LISTEN", format!("127.0.0.1:{port}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("sceau starts");
        Self { child, config: config.to_owned(), port }
    }

    pub fn kill_and_restart(&mut self) {
        self.child.kill().expect("SIGKILL");
        self.child.wait().expect("dead");
        *self = Self::start(&self.config, self.port);
    }

    /// Asks it to end and waits until it has; fails when that is no orderly end.
    pub fn stop(&mut self) {
        process::signal(self.child.id(), "TERM");
        let ended = self.child.wait().expect("a child");
        assert!(ended.success(), "no orderly end ({ended}):\n{}", self.log());
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.config.with_extension("log")).unwrap_or_default()
    }

    /// Waits until it accepts; fails with its log when it has ended instead.
    pub async fn ready(&mut self) {
        let http = reqwest::Client::new();
        let url = format!("http://127.0.0.1:{}/readyz", self.port);
        let deadline = Instant::now() + Duration::from_secs(60);
        while !http.get(&url).send().await.is_ok_and(|answer| answer.status().is_success()) {
            let ended = self.child.try_wait().expect("a child");
            if ended.is_some() || Instant::now() > deadline {
                panic!("{url} does not become ready ({ended:?}):\n{}", self.log());
            }
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The ports [`lasting_port`] gives: below those the system gives to outgoing connections, of which the tests make many.
const LASTING: std::ops::Range<u16> = 20_000..30_000;

/// A port that stays ours while nobody listens on it: nobody else here is given it. The ports follow one another from a
/// random one on; drawn each by itself, two of some dozens would be the same in about one run of twenty.
pub fn lasting_port() -> u16 {
    static NEXT: LazyLock<AtomicU16> = LazyLock::new(|| {
        let mut random = [0; 2];
        SystemEntropy.fill(&mut random);
        AtomicU16::new(u16::from_be_bytes(random) % LASTING.len() as u16)
    });
    let follows = |place: u16| Some((place + 1) % LASTING.len() as u16);
    loop {
        let place = NEXT.fetch_update(Ordering::Relaxed, Ordering::Relaxed, follows).expect("it always goes on");
        let port = LASTING.start + place;
        if sceau::dev::host::ensure_free(([127, 0, 0, 1], port).into()).is_ok() {
            return port;
        }
    }
}

#[test]
fn a_lasting_port_is_given_once() {
    let ports: std::collections::BTreeSet<u16> = (0..500).map(|_| lasting_port()).collect();
    assert_eq!(ports.len(), 500);
    assert!(ports.iter().all(|port| LASTING.contains(port)));
}

/// Settings of a service without TLS; the file, and that of the pepper.
pub fn settings(home: &Path, database_url: &str, targets: &str) -> (PathBuf, PathBuf) {
    let file = |name: &str, text: &str| {
        let path = home.join(name);
        std::fs::write(&path, text).expect("a file");
        path
    };
    let (token, pepper) = (file("token.pem", crate::api::kit::TOKEN_KEY), file("pepper", &"5c".repeat(32)));
    let text = format!(
        "database_url = {database_url:?}\ndatabase_connections = 5\norigin = \"kill.test\"\n[http]\npublic_url = \"http://kill.test\"\n\
         plain = true\n[auth]\ntoken_key = {token:?}\npepper = {pepper:?}\n[seal]\nschedule = \"* * * * * *\"\n{targets}"
    );
    (file("sceau.toml", &text), pepper)
}

/// Everything a service needs beside itself.
pub struct Deployment {
    pub home: tempfile::TempDir,
    pub anvil: Anvil,
    pub config: PathBuf,
    pub ledger: Ledger,
    pub account: AccountId,
    /// Consumer key and secret of the account.
    pub credentials: (String, String),
    pub target: Target,
    wallet: LocalWallet,
    targets: String,
}

impl Deployment {
    /// On the database at `url`, with a chain of its own that makes a block a second.
    pub async fn new(url: &str) -> Self {
        super::crypto();
        let home = tempfile::tempdir().expect("a folder");
        let anvil = super::anvil_with(Mining::Every(std::num::NonZeroU32::MIN)).await;
        let wallet = LocalWallet::from_hex(&KEY.into()).expect("a key");
        let plan = Plan {
            chain_id: 31337,
            owner: wallet.account(),
            publisher: wallet.account(),
            first_number: 1,
            fee_ceiling: 100_000_000_000,
            patience: Duration::from_secs(30),
        };
        let registry = deploy::deploy(&anvil.url, &wallet, &plan).await.expect("a registry").address;
        let key = home.path().join("publisher");
        std::fs::write(&key, KEY).expect("a file");
        let targets = format!(
            "[[targets]]\nrpc_url = {:?}\nchain_id = 31337\nregistry = \"{registry}\"\nsigner = {{ key_file = {key:?} }}\n",
            anvil.url
        );
        let (config, pepper) = settings(home.path(), url, &targets);
        let ledger = Ledger::connect(url, 4).expect("a URL");
        let made = generate(&SystemEntropy);
        let secret = made.secret.expose_secret().to_owned();
        let hash = Pepper::load(&pepper).expect("a pepper").hash(&secret);
        let account = ledger.create_account("killed", Role::Partner, &made.key, hash).await.expect("an account");
        let target = Target { chain_id: 31337, registry };
        Self { home, anvil, config, ledger, account, credentials: (made.key, secret), target, wallet, targets }
    }

    /// The same service on another database: settings and everything else stay.
    pub fn move_to(&mut self, url: &str) {
        self.config = settings(self.home.path(), url, &self.targets).0;
        self.ledger = Ledger::connect(url, 4).expect("a URL");
    }

    pub fn chain(&self) -> Arc<dyn Chain> {
        Arc::new(Evm::connect(&self.anvil.url, self.target.clone()).expect("a URL"))
    }

    /// Waits until every batch up to `newest` is final.
    pub async fn settle(&self, newest: u64) {
        let deadline = Instant::now() + Duration::from_secs(180);
        for batch in 1..=newest {
            while !self.ledger.batch_status(batch).await.is_ok_and(|status| status == Status::Final) {
                let log = || std::fs::read_to_string(self.config.with_extension("log")).unwrap_or_default();
                assert!(Instant::now() < deadline, "batch {batch} of {newest} does not become final:\n{}", log());
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }

    /// Every acknowledgement holds, every batch is anchored once, the audit finds nothing. Answers the newest batch.
    pub async fn judge(&self, acknowledged: &[Acknowledged]) -> u64 {
        let newest = acknowledged.iter().map(|one| one.batch).max().expect("some");
        self.settle(newest).await;
        for one in acknowledged {
            let proof =
                self.ledger.proof(self.account, &one.digest).await.expect("an answer").expect("an acknowledged digest is stored");
            assert_eq!((proof.salt.to_string(), proof.batch), (one.salt.clone(), one.batch), "the acknowledgement holds");
        }
        let chain = self.chain();
        // The deployment, and one transaction a batch.
        let anchored = chain.last_number().await.expect("a number");
        let used = chain.nonce(self.wallet.account()).await.expect("a nonce");
        assert_eq!(used, 1 + anchored, "a batch was anchored twice, or a nonce was wasted");
        newest
    }

    /// Fails unless the audit finds nothing. Nothing may be under way.
    pub async fn audit(&self) {
        let witness = Witness { chain: self.chain(), depth: None, evidence: true };
        let mut tries = 0;
        let report = loop {
            match audit::run(&self.ledger, std::slice::from_ref(&witness), |_| {}).await {
                Ok(report) => break report,
                // A busy machine answers late.
                Err(error) if tries == 5 => panic!("no audit: {error}"),
                Err(_) => tries += 1,
            }
        };
        assert!(report.is_clean(), "{:#?}", report.findings);
    }
}
