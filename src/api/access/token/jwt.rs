//! Access tokens: JWTs of RFC 9068, signed with Ed25519, checked as RFC 8725 asks.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use jsonwebtoken::{Algorithm, Header, Validation};
use sceau_verifier::promise::Payload;
use serde_json::Value;
use time::OffsetDateTime;

use super::claims::{Claims, LEEWAY};
use super::keys::Keys;
use super::scope::Scopes;
use super::verified::{Name, Verified};
use crate::ledger::accounts::Credential;
use crate::ports::Entropy;

/// Longer tokens are not looked at: ours have about 500 bytes.
const MAX_TOKEN: usize = 4096;
/// The header's `typ` (RFC 9068 §2.1).
const TYPE: &str = "at+jwt";

/// The keys tokens are signed and checked with.
pub struct Tokens {
    current: RwLock<Arc<Current>>,
    source: Option<PathBuf>,
    issuer: String,
    life: u64,
}

/// Keys, and what was checked with them.
#[derive(Debug)]
struct Current {
    keys: Keys,
    verified: Verified,
}

impl Current {
    fn of(keys: Keys) -> RwLock<Arc<Self>> {
        RwLock::new(Arc::new(Self { keys, verified: Verified::default() }))
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens")
            .field("keys", &self.current().keys)
            .field("issuer", &self.issuer)
            .field("life", &self.life)
            .finish()
    }
}

/// Why a token is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// Made by us, for us, but too old.
    Expired,
    /// Anything else. Callers are not told more.
    Invalid,
}

impl Tokens {
    /// Reads the keys: see [`Keys::read`]. Tokens live `life` seconds.
    ///
    /// # Errors
    /// Names the file, never what it holds.
    pub fn load(path: &Path, public_url: &str, life: u64) -> anyhow::Result<Self> {
        let current = Current::of(Keys::read(path)?);
        Ok(Self { current, source: Some(path.into()), issuer: public_url.into(), life })
    }

    /// With the keys of a PEM file's bytes; they are not read again.
    ///
    /// # Errors
    /// When there is no Ed25519 private key in PKCS#8 PEM.
    pub fn from_pem(pem: &[u8], public_url: &str, life: u64) -> anyhow::Result<Self> {
        let current = Current::of(Keys::from_pem(pem)?);
        Ok(Self { current, source: None, issuer: public_url.into(), life })
    }

    fn current(&self) -> Arc<Current> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads the keys again; answers whether they changed. When they cannot be read those of before stay.
    ///
    /// # Errors
    /// Names the file, never what it holds.
    pub fn reload(&self) -> anyhow::Result<bool> {
        let Some(path) = &self.source else { return Ok(false) };
        let found = Keys::read(path)?;
        let changed = !found.are(&self.current().keys);
        if changed {
            let fresh = Current { keys: found, verified: Verified::default() };
            *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(fresh);
        }
        Ok(changed)
    }

    /// Never ends: reads the keys again every so often.
    pub async fn follow(self: Arc<Self>, every: Duration) {
        loop {
            tokio::time::sleep(every).await;
            match self.reload() {
                Ok(false) => {}
                Ok(true) => tracing::info!(keys = ?self.current().keys, "the token keys were renewed"),
                Err(error) => tracing::warn!(error = format!("{error:#}"), "the token keys cannot be read; those of before stay"),
            }
        }
    }

    /// Life of a token, seconds.
    #[must_use]
    pub fn life(&self) -> u64 {
        self.life
    }

    /// Makes a token.
    ///
    /// # Errors
    /// When signing fails, which it does not with a key that was read.
    pub fn issue(
        &self,
        credential: &Credential,
        client_id: &str,
        scopes: Scopes,
        now: OffsetDateTime,
        entropy: &dyn Entropy,
    ) -> Result<String, jsonwebtoken::errors::Error> {
        let mut jti = [0; 16];
        entropy.fill(&mut jti);
        let iat = now.unix_timestamp();
        let claims = Claims {
            iss: self.issuer.clone(),
            sub: credential.account.0.to_string(),
            client_id: client_id.into(),
            aud: self.issuer.clone(),
            exp: iat.saturating_add_unsigned(self.life),
            iat,
            jti: hex::encode(jti),
            scope: scopes.to_string(),
            nbf: None,
            generation: credential.generation,
        };
        let current = self.current();
        let key = current.keys.signing(now);
        let header = Header { typ: Some(TYPE.into()), kid: Some(key.id.clone()), ..Header::new(Algorithm::EdDSA) };
        jsonwebtoken::encode(&header, &claims, &key.signing)
    }

    /// Signs a promise (verifier/SPEC.md §2.6) with the key that signs tokens now. Its type tells it from a token.
    #[must_use]
    pub fn promise(&self, payload: &Payload, now: OffsetDateTime) -> String {
        self.current().keys.signing(now).promise(payload)
    }

