//! Arguments of `sceau-verify`.

use crate::verify::Trust;
use crate::{Digest, digest};

pub const HELP: &str = "\
Checks a Sceau receipt: did this document exist before that block?

Usage: sceau-verify FILE RECEIPT [options]
       sceau-verify --digest HEX RECEIPT [options]
       sceau-verify --promise PROMISE --keys KEYS [FILE] [--receipt RECEIPT] [options]
       sceau-verify --many RECEIPTS… (--digests LIST | --any-document) [options]

FILE is the document, RECEIPT its receipt, or the certificate (PDF) that holds it; - reads standard input.

What you trust (nothing in a receipt can replace it):
  --block-hash 0x…    a block you know to be on the chain; may be repeated
  --rpc URL           your own node: http://… or https://…
  --confirmations N   with --rpc: final is N blocks deep, for chains without the tag `finalized`
  --registry 0x…      the operator's registry; without it the receipt names its own
  --chain eip155:N    the chain that counts; without it the receipt names its own

Did the operator promise to anchor it, and was that kept?
  --promise PROMISE   the signed promise, or the whole answer to a submission that holds it
  --keys KEYS         the operator's public keys, as /.well-known/jwks.json gave them: keep a copy
  --receipt RECEIPT   judges whether the promise was kept

Many receipts, on all cores: a folder of *.json, *.jsonl and *.certificate.pdf, or a file with one receipt a line
  --many              prints a line for each receipt that is not verified, then how many are what
  --digests LIST      each receipt must be about one of these documents: SHA-256 a line, as sha256sum prints them;
                      those without a receipt are named
  --any-document      takes each receipt's word for which document it is about: no document is checked

  --digest HEX        the document's SHA-256 instead of FILE
  --json              one JSON object instead of text
  --help, --version

Exit status: 0 verified, 1 invalid, 2 usage or unreadable file, 3 not yet, 4 cannot tell; of many the first that applies of 1, 2, 4, 3
";

/// Where the document's digest comes from.
#[derive(Debug)]
pub enum Source {
    Digest(Digest),
    File(String),
}

/// What a receipt is held against.
#[derive(Debug, Default)]
pub struct Look {
    pub trust: Trust,
    pub rpc: Option<String>,
    pub confirmations: Option<u64>,
}

#[derive(Debug)]
pub struct Args {
    pub document: Source,
    pub receipt: String,
    pub look: Look,
    pub json: bool,
}

#[derive(Debug)]
pub struct PromiseArgs {
    pub promise: String,
    pub keys: String,
    pub document: Option<Source>,
    pub receipt: Option<String>,
    pub look: Look,
    pub json: bool,
}

/// Which documents many receipts may be about.
#[derive(Debug)]
pub enum Documents {
    /// Those of a list, by its name.
    List(String),
    /// Whatever they say.
    Any,
}

#[derive(Debug)]
pub struct ManyArgs {
    pub receipts: Vec<String>,
    pub documents: Documents,
    pub look: Look,
    pub json: bool,
}

impl Look {
    #[cfg(feature = "rpc")]
    pub fn finality(&self) -> crate::rpc::Finality {
        self.confirmations.map_or(crate::rpc::Finality::Tag, crate::rpc::Finality::Confirmations)
    }
}

pub enum Request {
    Verify(Args),
    Promise(PromiseArgs),
    Many(ManyArgs),
    Help,
    Version,
}

