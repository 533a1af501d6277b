//! `sceau account identity`, `client` and `subscription`: what the KageSecur dialect needs to know of accounts.

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use secrecy::{ExposeSecret, SecretString};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::super::output::{Out, printable};
use super::account::Settled;
use super::explained;
use crate::api::access::secret::{Domain, empreinte};
use crate::ledger::{Ledger, LedgerError};

const IDENTITY_EXAMPLES: &str = "\
Examples:
  sceau account identity acme --clef-file clef
  sceau account identity acme --identifiant 'Acme SA' --clef-file - < clef
  sceau account identity acme --empreinte-file empreinte";

/// Let an account speak the KageSecur dialect, or change with what it logs in
///
/// The empreinte is SHA-256 of identifiant and clef. Only a keyed hash of it is stored; the one before opens nothing any
/// more. Works beside a running service.
#[derive(Debug, Args)]
#[command(after_help = IDENTITY_EXAMPLES)]
pub(super) struct Identity {
    /// Name of the account
    account: String,

    /// Its name in the dialect [default: the account's name]
    #[arg(long, value_name = "TEXT")]
    identifiant: Option<String>,

    /// File that holds the clef; - reads standard input. One line feed at its end is not part of it
    #[arg(long, value_name = "FILE", required_unless_present = "empreinte_file", conflicts_with = "empreinte_file")]
    clef_file: Option<PathBuf>,

    /// File that holds the empreinte instead: 64 lower-case hex digits; - reads standard input
    #[arg(long, value_name = "FILE")]
    empreinte_file: Option<PathBuf>,
}

/// Say for whom a manager may register and ask in the KageSecur dialect
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  sceau account client notary acme\n  sceau account client notary acme --remove")]
pub(super) struct Client {
    /// Name of the manager's account
    manager: String,

    /// Name of its client's account
    client: String,

    /// The manager also administers the client's account over the core API
    #[arg(long, conflicts_with = "remove")]
    administers: bool,

    /// Take it back; what was registered stays
    #[arg(long)]
    remove: bool,
}

/// Say until when an account may submit
///
/// It holds for all dialects. Reading and verifying go on after it.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  sceau account subscription acme --until 2027-12-31T23:59:59Z\n  sceau account subscription acme --unlimited"
)]
pub(super) struct Subscription {
    /// Name of the account
    account: String,

    /// The moment it ends, RFC 3339
    #[arg(long, value_name = "TIME", value_parser = moment, required_unless_present = "unlimited", conflicts_with = "unlimited")]
    until: Option<OffsetDateTime>,

    /// Without end, as a new account is
    #[arg(long)]
    unlimited: bool,
}

pub(super) fn moment(text: &str) -> Result<OffsetDateTime, String> {
    OffsetDateTime::parse(text, &Rfc3339).map_err(|_| "a moment looks like 2027-12-31T23:59:59Z".into())
}

pub(super) async fn identity(command: Identity, settled: &Settled, ledger: &Ledger, out: &mut Out) -> anyhow::Result<()> {
    let identifiant = command.identifiant.as_deref().unwrap_or(&command.account);
    anyhow::ensure!(is_identifiant(identifiant), "an identifiant has 1 to 255 characters, and none that controls a terminal");
    let pepper = settled.pepper()?;
    let secret: SecretString = match (&command.empreinte_file, &command.clef_file) {
        (Some(file), _) => {
            let text = read(file)?;
            let text = text.expose_secret().trim();
            anyhow::ensure!(is_empreinte(text), "{}: an empreinte is 64 lower-case hex digits", file.display());
            text.into()
        }
        (None, Some(file)) => {
            let text = read(file)?;
            let clef = text.expose_secret();
            let clef = clef.strip_suffix('\n').map_or(clef, |line| line.strip_suffix('\r').unwrap_or(line));
            anyhow::ensure!(!clef.is_empty(), "{}: the clef is empty", file.display());
            empreinte(identifiant, clef).into()
        }
        (None, None) => return Err(super::super::output::usage("give --clef-file or --empreinte-file")),
    };
    let hash = pepper.keyed(Domain::Empreinte, secret.expose_secret().as_bytes());
    // A busy service may hold it off for a moment.
    let mut tries = 5;
    let done = loop {
        match ledger.set_identity(&command.account, identifiant, &hash).await {
            Err(error) if error.is_transient() && tries > 0 => tries -= 1,
            done => break done,
        }
    };
    done.map_err(|error| match error {
        LedgerError::Moved { what } if what.starts_with("empreinte") => {
            anyhow::anyhow!("another account has this empreinte; choose another clef")
        }
        LedgerError::Moved { .. } => {
            anyhow::anyhow!("there is no active account named {}; see `sceau account list`", command.account)
        }
        error => explained(error),
    })?;
    out.line(format_args!("{} logs in as {}", printable(&command.account), printable(identifiant)))?;
    Ok(())
}

pub(super) async fn client(command: Client, ledger: &Ledger, out: &mut Out) -> anyhow::Result<()> {
    let Client { manager, client, administers, remove } = command;
    let done = match remove {
        true => ledger.remove_client(&manager, &client).await,
        false => match ledger.add_client(&manager, &client).await {
            Ok(()) => ledger.let_administer(&manager, &client, administers).await,
            error => error,
        },
    };
    done.map_err(|error| match error {
        LedgerError::Moved { .. } if remove => anyhow::anyhow!("{client} is no client of {manager}"),
        LedgerError::Moved { .. } => {
            anyhow::anyhow!("there is no manager named {manager}, or no other account named {client}; see `sceau account list`")
        }
        error => explained(error),
    })?;
    let does = if remove { "no longer acts" } else { "acts" };
    out.line(format_args!("{} {does} for {}", printable(&manager), printable(&client)))?;
    Ok(())
}

pub(super) async fn subscription(command: Subscription, ledger: &Ledger, out: &mut Out) -> anyhow::Result<()> {
    ledger.set_subscription(&command.account, command.until).await.map_err(|error| match error {
        LedgerError::Moved { .. } => anyhow::anyhow!("there is no account named {}; see `sceau account list`", command.account),
        error => explained(error),
    })?;
    let until = command.until.and_then(|until| until.format(&Rfc3339).ok());
    let until = until.map_or_else(|| "without end".into(), |until| format!("until {until}"));
    out.line(format_args!("{} may submit {until}", printable(&command.account)))?;
    Ok(())
}

/// Whether the dialect may show this name.
pub(super) fn is_identifiant(text: &str) -> bool {
    (1..=255).contains(&text.chars().count()) && !text.contains(char::is_control)
}

/// 64 lower-case hex digits.
pub(super) fn is_empreinte(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// A secret from a file or standard input, never from an argument, which other users see.
fn read(file: &Path) -> anyhow::Result<SecretString> {
    let mut text = String::new();
    if file == Path::new("-") {
        std::io::stdin().read_to_string(&mut text).context("standard input")?;
    } else {
        text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
    }
    Ok(text.into())
}
