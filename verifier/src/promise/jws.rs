//! The compact JWS (RFC 7515) around a promise: steps 30 to 33.

use ed25519_dalek::{Signature, VerifyingKey};
use serde::Deserialize;
use serde_json::Value;

use super::{Payload, TYPE, json};
use crate::verdict::{Code, Failure};

/// Public keys (RFC 7517) that the auditor keeps.
#[derive(Clone, Debug)]
pub struct KeySet(Vec<(String, VerifyingKey)>);

/// A promise whose signature holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// Name of the key.
    pub kid: String,
    /// What is promised.
    pub payload: Payload,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    kid: String,
    typ: String,
}

impl KeySet {
    /// Reads a JWK Set. Keys of other kinds, and what is no Ed25519 key, are left out.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let set: Value = serde_json::from_slice(bytes).map_err(|error| format!("not a JWK Set: {error}"))?;
        let keys = set.get("keys").and_then(Value::as_array).ok_or("not a JWK Set: no member \"keys\"")?;
        Ok(Self(keys.iter().filter_map(key).collect()))
    }

    fn named(&self, kid: &str) -> Option<&VerifyingKey> {
        self.0.iter().find(|(name, _)| name == kid).map(|(_, key)| key)
    }
}

/// An Ed25519 key of a set (RFC 8037 §2).
fn key(jwk: &Value) -> Option<(String, VerifyingKey)> {
    let text = |name: &str| jwk.get(name).and_then(Value::as_str);
    if (text("kty"), text("crv")) != (Some("OKP"), Some("Ed25519")) {
        return None;
    }
    let bytes: [u8; 32] = base64url(text("x")?)?.try_into().ok()?;
    // y ≥ p: another spelling of a point that has one already.
    if bytes[0] >= 0xed && bytes[1..31].iter().all(|byte| *byte == 0xff) && bytes[31] & 0x7f == 0x7f {
        return None;
    }
    Some((text("kid")?.to_owned(), VerifyingKey::from_bytes(&bytes).ok()?))
}

/// RFC 4648 §5 without padding, the one spelling of these bytes.
pub(super) fn base64url(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3 + 2);
    let (mut held, mut bits) = (0_u32, 0);
    for byte in text.bytes() {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'-' => 62,
            b'_' => 63,
            _ => return None,
        };
        held = held << 6 | u32::from(value);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((held >> bits) as u8);
            held &= (1 << bits) - 1;
        }
    }
    (bits < 6 && held == 0).then_some(bytes)
}

/// Steps 30 to 33.
///
/// # Errors
/// The first step that does not pass.
pub fn open(jws: &str, keys: &KeySet) -> Result<Signed, Failure> {
    let malformed = |what: &str| Failure::new(Code::PromiseMalformed, what);
    let mut parts = jws.split('.');
    let (Some(header), Some(payload), Some(signature), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return Err(malformed("not three parts with a point between them"));
    };
    let decoded = |part: &str| base64url(part).ok_or_else(|| malformed("not base64url"));
    let (head, body, seal) = (decoded(header)?, decoded(payload)?, decoded(signature)?);
    let seal: [u8; 64] = seal.try_into().map_err(|_| malformed("the signature has not 64 bytes"))?;
    let head: Header = read(&head).map_err(|error| malformed(&format!("header: {error}")))?;
    if head.typ != TYPE || head.alg != "EdDSA" {
        return Err(Failure::new(Code::PromiseType, &format!("its type is {:?} and its algorithm {:?}", head.typ, head.alg)));
    }
    let key = keys
        .named(&head.kid)
        .ok_or_else(|| Failure::new(Code::PromiseKeyUnknown, &format!("the keys given have none named {:?}", head.kid)))?;
    let signed = &jws[..header.len() + 1 + payload.len()];
    key.verify_strict(signed.as_bytes(), &Signature::from_bytes(&seal))
        .map_err(|_| Failure::new(Code::PromiseSignature, "the signature is not by the key that the promise names"))?;
    let payload: Payload = read(&body).map_err(|error| Failure::new(Code::PromisePayload, &error.to_string()))?;
    if !payload.is_whole() {
        return Err(Failure::new(Code::PromisePayload, "neither one proof nor a count of records, or an integer out of range"));
    }
    Ok(Signed { kid: head.kid, payload })
}

fn read<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, serde_json::Error> {
    let value = json::read(bytes)?;
    // Serde takes a struct from a list too.
    if !value.is_object() || value.get("proof").is_some_and(|proof| !proof.is_object()) {
        return Err(serde::de::Error::custom("not an object"));
    }
    if value.as_object().is_some_and(|members| members.values().any(Value::is_null)) {
        return Err(serde::de::Error::custom("null"));
    }
    serde_json::from_value(value)
}
