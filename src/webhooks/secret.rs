//! Secrets of webhooks: made here, shown once, kept encrypted, and used to sign.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use secrecy::{ExposeSecret, SecretBox, SecretString};
use sha2::Sha256;
use uuid::Uuid;

use crate::ports::Entropy;

/// Bytes of a secret.
const LENGTH: usize = 32;

/// The secret of a webhook: 256 random bits.
#[derive(Debug)]
pub struct Secret(SecretBox<[u8; LENGTH]>);

impl Secret {
    /// A new one.
    #[must_use]
    pub fn generate(entropy: &dyn Entropy) -> Self {
        let mut bytes = Box::new([0; LENGTH]);
        entropy.fill(bytes.as_mut_slice());
        Self(SecretBox::new(bytes))
    }

    /// As it is shown to its owner: `whsec_` and base64, as libraries for Standard Webhooks take it.
    #[must_use]
    pub fn shown(&self) -> SecretString {
        format!("whsec_{}", STANDARD.encode(self.0.expose_secret())).into()
    }

    /// The signature of a message: HMAC-SHA-256 over id, time and body, with dots between them.
    ///
    /// # Panics
    /// Never: HMAC takes keys of any length.
    #[must_use]
    pub fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.0.expose_secret()).expect("HMAC takes any key");
        mac.update(format!("{id}.{timestamp}.").as_bytes());
        mac.update(body);
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

/// Encrypts secrets for the database: ChaCha20-Poly1305 under a key that is not there, bound to their webhook. A copy
/// of the database alone signs nothing.
pub struct Vault(LessSafeKey);

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Vault")
    }
}

impl Vault {
    /// With this key.
    ///
    /// # Panics
    /// Never: the key has the cipher's length.
    #[must_use]
    pub fn new(key: &[u8; 32]) -> Self {
        Self(LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, key).expect("a key of 32 bytes")))
    }

    /// Nonce, ciphertext and tag. Nonces are drawn: there are too few webhooks for two to meet.
    ///
    /// # Panics
    /// Never: a secret is short enough for the cipher.
    #[must_use]
    pub fn lock(&self, webhook: Uuid, secret: &Secret, entropy: &dyn Entropy) -> Vec<u8> {
        let mut nonce = [0; NONCE_LEN];
        entropy.fill(&mut nonce);
        let mut locked = secret.0.expose_secret().to_vec();
        self.0
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(webhook.as_bytes()), &mut locked)
            .expect("a short text");
        [nonce.as_slice(), &locked].concat()
    }

    /// The secret again; `None` when it was locked under another key, for another webhook, or was changed.
    #[must_use]
    pub fn open(&self, webhook: Uuid, locked: &[u8]) -> Option<Secret> {
        let (nonce, locked) = locked.split_first_chunk::<NONCE_LEN>()?;
        let mut locked = locked.to_vec();
        let plain =
            self.0.open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(webhook.as_bytes()), &mut locked).ok()?;
        let bytes: [u8; LENGTH] = (&*plain).try_into().ok()?;
        Some(Secret(SecretBox::new(Box::new(bytes))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::SystemEntropy;

    #[test]
    fn the_published_example_is_signed_as_published() {
        // Of the reference libraries of Standard Webhooks; its secret has 24 bytes, ours 32.
        let key = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("base64");
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("any key");
        mac.update(b"msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.{\"test\": 2432232314}");
        assert_eq!(STANDARD.encode(mac.finalize().into_bytes()), "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        // Ours, computed apart: printf 'evt_1.1614265330.{}' | openssl dgst -sha256 -mac HMAC -macopt hexkey:0101…01
        let secret = Secret(SecretBox::new(Box::new([1; LENGTH])));
        assert_eq!(secret.shown().expose_secret(), "whsec_AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=");
        assert_eq!(secret.sign("evt_1", 1_614_265_330, b"{}"), "v1,z4tK+tIlwq7B1vgSDNzMYoK7XElueI7afMZX45NIg6M=");
    }

    #[test]
    fn a_secret_opens_for_its_webhook_under_its_key_and_unchanged() {
        let vault = Vault::new(&[1; 32]);
        let (one, two) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let secret = Secret::generate(&SystemEntropy);
        let locked = vault.lock(one, &secret, &SystemEntropy);
        let opened = vault.open(one, &locked).expect("opens");
        assert_eq!(opened.shown().expose_secret(), secret.shown().expose_secret());
        assert_ne!(locked, vault.lock(one, &secret, &SystemEntropy));
        assert!(vault.open(two, &locked).is_none());
        assert!(Vault::new(&[2; 32]).open(one, &locked).is_none());
        for at in 0..locked.len() {
            let mut changed = locked.clone();
            changed[at] ^= 1;
            assert!(vault.open(one, &changed).is_none(), "changed at {at}");
        }
        assert!(vault.open(one, &locked[..locked.len() - 1]).is_none() && vault.open(one, &[]).is_none());
        assert!(!format!("{secret:?}{vault:?}").contains("whsec"));
    }
}
