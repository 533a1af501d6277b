//! Signing anchors: the key never leaves the signer, and what comes back is checked before anybody stores or sends it.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use alloy::consensus::{SignableTransaction, TxEip1559, TxEnvelope};
use alloy::eips::eip2718::{Decodable2718, Encodable2718};
use alloy::network::TxSigner;
use alloy::primitives::{Address, B256, Bytes, Signature, TxKind, U256, hex, keccak256};
use alloy::signers::local::PrivateKeySigner;
use async_trait::async_trait;
use secrecy::zeroize::Zeroize;
use secrecy::{ExposeSecret, SecretString};

use super::fees::Fees;
use super::{Target, registry};

/// Gas limit of every anchor transaction.
///
/// Fixed, not estimated: a node simulates `eth_estimateGas` on its newest block, where batch n+1 reverts for as long as
/// batch n waits in the pool. An anchor costs about 52,000 gas in steady state; a call that reverts costs less. Unused gas is not paid, so the room above only raises the balance a node
/// wants to see at sending.
pub const ANCHOR_GAS: u64 = 120_000;

/// How long a signer may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// An anchor transaction to be signed: everything that varies. It is of type 2 (EIP-1559), carries no value and no
/// access list, and its gas limit is [`ANCHOR_GAS`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnchorTx {
    /// Chain and registry.
    pub target: Target,
    /// Nonce of the signer, decided by the caller.
    pub nonce: u64,
    /// The offer.
    pub fees: Fees,
    /// Number of the batch.
    pub number: u64,
    /// Root of the batch.
    pub root: B256,
    /// Leaves of the batch.
    pub size: u64,
}

impl AnchorTx {
    /// The transaction, unsigned.
    #[must_use]
    pub fn unsigned(&self) -> TxEip1559 {
        TxEip1559 {
            chain_id: self.target.chain_id,
            nonce: self.nonce,
            gas_limit: ANCHOR_GAS,
            max_fee_per_gas: self.fees.max_fee,
            max_priority_fee_per_gas: self.fees.max_priority,
            to: TxKind::Call(self.target.registry),
            value: U256::ZERO,
            access_list: Default::default(),
            input: registry::anchor_call(self.number, self.root, self.size),
        }
    }
}

/// A signed transaction, ready to be stored and sent as often as needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedAnchor {
    /// Transaction hash: keccak256 of `raw`.
    pub hash: B256,
    /// EIP-2718 bytes.
    pub raw: Bytes,
}

/// Why there is no signature. Never holds key material or passwords.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// The secret is not a secp256k1 private key in hex. The text says what is wrong, never what was given.
    #[error("signing key: {0}")]
    Key(&'static str),
    /// The keystore file cannot be read or opened with the password.
    #[error("keystore: {0}")]
    Keystore(String),
    /// The signer failed or refused.
    #[error("signer refused: {0}")]
    Refused(String),
    /// The service that keeps the key cannot be asked, or does not keep a key that is fit.
    #[error("{0}")]
    Service(String),
    /// The signer answered with something else than what was asked. Nothing of it may be used.
    #[error("signer answered with a wrong {0}")]
    Mismatch(&'static str),
}

/// An error with its causes, in one line: what key services say stands at the end. What a cause only repeats is left out.
pub(crate) fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let more = inner.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = inner.source();
    }
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Holds one key and signs anchors with it.
#[async_trait]
pub trait Signer: fmt::Debug + Send + Sync {
    /// The account that pays and that the registry knows as publisher.
    fn address(&self) -> Address;

    /// Signs, and returns only a transaction that was checked to be `asked`, field by field, signed by
    /// [`Signer::address`].
    async fn sign_eip1559(&self, asked: &TxEip1559) -> Result<SignedAnchor, SignError>;

    /// [`Signer::sign_eip1559`] of an anchor.
    async fn sign(&self, anchor: &AnchorTx) -> Result<SignedAnchor, SignError> {
        self.sign_eip1559(&anchor.unsigned()).await
    }
}

/// A [`Signer`] over any of alloy's transaction signers: a local key, or a key service that answers over the network.
/// The inner signer is not trusted with more than its own signature.
pub struct Wallet<S>(S);

/// A wallet with its key in memory.
pub type LocalWallet = Wallet<PrivateKeySigner>;

impl<S: TxSigner<Signature> + Send + Sync> Wallet<S> {
    /// Wraps a signer of alloy's.
    #[must_use]
    pub const fn new(signer: S) -> Self {
        Self(signer)
    }

    /// The signing account.
    #[must_use]
    pub fn account(&self) -> Address {
        self.0.address()
    }

