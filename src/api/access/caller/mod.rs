//! Who is asking: the account behind the access token of a request, or behind key and secret where that is allowed.

mod standing;

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use axum::http::request::Parts;
use secrecy::ExposeSecret;
use time::OffsetDateTime;

pub use self::standing::Standings;
use super::limit::Meter;
use super::peer;
use super::token::{Claims, Presented, Refused, Scope, Scopes, basic};
use crate::api::State;
use crate::api::error::{Code, Problem, Result};
use crate::api::routes::Access;
use crate::ledger::accounts::audit_log::Actor;
use crate::ledger::accounts::limits::Limits;
use crate::ledger::accounts::{AccountId, Credential, Role};

/// An account that proved who it is, is active, asks from where it may, and not too often.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The account.
    pub account: AccountId,
    /// From where it asks.
    pub address: Option<IpAddr>,
    /// Its name, as promises have it.
    pub name: String,
    /// Its role as it is now.
    pub role: Role,
    /// What the token may be used for: no more than the role allows now.
    pub scopes: Scopes,
    /// How often it may ask, and how much it may submit.
    pub limits: Limits,
    /// Where what is left of them is noted.
    pub meter: Meter,
    /// Until when the account may submit; `None`: without end.
    pub subscribed_until: Option<OffsetDateTime>,
    /// What let it in.
    pub pass: Pass,
}

/// What somebody was let in with, for looking again while an answer takes long.
#[derive(Debug, Clone)]
pub struct Pass {
    /// The consumer key.
    pub client_id: String,
    /// `None`: key and secret.
    claims: Option<Arc<Claims>>,
}

impl Caller {
    /// As the log names it.
    #[must_use]
    pub fn actor(&self) -> Actor {
        Actor::account(self.account, self.address)
    }

    /// Passes while the account may submit.
    ///
    /// # Errors
    /// [`Code::SubscriptionExpired`].
    pub fn subscribed(&self, now: OffsetDateTime) -> Result<()> {
        if self.subscribed_until.is_none_or(|until| now < until) { Ok(()) } else { Err(Code::SubscriptionExpired.into()) }
    }
}

impl Caller {
    /// Passes while what let it in would do so again: for answers that take long. The end of a token's life does not end what
    /// began before it.
    ///
    /// # Errors
    /// [`Code::AccountDisabled`], [`Code::TokenInvalid`], [`Code::CredentialsInvalid`], [`Code::AddressRefused`], and those of
    /// the database.
    pub async fn still(&self, api: &State) -> Result<()> {
        let Pass { client_id, claims } = &self.pass;
        let standing = api.standings.of(client_id, || api.ledger.credential(client_id)).await?;
        let credential = standing.filter(|credential| credential.active).ok_or(Code::AccountDisabled)?;
        match claims {
            Some(claims) if is_revoked(claims, &credential) => return Err(refused(Code::TokenInvalid, "the token was revoked")),
            None if !credential.basic => return Err(wrong()),
            _ => {}
        }
        if credential.lets_in(self.address) { Ok(()) } else { Err(Code::AddressRefused.into()) }
    }

    /// Whether a request would still be let in that was when this one came: as [`Self::still`], and the token has not expired.
    /// False also when that cannot be found out.
    pub async fn is_still_welcome(&self, api: &State) -> bool {
        let over = |claims: &Arc<Claims>| api.ports.clock.now() >= claims.accepted_until();
        !self.pass.claims.as_ref().is_some_and(over) && self.still(api).await.is_ok()
    }

    /// Passes when the token has `scope`.
    ///
    /// # Errors
    /// [`Code::ScopeMissing`] with the challenge of RFC 6750 §3.1.
    pub fn need(&self, scope: Scope) -> Result<()> {
        if self.scopes.has(scope) {
            return Ok(());
        }
        let name = scope.as_str();
        Err(Code::ScopeMissing
            .with(format!("this route needs the scope {name}"))
            .header(WWW_AUTHENTICATE, &format!("Bearer realm=\"sceau\", error=\"insufficient_scope\", scope=\"{name}\"")))
    }
}

