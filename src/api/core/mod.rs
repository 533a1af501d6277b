//! The core API, on a listener of its own: what managers do to the accounts they administer.

mod accounts;
mod credentials;
mod log;
mod operations;
mod settings;

use axum::extract::Query;
use axum::http::Uri;
use axum::routing::{delete, get, patch, post, put};
use schemars::JsonSchema;
use serde::Deserialize;

use super::access::token::Scope;
use super::error::{Code, Problem, Result};
use super::routes::{Access, Route};
use crate::ledger::LedgerError;
use crate::ledger::accounts::AccountId;

const MANAGE: Access = Access::Scope(Scope::Manage);

pub(super) const ROUTES: &[Route] = &[
    Route::get("/core/v1/accounts", MANAGE, || get(accounts::list)).told(operations::accounts),
    Route::post("/core/v1/accounts", MANAGE, || post(accounts::create)).told(operations::create_account),
    Route::get("/core/v1/accounts/{id}", MANAGE, || get(accounts::show)).told(operations::account),
    Route::other("PATCH", "/core/v1/accounts/{id}", MANAGE, || patch(accounts::change)).told(operations::change_account),
    Route::get("/core/v1/accounts/{id}/credentials", MANAGE, || get(credentials::list)).told(operations::credentials),
    Route::post("/core/v1/accounts/{id}/credentials", MANAGE, || post(credentials::add)).told(operations::add_credential),
    Route::other("DELETE", "/core/v1/accounts/{id}/credentials/{key}", MANAGE, || delete(credentials::revoke))
        .told(operations::revoke_credential),
    Route::other("DELETE", "/core/v1/accounts/{id}/tokens", MANAGE, || delete(credentials::revoke_tokens))
        .told(operations::revoke_tokens),
    Route::get("/core/v1/accounts/{id}/networks", MANAGE, || get(settings::networks)).told(operations::networks),
    Route::other("PUT", "/core/v1/accounts/{id}/networks", MANAGE, || put(settings::set_networks)).told(operations::set_networks),
    Route::get("/core/v1/accounts/{id}/limits", MANAGE, || get(settings::limits)).told(operations::limits),
    Route::other("PUT", "/core/v1/accounts/{id}/limits", MANAGE, || put(settings::set_limits)).told(operations::set_limits),
    Route::get("/core/v1/accounts/{id}/subscription", MANAGE, || get(settings::subscription)).told(operations::subscription),
    Route::other("PUT", "/core/v1/accounts/{id}/subscription", MANAGE, || put(settings::set_subscription))
        .told(operations::set_subscription),
    Route::get("/core/v1/log", MANAGE, || get(log::list)).told(operations::log),
];

/// Items of a page when nothing is said, and at most.
const PAGE: (u32, u32) = (50, 200);

/// Which part of a list.
#[derive(Deserialize, Default, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Page {
    /// `next` of the page before.
    #[schemars(range(min = 0, max = i64::MAX))]
    after: Option<i64>,
    /// Items of a page; 50 when nothing is said.
    #[schemars(range(min = 1, max = 200))]
    limit: Option<u32>,
}

impl Page {
    /// # Errors
    /// [`Code::QueryInvalid`].
    fn of(uri: &Uri) -> Result<(i64, usize)> {
        let page = Query::<Self>::try_from_uri(uri).map_err(|_| Code::QueryInvalid.with("only after=NUMBER and limit=NUMBER"))?.0;
        let (after, limit) = (page.after.unwrap_or(0), page.limit.unwrap_or(PAGE.0));
        if after < 0 || !(1..=PAGE.1).contains(&limit) {
            return Err(Code::QueryInvalid.with(format!("after is not negative, limit is 1 to {}", PAGE.1)));
        }
        Ok((after, limit as usize))
    }
}

/// An id in a path, in its one spelling. What is none is as unknown as one that nobody has.
fn id(text: &str) -> Result<AccountId> {
    let number = text.parse().ok().filter(|id: &i64| *id >= 1 && id.to_string() == text);
    number.map(AccountId).ok_or_else(|| Code::AccountUnknown.into())
}

/// An account that is not the manager's is as unknown as one that nobody has.
fn told(error: LedgerError) -> Problem {
    if matches!(error, LedgerError::Moved { .. }) { Code::AccountUnknown.into() } else { error.into() }
}
