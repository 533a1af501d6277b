//! An EVM node of our own (anvil, pinned by `anvil/package-lock.json`), on 127.0.0.1, ended with its owner.

use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use rustls::crypto::{CryptoProvider, ring};
use serde_json::{Value, json};

use super::child::{Child, Spec, StopSignal};
use super::host::{FolderLock, ensure_free};
use super::tools::{self, Progress};

/// The chain id of every chain made here.
pub const CHAIN_ID: u64 = 31337;
/// The mnemonic of the ten funded accounts, known to everybody: worthless on any other chain.
pub const MNEMONIC: &str = "test test test test test test test test test test test junk";

const READY_WITHIN: Duration = Duration::from_secs(60);
const STOP_GRACE: Duration = Duration::from_secs(30);
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// States of earlier blocks that are kept. Each holds the hashes of all blocks before it, so the state file grows by
/// that many times 150 bytes with each block; a full node of the real network keeps 128.
const KEPT_STATES: &str = "64";

/// When blocks are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mining {
    /// One for each transaction, at once. A transaction becomes final only when two more blocks follow.
    Instant,
    /// One every so many seconds, empty ones too. The whole chain is held in memory and written every five seconds,
    /// about 11 kB a block, so not for chains that stay up for days.
    Every(NonZeroU32),
    /// When asked for: see [`Anvil::mine`] and [`Anvil::mine_if_needed`].
    OnDemand,
}

/// What node to start.
#[derive(Debug)]
pub struct Options<'a> {
    /// The folder that holds the chain's state, its log and nothing else. A chain that is there already goes on.
    pub data: &'a Path,
    /// `None`: one that is free.
    pub port: Option<u16>,
    /// When blocks are made.
    pub mining: Mining,
    /// The native binary. `None`: found as [`start`] says.
    pub binary: Option<&'a Path>,
    /// Keep nothing, and remove the folder once the node and this process are gone.
    pub throw_away: bool,
}

/// A running node. Dropping it asks the node to write its state and end, [`Anvil::stop`] waits for that.
#[derive(Debug)]
pub struct Anvil {
    /// JSON-RPC over HTTP.
    pub url: String,
    /// Where it listens.
    pub address: SocketAddr,
    /// The process.
    pub child: Child,
    http: reqwest::Client,
    _lock: FolderLock,
}

