//! `GET /v1/events`: the account's log, by pages, waiting for more, or as a stream.

use std::convert::Infallible;
use std::time::Duration;

use axum::Json;
use axum::extract::Query;
use axum::http::header::{ACCEPT, CACHE_CONTROL};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri};
use axum::response::sse::{self, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, stream};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::operations::events::Told;
use crate::api::State;
use crate::api::access::caller::Caller;
use crate::api::error::{Code, Problem, Result};
use crate::api::news::Seat;
use crate::ledger::notices::{Event, Page};

/// Events of a page when nothing is said, and at most.
const PAGE: (u32, u32) = (100, 1_000);

/// Longest wait for a page, seconds: shorter than a whole answer may take.
const MAX_WAIT: u64 = 10;

/// A stream says something at least so often: proxies end connections that are silent for a minute.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// A stream is ended after so long; its reader connects again where it stopped.
const STREAM: Duration = Duration::from_secs(600);

static LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

#[derive(Deserialize, Default, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Wish {
    /// Only events behind this one.
    after: Option<u64>,
    /// Events of a page; 100 when nothing is said.
    #[schemars(range(min = 1, max = PAGE.1))]
    limit: Option<u32>,
    /// Seconds an empty answer waits for an event.
    #[schemars(range(max = MAX_WAIT))]
    wait: Option<u64>,
}

#[derive(JsonSchema, Serialize)]
#[schemars(rename = "Events")]
pub(super) struct Answer {
    #[schemars(with = "Vec<Told>")]
    events: Vec<Event>,
    /// What `after` must be for what follows.
    next: u64,
    /// Number of the newest event.
    last: u64,
}

/// The account's events behind `after`.
///
/// # Errors
/// [`Code::QueryInvalid`], [`Code::CursorUnknown`], [`Code::RateLimited`].
pub async fn events(api: State, caller: Caller, uri: Uri, headers: HeaderMap) -> Result<Response> {
    let wish = Query::<Wish>::try_from_uri(&uri)
        .map_err(|_| Code::QueryInvalid.with("only after=NUMBER, limit=NUMBER and wait=SECONDS"))?
        .0;
    let streaming = wants_stream(&headers);
    let limit = wish.limit.unwrap_or(PAGE.0);
    if !(1..=PAGE.1).contains(&limit) {
        return Err(Code::QueryInvalid.with(format!("limit is 1 to {}", PAGE.1)));
    }
    let wait = wish.wait.unwrap_or_default();
    if wait > MAX_WAIT {
        return Err(Code::QueryInvalid.with(format!("wait is 0 to {MAX_WAIT} seconds")));
    }
    // A reader that connects again says where it stopped, and its address still says where it began.
    let resumed = if streaming { headers.get(&LAST_EVENT_ID).map(place).transpose()? } else { None };
    let after = resumed.or(wish.after).unwrap_or_default();
    let mut page = read(&api, &caller, after, limit).await?;
    if streaming {
        let seat = api.news.enter(caller.account)?;
        return Ok(stream(api, caller, seat, page, after));
    }
    if page.events.is_empty() && wait > 0 {
        let seat = api.news.enter(caller.account)?;
        let end = Instant::now() + Duration::from_secs(wait);
        if seat.longer_than(after, end, &api.ledger).await? {
            page = read(&api, &caller, after, limit).await?;
        }
    }
    let next = page.events.last().map_or(after, |event| event.seq);
    Ok(Json(Answer { events: page.events, next, last: page.last }).into_response())
}

fn wants_stream(headers: &HeaderMap) -> bool {
    headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|kind| kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("text/event-stream"))
}

fn place(value: &HeaderValue) -> Result<u64> {
    let number = value.to_str().ok().and_then(|text| text.parse().ok());
    number.ok_or_else(|| Code::QueryInvalid.with("Last-Event-ID is the id of an event of this stream"))
}

async fn read(api: &State, caller: &Caller, after: u64, limit: u32) -> Result<Page> {
    let page = api.ledger.account_events(caller.account, after, limit).await?;
    if after > page.last { Err(beyond(page.last)) } else { Ok(page) }
}

/// What a place behind the end of the log is answered with.
pub(super) fn beyond(last: u64) -> Problem {
    Code::CursorUnknown.with(format!("the log ends at {last}")).member("last", last)
}

/// What a stream goes on with.
struct Reading {
    api: State,
    caller: Caller,
    seat: Seat,
    ready: std::vec::IntoIter<Event>,
    after: u64,
    end: Instant,
}

fn stream(api: State, caller: Caller, seat: Seat, page: Page, after: u64) -> Response {
    let reading = Reading { api, caller, seat, ready: page.events.into_iter(), after, end: Instant::now() + STREAM };
    // A first word at once: the reader knows that it is connected.
    let hello = stream::once(async { Ok(sse::Event::default().comment("connected")) });
    let events = futures_util::StreamExt::chain(hello, rest(reading));
    ([(CACHE_CONTROL, "no-store"), (HeaderName::from_static("x-accel-buffering"), "no")], Sse::new(events)).into_response()
}

/// Everything behind `after` as it comes, with a heartbeat where nothing does. Ends at its time, with the caller's token,
/// when the service stops, and when the database cannot be asked: whoever reads connects again.
fn rest(reading: Reading) -> impl Stream<Item = std::result::Result<sse::Event, Infallible>> {
    stream::unfold(reading, |mut reading| async move {
        loop {
            if let Some(event) = reading.ready.next() {
                reading.after = event.seq;
                return Some((Ok(shown(&event)?), reading));
            }
            if Instant::now() >= reading.end || reading.seat.is_over() || !reading.caller.is_still_welcome(&reading.api).await {
                return None;
            }
            let (ledger, account) = (&reading.api.ledger, reading.caller.account);
            reading.ready = ledger.account_events(account, reading.after, PAGE.1).await.ok()?.events.into_iter();
            if reading.ready.len() > 0 {
                continue;
            }
            let patience = (Instant::now() + HEARTBEAT).min(reading.end);
            if !wait(&reading, patience).await? {
                return Some((Ok(sse::Event::default().comment("")), reading));
            }
        }
    })
}

/// Whether there is something new; `None` when the stream has to end. What was disabled meanwhile is noticed in time.
async fn wait(reading: &Reading, patience: Instant) -> Option<bool> {
    while Instant::now() < patience {
        let until = (Instant::now() + State::STANDING).min(patience);
        if reading.seat.longer_than(reading.after, until, &reading.api.ledger).await.ok()? {
            return Some(true);
        }
        if reading.seat.is_over() || !reading.caller.is_still_welcome(&reading.api).await {
            return None;
        }
    }
    Some(false)
}

fn shown(event: &Event) -> Option<sse::Event> {
    let kind = event.kind.as_str();
    sse::Event::default().id(event.seq.to_string()).event(kind).json_data(event).ok()
}
