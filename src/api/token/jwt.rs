//! Access tokens: JWTs of RFC 9068, signed with Ed25519, checked as RFC 8725 asks.

use std::fmt;
use std::path::Path;

use jsonwebtoken::jwk::{Jwk, ThumbprintHash};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::scope::Scopes;
use crate::ledger::accounts::AccountId;
use crate::ports::Entropy;

/// Longer tokens are not looked at: ours have about 500 bytes.
const MAX_TOKEN: usize = 4096;
/// How far clocks of instances may differ, seconds.
const LEEWAY: i64 = 30;
/// The header's `typ` (RFC 9068 §2.1).
const TYPE: &str = "at+jwt";

/// The keys tokens are signed and checked with.
pub struct Tokens {
    /// The first signs, all are good for checking.
    keys: Vec<Key>,
    issuer: String,
    life: u64,
}

struct Key {
    id: String,
    signing: EncodingKey,
    checking: DecodingKey,
    public: Value,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids: Vec<&str> = self.keys.iter().map(|key| &*key.id).collect();
        f.debug_struct("Tokens").field("keys", &ids).field("issuer", &self.issuer).field("life", &self.life).finish()
    }
}

/// What a token says (RFC 9068 §2.2).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Claims {
    /// Who made it: this service's public address.
    pub iss: String,
    /// The account, as decimal number.
    pub sub: String,
    /// The consumer key it was given for.
    pub client_id: String,
    /// Who it is for: this service's public address.
    pub aud: String,
    /// End of its life, seconds since 1970.
    pub exp: i64,
    /// When it was made, seconds since 1970.
    pub iat: i64,
    /// Its name.
    pub jti: String,
    /// Scopes, separated by spaces.
    pub scope: String,
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
    /// Reads the keys from a PEM file: the first signs, further ones (old keys while they are replaced) only check.
    ///
    /// # Errors
    /// Names the file, never what it holds.
    pub fn load(path: &Path, public_url: &str, life: u64) -> anyhow::Result<Self> {
        let pem = std::fs::read(path).map_err(|error| anyhow::anyhow!("{}: {error}", path.display()))?;
        Self::from_pem(&pem, public_url, life).map_err(|error| anyhow::anyhow!("{}: {error}", path.display()))
    }

    /// As [`Tokens::load`] from the file's bytes. Tokens live `life` seconds.
    ///
    /// # Errors
    /// When there is no Ed25519 private key in PKCS#8 PEM.
    pub fn from_pem(pem: &[u8], public_url: &str, life: u64) -> anyhow::Result<Self> {
        let mut keys = Vec::new();
        for der in PrivatePkcs8KeyDer::pem_slice_iter(pem) {
            keys.push(Key::new(der?.secret_pkcs8_der())?);
        }
        anyhow::ensure!(!keys.is_empty(), "no private key in PKCS#8 PEM (BEGIN PRIVATE KEY)");
        Ok(Self { keys, issuer: public_url.into(), life })
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
        account: AccountId,
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
            sub: account.0.to_string(),
            client_id: client_id.into(),
            aud: self.issuer.clone(),
            exp: iat.saturating_add_unsigned(self.life),
            iat,
            jti: hex::encode(jti),
            scope: scopes.to_string(),
        };
        let key = &self.keys[0];
        let header = Header { typ: Some(TYPE.into()), kid: Some(key.id.clone()), ..Header::new(Algorithm::EdDSA) };
        jsonwebtoken::encode(&header, &claims, &key.signing)
    }

    /// Checks a token: length, algorithm, type, key, signature, issuer, audience, then its times.
    ///
    /// Keys named or carried by the token itself (`jku`, `jwk`, `x5u`) are never read. Times are checked here and not by
    /// the library, whose clock is the system's and not the one passed around.
    ///
    /// # Errors
    /// See [`Refused`].
    pub fn check(&self, token: &str, now: OffsetDateTime) -> Result<Claims, Refused> {
        if token.len() > MAX_TOKEN {
            return Err(Refused::Invalid);
        }
        let header = jsonwebtoken::decode_header(token).map_err(|_| Refused::Invalid)?;
        // RFC 9068 §4 allows the full media type as well. Nothing critical (RFC 7515 §4.1.11) is understood here.
        let typ = header.typ.as_deref().unwrap_or_default().to_ascii_lowercase();
        if typ.strip_prefix("application/").unwrap_or(&typ) != TYPE || header.crit.is_some() {
            return Err(Refused::Invalid);
        }
        let key = self.keys.iter().find(|key| Some(&key.id) == header.kid.as_ref()).ok_or(Refused::Invalid)?;
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_audience(&[&self.issuer]);
        validation.set_issuer(&[&self.issuer]);
        validation.set_required_spec_claims(&["iss", "sub", "aud"]);
        validation.validate_exp = false;
        let claims = jsonwebtoken::decode::<Claims>(token, &key.checking, &validation).map_err(|_| Refused::Invalid)?.claims;
        let now = now.unix_timestamp();
        if claims.iat > now.saturating_add(LEEWAY) {
            return Err(Refused::Invalid);
        }
        if now >= claims.exp.saturating_add(LEEWAY) {
            return Err(Refused::Expired);
        }
        Ok(claims)
    }

    /// The public keys (RFC 7517).
    #[must_use]
    pub fn jwks(&self) -> Value {
        json!({ "keys": self.keys.iter().map(|key| key.public.clone()).collect::<Vec<_>>() })
    }
}

