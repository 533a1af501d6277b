//! Reading bodies: bounded in length and time, refused before they are read where possible.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use futures_util::StreamExt;
use serde::Deserialize;
use serde_json::error::Category;

use super::State;
use super::error::{Code, Problem, Result};

/// The bytes of a body that says it is JSON.
#[derive(Debug)]
pub struct JsonBytes(Vec<u8>);

impl JsonBytes {
    /// Reads them as `T`.
    ///
    /// # Errors
    /// [`Code::BodyMalformed`] for what is no JSON, [`Code::BodyInvalid`] for JSON of another shape.
    pub fn read<'a, T: Deserialize<'a>>(&'a self) -> Result<T> {
        serde_json::from_slice(&self.0).map_err(|error| {
            let code = match error.classify() {
                Category::Data => Code::BodyInvalid,
                Category::Io | Category::Syntax | Category::Eof => Code::BodyMalformed,
            };
            code.with(shortened(&error.to_string())).member("line", error.line()).member("column", error.column())
        })
    }
}

/// A parser's message at a bearable length: it may quote what it was given.
pub(super) fn shortened(message: &str) -> String {
    if message.chars().count() <= 300 { message.into() } else { message.chars().take(300).chain(['…']).collect() }
}

impl FromRequest<State> for JsonBytes {
    type Rejection = Problem;

    async fn from_request(request: Request, api: &State) -> Result<Self> {
        let (head, body) = request.into_parts();
        let media = media_type(&head.headers);
        if media != "application/json" {
            return Err(Code::MediaTypeUnsupported.with(format!("send application/json, not {}", shown(&media))));
        }
        read(&head.headers, body, api.limits.body_bytes, api.limits.body).await.map(Self)
    }
}

/// The media type without its parameters, in lower case; empty when there is none.
pub(super) fn media_type(headers: &HeaderMap) -> String {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn shown(media: &str) -> String {
    if media.is_empty() { "a body without Content-Type".into() } else { shortened(media) }
}

/// Reads at most `limit` bytes within `time`. A body that announces more is refused before anything of it is read.
pub(super) async fn read(headers: &HeaderMap, body: Body, limit: usize, time: Duration) -> Result<Vec<u8>> {
    // Compressed bodies are not taken: what a few bytes become is not bounded by Content-Length.
    if headers.get(CONTENT_ENCODING).is_some_and(|coding| coding != "identity") {
        return Err(Code::MediaTypeUnsupported.with("send the body without Content-Encoding"));
    }
    let too_large = || Code::BodyTooLarge.with(format!("at most {limit} bytes"));
    let announced = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > limit as u64) {
        return Err(too_large());
    }
    let reading = async {
        let mut stream = body.into_data_stream();
        let mut bytes = Vec::with_capacity(announced.unwrap_or_default() as usize);
        while let Some(chunk) = stream.next().await {
            let chunk = chunk.map_err(|_| Code::BadRequest.with("the body ended early"))?;
            if bytes.len() + chunk.len() > limit {
                return Err(too_large());
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    };
    match tokio::time::timeout(time, reading).await {
        Ok(read) => read,
        Err(_) => Err(Code::RequestTimeout.with(format!("the body must arrive within {} s", time.as_secs()))),
    }
}
