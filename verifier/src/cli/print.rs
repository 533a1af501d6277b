//! What `sceau-verify` prints.

use std::fmt::Write;

use serde_json::{Value, json};

use super::args::Args;
use super::{Answer, pinned};
use crate::utc;
use crate::verdict::{Code, Verdict};
use crate::verify::{AnchorReport, Report};

pub fn report(args: &Args, answer: &Answer) -> String {
    if args.json { json_text(args, answer) } else { human_text(args, answer) }
}

fn decisive(report: &Report) -> Option<&AnchorReport> {
    report.decisive.and_then(|at| report.anchors.get(at))
}

fn time(seconds: u64) -> String {
    utc::format(seconds).unwrap_or_else(|| format!("second {seconds} since 1970"))
}

const fn source(by_auditor: bool) -> &'static str {
    if by_auditor { "auditor" } else { "receipt" }
}

fn block_source(args: &Args) -> &'static str {
    match (args.rpc.is_some(), args.trust.block_hashes.is_empty()) {
        (true, true) => "node",
        (true, false) => "node and auditor",
        (false, false) => "auditor",
        (false, true) => "none",
    }
}

fn json_text(args: &Args, Answer { document, receipt, in_pdf, report }: &Answer) -> String {
    let receipt = receipt.as_ref();
    let anchor = decisive(report);
    let (registry, chain) = pinned(&args.trust);
    let registry_value = args.trust.registry.or(anchor.map(|anchor| anchor.registry));
    let chain_value = args.trust.chain.or(anchor.map(|anchor| anchor.chain));
    let object = json!({
        "verdict": report.verdict,
        "code": report.code,
        "step": match report.code.step() { 0 => Value::Null, step => step.into() },
        "detail": report.detail,
        "document": document,
        "container": if *in_pdf { "pdf" } else { "json" },
        "batch": receipt.map(|receipt| receipt.batch.number),
        "index": receipt.map(|receipt| receipt.entry.index),
        "size": receipt.map(|receipt| receipt.tree.size),
        "block": anchor.map(|anchor| json!({
            "number": anchor.block_number, "hash": anchor.block_hash, "time": anchor.block_time,
        })),
        "anchors": report.anchors,
        "trust": {
            "registry": {"value": registry_value, "source": registry_value.map(|_| source(registry))},
            "chain": {"value": chain_value, "source": chain_value.map(|_| source(chain))},
            "block": {"source": block_source(args), "hashes": args.trust.block_hashes, "confirmations": args.confirmations},
        },
    });
    format!("{object}\n")
}

fn headline(report: &Report) -> String {
    let block = decisive(report).map(|anchor| (anchor.block_number, time(anchor.block_time)));
    match (report.verdict, block) {
        (Verdict::Verified, Some((number, time))) => {
            format!("VERIFIED. This document existed, unchanged, before block {number} of {time}.")
        }
        (Verdict::NotYet, _) if report.code == Code::NoAnchor => {
            "NOT YET. The receipt is sound, but its batch is not anchored yet. Ask for a newer receipt later.".into()
        }
        (Verdict::NotYet, _) => {
            "NOT YET. The receipt is sound, but its anchor is not final yet. Ask for a newer receipt later.".into()
        }
        (Verdict::CannotTell, _) if report.code == Code::NoTrustedBlock => {
            "CANNOT TELL. The receipt is consistent; whether its block is on the chain is for you to confirm.".into()
        }
        (Verdict::CannotTell, _) => {
            "CANNOT TELL. The receipt is consistent, but your node gave no answer that could settle it.".into()
        }
        _ if report.code == Code::DocumentMismatch => "INVALID. This receipt is about another document.".into(),
        _ => "INVALID. This receipt does not prove what it says.".into(),
    }
}

fn human_text(args: &Args, Answer { document, receipt, in_pdf, report }: &Answer) -> String {
    let mut text = headline(report);
    let mut line = |label: &str, value: &str| {
        // Writing to a String cannot fail.
        let _ = write!(text, "\n  {label:<9} {value}");
    };
    if report.code != Code::Ok {
        line("reason", &format!("{} (step {}): {}", report.code, report.code.step(), report.detail));
    }
    line("digest", &document.to_string());
    if let Some(receipt) = receipt {
        let position = format!("entry {} of {}", receipt.entry.index, receipt.tree.size - 1);
        line("batch", &format!("{}, {position}", receipt.batch.number));
    }
    if let Some(anchor) = decisive(report) {
        line("chain", &format!("{}{}", anchor.chain, who(args.trust.chain.is_some(), "--chain")));
        line("registry", &format!("{}{}", anchor.registry, who(args.trust.registry.is_some(), "--registry")));
        line("block", &format!("{} of {}", anchor.block_number, time(anchor.block_time)));
        line("", &anchor.block_hash.to_string());
        if report.code == Code::NoTrustedBlock {
            line("next", "look that block up on a node or explorer you trust, then pass --block-hash, or use --rpc");
        } else {
            line("trust", &format!("block: {}", block_source(args)));
        }
        if report.verdict == Verdict::Verified && args.trust.registry.is_none() {
            line("note", "the registry was not pinned: who issued this receipt is not proven, only that the document existed");
        }
    }
    if *in_pdf {
        line("note", "this is about the receipt attached to the PDF; what the PDF's pages say was not looked at");
    }
    for (at, anchor) in report.anchors.iter().enumerate() {
        if Some(at) != report.decisive {
            let outcome = match anchor.code {
                Code::Ok => "also verified".into(),
                code => format!("not checked ({code})"),
            };
            line("also", &format!("{} block {}: {outcome}", anchor.chain, anchor.block_number));
        }
    }
    text.push('\n');
    text
}

fn who(by_auditor: bool, flag: &str) -> String {
    if by_auditor { " (pinned by you)".into() } else { format!(" (named by the receipt alone; pin it with {flag})") }
}