impl Key {
    fn new(pkcs8: &[u8]) -> anyhow::Result<Self> {
        let signing = EncodingKey::from_ed_der(&first_form(pkcs8)?);
        let jwk = Jwk::from_encoding_key(&signing, Algorithm::EdDSA)?;
        let id = jwk.thumbprint(ThumbprintHash::SHA256)?;
        let mut public = serde_json::to_value(&jwk)?;
        public["kid"] = id.clone().into();
        public["use"] = "sig".into();
        Ok(Self { id, checking: DecodingKey::from_jwk(&jwk)?, signing, public })
    }
}

/// PKCS#8 of an Ed25519 key comes with (RFC 5958) or without (RFC 5208) the public key behind it; jsonwebtoken reads
/// the latter. The private key stands at the same place in both.
fn first_form(pkcs8: &[u8]) -> anyhow::Result<Vec<u8>> {
    const ALGORITHM_AND_KEY: [u8; 11] = [0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
    anyhow::ensure!(
        pkcs8.len() >= 48 && pkcs8[0] == 0x30 && pkcs8[2..4] == [2, 1] && pkcs8[4] <= 1 && pkcs8[5..16] == ALGORITHM_AND_KEY,
        "the private key is not Ed25519"
    );
    Ok([&[0x30, 0x2e, 2, 1, 0], &ALGORITHM_AND_KEY[..], &pkcs8[16..48]].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8410 §10.3: the same key without and with its public half.
    const PLAIN: &[u8] =
        b"-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE KEY-----\n";
    const WITH_PUBLIC: &[u8] = b"-----BEGIN PRIVATE KEY-----\nMHICAQEwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\noB8wHQYKKoZIhvcNAQkJFDEPDA1DdXJkbGUgQ2hhaXJzgSEAGb9ECWmEzf6FQbrB\nZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PRIVATE KEY-----\n";

    #[test]
    fn both_forms_of_pkcs8_are_the_same_key() {
        let (plain, with_public) = (Tokens::from_pem(PLAIN, "x", 1).unwrap(), Tokens::from_pem(WITH_PUBLIC, "x", 1).unwrap());
        assert_eq!(plain.jwks(), with_public.jwks());
        assert_eq!(plain.jwks()["keys"][0]["x"], "Gb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE");
    }

    #[test]
    fn the_kid_is_the_thumbprint() {
        // RFC 8037 appendix A.3 for the key of A.1.
        let der = [
            &[0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20][..],
            &hex::decode("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60").unwrap(),
        ]
        .concat();
        assert_eq!(Key::new(&der).unwrap().id, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }

    #[test]
    fn other_keys_are_refused() {
        for pem in [&b""[..], b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", b"no key"] {
            assert!(Tokens::from_pem(pem, "x", 1).is_err());
        }
    }
}
