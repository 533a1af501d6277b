//! What `sceau-verify --many` prints.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{self, Write};

use serde_json::json;

use super::super::args::{Documents, ManyArgs};
use super::super::print::{decisive, tame};
use super::super::{USAGE_STATUS, pinned};
use super::list::List;
use crate::decisions::is_decision;
use crate::receipt::Receipt;
use crate::verdict::{Code, Verdict};
use crate::verify::Report;
use crate::{ChainRef, Hash32};

/// So many blocks to compare are named; more are counted.
const BLOCKS: usize = 1_000;

/// A block that the auditor should look up.
type Block = (ChainRef, u64, Hash32);

/// Where a receipt stands.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    pub name: &'a str,
    pub line: Option<u64>,
}

/// What was found out about some receipts.
#[derive(Default)]
pub struct Findings {
    json: bool,
    /// A line for each that is not verified.
    pub lines: String,
    /// Why a file was not read.
    pub unreadable: Vec<String>,
    unread: u64,
    counts: [u64; 4],
    decisions: u64,
    blocks: BTreeSet<Block>,
    more_blocks: bool,
}

/// In the order of [`Findings::counts`].
const VERDICTS: [Verdict; 4] = [Verdict::Verified, Verdict::Invalid, Verdict::NotYet, Verdict::CannotTell];

impl Findings {
    pub fn new(json: bool) -> Self {
        Self { json, ..Self::default() }
    }

    fn count(&self, verdict: Verdict) -> u64 {
        VERDICTS.iter().zip(self.counts).find(|(known, _)| **known == verdict).map_or(0, |(_, count)| count)
    }

