//! Who is asking: the account behind the access token of a request.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use axum::http::request::Parts;
use time::OffsetDateTime;
use tokio::time::Instant;

use super::State;
use super::error::{Code, Problem, Result};
use super::token::{Claims, Refused, Scope, Scopes};
use crate::ledger::accounts::{AccountId, Role};
use crate::ledger::{self, Ledger};

/// An account that proved who it is and is active.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller {
    /// The account.
    pub account: AccountId,
    /// Its role as it is now.
    pub role: Role,
    /// What the token may be used for: no more than the role allows now.
    pub scopes: Scopes,
    /// Until when the account may submit; `None`: without end.
    pub subscribed_until: Option<OffsetDateTime>,
}

impl Caller {
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

impl Caller {
    /// Passes while the account may submit.
    ///
    /// # Errors
    /// [`Code::SubscriptionExpired`].
    pub fn subscribed(&self, now: OffsetDateTime) -> Result<()> {
        if self.subscribed_until.is_none_or(|until| now < until) { Ok(()) } else { Err(Code::SubscriptionExpired.into()) }
    }
}

impl FromRequestParts<State> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &State) -> Result<Self> {
        let mut given = parts.headers.get_all(AUTHORIZATION).iter();
        let token = match (given.next(), given.next()) {
            (None, _) => {
                return Err(Code::TokenMissing
                    .with("send Authorization: Bearer <token>")
                    .header(WWW_AUTHENTICATE, "Bearer realm=\"sceau\""));
            }
            (Some(header), None) => header.to_str().ok().and_then(bearer),
            (Some(_), Some(_)) => None,
        };
        let token = token.ok_or_else(|| refused(Code::TokenInvalid, "Authorization is not one Bearer token"))?;
        let claims = api.tokens.check(token, api.ports.clock.now()).map_err(|why| match why {
            Refused::Expired => refused(Code::TokenExpired, "the token has expired"),
            Refused::Invalid => refused(Code::TokenInvalid, "the token is not valid"),
        })?;
        let standing = api.standings.of(&api.ledger, &claims.client_id).await?;
        let standing = standing.filter(|standing| claims.sub == standing.account.0.to_string());
        let standing = standing.ok_or_else(|| refused(Code::TokenInvalid, "the token's credential does not exist"))?;
        if !standing.active {
            return Err(Code::AccountDisabled.into());
        }
        Self::of(&claims, standing)
    }
}

impl Caller {
    fn of(claims: &Claims, standing: Standing) -> Result<Self> {
        let scopes = Scopes::parse(&claims.scope).ok_or_else(|| refused(Code::TokenInvalid, "the token's scope is not one"))?;
        Ok(Self {
            account: standing.account,
            role: standing.role,
            scopes: scopes.and(Scopes::of_role(standing.role)),
            subscribed_until: standing.subscribed_until,
        })
    }
}

fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn refused(code: Code, why: &str) -> Problem {
    let challenge = format!("Bearer realm=\"sceau\", error=\"invalid_token\", error_description=\"{why}\"");
    code.with(why).header(WWW_AUTHENTICATE, &challenge)
}

/// A credential as it stands in the database now.
#[derive(Debug, Clone, Copy)]
struct Standing {
    account: AccountId,
    role: Role,
    active: bool,
    subscribed_until: Option<OffsetDateTime>,
}

/// Remembers for a few seconds how credentials stand, so that not every request asks the database. Disabling an account
/// is felt after that time at the latest.
#[derive(Debug)]
pub struct Standings {
    life: Duration,
    known: Mutex<HashMap<String, (Instant, Option<Standing>)>>,
}

impl Standings {
    /// More than this are not remembered. Only keys in tokens signed by us get here.
    const MOST: usize = 10_000;

    /// Remembers for `life`.
    #[must_use]
    pub fn new(life: Duration) -> Self {
        Self { life, known: Mutex::default() }
    }

    async fn of(&self, ledger: &Ledger, client_id: &str) -> ledger::Result<Option<Standing>> {
        let now = Instant::now();
        let remembered = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(client_id).copied();
        if let Some((at, standing)) = remembered
            && now.duration_since(at) < self.life
        {
            return Ok(standing);
        }
        let credential = ledger.credential(client_id).await?;
        let standing = credential.map(|credential| Standing {
            account: credential.account,
            role: credential.role,
            active: credential.active,
            subscribed_until: credential.subscribed_until,
        });
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= Self::MOST {
            known.retain(|_, (at, _)| now.duration_since(*at) < self.life);
            if known.len() >= Self::MOST {
                known.clear();
            }
        }
        // The time before the question: what the database said may be older than its answer.
        known.insert(client_id.into(), (now, standing));
        Ok(standing)
    }
}
