//! `sceau list`: the account's proofs.

use clap::{Args, ValueEnum};

use crate::cli::access::Connection;
use crate::cli::client::Listed;
use crate::cli::output::{Ending, Out, printable};

const EXAMPLES: &str = "\
Examples:
  sceau list
  sceau list --status pending --label 2026
  sceau list --from 2026-11-01T00:00:00Z --name bail --json";

/// List proofs, oldest first
///
/// Prints one line a proof: its number, status, when it was accepted, digest, and name. With several filters a proof must
/// meet all of them. Documents that wait for validators are no proofs yet.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct List {
    /// Only those that are this far
    #[arg(long, value_name = "STATUS")]
    status: Option<Stage>,

    /// Only those with this label
    #[arg(short, long, value_name = "TEXT")]
    label: Option<String>,

    /// Only those whose file name holds this text, in any case
    #[arg(short, long, value_name = "TEXT")]
    name: Option<String>,

    /// Only those received at this moment or later (RFC 3339)
    #[arg(long, value_name = "TIME")]
    from: Option<String>,

    /// Only those received before this moment (RFC 3339)
    #[arg(long, value_name = "TIME")]
    to: Option<String>,

    /// Only those of this batch
    #[arg(long, value_name = "NUMBER")]
    batch: Option<u64>,

    /// Only those behind this number
    #[arg(long, value_name = "NUMBER", default_value_t = 0, hide_default_value = true)]
    after: u64,

    /// No more than so many
    #[arg(long, value_name = "COUNT")]
    limit: Option<u64>,

    /// Print one JSON object a proof: the API's answer
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Stage {
    Pending,
    Sealed,
    Anchored,
    Final,
}

impl Stage {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Sealed => "sealed",
            Self::Anchored => "anchored",
            Self::Final => "final",
        }
    }
}

/// Runs `sceau list`.
///
/// # Errors
/// When the API cannot be asked, or does not take a filter.
pub async fn list(list: List, out: &mut Out) -> anyhow::Result<Ending> {
    let client = list.connection.client()?;
    let filters: Vec<(&str, String)> = [
        ("status", list.status.map(|status| status.as_str().to_owned())),
        ("label", list.label),
        ("file_name", list.name),
        ("received_from", list.from),
        ("received_to", list.to),
        ("batch", list.batch.map(|batch| batch.to_string())),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name, value?)))
    .collect();
    let (mut after, mut left) = (list.after, list.limit.unwrap_or(u64::MAX));
    while out.open() && left > 0 {
        let page = client.list(&filters, after).await?;
        for proof in page.proofs.iter().take(usize::try_from(left).unwrap_or(usize::MAX)) {
            left -= 1;
            if list.json { out.json(proof)? } else { out.line(row(proof))? }
        }
        out.flush()?;
        match page.next {
            // A page that does not go on would be asked for for ever.
            Some(next) if next > after => after = next,
            _ => break,
        }
    }
    Ok(Ending::Done)
}

fn row(proof: &Listed) -> String {
    let text = |name: &str| proof.rest.get(name).and_then(|value| value.as_str());
    let said = match text("erased_at") {
        Some(erased_at) => format!("erased {erased_at}"),
        None => text("file_name").or_else(|| text("reference")).unwrap_or_default().to_owned(),
    };
    // Whole seconds are enough for people.
    let received = proof.received_at.split('.').next().unwrap_or_default().trim_end_matches('Z');
    let line = format!("{:>8}  {:<8}  {received}Z  {}  {}", proof.number, proof.status.as_str(), proof.digest, printable(&said));
    printable(line.trim_end())
}
