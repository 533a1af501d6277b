//! Consumer keys and secrets: made here, and stored as a keyed hash only.

use std::path::Path;

use hmac::{Hmac, Mac};
use secrecy::{ExposeSecret, SecretBox, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::ports::Entropy;

/// RFC 4648 base32 in lower case: no character that a form, a shell or a reader confuses.
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// Characters of the checksum at the end of a secret.
const CHECKSUM: usize = 6;

/// A new key and its secret.
#[derive(Debug)]
pub struct Generated {
    /// The public half (`client_id`): `ck_` and 26 characters, 128 random bits.
    pub key: String,
    /// The secret half: `cs_`, 52 characters (256 random bits) and 6 of checksum. Shown once.
    pub secret: SecretString,
}

/// Makes a consumer key and its secret.
#[must_use]
pub fn generate(entropy: &dyn Entropy) -> Generated {
    let (mut key, mut secret) = ([0; 16], [0; 32]);
    entropy.fill(&mut key);
    entropy.fill(&mut secret);
    let body = format!("cs_{}", base32(&secret));
    let sum = checksum(&body);
    Generated { key: format!("ck_{}", base32(&key)), secret: format!("{body}{sum}").into() }
}

/// Whether `text` has the form of a secret of ours, checksum included: what a leak scanner asks. Says nothing about
/// whether it was ever given to anyone.
#[must_use]
pub fn looks_like_secret(text: &str) -> bool {
    text.is_ascii() && text.len() == 3 + 52 + CHECKSUM && text.starts_with("cs_") && checksum(&text[..55]) == text[55..]
}

/// The first 30 bits of SHA-256, so that a scanner tells a secret from anything that looks like one.
fn checksum(body: &str) -> String {
    base32(&Sha256::digest(body)[..4])[..CHECKSUM].into()
}

fn base32(bytes: &[u8]) -> String {
    let (mut text, mut buffer, mut bits) = (String::new(), 0_u32, 0);
    for byte in bytes {
        buffer = (buffer << 8 | u32::from(*byte)) & 0xffff;
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            text.push(char::from(ALPHABET[(buffer >> bits & 31) as usize]));
        }
    }
    if bits > 0 {
        text.push(char::from(ALPHABET[(buffer << (5 - bits) & 31) as usize]));
    }
    text
}

/// The key under which secrets are hashed. It is kept outside the database, so a copy of the database alone opens
/// nothing; secrets have 256 random bits, so a slow hash would add nothing but a way to exhaust this service.
#[derive(Debug)]
pub struct Pepper(SecretBox<[u8; 32]>);

impl Pepper {
    /// Reads 64 hex digits from a file; white space at its ends is ignored.
    ///
    /// # Errors
    /// Names the file, never what it holds.
    pub fn load(path: &Path) -> anyhow::Result<Self> {
        key_of(path, "the pepper").map(Self)
    }

    /// A pepper made of these bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(SecretBox::new(Box::new(bytes)))
    }

    /// What is stored of a secret: HMAC-SHA-256 under this key.
    ///
    /// # Panics
    /// Never: HMAC takes keys of any length.
    #[must_use]
    pub fn hash(&self, secret: &str) -> [u8; 32] {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.0.expose_secret()).expect("HMAC takes any key");
        mac.update(secret.as_bytes());
        mac.finalize().into_bytes().into()
    }

    /// As [`Pepper::hash`] for other things than consumer secrets: no hash of one domain is one of another.
    ///
    /// # Panics
    /// Never: HMAC takes keys of any length.
    #[must_use]
    pub fn keyed(&self, domain: Domain, text: &[u8]) -> [u8; 32] {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.0.expose_secret()).expect("HMAC takes any key");
        mac.update(domain.prefix());
        mac.update(text);
        mac.finalize().into_bytes().into()
    }

    /// The key under which secrets of webhooks are encrypted.
    #[must_use]
    pub fn webhooks(&self) -> [u8; 32] {
        self.keyed(Domain::Webhooks, b"")
    }

    /// Whether `secret` is the one behind `stored`. With `None` (no such key) the same work is done, and the answer is no.
    #[must_use]
    pub fn matches(&self, secret: &str, stored: Option<&[u8; 32]>) -> bool {
        let equal = self.hash(secret).ct_eq(stored.unwrap_or(&[0; 32]));
        bool::from(equal) && stored.is_some()
    }
}