    /// Checks a token: length, algorithm, type, key, signature, issuer, audience, then its times.
    ///
    /// Keys named or carried by the token itself (`jku`, `jwk`, `x5u`) are never read. Times are checked here and not by
    /// the library, whose clock is the system's and not the one passed around.
    ///
    /// # Errors
    /// See [`Refused`].
    pub fn check(&self, token: &str, now: OffsetDateTime) -> Result<Arc<Claims>, Refused> {
        if token.len() > MAX_TOKEN {
            return Err(Refused::Invalid);
        }
        let (now, name, current) = (now.unix_timestamp(), Name::of(token), self.current());
        let claims = match current.verified.find(name) {
            Some(claims) => claims,
            None => {
                let claims = Arc::new(self.signed(token, &current.keys)?);
                current.verified.keep(name, &claims, now);
                claims
            }
        };
        if claims.iat.max(claims.nbf.unwrap_or(claims.iat)) > now.saturating_add(LEEWAY) {
            return Err(Refused::Invalid);
        }
        if now >= claims.exp.saturating_add(LEEWAY) {
            return Err(Refused::Expired);
        }
        Ok(claims)
    }

    /// What the token says, once all of it but its times was found right.
    fn signed(&self, token: &str, keys: &Keys) -> Result<Claims, Refused> {
        let header = jsonwebtoken::decode_header(token).map_err(|_| Refused::Invalid)?;
        // RFC 9068 §4 allows the full media type as well. Nothing critical (RFC 7515 §4.1.11) is understood here.
        let typ = header.typ.as_deref().unwrap_or_default().to_ascii_lowercase();
        if typ.strip_prefix("application/").unwrap_or(&typ) != TYPE || header.crit.is_some() {
            return Err(Refused::Invalid);
        }
        let key = header.kid.as_deref().and_then(|kid| keys.named(kid)).ok_or(Refused::Invalid)?;
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_audience(&[&self.issuer]);
        validation.set_issuer(&[&self.issuer]);
        validation.set_required_spec_claims(&["iss", "sub", "aud"]);
        validation.validate_exp = false;
        Ok(jsonwebtoken::decode::<Claims>(token, &key.checking, &validation).map_err(|_| Refused::Invalid)?.claims)
    }

    /// The public keys (RFC 7517).
    #[must_use]
    pub fn jwks(&self) -> Value {
        self.current().keys.public()
    }
}

#[cfg(test)]
mod tests {
    use super::super::keys::tests::pem;
    use super::*;
    use crate::ledger::accounts::limits::Limits;
    use crate::ledger::accounts::{AccountId, Role};
    use crate::ports::SystemEntropy;

    const LIFE: u64 = 600;

    fn credential() -> Credential {
        Credential {
            account: AccountId(1),
            name: "partner".into(),
            role: Role::Partner,
            secret_hash: [0; 32],
            active: true,
            basic: false,
            networks: None,
            generation: 0,
            revoked: Vec::new(),
            limits: Limits { requests_per_second: 1, burst: 1, digests_per_day: None },
            subscribed_until: None,
        }
    }

    /// What is remembered of a token is its signature only, and only while its key is there.
    #[test]
    fn a_token_that_was_checked_before_still_ends_with_its_time_and_with_its_key() {
        let folder = tempfile::tempdir().unwrap();
        let (old, new) = (folder.path().join("1.pem"), folder.path().join("2.pem"));
        std::fs::write(&old, pem(1)).unwrap();
        let tokens = Tokens::load(folder.path(), "http://here", LIFE).unwrap();
        let now = time::macros::datetime!(2026-11-22 12:00 UTC);
        let token = tokens.issue(&credential(), "ck", Scopes::of_role(Role::Partner), now, &SystemEntropy).unwrap();
        let end = now + Duration::from_secs(LIFE + LEEWAY.unsigned_abs());
        for _ in 0..2 {
            assert!(tokens.check(&token, now).is_ok());
            assert!(tokens.check(&token, end - Duration::from_secs(1)).is_ok());
            assert_eq!(tokens.check(&token, end).unwrap_err(), Refused::Expired);
            assert_eq!(tokens.check(&token, now - Duration::from_secs(31)).unwrap_err(), Refused::Invalid);
            // One byte of the signature.
            let (body, last) = token.split_at(token.len() - 2);
            let other = if last.starts_with('A') { "B" } else { "A" };
            assert_eq!(tokens.check(&format!("{body}{other}{}", &last[1..]), now).unwrap_err(), Refused::Invalid);
        }
        std::fs::write(&new, pem(2)).unwrap();
        assert!(tokens.reload().unwrap());
        assert!(tokens.check(&token, now).is_ok(), "its key is still there");
        std::fs::remove_file(old).unwrap();
        assert!(tokens.reload().unwrap());
        assert_eq!(tokens.check(&token, now).unwrap_err(), Refused::Invalid);
    }
}
