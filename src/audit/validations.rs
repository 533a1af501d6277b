//! Validations: what was accepted is a proof, what was not is none, and every decision is sealed and was its maker's to make.

use sceau_verifier::Digest;
use sceau_verifier::decision::{self, Choice, Statement};
use uuid::Uuid;

use super::{Report, Result, shown};
use crate::ledger::Ledger;
use crate::ledger::validations::audit::{DecisionRow, ValidationRow};

/// Rows read at once.
const PAGE: i64 = 500;

/// The database's clock may be set.
const CLOCK: time::Duration = time::Duration::seconds(5);

/// A direct submission that was under way when the document began to wait may be stored after it, but not for longer.
const UNDER_WAY: time::Duration = time::Duration::seconds(60);

pub(super) async fn check(ledger: &Ledger, report: &mut Report) -> Result<()> {
    let mut after = Uuid::nil();
    loop {
        let (rows, decisions) = ledger.audit_validations(after, PAGE).await?;
        let Some(last) = rows.last() else { return Ok(()) };
        after = last.id;
        for row in &rows {
            let made: Vec<&DecisionRow> = decisions.iter().filter(|decision| decision.validation_id == row.id).collect();
            for decision in &made {
                if let Err(what) = check_decision(row, decision) {
                    let key = format!("validation_id={} validator_id={}", decision.validation_id, decision.validator_id);
                    report.add("decisions", key, what);
                }
            }
            if let Err(what) = check_state(row, &made) {
                report.add("validations", format!("id={}", row.id), what);
            }
            report.validations += 1;
        }
    }
}

/// Entries that are marked as decisions have their record.
pub(super) async fn check_marked(ledger: &Ledger, batch: i64, marked: &[Vec<u8>], report: &mut Report) -> Result<()> {
    if marked.is_empty() {
        return Ok(());
    }
    if let Some(digest) = ledger.audit_unrecorded(marked).await? {
        report.add("decisions", format!("digest={}", shown(&digest)), format!("it is in batch {batch} and has no record"));
    }
    Ok(())
}

/// The state follows from the decisions, and the pool from the state.
fn check_state(row: &ValidationRow, made: &[&DecisionRow]) -> std::result::Result<(), String> {
    let count = |word: &str| made.iter().filter(|decision| decision.decision == word).count();
    let (approved, refused) = (count("approved"), count("refused"));
    let needed = usize::try_from(row.approvals_needed).unwrap_or_default();
    let follows = match row.state.as_str() {
        "accepted" => approved == needed && refused == 0,
        "refused" => refused == 1 && approved < needed,
        _ => refused == 0 && approved < needed,
    };
    if !follows {
        return Err(format!("it is {} with {approved} of {needed} approvals and {refused} refusals", row.state));
    }
    let newest = made.iter().map(|decision| decision.decided_at).max();
    if row.settled_at.zip(newest).is_some_and(|(settled, newest)| settled + CLOCK < newest) {
        return Err("it was settled before its last decision".into());
    }
    match &row.proof {
        None if row.state == "accepted" => Err("its document was accepted and is no proof".into()),
        Some((salt, received_at)) if row.state == "accepted" => {
            // A proof from before keeps its salt.
            let own = row.settled_at.is_some_and(|settled| *received_at >= settled);
            if own && *salt != row.salt { Err("its document has another salt than was given out".into()) } else { Ok(()) }
        }
        Some((_, received_at)) if !row.accepted && *received_at > row.received_at + UNDER_WAY => {
            Err(format!("it is {}, and yet its document was accepted past its validators", row.state))
        }
        _ => Ok(()),
    }
}

fn check_decision(row: &ValidationRow, made: &DecisionRow) -> std::result::Result<(), String> {
    let digest = Digest::of(made.statement.as_bytes());
    if digest.as_bytes()[..] != made.digest[..] {
        return Err("its digest is not that of its statement".into());
    }
    let statement = Statement::parse(&made.statement).map_err(|error| format!("its statement cannot be read: {error}"))?;
    let choice = match made.decision.as_str() {
        "approved" => Choice::Approved,
        _ => Choice::Refused,
    };
    let agrees = statement.document.as_bytes()[..] == row.digest[..]
        && Some(&statement.account) == row.account.as_ref()
        && Some(&statement.validator) == made.validator.as_ref()
        && (statement.decision, &statement.comment) == (choice, &made.comment)
        && i64::try_from(statement.decided_at).ok() == Some(made.decided_at.unix_timestamp());
    if !agrees {
        return Err("its statement says otherwise than its columns".into());
    }
    if !made.entitled || made.validator_id == row.account_id {
        return Err("whoever made it was no validator of the account then".into());
    }
    if made.decided_at + CLOCK < row.received_at {
        return Err("it was made before the document was submitted".into());
    }
    match &made.salt {
        None => Err("its statement is no proof".into()),
        Some(salt) if salt[..] != decision::salt(&digest).as_bytes()[..] => Err("its statement was sealed as a document".into()),
        Some(_) => Ok(()),
    }
}
