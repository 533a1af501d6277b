//! Running numbers of accounts, which numbers stand in which batch, and what of the promises is kept beside the batch.

use super::{NAMED, Report, Result, batches};
use crate::ledger::Ledger;

/// Batches looked at in one question.
const PAGE: i64 = 1_000;

pub(super) async fn check(ledger: &Ledger, report: &mut Report) -> Result<()> {
    for odd in ledger.audit_numbers(NAMED as i64).await? {
        let table = if odd.in_proofs { "proofs" } else { "account_numbers" };
        report.add(table, format!("account_id={}", odd.account_id), odd.why);
    }
    let newest = ledger.audit_newest().await?;
    let mut after = 0;
    while after < newest {
        let until = after + PAGE;
        for odd in ledger.audit_ranges(after, until).await? {
            let says = odd.row.map_or_else(|| "nothing".into(), |(first, last)| format!("{first} to {last}"));
            let are = odd.proofs.map_or_else(
                || "it has no proofs there".into(),
                |(first, last, count)| format!("{count} proofs there have numbers from {first} to {last}"),
            );
            report.add("batch_accounts", key(odd.batch, odd.account_id), format!("it says {says}, but {are}"));
        }
        for number in ledger.audit_promises(after, until).await? {
            report.add("batches", batches::key(number), "its earliest and latest promise are not those of its proofs");
        }
        after = until;
    }
    for (batch, account, first, follows) in ledger.audit_order(NAMED as i64).await? {
        let what = format!("it begins with number {first}, where {follows} comes next");
        report.add("batch_accounts", key(batch, account), what);
    }
    Ok(())
}

fn key(batch: i64, account: i64) -> String {
    format!("batch={batch} account_id={account}")
}
