//! `sceau dev`: a whole local stack from one command, ended with its owner.
//!
//! A real Postgres, a real EVM node and the registry on it, demo accounts, and the service itself, exactly as
//! `sceau serve` runs it. What it makes is kept in one folder; a second start goes on there.

pub mod anvil;
pub mod cert;
pub mod child;
pub mod demo;
pub mod folder;
pub mod host;
pub mod postgres;
pub mod stack;
pub mod tools;
pub mod verify;

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;
use tokio::sync::watch;

use self::folder::Folder;
use self::stack::Stack;
use crate::ports::Ports;
use crate::{app, config};

const EXAMPLES: &str = "\
Examples:
  sceau dev                 start, prove this repository's files the first time, stay up until Ctrl-C
  sceau dev --once          the same, but end after the proof
  sceau dev --reset         forget everything first

While it runs, submit, status and receipt find it when called in this folder or below.";

/// Run a whole local stack: database, chain, contract, service and demo accounts
///
/// Everything is kept in the folder .sceau, where dev.json tells addresses and credentials.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    /// Folder that keeps everything
    #[arg(long, value_name = "FOLDER", default_value = ".sceau")]
    pub folder: PathBuf,

    /// Port of the service
    #[arg(long, default_value_t = 42_001)]
    pub port: u16,

    /// Port of the KageSecur dialect
    #[arg(long, default_value_t = 42_000)]
    pub kagesecur_port: u16,

    /// Port of the core API, for managers
    #[arg(long, default_value_t = 42_002)]
    pub core_port: u16,

    /// Port of the chain's JSON-RPC
    #[arg(long, default_value_t = 8_545)]
    pub rpc_port: u16,

    /// Port of health and metrics
    #[arg(long, default_value_t = 42_003)]
    pub metrics_port: u16,

    /// End after the proof instead of staying up
    #[arg(long)]
    pub once: bool,

    /// Prove the files in this folder [default: this repository's, at the first start]
    #[arg(long, value_name = "FOLDER")]
    pub prove: Option<PathBuf>,

    /// Prove nothing, only bring the stack up
    #[arg(long, conflicts_with_all = ["once", "prove"])]
    pub no_proof: bool,

    /// Forget database, chain and credentials of earlier starts
    #[arg(long)]
    pub reset: bool,
}

/// Brings the stack up, proves the repository's files if that was not done yet, and stays up until `stop` completes.
///
/// # Errors
/// One sentence for whoever sits at the terminal: what is missing or in the way, and what to do about it.
pub async fn run(options: Options, ports: Ports, stop: impl Future<Output = ()> + Send + 'static) -> anyhow::Result<()> {
    let folder = Folder::open(&options.folder, options.reset)?;
    let local = |port| SocketAddr::from(([127, 0, 0, 1], port));
    let addresses = [options.port, options.kagesecur_port, options.core_port, options.metrics_port].map(local);
    // Before anything is started, so that nothing has to be taken down again.
    let [partner, kagesecur, core, metrics] = addresses;
    let rpc = local(options.rpc_port);
    for (address, option) in [
        (partner, "--port"),
        (kagesecur, "--kagesecur-port"),
        (core, "--core-port"),
        (metrics, "--metrics-port"),
        (rpc, "--rpc-port"),
    ] {
        host::ensure_free(address).with_context(|| format!("choose another port with {option}"))?;
    }
    let (stopped, stopping) = watch::channel(false);
    let mut signal = tokio::spawn(async move {
        stop.await;
        let _ = stopped.send(true);
    });

    let started = tokio::select! {
        started = Stack::start(&folder, addresses, options.rpc_port, &ports) => started?,
        _ = &mut signal => return Ok(()),
    };
    let config = config::Config::load(Some(&folder.settings()))?;
    let mut until = stopping.clone();
    let mut service = tokio::spawn(app::serve(config, app::Mode::All, ports.clone(), async move {
        // An error means that the sender is gone, and with it this function.
        let _ = until.wait_for(|stopped| *stopped).await;
    }));
    let ended = tokio::select! {
        ended = work(&folder, &started, &options) => ended,
        _ = &mut signal => Ok(()),
        ended = &mut service => match ended {
            Ok(Ok(())) => Err(anyhow::anyhow!("the service ended by itself")),
            Ok(Err(error)) => Err(error),
            Err(error) => Err(error.into()),
        },
        name = started.first_to_die() => Err(anyhow::anyhow!("{name} ended by itself; its log is in {}", folder.path().display())),
    };
    say("stopping");
    signal.abort();
    drop(signal);
    drop(stopping);
    if !service.is_finished() {
        // The sender went with the signal's task: the service sees that and stops.
        let _ = (&mut service).await;
    }
    started.stop().await;
    ended
}

/// The main job on real files, once; then nothing, for as long as somebody wants it.
async fn work(folder: &Folder, stack: &Stack, options: &Options) -> anyhow::Result<()> {
    stack.wait_until_ready().await?;
    line("service", format_args!("{}  (trust {})", stack.access.api_url, folder.shown(&stack.ca_cert)));
    line("kagesecur", &stack.told.kagesecur_url);
    line("core API", &stack.told.core_url);
    if !options.no_proof && (options.once || options.prove.is_some() || !folder.demo().exists()) {
        let files = match &options.prove {
            Some(folder) => folder.clone(),
            None => tools::repository()?,
        };
        let outcome = demo::run(folder, stack, &files).await?;
        if outcome.failed > 0 {
            bail!("{} of {} receipts did not verify", outcome.failed, outcome.verified + outcome.failed);
        }
    }
    if options.once {
        return Ok(());
    }
    println!("\nReady. In another terminal, in this folder:");
    let sceau = match (std::env::var_os("CARGO"), cfg!(debug_assertions)) {
        (Some(_), true) => "cargo run --",
        (Some(_), false) => "cargo run --release --",
        (None, _) => "sceau",
    };
    println!("  {sceau} submit FILE --wait final");
    println!("  {sceau} receipt FILE");
    println!(
        "Addresses and credentials: {}. Ctrl-C stops everything; the next start goes on here.",
        folder.shown(&folder.dev_json())
    );
    std::future::pending().await
}

/// One step, told.
fn line(what: &str, text: impl std::fmt::Display) {
    println!("  {what:<10} {text}");
}

/// A remark between steps.
fn say(text: &str) {
    println!("  {:<10} {text}", "…");
}
