//! Keys that Google Cloud KMS keeps. Credentials are the application default ones, as for Google's own tools.

use std::sync::Arc;
use std::time::Duration;

use alloy::signers::gcp::gcloud_sdk::GoogleApi;
use alloy::signers::gcp::gcloud_sdk::google::cloud::kms::v1::key_management_service_client::KeyManagementServiceClient;
use alloy::signers::gcp::{GcpKeyRingRef, GcpSigner, KeySpecifier};

use crate::chain::signer::{SignError, Signer, Wallet, causes};

const SERVICE: &str = "https://cloudkms.googleapis.com";

/// Longest opening a key may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A signer over a version of a key: project, location, key ring, key.
///
/// # Errors
/// When the service does not answer, refuses, or keeps no secp256k1 key of that name.
pub(super) async fn open(name: [&str; 4], version: u64) -> Result<Arc<dyn Signer>, SignError> {
    let [project, location, keyring, key] = name;
    let failed = |what: String| SignError::Service(format!("Google Cloud KMS: {what}"));
    let opening = async {
        let client = GoogleApi::from_function(KeyManagementServiceClient::new, SERVICE, None)
            .await
            .map_err(|error| failed(causes(&error)))?;
        let key = KeySpecifier::new(GcpKeyRingRef::new(project, location, keyring), key, version);
        GcpSigner::new(client, key, None).await.map_err(|error| failed(causes(&error)))
    };
    match tokio::time::timeout(TIMEOUT, opening).await {
        Ok(signer) => Ok(Arc::new(Wallet::new(signer?))),
        Err(_) => Err(failed("no answer".into())),
    }
}
