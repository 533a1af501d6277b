//! Schemas of what the verifier defines: it is built without a schema library, so its types are described here. Names and
//! patterns are those of SPEC.md.

use std::borrow::Cow;

use sceau_verifier::Verdict as Verdicts;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

use crate::api::error::Code;

/// A text without U+0000.
pub const NO_NUL: &str = "^[^\\u0000]*$";

macro_rules! described {
    ($($(#[doc = $doc:literal])* $name:ident, $inline:literal, $schema:expr;)*) => {$(
        $(#[doc = $doc])*
        #[derive(Debug, Clone, Copy)]
        pub enum $name {}

        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                $inline
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn schema_id() -> Cow<'static, str> {
                concat!(module_path!(), "::", stringify!($name)).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                let mut schema: Schema = $schema;
                schema.insert("description".into(), concat!($($doc),*).trim().into());
                schema
            }
        }
    )*};
}

fn hex(prefix: &str, digits: u32) -> Schema {
    json_schema!({ "type": "string", "pattern": format!("^{prefix}[0-9a-f]{{{digits}}}$") })
}

fn words(words: impl Iterator<Item = &'static str>) -> Schema {
    json_schema!({ "type": "string", "enum": words.collect::<Vec<_>>() })
}

/// JSON without U+0000 in any text.
fn json_without_nul() -> Value {
    json!({
        "anyOf": [
            { "type": ["null", "boolean", "number"] },
            { "type": "string", "pattern": NO_NUL },
            { "type": "array", "items": { "$ref": "#/components/schemas/Json" } },
            { "type": "object", "propertyNames": { "pattern": NO_NUL }, "additionalProperties": { "$ref": "#/components/schemas/Json" } },
        ],
    })
}

described! {
    /// SHA-256 as 64 lower-case hexadecimal digits.
    Digest, false, hex("", 64);
    /// 16 bytes as 32 lower-case hexadecimal digits.
    Salt, false, hex("", 32);
    /// 32 bytes of a chain as 0x and 64 lower-case hexadecimal digits.
    Hash32, false, hex("0x", 64);
    /// Address of a contract: 0x and 40 lower-case hexadecimal digits.
    Address, false, hex("0x", 40);
    /// A chain as CAIP-2 names it.
    Chain, false, json_schema!({ "type": "string", "pattern": "^eip155:[1-9][0-9]{0,19}$" });
    /// RFC 3339, UTC.
    Time, true, json_schema!({ "type": "string", "format": "date-time" });
    /// What a validator decided.
    Choice, true, words(["approved", "refused"].into_iter());
    /// What a verifier says (SPEC.md §4).
    Verdict, true,
        words([Verdicts::Verified, Verdicts::Invalid, Verdicts::NotYet, Verdicts::CannotTell].into_iter().map(Verdicts::as_str));
    /// Why: a code of SPEC.md §4, or of this service where there is nothing to verify yet.
    VerdictCode, true, {
        let ours = ["not_sealed", "awaiting_validation", "refused"];
        words(sceau_verifier::Code::ALL.iter().map(|code| code.as_str()).chain(ours))
    };
    /// The stable name of a problem; programs decide by it.
    ProblemCode, false, words(Code::ALL.iter().map(|code| code.as_str()));
    /// Any JSON object.
    AnyObject, true, json_schema!({ "type": "object" });
    /// Any JSON at all.
    Anything, true, json_schema!({});
    /// Any JSON without U+0000 in a text.
    Json, false, Schema::try_from(json_without_nul()).unwrap_or_default();
    /// A number in a path: decimal, without sign and leading zeros.
    Number, true, json_schema!({ "type": "integer", "format": "int64", "minimum": 0, "maximum": i64::MAX });
    /// Id of an account.
    AccountNumber, true, json_schema!({ "type": "integer", "format": "int64", "minimum": 1, "maximum": i64::MAX });
    /// Level of a tile.
    TileLevel, true, json_schema!({ "type": "integer", "minimum": 0, "maximum": 7 });
    /// Place of a tile in its level.
    TileIndex, true, json_schema!({ "type": "string", "pattern": "^(x[0-9]{3}/){0,6}[0-9]{3}(\\.p/[1-9][0-9]{0,2})?$" });
}

