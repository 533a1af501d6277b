//! The steps of SPEC.md §4 on the decisions that a receipt carries (25 to 28).

use serde::Serialize;

use super::verdict::{Code, Failure, Verdict};
use super::verify::{AnchorReport, Passed, Report, check_own_structure};
use crate::decision::{self, Choice, Statement};
use crate::receipt::{Decision, Receipt};
use crate::{Digest, utc};

/// What was found out about one decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DecisionReport {
    /// Name of the validator.
    pub validator: String,
    /// Name of the account that the document belongs to.
    pub account: String,
    /// What was decided.
    pub decision: Choice,
    /// What the validator said; empty when nothing.
    pub comment: String,
    /// When, `YYYY-MM-DDThh:mm:ssZ`: the operator's word.
    pub decided_at: String,
    /// SHA-256 of the statement.
    pub digest: Digest,
    /// The batch it was sealed in.
    pub batch: u64,
    /// The anchor that decided the verdict on its receipt.
    pub anchor: Option<AnchorReport>,
    /// [`Code::Ok`], or why the decision is not proven; none when the document itself is not, and nobody looked.
    pub code: Option<Code>,
    /// A sentence for people.
    pub detail: String,
}

/// Whether the entry of this receipt was sealed by the operator as the statement of a decision. A submitter cannot bring
/// this about, since it does not choose the salt.
#[must_use]
pub fn is_decision(receipt: &Receipt) -> bool {
    receipt.entry.salt == decision::salt(&receipt.document.digest)
}

/// Steps 25 to 27 for every decision.
pub(super) fn check(receipt: &Receipt, passed: Option<&Passed>) -> Result<(), Failure> {
    receipt.decisions.iter().enumerate().try_for_each(|(at, decision)| check_one(receipt, at, decision, passed))
}

fn check_one(receipt: &Receipt, at: usize, decision: &Decision, passed: Option<&Passed>) -> Result<(), Failure> {
    let fail = |code, what: &str| Err(Failure::new(code, &format!("decision {at}: {what}")));
    let statement = match Statement::parse(&decision.statement) {
        Ok(statement) => statement,
        Err(error) => return fail(Code::DecisionMalformed, &error.to_string()),
    };
    if statement.document != receipt.document.digest {
        return fail(Code::DecisionMismatch, &format!("it is about {}", statement.document));
    }
    if statement.decision != Choice::Approved {
        return fail(Code::DecisionMismatch, "it is no approval");
    }
    if decision.receipt.document.digest != Digest::of(decision.statement.as_bytes()) {
        return fail(Code::DecisionMismatch, "its receipt is that of another statement");
    }
    if !is_decision(&decision.receipt) {
        return fail(Code::DecisionMismatch, "its statement was sealed as a document that somebody submitted, not as a decision");
    }
    match check_own_structure(&decision.receipt, passed) {
        Ok(_) => Ok(()),
        Err(failure) => fail(Code::DecisionReceiptInvalid, &failure.to_string()),
    }
}

/// Step 28: the decisions of a receipt whose own verdict is `report`, each judged by `judge`.
pub(super) fn conclude(mut report: Report, receipt: &Receipt, mut judge: impl FnMut(&Receipt) -> Report) -> Report {
    let looked = report.verdict == Verdict::Verified;
    let (mut condemned, mut open) = (None, None);
    for (at, decision) in receipt.decisions.iter().enumerate() {
        // Step 25 has passed.
        let Ok(statement) = Statement::parse(&decision.statement) else { continue };
        let outcome = looked.then(|| weigh(&report.anchors, judge(&decision.receipt)));
        let (anchor, code, detail) = match outcome {
            None => (None, None, String::new()),
            Some((anchor, Ok(()))) => (anchor, Some(Code::Ok), String::new()),
            Some((anchor, Err(failure))) => {
                let first = if failure.code.verdict() == Verdict::Invalid { &mut condemned } else { &mut open };
                first.get_or_insert_with(|| Failure::new(failure.code, &format!("decision {at}: {}", failure.detail)));
                (anchor, Some(failure.code), failure.detail)
            }
        };
        report.decisions.push(DecisionReport {
            validator: statement.validator,
            account: statement.account,
            decision: statement.decision,
            comment: statement.comment,
            decided_at: utc::format(statement.decided_at).unwrap_or_default(),
            digest: decision.receipt.document.digest,
            batch: decision.receipt.batch.number,
            anchor,
            code,
            detail,
        });
    }
    if let Some(failure) = condemned.or(open) {
        report.code = failure.code;
        report.verdict = failure.code.verdict();
        report.detail = failure.detail;
    }
    report
}

/// A decision counts where its document does: in a registry in which the document is proven.
fn weigh(of_document: &[AnchorReport], nested: Report) -> (Option<AnchorReport>, Result<(), Failure>) {
    let fail = |code, what: &str| Err(Failure::new(code, what));
    let proven = |report: &AnchorReport| {
        report.code == Code::Ok
            && of_document
                .iter()
                .any(|anchor| (anchor.code, anchor.chain, anchor.registry) == (Code::Ok, report.chain, report.registry))
    };
    let why = format!("{}: {}", nested.code, nested.detail);
    let outcome = match (nested.verdict, nested.code) {
        (Verdict::Verified, _) if nested.anchors.iter().any(proven) => Ok(()),
        (Verdict::Verified, _) => fail(Code::DecisionNotProven, "it is anchored in another registry than the document"),
        // The document's block may be trusted and the decision's unknown, since they need not be the same.
        (_, Code::BlockNotTrusted) | (Verdict::CannotTell, _) => fail(Code::DecisionNotChecked, &why),
        (Verdict::NotYet, _) => fail(Code::DecisionNotFinal, &why),
        (Verdict::Invalid, _) => fail(Code::DecisionNotProven, &why),
    };
    let mut anchors = nested.anchors;
    let at = anchors.iter().position(proven).or(nested.decisive);
    (at.filter(|at| *at < anchors.len()).map(|at| anchors.swap_remove(at)), outcome)
}
