//! `sceau-verify --promise`.

use std::fmt::Write;
use std::io::Read;

use serde_json::json;

use super::args::{PromiseArgs, Source};
use super::print::{decisive, tame, time};
use super::{check, receipt_bytes, with_input};
use crate::promise::judge::{Judgement, Outcome, judge};
use crate::promise::{KeySet, MAX_BYTES};
use crate::verdict::{Code, Verdict};
use crate::verify::Report;
use crate::{Digest, utc};

/// What was found out.
pub struct Answer {
    document: Option<Digest>,
    pub judgement: Judgement,
}

/// Reads what is named and judges it.
///
/// # Errors
/// When a file cannot be read, or the keys are none: no verdict.
pub fn answer(args: &PromiseArgs) -> Result<Answer, String> {
    let bytes = |name: &str, most: usize| {
        with_input(name, &|reader| {
            let mut bytes = Vec::new();
            // One byte over the limit is enough to refuse the rest unread.
            reader.take(most as u64 + 1).read_to_end(&mut bytes)?;
            Ok(bytes)
        })
    };
    let keys = KeySet::parse(&bytes(&args.keys, MAX_BYTES)?).map_err(|error| format!("{}: {error}", args.keys))?;
    let promise = bytes(&args.promise, MAX_BYTES)?;
    let receipt = args.receipt.as_ref().map(|name| receipt_bytes(name).map(|(bytes, _)| bytes)).transpose()?;
    let document = match &args.document {
        None => None,
        Some(Source::Digest(digest)) => Some(*digest),
        Some(Source::File(name)) => Some(with_input(name, &|reader| Digest::of_reader(reader))?),
    };
    let judgement =
        judge(&promise, &keys, document.as_ref(), receipt.as_deref(), |digest, receipt| check(&args.look, digest, receipt));
    Ok(Answer { document, judgement })
}

pub fn print(args: &PromiseArgs, answer: &Answer) -> String {
    if args.json { json_text(answer) } else { human_text(args, answer) }
}

fn json_text(Answer { document, judgement }: &Answer) -> String {
    let signed = judgement.signed.as_ref();
    let receipt = |report: &Report| json!({"verdict": report.verdict, "code": report.code, "anchors": report.anchors});
    let object = json!({
        "verdict": judgement.verdict,
        "code": judgement.code,
        "step": match judgement.code.step() { 0 => serde_json::Value::Null, step => step.into() },
        "detail": judgement.detail,
        "outcome": judgement.outcome,
        "issuer": signed.map(|signed| &signed.payload.iss),
        "account": signed.map(|signed| &signed.payload.account),
        "signed_at": signed.and_then(|signed| utc::format(signed.payload.iat)),
        "key": signed.map(|signed| &signed.kid),
        "count": signed.map(|signed| signed.payload.count.unwrap_or(1)),
        "document": document.or(judgement.record.map(|record| record.digest)),
        "record": judgement.record,
        "receipt": judgement.receipt.as_ref().map(receipt),
    });
    format!("{object}\n")
}

fn headline(judgement: &Judgement) -> &'static str {
    match (judgement.outcome, judgement.code) {
        (Some(Outcome::Kept), _) => "KEPT. The operator promised this, and the document was in a block in time.",
        (Some(Outcome::Broken), _) => "BROKEN. The operator promised this and did not keep it.",
        (Some(Outcome::Given), Code::Ok) => "GIVEN. The operator promised this.",
        (_, Code::PromiseOtherDocument) => "INVALID. This promise is about other documents.",
        (_, Code::PromiseOtherEntry) => "INVALID. The receipt is of another entry than the promise.",
        (_, Code::PromiseKeyUnknown) => "CANNOT TELL. The key that signed this promise is not among those given.",
        (_, Code::PromiseRecordsMissing) => "CANNOT TELL. Give the whole answer that this promise came with.",
        (Some(Outcome::Given), code) if code.verdict() == Verdict::NotYet => {
            "NOT YET. The promise was given; the receipt shows no final block yet."
        }
        (Some(Outcome::Given), code) if code.verdict() == Verdict::CannotTell => {
            "CANNOT TELL. The promise was given; whether the receipt holds cannot be told."
        }
        (Some(Outcome::Given), code) if code.step() < 29 => {
            "INVALID. The promise was given; the receipt does not prove what it says."
        }
        _ => "INVALID. This is no promise of the operator.",
    }
}

fn human_text(args: &PromiseArgs, Answer { judgement, .. }: &Answer) -> String {
    let mut text = headline(judgement).to_owned();
    let mut line = |label: &str, value: &str| {
        // Writing to a String cannot fail.
        let _ = write!(text, "\n  {label:<9} {value}");
    };
    let code = judgement.code;
    if code != Code::Ok {
        line("reason", &format!("{code} (step {}): {}", code.step(), judgement.detail));
    }
    if let Some(signed) = &judgement.signed {
        let payload = &signed.payload;
        line("operator", &format!("{}, key {}", tame(&payload.iss), tame(&signed.kid)));
        line("account", &tame(&payload.account));
        line("signed", &time(payload.iat));
        if let Some(count) = payload.count {
            line("about", &format!("{count} digests"));
        }
    }
    if let Some(record) = &judgement.record {
        line("digest", &record.digest.to_string());
        line("number", &format!("{} of this account, in batch {}", record.number, record.batch));
        line("accepted", &record.accepted_at.to_string());
        line("anchor by", &record.anchor_by.to_string());
    }
    if let Some(anchor) = judgement.receipt.as_ref().and_then(decisive) {
        line("block", &format!("{} of {} on {}", anchor.block_number, time(anchor.block_time), anchor.chain));
    }
    if judgement.outcome == Some(Outcome::Given) && args.receipt.is_none() && code == Code::Ok {
        line(
            "note",
            "whether it was kept, its receipt tells (--receipt); past \"anchor by\" without one, the operator has to answer",
        );
    }
    text.push('\n');
    text
}
