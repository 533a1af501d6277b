//! The log: every row belongs to the one before, and every head that was sealed is in it.

use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::{Report, Result, shown};
use crate::ledger::Ledger;
use crate::ledger::accounts::audit_log::Row;

/// Rows read at once.
const PAGE: i64 = 5_000;
/// Sealed heads that are named.
const NAMED: i64 = 20;

/// What an entry says about its row.
#[derive(Deserialize)]
struct Entry {
    number: i64,
    account: Option<i64>,
}

/// What is wrong with a row behind one of `number` and `hash`.
fn wrong(row: &Row, (number, hash): (i64, &[u8])) -> Option<&'static str> {
    let computed: [u8; 32] = Sha256::new().chain_update(&row.previous).chain_update(&row.entry).finalize().into();
    let entry: Option<Entry> = serde_json::from_str(&row.entry).ok();
    if row.number != number + 1 {
        Some("rows before it are missing")
    } else if row.previous != hash {
        Some("it does not follow the row before")
    } else if row.hash != computed {
        Some("its hash is not that of its entry")
    } else if entry.is_none_or(|entry| (entry.number, entry.account) != (row.number, row.account)) {
        Some("number or account is not what its entry says")
    } else {
        None
    }
}

/// The first bad row is named; what is behind it follows from it.
pub(super) async fn check(ledger: &Ledger, report: &mut Report) -> Result<()> {
    // Asked before the rows: events may be noted meanwhile.
    let (head, head_hash) = ledger.log_head().await?;
    let (mut number, mut hash, mut at_head) = (0_i64, vec![0; 32], head == 0);
    loop {
        let rows = ledger.log(None, number.unsigned_abs(), PAGE).await?;
        let full = rows.len() as i64 == PAGE;
        for row in rows {
            if let Some(what) = wrong(&row, (number, &hash)) {
                report.add("audit_log", format!("number={}", row.number), what);
                return sealed(ledger, report).await;
            }
            (number, hash) = (row.number, row.hash);
            at_head |= number.unsigned_abs() == head && hash == head_hash;
            report.log += 1;
        }
        if !full {
            break;
        }
    }
    if !at_head {
        report.add(
            "audit_log",
            format!("number={head}"),
            "the newest row is not the one that audit_head names: rows are missing",
        );
    }
    sealed(ledger, report).await
}

async fn sealed(ledger: &Ledger, report: &mut Report) -> Result<()> {
    for digest in ledger.sealed_heads(NAMED).await?.0 {
        report.add("audit_log", format!("hash={}", shown(&digest)), "this head of the log was sealed, and no row has this hash");
    }
    Ok(())
}
