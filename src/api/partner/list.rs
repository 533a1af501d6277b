//! `GET /v1/proofs`: the account's proofs in the order of their numbers, in pages or as a stream of lines.

use std::collections::VecDeque;
use std::time::Duration;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::Query;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, Uri};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use sceau_verifier::{Digest, Salt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use time::OffsetDateTime;
use tokio::time::Instant;

use super::{Links, bulk};
use crate::api::State;
use crate::api::access::caller::Caller;
use crate::api::error::{Code, Problem, Result};
use crate::api::openapi::schema;
use crate::api::streams::Seat;
use crate::ledger::intake::Detail;
use crate::ledger::proofs::Status;
use crate::ledger::proofs::listing::{Filter, Listed};

/// Proofs of a page, where nothing is said, and at most.
const PAGE: (u64, u64) = (100, 1_000);
/// A stream that found nothing for so long sends a blank line, so that nobody takes it for dead.
const SIGN: Duration = Duration::from_secs(10);
/// Longest text that is looked for.
const TEXT: usize = 255;

#[derive(Deserialize, Default, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    /// Only proofs with a higher number.
    #[serde(default)]
    after: u64,
    /// Proofs of a page; 100 when nothing is said.
    #[schemars(range(min = 1, max = 1_000))]
    limit: Option<u64>,
    /// Only those that are so far.
    status: Option<Status>,
    /// Only those with exactly this label.
    label: Option<String>,
    /// Only those with this text in their file name, in any case.
    file_name: Option<String>,
    /// Only those received at this moment or later.
    #[serde(default, with = "time::serde::rfc3339::option")]
    #[schemars(with = "Option<schema::Time>")]
    received_from: Option<OffsetDateTime>,
    /// Only those received before this moment.
    #[serde(default, with = "time::serde::rfc3339::option")]
    #[schemars(with = "Option<schema::Time>")]
    received_to: Option<OffsetDateTime>,
    /// Only those in this batch.
    batch: Option<u64>,
}

impl Asked {
    fn of(uri: &Uri) -> Result<Self> {
        let invalid = |detail: &str| Code::QueryInvalid.with(detail);
        let asked =
            Query::<Self>::try_from_uri(uri).map_err(|error| invalid(&crate::api::body::shortened(&error.body_text())))?.0;
        if asked.after > i64::MAX as u64 - 1 || asked.batch.is_some_and(|batch| batch > i64::MAX as u64) {
            return Err(invalid("a number is too large"));
        }
        if asked.limit == Some(0) {
            return Err(invalid("limit is at least 1"));
        }
        if asked.status.is_some_and(|status| status < Status::Pending) {
            return Err(invalid(
                "what waits for validators, or was refused, is no proof: status is pending, sealed, anchored or final",
            ));
        }
        for text in asked.label.iter().chain(&asked.file_name) {
            if text.is_empty() || text.chars().count() > TEXT || text.contains('\0') {
                return Err(invalid("label and file_name have 1 to 255 characters, and no U+0000"));
            }
        }
        Ok(asked)
    }
}

#[derive(JsonSchema, Serialize)]
#[schemars(rename = "ListedProof")]
struct View {
    number: u64,
    #[schemars(with = "schema::Digest")]
    digest: Digest,
    status: Status,
    batch: u64,
    #[serde(with = "time::serde::rfc3339")]
    #[schemars(with = "schema::Time")]
    received_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    #[schemars(with = "schema::Time")]
    anchor_by: OffsetDateTime,
    overdue: bool,
    #[serde(flatten)]
    detail: Detail,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "schema::Salt")]
    salt: Option<Salt>,
    #[serde(skip_serializing_if = "Option::is_none", with = "time::serde::rfc3339::option")]
    #[schemars(with = "schema::Time")]
    erased_at: Option<OffsetDateTime>,
    #[serde(skip_serializing_if = "Option::is_none")]
    links: Option<Links>,
}

impl View {
    /// Without links: they follow from the digest.
    fn short(api: &State, proof: Listed) -> Self {
        let anchor_by = api.deadline.kept(proof.anchor_by, proof.received_at);
        Self {
            number: proof.number,
            digest: proof.digest,
            status: proof.status,
            batch: proof.batch,
            received_at: proof.received_at,
            anchor_by,
            overdue: proof.status < Status::Anchored && api.ports.clock.now() > anchor_by,
            detail: proof.detail,
            salt: proof.salt,
            erased_at: proof.erased_at,
            links: None,
        }
    }

    fn of(api: &State, proof: Listed) -> Self {
        // Of an erased one nothing can be asked any more.
        let links = proof.erased_at.is_none().then(|| Links::of(api, &proof.digest, proof.batch));
        Self { links, ..Self::short(api, proof) }
    }
}

