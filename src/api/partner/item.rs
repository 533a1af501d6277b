//! One item of a submission: strict reading, every bound checked before anything is stored.

use sceau_verifier::Digest;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::api::body::shortened;
use crate::api::openapi::schema;
use crate::ledger::intake::Detail;

/// Proofs in one submission at most.
pub const MOST: usize = 10_000;
/// Characters of a file name or reference at most.
const TEXT: usize = 255;
/// Labels at most, and characters of each.
const LABELS: (usize, usize) = (20, 64);
/// Bytes of the metadata as compact JSON at most.
const METADATA: usize = 4096;

/// The body of a submission. Items stay unread so that each is answered for by itself.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Submission")]
pub struct Body<'a> {
    /// The items.
    #[serde(borrow)]
    #[schemars(with = "Vec<Item>", length(min = 1, max = MOST))]
    pub proofs: Items<'a>,
    /// Whether items that do not say wait for validators.
    #[serde(default)]
    pub validation: bool,
}

/// Items of a submission. Those beyond [`MOST`] are counted but not kept.
pub type Items<'a> = crate::api::body::Items<'a, MOST>;

/// One document of a submission.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("dependentSchemas" = { "again": { "anyOf": [
    { "properties": { "again": { "enum": [false, null] } } }, { "required": ["validation"], "properties": { "validation": { "const": true } } }
] } }))]
struct Item {
    /// SHA-256 of the document.
    #[schemars(with = "schema::Digest")]
    digest: String,
    /// Name of the document on your side.
    #[schemars(length(max = TEXT), regex(pattern = schema::NO_NUL))]
    file_name: Option<String>,
    /// Your own reference.
    #[schemars(length(max = TEXT), regex(pattern = schema::NO_NUL))]
    reference: Option<String>,
    /// Labels for finding the proof again.
    #[schemars(length(max = LABELS.0), inner(length(max = LABELS.1), regex(pattern = schema::NO_NUL)))]
    labels: Option<Vec<String>>,
    /// Any JSON object of at most 4,096 bytes as compact JSON, without U+0000.
    #[schemars(with = "Option<schema::Object>")]
    metadata: Option<Map<String, Value>>,
    /// Whether it waits for the account's validators; without it, what stands beside `proofs` counts.
    validation: Option<bool>,
    /// With `validation`: asks the validators again after a refusal.
    again: Option<bool>,
}

/// An item that is in order.
#[derive(Debug, Clone, PartialEq)]
pub struct Read {
    /// The digest.
    pub digest: Digest,
    /// What is said about it.
    pub detail: Option<Detail>,
    /// Whether it waits for validators.
    pub validation: bool,
    /// Whether a refusal opens another round.
    pub again: bool,
}

