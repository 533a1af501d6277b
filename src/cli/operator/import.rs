//! `sceau account import`: moving in from a KageSecur system.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::Args;
use csv::{Position, StringRecord};
use sceau_verifier::Digest;

use super::super::output::{Out, say};
use super::account::{Settled, is_name};
use super::explained;
use super::identity::{is_empreinte, moment};
use crate::api::access::secret::Domain;
use crate::ledger::Ledger;
use crate::ledger::accounts::Role;
use crate::ledger::kagesecur::import::{DeclaredDocument, Imported, NewIdentity, Taken};
use crate::ports::{Entropy, SystemClock, SystemEntropy};

/// Bad lines named at most.
const NAMED: usize = 20;
/// Documents in one transaction.
const CHUNK: usize = 5_000;

const EXAMPLES: &str = "\
Two kinds of file, told apart by their first line (comma separated, UTF-8, RFC 4180):
  identifiant,empreinte[,gestionnaire]    accounts; gestionnaire is true or false
  identifiant,hash,fileName,date          documents registered there; date in RFC 3339

Import accounts first, then their documents.

Examples:
  sceau account import accounts.csv
  sceau account import documents.csv";

/// Move in accounts and documents from a KageSecur system
///
/// All lines are checked before anything is stored. Documents are accepted now, like any submission; the date of the
/// former system is kept beside them as declared by it: it proves nothing. Importing a file again changes nothing.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Import {
    /// The file
    csv: PathBuf,
}

/// A line that cannot be taken, and why.
type Bad = (u64, String);

pub(super) async fn run(command: Import, settled: &Settled, ledger: &Ledger, out: &mut Out) -> anyhow::Result<()> {
    let file = &command.csv;
    let bytes = std::fs::read(file).with_context(|| file.display().to_string())?;
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(&*bytes);
    let (mut lines, mut bad) = (Vec::new(), Vec::new());
    for record in reader.records() {
        match record {
            Ok(record) => lines.push((line(&bytes, record.position()), record)),
            Err(error) => {
                let csv::ErrorKind::Utf8 { pos, .. } = error.kind() else {
                    return Err(error).context(file.display().to_string());
                };
                bad.push((line(&bytes, pos.as_ref()), "not UTF-8".into()));
            }
        }
    }
    let mut lines = lines.into_iter();
    let header = lines.next().map(|(_, header)| header).unwrap_or_default();
    // Spreadsheets put a byte order mark in front.
    let names: Vec<&str> = header.iter().map(|name| name.trim_start_matches('\u{feff}')).collect();
    let lines: Vec<(u64, StringRecord)> = lines.collect();
    match names[..] {
        ["identifiant", "empreinte"] | ["identifiant", "empreinte", "gestionnaire"] => {
            accounts(file, names.len(), &lines, bad, settled, ledger, out).await
        }
        ["identifiant", "hash", "fileName", "date"] => {
            let deadline = settled.deadline()?;
            let ledger = ledger.clone().promising(move |moment| deadline.around(moment), Arc::new(SystemClock));
            documents(file, &lines, bad, &ledger, out).await
        }
        _ => bail!(
            "{}: the first line must be identifiant,empreinte[,gestionnaire] or identifiant,hash,fileName,date",
            file.display()
        ),
    }
}

/// The line a record begins on, from 1: empty lines in front of it are part of its position.
fn line(bytes: &[u8], position: Option<&Position>) -> u64 {
    let Some(position) = position else { return 0 };
    let rest = usize::try_from(position.byte()).ok().and_then(|at| bytes.get(at..)).unwrap_or_default();
    let empty = rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).filter(|byte| **byte == b'\n').count();
    position.line() + empty as u64
}

/// Nothing was stored: says which lines are in the way.
fn refused(file: &Path, mut bad: Vec<Bad>) -> anyhow::Error {
    bad.sort();
    for (number, why) in bad.iter().take(NAMED) {
        say(format_args!("{}: line {number}: {why}", file.display()));
    }
    let more = bad.len().saturating_sub(NAMED);
    let more = if more > 0 { format!(" ({more} more not shown)") } else { String::new() };
    anyhow::anyhow!("{}: {} bad lines{more}; nothing was imported", file.display(), bad.len())
}

