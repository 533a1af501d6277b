//! The outermost layer: gives every request its id, prints problems, sets the headers every answer has, logs.

use std::any::Any;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{MatchedPath, Request};
use axum::http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use tokio::time::{Instant, timeout};
use tracing::Instrument;

use super::{Code, Problem};
use crate::api::State;
use crate::api::access::limit::Meter;
use crate::api::openapi;
use crate::api::traffic::TokenFailure;
use crate::ports::Entropy;

/// Names one request in answers and logs: 32 hex digits, made here. Ids that clients send are not read.
#[derive(Debug, Clone)]
pub struct RequestId(pub String);

impl RequestId {
    fn draw(entropy: &dyn Entropy) -> Self {
        let mut bytes = [0; 16];
        entropy.fill(&mut bytes);
        Self(hex::encode(bytes))
    }
}

static X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Middleware around everything else. Nothing inside it answers an error in another form than [`Problem`], except the
/// token endpoint, whose errors RFC 6749 prescribes: it marks them with [`RequestId::printed`].
pub async fn finish(api: State, mut request: Request, next: Next) -> Response {
    let id = RequestId::draw(api.ports.entropy.as_ref());
    // The route, not the path: paths contain digests, and a digest may give a document away.
    let route = request.extensions().get::<MatchedPath>().map_or("-", MatchedPath::as_str).to_owned();
    let span = tracing::info_span!("request", id = %id.0, method = %request.method(), route = %route);
    request.extensions_mut().insert(id.clone());
    let meter = Meter::default();
    request.extensions_mut().insert(meter.clone());
    let (started, method, under_way) = (Instant::now(), request.method().clone(), api.traffic.begin());
    let mut response = within(api.limits.answer, next.run(request)).instrument(span.clone()).await;
    let _entered = span.enter();
    if response.status().as_u16() >= 400 && response.extensions().get::<Printed>().is_none() {
        let code = print(&mut response, &id, &api.public_url);
        debug_assert!(openapi::tells(method.as_str(), &route, code), "{method} {route} does not tell of {}", code.as_str());
        api.traffic.problem(code.as_str());
        if let Some(failure) = code.token_failure() {
            api.traffic.token(failure);
        }
    } else if let Some(failure) = response.extensions().get::<TokenFailure>() {
        api.traffic.token(*failure);
    }
    drop(under_way);
    api.traffic.answered(&route, &method, response.status(), started.elapsed().as_secs_f64());
    let headers = response.headers_mut();
    meter.write(headers);
    headers.insert(X_REQUEST_ID.clone(), HeaderValue::from_str(&id.0).unwrap_or(HeaderValue::from_static("-")));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    tracing::info!(status = response.status().as_u16(), elapsed_ms = started.elapsed().as_millis() as u64, "answered");
    response
}

async fn within(limit: Duration, answer: impl Future<Output = Response>) -> Response {
    match timeout(limit, answer).await {
        Ok(response) => response,
        Err(_) => Code::Timeout.because(format!("no answer within {limit:?}")).retry_after(2).into_response(),
    }
}

/// Marks an error answer whose body is prescribed elsewhere.
#[derive(Debug, Clone, Copy)]
struct Printed;

impl RequestId {
    /// Keeps `response` as it is although it is an error.
    #[must_use]
    pub fn printed(mut response: Response) -> Response {
        response.extensions_mut().insert(Printed);
        response
    }
}

fn print(response: &mut Response, id: &RequestId, public_url: &str) -> Code {
    let status = response.status();
    let problem = response.extensions_mut().remove::<Problem>().unwrap_or_else(|| Problem::new(Code::of_status(status)));
    let parts = *problem.0;
    let code = parts.code;
    // Not code.status(): an unforeseen status, say 414, keeps its number.
    let status = if Code::of_status(status) == code { status } else { code.status() };
    if status.is_server_error() {
        let cause = parts.cause.as_deref().unwrap_or("no cause given");
        if status == StatusCode::INTERNAL_SERVER_ERROR {
            tracing::error!(code = code.as_str(), cause, "problem");
        } else {
            tracing::warn!(code = code.as_str(), cause, "problem");
        }
    }
    let detail = match parts.detail {
        _ if status == StatusCode::INTERNAL_SERVER_ERROR => format!("Tell the operator the request id {}.", id.0),
        Some(detail) => detail,
        None => code.description(),
    };
    // Members of our own first: none can take the place of one that every problem has.
    let mut body = parts.members;
    body.insert("type".into(), format!("{public_url}/problems/{}", code.as_str()).into());
    body.insert("title".into(), code.title().into());
    body.insert("status".into(), status.as_u16().into());
    body.insert("code".into(), code.as_str().into());
    body.insert("detail".into(), detail.into());
    body.insert("request_id".into(), id.0.clone().into());
    *response.status_mut() = status;
    *response.body_mut() = Body::from(Value::Object(body).to_string());
    let headers = response.headers_mut();
    headers.remove(CONTENT_LENGTH);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    for (name, value) in parts.headers {
        headers.append(name, value);
    }
    code
}

/// What a panic in a handler answers; for tower-http's catch-panic layer.
#[must_use]
pub fn panicked(panic: Box<dyn Any + Send + 'static>) -> Response {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned()).or_else(|| panic.downcast_ref::<String>().cloned());
    Code::Internal.because(format!("panic: {}", text.as_deref().unwrap_or("without text"))).into_response()
}