/// An object without U+0000 in any text.
#[derive(Debug, Clone, Copy)]
pub enum Object {}

impl JsonSchema for Object {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Object".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let inner = generator.subschema_for::<Json>();
        json_schema!({
            "type": "object",
            "propertyNames": { "pattern": NO_NUL },
            "additionalProperties": inner,
            "maxProperties": 500,
        })
    }
}

/// An event of the log.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "it describes what the database writes")]
#[schemars(rename = "LogEvent")]
pub struct LogEvent {
    number: i64,
    at: Time,
    /// `operator`, `service`, `stranger`, `account 7`, or `database user …`.
    actor: String,
    /// A stable name, like `account.changed` or `token.refused`.
    action: String,
    /// The account it is about.
    #[schemars(with = "i64", skip_serializing_if = "Option::is_none")]
    account: Option<i64>,
    /// From where.
    #[schemars(with = "String", skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    /// What else there is to say.
    detail: AnyObject,
}

/// What was found about one anchor of a receipt.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "it describes the verifier's type of that name")]
#[schemars(rename = "AnchorReport")]
pub struct AnchorReport {
    chain: Chain,
    registry: Address,
    block_number: u64,
    block_hash: Hash32,
    /// Seconds since 1970.
    block_time: u64,
    code: VerdictCode,
    detail: String,
}

/// One item of a submission that is not in order.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "it describes an item of a problem")]
#[schemars(rename = "ItemError")]
pub struct ItemError {
    /// Its position, from 0.
    index: u32,
    /// What is wrong, as a stable name.
    code: String,
    /// What exactly, for people.
    detail: String,
}

/// RFC 9457. The first six members are always there, the others where the code says so.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "it describes what is printed from parts")]
#[schemars(rename = "Problem")]
pub struct Problem {
    /// A link to what the code means.
    r#type: String,
    title: String,
    status: u16,
    code: ProblemCode,
    detail: String,
    /// As in `x-request-id`; tell it to the operator.
    request_id: String,
    /// With `body_malformed` and `body_invalid`: where.
    #[schemars(default)]
    line: u32,
    #[schemars(default)]
    column: u32,
    /// With `proofs_invalid`: the first 100.
    #[schemars(default, length(max = 100))]
    errors: Vec<ItemError>,
    /// With `proofs_invalid`: how many there are.
    #[schemars(default)]
    error_count: u32,
    /// With `receipt_not_ready`: how far the proof is.
    #[schemars(default)]
    proof_status: String,
    /// With `receipt_not_ready`: until when it was promised to be anchored.
    #[schemars(default)]
    anchor_by: Option<Time>,
    /// With `validation_settled`: `accepted` or `refused`.
    #[schemars(default)]
    state: String,
    /// With `decision_differs`: what this validator decided.
    #[schemars(default)]
    decision: String,
    /// With `not_ready`: each check, `ok` or `failed`.
    #[schemars(default)]
    checks: Option<AnyObject>,
    /// With `cursor_unknown`: number of the newest event.
    #[schemars(default)]
    last: u64,
    /// With `proof_erased`: its number, its batch, and when it was erased.
    #[schemars(default)]
    number: u64,
    #[schemars(default)]
    batch: u64,
    #[schemars(default)]
    erased_at: Option<Time>,
}

/// An error of RFC 6749 §5.2.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "it describes what is printed from parts")]
#[schemars(rename = "GrantError")]
pub struct GrantError {
    #[schemars(extend("enum" = ["invalid_request", "invalid_client", "invalid_grant", "unsupported_grant_type", "invalid_scope"]))]
    error: String,
    error_description: String,
}
