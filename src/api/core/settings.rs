//! `/core/v1/accounts/{id}/networks`, `/limits` and `/subscription`. No account gets more than its manager has.

use axum::Json;
use axum::extract::Path;
use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::accounts::apply;
use super::{id, told};
use crate::api::State;
use crate::api::access::caller::Caller;
use crate::api::access::peer;
use crate::api::body::JsonBytes;
use crate::api::error::{Code, Result};
use crate::api::openapi::schema;
use crate::ledger::accounts::limits::Limits;
use crate::ledger::accounts::manage::Change;

/// Networks of an account at most.
const MOST: usize = 100;

/// From where an account may ask. None at all: from anywhere.
#[derive(Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Networks")]
pub(super) struct Networks {
    /// Like 192.0.2.0/24 and 2001:db8::/32, without bits behind the prefix.
    #[schemars(length(max = MOST), inner(regex(pattern = "^[0-9a-fA-F.:]{2,45}(/[0-9]{1,3})?$")))]
    networks: Vec<String>,
}

pub(super) fn texts(networks: &[IpNet]) -> Vec<String> {
    networks.iter().map(ToString::to_string).collect()
}

/// `GET /core/v1/accounts/{id}/networks`.
///
/// # Errors
/// [`Code::AccountUnknown`].
pub(super) async fn networks(api: State, caller: Caller, Path(text): Path<String>) -> Result<Json<Networks>> {
    let account = api.ledger.managed_account(caller.account, id(&text)?).await.map_err(told)?;
    Ok(Json(Networks { networks: texts(&account.networks.unwrap_or_default()) }))
}

/// `PUT /core/v1/accounts/{id}/networks`: replaces the list. Instances follow within five seconds.
///
/// # Errors
/// [`Code::AccountUnknown`], [`Code::BodyInvalid`].
pub(super) async fn set_networks(
    api: State,
    caller: Caller,
    Path(text): Path<String>,
    body: JsonBytes,
) -> Result<Json<Networks>> {
    let id = id(&text)?;
    let Networks { networks } = body.read()?;
    if networks.len() > MOST {
        return Err(Code::BodyInvalid.with(format!("at most {MOST} networks")));
    }
    let networks: std::result::Result<Vec<IpNet>, String> = networks.iter().map(|text| peer::network(text)).collect();
    let networks = networks.map_err(|why| Code::BodyInvalid.with(crate::api::body::shortened(&why)))?;
    let changed = apply(&api, &caller, id, &Change { networks: Some(networks), ..Change::default() }).await?;
    Ok(Json(Networks { networks: texts(&changed.networks.unwrap_or_default()) }))
}

/// `GET /core/v1/accounts/{id}/limits`: those that count.
///
/// # Errors
/// [`Code::AccountUnknown`].
pub(super) async fn limits(api: State, caller: Caller, Path(text): Path<String>) -> Result<Json<Limits>> {
    Ok(Json(api.ledger.managed_account(caller.account, id(&text)?).await.map_err(told)?.limits))
}

/// Limits that are to count. What is null or not there is as the operator's defaults say; nothing may be more than the
/// manager's own limit.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewLimits")]
pub(super) struct Wish {
    /// Requests let through in the long run, on each instance.
    #[schemars(range(min = 1, max = 1_000_000))]
    requests_per_second: Option<u32>,
    /// Requests let through at once, on each instance.
    #[schemars(range(min = 1, max = 1_000_000))]
    burst: Option<u32>,
    /// New digests a day (UTC), on all instances together.
    #[schemars(range(min = 0, max = LARGEST))]
    digests_per_day: Option<u64>,
}

/// What a structured field can tell.
const LARGEST: u64 = 999_999_999_999_999;

/// `PUT /core/v1/accounts/{id}/limits`: replaces them. Instances follow within five seconds.
///
/// # Errors
/// [`Code::AccountUnknown`], [`Code::BodyInvalid`].
pub(super) async fn set_limits(api: State, caller: Caller, Path(text): Path<String>, body: JsonBytes) -> Result<Json<Limits>> {
    let id = id(&text)?;
    let Wish { requests_per_second, burst, digests_per_day } = body.read()?;
    let own = caller.limits;
    let within = |name: &str, wanted: Option<u32>, most: u32| match wanted {
        Some(wanted) if wanted == 0 || wanted > most.min(1_000_000) => {
            Err(Code::BodyInvalid.with(format!("{name} is 1 to {}, your own limit", most.min(1_000_000))))
        }
        _ => Ok(()),
    };
    within("requests_per_second", requests_per_second, own.requests_per_second)?;
    within("burst", burst, own.burst)?;
    let most = own.digests_per_day.unwrap_or(LARGEST).min(LARGEST);
    if digests_per_day.is_some_and(|wanted| wanted > most) {
        return Err(Code::BodyInvalid.with(format!("digests_per_day is at most {most}, your own limit")));
    }
    let change = Change { limits: Some((requests_per_second, burst, digests_per_day)), ..Change::default() };
    Ok(Json(apply(&api, &caller, id, &change).await?.limits))
}

/// Until when an account may submit.
#[derive(Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Subscription", extend("required" = ["until"]))]
pub(super) struct Subscription {
    /// null: without end. Not later than the manager's own.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schemars(with = "Option<schema::Time>")]
    until: Option<OffsetDateTime>,
}

/// `GET /core/v1/accounts/{id}/subscription`.
///
/// # Errors
/// [`Code::AccountUnknown`].
pub(super) async fn subscription(api: State, caller: Caller, Path(text): Path<String>) -> Result<Json<Subscription>> {
    let account = api.ledger.managed_account(caller.account, id(&text)?).await.map_err(told)?;
    Ok(Json(Subscription { until: account.subscribed_until }))
}

/// `PUT /core/v1/accounts/{id}/subscription`. Reading and verifying go on after it.
///
/// # Errors
/// [`Code::AccountUnknown`], [`Code::BodyInvalid`].
pub(super) async fn set_subscription(
    api: State,
    caller: Caller,
    Path(text): Path<String>,
    body: JsonBytes,
) -> Result<Json<Subscription>> {
    let id = id(&text)?;
    let Subscription { until } = body.read()?;
    // The database keeps microseconds, and this answers what it keeps.
    if caller.subscribed_until.is_some_and(|own| until.is_none_or(|until| until > own)) {
        return Err(Code::BodyInvalid.with("until is later than the end of your own subscription"));
    }
    let changed = apply(&api, &caller, id, &Change { subscribed_until: Some(until), ..Change::default() }).await?;
    Ok(Json(Subscription { until: changed.subscribed_until }))
}
