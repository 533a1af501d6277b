//! Batches: their numbers, states and headers, one after the other.

use sceau_verifier::BatchHeader;

use super::{Report, Result, entries};
use crate::ledger::Ledger;
use crate::ledger::audit::BatchRow;

/// Rows read at once.
const PAGE: i64 = 1_000;

/// What of a batch the next one depends on.
struct Previous {
    number: i64,
    state: String,
    root: Option<Vec<u8>>,
}

pub(super) async fn check(ledger: &Ledger, report: &mut Report, tell: &mut (impl FnMut(&Report) + Send)) -> Result<()> {
    let mut previous = Previous { number: 0, state: "sealed".into(), root: Some(vec![0; 32]) };
    loop {
        let page = ledger.audit_batches(previous.number, PAGE).await?;
        for batch in &page {
            check_place(&previous, batch, report);
            if let Some(sealed) = Sealed::of(batch, report) {
                check_header(&previous, batch, &sealed, report);
                check_policy(batch, report);
                entries::check_tree(ledger, &sealed, report).await?;
            } else if batch.state != "sealed" {
                entries::check_pool(ledger, batch.number, report).await?;
            }
            previous = Previous { number: batch.number, state: batch.state.clone(), root: batch.root.clone() };
            report.batches += 1;
            tell(report);
        }
        if page.len() < PAGE as usize {
            break;
        }
    }
    if previous.state != "open" {
        report.add("batches", key(previous.number + 1), "no batch is open");
    }
    Ok(())
}

pub(super) fn key(number: i64) -> String {
    format!("number={number}")
}

/// Number and state follow from those before: any sealed or lost, then closed, then exactly one open.
fn check_place(previous: &Previous, batch: &BatchRow, report: &mut Report) {
    let number = batch.number;
    if number != previous.number + 1 {
        report.add("batches", key(previous.number + 1), format!("the batch is missing; the next there is has number {number}"));
    }
    let rank = |state: &str| match state {
        "sealed" | "lost" => 0,
        "closed" => 1,
        _ => 2,
    };
    if previous.state == "open" || rank(&batch.state) < rank(&previous.state) {
        report.add("batches", key(number), format!("it is {} though the batch before it is {}", batch.state, previous.state));
    }
    let ends = [batch.closed_at, batch.sealed_at.filter(|_| batch.closed_at.is_some())];
    // Clocks may be set, and headers carry whole seconds.
    let early = |end: time::OffsetDateTime| end + time::Duration::seconds(5) < batch.opened_at;
    if ends.into_iter().flatten().any(early) {
        report.add("batches", key(number), "it ended before it was opened");
    }
}

/// A sealed batch, with every column there and of the right kind.
pub(super) struct Sealed {
    pub number: i64,
    pub header: BatchHeader,
    pub size: u64,
    pub root: [u8; 32],
}

impl Sealed {
    fn of(batch: &BatchRow, report: &mut Report) -> Option<Self> {
        if batch.state != "sealed" {
            return None;
        }
        let root = batch.root.as_deref().and_then(|root| root.try_into().ok());
        let size = batch.size.and_then(|size| u64::try_from(size).ok());
        let (Some(header), Some(size), Some(root)) = (&batch.header, size, root) else {
            report.add("batches", key(batch.number), "it is sealed without header, size or root");
            return None;
        };
        match BatchHeader::parse(header) {
            Ok(header) => Some(Self { number: batch.number, header, size, root }),
            Err(error) => {
                report.add("batches", key(batch.number), format!("its header is damaged: {error}"));
                None
            }
        }
    }
}

fn check_header(previous: &Previous, batch: &BatchRow, sealed: &Sealed, report: &mut Report) {
    let header = &sealed.header;
    let mut wrong = |what: &str| report.add("batches", key(batch.number), what);
    if i64::try_from(header.number) != Ok(batch.number) {
        wrong("its header has another number");
    }
    if header.count.checked_add(1) != Some(sealed.size) {
        wrong("its size is not the count of its header and one");
    }
    if previous.root.as_deref() != Some(header.previous_root.as_ref()) {
        wrong("its header does not name the root of the batch before it");
    }
    let sealed_at = batch.sealed_at.map(|at| (at.unix_timestamp(), at.nanosecond()));
    if sealed_at != i64::try_from(header.sealed_at).ok().map(|at| (at, 0)) {
        wrong("sealed_at is not that of its header");
    }
}

/// The rule it is judged by is the one it was sealed under, lowered only where anchors were withdrawn.
fn check_policy(batch: &BatchRow, report: &mut Report) {
    let lowered = batch.withdrawn && batch.policy.is_some_and(|needed| batch.anchors_needed < needed);
    if batch.policy != Some(batch.anchors_needed) && !lowered {
        let policy = batch.policy.map_or_else(|| "nothing".into(), |needed| needed.to_string());
        let what = format!("it needs {} anchors, the policy it was sealed under says {policy}", batch.anchors_needed);
        report.add("batches", key(batch.number), what);
    }
}

/// A batch counts as anchored exactly when the rule says so.
pub(super) async fn check_anchored(ledger: &Ledger, report: &mut Report) -> Result<()> {
    for row in ledger.audit_anchored(super::NAMED as i64).await? {
        let counts = if row.anchored { "counts" } else { "does not count" };
        let what = format!("it {counts} as anchored, but {} of {} anchors stand", row.standing, row.needed);
        report.add("batches", key(row.number), what);
    }
    Ok(())
}
