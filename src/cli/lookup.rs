//! `sceau status` and `sceau receipt`: what became of documents submitted earlier.

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use serde_json::json;

use super::access::Connection;
use super::client::{Proof, Receipt};
use super::document::Document;
use super::output::{Ending, Out, printable, say, sentence};

const STATUS_EXAMPLES: &str = "\
Examples:
  sceau status contract.pdf
  sceau status --json ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

/// Show how far proofs are
///
/// Files are hashed here and never leave this machine; a digest is 64 hex digits. Prints one line a document: status,
/// digest, name, and by when it is promised to be anchored. The exit status is 1 when one of them was never submitted.
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
        let proof = client.proof(digest).await?;
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

/// Runs `sceau receipt`.
///
/// # Errors
/// When there is no receipt, or it cannot be written.
pub async fn receipt(receipt: GetReceipt, out: &mut Out) -> anyhow::Result<Ending> {
    let target = receipt.output.unwrap_or_else(|| default_name(&receipt.document));
    let to_stdout = target.as_os_str() == "-";
    if !to_stdout && !receipt.force && target.symlink_metadata().is_ok() {
        anyhow::bail!("{}", exists(&target));
    }
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
    if to_stdout {
        out.bytes(&bytes)?;
        out.flush()?;
    } else {
        write(&target, &bytes, receipt.force)?;
        say(format_args!("wrote {}", target.display()));
    }
    Ok(Ending::Done)
}

fn default_name(document: &Document) -> PathBuf {
    let mut name = match document {
        Document::File(path) => path.clone().into_os_string(),
        Document::Digest(digest) => OsString::from(digest.to_string()),
    };
    name.push(".sceau.json");
    name.into()
}

fn exists(target: &Path) -> String {
    format!("{} exists already: give --force to overwrite it, or another name with -o", target.display())
}

/// Writes all or nothing: what stood there is replaced only by a whole receipt.
fn write(target: &Path, bytes: &[u8], force: bool) -> anyhow::Result<()> {
    let named = || format!("writing {}", target.display());
    let mut draft = target.as_os_str().to_owned();
    if force {
        draft.push(format!(".{}.part", std::process::id()));
    }
    let draft = PathBuf::from(draft);
    let mut file = match OpenOptions::new().write(true).create_new(true).open(&draft) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => anyhow::bail!("{}", exists(&draft)),
        opened => opened.with_context(named)?,
    };
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    let written = written.and_then(|()| if force { fs::rename(&draft, target) } else { Ok(()) });
    written.inspect_err(|_| _ = fs::remove_file(&draft)).with_context(named)
}