async fn accounts(
    file: &Path,
    columns: usize,
    lines: &[(u64, StringRecord)],
    mut bad: Vec<Bad>,
    settled: &Settled,
    ledger: &Ledger,
    out: &mut Out,
) -> anyhow::Result<()> {
    let pepper = settled.pepper()?;
    let (mut wanted, mut numbers) = (Vec::new(), Vec::new());
    let (mut names, mut secrets) = (HashMap::new(), HashMap::new());
    for (line, record) in lines {
        match account(columns, record) {
            Err(why) => bad.push((*line, why)),
            Ok((name, empreinte, role)) => {
                if let Some(first) = names.insert(name.clone(), *line) {
                    bad.push((*line, format!("the identifiant stands on line {first} already")));
                }
                if let Some(first) = secrets.insert(empreinte.clone(), *line) {
                    bad.push((*line, format!("the empreinte stands on line {first} already")));
                }
                let empreinte_hash = pepper.keyed(Domain::Empreinte, empreinte.as_bytes());
                wanted.push(NewIdentity { identifiant: name, empreinte_hash, role });
                numbers.push(*line);
            }
        }
    }
    if !bad.is_empty() {
        return Err(refused(file, bad));
    }
    match ledger.import_identities(&wanted).await.map_err(explained)? {
        Ok(made) => {
            out.line(format_args!("{made} accounts made, {} were there already", wanted.len() as u64 - made))?;
            Ok(())
        }
        Err(taken) => {
            let why = |taken| match taken {
                Taken::Name => "an account of that name exists with another identity, or without one",
                Taken::Empreinte => "another account has this empreinte",
            };
            Err(refused(file, taken.into_iter().map(|(at, taken)| (numbers[at], why(taken).into())).collect()))
        }
    }
}

fn account(columns: usize, record: &StringRecord) -> Result<(String, String, Role), String> {
    let fields: Vec<&str> = record.iter().collect();
    if fields.len() != columns {
        return Err(format!("{} columns where {columns} belong", fields.len()));
    }
    if !is_name(fields[0]) {
        return Err("an identifiant has 1 to 100 characters, one of which can be seen, and none that controls a terminal".into());
    }
    if !is_empreinte(fields[1]) {
        return Err("an empreinte is 64 lower-case hex digits".into());
    }
    let role = match fields.get(2) {
        None | Some(&"false") => Role::Client,
        Some(&"true") => Role::Manager,
        Some(_) => return Err("gestionnaire is true or false".into()),
    };
    Ok((fields[0].into(), fields[1].into(), role))
}

async fn documents(
    file: &Path,
    lines: &[(u64, StringRecord)],
    mut bad: Vec<Bad>,
    ledger: &Ledger,
    out: &mut Out,
) -> anyhow::Result<()> {
    let names: HashSet<&str> = lines.iter().filter_map(|(_, record)| record.get(0)).filter(|name| !name.contains('\0')).collect();
    let names: Vec<String> = names.into_iter().map(str::to_owned).collect();
    let owners = ledger.accounts_of_identifiants(&names).await.map_err(explained)?;
    let now = ledger.now().await.map_err(explained)?;
    let (mut wanted, mut seen) = (Vec::new(), HashMap::new());
    for (line, record) in lines {
        let document = read(record).and_then(|(name, digest, file_name, declared_at)| {
            let account = match owners.get(name).map(Vec::as_slice) {
                Some([account]) => *account,
                Some(_) => return Err("several accounts have this identifiant".into()),
                None => return Err("no account has this identifiant: import accounts first".into()),
            };
            if declared_at > now {
                return Err("the date lies in the future".into());
            }
            if let Some(first) = seen.insert((account, digest), *line) {
                return Err(format!("the same document stands on line {first} already"));
            }
            Ok(DeclaredDocument { account, digest, file_name: file_name.into(), declared_at })
        });
        match document {
            Ok(document) => wanted.push(document),
            Err(why) => bad.push((*line, why)),
        }
    }
    if !bad.is_empty() {
        return Err(refused(file, bad));
    }
    let mut total = Imported::default();
    for (number, chunk) in wanted.chunks(CHUNK).enumerate() {
        let mut salts = vec![[0; 16]; chunk.len()];
        SystemEntropy.fill(salts.as_flattened_mut());
        let done = ledger.import_documents(chunk, &salts).await.map_err(explained).with_context(|| {
            format!("after {} of {} documents; import the file again: what is in stays", number * CHUNK, wanted.len())
        })?;
        total.accepted += done.accepted;
        total.known += done.known;
        total.other_date += done.other_date;
    }
    out.line(format_args!("{} documents accepted, {} were there already", total.accepted, total.known))?;
    if total.other_date > 0 {
        say(format_args!("{} were declared before with another date, which stays", total.other_date));
    }
    Ok(())
}

type Line<'a> = (&'a str, Digest, &'a str, time::OffsetDateTime);

fn read(record: &StringRecord) -> Result<Line<'_>, String> {
    let fields: Vec<&str> = record.iter().collect();
    let [name, hash, file_name, date] = fields[..] else { return Err(format!("{} columns where 4 belong", fields.len())) };
    if !is_empreinte(hash) {
        return Err("a hash is 64 lower-case hex digits".into());
    }
    let digest = hash.parse().map_err(|_| "a hash is 64 lower-case hex digits".to_owned())?;
    if !(1..=255).contains(&file_name.chars().count()) || file_name.contains('\0') {
        return Err("a fileName has 1 to 255 characters, and no U+0000".into());
    }
    Ok((name, digest, file_name, moment(date)?))
}