/// Reads the arguments after the command's name. Hex may be given in either case, and a digest with or without `0x`:
/// it is the auditor's own input, not the receipt's.
pub fn parse(arguments: impl Iterator<Item = String>) -> Result<Request, String> {
    let mut arguments = arguments;
    let mut positional = Vec::new();
    let (mut document, mut rpc, mut confirmations, mut json) = (None, None, None, false);
    let (mut promise, mut keys, mut with_receipt) = (None, None, None);
    let (mut many, mut digests, mut any_document) = (false, None, false);
    let mut trust = Trust::default();
    while let Some(argument) = arguments.next() {
        let (name, inline) = match argument.split_once('=') {
            Some((name, value)) if name.starts_with("--") => (name.to_owned(), Some(value.to_owned())),
            _ => (argument, None),
        };
        let mut value = || inline.clone().or_else(|| arguments.next()).ok_or(format!("{name} needs a value"));
        match name.as_str() {
            "--help" | "-h" => return Ok(Request::Help),
            "--version" | "-V" => return Ok(Request::Version),
            "--json" if inline.is_none() => json = true,
            "--many" if inline.is_none() => many = true,
            "--any-document" if inline.is_none() => any_document = true,
            "--digests" => once(&name, &mut digests, value()?)?,
            "--block-hash" => {
                trust.block_hashes.insert(hex(&name, &value()?)?);
            }
            "--registry" => once(&name, &mut trust.registry, hex(&name, &value()?)?)?,
            "--chain" => {
                let chain = value()?.parse().map_err(|error| format!("--chain: {error}"))?;
                once(&name, &mut trust.chain, chain)?;
            }
            "--digest" => {
                let text = value()?.to_ascii_lowercase();
                let digest = text.strip_prefix("0x").unwrap_or(&text).parse();
                let digest = digest.map_err(|error: digest::HexError| format!("--digest: {error}"))?;
                once(&name, &mut document, digest)?;
            }
            "--promise" => once(&name, &mut promise, value()?)?,
            "--keys" => once(&name, &mut keys, value()?)?,
            "--receipt" => once(&name, &mut with_receipt, value()?)?,
            "--rpc" => {
                let url = value()?;
                if !url.starts_with("http://") && !url.starts_with("https://") {
                    return Err("--rpc: not an address that starts with http:// or https://".into());
                }
                once(&name, &mut rpc, url)?;
            }
            "--confirmations" => {
                let number = value()?.parse().ok().filter(|number| *number > 0);
                once(&name, &mut confirmations, number.ok_or("--confirmations: not a number of blocks from 1")?)?;
            }
            "--" => {
                positional.extend(arguments.by_ref());
            }
            option if option.starts_with('-') && option != "-" => return Err(format!("unknown option {option}")),
            _ => positional.push(match inline {
                Some(value) => format!("{name}={value}"),
                None => name,
            }),
        }
    }
    if confirmations.is_some() && rpc.is_none() {
        return Err("--confirmations needs --rpc".into());
    }
    if rpc.is_some() && !cfg!(feature = "rpc") {
        return Err("this build cannot ask a node: use --block-hash".into());
    }
    let look = Look { trust, rpc, confirmations };
    if many {
        if promise.is_some() || keys.is_some() || with_receipt.is_some() || document.is_some() {
            return Err("--many goes with RECEIPTS, and --digests or --any-document".into());
        }
        let documents = match (digests, any_document) {
            (Some(list), false) => Documents::List(list),
            (None, true) => Documents::Any,
            (None, false) => return Err("--many needs --digests LIST, or --any-document to check no document".into()),
            (Some(_), true) => return Err("--digests and --any-document exclude each other".into()),
        };
        if positional.is_empty() {
            return Err("--many needs RECEIPTS: folders, or files with a receipt a line".into());
        }
        let list = if let Documents::List(name) = &documents { Some(name) } else { None };
        if positional.iter().chain(list).filter(|name| *name == "-").count() > 1 {
            return Err("only one file can be standard input".into());
        }
        return Ok(Request::Many(ManyArgs { receipts: positional, documents, look, json }));
    }
    if digests.is_some() || any_document {
        return Err("--digests and --any-document go with --many".into());
    }
    if let Some(promise) = promise {
        let keys = keys.ok_or("--promise needs --keys")?;
        let document = match (document, <[String; 1]>::try_from(positional)) {
            (Some(digest), Err(rest)) if rest.is_empty() => Some(Source::Digest(digest)),
            (None, Ok([file])) => Some(Source::File(file)),
            (None, Err(rest)) if rest.is_empty() => None,
            (Some(_), _) => return Err("--digest stands in for FILE: give no FILE".into()),
            (None, Err(_)) => return Err("with --promise give FILE alone: a receipt is named by --receipt".into()),
        };
        let file = document.as_ref().and_then(|document| match document {
            Source::File(name) => Some(name),
            Source::Digest(_) => None,
        });
        if [file, Some(&promise), Some(&keys), with_receipt.as_ref()].iter().flatten().filter(|name| **name == "-").count() > 1 {
            return Err("only one file can be standard input".into());
        }
        return Ok(Request::Promise(PromiseArgs { promise, keys, document, receipt: with_receipt, look, json }));
    }
    if keys.is_some() || with_receipt.is_some() {
        return Err("--keys and --receipt go with --promise".into());
    }
    let (document, receipt) = match (document, <[String; 2]>::try_from(positional)) {
        (None, Ok([file, receipt])) if file == "-" && receipt == "-" => {
            return Err("FILE and RECEIPT cannot both be standard input".into());
        }
        (None, Ok([file, receipt])) => (Source::File(file), receipt),
        (Some(digest), Err(mut rest)) if rest.len() == 1 => (Source::Digest(digest), rest.remove(0)),
        (Some(_), _) => return Err("--digest stands in for FILE: give RECEIPT alone".into()),
        (None, Err(_)) => return Err("give FILE and RECEIPT".into()),
    };
    Ok(Request::Verify(Args { document, receipt, look, json }))
}

fn hex<T: std::str::FromStr<Err = digest::HexError>>(name: &str, text: &str) -> Result<T, String> {
    text.to_ascii_lowercase().parse().map_err(|error| format!("{name}: {error}"))
}

/// A setting given twice is a mistake, not a choice.
fn once<T>(name: &str, slot: &mut Option<T>, value: T) -> Result<(), String> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(format!("{name} is given twice")),
    }
}
