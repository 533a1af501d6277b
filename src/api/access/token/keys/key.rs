//! One Ed25519 key: read, named and shown, and what it signs.

use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::{Signer, SigningKey};
use jsonwebtoken::jwk::{Jwk, ThumbprintHash};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{PrivatePkcs8KeyDer, SubjectPublicKeyInfoDer};
use sceau_verifier::promise::{self, Payload};
use serde_json::{Value, json};

/// One of the keys.
pub struct Key {
    /// Its RFC 7638 thumbprint.
    pub id: String,
    /// Signs tokens.
    pub signing: EncodingKey,
    /// Signs promises, with the same key.
    promising: SigningKey,
    /// Checks.
    pub checking: DecodingKey,
    /// Its public half, as it is shown.
    pub(super) public: Value,
    /// Since when it is there, seconds since 1970.
    pub(super) since: i64,
}

/// The private keys of one file's bytes.
pub(super) fn parsed(pem: &[u8], since: i64) -> anyhow::Result<Vec<Key>> {
    let mut keys = Vec::new();
    for der in PrivatePkcs8KeyDer::pem_slice_iter(pem) {
        keys.push(Key::new(der?.secret_pkcs8_der(), since)?);
    }
    anyhow::ensure!(!keys.is_empty(), "no private key in PKCS#8 PEM (BEGIN PRIVATE KEY)");
    Ok(keys)
}

impl Key {
    fn new(pkcs8: &[u8], since: i64) -> anyhow::Result<Self> {
        let plain = first_form(pkcs8)?;
        let signing = EncodingKey::from_ed_der(&plain);
        let promising = SigningKey::from_bytes(plain[16..].try_into().context("the private key is not Ed25519")?);
        let jwk = Jwk::from_encoding_key(&signing, Algorithm::EdDSA)?;
        let (id, public) = shown(&jwk)?;
        Ok(Self { id, checking: DecodingKey::from_jwk(&jwk)?, signing, promising, public, since })
    }

    /// A compact JWS (RFC 7515 §7.1). Its type differs from that of tokens, so neither passes for the other
    /// (RFC 8725 §3.11).
    #[must_use]
    pub fn promise(&self, payload: &Payload) -> String {
        let header = json!({ "alg": "EdDSA", "kid": self.id, "typ": promise::TYPE }).to_string();
        let payload = serde_json::to_vec(payload).expect("texts and numbers have a JSON form");
        let mut jws = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
        let signature = self.promising.sign(jws.as_bytes()).to_bytes();
        jws.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut jws);
        jws
    }
}

/// A key's id, and how it is shown.
fn shown(jwk: &Jwk) -> anyhow::Result<(String, Value)> {
    let id = jwk.thumbprint(ThumbprintHash::SHA256)?;
    let mut public = serde_json::to_value(jwk)?;
    public["kid"] = id.clone().into();
    public["use"] = "sig".into();
    Ok((id, public))
}

/// The public keys of one file's bytes.
pub(super) fn public_keys(pem: &[u8]) -> anyhow::Result<Vec<Value>> {
    // RFC 8410 §4 and §10.1.
    const HEAD: [u8; 12] = [0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 0x21, 0];
    let mut found = Vec::new();
    for der in SubjectPublicKeyInfoDer::pem_slice_iter(pem) {
        let der = der?;
        let key = der.strip_prefix(&HEAD).filter(|key| key.len() == 32).context("the public key is not Ed25519")?;
        let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "x": URL_SAFE_NO_PAD.encode(key), "alg": "EdDSA" });
        found.push(shown(&serde_json::from_value(jwk)?)?.1);
    }
    anyhow::ensure!(!found.is_empty(), "no public key in PEM (BEGIN PUBLIC KEY)");
    Ok(found)
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

    #[test]
    fn the_kid_is_the_thumbprint() {
        // RFC 8037 appendix A.3 for the key of A.1.
        let der = [
            &[0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20][..],
            &hex::decode("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60").unwrap(),
        ]
        .concat();
        assert_eq!(Key::new(&der, 0).unwrap().id, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }
}