    fn looked_at(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Notes what became of one receipt.
    pub fn note(&mut self, place: Place<'_>, report: &Report, receipt: Option<&Receipt>) {
        for (known, count) in VERDICTS.iter().zip(&mut self.counts) {
            *count += u64::from(*known == report.verdict);
        }
        self.decisions += u64::from(receipt.is_some_and(is_decision));
        if report.verdict == Verdict::Verified {
            return;
        }
        let digest = receipt.map(|receipt| receipt.document.digest);
        let Report { verdict, code, detail, .. } = report;
        let step = code.step();
        // Writing to a String cannot fail.
        let _ = if self.json {
            let Place { name, line } = place;
            let object = json!({"receipt": name, "line": line, "document": digest, "verdict": verdict, "code": code, "step": step, "detail": detail});
            writeln!(self.lines, "{object}")
        } else {
            let at = place.line.map_or_else(String::new, |line| format!(":{line}"));
            let about = digest.map_or_else(String::new, |digest| format!(" of {digest}"));
            writeln!(self.lines, "{}{at}{about}: {verdict}, {code} (step {step}): {}", tame(place.name), tame(detail))
        };
        if let Some(anchor) = decisive(report).filter(|_| *code == Code::NoTrustedBlock) {
            self.block((anchor.chain, anchor.block_number, anchor.block_hash));
        }
    }

    fn block(&mut self, block: Block) {
        if self.blocks.len() < BLOCKS || self.blocks.contains(&block) {
            self.blocks.insert(block);
        } else {
            self.more_blocks = true;
        }
    }

    /// Adds what was found out about others; their lines are printed, not kept.
    pub fn add(&mut self, other: Self) {
        for (count, more) in self.counts.iter_mut().zip(other.counts) {
            *count += more;
        }
        self.unread += other.unreadable.len() as u64;
        self.decisions += other.decisions;
        self.more_blocks |= other.more_blocks;
        other.blocks.into_iter().for_each(|block| self.block(block));
    }

    /// The first that applies: something is invalid, was not read, lacks something from outside, is not there yet.
    pub fn exit_status(&self, missing: bool) -> u8 {
        let any = |verdict| self.count(verdict) > 0;
        match () {
            () if any(Verdict::Invalid) => Verdict::Invalid.exit_status(),
            () if self.unread > 0 || self.looked_at() == 0 => USAGE_STATUS,
            () if any(Verdict::CannotTell) || missing => Verdict::CannotTell.exit_status(),
            () if any(Verdict::NotYet) => Verdict::NotYet.exit_status(),
            () => Verdict::Verified.exit_status(),
        }
    }
}

/// Writes documents without a receipt, and how many receipts are what.
pub fn summary(args: &ManyArgs, total: &Findings, list: Option<&List>, out: &mut dyn Write) -> io::Result<()> {
    let mut missing = 0_u64;
    for digest in list.into_iter().flat_map(List::missing) {
        missing += 1;
        if args.json {
            writeln!(out, "{}", json!({"receipt": null, "document": digest, "verdict": Verdict::CannotTell}))?;
        } else {
            writeln!(out, "{digest}: no receipt is about it")?;
        }
    }
    let [verified, invalid, not_yet, cannot_tell] = total.counts;
    let (registry, chain) = pinned(&args.look.trust);
    if args.json {
        let blocks: Vec<_> =
            total.blocks.iter().map(|(chain, number, hash)| json!({"chain": chain, "number": number, "hash": hash})).collect();
        let object = json!({
            "receipts": total.looked_at(), "verified": verified, "invalid": invalid, "not_yet": not_yet,
            "cannot_tell": cannot_tell, "unreadable": total.unread, "sealed_as_decision": total.decisions,
            "documents": {"source": if list.is_some() { "auditor" } else { "receipt" }, "missing": missing},
            "registry": {"source": if registry { "auditor" } else { "receipt" }},
            "chain": {"source": if chain { "auditor" } else { "receipt" }},
            "blocks_to_compare": blocks, "more_blocks": total.more_blocks,
        });
        return writeln!(out, "{object}");
    }
    let mut text = format!(
        "{} receipts: {verified} verified, {invalid} invalid, {not_yet} not yet, {cannot_tell} cannot tell",
        total.looked_at()
    );
    let mut add = |more: String| {
        let _ = write!(text, "{more}");
    };
    if total.unread > 0 {
        add(format!("; {} not read", total.unread));
    }
    if missing > 0 {
        add(format!("; {missing} documents without a receipt"));
    }
    if !total.blocks.is_empty() {
        add("\n  next      look these blocks up on a node or explorer you trust, then pass each as --block-hash, or use --rpc"
            .into());
    }
    for (chain, number, hash) in &total.blocks {
        add(format!("\n  block     {number} on {chain} {hash}"));
    }
    if total.more_blocks {
        add("\n  block     … and others".into());
    }
    if matches!(args.documents, Documents::Any) {
        add("\n  note      which documents these are was taken from the receipts: no document was checked (--digests LIST)"
            .into());
    }
    if !registry && verified > 0 {
        add("\n  note      the registry was not pinned: who issued these receipts is not proven (--registry)".into());
    }
    if !chain && verified > 0 {
        add("\n  note      the chain is named by the receipts alone; pin it with --chain".into());
    }
    if total.decisions > 0 {
        add(format!("\n  note      {} are of statements of validators' decisions", total.decisions));
    }
    writeln!(out, "{text}")
}

/// One line on a terminal while it takes long.
#[derive(Default)]
pub struct Progress {
    shown: bool,
}

impl Progress {
    /// Shows how many are done, and the share of the bytes where it is known. Replaces what it showed before.
    pub fn show(&mut self, err: &mut dyn Write, total: &Findings, share: Option<f64>) {
        const WIDTH: usize = 30;
        let done = total.looked_at();
        let bad = done - total.count(Verdict::Verified);
        let bar = share.map_or_else(String::new, |share| {
            let full = ((share * WIDTH as f64) as usize).min(WIDTH);
            format!("[{}{}] {:>3.0} % ", "#".repeat(full), " ".repeat(WIDTH - full), share * 100.0)
        });
        let _ = write!(err, "\r{bar}{done} checked, {bad} not verified\x1b[K").and_then(|()| err.flush());
        self.shown = true;
    }

    /// Takes the line away.
    pub fn clear(&mut self, err: &mut dyn Write) {
        if std::mem::take(&mut self.shown) {
            let _ = write!(err, "\r\x1b[K");
        }
    }
}
