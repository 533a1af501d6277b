//! `/core/v1/accounts`.

use axum::Json;
use axum::extract::Path;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::{Page, id, settings, told};
use crate::api::State;
use crate::api::access::caller::Caller;
use crate::api::access::secret::generate;
use crate::api::body::JsonBytes;
use crate::api::error::{Code, Result};
use crate::api::openapi::schema;
use crate::ledger::accounts::limits::Limits;
use crate::ledger::accounts::manage::{Change, Made, Managed};
use crate::ledger::accounts::{AccountId, Role};

/// An account as its manager sees it.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "Account")]
pub(super) struct View {
    #[schemars(with = "i64")]
    id: AccountId,
    name: String,
    role: Role,
    #[serde(with = "time::serde::rfc3339")]
    #[schemars(with = "schema::Time")]
    created_at: OffsetDateTime,
    /// Since when nothing of it is let in.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schemars(with = "Option<schema::Time>")]
    disabled_at: Option<OffsetDateTime>,
    /// Whether key and secret are taken in place of a token.
    basic: bool,
    /// From where it may ask; null: from anywhere.
    networks: Option<Vec<String>>,
    limits: Limits,
    /// Until when it may submit; null: without end.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schemars(with = "Option<schema::Time>")]
    subscribed_until: Option<OffsetDateTime>,
}

impl From<Managed> for View {
    fn from(account: Managed) -> Self {
        Self {
            id: account.id,
            name: account.name,
            role: account.role,
            created_at: account.created_at,
            disabled_at: account.disabled_at,
            basic: account.basic,
            networks: account.networks.as_deref().map(settings::texts),
            limits: account.limits,
            subscribed_until: account.subscribed_until,
        }
    }
}

#[derive(JsonSchema, Serialize)]
#[schemars(rename = "Accounts")]
pub(super) struct List {
    accounts: Vec<View>,
    /// What `after` must be for the next page; null when there is none.
    next: Option<i64>,
}

/// `GET /core/v1/accounts`: those that the caller administers, oldest first.
///
/// # Errors
/// [`Code::QueryInvalid`].
pub(super) async fn list(api: State, caller: Caller, uri: Uri) -> Result<Json<List>> {
    let (after, limit) = Page::of(&uri)?;
    // One more than is shown tells whether there is another page.
    let mut found = api.ledger.administered(caller.account, Some(AccountId(after)), limit as i64 + 1).await?;
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| more).map(|last| last.id.0);
    Ok(Json(List { accounts: found.into_iter().map(View::from).collect(), next }))
}

/// `GET /core/v1/accounts/{id}`.
///
/// # Errors
/// [`Code::AccountUnknown`].
pub(super) async fn show(api: State, caller: Caller, Path(text): Path<String>) -> Result<Json<View>> {
    Ok(Json(api.ledger.managed_account(caller.account, id(&text)?).await.map_err(told)?.into()))
}

/// What an account made here may do: managers are made by the operator.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "NewRole")]
enum NewRole {
    Partner,
    Client,
    Validator,
}

/// An account that is to be made.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewAccount")]
pub(super) struct New {
    /// Unique; at least one character that can be seen, none that controls a terminal.
    #[schemars(
        length(min = 1, max = 100),
        regex(pattern = r"^[^\u0000-\u001f\u007f-\u009f]*[!-~][^\u0000-\u001f\u007f-\u009f]*$")
    )]
    name: String,
    role: NewRole,
}

/// A credential that was made. This is the only time the secret is shown.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "NewCredential")]
pub(super) struct Secret {
    pub(super) consumer_key: String,
    pub(super) consumer_secret: String,
}

/// An account that was made, with its first credential.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "MadeAccount")]
pub(super) struct Created {
    account: View,
    credential: Secret,
}

/// `POST /core/v1/accounts`: makes an account with its first credential. It ends when the manager's own subscription does.
///
/// # Errors
/// [`Code::BodyInvalid`], [`Code::NameTaken`].
pub(super) async fn create(api: State, caller: Caller, body: JsonBytes) -> Result<Response> {
    let New { name, role } = body.read()?;
    if name.trim().is_empty() || name.contains(char::is_control) || name.chars().count() > 100 {
        return Err(
            Code::BodyInvalid.with("a name has 1 to 100 characters, one that can be seen, and none that controls a terminal")
        );
    }
    let role = match role {
        NewRole::Partner => Role::Partner,
        NewRole::Client => Role::Client,
        NewRole::Validator => Role::Validator,
    };
    let made = generate(api.ports.entropy.as_ref());
    let hash = api.pepper.hash(made.secret.expose_secret());
    let wanted = (name.as_str(), role, caller.subscribed_until);
    let id = match api.ledger.create_managed(&caller.actor(), caller.account, wanted, (&made.key, hash)).await? {
        Made::Made(id) => id,
        Made::Taken => return Err(Code::NameTaken.into()),
    };
    let account = api.ledger.managed_account(caller.account, id).await.map_err(told)?.into();
    let credential = Secret { consumer_key: made.key, consumer_secret: made.secret.expose_secret().into() };
    Ok((StatusCode::CREATED, Json(Created { account, credential })).into_response())
}

/// What is to be changed; what is not named stays.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "AccountChange")]
pub(super) struct Wish {
    /// Disabled accounts get no token, and theirs are refused within five seconds.
    disabled: Option<bool>,
    /// Whether key and secret are taken in place of a token.
    basic: Option<bool>,
}

/// `PATCH /core/v1/accounts/{id}`.
///
/// # Errors
/// [`Code::AccountUnknown`], [`Code::BodyInvalid`].
pub(super) async fn change(api: State, caller: Caller, Path(text): Path<String>, body: JsonBytes) -> Result<Json<View>> {
    let id = id(&text)?;
    let Wish { disabled, basic } = body.read()?;
    let change = Change { disabled, basic, ..Change::default() };
    apply(&api, &caller, id, &change).await.map(|account| Json(account.into()))
}

/// Changes an account of the caller's.
///
/// # Errors
/// [`Code::AccountUnknown`].
pub(super) async fn apply(api: &State, caller: &Caller, id: AccountId, change: &Change) -> Result<Managed> {
    api.ledger.change_managed(&caller.actor(), caller.account, id, change).await.map_err(told)
}
