//! `sceau recover`: brings a database restored from a backup up to what the registries hold.

use std::path::Path;

use alloy::primitives::Address;
use anyhow::{Context, ensure};
use clap::Args;
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::json;

use super::super::output::{Ending, Out, printable, say};
use super::{Settings, explained, ledger, part};
use crate::chain::Target;
use crate::chain::evm::Evm;
use crate::config;
use crate::recover::{self, Plan, RecoverError, Source};

const EXAMPLES: &str = "\
Examples:
  sceau recover --config /etc/sceau/sceau.toml            say what is missing and what would be done
  sceau recover --config /etc/sceau/sceau.toml --apply    do it

Exit status: 0 done or nothing to do, 1 something is in the way (it is named), 2 called wrongly.";

/// Bring a database restored from a backup up to what the registries hold
///
/// Says what the chains have that the database has not: batches that were lost, transactions that were forgotten. With --apply
/// the numbers of lost batches are recorded as lost, proofs that were to be in one wait for the next batch, and forgotten
/// transactions are stored with their nonces. The service may run meanwhile: it only reads until this is done. Of the settings
/// it needs database_url and targets.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Recover {
    #[command(flatten)]
    settings: Settings,

    /// Do it; without this, only say what would be done
    #[arg(long)]
    apply: bool,

    /// Look for events from this block on [default: the block of the newest final anchor the database knows]
    #[arg(long, value_name = "NUMBER")]
    from_block: Option<u64>,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Deserialize)]
struct Settled {
    database_url: SecretString,
    #[serde(default)]
    targets: Vec<config::Target>,
}

/// Runs the command.
///
/// # Errors
/// When the settings are wrong, or database or chain cannot be asked.
pub async fn run(command: Recover, outer: Option<&Path>, out: &mut Out) -> anyhow::Result<Ending> {
    let settled: Settled = part(command.settings.file(outer).as_deref())?;
    ensure!(!settled.targets.is_empty(), "the settings name no targets: there is nothing to compare with");
    let sources = settled.targets.iter().map(source).collect::<anyhow::Result<Vec<_>>>()?;
    let ledger = ledger(&settled.database_url)?;
    ledger.check_schema().await.map_err(explained)?;
    let plan = recover::plan(&ledger, &sources, command.from_block).await.map_err(|error| match error {
        RecoverError::Ledger(error) => explained(error),
        RecoverError::Chain(error) => anyhow::Error::from(error).context("nothing was changed"),
    })?;
    let clear = plan.obstacles.is_empty();
    let done = match (command.apply && clear, plan.is_empty()) {
        (true, false) => Some(ledger.recover(&plan.lost, &plan.forgotten).await.map_err(explained)?),
        _ => None,
    };
    ledger.close().await;
    if command.json {
        out.json(&json!({
            "lost": plan.lost.iter().map(|batch| json!({
                "number": batch.number, "root": format!("0x{}", hex::encode(batch.root)), "size": batch.size,
            })).collect::<Vec<_>>(),
            "forgotten": plan.forgotten.iter().map(|one| json!({
                "batch": one.batch, "chain_id": one.chain_id, "signer": Address::from(one.signer), "nonce": one.nonce,
                "tx_hash": format!("0x{}", hex::encode(one.attempt.tx_hash)),
            })).collect::<Vec<_>>(),
            "moved": plan.moved,
            "obstacles": plan.obstacles,
            "applied": done.is_some(),
        }))?;
    } else {
        show(&plan, done.is_some(), out)?;
    }
    Ok(if clear { Ending::Done } else { Ending::Partly })
}

fn source(target: &config::Target) -> anyhow::Result<Source> {
    let registry: Address = target.registry.parse().with_context(|| format!("targets.registry {:?}", target.registry))?;
    // What it says is checked against the registry's records and the transactions' own signatures: the first will do.
    let url = target.endpoints()?.first().context("targets: give each an endpoint")?;
    let chain = Evm::connect_within(url, Target { chain_id: target.chain_id, registry }, target.timeout())?;
    Ok(Source { chain, depth: target.depth })
}

fn show(plan: &Plan, done: bool, out: &mut Out) -> anyhow::Result<()> {
    if plan.is_empty() {
        out.line("nothing to do: the database has all that the registries hold")?;
        return Ok(());
    }
    let [record, put, store] = if done { ["recorded", "put", "stored"] } else { ["would record", "would put", "would store"] };
    for batch in &plan.lost {
        out.line(format_args!(
            "{record} batch {} as lost: root 0x{}, {} leaves",
            batch.number,
            hex::encode(batch.root),
            batch.size
        ))?;
    }
    if plan.moved > 0
        && let Some(last) = plan.lost.last()
    {
        out.line(format_args!("{put} {} proofs back into the pool, as batch {}", plan.moved, last.number + 1))?;
    }
    for one in &plan.forgotten {
        out.line(format_args!(
            "{store} transaction 0x{} of batch {}: nonce {} of {} on eip155:{}",
            hex::encode(one.attempt.tx_hash),
            one.batch,
            one.nonce,
            Address::from(one.signer),
            one.chain_id
        ))?;
    }
    for obstacle in &plan.obstacles {
        out.line(printable(&format!("in the way: {obstacle}")))?;
    }
    match (done, plan.obstacles.is_empty()) {
        (true, _) => say("done; the service goes on by itself within half a minute"),
        (false, true) => say("nothing was changed; --apply does it"),
        (false, false) => say("nothing was changed, and --apply changes nothing before this is out of the way"),
    }
    Ok(())
}