#[derive(JsonSchema, Serialize)]
#[schemars(rename = "Proofs")]
pub(super) struct Page {
    proofs: Vec<View>,
    /// What `after` must be for the next page; none when there is none.
    next: Option<u64>,
}

/// A page, or with `Accept: application/x-ndjson` all of them, one a line.
///
/// # Errors
/// [`Code::QueryInvalid`]; for streams [`Code::RateLimited`] and [`Code::PoolFull`] too.
pub async fn list(api: State, caller: Caller, headers: HeaderMap, uri: Uri) -> Result<Response> {
    let asked = Asked::of(&uri)?;
    let filter = Filter {
        status: asked.status,
        label: asked.label,
        file_name: asked.file_name,
        received_from: asked.received_from,
        received_to: asked.received_to,
        batch: asked.batch,
    };
    let lines = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).any(|value| value.contains(bulk::MEDIA));
    if lines {
        let seat = api.streams.enter(caller.account)?;
        let newest = api.ledger.newest_number(caller.account).await?.unsigned_abs();
        let left = asked.limit.unwrap_or(u64::MAX);
        let lines = Lines { api, caller, filter, after: asked.after, newest, left, listed: 0, ended: false, _seat: seat };
        return Ok(([(CONTENT_TYPE, bulk::MEDIA)], lines.body()).into_response());
    }
    let limit = asked.limit.unwrap_or(PAGE.0);
    if limit > PAGE.1 {
        return Err(Code::QueryInvalid.with(format!("limit is at most {}", PAGE.1)));
    }
    let page = api.ledger.list(caller.account, &filter, asked.after, limit as usize).await?;
    let proofs = page.proofs.into_iter().map(|proof| View::of(&api, proof)).collect();
    Ok(Json(Page { proofs, next: page.next }).into_response())
}

/// What is left of a stream. Keeps one page; asks for the next when that was taken.
struct Lines {
    api: State,
    caller: Caller,
    filter: Filter,
    after: u64,
    /// What is accepted later is not listed: the stream has an end.
    newest: u64,
    left: u64,
    listed: u64,
    ended: bool,
    _seat: Seat,
}

impl Lines {
    fn body(self) -> Body {
        Body::from_stream(stream::unfold((self, VecDeque::<Bytes>::new()), |(mut lines, mut ready)| async move {
            if let Some(piece) = ready.pop_front() {
                return Some((Ok::<_, std::convert::Infallible>(piece), (lines, ready)));
            }
            let piece = lines.piece().await?;
            Some((Ok(piece), (lines, ready)))
        }))
    }

    /// The lines of some pages, or the last line; none behind that.
    async fn piece(&mut self) -> Option<Bytes> {
        if self.ended {
            return None;
        }
        let begun = Instant::now();
        loop {
            let found = match self.page().await {
                Ok(found) => found,
                Err(problem) => return Some(self.end(Some(&problem))),
            };
            match found {
                (lines, true) => {
                    let mut lines = lines;
                    lines.extend_from_slice(&self.end(None));
                    return Some(lines.into());
                }
                (lines, false) if !lines.is_empty() => return Some(lines.into()),
                (_, false) if begun.elapsed() > SIGN => return Some(Bytes::from_static(b"\n")),
                (_, false) => {}
            }
        }
    }

    /// One page as lines, and whether it was the last.
    async fn page(&mut self) -> Result<(Vec<u8>, bool)> {
        self.caller.still(&self.api).await?;
        let limit = self.left.min(PAGE.1) as usize;
        let page = self.api.ledger.list(self.caller.account, &self.filter, self.after, limit).await?;
        let mut lines = Vec::new();
        for proof in page.proofs {
            if proof.number > self.newest {
                return Ok((lines, true));
            }
            self.after = proof.number;
            serde_json::to_writer(&mut lines, &View::short(&self.api, proof)).map_err(|error| Code::Internal.because(error))?;
            lines.push(b'\n');
            (self.listed, self.left) = (self.listed + 1, self.left - 1);
        }
        match page.next {
            Some(next) => self.after = next,
            None => return Ok((lines, true)),
        }
        Ok((lines, self.left == 0 || self.after >= self.newest))
    }

    /// The last line. Without it the list is not whole; with `stopped` it can be gone on with behind `after`.
    fn end(&mut self, problem: Option<&Problem>) -> Bytes {
        self.ended = true;
        let mut said = json!({ "listed": self.listed, "after": self.after });
        if let Some(problem) = problem {
            said["stopped"] = Value::Object(problem.said());
        }
        let mut line = json!({ "end": said }).to_string().into_bytes();
        line.push(b'\n');
        line.into()
    }
}
