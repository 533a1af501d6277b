//! `sceau submit`: hashes files here, sends their digests, and waits for as long as asked.

mod progress;
mod promises;
mod walk;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use clap::{Args, ValueEnum};
use sceau_verifier::Digest;
use serde_json::json;
use tokio::time::{Instant, sleep};

use self::progress::Progress;
use self::promises::Keeper;
use super::access::Connection;
use super::client::{Client, Item, MAX_ITEMS, Proof, Status};
use super::hash::hash_files;
use super::output::{Ending, Out, printable, say, usage};

const EXAMPLES: &str = "\
Examples:
  sceau submit contract.pdf
  sceau submit --recursive --label 2026 invoices/
  sceau submit --wait final --timeout 3600 contract.pdf && sceau receipt contract.pdf
  sceau submit --json *.pdf | jq -r .batch
  sceau submit --promises promises contract.pdf && sceau-verify --promise promises/promise-*.json \\
    --keys promises/keys-*.json contract.pdf";

/// Submit files: they are hashed here and never leave this machine
///
/// Files are read and hashed on this machine and never leave it. What is sent is the SHA-256 of each file, its name
/// without folders (unless --no-names), and the labels and the reference given here. Submitting a file again changes
/// nothing, so a command that failed may simply be repeated.
///
/// Prints one line a file: status, digest, name.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Submit {
    /// Files to submit
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,

    /// Submit what is in folders and below; links in them are not followed
    #[arg(short, long)]
    recursive: bool,

    /// Label to keep with every proof; may be repeated, up to 20
    #[arg(short, long = "label", value_name = "LABEL", value_parser = |text: &str| short_text(text, 64))]
    labels: Vec<String>,

    /// Reference of your own to keep with every proof
    #[arg(long, value_parser = |text: &str| short_text(text, 255))]
    reference: Option<String>,

    /// Do not send the files' names
    #[arg(long)]
    no_names: bool,

    /// Seal them only when the account's validators have approved them
    #[arg(long, conflicts_with = "wait")]
    validation: bool,

    /// Ask the validators again about what one of them refused
    #[arg(long, requires = "validation")]
    again: bool,

    /// Come back only when all proofs are that far
    #[arg(short, long, value_name = "STATUS")]
    wait: Option<Goal>,

    /// Wait no longer than so many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 900, requires = "wait")]
    timeout: u64,

    /// Keep the API's answers, with the promises in them, and the keys that signed them in this folder
    #[arg(long, value_name = "FOLDER")]
    promises: Option<PathBuf>,

    /// Print one JSON object a file: the API's answer, and the file
    #[arg(long)]
    json: bool,

    /// Show no progress
    #[arg(short, long)]
    quiet: bool,

    #[command(flatten)]
    connection: Connection,
}

/// What `--wait` waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Goal {
    /// In a sealed batch
    Sealed,
    /// The batch is in a block
    Anchored,
    /// The block is final
    Final,
}

impl From<Goal> for Status {
    fn from(goal: Goal) -> Self {
        match goal {
            Goal::Sealed => Self::Sealed,
            Goal::Anchored => Self::Anchored,
            Goal::Final => Self::Final,
        }
    }
}

/// Bounds of the API, checked before gigabytes are hashed in vain.
fn short_text(text: &str, most: usize) -> Result<String, String> {
    match text.chars().count() {
        0 => Err("must not be empty".into()),
        count if count > most => Err(format!("has {count} characters, at most {most} are allowed")),
        _ => Ok(text.into()),
    }
}

/// One file with what became of it.
struct Line {
    path: PathBuf,
    outcome: Result<Digest, String>,
}

