//! `POST /v1/proofs` as a stream of lines: one item a line in, one result a line out, in the same order, with memory that does
//! not grow with their number.
//!
//! Lines are gathered into groups that go the way of every submission. Two groups are under way at once; while they are, and
//! while there is no room for results, nothing more is read. The head of the answer goes out with the first bytes of the body,
//! so what goes wrong later is told in lines.

mod group;
mod lines;
mod settle;
pub mod spool;

use std::sync::{Arc, OnceLock};

use axum::body::{Body, BodyDataStream};
use axum::extract::Request;
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};

use self::group::Input;
use self::settle::{Settled, Tally, settle};
use self::spool::{Reader, Writer, spool};
use crate::api::State;
use crate::api::access::caller::Caller;
use crate::api::error::{Code, Problem, Result};
use crate::api::streams::Seat;

/// What such a body is.
pub const MEDIA: &str = "application/x-ndjson";
/// Lines in one submission at most, blank ones counted.
pub const MOST: u64 = 1_000_000;
/// Groups under way at once.
const GROUPS: usize = 2;

/// Answers as the lines are committed.
///
/// # Errors
/// Before anything was read: [`Code::MediaTypeUnsupported`], [`Code::RateLimited`], [`Code::PoolFull`], [`Code::Unavailable`],
/// [`Code::ReadOnly`], [`Code::RequestTimeout`], [`Code::ProofsCount`].
pub async fn submit(api: State, caller: Caller, request: Request) -> Result<Response> {
    if request.headers().get(CONTENT_ENCODING).is_some_and(|coding| coding != "identity") {
        return Err(Code::MediaTypeUnsupported.with("send the body without Content-Encoding"));
    }
    api.intake.admits()?;
    let seat = api.streams.enter(caller.account)?;
    let mut body = request.into_body().into_data_stream();
    // Whoever sends `Expect: 100-continue` is told to go on by this, before there is an answer.
    let first = match tokio::time::timeout(api.limits.body, body.next()).await {
        Err(_) => {
            return Err(Code::RequestTimeout.with(format!("the first line must begin within {} s", api.limits.body.as_secs())));
        }
        Ok(None) => return Err(Code::ProofsCount.with("a submission has at least one line")),
        Ok(Some(Err(_))) => return Err(Code::BadRequest.with("the body ended early")),
        Ok(Some(Ok(first))) => first,
    };
    let (writer, reader) = spool(&api.streams.room, api.limits.idle);
    let input = Input::new(body, first, MOST, api.limits.idle);
    tokio::spawn(produce(api, caller, input, writer, seat));
    Ok(answer(reader))
}

fn answer(reader: Reader) -> Response {
    let pieces = stream::unfold(Some(reader), |reader| async {
        let reader = reader?;
        match reader.take().await {
            Ok(piece) => piece.map(|piece| (Ok(piece), Some(reader))),
            // The connection is cut: an answer that just ended would look whole.
            Err(error) => Some((Err(error), None)),
        }
    });
    ([(CONTENT_TYPE, MEDIA)], Body::from_stream(pieces)).into_response()
}

/// Reads, accepts and answers until the body ends or nobody reads the answer any more. What was handed to the intake is
/// accepted even then; what was answered was committed before.
async fn produce(api: State, caller: Caller, input: Input<BodyDataStream>, writer: Writer, _seat: Seat) {
    let mut tally = Tally::default();
    let stopped = settle::Stopped::default();
    let fault = Arc::new(OnceLock::new());
    {
        let groups = stream::unfold((input, Arc::clone(&fault)), |(mut input, fault)| async move {
            match input.group().await {
                Ok(group) => group.map(|group| (group, (input, fault))),
                Err(problem) => {
                    let _ = fault.set(problem);
                    None
                }
            }
        });
        let settled = groups.map(|group| settle(&api, &caller, group, &stopped)).buffered(GROUPS);
        let mut settled = std::pin::pin!(settled);
        while let Some(Settled { lines, tally: of_group }) = settled.next().await {
            tally.add(&of_group);
            if writer.put(lines).await.is_err() {
                tracing::info!(lines = tally.lines, "the client of a stream of lines went away");
                return;
            }
        }
    }
    let _ = writer.put(end(&tally, stopped.first(), fault.get())).await;
    writer.finish().await;
}

/// The last line. Without it the answer is not whole.
fn end(tally: &Tally, stopped: Option<(u64, Problem)>, fault: Option<&Problem>) -> Vec<u8> {
    let mut said = json!({
        "lines": tally.lines, "accepted": tally.accepted, "created": tally.created, "refused": tally.lines - tally.accepted,
    });
    // Where reading ended, the next line is the first that is missing.
    let stopped = stopped.or_else(|| fault.map(|problem| (tally.last + 1, problem.clone())));
    if let Some((line, problem)) = stopped {
        let mut why = problem.said();
        why.insert("line".into(), line.into());
        said["stopped"] = Value::Object(why);
    }
    let mut line = json!({ "end": said }).to_string().into_bytes();
    line.push(b'\n');
    line
}
