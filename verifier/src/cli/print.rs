//! What `sceau-verify` prints.

use std::fmt::Write;

use serde_json::{Value, json};

use super::args::Args;
use super::{Answer, pinned};
use crate::decisions::is_decision;
use crate::utc;
use crate::verdict::{Code, Verdict};
use crate::verify::{AnchorReport, Report};

pub fn report(args: &Args, answer: &Answer) -> String {
    if args.json { json_text(args, answer) } else { human_text(args, answer) }
}

pub(super) fn decisive(report: &Report) -> Option<&AnchorReport> {
    report.decisive.and_then(|at| report.anchors.get(at))
}

pub(super) fn time(seconds: u64) -> String {
    utc::format(seconds).unwrap_or_else(|| format!("second {seconds} since 1970"))
}

const fn source(by_auditor: bool) -> &'static str {
    if by_auditor { "auditor" } else { "receipt" }
}

fn block_source(args: &Args) -> &'static str {
    match (args.look.rpc.is_some(), args.look.trust.block_hashes.is_empty()) {
        (true, true) => "node",
        (true, false) => "node and auditor",
        (false, false) => "auditor",
        (false, true) => "none",
    }
}

fn json_text(args: &Args, Answer { document, receipt, in_pdf, report }: &Answer) -> String {
    let receipt = receipt.as_ref();
    let anchor = decisive(report);
    let (registry, chain) = pinned(&args.look.trust);
    let registry_value = args.look.trust.registry.or(anchor.map(|anchor| anchor.registry));
    let chain_value = args.look.trust.chain.or(anchor.map(|anchor| anchor.chain));
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
        "decisions": report.decisions,
        "sealed_as_decision": receipt.map(is_decision),
        "trust": {
            "registry": {"value": registry_value, "source": registry_value.map(|_| source(registry))},
            "chain": {"value": chain_value, "source": chain_value.map(|_| source(chain))},
            "block": {"source": block_source(args), "hashes": args.look.trust.block_hashes, "confirmations": args.look.confirmations},
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
        _ if report.code == Code::DecisionNotProven => {
            "INVALID. The document existed before that block, but a decision in this receipt is not proven.".into()
        }
        _ if report.code == Code::DecisionNotFinal => {
            "NOT YET. The document is proven, but a decision is not final yet. Ask for a newer receipt later.".into()
        }
        _ if report.code == Code::DecisionNotChecked => {
            "CANNOT TELL. The document is proven; the block of a decision is for you to confirm.".into()
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
        line("chain", &format!("{}{}", anchor.chain, who(args.look.trust.chain.is_some(), "--chain")));
        line("registry", &format!("{}{}", anchor.registry, who(args.look.trust.registry.is_some(), "--registry")));
        line("block", &format!("{} of {}", anchor.block_number, time(anchor.block_time)));
        line("", &anchor.block_hash.to_string());
        if report.code == Code::NoTrustedBlock {
            line("next", "look that block up on a node or explorer you trust, then pass --block-hash, or use --rpc");
        } else {
            line("trust", &format!("block: {}", block_source(args)));
        }
        if report.verdict == Verdict::Verified && args.look.trust.registry.is_none() {
            line("note", "the registry was not pinned: who issued this receipt is not proven, only that the document existed");
        }
    }
    if *in_pdf {
        line("note", "this is about the receipt attached to the PDF; what the PDF's pages say was not looked at");
    }
    for decision in &report.decisions {
        let outcome = match decision.code {
            Some(Code::Ok) => decision.anchor.as_ref().map_or_else(String::new, |anchor| {
                format!(", sealed before block {} of {}", anchor.block_number, time(anchor.block_time))
            }),
            Some(code) => format!(", not proven ({code})"),
            None => ", not looked at".into(),
        };
        line(decision.decision.as_str(), &format!("by {}, {}{outcome}", tame(&decision.validator), decision.decided_at));
        if !decision.comment.is_empty() {
            line("", &format!("\"{}\"", tame(&decision.comment)));
        }
    }
    if report.verdict == Verdict::Verified && !report.decisions.is_empty() {
        line("note", "who decided, and when, is what the operator recorded and sealed; validators do not sign");
    }
    if receipt.as_ref().is_some_and(is_decision) {
        line("note", "the operator sealed this document as the statement of a validator's decision");
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

/// Text from a receipt, without characters that steer a terminal or reverse what stands around them.
pub(super) fn tame(text: &str) -> String {
    let steers = |c: char| {
        c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    text.chars().map(|c| if steers(c) { '\u{fffd}' } else { c }).collect()
}

fn who(by_auditor: bool, flag: &str) -> String {
    if by_auditor { " (pinned by you)".into() } else { format!(" (named by the receipt alone; pin it with {flag})") }
}
