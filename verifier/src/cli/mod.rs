//! The command `sceau-verify`.

mod args;
mod print;

use std::fs::File;
use std::io::{self, Read, Write};

use args::{Args, Request, Source};

use crate::verdict::Verdict;
use crate::verify::{self, Report, Trust};
use crate::{Digest, certificate, receipt};

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
        Ok(answer) => {
            let report = &answer.report;
            let text = print::report(&args, &answer);
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

/// What was read and what became of it.
struct Answer {
    document: Digest,
    receipt: Option<receipt::Receipt>,
    /// The receipt was inside a certificate.
    in_pdf: bool,
    report: Report,
}

fn answer(args: &Args) -> Result<Answer, String> {
    let bytes = with_input(&args.receipt, &|reader| {
        let mut bytes = Vec::new();
        // One byte over the limit is enough to refuse the rest unread.
        reader.take(receipt::MAX_BYTES as u64 + 1).read_to_end(&mut bytes)?;
        if certificate::is_pdf(&bytes) {
            let more = (certificate::MAX_PDF_BYTES + 1).saturating_sub(bytes.len());
            reader.take(more as u64).read_to_end(&mut bytes)?;
        }
        Ok(bytes)
    })?;
    let in_pdf = certificate::is_pdf(&bytes);
    let receipt =
        if in_pdf { certificate::receipt(&bytes).map_err(|error| format!("{}: {error}", args.receipt))? } else { &bytes };
    let document = match &args.document {
        Source::Digest(digest) => *digest,
        Source::File(name) => with_input(name, &|reader| Digest::of_reader(reader))?,
    };
    Ok(match receipt::parse(receipt) {
        Ok(receipt) => Answer { document, report: check(args, &document, &receipt), receipt: Some(receipt), in_pdf },
        Err(failure) => Answer { document, report: failure.into(), receipt: None, in_pdf },
    })
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
