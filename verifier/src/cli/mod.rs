//! The command `sceau-verify`.

mod args;
mod print;

use std::fs::File;
use std::io::{self, Read, Write};

use args::{Args, Request, Source};

use crate::verdict::Verdict;
use crate::verify::{self, Report, Trust};
use crate::{Digest, receipt};

const USAGE_STATUS: u8 = 2;

/// Runs the command on the arguments after its name and returns the exit status. A reader of `out` or `err` that went
/// away changes nothing about the status.
pub fn run(arguments: impl Iterator<Item = String>, out: &mut dyn Write, err: &mut dyn Write) -> u8 {
    let args = match args::parse(arguments) {
        Ok(Request::Verify(args)) => args,
        Ok(Request::Help) => return say(out, args::HELP),
        Ok(Request::Version) => return say(out, concat!("sceau-verify ", env!("CARGO_PKG_VERSION"), "\n")),
        Err(message) => {
            let _ = writeln!(err, "sceau-verify: {message}\nTry: sceau-verify --help");
            return USAGE_STATUS;
        }
    };
    match answer(&args) {
        Ok((document, receipt, report)) => {
            let text = print::report(&args, &document, receipt.as_ref(), &report);
            let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
            report.verdict.exit_status()
        }
        Err(message) => {
            let _ = writeln!(err, "sceau-verify: {message}");
            USAGE_STATUS
        }
    }
}

fn say(out: &mut dyn Write, text: &str) -> u8 {
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    Verdict::Verified.exit_status()
}

fn answer(args: &Args) -> Result<(Digest, Option<receipt::Receipt>, Report), String> {
    let bytes = with_input(&args.receipt, &|reader| {
        let mut bytes = Vec::new();
        // One byte over the limit is enough to refuse the rest unread.
        reader.take(receipt::MAX_BYTES as u64 + 1).read_to_end(&mut bytes).map(|_| bytes)
    })?;
    let document = match &args.document {
        Source::Digest(digest) => *digest,
        Source::File(name) => with_input(name, &|reader| Digest::of_reader(reader))?,
    };
    match receipt::parse(&bytes) {
        Ok(receipt) => {
            let report = check(args, &document, &receipt);
            Ok((document, Some(receipt), report))
        }
        Err(failure) => Ok((document, None, failure.into())),
    }
}

#[cfg(feature = "rpc")]
fn check(args: &Args, document: &Digest, receipt: &receipt::Receipt) -> Report {
    use crate::rpc;
    match &args.rpc {
        Some(url) => rpc::verify(document, receipt, &args.trust, &rpc::Node::new(url), args.finality()),
        None => verify::verify(document, receipt, &args.trust),
    }
}

#[cfg(not(feature = "rpc"))]
fn check(args: &Args, document: &Digest, receipt: &receipt::Receipt) -> Report {
    verify::verify(document, receipt, &args.trust)
}

fn with_input<T>(name: &str, read: &dyn Fn(&mut dyn Read) -> io::Result<T>) -> Result<T, String> {
    let result = match name {
        "-" => read(&mut io::stdin().lock()),
        name => File::open(name).and_then(|mut file| read(&mut file)),
    };
    result.map_err(|error| format!("cannot read {name}: {error}"))
}

/// Whether a setting came from the auditor.
const fn pinned(trust: &Trust) -> (bool, bool) {
    (trust.registry.is_some(), trust.chain.is_some())
}
