//! `POST /connexionKS`: logging in.

use std::net::{IpAddr, Ipv6Addr};

use axum::Json;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::super::{Dialect, texts};
use super::Claimed;
use crate::api::access::peer;
use crate::api::body::parse;
use crate::api::error::Result;
use crate::api::traffic::TokenFailure;
use crate::ledger::accounts::Role;

#[derive(Debug, Serialize)]
struct Answer {
    resultat: &'static str,
    gestionnaire: bool,
    jwt: Option<String>,
}

/// The header `Bearer noJwt` of the protocol says nothing, and is not read. Whoever's subscription has expired gets a
/// token all the same: what was registered stays readable. Whoever asks from where it may not is told no more than somebody
/// unknown: another answer would say that the empreinte is right.
///
/// # Errors
/// [`Code::AuthenticationFailed`](crate::api::error::Code::AuthenticationFailed) after too many failures from one address,
/// [`Code::RateLimited`](crate::api::error::Code::RateLimited).
pub(in super::super) async fn connexion(dialect: Dialect, request: Request) -> Result<Response> {
    let (head, stream) = request.into_parts();
    let (address, meter) = (peer::address(&head, &dialect.api.trusted), super::meter(&head));
    dialect.api.rates.stranger(address, &meter)?;
    // Those whose address nobody knows share one count.
    let from = address.unwrap_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED));
    let now = dialect.api.ports.clock.now();
    if let Some(wait) = dialect.told.attempts.wait(from, now) {
        return Err(super::refused("too many logins have failed from this address").retry_after(wait));
    }
    let bytes = super::read_body(&dialect, &head.headers, stream).await?;
    let claimed: Claimed<'_> = parse(&bytes)?;
    let empreinte = claimed.empreinte();
    // One that has not even the form costs a look-up like any other.
    let identity = super::identity(&dialect, empreinte.as_deref().unwrap_or_default()).await?;
    let (known, identity) =
        (identity.is_some(), identity.filter(|identity| peer::lets_in(identity.networks.as_deref(), address)));
    let Some((identity, empreinte)) = identity.zip(empreinte) else {
        dialect.told.attempts.failed(from, now);
        let why = if known { "address_refused" } else { "unknown_empreinte" };
        dialect.api.journal.refused(None, Some(from), why);
        let mut answer = Json(Answer { resultat: texts::INCONNU, gestionnaire: false, jwt: None }).into_response();
        answer.extensions_mut().insert(TokenFailure(why));
        return Ok(answer);
    };
    dialect.api.rates.account(identity.account, &identity.limits, &meter)?;
    dialect.api.journal.issued(identity.account, Some(from), "kagesecur");
    let answer = Answer {
        resultat: if identity.is_subscribed(now) { texts::CONNECTE } else { texts::ABONNEMENT_EXPIRE },
        gestionnaire: identity.role == Role::Manager,
        jwt: Some(dialect.told.key.issue(dialect.claim(&empreinte), now)),
    };
    Ok(Json(answer).into_response())
}
