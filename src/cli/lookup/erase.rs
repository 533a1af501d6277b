//! `sceau erase`: salt and details of final proofs.

use std::io::{IsTerminal, Write, stderr, stdin};
use std::path::Path;

use clap::Args;

use crate::cli::access::Connection;
use crate::cli::client::ClientError;
use crate::cli::document::Document;
use crate::cli::output::{Ending, Out, printable, say, usage};

const EXAMPLES: &str = "\
Examples:
  sceau erase contract.pdf
  sceau erase --yes ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

/// Erase what is kept about final proofs, for good
///
/// File name, reference, labels, metadata and salt are erased. Without the salt nobody can show any more that the document
/// is in the tree, unless the receipt was saved before. Other proofs stay as they are. Asks before it does anything.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Erase {
    /// Files or digests
    #[arg(required = true, value_name = "FILE|DIGEST")]
    documents: Vec<Document>,

    /// Do not ask
    #[arg(short, long)]
    yes: bool,

    /// Print one JSON object a proof: the API's answer
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    connection: Connection,
}

/// Runs `sceau erase`.
///
/// # Errors
/// When nobody confirms, or the API cannot be asked.
pub async fn erase(erase: Erase, out: &mut Out) -> anyhow::Result<Ending> {
    let mut digests = Vec::new();
    for document in &erase.documents {
        digests.push((document.digest()?, document.file().map(Path::to_string_lossy)));
    }
    if !erase.yes {
        confirm(digests.len())?;
    }
    let client = erase.connection.client()?;
    let mut ending = Ending::Done;
    for (digest, file) in digests {
        match client.erase(digest).await {
            Ok(erased) if erase.json => out.json(&erased)?,
            Ok(erased) => {
                let name = file.map(|name| format!("  {}", printable(&name))).unwrap_or_default();
                out.line(format_args!("erased  {digest}{name}  {}", printable(&erased.erased_at)))?;
            }
            // About this proof alone; the others are not to wait for it.
            Err(ClientError::Problem(problem))
                if matches!(&*problem.code, "proof_unknown" | "erasure_too_early" | "decision_kept") =>
            {
                say(format_args!("{digest}: {problem}"));
                ending = Ending::Partly;
            }
            Err(error) => return Err(error.into()),
        }
        out.flush()?;
    }
    Ok(ending)
}

fn confirm(count: usize) -> anyhow::Result<()> {
    if !stdin().is_terminal() {
        return Err(usage("erasing cannot be taken back: say --yes where nobody can be asked"));
    }
    let proofs = if count == 1 { "1 proof".into() } else { format!("{count} proofs") };
    write!(stderr(), "sceau: erase salt and details of {proofs} for good? Type \"erase\": ")?;
    let mut line = String::new();
    stdin().read_line(&mut line)?;
    anyhow::ensure!(line.trim() == "erase", "nothing was erased");
    Ok(())
}
