//! What a partner keeps: a promise alone, or the answer of a submission with the records it is about (step 29).

use serde_json::{Map, Value};

use super::{MAX_BYTES, Record, json};
use crate::verdict::{Code, Failure};

/// A file with a promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// The compact JWS.
    pub jws: String,
    /// The accepted items of the answer around it, in their order; none: the file is the promise alone.
    pub records: Option<Vec<Record>>,
}

/// Step 29: a promise alone, or an answer with one. One line feed at the end is allowed.
///
/// # Errors
/// [`Code::PromiseMalformed`].
pub fn read(bytes: &[u8]) -> Result<Evidence, Failure> {
    let malformed = |what: &str| Failure::new(Code::PromiseMalformed, what);
    if bytes.len() > MAX_BYTES {
        return Err(malformed("longer than 16 MiB"));
    }
    let body = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    if body.first() != Some(&b'{') {
        let jws = std::str::from_utf8(body).map_err(|_| malformed("not text"))?;
        return Ok(Evidence { jws: jws.into(), records: None });
    }
    let answer = json::read(body).map_err(|error| malformed(&error.to_string()))?;
    let jws = answer.get("promise").and_then(Value::as_str).ok_or_else(|| malformed("an answer without \"promise\""))?;
    let items = answer.get("proofs").and_then(Value::as_array).ok_or_else(|| malformed("an answer without \"proofs\""))?;
    let mut records = Vec::new();
    for item in items {
        let item = item.as_object().ok_or_else(|| malformed("an item of the answer is no object"))?;
        // Only what is accepted is promised.
        if item.contains_key("anchor_by") {
            records.push(record(item).ok_or_else(|| malformed("an item of the answer that cannot be read"))?);
        }
    }
    Ok(Evidence { jws: jws.into(), records: Some(records) })
}

fn record(item: &Map<String, Value>) -> Option<Record> {
    let text = |name: &str| item.get(name)?.as_str();
    let number = |name: &str| item.get(name)?.as_u64();
    let record = Record {
        digest: text("digest")?.parse().ok()?,
        salt: text("salt")?.parse().ok()?,
        number: number("number")?,
        batch: number("batch")?,
        accepted_at: text("received_at")?.parse().ok()?,
        anchor_by: text("anchor_by")?.parse().ok()?,
    };
    record.is_in_range().then_some(record)
}
