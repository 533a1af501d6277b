//! Reading bodies: bounded in length and time, refused before they are read where possible.

use std::fmt;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use futures_util::StreamExt;
use sceau_verifier::Digest;
use serde::de::{IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::error::Category;
use serde_json::value::RawValue;

use super::State;
use super::error::{Code, Problem, Result};

/// The bytes of a body that says it is JSON.
#[derive(Debug)]
pub struct JsonBytes(Vec<u8>);

impl JsonBytes {
    /// Tells this request from others: SHA-256 over what is asked and the body.
    #[must_use]
    pub fn fingerprint(&self, asked: &str) -> [u8; 32] {
        Digest::of(&[asked.as_bytes(), &[0], &self.0].concat()).into()
    }

    /// Reads them as `T`.
    ///
    /// # Errors
    /// [`Code::BodyMalformed`] for what is no JSON, [`Code::BodyInvalid`] for JSON of another shape.
    pub fn read<'a, T: Deserialize<'a>>(&'a self) -> Result<T> {
        parse(&self.0)
    }
}

/// Reads a body as `T`.
///
/// # Errors
/// [`Code::BodyMalformed`] for what is no JSON, [`Code::BodyInvalid`] for JSON of another shape.
pub(super) fn parse<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|error| {
        let code = match error.classify() {
            Category::Data => Code::BodyInvalid,
            Category::Io | Category::Syntax | Category::Eof => Code::BodyMalformed,
        };
        code.with(shortened(&error.to_string())).member("line", error.line()).member("column", error.column())
    })
}

/// A list whose items stay unread, so that each is answered for by itself. Those beyond `MOST` are counted but not kept.
#[derive(Debug)]
pub(super) struct Items<'a, const MOST: usize> {
    /// The first of them, `MOST` at most.
    pub kept: Vec<&'a RawValue>,
    /// How many there are.
    pub count: usize,
}

impl<'de: 'a, 'a, const MOST: usize> Deserialize<'de> for Items<'a, MOST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Reader<const MOST: usize>;
        impl<'de, const MOST: usize> Visitor<'de> for Reader<MOST> {
            type Value = Items<'de, MOST>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> std::result::Result<Self::Value, A::Error> {
                let mut items = Items { kept: Vec::new(), count: 0 };
                while items.kept.len() < MOST
                    && let Some(item) = list.next_element()?
                {
                    items.kept.push(item);
                }
                items.count = items.kept.len();
                while items.count >= MOST && list.next_element::<IgnoredAny>()?.is_some() {
                    items.count += 1;
                }
                Ok(items)
            }
        }
        deserializer.deserialize_seq(Reader)
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
