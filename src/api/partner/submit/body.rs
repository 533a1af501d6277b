//! A submission that is read as a whole, and what is not in order in it.

use crate::api::State;
use crate::api::body::JsonBytes;
use crate::api::error::{Code, ItemError, Problem, Result};
use crate::api::partner::item::{self, Body, MOST, Read};
use crate::ledger::accounts::AccountId;

/// Faults listed at most; all are counted.
const LISTED: usize = 100;

/// Its items.
///
/// # Errors
/// [`Code::ProofsCount`], [`Code::ProofsInvalid`].
pub(super) fn read(body: &JsonBytes) -> Result<Vec<Read>> {
    let body = body.read::<Body<'_>>()?;
    let (items, validation) = (body.proofs, body.validation);
    if !(1..=MOST).contains(&items.count) {
        return Err(Code::ProofsCount.with(format!("a submission has 1 to {MOST} proofs, this has {}", items.count)));
    }
    let count = items.count;
    let (mut read, mut faults) = (Vec::with_capacity(count), Faults::default());
    for (index, raw) in items.kept.into_iter().enumerate() {
        match item::read(raw, validation) {
            Ok(item) => read.push(item),
            Err(fault) => faults.add(index, fault),
        }
    }
    if faults.count == 0 { Ok(read) } else { Err(faults.of(count)?) }
}

/// Which of the items, read before, stand where the leaf of an erased proof is, as the answer to them all.
///
/// # Errors
/// When the database cannot be asked.
pub(super) async fn erased(api: &State, account: AccountId, items: &[Read]) -> Result<Problem> {
    let digests: Vec<_> = items.iter().map(|item| item.digest).collect();
    let gone = api.ledger.erased_leaves(account, &digests).await?;
    let mut faults = Faults::default();
    for (index, _) in items.iter().enumerate().filter(|(_, item)| gone.contains(&item.digest)) {
        faults.add(index, item::erased());
    }
    faults.of(items.len())
}

#[derive(Default)]
struct Faults {
    listed: Vec<ItemError>,
    count: usize,
}

impl Faults {
    fn add(&mut self, index: usize, (code, detail): item::Fault) {
        self.count += 1;
        if self.listed.len() < LISTED {
            self.listed.push(ItemError { index, code, detail });
        }
    }

    fn of(self, items: usize) -> Result<Problem> {
        let listed = serde_json::to_value(&self.listed).map_err(|error| Code::Internal.because(error))?;
        let detail = format!("{} of {items} proofs are not in order; nothing was stored", self.count);
        Ok(Code::ProofsInvalid.with(detail).member("errors", listed).member("error_count", self.count))
    }
}