/// Asks in this order: who it is, whether it is active, from where, how often, and whether the token is good for this
/// route. What one question refuses never tells anything about the next.
impl FromRequestParts<State> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &State) -> Result<Self> {
        let Some(Access::Scope(scope)) = parts.extensions.get::<Access>().copied() else {
            return Err(Code::Internal.because("this route asks who is calling, but is not in the list of routes with a scope"));
        };
        let meter = parts.extensions.get::<Meter>().cloned().unwrap_or_default();
        let address = peer::address(parts, &api.trusted);
        let (credential, scopes, pass) = match given(&parts.headers)? {
            Given::Bearer(token) => {
                let (credential, scopes, claims) = by_token(api, token).await?;
                (credential, scopes, Pass { client_id: claims.client_id.clone(), claims: Some(claims) })
            }
            Given::Basic(presented) => {
                api.rates.may_try(address, &meter)?;
                match by_secret(api, &presented).await? {
                    Some((credential, scopes)) => {
                        (credential, scopes, Pass { client_id: presented.client_id.clone(), claims: None })
                    }
                    None => {
                        api.journal.refused(None, address, "credentials_invalid");
                        api.rates.stranger(address, &meter)?;
                        return Err(wrong());
                    }
                }
            }
        };
        if !credential.active {
            return Err(Code::AccountDisabled.into());
        }
        if !credential.lets_in(address) {
            return Err(Code::AddressRefused.into());
        }
        api.rates.account(credential.account, &credential.limits, &meter)?;
        let (account, role, limits) = (credential.account, credential.role, credential.limits);
        let subscribed_until = credential.subscribed_until;
        let name = credential.name.clone();
        let caller = Self { account, address, name, role, scopes, limits, meter, subscribed_until, pass };
        caller.need(scope)?;
        Ok(caller)
    }
}

enum Given<'a> {
    Bearer(&'a str),
    Basic(Presented),
}

/// What stands in the one `Authorization`.
fn given(headers: &HeaderMap) -> Result<Given<'_>> {
    let mut given = headers.get_all(AUTHORIZATION).iter();
    let header = match (given.next(), given.next()) {
        (None, _) => {
            return Err(Code::TokenMissing
                .with("send Authorization: Bearer <token>")
                .header(WWW_AUTHENTICATE, "Bearer realm=\"sceau\""));
        }
        (Some(header), None) => header.to_str().ok(),
        (Some(_), Some(_)) => None,
    };
    let unreadable = || refused(Code::TokenInvalid, "Authorization is not one Bearer token");
    let (scheme, rest) = header.and_then(|header| header.split_once(' ')).ok_or_else(unreadable)?;
    if scheme.eq_ignore_ascii_case("bearer") {
        Ok(Given::Bearer(rest.trim()))
    } else if scheme.eq_ignore_ascii_case("basic") {
        basic(header.unwrap_or_default()).map(Given::Basic).ok_or_else(wrong)
    } else {
        Err(unreadable())
    }
}

async fn by_token(api: &State, token: &str) -> Result<(Arc<Credential>, Scopes, Arc<Claims>)> {
    let claims = api.tokens.check(token, api.ports.clock.now()).map_err(|why| match why {
        Refused::Expired => refused(Code::TokenExpired, "the token has expired"),
        Refused::Invalid => refused(Code::TokenInvalid, "the token is not valid"),
    })?;
    let credential = api.standings.of(&claims.client_id, || api.ledger.credential(&claims.client_id)).await?;
    let credential = credential.filter(|credential| claims.sub == credential.account.0.to_string());
    let credential = credential.ok_or_else(|| refused(Code::TokenInvalid, "the token's credential does not exist"))?;
    if is_revoked(&claims, &credential) {
        return Err(refused(Code::TokenInvalid, "the token was revoked"));
    }
    let scopes = Scopes::parse(&claims.scope).ok_or_else(|| refused(Code::TokenInvalid, "the token's scope is not one"))?;
    let scopes = scopes.and(Scopes::of_role(credential.role));
    Ok((credential, scopes, claims))
}

fn is_revoked(claims: &Claims, credential: &Credential) -> bool {
    let listed = claims.name().is_some_and(|jti| credential.revoked.contains(&jti));
    listed || claims.generation != credential.generation
}

/// `None` for an unknown key, a wrong secret, and an account that does not take them here: which it was is not said.
async fn by_secret(api: &State, presented: &Presented) -> Result<Option<(Arc<Credential>, Scopes)>> {
    let key = &presented.client_id;
    let known = if presented.could_be_ours() { api.standings.of(key, || api.ledger.credential(key)).await? } else { None };
    let proven = api.pepper.matches(presented.secret.expose_secret(), known.as_ref().map(|credential| &credential.secret_hash));
    Ok(known.filter(|credential| proven && credential.basic).map(|credential| {
        let scopes = Scopes::of_role(credential.role);
        (credential, scopes)
    }))
}

fn wrong() -> Problem {
    Code::CredentialsInvalid.header(WWW_AUTHENTICATE, "Bearer realm=\"sceau\"")
}

fn refused(code: Code, why: &str) -> Problem {
    let challenge = format!("Bearer realm=\"sceau\", error=\"invalid_token\", error_description=\"{why}\"");
    code.with(why).header(WWW_AUTHENTICATE, &challenge)
}

impl Credential {
    /// Whether the account may ask from `address`; from an address nobody knows only if it may ask from anywhere.
    #[must_use]
    pub(in crate::api) fn lets_in(&self, address: Option<std::net::IpAddr>) -> bool {
        peer::lets_in(self.networks.as_deref(), address)
    }
}
