//! Who is asking: the token in the header, and the empreinte in the body that must belong to it.

pub(super) mod attempts;
pub(super) mod connexion;
pub mod jwt;

use std::sync::Arc;

use axum::body::Body;
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use serde::Deserialize;
use serde_json::value::RawValue;
use subtle::ConstantTimeEq;

use self::jwt::Claims;
use super::Dialect;
use crate::api::access::limit::Meter;
use crate::api::access::peer;
use crate::api::access::secret::Domain;
use crate::api::body;
use crate::api::error::{Code, Problem, Result};
use crate::ledger::kagesecur::identities::Identity;

/// Reads a body, whatever it says it is: programs of the dialect send JSON and may not say so.
pub(super) async fn read_body(dialect: &Dialect, headers: &HeaderMap, stream: Body) -> Result<Vec<u8>> {
    body::read(headers, stream, dialect.api.limits.body_bytes, dialect.api.limits.body).await
}

/// Who says to be asking.
#[derive(Debug, Deserialize)]
pub(super) struct Claimed<'a> {
    #[serde(borrow)]
    pub empreinte: Option<&'a RawValue>,
    #[serde(borrow, rename = "hashJwt")]
    pub hash_jwt: Option<&'a RawValue>,
}

/// A JSON string; `None` for anything else.
pub(super) fn text(raw: Option<&RawValue>) -> Option<String> {
    serde_json::from_str(raw?.get()).ok()
}

/// An empreinte, or any hash of the dialect, is exactly 64 lower-case hex digits.
pub(super) fn is_hash(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

impl Claimed<'_> {
    /// The empreinte, when it has its form and `hashJwt` is the same.
    pub(super) fn empreinte(&self) -> Option<String> {
        let (empreinte, hash_jwt) = (text(self.empreinte)?, text(self.hash_jwt)?);
        let same: bool = empreinte.as_bytes().ct_eq(hash_jwt.as_bytes()).into();
        (same && is_hash(&empreinte)).then_some(empreinte)
    }
}

/// The identity behind an empreinte, as it stands now. The same work is done whether there is one or not.
pub(super) async fn identity(dialect: &Dialect, empreinte: &str) -> Result<Option<Identity>> {
    let hash = dialect.api.pepper.keyed(Domain::Empreinte, empreinte.as_bytes());
    let found = dialect.api.ledger.identities(&[hash]).await?.pop();
    Ok(found.filter(|identity| identity.empreinte_hash.ct_eq(&hash).into()))
}

/// Where limits that a request meets are noted.
pub(super) fn meter(head: &Parts) -> Meter {
    head.extensions.get::<Meter>().cloned().unwrap_or_default()
}

/// A token that is valid.
#[derive(Debug)]
pub(super) struct Session(Claims);

impl Session {
    /// Checks the token in the header: before anything of the body is read.
    ///
    /// # Errors
    /// [`Code::AuthenticationFailed`].
    pub(super) fn of(dialect: &Dialect, headers: &HeaderMap) -> Result<Self> {
        let mut given = headers.get_all(AUTHORIZATION).iter();
        let header = given.next().filter(|_| given.next().is_none()).and_then(|header| header.to_str().ok());
        let (scheme, token) = header.and_then(|header| header.split_once(' ')).unwrap_or_default();
        let token = Some(token.trim()).filter(|_| scheme.eq_ignore_ascii_case("bearer"));
        let claims = token.and_then(|token| dialect.told.key.check(token, dialect.api.ports.clock.now()));
        claims.map(Self).ok_or_else(|| refused("the token is not one of this dialect, or it has expired: log in again"))
    }

    /// Who is asking, from where it may, and not too often: `None` when the body names nobody who exists, which each
    /// endpoint answers in its own words. The order of the questions is that of the partner API.
    ///
    /// # Errors
    /// [`Code::AuthenticationFailed`] when `hashJwt` does not belong to the token, [`Code::AddressRefused`],
    /// [`Code::RateLimited`].
    pub(super) async fn asker(&self, dialect: &Dialect, head: &Parts, claimed: &Claimed<'_>) -> Result<Option<Arc<Identity>>> {
        let hash_jwt = text(claimed.hash_jwt).unwrap_or_default();
        let own: bool = dialect.claim(&hash_jwt).as_bytes().ct_eq(self.0.hash.as_bytes()).into();
        if !own {
            return Err(refused("hashJwt does not belong to the token"));
        }
        let Some(empreinte) = claimed.empreinte() else { return Ok(None) };
        let api = &dialect.api;
        let hash = api.pepper.keyed(Domain::Empreinte, empreinte.as_bytes());
        let ask = async || Ok(api.ledger.identities(&[hash]).await?.pop());
        let Some(asker) = dialect.told.standings.of(&hex::encode(hash), ask).await? else { return Ok(None) };
        if !peer::lets_in(asker.networks.as_deref(), peer::address(head, &api.trusted)) {
            return Err(Code::AddressRefused.into());
        }
        api.rates.account(asker.account, &asker.limits, &meter(head))?;
        Ok(Some(asker))
    }

    /// A fresh token, when this one is near its end.
    pub(super) fn renewed(&self, dialect: &Dialect) -> Option<String> {
        let now = dialect.api.ports.clock.now();
        self.0.is_near_the_end(now).then(|| dialect.told.key.issue(self.0.hash.clone(), now))
    }
}

pub(super) fn refused(why: &str) -> Problem {
    Code::AuthenticationFailed.with(why)
}
