//! Keys that AWS KMS keeps. Credentials come from the environment, the profile files, a web identity, or the metadata
//! service of the machine, as for AWS's own tools.

use std::sync::Arc;
use std::time::Duration;

use alloy::signers::aws::{AwsSigner, AwsSignerError};
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region};
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};

use crate::chain::signer::{SignError, Signer, Wallet, causes};

/// Longest one call may take, with its repetitions.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A signer over the key `key_id` (id, alias or ARN).
///
/// # Errors
/// When the service does not answer, refuses, or keeps no secp256k1 key of that name.
pub(super) async fn open(key_id: &str, region: Option<&str>) -> Result<Arc<dyn Signer>, SignError> {
    // The same TLS as everywhere in this process.
    let http = Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
    let timeout = TimeoutConfig::builder().operation_timeout(TIMEOUT).build();
    let mut settings = aws_config::defaults(BehaviorVersion::v2026_01_12()).http_client(http).timeout_config(timeout);
    if let Some(region) = region {
        settings = settings.region(Region::new(region.to_owned()));
    }
    let settings = settings.load().await;
    if settings.region().is_none() {
        return Err(SignError::Service("AWS KMS: no region is named: set signer.aws_kms.region, or AWS_REGION".into()));
    }
    let client = aws_sdk_kms::Client::new(&settings);
    match AwsSigner::new(client, key_id.to_owned(), None).await {
        Ok(signer) => Ok(Arc::new(Wallet::new(signer))),
        Err(AwsSignerError::K256(_) | AwsSignerError::Spki(_)) => {
            Err(SignError::Service(format!("AWS KMS: {key_id} is no key of the kind ECC_SECG_P256K1")))
        }
        Err(error) => Err(SignError::Service(format!("AWS KMS: {}", causes(&error)))),
    }
}

#[cfg(test)]
mod tests {
    use alloy::primitives::{Address, B256, keccak256};

    use super::*;
    use crate::chain::deploy::{Plan, deploy};
    use crate::chain::evm::Evm;
    use crate::chain::fees::{self, Fees};
    use crate::chain::signer::{AnchorTx, LocalWallet};
    use crate::chain::{Chain, Sent, Target};
    use crate::dev::anvil::{self, Mining, Options};

    fn anchor(nonce: u64) -> AnchorTx {
        AnchorTx {
            target: Target { chain_id: 31337, registry: Address::repeat_byte(7) },
            nonce,
            fees: Fees { max_fee: 2_000_000_000, max_priority: 1 },
            number: nonce + 1,
            root: B256::repeat_byte(9),
            size: 1002,
        }
    }

    /// What the variable of `tests/kms/check` names.
    fn named(variable: &str) -> String {
        std::env::var(variable).unwrap_or_else(|_| panic!("{variable} is not set: run tests/kms/check"))
    }

    #[tokio::test]
    #[ignore = "needs a key service: tests/kms/check starts one and runs this"]
    async fn a_kept_key_signs_what_is_asked() {
        let signer = open(&named("SCEAU_KMS_KEY"), Some("eu-west-3")).await.expect("opened");
        // The address is the end of the hash of the key's point (Ethereum yellow paper, appendix F).
        let point = alloy::primitives::hex::decode(named("SCEAU_KMS_POINT")).expect("hex");
        assert_eq!(signer.address(), Address::from_slice(&keccak256(point)[12..]));
        // Each is checked field by field, for its signer, and for the low half of s, before it is returned: enough of them
        // that both halves and both parities come up.
        for nonce in 0..24 {
            signer.sign(&anchor(nonce)).await.expect("signed");
        }
    }

    #[tokio::test]
    #[ignore = "needs a key service: tests/kms/check starts one and runs this"]
    async fn a_kept_key_anchors_on_a_real_node() {
        let folder = tempfile::tempdir().expect("a folder");
        let options =
            Options { data: &folder.path().join("anvil"), port: None, mining: Mining::Instant, binary: None, throw_away: true };
        let anvil = anvil::start(options, &|_| ()).await.expect("a node");
        let signer = open(&named("SCEAU_KMS_KEY"), Some("eu-west-3")).await.expect("opened");
        let funds = serde_json::json!([signer.address(), "0xde0b6b3a7640000"]);
        anvil.rpc("anvil_setBalance", funds).await.expect("funds");
        // The first account of the test mnemonic deploys, and gets no rights.
        let key = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
        let wallet = LocalWallet::from_hex(&key.into()).expect("a key");
        let plan = Plan {
            chain_id: 31337,
            owner: wallet.account(),
            publisher: signer.address(),
            first_number: 1,
            fee_ceiling: 100_000_000_000,
            patience: Duration::from_secs(60),
        };
        let registry = deploy(&anvil.url, &wallet, &plan).await.expect("deployed").address;
        let evm = Evm::connect(&anvil.url, Target { chain_id: 31337, registry }).expect("a URL");
        let fees = fees::first(evm.fees().await.expect("fees"), u128::MAX);
        let signed = signer.sign(&AnchorTx { target: evm.target().clone(), fees, ..anchor(0) }).await.expect("signed");
        assert_eq!(evm.send(&signed.raw).await.expect("sent"), Sent::Accepted);
        while evm.inclusion(signed.hash).await.expect("asked").is_none() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let record = evm.record(B256::repeat_byte(9)).await.expect("asked").expect("anchored");
        assert_eq!((record.number, record.size), (1, 1002));
        println!("batch 1 is anchored in {registry} by {}", signer.address());
    }

    #[tokio::test]
    #[ignore = "needs a key service: tests/kms/check starts one and runs this"]
    async fn what_is_wrong_with_a_kept_key_is_told() {
        for (key, because) in [
            ("00000000-0000-0000-0000-000000000000".to_owned(), "00000000-0000-0000-0000-000000000000"),
            (named("SCEAU_KMS_OTHER_CURVE"), "is no key of the kind ECC_SECG_P256K1"),
            (named("SCEAU_KMS_SYMMETRIC"), "is no key of the kind ECC_SECG_P256K1"),
        ] {
            let error = open(&key, Some("eu-west-3")).await.expect_err("refused").to_string();
            assert!(error.contains(because) && error.lines().count() == 1, "{error}");
            assert!(!error.contains(&named("AWS_SECRET_ACCESS_KEY")), "{error}");
            println!("{error}");
        }
    }
}