/// What is hashed under a pepper beside consumer secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Domain {
    /// The password of the KageSecur dialect, as stored.
    Empreinte,
    /// The same, as it stands in a token of that dialect.
    Token,
    /// What an `auth` of that dialect is made of.
    Auth,
    /// An `auth`, as stored.
    AuthHash,
    /// The key under which secrets of webhooks are encrypted.
    Webhooks,
}

impl Domain {
    /// No consumer secret begins with a zero byte.
    const fn prefix(self) -> &'static [u8] {
        match self {
            Self::Empreinte => b"\0kagesecur empreinte\0",
            Self::Token => b"\0kagesecur token\0",
            Self::Auth => b"\0kagesecur auth\0",
            Self::AuthHash => b"\0kagesecur auth hash\0",
            Self::Webhooks => b"\0webhook secrets\0",
        }
    }
}

/// The password of the KageSecur dialect: SHA-256 of identifiant and clef, in lower-case hex.
#[must_use]
pub fn empreinte(identifiant: &str, clef: &str) -> String {
    hex::encode(Sha256::new().chain_update(identifiant).chain_update(clef).finalize())
}

/// Reads a key of 64 hex digits; white space at the ends of the file is ignored.
pub(in crate::api) fn key_of(path: &Path, what: &str) -> anyhow::Result<SecretBox<[u8; 32]>> {
    let text = std::fs::read_to_string(path).map_err(|error| anyhow::anyhow!("{}: {error}", path.display()))?;
    let mut bytes = Box::new([0; 32]);
    hex::decode_to_slice(text.trim(), bytes.as_mut_slice())
        .map_err(|_| anyhow::anyhow!("{}: {what} must be 64 hex digits", path.display()))?;
    Ok(SecretBox::new(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::SystemEntropy;

    #[test]
    fn base32_agrees_with_rfc_4648() {
        for (plain, text) in [
            ("", ""),
            ("f", "my"),
            ("fo", "mzxq"),
            ("foo", "mzxw6"),
            ("foob", "mzxw6yq"),
            ("fooba", "mzxw6ytb"),
            ("foobar", "mzxw6ytboi"),
        ] {
            assert_eq!(base32(plain.as_bytes()), text);
        }
    }

    #[test]
    fn keys_and_secrets_have_their_form_and_differ() {
        let (one, two) = (generate(&SystemEntropy), generate(&SystemEntropy));
        let secret = one.secret.expose_secret();
        assert_eq!((one.key.len(), secret.len()), (29, 61));
        assert!(one.key.starts_with("ck_") && looks_like_secret(secret));
        assert_ne!(one.key, two.key);
        assert_ne!(secret, two.secret.expose_secret());
        for at in 0..secret.len() {
            let mut other = secret.as_bytes().to_vec();
            other[at] = if other[at] == b'a' { b'b' } else { b'a' };
            assert!(!looks_like_secret(std::str::from_utf8(&other).unwrap()), "changed at {at}");
        }
        assert!(!format!("{one:?}").contains(secret));
    }

    #[test]
    fn only_the_secret_under_the_same_pepper_matches() {
        let (pepper, other) = (Pepper::from_bytes([1; 32]), Pepper::from_bytes([2; 32]));
        let stored = pepper.hash("cs_a");
        assert!(pepper.matches("cs_a", Some(&stored)));
        assert!(!pepper.matches("cs_b", Some(&stored)));
        assert!(!other.matches("cs_a", Some(&stored)));
        assert!(!pepper.matches("cs_a", None));
    }

    #[test]
    fn domains_do_not_meet() {
        let pepper = Pepper::from_bytes([1; 32]);
        let mut hashes: Vec<[u8; 32]> = [Domain::Empreinte, Domain::Token, Domain::Auth, Domain::AuthHash, Domain::Webhooks]
            .map(|domain| pepper.keyed(domain, b"x"))
            .to_vec();
        hashes.push(pepper.hash("x"));
        hashes.sort_unstable();
        hashes.dedup();
        assert_eq!(hashes.len(), 6);
    }

    #[test]
    fn a_pepper_file_is_64_hex_digits() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pepper");
        std::fs::write(&path, format!("{}\n", "01".repeat(32))).unwrap();
        assert_eq!(Pepper::load(&path).unwrap().hash("x"), Pepper::from_bytes([1; 32]).hash("x"));
        for wrong in ["", "0101", &"zz".repeat(32), &"01".repeat(33)] {
            std::fs::write(&path, wrong).unwrap();
            assert!(Pepper::load(&path).is_err(), "{wrong:?}");
        }
    }
}
