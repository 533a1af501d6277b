//! The operator's signed promise (verifier/SPEC.md §2.6), made of what stands in the ledger.

use sceau_verifier::promise::{Moment, Payload, Record};
use sceau_verifier::{Digest, Salt};
use time::OffsetDateTime;

use super::State;

/// What is promised about one digest: number and batch, when it was accepted and until when it is anchored. `None` for
/// moments that cannot be written, which no clock shows.
pub(super) fn record(
    (digest, salt): (Digest, Salt),
    (number, batch): (u64, u64),
    (received_at, anchor_by): (OffsetDateTime, OffsetDateTime),
) -> Option<Record> {
    let moment = |at: OffsetDateTime| Moment::from_micros(u64::try_from(at.unix_timestamp_nanos() / 1_000).ok()?);
    Some(Record { digest, salt, number, batch, accepted_at: moment(received_at)?, anchor_by: moment(anchor_by)? })
}

/// One signature over all of them, whatever their number; `None` where nothing is promised.
pub(super) fn sign(api: &State, account: &str, records: &[Record]) -> Option<String> {
    if records.is_empty() {
        return None;
    }
    let now = api.ports.clock.now();
    let seconds = now.unix_timestamp().try_into().unwrap_or_default();
    Some(api.tokens.promise(&Payload::new(&api.public_url, seconds, account, records), now))
}
