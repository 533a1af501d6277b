//! `GET /core/v1/log`.

use axum::Json;
use axum::http::Uri;
use sceau_verifier::Digest;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::RawValue;

use super::Page;
use crate::api::State;
use crate::api::access::caller::Caller;
use crate::api::error::{Code, Result};
use crate::api::openapi::schema;
use crate::ledger::accounts::audit_log::Row;

/// An event.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "LogEntry")]
struct View {
    number: i64,
    #[schemars(with = "schema::LogEvent")]
    event: Box<RawValue>,
    /// Hash of the row before.
    #[schemars(with = "schema::Digest")]
    previous: Digest,
    /// SHA-256 of the bytes of `previous` and the event's text.
    #[schemars(with = "schema::Digest")]
    hash: Digest,
}

impl View {
    fn of(row: Row) -> Result<Self> {
        let hash = |bytes: Vec<u8>| {
            let bytes: Option<[u8; 32]> = bytes.try_into().ok();
            bytes.map(Digest::from).ok_or_else(|| Code::Internal.because("a hash of the log has not 32 bytes"))
        };
        Ok(Self {
            number: row.number,
            event: RawValue::from_string(row.entry).map_err(|error| Code::Internal.because(error))?,
            previous: hash(row.previous)?,
            hash: hash(row.hash)?,
        })
    }
}

#[derive(JsonSchema, Serialize)]
#[schemars(rename = "Log")]
pub(super) struct List {
    log: Vec<View>,
    /// What `after` must be for the next page; null when there is none yet.
    next: Option<i64>,
}

/// `GET /core/v1/log`: what was done to the caller's account and to those it administers, oldest first.
///
/// # Errors
/// [`Code::QueryInvalid`].
pub(super) async fn list(api: State, caller: Caller, uri: Uri) -> Result<Json<List>> {
    let (after, limit) = Page::of(&uri)?;
    let mut found = api.ledger.log(Some(caller.account), after.unsigned_abs(), limit as i64 + 1).await?;
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| more).map(|last| last.number);
    Ok(Json(List { log: found.into_iter().map(View::of).collect::<Result<_>>()?, next }))
}
