//! `sceau audit`: checks everything the service ever claimed.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use secrecy::SecretString;
use serde::Deserialize;

use super::super::output::{Ending, Out, on_terminal, printable, say};
use super::{Settings, explained, ledger, part};
use crate::app::Way;
use crate::audit::{self, AuditError, Report, Witness};
use crate::config;
use crate::ports::{Entropy, SystemEntropy};

const EXAMPLES: &str = "\
Examples:
  sceau audit --config /etc/sceau/sceau.toml
  sceau audit --offline --json

Exit status: 0 nothing found, 1 something is wrong (it is named), 2 called wrongly.";

/// Check all proofs, trees and anchors against each other and against the chains
///
/// Reads only; the service may go on meanwhile. Of the settings it needs database_url and targets.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Audit {
    #[command(flatten)]
    settings: Settings,

    /// Ask no chain: check the database against itself only
    #[arg(long)]
    offline: bool,

    /// Print the report as one JSON object
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
pub async fn run(command: Audit, outer: Option<&Path>, out: &mut Out) -> anyhow::Result<Ending> {
    let settled: Settled = part(command.settings.file(outer).as_deref())?;
    let witnesses = if command.offline { Vec::new() } else { witnesses(&settled.targets).await? };
    let ledger = ledger(&settled.database_url)?;
    let bar = ProgressBar::with_draw_target(
        None,
        if on_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() },
    );
    let style = ProgressStyle::with_template("{bar:24} {pos}/{len} batches and anchors, {eta} left");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let done = audit::run(&ledger, &witnesses, |at| {
        bar.set_length(at.total.max(at.done));
        bar.set_position(at.done);
    })
    .await;
    bar.finish_and_clear();
    ledger.close().await;
    let report = done.map_err(|error| match error {
        AuditError::Ledger(error) => explained(error),
        AuditError::Chain(error) => anyhow::Error::from(error).context("the audit is not finished"),
    })?;
    if command.json {
        out.json(&report)?;
    } else {
        show(&report, out)?;
    }
    Ok(if report.is_clean() { Ending::Done } else { Ending::Partly })
}

async fn witnesses(targets: &[config::Target]) -> anyhow::Result<Vec<Witness>> {
    let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
    let mut witnesses = Vec::new();
    for target in targets {
        let chain = Way::of(target, &entropy)?.chain().await.context("the audit is not finished")?;
        witnesses.push(Witness { chain, depth: target.depth, evidence: true });
    }
    Ok(witnesses)
}

fn show(report: &Report, out: &mut Out) -> anyhow::Result<()> {
    for finding in &report.findings {
        out.line(printable(&format!("{} {}: {}", finding.table, finding.key, finding.what)))?;
    }
    let Report { batches, proofs, anchors, log, count, .. } = report;
    out.line(format_args!(
        "{batches} batches, {proofs} proofs, {anchors} anchors, {log} rows of the log checked: {count} findings"
    ))?;
    for target in &report.unasked {
        say(format_args!("not compared with its chain: {target}"));
    }
    Ok(())
}
