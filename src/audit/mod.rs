//! Checks everything this service ever claimed: rows against rows, trees against rows, chains against trees.
//!
//! Nothing here is shared with the code that wrote the rows except the verifier, so that a mistake there, a changed row
//! and a damaged page are found alike. Reading only, page by page: memory is that of the largest batch's tree, and a
//! service that goes on working meanwhile disturbs nothing.

mod anchors;
mod attempts;
mod batches;
mod calls;
mod entries;
mod lanes;
mod numbers;
mod validations;

use std::sync::Arc;

use serde::Serialize;

use crate::chain::{Chain, ChainError};
use crate::ledger::{Ledger, LedgerError};

/// A chain to compare with.
#[derive(Debug, Clone)]
pub struct Witness {
    /// Asked for what its registry holds.
    pub chain: Arc<dyn Chain>,
    /// A block this far below the head is final; `None`: the chain's `finalized` tag decides.
    pub depth: Option<u64>,
    /// Whether stored evidence is put before the verifier. Only a chain that cannot make tries needs a no.
    pub evidence: bool,
}

/// Something that is not as it must be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Table of the row.
    pub table: &'static str,
    /// Its key, `column=value` each.
    pub key: String,
    /// What is wrong with it.
    pub what: String,
}

/// How far an audit is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Batches and anchors checked.
    pub done: u64,
    /// Batches and anchors there were at the start.
    pub total: u64,
}

/// What an audit found.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    /// Batches checked.
    pub batches: u64,
    /// Proofs in sealed batches, each found at its place in its tree.
    pub proofs: u64,
    /// Anchors checked.
    pub anchors: u64,
    /// Documents checked that were submitted to validators.
    pub validations: u64,
    /// Targets for which no chain was given: their anchors were checked among themselves only.
    pub unasked: Vec<String>,
    /// The first findings, in the order of the checks: what comes later may follow from what comes first.
    pub findings: Vec<Finding>,
    /// Number of all findings.
    pub count: u64,
}

/// Findings that are named; the rest is counted.
const NAMED: usize = 20;

impl Report {
    /// Whether nothing was found.
    #[must_use]
    pub const fn is_clean(&self) -> bool {
        self.count == 0
    }

    fn add(&mut self, table: &'static str, key: String, what: impl Into<String>) {
        self.count += 1;
        if self.findings.len() < NAMED {
            self.findings.push(Finding { table, key, what: what.into() });
        }
    }
}

/// Why an audit could not be finished. It says nothing about what was to be checked.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The database could not be read.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// A chain could not be asked.
    #[error(transparent)]
    Chain(#[from] ChainError),
}

/// Result of a check.
type Result<T> = std::result::Result<T, AuditError>;

/// Checks everything; `progress` is called now and then.
///
/// # Errors
/// When database or chain cannot be asked. Whatever is wrong with rows is a [`Finding`], not an error.
pub async fn run(ledger: &Ledger, witnesses: &[Witness], mut progress: impl FnMut(Progress) + Send) -> Result<Report> {
    let mut report = Report::default();
    let (batches, anchors) = ledger.audit_size().await?;
    let total = batches + anchors;
    let mut tell = |report: &Report| progress(Progress { done: report.batches + report.anchors, total });
    batches::check(ledger, &mut report, &mut tell).await?;
    entries::check_strays(ledger, &mut report).await?;
    validations::check(ledger, &mut report).await?;
    lanes::check_targets(ledger, witnesses, &mut report).await?;
    anchors::check(ledger, witnesses, &mut report, &mut tell).await?;
    batches::check_anchored(ledger, &mut report).await?;
    calls::check(ledger, &mut report).await?;
    lanes::check(ledger, witnesses, &mut report).await?;
    // Last: what is amiss here follows from the proofs, if they are amiss.
    numbers::check(ledger, &mut report).await?;
    entries::check_doubled(ledger, &mut report).await?;
    entries::check_labels(ledger, &mut report).await?;
    Ok(report)
}

/// Bytes as keys show them.
fn shown(bytes: &[u8]) -> String {
    format!("0x{}", hex::encode(bytes))
}
