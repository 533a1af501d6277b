//! Tokens of the dialect: HS256, with times in milliseconds.
//!
//! A stock library takes these times for seconds: it refuses a fresh token, or never lets one expire. What is left of its
//! work is one HMAC, so the token is made and checked here. The header is compared as a whole, so no token chooses its
//! own algorithm.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use secrecy::{ExposeSecret, SecretBox};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use time::OffsetDateTime;

use crate::api::access::secret;

/// `{"alg":"HS256","typ":"JWT"}` in base64url.
const HEADER: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9";
/// Longer tokens are not looked at: ours have about 240 bytes.
const MAX_TOKEN: usize = 1024;
/// Life of a token, milliseconds.
const LIFE: i64 = 3_600_000;
/// A token that has less than this to live is renewed, milliseconds.
const NEAR_THE_END: i64 = 600_000;
/// How far clocks of instances may differ, milliseconds.
const LEEWAY: i64 = 30_000;

/// The key tokens of the dialect are signed with. No other token is.
#[derive(Debug)]
pub struct Key(SecretBox<[u8; 32]>);

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// Whose it is: a keyed hash of the empreinte, since anybody who sees a token can read it. 64 hex digits.
    pub hash: String,
    /// End of its life, milliseconds since 1970.
    pub exp: i64,
    /// When it was made, milliseconds since 1970.
    pub iat: i64,
}

impl Claims {
    /// Whether a fresh token is due at `now`.
    #[must_use]
    pub fn is_near_the_end(&self, now: OffsetDateTime) -> bool {
        self.exp.saturating_sub(millis(now)) < NEAR_THE_END
    }
}

/// Milliseconds since 1970.
#[must_use]
pub fn millis(time: OffsetDateTime) -> i64 {
    i64::try_from(time.unix_timestamp_nanos().div_euclid(1_000_000)).unwrap_or(i64::MAX)
}

impl Key {
    /// Reads 64 hex digits from a file; white space at its ends is ignored.
    ///
    /// # Errors
    /// Names the file, never what it holds.
    pub fn load(path: &Path) -> anyhow::Result<Self> {
        secret::key_of(path, "the key").map(Self)
    }

    /// A key made of these bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(SecretBox::new(Box::new(bytes)))
    }

    /// Makes a token that lives for one hour.
    ///
    /// # Panics
    /// Never: claims are plain JSON.
    #[must_use]
    pub fn issue(&self, hash: String, now: OffsetDateTime) -> String {
        let iat = millis(now);
        let claims = Claims { hash, exp: iat.saturating_add(LIFE), iat };
        let claims = serde_json::to_vec(&claims).expect("claims are plain JSON");
        let signed = format!("{HEADER}.{}", URL_SAFE_NO_PAD.encode(claims));
        let signature = URL_SAFE_NO_PAD.encode(self.mac(&signed).finalize().into_bytes());
        format!("{signed}.{signature}")
    }

    /// What a token of ours says that is valid at `now`; `None` for any other. Why is not said.
    #[must_use]
    pub fn check(&self, token: &str, now: OffsetDateTime) -> Option<Claims> {
        if token.len() > MAX_TOKEN {
            return None;
        }
        let (signed, signature) = token.rsplit_once('.')?;
        self.mac(signed).verify_slice(&URL_SAFE_NO_PAD.decode(signature).ok()?).ok()?;
        let claims = signed.strip_prefix(HEADER)?.strip_prefix('.')?;
        let claims: Claims = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()?;
        let now = millis(now);
        (claims.iat <= now.saturating_add(LEEWAY) && now < claims.exp).then_some(claims)
    }

    fn mac(&self, signed: &str) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.0.expose_secret()).expect("HMAC takes any key");
        mac.update(signed.as_bytes());
        mac
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    const NOW: OffsetDateTime = datetime!(2021-10-27 07:54:37.760 UTC);

    fn key() -> Key {
        Key::from_bytes([3; 32])
    }

    #[test]
    fn a_token_has_the_published_form() {
        let token = key().issue("ab".repeat(32), NOW);
        let parts: Vec<Vec<u8>> = token.split('.').map(|part| URL_SAFE_NO_PAD.decode(part).unwrap()).collect();
        assert_eq!(parts[0], br#"{"alg":"HS256","typ":"JWT"}"#);
        let claims = format!(r#"{{"hash":"{}","exp":1635324877760,"iat":1635321277760}}"#, "ab".repeat(32));
        assert_eq!(parts[1], claims.as_bytes());
        assert_eq!(parts[2].len(), 32);
    }

    #[test]
    fn a_token_lives_for_an_hour_in_milliseconds() {
        let token = key().issue("h".into(), NOW);
        let at = |ms| NOW + time::Duration::milliseconds(ms);
        for (ms, valid, near) in [
            (-30_001, false, false),
            (-30_000, true, false),
            (0, true, false),
            (LIFE - NEAR_THE_END, true, false),
            (LIFE - NEAR_THE_END + 1, true, true),
            (LIFE - 1, true, true),
            (LIFE, false, true),
            (LIFE * 1000, false, true),
        ] {
            let claims = key().check(&token, at(ms));
            assert_eq!(claims.is_some(), valid, "{ms}");
            assert!(claims.is_none_or(|claims| claims.is_near_the_end(at(ms)) == near), "{ms}");
        }
    }

    #[test]
    fn other_tokens_are_refused() {
        let own = key().issue("h".into(), NOW);
        assert!(key().check(&own, NOW).is_some());
        assert!(Key::from_bytes([4; 32]).check(&own, NOW).is_none());
        for at in 0..own.len() {
            let mut other = own.clone().into_bytes();
            other[at] ^= 1;
            let other = String::from_utf8(other).unwrap();
            assert!(key().check(&other, NOW).is_none(), "changed at {at}: {other}");
        }
        let (signed, _) = own.rsplit_once('.').unwrap();
        // Signed by the key, but under another header: `none`, or one with more in it.
        for header in [r#"{"alg":"none"}"#, r#"{"typ":"JWT","alg":"HS256"}"#, r#"{"alg":"HS256","typ":"JWT","kid":"1"}"#, ""] {
            let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), signed.split_once('.').unwrap().1);
            let signature = URL_SAFE_NO_PAD.encode(key().mac(&signed).finalize().into_bytes());
            assert!(key().check(&format!("{signed}.{signature}"), NOW).is_none(), "{header}");
        }
        for token in ["", ".", "..", "noJwt", signed, &format!("{signed}."), &format!("{own}."), &"a.".repeat(MAX_TOKEN)] {
            assert!(key().check(token, NOW).is_none(), "{token}");
        }
    }
}