/// Runs the command.
///
/// # Errors
/// When nothing more can be done. Files that cannot be read are reported and make the ending [`Ending::Partly`].
pub async fn run(submit: Submit, out: &mut Out) -> anyhow::Result<Ending> {
    if submit.labels.len() > 20 {
        return Err(usage(format!("{} labels are given, at most 20 are allowed", submit.labels.len())));
    }
    let access = submit.connection.access()?;
    let found = walk::find(&submit.files, submit.recursive)?;
    let progress = Progress::new(found.bytes, submit.quiet);
    let client = Client::new(access)?.on_wait({
        let progress = progress.clone();
        move |message| progress.say(message)
    });
    let describe = |path: &Path, digest: Digest| Item {
        digest,
        file_name: path.file_name().filter(|_| !submit.no_names).map(|name| name.to_string_lossy().into_owned()),
        reference: submit.reference.clone(),
        labels: submit.labels.clone(),
        validation: submit.validation,
        again: submit.again,
    };

    let mut keeper = match &submit.promises {
        Some(folder) => Some(Keeper::open(folder, &client).await?),
        None => None,
    };
    let failed = found.failed.into_iter().map(|(path, error)| Line { path, outcome: Err(error.to_string()) });
    let mut printer = Printer { out, json: submit.json, partly: false };
    printer.lines(failed, &HashMap::new())?;
    let total = found.files.len();
    let counted = progress.clone();
    let mut hashes = hash_files(found.files, move |bytes| counted.hashed(bytes)).context("starting threads")?;
    let mut proofs: HashMap<Digest, Proof> = HashMap::new();
    let mut waiting = Vec::new();
    let mut sent = 0;
    loop {
        let part: Vec<Line> = hashes
            .by_ref()
            .take(MAX_ITEMS)
            .map(|(path, result)| Line { path, outcome: result.map_err(|error| error.to_string()) })
            .collect();
        if part.is_empty() {
            break;
        }
        // Files of the same content are one proof.
        let mut items: Vec<Item> = Vec::new();
        let mut new = std::collections::HashSet::new();
        for line in &part {
            if let Ok(digest) = line.outcome
                && !proofs.contains_key(&digest)
                && new.insert(digest)
            {
                items.push(describe(&line.path, digest));
            }
        }
        let keep = |answer: &[u8]| keeper.as_mut().map_or(Ok(()), |keeper| keeper.keep(answer));
        let answered = client.submit_keeping(&items, keep).await;
        let answered = answered.inspect_err(|_| progress.end()).with_context(|| {
            if sent == 0 { "nothing was submitted".into() } else { format!("only {sent} of {total} files were submitted") }
        })?;
        if let Some(keeper) = &mut keeper {
            keeper.check(&client).await.inspect_err(|_| progress.end())?;
        }
        proofs.extend(answered.into_iter().map(|proof| (proof.digest, proof)));
        sent += part.len();
        progress.sent(sent, total);
        if submit.wait.is_some() {
            waiting.extend(part);
        } else {
            progress.end();
            printer.lines(part, &proofs)?;
        }
    }
    if let Some(goal) = submit.wait {
        let reached = wait(&client, &mut proofs, goal.into(), Duration::from_secs(submit.timeout), &progress).await;
        progress.end();
        printer.lines(waiting, &proofs)?;
        if !reached? {
            say(format_args!(
                "not everything is {} after {} s; the digests are accepted, `sceau status` tells how far they are",
                Status::from(goal).as_str(),
                submit.timeout
            ));
            printer.partly = true;
        }
    }
    progress.end();
    Ok(if printer.partly { Ending::Partly } else { Ending::Done })
}

/// Waits until all proofs are at `goal`, asking for each batch, not for each proof. False when time runs out.
async fn wait(
    client: &Client,
    proofs: &mut HashMap<Digest, Proof>,
    goal: Status,
    timeout: Duration,
    progress: &Progress,
) -> anyhow::Result<bool> {
    let mut batches: BTreeMap<u64, Status> = BTreeMap::new();
    for proof in proofs.values() {
        batches.extend(proof.batch.map(|batch| (batch, proof.status)));
    }
    let deadline = Instant::now() + timeout;
    let mut pause = Duration::from_millis(500);
    let mut told = None;
    let reached = loop {
        for (number, status) in batches.iter_mut().filter(|(_, status)| **status < goal) {
            let Ok(asked) = tokio::time::timeout_at(deadline, client.batch(*number)).await else { break };
            *status = asked?.with_context(|| format!("the API does not know batch {number} any more"))?.status();
        }
        let short = batches.values().filter(|status| **status < goal).count();
        if short == 0 {
            break true;
        }
        if told != Some(short) {
            let plural = if short == 1 { "batch" } else { "batches" };
            progress.waiting(format!("waiting for {short} {plural} to be {}", goal.as_str()));
            told = Some(short);
        }
        if Instant::now() + pause > deadline {
            break false;
        }
        sleep(pause).await;
        pause = pause.mul_f32(1.5).min(Duration::from_secs(10));
    };
    for proof in proofs.values_mut() {
        proof.status = proof.batch.and_then(|batch| batches.get(&batch).copied()).unwrap_or(proof.status);
    }
    let held = proofs.values().filter(|proof| proof.batch.is_none()).count();
    if held > 0 {
        progress.say(&format!("{held} of them wait for validators, or were refused by one; nothing is waited for there"));
    }
    Ok(reached && held == 0)
}

struct Printer<'a> {
    out: &'a mut Out,
    json: bool,
    /// Whether a file was left out.
    partly: bool,
}

impl Printer<'_> {
    fn lines(&mut self, lines: impl IntoIterator<Item = Line>, proofs: &HashMap<Digest, Proof>) -> anyhow::Result<()> {
        for Line { path, outcome } in lines {
            let outcome = outcome.and_then(|digest| proofs.get(&digest).ok_or_else(|| "the API did not answer for it".into()));
            let name = path.to_string_lossy();
            match outcome {
                Ok(proof) if self.json => {
                    let mut value = serde_json::to_value(proof)?;
                    value["file"] = name.into();
                    self.out.json(&value)?;
                }
                Ok(proof) => {
                    self.out.line(format_args!("{:<8}  {}  {}", proof.status.as_str(), proof.digest, printable(&name)))?
                }
                Err(error) => {
                    self.partly = true;
                    if self.json {
                        self.out.json(&json!({ "file": name, "error": error }))?;
                    }
                    say(format_args!("{}: {error}", printable(&name)));
                }
            }
        }
        Ok(self.out.flush()?)
    }
}
