//! Signing anchors: the key never leaves the signer, and what comes back is checked before anybody stores or sends it.

use std::fmt;
use std::path::Path;

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
/// batch n waits in the pool. An anchor costs about 55,000 gas (71,000 the first time, when the counter's slot is
/// fresh); a call that reverts costs less. Unused gas is not paid, so the room above only raises the balance a node
/// wants to see at sending.
pub const ANCHOR_GAS: u64 = 120_000;

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
    /// The signer answered with something else than what was asked. Nothing of it may be used.
    #[error("signer answered with a wrong {0}")]
    Mismatch(&'static str),
}

/// Holds one key and signs anchors with it.
#[async_trait]
pub trait Signer: fmt::Debug + Send + Sync {
    /// The account that pays and that the registry knows as publisher.
    fn address(&self) -> Address;

    /// Signs, and returns only a transaction that was checked to be `anchor`, field by field, signed by
    /// [`Signer::address`].
    async fn sign(&self, anchor: &AnchorTx) -> Result<SignedAnchor, SignError>;
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
        let signature = self.0.sign_transaction(&mut lent).await.map_err(|e| SignError::Refused(e.to_string()))?;
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

    async fn sign(&self, anchor: &AnchorTx) -> Result<SignedAnchor, SignError> {
        self.sign_eip1559(&anchor.unsigned()).await
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
mod tests {
    use alloy::primitives::address;

    use super::*;

    /// First key of the well-known test mnemonic of anvil and hardhat.
    const KEY: &str = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";

    /// The PBKDF2 test vector of the "Web3 Secret Storage Definition", version 3; password `testpassword`.
    const KEYSTORE: &str = r#"{"crypto":{"cipher":"aes-128-ctr","cipherparams":{"iv":"6087dab2f9fdbbfaddc31a909735c1e6"},"ciphertext":"5318b4d5bcd28de64ee5559e671353e16f075ecae9f99c7a79a38af5f869aa46","kdf":"pbkdf2","kdfparams":{"c":262144,"dklen":32,"prf":"hmac-sha256","salt":"ae3cd4e7013836a3df6bd7241b12db061dbe2c6785853cce422d148a624ce0bd"},"mac":"517ead924a9d0dc3124507e3393d175ce3ff7c1e96529c6c555ce9e51205e9b2"},"id":"3198bc9c-6672-5ab3-d995-4942343ae5b6","version":3}"#;

    fn anchor() -> AnchorTx {
        AnchorTx {
            target: Target { chain_id: 31337, registry: Address::repeat_byte(7) },
            nonce: 3,
            fees: Fees { max_fee: 2_000_000_000, max_priority: 1 },
            number: 5,
            root: B256::repeat_byte(9),
            size: 1002,
        }
    }

    fn local() -> LocalWallet {
        LocalWallet::from_hex(&KEY.into()).expect("a key")
    }

    #[tokio::test]
    async fn a_local_key_signs_what_was_asked() {
        let wallet: Box<dyn Signer> = Box::new(local());
        assert_eq!(wallet.address(), address!("f39Fd6e51aad88F6F4ce6aB8827279cffFb92266"));
        let signed = wallet.sign(&anchor()).await.expect("signed");
        assert_eq!(signed.hash, keccak256(&signed.raw));
        assert_eq!(signed.raw[0], 2);
        // Deterministic (RFC 6979): asking again gives the same bytes, so a repeated attempt is the same transaction.
        assert_eq!(wallet.sign(&anchor()).await.expect("signed"), signed);
    }

    #[test]
    fn secrets_stay_out_of_debug_and_errors() {
        let shown = format!("{:?}", local());
        assert!(!shown.to_lowercase().contains(&KEY[..16]), "{shown}");
        assert!(shown.contains("0xf39fd6"), "{shown}");
        for bad in [&KEY[1..], &format!("{KEY}00"), &format!("zz{}", &KEY[2..]), &"0".repeat(64), &"f".repeat(64), ""] {
            let error = LocalWallet::from_hex(&SecretString::from(bad)).expect_err("no key").to_string();
            assert!(bad.is_empty() || !error.contains(bad), "{error}");
        }
        assert!(LocalWallet::from_hex(&format!(" 0x{KEY}\n").into()).is_ok());
    }

    #[test]
    fn a_keystore_opens_with_its_password_only() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("key.json");
        std::fs::write(&file, KEYSTORE).expect("written");
        let wallet = LocalWallet::from_keystore(&file, &"testpassword".into()).expect("opened");
        assert_eq!(wallet.account(), address!("008AeEda4D805471dF9b2A5B0f38A0C3bCBA786b"));
        let error = LocalWallet::from_keystore(&file, &"wrong-password".into()).expect_err("refused").to_string();
        assert!(!error.contains("wrong-password"), "{error}");
        assert!(LocalWallet::from_keystore(&folder.path().join("none"), &"x".into()).is_err());
    }

    /// A key service gone bad.
    #[derive(Debug)]
    enum Bad {
        OtherKey,
        OtherChain,
        HighS,
        Down,
    }

    #[async_trait]
    impl TxSigner<Signature> for Bad {
        fn address(&self) -> Address {
            local().account()
        }

        async fn sign_transaction(&self, tx: &mut dyn SignableTransaction<Signature>) -> alloy::signers::Result<Signature> {
            match self {
                Self::OtherKey => PrivateKeySigner::from_bytes(&B256::repeat_byte(1)).expect("a key").sign_transaction(tx).await,
                Self::OtherChain => {
                    tx.set_chain_id(1);
                    local().0.sign_transaction(tx).await
                }
                Self::HighS => {
                    let low = local().0.sign_transaction(tx).await?;
                    let order = U256::from_str_radix("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141", 16)
                        .expect("order of secp256k1");
                    Ok(Signature::new(low.r(), order - low.s(), !low.v()))
                }
                Self::Down => Err(alloy::signers::Error::message("down")),
            }
        }
    }

    #[tokio::test]
    async fn a_signer_is_not_trusted() {
        let answer = async |bad| Wallet::new(bad).sign(&anchor()).await;
        assert_eq!(answer(Bad::OtherKey).await, Err(SignError::Mismatch("signature")));
        assert_eq!(answer(Bad::OtherChain).await, Err(SignError::Mismatch("chain id")));
        assert_eq!(answer(Bad::HighS).await, Err(SignError::Mismatch("signature")));
        assert_eq!(answer(Bad::Down).await, Err(SignError::Refused("down".into())));
    }

    #[tokio::test]
    async fn every_field_is_compared() {
        let wallet = local();
        let asked = anchor().unsigned();
        let changes: [(&str, fn(&mut TxEip1559)); 9] = [
            ("chain id", |t| t.chain_id += 1),
            ("nonce", |t| t.nonce += 1),
            ("gas limit", |t| t.gas_limit += 1),
            ("fee cap", |t| t.max_fee_per_gas += 1),
            ("tip", |t| t.max_priority_fee_per_gas += 1),
            ("recipient", |t| t.to = TxKind::Create),
            ("value", |t| t.value = U256::from(1)),
            ("access list", |t| t.access_list.0.push(Default::default())),
            ("calldata", |t| t.input = Bytes::from_static(&[1])),
        ];
        for (field, change) in changes {
            let mut other = asked.clone();
            change(&mut other);
            let signed = wallet.sign_eip1559(&other).await.expect("signed");
            assert_eq!(check(&signed.raw, &asked, wallet.account()), Err(SignError::Mismatch(field)));
        }
        let signed = wallet.sign_eip1559(&asked).await.expect("signed");
        let mut longer = signed.raw.to_vec();
        longer.push(0);
        assert_eq!(check(&longer.into(), &asked, wallet.account()), Err(SignError::Mismatch("encoding")));
    }
}
