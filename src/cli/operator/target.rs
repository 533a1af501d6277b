//! `sceau target`: where batches are anchored, and in how many places they must be.

use std::path::Path;
use std::str::FromStr;

use alloy::primitives::Address;
use anyhow::Context;
use clap::{Args, Subcommand};
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::json;
use time::format_description::well_known::Rfc3339;

use super::super::output::{Ending, Out, say};
use super::{Settings, explained, ledger, part};
use crate::config;
use crate::ledger::Ledger;
use crate::ledger::targets::policy::{KnownTarget, PolicyError, TargetName};

const EXAMPLES: &str = "\
Examples:
  sceau target list
  sceau target require 2
  sceau target retire eip155:11155111:0x5fbdb2315678afecb367f032d93f642f64180aa3
  sceau target resume eip155:11155111:0x5fbdb2315678afecb367f032d93f642f64180aa3";

/// List and retire targets, and decide how many a proof needs
///
/// Works on the database directly: of the settings it needs database_url and, to require, targets. A target is added by
/// the settings alone.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Target {
    #[command(flatten)]
    settings: Settings,

    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the targets that were ever used, and the rule
    List {
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Let proofs of batches sealed from now on count as anchored when COUNT targets have them
    Require {
        /// Not more than there are targets
        #[arg(value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
        count: u32,
    },
    /// Make no new anchors in a target
    ///
    /// Anchors under way go on; take the target out of the settings when none is left. What nothing was signed for is
    /// withdrawn.
    Retire {
        /// Chain and registry: eip155:CHAIN:0xREGISTRY
        target: Name,

        /// Withdraw what is under way too: for a chain that is gone. Its transactions may still arrive
        #[arg(long)]
        abandon: bool,
    },
    /// Take a retirement back: everything sealed meanwhile is anchored there after all
    Resume {
        /// Chain and registry: eip155:CHAIN:0xREGISTRY
        target: Name,
    },
}

/// A target as it is typed, in the form of CAIP-10.
#[derive(Debug, Clone, Copy)]
struct Name(TargetName);

impl FromStr for Name {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.strip_prefix("eip155:").and_then(|rest| rest.split_once(':'));
        let read = parts.and_then(|(chain, registry)| {
            let registry = registry.starts_with("0x").then(|| registry.parse::<Address>().ok())??;
            Some((chain.parse().ok().filter(|chain| (1..1 << 63).contains(chain))?, registry.into()))
        });
        read.map(Self).ok_or_else(|| "a target is written eip155:CHAIN:0xREGISTRY".into())
    }
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
/// When the settings are wrong, the database fails, or the decision cannot be taken.
pub async fn run(command: Target, outer: Option<&Path>, out: &mut Out) -> anyhow::Result<Ending> {
    let settled: Settled = part(command.settings.file(outer).as_deref())?;
    let ledger = ledger(&settled.database_url)?;
    let done = act(command.action, &settled, &ledger, out).await;
    ledger.close().await;
    done.map(|()| Ending::Done)
}

async fn act(action: Action, settled: &Settled, ledger: &Ledger, out: &mut Out) -> anyhow::Result<()> {
    match action {
        Action::List { json } => list(ledger, json, out).await?,
        Action::Require { count } => {
            let configured = settled.targets.iter().map(name).collect::<anyhow::Result<Vec<_>>>()?;
            let policy = ledger.require_anchors(count.into(), &configured).await.map_err(decided)?;
            out.line(format_args!("anchored when {} it, from batch {} on", targets(policy.needed), policy.from_batch))?;
        }
        Action::Retire { target, abandon } => {
            let retired = ledger.retire_target(target.0, abandon).await.map_err(decided)?;
            out.line(format_args!("retired; {} anchors withdrawn, {} under way", retired.withdrawn, retired.under_way))?;
            if retired.under_way > 0 {
                say("leave the target in the settings until `sceau target list` shows none under way");
            }
        }
        Action::Resume { target } => {
            let made = ledger.resume_target(target.0).await.map_err(decided)?;
            out.line(format_args!("resumed; {made} anchors to make"))?;
        }
    }
    Ok(())
}

async fn list(ledger: &Ledger, json: bool, out: &mut Out) -> anyhow::Result<()> {
    let policy = ledger.anchor_policy().await.map_err(explained)?;
    let known = ledger.known_targets().await.map_err(explained)?;
    if json {
        let targets: Vec<_> = known
            .iter()
            .map(|target| {
                json!({
                    "target": shown(target), "first_number": target.first_number,
                    "added_at": target.added_at.format(&Rfc3339).ok(), "waiting": target.waiting,
                    "retired_at": target.retired_at.and_then(|at| at.format(&Rfc3339).ok()),
                })
            })
            .collect();
        out.json(&json!({ "anchored_when": policy.needed, "from_batch": policy.from_batch, "targets": targets }))?;
        return Ok(());
    }
    out.line(format_args!("anchored when {} it, from batch {} on", targets(policy.needed), policy.from_batch))?;
    for target in &known {
        let state = match target.retired_at.and_then(|at| at.format(&Rfc3339).ok()) {
            Some(at) => format!("retired {at}"),
            None => "active".into(),
        };
        out.line(format_args!(
            "{}  from batch {}, {} anchors under way or planned, {state}",
            shown(target),
            target.first_number,
            target.waiting
        ))?;
    }
    Ok(())
}

fn targets(count: u64) -> String {
    if count == 1 { "1 target has".into() } else { format!("{count} targets have") }
}

fn shown(target: &KnownTarget) -> String {
    format!("eip155:{}:0x{}", target.chain_id, hex::encode(target.registry))
}

fn name(target: &config::Target) -> anyhow::Result<TargetName> {
    let registry: Address = target.registry.parse().with_context(|| format!("targets.registry {:?}", target.registry))?;
    Ok((target.chain_id, registry.into()))
}

fn decided(error: PolicyError) -> anyhow::Error {
    match error {
        PolicyError::Ledger(error) => explained(error),
        PolicyError::Unknown => anyhow::anyhow!("{error}; see `sceau target list`"),
        PolicyError::TooFew { .. } => anyhow::anyhow!("{error}; see `sceau target list` and `sceau target require`"),
        error => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_chain_and_registry() {
        let registry = "0x5fbdb2315678afecb367f032d93f642f64180aa3";
        let Name((chain, address)) = format!("eip155:31337:{registry}").parse().expect("a target");
        assert_eq!((chain, hex::encode(address)), (31337, registry[2..].to_owned()));
        for wrong in [
            "",
            registry,
            "eip155:1",
            &format!("eip155:0:{registry}"),
            &format!("1:{registry}"),
            "eip155:1:0x12",
            "eip155:x:0x12",
        ] {
            assert!(wrong.parse::<Name>().is_err(), "{wrong}");
        }
    }
}
