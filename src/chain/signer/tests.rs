//! Signers that are honest, signers that are not, and secrets that stay secret.

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
    type Change = fn(&mut TxEip1559);
    let changes: [(&str, Change); 9] = [
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