/// Starts a node and waits until it answers. The binary is `options.binary`, else `$SCEAU_ANVIL_BIN`, else `anvil` on
/// the `PATH` if it is of the pinned version, else the npm package the repository pins, installed when missing.
///
/// The tags `safe` and `finalized` follow the head by one and two blocks. Unless it is thrown away the chain is written
/// to `anvil.json` every five seconds and when the node is asked to end, which it is too when its owner is killed. A
/// restart keeps blocks, transactions, receipts, logs, code, storage and the states of the last 64 blocks (so proofs
/// against them). It loses transactions that wait for a block, and block 0, which each start makes anew with another
/// hash: know a chain again by block 1. A node that is itself killed goes back to what was written last: to a service
/// that saw the lost blocks as final, a broken chain.
///
/// # Errors
/// Each says what to do: no binary; a node runs on the folder already; the port is taken; the state file is damaged.
pub async fn start(options: Options<'_>, progress: Progress<'_>) -> Result<Anvil> {
    std::fs::create_dir_all(options.data).with_context(|| format!("cannot make the folder {}", options.data.display()))?;
    let data = options.data.canonicalize()?;
    let lock = FolderLock::take(&data, "anvil")?;
    let program = find(options.binary, progress).await?;
    if let Some(port) = options.port {
        ensure_free(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
    }
    // States a node that was killed left on disk: no later one reads them.
    let _ = std::fs::remove_dir_all(data.join(".foundry"));
    if CryptoProvider::get_default().is_none() {
        // The HTTP client cannot be built without one, though nothing is encrypted here. Another thread may win.
        let _ = ring::default_provider().install_default();
    }
    let http = reqwest::Client::builder().no_proxy().timeout(ANSWER_WITHIN).build()?;
    let child = Child::spawn(spec(program, &data, &options)).await?;
    let answer = async {
        loop {
            let port = options.port.or_else(|| announced_port(child.log()));
            if let Some(port) = port {
                let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
                if call(&http, address, "eth_chainId", json!([])).await.is_ok() {
                    return address;
                }
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let address = tokio::select! {
        biased;
        status = child.wait() => return Err(why_it_ended(&child, status, &data)),
        address = tokio::time::timeout(READY_WITHIN, answer) => address.map_err(|_| {
            anyhow!("anvil did not answer within {} s; log {}:\n{}", READY_WITHIN.as_secs(), child.log().display(), child.log_tail())
        })?,
    };
    Ok(Anvil { url: format!("http://{address}"), address, child, http, _lock: lock })
}

impl Anvil {
    /// Calls a JSON-RPC method and returns its result.
    ///
    /// # Errors
    /// When the node does not answer within ten seconds or answers an error, which is the error's text.
    pub async fn rpc(&self, method: &str, params: Value) -> Result<Value> {
        call(&self.http, self.address, method, params).await
    }

    /// Makes `blocks` blocks at once.
    ///
    /// # Errors
    /// As [`Anvil::rpc`].
    pub async fn mine(&self, blocks: u64) -> Result<()> {
        self.rpc("anvil_mine", json!([format!("{blocks:#x}")])).await.map(drop)
    }

    /// Makes one block if a transaction waits for it or is not final yet, and says whether it did. Called every second
    /// this is a chain with a block a second that stands still, and does not grow, while nothing happens.
    ///
    /// # Errors
    /// As [`Anvil::rpc`].
    pub async fn mine_if_needed(&self) -> Result<bool> {
        let pool = self.rpc("txpool_status", json!([])).await?;
        let mut needed = number(&pool["pending"])? > 0;
        let head = number(&self.rpc("eth_blockNumber", json!([])).await?)?;
        let last_final = number(&self.rpc("eth_getBlockByNumber", json!(["finalized", false])).await?["number"])?;
        for block in last_final + 1..=head {
            if needed {
                break;
            }
            let count = self.rpc("eth_getBlockTransactionCountByNumber", json!([format!("{block:#x}")])).await?;
            needed = number(&count)? > 0;
        }
        if needed {
            self.mine(1).await?;
        }
        Ok(needed)
    }

    /// Has the node write its state and end.
    pub async fn stop(mut self) {
        self.child.stop(STOP_GRACE).await;
    }
}

fn spec(program: PathBuf, data: &Path, options: &Options<'_>) -> Spec {
    let mut args: Vec<OsString> = Vec::new();
    let mut add = |arguments: &[&str]| args.extend(arguments.iter().map(OsString::from));
    add(&["--host", "127.0.0.1", "--chain-id", &CHAIN_ID.to_string(), "--mnemonic", MNEMONIC]);
    add(&["--slots-in-an-epoch", "1", "--no-cors", "--port", &options.port.unwrap_or(0).to_string()]);
    if options.port.is_some() {
        // Otherwise its output tells the port.
        add(&["--quiet"]);
    }
    match options.mining {
        Mining::Instant => {}
        Mining::Every(seconds) => add(&["--block-time", &seconds.to_string()]),
        Mining::OnDemand => add(&["--no-mining"]),
    }
    if !options.throw_away {
        add(&["--preserve-historical-states", "--prune-history", KEPT_STATES, "--state-interval", "5", "--state"]);
        args.push(state_file(data).into());
    }
    Spec {
        name: "anvil",
        program,
        args,
        // It keeps old states in files under its home.
        env: vec![("HOME".into(), data.into())],
        user: None,
        cwd: PathBuf::from("/"),
        log: data.join("anvil.log"),
        stop: StopSignal::Interrupt,
        remove_after: options.throw_away.then(|| data.to_owned()),
    }
}

fn state_file(data: &Path) -> PathBuf {
    data.join("anvil.json")
}

/// anvil writes its state file in place, so a machine that stops in the middle leaves half of it.
fn why_it_ended(child: &Child, status: std::process::ExitStatus, data: &Path) -> anyhow::Error {
    let error = child.early_end(status);
    if child.log_tail().contains("failed to parse json file") {
        let state = state_file(data);
        return error.context(format!(
            "the chain's state {0} is damaged, it was cut short while it was written: begin a new chain with `rm {0}`, and a \
             new database with it",
            state.display()
        ));
    }
    error
}

/// anvil announces `Listening on 127.0.0.1:39155`.
fn announced_port(log: &Path) -> Option<u16> {
    let log = std::fs::read_to_string(log).ok()?;
    let rest = log.split_once("Listening on 127.0.0.1:")?.1;
    rest.split_once('\n')?.0.trim().parse().ok()
}

async fn find(setting: Option<&Path>, progress: Progress<'_>) -> Result<PathBuf> {
    let variable = std::env::var_os("SCEAU_ANVIL_BIN").map(PathBuf::from);
    if let Some(binary) = setting.map(Path::to_owned).or(variable) {
        return match version(&binary) {
            Some(_) => Ok(std::path::absolute(binary)?),
            None => bail!("{} is no anvil that runs here", binary.display()),
        };
    }
    let (os, arch) = match (std::env::consts::OS, std::env::consts::ARCH) {
        ("macos", "aarch64") => ("darwin", "arm64"),
        ("macos", _) => ("darwin", "amd64"),
        (os, "aarch64") => (os, "arm64"),
        (os, _) => (os, "amd64"),
    };
    let folder = tools::repository()?.join("anvil");
    let package = format!("@foundry-rs/anvil-{os}-{arch}");
    let pinned = tools::pinned_version(&folder, &package)
        .with_context(|| format!("there is no ready-made anvil for {os} on {arch}: set SCEAU_ANVIL_BIN to one"))?;
    for directory in std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()) {
        // The child's working folder is another, so what is run must be absolute.
        let binary = directory.join("anvil");
        if binary.is_absolute() && version(&binary).as_ref() == Some(&pinned) {
            return Ok(binary);
        }
    }
    let package = tools::ensure(&folder, &package, progress).await.context("anvil could not be installed")?;
    Ok(package.join("bin/anvil"))
}

/// `anvil --version` answers `anvil Version: 1.7.1` and more lines. A script of that name is npm's wrapper, which would
/// leave the real process behind when it is ended.
fn version(binary: &Path) -> Option<String> {
    let mut start = [0; 2];
    std::io::Read::read_exact(&mut std::fs::File::open(binary).ok()?, &mut start).ok()?;
    if &start == b"#!" {
        return None;
    }
    let output = Command::new(binary).arg("--version").stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let version = text.split_once("Version: ")?.1.split_whitespace().next()?;
    Some(version.split('-').next()?.to_owned())
}

fn number(value: &Value) -> Result<u64> {
    let digits = value.as_str().and_then(|text| text.strip_prefix("0x")).with_context(|| format!("anvil answered {value}"))?;
    Ok(u64::from_str_radix(digits, 16)?)
}

async fn call(http: &reqwest::Client, address: SocketAddr, method: &str, params: Value) -> Result<Value> {
    let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
    let mut answer: Value = http.post(format!("http://{address}")).json(&request).send().await?.json().await?;
    match answer.get("error") {
        Some(error) => bail!("anvil refused {method}: {error}"),
        None => Ok(answer["result"].take()),
    }
}
