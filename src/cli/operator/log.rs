//! `sceau log`: what was done, by whom.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use sceau_verifier::Digest;
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::output::{Ending, Out, printable};
use super::{Database, Settings, explained, ledger, part};
use crate::api::receipt;
use crate::ledger::Ledger;
use crate::ledger::accounts::audit_log::{Row, SERVICE};

const EXAMPLES: &str = "\
Examples:
  sceau log
  sceau log --after 1200 --json
  sceau log --head 1342 --document head.bin --receipt head.receipt.json
  sceau-verify head.bin head.receipt.json";

/// Rows read at once.
const PAGE: i64 = 1_000;

/// Show the log: what was changed, by whom, and who got in or did not
///
/// Each row has the hash of the one before. Now and then the newest is sealed as a proof of the service's own: --head gets it with
/// its receipt. `sceau audit` checks them all.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Log {
    #[command(flatten)]
    settings: Settings,

    /// Only rows behind this number
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    after: u64,

    /// Print one JSON object a row
    #[arg(long)]
    json: bool,

    /// Of this row, which was sealed: save what was hashed, and its receipt
    #[arg(long, value_name = "NUMBER", requires_all = ["document", "receipt"])]
    head: Option<u64>,

    /// Where what was hashed goes
    #[arg(long, value_name = "FILE", requires = "head")]
    document: Option<PathBuf>,

    /// Where the receipt goes
    #[arg(long, value_name = "FILE", requires = "head")]
    receipt: Option<PathBuf>,
}

/// What a line shows of an event.
#[derive(Deserialize)]
struct Event {
    at: String,
    actor: String,
    action: String,
    account: Option<i64>,
    address: Option<String>,
    detail: Value,
}

/// Runs the command.
///
/// # Errors
/// When the settings are wrong, the database fails, or a file cannot be written.
pub async fn run(command: Log, outer: Option<&Path>, out: &mut Out) -> anyhow::Result<Ending> {
    let settings: Database = part(command.settings.file(outer).as_deref())?;
    let ledger = ledger(&settings.database_url)?;
    let done = match (command.head, &command.document, &command.receipt) {
        (Some(number), Some(document), Some(receipt)) => save(&ledger, number, document, receipt).await,
        _ => show(&ledger, command.after, command.json, out).await,
    };
    ledger.close().await;
    done.map(|()| Ending::Done)
}

async fn show(ledger: &Ledger, mut after: u64, json: bool, out: &mut Out) -> anyhow::Result<()> {
    loop {
        let rows = ledger.log(None, after, PAGE).await.map_err(explained)?;
        let full = rows.len() as i64 == PAGE;
        for row in rows {
            after = row.number.unsigned_abs();
            if json {
                let event: Value =
                    serde_json::from_str(&row.entry).context("an entry of the log is no JSON; run `sceau audit`")?;
                out.json(&json!({ "number": row.number, "event": event, "previous": hex::encode(&row.previous), "hash": hex::encode(&row.hash) }))?;
            } else {
                out.line(line(&row)?)?;
            }
        }
        if !full {
            return Ok(());
        }
    }
}

fn line(row: &Row) -> anyhow::Result<String> {
    let event: Event = serde_json::from_str(&row.entry).context("an entry of the log is no JSON; run `sceau audit`")?;
    let about = event.account.map(|id| format!("  account {id}")).unwrap_or_default();
    let from = event.address.map(|address| format!("  from {address}")).unwrap_or_default();
    let text = format!("{}  {}  {}  {}{about}{from}  {}", row.number, event.at, event.actor, event.action, event.detail);
    Ok(printable(&text))
}

async fn save(ledger: &Ledger, number: u64, document: &Path, receipt: &Path) -> anyhow::Result<()> {
    let row = ledger.log(None, number.saturating_sub(1), 1).await.map_err(explained)?.pop();
    let row = row.filter(|row| row.number.unsigned_abs() == number);
    let row = row.ok_or_else(|| anyhow::anyhow!("the log has no row {number}"))?;
    let bytes = [row.previous.as_slice(), row.entry.as_bytes()].concat();
    let proof = ledger.proof(SERVICE, &Digest::of(&bytes)).await.map_err(explained)?;
    let proof = proof.ok_or_else(|| anyhow::anyhow!("row {number} was not sealed as a head; a later one holds its hash"))?;
    let assembled = receipt::assemble(ledger, &receipt::Known::default(), &proof).await.map_err(explained)?;
    let assembled = assembled.ok_or_else(|| anyhow::anyhow!("row {number} waits to be sealed"))?;
    for (path, bytes) in [(document, &bytes), (receipt, &assembled.bytes)] {
        let mut file = std::fs::File::create(path).with_context(|| path.display().to_string())?;
        file.write_all(bytes).with_context(|| path.display().to_string())?;
    }
    Ok(())
}
