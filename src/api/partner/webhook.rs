//! `/v1/webhooks`: where an account has its events sent.

use axum::Json;
use axum::extract::{Path, Query};
use axum::http::{StatusCode, Uri};
use schemars::JsonSchema;
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

use super::event::beyond;
use super::operations::events::{Kinds, Standing as StandingWord, Tried};
use crate::api::State;
use crate::api::access::caller::Caller;
use crate::api::body::JsonBytes;
use crate::api::error::{Code, Problem, Result};
use crate::api::openapi::schema;
use crate::ledger::notices::{Delivery, Kind, NewWebhook, State as Standing, Webhook, WebhookError};
use crate::webhooks::secret::{Secret, Vault};

/// Deliveries of a page when nothing is said, and at most.
const PAGE: (u32, u32) = (50, 200);

/// How long a secret that was changed signs as well, when nothing is said, and at most: a day and a week, in seconds.
const OVERLAP: (u32, u32) = (86_400, 604_800);

impl From<WebhookError> for Problem {
    fn from(error: WebhookError) -> Self {
        match error {
            WebhookError::Unknown => Code::WebhookUnknown.into(),
            WebhookError::TooMany => Code::WebhooksCount.with(error.to_string()),
            WebhookError::Ahead(last) => beyond(last),
            WebhookError::Ledger(error) => error.into(),
        }
    }
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Webhook")]
pub(super) struct View {
    id: Uuid,
    url: String,
    #[schemars(with = "Option<Vec<Kinds>>")]
    types: Option<Vec<String>>,
    #[schemars(with = "StandingWord")]
    state: Standing,
    #[serde(with = "time::serde::rfc3339")]
    #[schemars(with = "schema::Time")]
    created_at: OffsetDateTime,
    /// Everything up to this event was taken.
    cursor: u64,
    /// Events behind it.
    waiting: u64,
    failures: u64,
    #[serde(skip_serializing_if = "Option::is_none", with = "time::serde::rfc3339::option")]
    #[schemars(with = "schema::Time")]
    failing_since: Option<OffsetDateTime>,
    #[serde(skip_serializing_if = "Option::is_none", with = "time::serde::rfc3339::option")]
    #[schemars(with = "schema::Time")]
    next_try_at: Option<OffsetDateTime>,
    #[serde(skip_serializing_if = "Option::is_none", with = "time::serde::rfc3339::option")]
    #[schemars(with = "schema::Time")]
    parked_at: Option<OffsetDateTime>,
    #[serde(skip_serializing_if = "Option::is_none", with = "time::serde::rfc3339::option")]
    #[schemars(with = "schema::Time")]
    previous_secret_until: Option<OffsetDateTime>,
}

impl From<Webhook> for View {
    fn from(webhook: Webhook) -> Self {
        let fails = webhook.failing_since.is_some() && webhook.state == Standing::Active;
        Self {
            id: webhook.id,
            url: webhook.url,
            types: webhook.types,
            state: webhook.state,
            created_at: webhook.created_at,
            cursor: webhook.cursor,
            waiting: webhook.last.saturating_sub(webhook.cursor),
            failures: webhook.tries,
            failing_since: webhook.failing_since,
            next_try_at: fails.then_some(webhook.next_at),
            parked_at: webhook.parked_at,
            previous_secret_until: webhook.previous_until,
        }
    }
}

/// A webhook with its secret, the only time it is shown.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "NewWebhook")]
pub(super) struct Made {
    secret: String,
    #[serde(flatten)]
    webhook: View,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Webhooks")]
pub(super) struct List {
    webhooks: Vec<View>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "WebhookWish")]
pub(super) struct New {
    url: String,
    /// Only these; all of them when it is left out.
    #[schemars(with = "Option<Vec<Kinds>>", length(min = 1))]
    types: Option<Vec<String>>,
    /// Begins behind this event; at the end of the log when it is left out.
    after: Option<u64>,
}

/// Reads an id in its one spelling. What is none is as unknown as one that nobody has.
fn id(text: &str) -> Result<Uuid> {
    Uuid::try_parse(text).ok().filter(|id| id.hyphenated().to_string() == text).ok_or(Code::WebhookUnknown.into())
}

async fn find(api: &State, caller: &Caller, id: Uuid) -> Result<View> {
    Ok(api.ledger.webhooks(caller.account, Some(id)).await?.pop().ok_or(Code::WebhookUnknown)?.into())
}

fn kinds(words: &[String]) -> Result<Vec<Kind>> {
    if words.is_empty() {
        return Err(Code::BodyInvalid.with("types: name at least one, or leave it out for all of them"));
    }
    let mut kinds = Vec::with_capacity(words.len().min(Kind::ALL.len()));
    for word in words {
        let kind = Kind::parse(word).ok_or_else(|| {
            let all: Vec<_> = Kind::ALL.iter().map(|kind| kind.as_str()).collect();
            Code::BodyInvalid.with(format!("types: there are only {}", all.join(", ")))
        })?;
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    Ok(kinds)
}

/// `POST /v1/webhooks`: makes one and shows its secret.
///
/// # Errors
/// [`Code::WebhookUrlRefused`], [`Code::WebhooksCount`], [`Code::CursorUnknown`], [`Code::BodyInvalid`].
pub async fn create(api: State, caller: Caller, body: JsonBytes) -> Result<(StatusCode, Json<impl Serialize>)> {
    let new: New = body.read()?;
    let url = api.allowed.url(&new.url).map_err(|why| Code::WebhookUrlRefused.with(why.to_string()))?;
    let types = new.types.as_deref().map(kinds).transpose()?;
    let mut random = [0; 16];
    api.ports.entropy.fill(&mut random);
    let id = uuid::Builder::from_random_bytes(random).into_uuid();
    let (secret, locked) = secret(&api, id);
    let row = NewWebhook { id, url: url.as_str(), types: types.as_deref(), secret: &locked, after: new.after };
    api.ledger.create_webhook(caller.account, &row).await?;
    let webhook = find(&api, &caller, id).await?;
    Ok((StatusCode::CREATED, Json(Made { secret, webhook })))
}

/// A new secret, as it is shown and as it is stored.
fn secret(api: &State, webhook: Uuid) -> (String, Vec<u8>) {
    let entropy = api.ports.entropy.as_ref();
    let secret = Secret::generate(entropy);
    let locked = Vault::new(&api.pepper.webhooks()).lock(webhook, &secret, entropy);
    (secret.shown().expose_secret().into(), locked)
}

/// `GET /v1/webhooks`: all of them, oldest first.
///
/// # Errors
/// When the database cannot be asked.
pub async fn list(api: State, caller: Caller) -> Result<Json<impl Serialize>> {
    let webhooks = api.ledger.webhooks(caller.account, None).await?;
    Ok(Json(List { webhooks: webhooks.into_iter().map(View::from).collect() }))
}

/// `GET /v1/webhooks/{webhook}`.
///
/// # Errors
/// [`Code::WebhookUnknown`].
pub async fn show(api: State, caller: Caller, Path(id): Path<String>) -> Result<Json<impl Serialize>> {
    find(&api, &caller, self::id(&id)?).await.map(Json)
}

/// `DELETE /v1/webhooks/{webhook}`: nothing more is sent, and its history is gone.
///
/// # Errors
/// [`Code::WebhookUnknown`].
pub async fn remove(api: State, caller: Caller, Path(id): Path<String>) -> Result<StatusCode> {
    api.ledger.delete_webhook(caller.account, self::id(&id)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "SecretWish")]
pub(super) struct Rotation {
    /// Seconds the one before signs as well.
    #[serde(default = "overlap")]
    #[schemars(range(max = OVERLAP.1))]
    overlap: u32,
}

fn overlap() -> u32 {
    OVERLAP.0
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "NewSecret")]
pub(super) struct Rotated {
    secret: String,
    #[serde(with = "time::serde::rfc3339")]
    #[schemars(with = "schema::Time")]
    previous_secret_until: OffsetDateTime,
}

/// `POST /v1/webhooks/{webhook}/secret`: a new secret; the one before signs beside it for a while.
///
/// # Errors
/// [`Code::WebhookUnknown`], [`Code::BodyInvalid`].
pub async fn rotate(api: State, caller: Caller, Path(id): Path<String>, body: JsonBytes) -> Result<Json<impl Serialize>> {
    let id = self::id(&id)?;
    let Rotation { overlap } = body.read()?;
    if overlap > OVERLAP.1 {
        return Err(Code::BodyInvalid.with(format!("overlap is 0 to {} seconds", OVERLAP.1)));
    }
    let (secret, locked) = secret(&api, id);
    let previous_secret_until = api.ledger.rotate_webhook(caller.account, id, &locked, overlap).await?;
    Ok(Json(Rotated { secret, previous_secret_until }))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Resumption")]
pub(super) struct Resumption {
    after: Option<u64>,
}

/// `POST /v1/webhooks/{webhook}/resume`: sends again at once, from the cursor or from behind `after`.
///
/// # Errors
/// [`Code::WebhookUnknown`], [`Code::CursorUnknown`].
pub async fn resume(api: State, caller: Caller, Path(id): Path<String>, body: JsonBytes) -> Result<Json<impl Serialize>> {
    let id = self::id(&id)?;
    let Resumption { after } = body.read()?;
    api.ledger.resume_webhook(caller.account, id, after).await?;
    find(&api, &caller, id).await.map(Json)
}

/// `POST /v1/webhooks/{webhook}/test`: an event that this webhook alone is sent.
///
/// # Errors
/// [`Code::WebhookUnknown`].
pub async fn test(api: State, caller: Caller, Path(id): Path<String>) -> Result<StatusCode> {
    api.ledger.test_webhook(caller.account, self::id(&id)?).await?;
    Ok(StatusCode::ACCEPTED)
}

#[derive(Deserialize, Default, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Page {
    /// Only older ones than this.
    before: Option<u64>,
    /// 50 when nothing is said.
    #[schemars(range(min = 1, max = PAGE.1))]
    limit: Option<u32>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Deliveries")]
pub(super) struct History {
    #[schemars(with = "Vec<Tried>")]
    deliveries: Vec<Delivery>,
    /// What `before` must be for older ones; none when there are none.
    next: Option<u64>,
}

/// `GET /v1/webhooks/{webhook}/deliveries`: what was sent and how it went, newest first.
///
/// # Errors
/// [`Code::WebhookUnknown`], [`Code::QueryInvalid`].
pub async fn deliveries(api: State, caller: Caller, Path(id): Path<String>, uri: Uri) -> Result<Json<impl Serialize>> {
    let id = self::id(&id)?;
    let page = Query::<Page>::try_from_uri(&uri).map_err(|_| Code::QueryInvalid.with("only before=NUMBER and limit=NUMBER"))?.0;
    let limit = page.limit.unwrap_or(PAGE.0);
    if !(1..=PAGE.1).contains(&limit) {
        return Err(Code::QueryInvalid.with(format!("limit is 1 to {}", PAGE.1)));
    }
    find(&api, &caller, id).await?;
    // One more than is shown tells whether there are others.
    let mut deliveries = api.ledger.deliveries(caller.account, id, page.before, limit + 1).await?;
    let more = deliveries.len() > limit as usize;
    deliveries.truncate(limit as usize);
    let next = deliveries.last().filter(|_| more).map(|last| last.id);
    Ok(Json(History { deliveries, next }))
}
