//! A real anvil per test: the native binary as a child on a free loopback port, ended by its own handle.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use alloy::primitives::{Address, B256};
use sceau::chain::deploy::{self, Deployment, Plan};
use sceau::chain::evm::Evm;
use sceau::chain::fees::{self, Fees};
use sceau::chain::signer::{AnchorTx, LocalWallet, SignedAnchor, Signer};
use sceau::chain::{Chain, Inclusion, Sent, Target};
use serde_json::{Value, json};

/// Chain id of anvil.
pub const CHAIN_ID: u64 = 31337;

/// Private keys 0 to 2 of the mnemonic that anvil funds.
pub const KEYS: [&str; 3] = [
    "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80",
    "59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d",
    "5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a",
];

/// No ceiling in practice.
pub const CEILING: u128 = 1_000_000_000_000;

fn binary() -> PathBuf {
    let os = if cfg!(target_os = "macos") { "darwin" } else { "linux" };
    let cpu = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    let path = format!("{}/anvil/node_modules/@foundry-rs/anvil-{os}-{cpu}/bin/anvil", env!("CARGO_MANIFEST_DIR"));
    let path = PathBuf::from(path);
    assert!(path.exists(), "no anvil for these tests: run `npm ci` in anvil/ (wanted {})", path.display());
    path
}

/// A running node. Dropping it ends the process.
#[derive(Debug)]
pub struct Anvil {
    child: Child,
    pub url: String,
}

impl Anvil {
    /// Starts a node whose `safe` and `finalized` tags trail by 1 and 2 blocks.
    pub fn start(more: &[&str]) -> Self {
        let mut child = Command::new(binary())
            .args(["--host", "127.0.0.1", "--port", "0", "--slots-in-an-epoch", "1"])
            .args(more)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("anvil starts");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let url = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| line.strip_prefix("Listening on ").map(|at| format!("http://{}", at.trim())))
            .expect("anvil says where it listens");
        // It goes on printing; a full pipe would stop it.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        Self { child, url }
    }

    /// Any JSON-RPC call; the test ends when it fails.
    pub async fn rpc(&self, method: &str, params: Value) -> Value {
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            let _already = rustls::crypto::ring::default_provider().install_default();
        }
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let response = client.post(&self.url).json(&request).send().await.expect("answered");
        let mut response: Value = response.json().await.expect("JSON");
        assert!(response.get("error").is_none(), "{method}: {response}");
        response["result"].take()
    }

    pub async fn mine(&self, blocks: u64) {
        self.rpc("anvil_mine", json!([format!("{blocks:#x}")])).await;
    }

    /// From now on blocks are made by [`Anvil::mine`] alone.
    pub async fn stop_mining(&self) {
        self.rpc("evm_setAutomine", json!([false])).await;
    }
}

impl Drop for Anvil {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

pub fn wallet(key: usize) -> LocalWallet {
    LocalWallet::from_hex(&KEYS[key].into()).expect("a key")
}

/// A node with a registry on it, and the publisher's key (number 1; key 0 deployed, key 2 owns).
#[derive(Debug)]
pub struct Stage {
    pub anvil: Anvil,
    pub evm: Evm,
    pub publisher: LocalWallet,
    pub deployment: Deployment,
}

pub fn plan(first_number: u64) -> Plan {
    Plan {
        chain_id: CHAIN_ID,
        owner: wallet(2).account(),
        publisher: wallet(1).account(),
        first_number,
        fee_ceiling: CEILING,
        patience: Duration::from_secs(30),
    }
}

impl Stage {
    pub async fn set(first_number: u64) -> Self {
        let anvil = Anvil::start(&[]);
        let deployment = deploy::deploy(&anvil.url, &wallet(0), &plan(first_number)).await.expect("deployed");
        let target = Target { chain_id: CHAIN_ID, registry: deployment.address };
        let evm = Evm::connect(&anvil.url, target).expect("a URL");
        Self { anvil, evm, publisher: wallet(1), deployment }
    }

    pub fn registry(&self) -> Address {
        self.deployment.address
    }

    /// An anchor with the publisher's next nonce and today's fees.
    pub async fn anchor(&self, number: u64, root: B256, size: u64) -> AnchorTx {
        let nonce = self.evm.nonce(self.publisher.address()).await.expect("a nonce");
        let fees = fees::first(self.evm.fees().await.expect("fees"), CEILING);
        AnchorTx { target: self.evm.target().clone(), nonce, fees, number, root, size }
    }

    pub async fn sign(&self, anchor: &AnchorTx) -> SignedAnchor {
        self.publisher.sign(anchor).await.expect("signed")
    }

    /// Signs and sends; the node must take it.
    pub async fn send(&self, anchor: &AnchorTx) -> SignedAnchor {
        let signed = self.sign(anchor).await;
        assert_eq!(self.evm.send(&signed.raw).await.expect("sent"), Sent::Accepted);
        signed
    }

    /// Waits for the transaction to be mined (receipts trail even with instant mining).
    pub async fn mined(&self, tx_hash: B256) -> Inclusion {
        for _ in 0..200 {
            if let Some(inclusion) = self.evm.inclusion(tx_hash).await.expect("asked") {
                return inclusion;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("{tx_hash} was never mined");
    }

    pub async fn anchored(&self, number: u64, root: B256, size: u64) -> Inclusion {
        let signed = self.send(&self.anchor(number, root, size).await).await;
        self.mined(signed.hash).await
    }
}

/// Both fees, plus `by` percent, rounded down.
pub fn plus_percent(fees: Fees, by: u128) -> Fees {
    let plus = |fee: u128| fee + fee * by / 100;
    Fees { max_fee: plus(fees.max_fee), max_priority: plus(fees.max_priority) }
}
