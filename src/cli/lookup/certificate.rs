//! `sceau certificate`.

use std::path::PathBuf;

use clap::Args;

use super::save::Target;
use crate::certificate::Language;
use crate::cli::access::Connection;
use crate::cli::document::Document;
use crate::cli::output::{Ending, Out};

const EXAMPLES: &str = "\
Examples:
  sceau certificate contract.pdf
  sceau certificate --lang en -o certificate.pdf contract.pdf

Anybody can check it without this service: sceau-verify contract.pdf contract.pdf.certificate.pdf";

/// Save the certificate of a document
///
/// A PDF for people, with the receipt inside. It can be had at any time: until the anchor is final it says in large
/// letters that it is provisional. Refuses to overwrite a file.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct GetCertificate {
    /// The file, or its digest
    #[arg(value_name = "FILE|DIGEST")]
    document: Document,

    /// Where to write; - is standard output [default: FILE.certificate.pdf beside the file]
    #[arg(short, long, value_name = "OUT")]
    output: Option<PathBuf>,

    /// fr or en
    #[arg(long, value_name = "LANG", default_value = "fr")]
    lang: Language,

    /// Overwrite OUT
    #[arg(short, long)]
    force: bool,

    #[command(flatten)]
    connection: Connection,
}

/// Runs `sceau certificate`.
///
/// # Errors
/// When there is none, or it cannot be written.
pub async fn certificate(command: GetCertificate, out: &mut Out) -> anyhow::Result<Ending> {
    let target = Target::of(command.output, &command.document, ".certificate.pdf", command.force)?;
    let client = command.connection.client()?;
    let digest = command.document.digest()?;
    let bytes = client.certificate(digest, command.lang).await?;
    target.save(&bytes, out)?;
    Ok(Ending::Done)
}
