//! What the OpenAPI document says about these routes.

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::{Page, accounts, credentials, log, settings};
use crate::api::error::Code;
use crate::api::openapi::{Operation, schema};
use crate::ledger::accounts::limits::Limits;

const ACCOUNTS: &str = "accounts";
const SECRET: &str = "cs_…";

fn of(id: &'static str, summary: &'static str) -> Operation {
    Operation::new(ACCOUNTS, id, summary)
        .path::<schema::AccountNumber>("id", "Id of an account that you administer.", 2)
        .fails(&[Code::AccountUnknown])
}

fn shown() -> Value {
    json!({
        "id": 2, "name": "acme", "role": "client", "created_at": "2026-11-22T07:11:19.631019Z", "disabled_at": null, "basic": false,
        "networks": null, "limits": limits_example(), "subscribed_until": null,
    })
}

fn limits_example() -> Value {
    json!({ "requests_per_second": 1000, "burst": 2000, "digests_per_day": null })
}

fn secret() -> Value {
    json!({ "consumer_key": "ck_abcdefghijklmnopqrstuvwxyz", "consumer_secret": SECRET })
}

pub(super) fn accounts() -> Operation {
    Operation::new(ACCOUNTS, "accounts", "The accounts you administer, oldest first").query::<Page>().gives::<accounts::List>(
        StatusCode::OK,
        "A page.",
        json!({ "accounts": [shown()], "next": null }),
    )
}

pub(super) fn create_account() -> Operation {
    Operation::new(ACCOUNTS, "createAccount", "Makes an account with its first credential")
        .about(
            "You administer it, and may submit for it. Its subscription ends when yours does. Managers are made by the operator.",
        )
        .takes::<accounts::New>([("client", json!({ "name": "acme", "role": "client" }))])
        .gives::<accounts::Created>(
            StatusCode::CREATED,
            "It was made. This is the only time the secret is shown.",
            json!({ "account": shown(), "credential": secret() }),
        )
        .fails(&[Code::NameTaken])
}

pub(super) fn account() -> Operation {
    of("account", "An account").gives::<accounts::View>(StatusCode::OK, "It.", shown())
}

pub(super) fn change_account() -> Operation {
    of("changeAccount", "Disables an account, or makes it active again")
        .takes::<accounts::Wish>([("nothing", json!({})), ("active", json!({ "disabled": false }))])
        .gives::<accounts::View>(StatusCode::OK, "As it is now.", shown())
}

pub(super) fn credentials() -> Operation {
    let one = json!({ "consumer_key": "ck_abcdefghijklmnopqrstuvwxyz", "created_at": "2026-11-22T07:11:19.631019Z", "revoked_at": null });
    of("credentials", "The credentials of an account, oldest first").gives::<credentials::List>(
        StatusCode::OK,
        "Those it ever had.",
        json!({ "credentials": [one] }),
    )
}

pub(super) fn add_credential() -> Operation {
    of("addCredential", "Makes one more credential, while the old one still works")
        .gives::<accounts::Secret>(StatusCode::CREATED, "It was made. This is the only time the secret is shown.", secret())
        .fails(&[Code::CredentialsFull])
}

pub(super) fn revoke_credential() -> Operation {
    of("revokeCredential", "Refuses a credential; its tokens are refused within five seconds")
        .path::<String>("key", "Its consumer key.", "ck_abcdefghijklmnopqrstuvwxyz")
        .gives_nothing(StatusCode::NO_CONTENT, "It is refused, now or since long.")
        .fails(&[Code::CredentialUnknown])
}

pub(super) fn revoke_tokens() -> Operation {
    of("revokeTokens", "Takes all tokens of an account back; it may ask for new ones")
        .gives_nothing(StatusCode::NO_CONTENT, "They are refused within five seconds.")
}

pub(super) fn networks() -> Operation {
    of("networks", "From where an account may ask").gives::<settings::Networks>(
        StatusCode::OK,
        "None: from anywhere.",
        json!({ "networks": ["192.0.2.0/24"] }),
    )
}

pub(super) fn set_networks() -> Operation {
    of("setNetworks", "Says from where an account may ask")
        .takes::<settings::Networks>([("anywhere", json!({ "networks": [] }))])
        .gives::<settings::Networks>(StatusCode::OK, "As it is now.", json!({ "networks": [] }))
}

pub(super) fn limits() -> Operation {
    of("limits", "How often an account may ask and how much it may submit").gives::<Limits>(
        StatusCode::OK,
        "The limits that count.",
        limits_example(),
    )
}

pub(super) fn set_limits() -> Operation {
    of("setLimits", "Changes them; no account gets more than its manager has")
        .takes::<settings::Wish>([("defaults", json!({})), ("some", json!({ "digests_per_day": 100_000 }))])
        .gives::<Limits>(StatusCode::OK, "The limits that count now.", limits_example())
}

pub(super) fn subscription() -> Operation {
    of("subscription", "Until when an account may submit").gives::<settings::Subscription>(
        StatusCode::OK,
        "null: without end.",
        json!({ "until": "2027-12-31T23:59:59Z" }),
    )
}

pub(super) fn set_subscription() -> Operation {
    of("setSubscription", "Says until when an account may submit; reading goes on after it")
        .takes::<settings::Subscription>([("a year", json!({ "until": "2027-12-31T23:59:59Z" }))])
        .gives::<settings::Subscription>(StatusCode::OK, "As it is now.", json!({ "until": "2027-12-31T23:59:59Z" }))
}

pub(super) fn log() -> Operation {
    let hash = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    let event = json!({
        "at": "2026-11-22T12:57:30.952646Z", "actor": "account 1", "action": "account.changed", "number": 4, "account": 2,
        "detail": { "name": "acme", "disabled_at": "2026-11-22T12:57:30.952356+00:00" },
    });
    Operation::new("log", "log", "What was done to your account and to those you administer, oldest first")
        .about("Rows of one chain of hashes; those about other accounts are left out.")
        .query::<Page>()
        .gives::<log::List>(
            StatusCode::OK,
            "A page.",
            json!({ "log": [{ "number": 4, "event": event, "previous": hash, "hash": hash }], "next": null }),
        )
}
