//! `sceau receipt`.

use std::path::PathBuf;

use clap::Args;

use super::save::Target;
use crate::cli::access::Connection;
use crate::cli::client::Receipt;
use crate::cli::document::Document;
use crate::cli::output::{Ending, Out};

const RECEIPT_EXAMPLES: &str = "\
Examples:
  sceau receipt contract.pdf
  sceau receipt --final -o proof.json contract.pdf
  sceau receipt -o - contract.pdf | jq .anchors

Anybody can check a receipt without this service: sceau-verify contract.pdf contract.pdf.sceau.json";

/// Save the receipt of a document
///
/// Writes the exact bytes the API gives, and refuses to overwrite a file. A document that is not anchored yet has no
/// receipt; the message says when to come back, and the exit status is 1.
#[derive(Debug, Args)]
#[command(after_help = RECEIPT_EXAMPLES)]
pub struct GetReceipt {
    /// The file, or its digest
    #[arg(value_name = "FILE|DIGEST")]
    document: Document,

    /// Where to write; - is standard output [default: FILE.sceau.json beside the file]
    #[arg(short, long, value_name = "OUT")]
    output: Option<PathBuf>,

    /// Only a receipt that is final: with the evidence to check it offline
    #[arg(long = "final")]
    only_final: bool,

    /// Overwrite OUT
    #[arg(short, long)]
    force: bool,

    #[command(flatten)]
    connection: Connection,
}

/// Runs `sceau receipt`.
///
/// # Errors
/// When there is no receipt, or it cannot be written.
pub async fn receipt(receipt: GetReceipt, out: &mut Out) -> anyhow::Result<Ending> {
    let target = Target::of(receipt.output, &receipt.document, ".sceau.json", receipt.force)?;
    let client = receipt.connection.client()?;
    let digest = receipt.document.digest()?;
    let bytes = match client.receipt(digest, receipt.only_final).await? {
        Receipt::Ready(bytes) => bytes,
        Receipt::NotReady { problem, retry_after } => {
            let promise =
                problem.anchor_by.as_ref().map(|by| format!("; it is promised to be anchored by {by}")).unwrap_or_default();
            let when = retry_after.map_or("; try again later".into(), |wait| format!("; try again in {} s", wait.as_secs()));
            anyhow::bail!("{problem}{promise}{when}");
        }
    };
    target.save(&bytes, out)?;
    Ok(Ending::Done)
}
