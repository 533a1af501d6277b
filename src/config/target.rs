//! Registries: how their chains are reached, and what publishes there.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

/// One registry on one chain.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// JSON-RPC endpoint, when there is one. Read it by [`Target::endpoints`].
    pub rpc_url: Option<String>,
    /// JSON-RPC endpoints, in order of preference. Read them by [`Target::endpoints`].
    pub rpc_urls: Option<Vec<String>>,
    /// Endpoints that must agree on what is final.
    #[serde(default = "default_quorum")]
    pub quorum: usize,
    /// An endpoint further behind the others is not used, blocks.
    #[serde(default = "default_max_lag")]
    pub max_lag: u64,
    /// EIP-155 chain id the endpoints must serve.
    pub chain_id: u64,
    /// Address of the `AnchorRegistry`, `0x` and 40 hex digits.
    pub registry: String,
    /// The publisher's key.
    pub signer: Signer,
    /// When a block counts as final. Without it the chain's own `finalized` tag decides.
    pub depth: Option<u64>,
    /// Never offer more than this, gwei per gas.
    #[serde(default = "default_max_fee")]
    pub max_fee_gwei: u64,
    /// Offer more after waiting so many seconds.
    #[serde(default = "default_bump_after")]
    pub bump_after: u64,
    /// Time-out of one call, seconds.
    #[serde(default = "default_rpc_timeout")]
    pub timeout: u64,
    /// Warn when the publisher's funds last for fewer days.
    #[serde(default = "default_runway")]
    pub warn_runway: u32,
}

impl Target {
    /// The addresses of its endpoints, one at least, checked against each other and against `quorum`.
    ///
    /// # Errors
    /// Says what is wrong, without the addresses: they may hold keys.
    pub fn endpoints(&self) -> anyhow::Result<&[String]> {
        let urls = match (&self.rpc_url, &self.rpc_urls) {
            (Some(url), None) => std::slice::from_ref(url),
            (None, Some(urls)) => urls,
            _ => anyhow::bail!("targets: give each either rpc_url, or rpc_urls for several endpoints"),
        };
        anyhow::ensure!(!urls.is_empty(), "targets.rpc_urls: name at least one endpoint");
        if let Some(twice) = (1..urls.len()).find(|place| urls[..*place].contains(&urls[*place])) {
            anyhow::bail!("targets.rpc_urls: number {} is there twice; one endpoint cannot confirm itself", twice + 1);
        }
        anyhow::ensure!(self.quorum >= 1, "targets.quorum: must be at least 1");
        anyhow::ensure!(
            self.quorum <= urls.len(),
            "targets.quorum: {} endpoints must agree but only {} are configured; nothing could become final",
            self.quorum,
            urls.len()
        );
        Ok(urls)
    }

    /// Time-out of one call.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout)
    }
}

/// Where the publisher's key comes from.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum Signer {
    /// The name of an environment variable with the key in hex. For development.
    Env(String),
    /// A file with the key in hex. For development.
    KeyFile(PathBuf),
    /// An encrypted keystore (web3 secret storage) and a file with its password.
    Keystore {
        /// The keystore.
        path: PathBuf,
        /// A file that holds the password.
        password_file: PathBuf,
    },
    /// A key of AWS KMS (`ECC_SECG_P256K1`, for signing). Credentials come from where AWS's own tools have them.
    AwsKms {
        /// Id, alias or ARN of the key.
        key_id: String,
        /// Region; without it the environment's.
        region: Option<String>,
    },
    /// A key of Google Cloud KMS (`EC_SIGN_SECP256K1_SHA256`). Credentials come from where Google's own tools have them.
    GcpKms {
        /// Project.
        project: String,
        /// Location of the key ring.
        location: String,
        /// The key ring.
        keyring: String,
        /// The key.
        key: String,
        /// Its version.
        version: u64,
    },
}

fn default_max_fee() -> u64 {
    200
}
fn default_bump_after() -> u64 {
    60
}
fn default_rpc_timeout() -> u64 {
    10
}
fn default_quorum() -> usize {
    1
}
fn default_max_lag() -> u64 {
    10
}
fn default_runway() -> u32 {
    30
}

#[cfg(test)]
mod tests {
    use figment::Figment;
    use figment::providers::{Format, Toml};

    use super::*;

    fn endpoints(lines: &str) -> Result<Vec<String>, String> {
        let text = format!("chain_id = 1\nregistry = \"0x\"\nsigner = {{ env = \"KEY\" }}\n{lines}");
        let target: Target = Figment::from(Toml::string(&text)).extract().map_err(|error| error.to_string())?;
        target.endpoints().map(<[String]>::to_vec).map_err(|error| error.to_string())
    }

    #[test]
    fn endpoints_are_one_or_several_and_the_quorum_can_be_reached() {
        assert_eq!(endpoints("rpc_url = \"a\"").expect("one"), ["a"]);
        assert_eq!(endpoints("rpc_urls = [\"a\", \"b\"]\nquorum = 2\nmax_lag = 3").expect("two"), ["a", "b"]);
        for (lines, because) in [
            ("", "either rpc_url, or rpc_urls"),
            ("rpc_url = \"a\"\nrpc_urls = [\"b\"]", "either rpc_url, or rpc_urls"),
            ("rpc_urls = []", "at least one endpoint"),
            ("rpc_urls = [\"a\", \"b\", \"a\"]", "number 3 is there twice"),
            ("rpc_urls = [\"a\", \"b\"]\nquorum = 3", "3 endpoints must agree but only 2 are configured"),
            ("rpc_url = \"a\"\nquorum = 2", "2 endpoints must agree but only 1 are configured"),
            ("rpc_url = \"a\"\nquorum = 0", "at least 1"),
            ("rpc_url = \"a\"\nrpc_uris = [\"b\"]", "unknown field"),
        ] {
            let error = endpoints(lines).expect_err(lines);
            assert!(error.contains(because), "{lines}: {error}");
        }
    }
}
