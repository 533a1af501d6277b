//! `/v1/validators`: whom a manager lets decide about its own documents and those of its clients.

use axum::Json;
use axum::extract::{Path, Query};
use axum::http::{StatusCode, Uri};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::api::State;
use crate::api::access::caller::Caller;
use crate::api::body::JsonBytes;
use crate::api::error::{Code, Result};
use crate::api::openapi::schema;
use crate::ledger::accounts::AccountId;
use crate::ledger::validations::members::MOST_APPROVALS;

#[derive(Deserialize, Default, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Whose {
    /// Name of a client; without it the caller's own account is meant.
    account: Option<String>,
}

/// The account a request is about: the caller's own, or the client that `account` names.
async fn whose(api: &State, caller: &Caller, uri: &Uri) -> Result<(AccountId, String)> {
    let whose = Query::<Whose>::try_from_uri(uri).map_err(|_| Code::QueryInvalid.with("only account=NAME"))?.0;
    let name = whose.account.as_deref();
    let writable = name.is_none_or(|name| !name.contains('\0'));
    let found = if writable { api.ledger.managed(caller.account, name).await? } else { None };
    Ok(found.ok_or(Code::AccountUnknown)?)
}

/// Who decides about an account's documents, and how many of them must approve.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "Validators")]
pub(super) struct List {
    account: String,
    approvals_needed: u32,
    /// Whether enough of them can decide: without, nothing can be submitted for validation.
    enough: bool,
    validators: Vec<View>,
}

#[derive(JsonSchema, Serialize)]
#[schemars(rename = "Validator")]
struct View {
    name: String,
    #[serde(with = "time::serde::rfc3339")]
    #[schemars(with = "schema::Time")]
    since: OffsetDateTime,
    active: bool,
}

async fn listed(api: &State, account: String) -> Result<List> {
    let (validators, approvals_needed) = api.ledger.validators(&account).await?;
    let enough = validators.iter().filter(|validator| validator.active).count() >= approvals_needed as usize;
    let view = |validator: crate::ledger::validations::members::Validator| View {
        name: validator.name,
        since: validator.added_at,
        active: validator.active,
    };
    Ok(List { account, approvals_needed, enough, validators: validators.into_iter().map(view).collect() })
}

/// `GET /v1/validators`.
///
/// # Errors
/// [`Code::AccountUnknown`], [`Code::QueryInvalid`].
pub async fn list(api: State, caller: Caller, uri: Uri) -> Result<Json<impl Serialize>> {
    let (_, name) = whose(&api, &caller, &uri).await?;
    Ok(Json(listed(&api, name).await?))
}

/// How many must approve.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Rule")]
pub(super) struct Rule {
    #[schemars(range(min = 1, max = MOST_APPROVALS))]
    approvals_needed: u32,
}

/// `PUT /v1/validators`: how many approvals documents need that are submitted from now on. What waits keeps its number.
///
/// # Errors
/// [`Code::AccountUnknown`], [`Code::BodyInvalid`], [`Code::QueryInvalid`].
pub async fn require(api: State, caller: Caller, uri: Uri, body: JsonBytes) -> Result<Json<impl Serialize>> {
    let rule: Rule = body.read()?;
    if !(1..=MOST_APPROVALS).contains(&rule.approvals_needed) {
        return Err(Code::BodyInvalid.with(format!("approvals_needed is 1 to {MOST_APPROVALS}")));
    }
    let (account, name) = whose(&api, &caller, &uri).await?;
    api.ledger.by(caller.actor()).require_approvals(&name, rule.approvals_needed).await?;
    tracing::info!(manager = caller.account.0, account = account.0, approvals = rule.approvals_needed, "approvals required");
    Ok(Json(listed(&api, name).await?))
}

/// `PUT /v1/validators/{validator}`: lets a validator decide, named by a consumer key of its, or by its name where the caller
/// knows it. 201 when it could not before.
///
/// # Errors
/// [`Code::AccountUnknown`], [`Code::ValidatorUnknown`], [`Code::QueryInvalid`].
pub async fn add(api: State, caller: Caller, Path(meant): Path<String>, uri: Uri) -> Result<(StatusCode, Json<impl Serialize>)> {
    let (account, name) = whose(&api, &caller, &uri).await?;
    let found = if meant.contains('\0') { None } else { api.ledger.validator_meant(caller.account, &meant).await? };
    let validator = found.filter(|validator| *validator != account).ok_or(Code::ValidatorUnknown)?;
    let fresh = api.ledger.by(caller.actor()).bind_validator(account, validator).await?;
    tracing::info!(manager = caller.account.0, account = account.0, validator = validator.0, fresh, "validator named");
    let status = if fresh { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(listed(&api, name).await?)))
}

/// `DELETE /v1/validators/{validator}`: ends that it may decide, also about what waits. What it decided stands.
///
/// # Errors
/// [`Code::AccountUnknown`], [`Code::ValidatorUnknown`], [`Code::QueryInvalid`].
pub async fn remove(api: State, caller: Caller, Path(meant): Path<String>, uri: Uri) -> Result<Json<impl Serialize>> {
    let (account, name) = whose(&api, &caller, &uri).await?;
    if meant.contains('\0') || !api.ledger.by(caller.actor()).unbind_validator(account, &meant).await? {
        return Err(Code::ValidatorUnknown.into());
    }
    tracing::info!(manager = caller.account.0, account = account.0, "validator removed");
    Ok(Json(listed(&api, name).await?))
}
