//! The main job, once, on real files: this repository's own unless told otherwise.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use sceau_verifier::Digest;

use super::folder::Folder;
use super::stack::Stack;
use super::verify::Verifier;
use super::{line, say};
use crate::cli::client::{Client, Item, Receipt};
use crate::cli::hash;
use crate::cli::output::on_terminal;
use crate::ledger::proofs::Status;

/// Folders that hold nobody's own files.
const NOT_OURS: [&str; 8] = [".git", ".sceau", ".venv", "target", "node_modules", "out", "cache", "__pycache__"];
/// Everything is final long before this.
const PATIENCE: Duration = Duration::from_secs(300);

/// How it went.
#[derive(Debug, Clone, Copy, Default)]
pub struct Outcome {
    /// Files whose receipt the verifier accepted.
    pub verified: usize,
    /// Files whose receipt it did not.
    pub failed: usize,
}

/// Submits the files below `root`, waits until they are final, fetches every receipt and has each verified.
///
/// # Errors
/// When the service, the chain or the verifier cannot be asked.
pub async fn run(folder: &Folder, stack: &Stack, root: &Path) -> Result<Outcome> {
    let files = own_files(root)?;
    anyhow::ensure!(!files.is_empty(), "there are no files in {}", root.display());
    println!("\nProving the {} files in {}, each by its SHA-256 alone:", files.len(), folder.shown(root));
    let client = Client::new(stack.access.clone())?;

    let bar = progress(files.len(), "hashing");
    let mut digests: Vec<(PathBuf, Digest)> = Vec::with_capacity(files.len());
    for (path, digest) in hash::hash_files(files, |_| {})? {
        digests.push((path.clone(), digest.with_context(|| path.display().to_string())?));
        bar.inc(1);
    }
    bar.set_message("submitting");
    let mut seen = HashSet::new();
    let items: Vec<Item> = digests
        .iter()
        .filter(|(_, digest)| seen.insert(*digest))
        .map(|(path, digest)| Item {
            digest: *digest,
            file_name: path.strip_prefix(root).ok().map(|name| name.display().to_string()),
            reference: None,
            labels: vec!["demo".into()],
            validation: false,
            again: false,
        })
        .collect();
    let proofs = client.submit(&items).await?;
    bar.finish_and_clear();
    let mut batches: BTreeMap<u64, Status> = proofs.iter().filter_map(|proof| Some((proof.batch?, Status::Pending))).collect();
    line("accepted", format_args!("{} digests, in batch {}", proofs.len(), listed(batches.keys())));

    let waited = tokio::time::timeout(PATIENCE, wait(&client, &mut batches)).await;
    waited.context("the batches do not become final")??;

    let kept = folder.path().join("demo.unfinished");
    let _ = std::fs::remove_dir_all(&kept);
    let verifier = Verifier::find(&say).await?;
    let bar = progress(digests.len(), "verifying");
    let (mut outcome, mut shown) = (Outcome::default(), String::new());
    for (path, digest) in &digests {
        let name = path.strip_prefix(root).unwrap_or(path);
        let receipt = kept.join(format!("{}.sceau.json", name.display()));
        std::fs::create_dir_all(receipt.parent().unwrap_or(&kept))?;
        match client.receipt(*digest, true).await? {
            Receipt::Ready(bytes) => std::fs::write(&receipt, bytes)?,
            Receipt::NotReady { problem, .. } => anyhow::bail!("{}: {}", name.display(), problem.title),
        }
        let answer = verifier.ask(path, &receipt, &stack.told).await?;
        if answer.verified {
            outcome.verified += 1;
            if shown.is_empty() || name == Path::new("README.md") {
                shown = format!("$ sceau-verify {} …\n{}", name.display(), answer.text);
            }
        } else {
            outcome.failed += 1;
            bar.suspend(|| println!("{}: {}", name.display(), answer.text));
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    // Only now: an interrupted proof is done again at the next start.
    let _ = std::fs::remove_dir_all(folder.demo());
    std::fs::rename(&kept, folder.demo())?;
    line("receipts", format_args!("{}/", folder.shown(&folder.demo())));
    line("verdict", format_args!("{} of {} files verified by sceau-verify", outcome.verified, digests.len()));
    for text in shown.lines() {
        println!("    {text}");
    }
    Ok(outcome)
}

/// Waits for every batch, telling each change once.
async fn wait(client: &Client, batches: &mut BTreeMap<u64, Status>) -> Result<()> {
    let spinner = progress(0, "");
    spinner.enable_steady_tick(Duration::from_millis(120));
    while batches.values().any(|status| *status != Status::Final) {
        for (number, known) in batches.iter_mut() {
            let batch = client.batch(*number).await?.with_context(|| format!("batch {number} is gone"))?;
            let status = batch.status();
            if status != *known {
                *known = status;
                spinner.suspend(|| line(status.as_str(), format_args!("batch {number}")));
            }
            spinner.set_message(format!("batch {number} is {}", status.as_str()));
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    spinner.finish_and_clear();
    Ok(())
}

fn listed<'a>(numbers: impl Iterator<Item = &'a u64>) -> String {
    numbers.map(u64::to_string).collect::<Vec<_>>().join(", ")
}

fn progress(length: usize, message: &'static str) -> ProgressBar {
    let target = if on_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target((length > 0).then_some(length as u64), target);
    let template = if length > 0 { "  {msg:<10} {bar:30} {pos}/{len}" } else { "  {spinner} {msg}" };
    bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.with_message(message)
}

/// The files below `root`, sorted; links are left out.
fn own_files(root: &Path) -> Result<Vec<PathBuf>> {
    let (mut waiting, mut files) = (vec![root.to_owned()], Vec::new());
    while let Some(folder) = waiting.pop() {
        for entry in std::fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_file() {
                files.push(entry.path());
            } else if kind.is_dir() && !NOT_OURS.iter().any(|name| entry.file_name() == *name) {
                waiting.push(entry.path());
            }
        }
    }
    files.sort();
    Ok(files)
}
