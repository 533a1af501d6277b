//! The command `sceau-verify`.

mod args;
mod many;
mod print;
mod promise;

use std::fs::File;
use std::io::{self, Read, Write};

use args::{Args, Look, Request, Source};

use crate::verdict::Verdict;
use crate::verify::{self, Passed, Report, Trust};
use crate::{Digest, certificate, receipt};

const USAGE_STATUS: u8 = 2;

/// Runs the command on the arguments after its name and returns the exit status. A reader of `out` or `err` that went
/// away changes nothing about the status.
pub fn run(arguments: impl Iterator<Item = String>, out: &mut dyn Write, err: &mut dyn Write) -> u8 {
    let answered = match args::parse(arguments) {
        Ok(Request::Verify(args)) => answer(&args).map(|answer| (print::report(&args, &answer), answer.report.verdict)),
        Ok(Request::Promise(args)) => {
            promise::answer(&args).map(|answer| (promise::print(&args, &answer), answer.judgement.verdict))
        }
        Ok(Request::Many(args)) => return many::run(&args, out, err),
        Ok(Request::Help) => return say(out, args::HELP),
        Ok(Request::Version) => return say(out, concat!("sceau-verify ", env!("CARGO_PKG_VERSION"), "\n")),
        Err(message) => {
            let _ = writeln!(err, "sceau-verify: {message}\nTry: sceau-verify --help");
            return USAGE_STATUS;
        }
    };
    match answered {
        Ok((text, verdict)) => {
            let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
            verdict.exit_status()
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

/// The bytes of a receipt, and whether they were inside a certificate.
fn receipt_bytes(name: &str) -> Result<(Vec<u8>, bool), String> {
    let bytes = with_input(name, &|reader| {
        let mut bytes = Vec::new();
        // One byte over the limit is enough to refuse the rest unread.
        reader.take(receipt::MAX_BYTES as u64 + 1).read_to_end(&mut bytes)?;
        if certificate::is_pdf(&bytes) {
            let more = (certificate::MAX_PDF_BYTES + 1).saturating_sub(bytes.len());
            reader.take(more as u64).read_to_end(&mut bytes)?;
        }
        Ok(bytes)
    })?;
    if !certificate::is_pdf(&bytes) {
        return Ok((bytes, false));
    }
    certificate::receipt(&bytes).map(|receipt| (receipt.to_vec(), true)).map_err(|error| format!("{name}: {error}"))
}

fn answer(args: &Args) -> Result<Answer, String> {
    let (receipt, in_pdf) = receipt_bytes(&args.receipt)?;
    let document = match &args.document {
        Source::Digest(digest) => *digest,
        Source::File(name) => with_input(name, &|reader| Digest::of_reader(reader))?,
    };
    Ok(match receipt::parse(&receipt) {
        Ok(receipt) => Answer { document, report: check(&args.look, &document, &receipt), receipt: Some(receipt), in_pdf },
        Err(failure) => Answer { document, report: failure.into(), receipt: None, in_pdf },
    })
}

fn check(look: &Look, document: &Digest, receipt: &receipt::Receipt) -> Report {
    Judge::of(look, None).verify(document, receipt)
}

/// What receipts are held against, and the node that is asked, if one is.
struct Judge<'a> {
    look: &'a Look,
    passed: Option<Passed>,
    #[cfg(feature = "rpc")]
    node: Option<crate::rpc::Node>,
}

impl<'a> Judge<'a> {
    fn of(look: &'a Look, passed: Option<Passed>) -> Self {
        Self {
            look,
            passed,
            #[cfg(feature = "rpc")]
            node: look.rpc.as_deref().map(crate::rpc::Node::new),
        }
    }

    fn verify(&self, document: &Digest, receipt: &receipt::Receipt) -> Report {
        let trust = &self.look.trust;
        #[cfg(feature = "rpc")]
        if let Some(node) = &self.node {
            return crate::rpc::verify(document, receipt, trust, node, self.look.finality());
        }
        verify::verify_among(document, receipt, trust, self.passed.as_ref())
    }
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