    /// Signs any EIP-1559 transaction, checked like an anchor.
    ///
    /// # Errors
    /// When the signer fails or answers wrongly.
    pub async fn sign_eip1559(&self, asked: &TxEip1559) -> Result<SignedAnchor, SignError> {
        // alloy lends the transaction to the signer mutably, so a signer gets a copy of its own.
        let mut lent = asked.clone();
        // A key service may hang.
        let signing = tokio::time::timeout(PATIENCE, self.0.sign_transaction(&mut lent)).await;
        let signed = signing.map_err(|_| SignError::Refused(format!("no answer within {} s", PATIENCE.as_secs())))?;
        let signature = signed.map_err(|error| SignError::Refused(causes(&error)))?;
        let raw: Bytes = lent.into_signed(signature).encoded_2718().into();
        check(&raw, asked, self.0.address())
    }
}

impl LocalWallet {
    /// A key from its 32 bytes in hex, with or without `0x`.
    ///
    /// # Errors
    /// When it is not a private key. The text never repeats the input.
    pub fn from_hex(secret: &SecretString) -> Result<Self, SignError> {
        let digits = secret.expose_secret().trim();
        let digits = digits.strip_prefix("0x").unwrap_or(digits);
        let mut bytes = B256::ZERO;
        hex::decode_to_slice(digits, bytes.as_mut_slice()).map_err(|_| SignError::Key("not 32 bytes in hex"))?;
        let signer = PrivateKeySigner::from_bytes(&bytes).map_err(|_| SignError::Key("not a secp256k1 private key"));
        bytes.0.zeroize();
        signer.map(Self)
    }

    /// A key from a web3 secret storage file (version 3, as geth, foundry and others write it). Takes a second or
    /// more of computing by design of the format: call it at start, not on an async worker.
    ///
    /// # Errors
    /// When the file cannot be read, is no keystore, or the password does not open it.
    pub fn from_keystore(file: &Path, password: &SecretString) -> Result<Self, SignError> {
        PrivateKeySigner::decrypt_keystore(file, password.expose_secret())
            .map(Self)
            .map_err(|e| SignError::Keystore(e.to_string()))
    }
}

impl<S: TxSigner<Signature>> fmt::Debug for Wallet<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wallet").field("address", &self.0.address()).finish_non_exhaustive()
    }
}

#[async_trait]
impl<S: TxSigner<Signature> + Send + Sync> Signer for Wallet<S> {
    fn address(&self) -> Address {
        self.account()
    }

    async fn sign_eip1559(&self, asked: &TxEip1559) -> Result<SignedAnchor, SignError> {
        // The inherent one: this trait is for those who do not care where the key is.
        Self::sign_eip1559(self, asked).await
    }
}

/// Reads signed bytes back and compares them with what was asked. Bytes that differ in anything could pay anybody, so
/// each field is named.
fn check(raw: &Bytes, asked: &TxEip1559, signer: Address) -> Result<SignedAnchor, SignError> {
    let envelope = TxEnvelope::decode_2718_exact(raw).map_err(|_| SignError::Mismatch("encoding"))?;
    let TxEnvelope::Eip1559(signed) = &envelope else {
        return Err(SignError::Mismatch("transaction type"));
    };
    let TxEip1559 { chain_id, nonce, gas_limit, max_fee_per_gas, max_priority_fee_per_gas, to, value, access_list, input } =
        signed.tx();
    let fields = [
        (*chain_id == asked.chain_id, "chain id"),
        (*nonce == asked.nonce, "nonce"),
        (*gas_limit == asked.gas_limit, "gas limit"),
        (*max_fee_per_gas == asked.max_fee_per_gas, "fee cap"),
        (*max_priority_fee_per_gas == asked.max_priority_fee_per_gas, "tip"),
        (*to == asked.to, "recipient"),
        (*value == asked.value, "value"),
        (*access_list == asked.access_list, "access list"),
        (*input == asked.input, "calldata"),
    ];
    if let Some((_, field)) = fields.iter().find(|(same, _)| !same) {
        return Err(SignError::Mismatch(field));
    }
    // The high half of s is refused by every node (EIP-2); recovering alone would normalise it away.
    if signed.signature().normalize_s().is_some() {
        return Err(SignError::Mismatch("signature"));
    }
    match signed.signature().recover_address_from_prehash(&signed.tx().signature_hash()) {
        Ok(sender) if sender == signer => Ok(SignedAnchor { hash: keccak256(raw), raw: raw.clone() }),
        _ => Err(SignError::Mismatch("signature")),
    }
}

#[cfg(test)]
mod tests;
