//! `POST /connexionKS`: logging in.

use std::net::{IpAddr, Ipv6Addr};

use axum::Json;
use axum::extract::Request;
use serde::Serialize;

use super::super::{Dialect, texts};
use super::Claimed;
use crate::api::body::parse;
use crate::api::error::Result;
use crate::api::peer;
use crate::ledger::accounts::Role;

#[derive(Debug, Serialize)]
struct Answer {
    resultat: &'static str,
    gestionnaire: bool,
    jwt: Option<String>,
}

/// The header `Bearer noJwt` of the protocol says nothing, and is not read. Whoever's subscription has expired gets a
/// token all the same: what was registered stays readable.
///
/// # Errors
/// [`Code::AuthenticationFailed`](crate::api::error::Code::AuthenticationFailed) after too many failures from one address.
pub(in super::super) async fn connexion(dialect: Dialect, request: Request) -> Result<Json<impl Serialize>> {
    let (head, stream) = request.into_parts();
    // Those whose address nobody knows share one count.
    let from = peer::address(&head, &dialect.api.trusted).unwrap_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED));
    let now = dialect.api.ports.clock.now();
    if let Some(wait) = dialect.told.attempts.wait(from, now) {
        return Err(super::refused("too many logins have failed from this address").retry_after(wait));
    }
    let bytes = super::read_body(&dialect, &head.headers, stream).await?;
    let claimed: Claimed<'_> = parse(&bytes)?;
    let empreinte = claimed.empreinte();
    // One that has not even the form costs a look-up like any other.
    let identity = super::identity(&dialect, empreinte.as_deref().unwrap_or_default()).await?;
    let Some((identity, empreinte)) = identity.zip(empreinte) else {
        dialect.told.attempts.failed(from, now);
        dialect.api.journal.refused(None, Some(from), "kagesecur_login");
        return Ok(Json(Answer { resultat: texts::INCONNU, gestionnaire: false, jwt: None }));
    };
    dialect.api.journal.issued(identity.account, Some(from), "kagesecur");
    Ok(Json(Answer {
        resultat: if identity.is_subscribed(now) { texts::CONNECTE } else { texts::ABONNEMENT_EXPIRE },
        gestionnaire: identity.role == Role::Manager,
        jwt: Some(dialect.told.key.issue(dialect.claim(&empreinte), now)),
    }))
}
