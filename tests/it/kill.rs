//! `kill -9` of the real service under load: nothing acknowledged is lost, nothing is anchored twice.
//!
//! Two instances on one Postgres and one chain; each in turn is killed at a random moment and started again, while clients
//! submit to both. `SCEAU_KILLS=200` kills more often.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use sceau::api::secret::{Pepper, generate};
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
use sceau_verifier::Digest;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::support::{self, process};

const KEY: &str = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
/// Kills in a run that nobody asked more of.
const QUICK: u64 = 12;

struct Instance {
    child: Child,
    config: PathBuf,
    port: u16,
}

impl Instance {
    fn start(config: &Path, port: u16) -> Self {
        let log = std::fs::OpenOptions::new().append(true).create(true).open(config.with_extension("log")).expect("a log");
        let child = Command::new(env!("CARGO_BIN_EXE_sceau"))
            .arg("serve")
            .arg("--config")
            .arg(config)
            .env_remove("SCEAU_KILLS")
            .env("SCEAU_HTTP__LISTEN", format!("127.0.0.1:{port}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("sceau starts");
        Self { child, config: config.to_owned(), port }
    }

    fn kill_and_restart(&mut self) {
        self.child.kill().expect("SIGKILL");
        self.child.wait().expect("dead");
        *self = Self::start(&self.config, self.port);
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a client was told.
struct Acknowledged {
    digest: Digest,
    salt: String,
    batch: u64,
}

/// Submits until told to stop, to one instance; keeps what was acknowledged. Whatever fails is simply not acknowledged.
async fn client(number: u64, port: u16, credentials: (String, String), stop: Arc<AtomicBool>) -> Vec<Acknowledged> {
    let http = reqwest::Client::builder().timeout(Duration::from_secs(10)).build().expect("a client");
    let base = format!("http://127.0.0.1:{port}");
    let (mut kept, mut token, mut round) = (Vec::new(), None::<String>, 0_u64);
    while !stop.load(Ordering::Relaxed) {
        let Some(bearer) = &token else {
            let asked = http.post(format!("{base}/oauth2/token")).basic_auth(&credentials.0, Some(&credentials.1));
            match asked
                .header("content-type", "application/x-www-form-urlencoded")
                .body("grant_type=client_credentials")
                .send()
                .await
            {
                Ok(answer) if answer.status().is_success() => {
                    let answer: Value = answer.json().await.unwrap_or_default();
                    token = answer["access_token"].as_str().map(str::to_owned);
                }
                _ => tokio::time::sleep(Duration::from_millis(50)).await,
            }
            continue;
        };
        round += 1;
        let digests: Vec<Digest> =
            (0..=round % 7).map(|n| Digest::of(&[number, round, n].map(u64::to_be_bytes).concat())).collect();
        let items: Vec<Value> = digests.iter().map(|digest| json!({ "digest": digest, "file_name": "a" })).collect();
        let sent = http.post(format!("{base}/v1/proofs")).bearer_auth(bearer).json(&json!({ "proofs": items })).send().await;
        let Ok(answer) = sent else {
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        if !answer.status().is_success() {
            assert!(answer.status().is_server_error(), "{}", answer.status());
            continue;
        }
        // A body cut off by a kill acknowledges nothing.
        let Ok(answer) = answer.json::<Value>().await else { continue };
        for (digest, proof) in digests.into_iter().zip(answer["proofs"].as_array().expect("proofs")) {
            assert_eq!(proof["digest"], json!(digest));
            let salt = proof["salt"].as_str().expect("a salt").to_owned();
            kept.push(Acknowledged { digest, salt, batch: proof["batch"].as_u64().expect("a batch") });
        }
    }
    kept
}

/// Settings of a service without TLS; the file, and that of the pepper.
fn settings(home: &Path, database_url: &str, targets: &str) -> (PathBuf, PathBuf) {
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

#[tokio::test]
async fn a_service_on_a_server_that_forgets_does_not_start() {
    let home = tempfile::tempdir().expect("a folder");
    let database = support::database().await;
    let off = format!("alter database {} set synchronous_commit = off", database.name);
    sqlx::query(sqlx::AssertSqlSafe(off)).execute(&database.pool).await.expect("altered");
    let (config, _) = settings(home.path(), &database.url, "");
    let mut refused = Instance::start(&config, sceau::dev::host::free_port().expect("a port"));
    assert_eq!(refused.child.wait().expect("a child").code(), Some(1));
    let said = std::fs::read_to_string(config.with_extension("log")).expect("its words");
    assert!(said.contains("synchronous_commit is off"), "{said}");
}

/// A port that stays ours while nobody listens on it: below those the system gives to outgoing connections, of which this
/// test makes many.
pub fn lasting_port() -> u16 {
    loop {
        let mut random = [0; 2];
        SystemEntropy.fill(&mut random);
        let port = 20_000 + u16::from_be_bytes(random) % 10_000;
        if sceau::dev::host::ensure_free(([127, 0, 0, 1], port).into()).is_ok() {
            return port;
        }
    }
}

/// Waits until an instance accepts; fails with its log when it has ended instead.
async fn ready(instance: &mut Instance) {
    let http = reqwest::Client::new();
    let url = format!("http://127.0.0.1:{}/readyz", instance.port);
    let deadline = Instant::now() + Duration::from_secs(60);
    while !http.get(&url).send().await.is_ok_and(|answer| answer.status().is_success()) {
        let ended = instance.child.try_wait().expect("a child");
        if ended.is_some() || Instant::now() > deadline {
            let log = std::fs::read_to_string(instance.config.with_extension("log")).unwrap_or_default();
            panic!("{url} does not become ready ({ended:?}):\n{log}");
        }
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_and_nothing_is_anchored_twice() {
    let kills = std::env::var("SCEAU_KILLS").ok().map_or(QUICK, |text| text.parse().expect("SCEAU_KILLS is a number"));
    support::crypto();
    let home = tempfile::tempdir().expect("a folder");
    let (database, anvil) = tokio::join!(support::database(), support::anvil_with(Mining::Every(std::num::NonZeroU32::MIN)));
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
    let target = format!(
        "[[targets]]\nrpc_url = {:?}\nchain_id = 31337\nregistry = \"{registry}\"\nsigner = {{ key_file = {key:?} }}\n",
        anvil.url
    );
    let (config, pepper) = settings(home.path(), &database.url, &target);
    let ledger = Ledger::connect(&database.url, 4).expect("a URL");
    let made = generate(&SystemEntropy);
    let secret = made.secret.expose_secret().to_owned();
    let hash = Pepper::load(&pepper).expect("a pepper").hash(&secret);
    let account: AccountId = ledger.create_account("killed", Role::Partner, &made.key, hash).await.expect("an account");

    let ports = [(); 2].map(|()| lasting_port());
    let mut instances = ports.map(|port| Instance::start(&config, port));
    for instance in &mut instances {
        ready(instance).await;
    }
    let stop = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..6)
        .map(|number| {
            tokio::spawn(client(number, ports[number as usize % 2], (made.key.clone(), secret.clone()), Arc::clone(&stop)))
        })
        .collect();
    for kill in 0..kills {
        let mut random = [0; 2];
        SystemEntropy.fill(&mut random);
        tokio::time::sleep(Duration::from_millis(u64::from(u16::from_be_bytes(random)) % 700)).await;
        let place = (kill % 2) as usize;
        // The other one may still be starting; the one that is killed was up, or this would kill nothing but start-ups.
        ready(&mut instances[place]).await;
        instances[place].kill_and_restart();
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    stop.store(true, Ordering::Relaxed);
    let mut acknowledged = Vec::new();
    for client in clients {
        acknowledged.extend(client.await.expect("a client"));
    }
    assert!(acknowledged.len() as u64 > kills * 10, "only {} digests: nothing was put to the test", acknowledged.len());

    let newest = acknowledged.iter().map(|one| one.batch).max().expect("some");
    let deadline = Instant::now() + Duration::from_secs(120);
    for batch in 1..=newest {
        while ledger.batch_status(batch).await.expect("a status") != Status::Final {
            let log = || std::fs::read_to_string(config.with_extension("log")).unwrap_or_default();
            assert!(Instant::now() < deadline, "batch {batch} of {newest} does not become final:\n{}", log());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    for one in &acknowledged {
        let proof = ledger.proof(account, &one.digest).await.expect("an answer").expect("an acknowledged digest is stored");
        assert_eq!((proof.salt.to_string(), proof.batch), (one.salt.clone(), one.batch), "the acknowledgement holds");
    }
    let chain: Arc<dyn Chain> = Arc::new(Evm::connect(&anvil.url, Target { chain_id: 31337, registry }).expect("a URL"));
    // The deployment, and one transaction a batch.
    let (anchored, used) = (chain.last_number().await.expect("a number"), chain.nonce(wallet.account()).await.expect("a nonce"));
    assert_eq!(used, 1 + anchored, "a batch was anchored twice, or a nonce was wasted");
    for instance in &mut instances {
        process::signal(instance.child.id(), "TERM");
        assert!(instance.child.wait().expect("a child").success(), "an orderly end");
    }
    let report = audit::run(&ledger, &[Witness { chain, depth: None, evidence: true }], |_| {}).await.expect("an audit");
    assert!(report.is_clean(), "{:#?}", report.findings);
    eprintln!("{kills} kills, {} digests acknowledged in {newest} batches, none lost, none anchored twice", acknowledged.len());
}