/// What is wrong with an item: a stable name and a sentence.
pub type Fault = (&'static str, String);

/// Reads one item; `validation` is what the submission says for those that do not.
///
/// # Errors
/// `item_invalid` (shape), `digest_invalid`, `file_name_too_long`, `reference_too_long`, `labels_too_many`,
/// `label_too_long`, `metadata_too_large`, `nul_character`.
pub fn read(raw: &RawValue, validation: bool) -> Result<Read, Fault> {
    of(raw.get().as_bytes(), validation)
}

/// Reads one item from its JSON; that it is JSON is not known yet.
///
/// # Errors
/// As [`read`].
pub fn of(json: &[u8], validation: bool) -> Result<Read, Fault> {
    let item: Item = serde_json::from_slice(json).map_err(|error| ("item_invalid", shortened(&error.to_string())))?;
    let digest = super::digest(&item.digest).map_err(|why| ("digest_invalid", why))?;
    text("file_name", "file_name_too_long", item.file_name.as_deref())?;
    text("reference", "reference_too_long", item.reference.as_deref())?;
    for (at, label) in item.labels.iter().flatten().enumerate() {
        if at == LABELS.0 {
            return Err(("labels_too_many", format!("at most {} labels", LABELS.0)));
        }
        if longer(label, LABELS.1) {
            return Err(("label_too_long", format!("a label has at most {} characters", LABELS.1)));
        }
        no_nul("labels", label)?;
    }
    if let Some(metadata) = &item.metadata {
        let length = serde_json::to_string(metadata).map_or(usize::MAX, |text| text.len());
        if length > METADATA {
            return Err((
                "metadata_too_large",
                format!("metadata has at most {METADATA} bytes as compact JSON, this has {length}"),
            ));
        }
        if metadata.iter().any(|(name, value)| name.contains('\0') || holds_nul(value)) {
            return Err(nul("metadata"));
        }
    }
    let (validation, again) = (item.validation.unwrap_or(validation), item.again.unwrap_or(false));
    if again && !validation {
        return Err(("item_invalid", "again goes with validation".into()));
    }
    let Item { file_name, reference, labels, metadata, .. } = item;
    let detail = Detail { file_name, reference, labels, metadata, visible: false };
    Ok(Read { digest, detail: (detail != Detail::default()).then_some(detail), validation, again })
}

fn text(name: &str, code: &'static str, value: Option<&str>) -> Result<(), Fault> {
    let Some(value) = value else { return Ok(()) };
    if longer(value, TEXT) {
        return Err((code, format!("{name} has at most {TEXT} characters")));
    }
    no_nul(name, value)
}

fn longer(text: &str, most: usize) -> bool {
    text.chars().nth(most).is_some()
}

fn no_nul(name: &str, value: &str) -> Result<(), Fault> {
    if value.contains('\0') { Err(nul(name)) } else { Ok(()) }
}

fn nul(name: &str) -> Fault {
    ("nul_character", format!("{name} must not contain U+0000"))
}

/// serde_json bounds the depth to 128, and so the depth of this.
fn holds_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(list) => list.iter().any(holds_nul),
        Value::Object(map) => map.iter().any(|(name, value)| name.contains('\0') || holds_nul(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn outcome(item: &Value) -> Result<Read, Fault> {
        read(&serde_json::value::to_raw_value(item).unwrap(), false)
    }

    fn with(member: &str, value: Value) -> Value {
        json!({ "digest": "a1".repeat(32), member: value })
    }

    #[test]
    fn bounds_are_met_and_crossed() {
        let label = |length| "ü".repeat(length);
        for (member, most, more, code) in [
            ("file_name", json!("ü".repeat(255)), json!("ü".repeat(256)), "file_name_too_long"),
            ("reference", json!("r".repeat(255)), json!("r".repeat(256)), "reference_too_long"),
            ("labels", json!(vec!["l"; 20]), json!(vec!["l"; 21]), "labels_too_many"),
            ("labels", json!([label(64)]), json!([label(65)]), "label_too_long"),
            ("metadata", json!({ "k": "v".repeat(4096 - 8) }), json!({ "k": "v".repeat(4096 - 7) }), "metadata_too_large"),
        ] {
            let read = outcome(&with(member, most)).expect(member);
            assert!(read.detail.is_some(), "{member}");
            assert_eq!(outcome(&with(member, more)).unwrap_err().0, code, "{member}");
        }
    }

    #[test]
    fn nul_is_refused_wherever_it_hides() {
        for (member, value) in [
            ("file_name", json!("a\0")),
            ("reference", json!("\0")),
            ("labels", json!(["ok", "\0"])),
            ("metadata", json!({ "a": "\0" })),
            ("metadata", json!({ "\0": 1 })),
            ("metadata", json!({ "a": [{ "b": ["\0"] }] })),
            ("metadata", json!({ "a": { "\0": 1 } })),
        ] {
            assert_eq!(outcome(&with(member, value.clone())).unwrap_err().0, "nul_character", "{member} {value}");
        }
    }

    #[test]
    fn other_shapes_are_refused() {
        for item in [
            json!(1),
            json!(null),
            json!([]),
            json!({}),
            json!({ "digest": 1 }),
            with("extra", json!(1)),
            with("labels", json!("l")),
            with("metadata", json!([])),
        ] {
            assert_eq!(outcome(&item).unwrap_err().0, "item_invalid", "{item}");
        }
        let deep = format!(r#"{{"digest":"{}","metadata":{{"a":{}{}}}}}"#, "a1".repeat(32), "[".repeat(200), "]".repeat(200));
        assert_eq!(read(&RawValue::from_string(deep).unwrap(), false).unwrap_err().0, "item_invalid");
    }

    #[test]
    fn nothing_said_is_no_detail() {
        let read = outcome(&with("file_name", Value::Null)).unwrap();
        assert_eq!(read.detail, None);
    }

    #[test]
    fn an_item_overrules_its_submission_about_validation() {
        let plain = json!({ "digest": "a1".repeat(32) });
        let of = |item: &Value, submission| {
            read(&serde_json::value::to_raw_value(item).unwrap(), submission).map(|read| (read.validation, read.again))
        };
        for (item, submission, expected) in [
            (plain.clone(), false, Some((false, false))),
            (plain, true, Some((true, false))),
            (with("validation", json!(false)), true, Some((false, false))),
            (with("validation", json!(true)), false, Some((true, false))),
            (with("again", json!(true)), true, Some((true, true))),
            (with("again", json!(true)), false, None),
            (with("validation", json!("yes")), true, None),
        ] {
            assert_eq!(of(&item, submission).ok(), expected, "{item} {submission}");
        }
    }

    #[test]
    fn items_beyond_the_most_are_counted() {
        for (count, kept) in [(0, 0), (1, 1), (MOST, MOST), (MOST + 3, MOST)] {
            let text = format!(r#"{{"proofs":[{}]}}"#, vec!["0"; count].join(","));
            let body: Body<'_> = serde_json::from_str(&text).unwrap();
            assert_eq!((body.proofs.count, body.proofs.kept.len()), (count, kept));
        }
    }
}
