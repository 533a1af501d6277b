//! `/core/v1/accounts/{id}/credentials` and `/tokens`.

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use secrecy::ExposeSecret;
use serde::Serialize;

use super::accounts::{Secret, apply};
use super::{id, told};
use crate::api::State;
use crate::api::access::caller::Caller;
use crate::api::access::secret::generate;
use crate::api::error::{Code, Result};
use crate::ledger::accounts::credentials::Shown;
use crate::ledger::accounts::manage::{Change, Made};

/// The credentials an account ever had, oldest first.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "Credentials")]
pub(super) struct List {
    credentials: Vec<Shown>,
}

/// `GET /core/v1/accounts/{id}/credentials`.
///
/// # Errors
/// [`Code::AccountUnknown`].
pub(super) async fn list(api: State, caller: Caller, Path(text): Path<String>) -> Result<Json<List>> {
    let credentials = api.ledger.managed_credentials(caller.account, id(&text)?).await.map_err(told)?;
    Ok(Json(List { credentials }))
}

/// `POST /core/v1/accounts/{id}/credentials`: one more key and secret, while the old ones still work.
///
/// # Errors
/// [`Code::AccountUnknown`], [`Code::CredentialsFull`].
pub(super) async fn add(api: State, caller: Caller, Path(text): Path<String>) -> Result<Response> {
    let id = id(&text)?;
    let made = generate(api.ports.entropy.as_ref());
    let hash = api.pepper.hash(made.secret.expose_secret());
    let added = api.ledger.add_managed_credential(&caller.actor(), caller.account, id, (&made.key, hash)).await.map_err(told)?;
    match added {
        Made::Made(_) => {
            let secret = Secret { consumer_key: made.key, consumer_secret: made.secret.expose_secret().into() };
            Ok((StatusCode::CREATED, Json(secret)).into_response())
        }
        Made::Taken => Err(Code::CredentialsFull.into()),
    }
}

/// `DELETE /core/v1/accounts/{id}/credentials/{key}`: refuses a key; its tokens are refused within five seconds.
///
/// # Errors
/// [`Code::AccountUnknown`], [`Code::CredentialUnknown`].
pub(super) async fn revoke(api: State, caller: Caller, Path((text, key)): Path<(String, String)>) -> Result<StatusCode> {
    let id = id(&text)?;
    // No key of ours has it, and Postgres cannot be asked for it.
    let key = key.replace('\0', "?");
    let found = api.ledger.revoke_managed_credential(&caller.actor(), caller.account, id, &key).await.map_err(told)?;
    if !found {
        return Err(Code::CredentialUnknown.into());
    }
    api.standings.forget(&key);
    Ok(StatusCode::NO_CONTENT)
}

/// `DELETE /core/v1/accounts/{id}/tokens`: takes all its tokens back; it may ask for new ones.
///
/// # Errors
/// [`Code::AccountUnknown`].
pub(super) async fn revoke_tokens(api: State, caller: Caller, Path(text): Path<String>) -> Result<StatusCode> {
    apply(&api, &caller, id(&text)?, &Change { revoke_tokens: true, ..Change::default() }).await?;
    Ok(StatusCode::NO_CONTENT)
}
