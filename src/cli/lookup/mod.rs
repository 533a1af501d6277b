//! `sceau status`, `list`, `receipt`, `certificate` and `erase`: what became of documents submitted earlier.

mod certificate;
mod erase;
mod list;
mod receipt;
mod save;

use std::path::Path;

use clap::Args;
use serde_json::json;

pub use self::certificate::{GetCertificate, certificate};
pub use self::erase::{Erase, erase};
pub use self::list::{List, list};
pub use self::receipt::{GetReceipt, receipt};
use super::access::Connection;
use super::client::{ClientError, Proof};
use super::document::Document;
use super::output::{Ending, Out, printable, say, sentence};

const STATUS_EXAMPLES: &str = "\
Examples:
  sceau status contract.pdf
  sceau status --json ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

/// Show how far proofs are
///
/// Files are hashed here and never leave this machine; a digest is 64 hex digits. Prints one line a document: status,
/// digest, name, and by when it is promised to be anchored. The exit status is 1 when one of them was never submitted, or was erased.
#[derive(Debug, Args)]
#[command(after_help = STATUS_EXAMPLES)]
pub struct Status {
    /// Files or digests
    #[arg(required = true, value_name = "FILE|DIGEST")]
    documents: Vec<Document>,

    /// Print one JSON object a document: the API's answer, and the file
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    connection: Connection,
}

/// Runs `sceau status`.
///
/// # Errors
/// When the API cannot be asked.
pub async fn status(status: Status, out: &mut Out) -> anyhow::Result<Ending> {
    let client = status.connection.client()?;
    let mut ending = Ending::Done;
    for document in &status.documents {
        if !out.open() {
            break;
        }
        let file = document.file().map(Path::to_string_lossy);
        let digest = match document.digest() {
            Ok(digest) => digest,
            Err(error) => {
                ending = Ending::Partly;
                if status.json {
                    out.json(&json!({ "file": file, "error": sentence(&error) }))?;
                }
                say(sentence(&error));
                continue;
            }
        };
        let proof = match client.proof(digest).await {
            Err(ClientError::Problem(problem)) if problem.code == "proof_erased" => {
                ending = Ending::Partly;
                if status.json {
                    out.json(&json!({ "digest": digest, "status": "erased", "file": file }))?;
                } else {
                    let name = file.map(|name| format!("  {}", printable(&name))).unwrap_or_default();
                    out.line(format_args!("erased    {digest}{name}"))?;
                }
                out.flush()?;
                continue;
            }
            proof => proof?,
        };
        if proof.is_none() {
            ending = Ending::Partly;
        }
        if status.json {
            let mut value = match &proof {
                Some(proof) => serde_json::to_value(proof)?,
                None => json!({ "digest": digest, "status": "unknown" }),
            };
            value["file"] = file.into();
            out.json(&value)?;
        } else {
            let word = proof.as_ref().map_or("unknown", |proof| proof.status.as_str());
            let name = file.map(|name| format!("  {}", printable(&name))).unwrap_or_default();
            let promise = proof.as_ref().and_then(promise).unwrap_or_default();
            out.line(format_args!("{word:<8}  {digest}{name}{promise}"))?;
        }
        out.flush()?;
    }
    Ok(ending)
}

/// What is still to come, while the proof is not anchored.
fn promise(proof: &Proof) -> Option<String> {
    let by = proof.anchor_by().filter(|_| proof.status < super::client::Status::Anchored)?;
    Some(if proof.overdue() { format!("  OVERDUE since {by}") } else { format!("  to be anchored by {by}") })
}
