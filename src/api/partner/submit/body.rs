//! A submission that is read as a whole, and what is not in order in it.

use crate::api::body::JsonBytes;
use crate::api::error::{Code, ItemError, Result};
use crate::api::partner::item::{self, Body, MOST, Read};

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
    let (mut read, mut faults, mut count) = (Vec::with_capacity(items.count), Vec::new(), 0);
    for (index, raw) in items.kept.into_iter().enumerate() {
        match item::read(raw, validation) {
            Ok(item) => read.push(item),
            Err((code, detail)) => {
                count += 1;
                if faults.len() < LISTED {
                    faults.push(ItemError { index, code, detail });
                }
            }
        }
    }
    if count == 0 {
        return Ok(read);
    }
    let listed = serde_json::to_value(&faults).map_err(|error| Code::Internal.because(error))?;
    let detail = format!("{count} of {} proofs are not in order; nothing was stored", items.count);
    Err(Code::ProofsInvalid.with(detail).member("errors", listed).member("error_count", count))
}
