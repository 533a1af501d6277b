//! Settings: a TOML file, then environment variables `SCEAU_…` (nested names joined by `__`), the latter winning.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use figment::Figment;
use figment::providers::{Env, Format, Toml};
use ipnet::IpNet;
use secrecy::SecretString;
use serde::Deserialize;

/// Everything `sceau serve` needs to know.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Postgres URL.
    pub database_url: SecretString,
    /// Connections to Postgres at most.
    #[serde(default = "default_connections")]
    pub database_connections: u32,
    /// Names this deployment in every batch header: 1 to 100 of `A-Z a-z 0-9 . _ : / -`. Never change it.
    pub origin: String,
    /// Where partners connect.
    pub http: Http,
    /// Tokens and secrets.
    pub auth: Auth,
    /// Proxies in front of the listeners, as networks: what they say about a client's address is believed.
    #[serde(default)]
    pub trusted_proxies: Vec<String>,
    /// Limits for those who have not said who they are.
    #[serde(default)]
    pub limits: Limits,
    /// The listener of the KageSecur dialect; without it there is none.
    pub kagesecur: Option<Kagesecur>,
    /// The listener of the core API; without it there is none.
    pub core: Option<Core>,
    /// When the pool is sealed.
    #[serde(default)]
    pub seal: Seal,
    /// Health and metrics for whoever runs the service.
    #[serde(default)]
    pub metrics: Metrics,
    /// Where batches are anchored. May be empty: then batches are sealed and wait.
    #[serde(default)]
    pub targets: Vec<Target>,
    /// Where webhooks may lead.
    #[serde(default)]
    pub webhooks: Webhooks,
}

/// The listener.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Http {
    /// Address and port.
    #[serde(default = "default_listen")]
    pub listen: SocketAddr,
    /// The address partners use, without a slash at the end; links in answers start with it.
    pub public_url: String,
    /// Certificate and key. Without it `plain` must say so.
    pub tls: Option<Tls>,
    /// Serve plain HTTP, for running behind a proxy that speaks TLS.
    #[serde(default)]
    pub plain: bool,
}

/// Certificate chain and private key, PEM.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// Certificate chain, leaf first.
    pub cert: PathBuf,
    /// Private key.
    pub key: PathBuf,
}

/// The listener of the KageSecur dialect.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kagesecur {
    /// Address and port.
    #[serde(default = "default_kagesecur_listen")]
    pub listen: SocketAddr,
    /// The address its clients use, without a slash at the end; links in its answers start with it.
    pub public_url: String,
    /// Certificate and key; without it those of `http`.
    pub tls: Option<Tls>,
    /// File with the key that signs its tokens: 32 bytes as 64 hex digits; the same on all instances.
    pub token_key: PathBuf,
    /// Names under which documents may be registered here, beside `origin` and `localhost`.
    #[serde(default)]
    pub nodes: Vec<String>,
    /// How long an `auth` opens its certificate, seconds.
    #[serde(default = "default_auth_life")]
    pub auth_life: u64,
    /// Failed logins a minute from one address; 0: without limit.
    #[serde(default = "default_login_failures")]
    pub login_failures: u32,
}

/// The listener of the core API, for managers.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Core {
    /// Address and port.
    #[serde(default = "default_core_listen")]
    pub listen: SocketAddr,
    /// Certificate and key; without it those of `http`.
    pub tls: Option<Tls>,
}

/// How clients prove who they are.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Auth {
    /// Ed25519 private key (PKCS#8 PEM) that signs access tokens, or a folder of such files; the same on all instances.
    pub token_key: PathBuf,
    /// File with the key under which consumer secrets are hashed: 32 bytes as 64 hex digits. Without it no stored
    /// secret can be checked: keep a copy.
    pub pepper: PathBuf,
    /// Life of an access token, seconds.
    #[serde(default = "default_token_life")]
    pub token_life: u64,
}

/// Limits for those who have not said who they are. An account's own are in the database (`sceau account limits`).
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Connections at most.
    pub connections: usize,
    /// Connections from one address at most; a trusted proxy may have as many as there are.
    pub connections_per_address: usize,
    /// Requests for tokens from one address, a second in the long run.
    pub token_requests_per_second: u32,
    /// Requests for tokens from one address at once.
    pub token_burst: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connections: 10_000, connections_per_address: 256, token_requests_per_second: 20, token_burst: 200 }
    }
}

/// When the pool is sealed: by the clock or by its size, whichever comes first.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Seal {
    /// Cron expression with seconds, UTC.
    pub schedule: String,
    /// Seal as soon as so many digests wait.
    pub threshold: u64,
    /// A proof is promised to be anchored so many seconds after the seal its schedule gives it.
    pub allowance: u64,
    /// Nothing is accepted while so many digests wait to be sealed.
    pub high_water: u64,
    /// An event of the log is in a sealed head of it so many seconds later, and the time to the next seal.
    pub log_after: u64,
}

impl Default for Seal {
    fn default() -> Self {
        Self { schedule: "0 * * * * *".into(), threshold: 100_000, allowance: 1_800, high_water: 10_000_000, log_after: 3_600 }
    }
}

/// The listener for health and metrics.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metrics {
    /// Address and port, plain HTTP; none: there is no such listener. Never let partners reach it.
    pub listen: Option<SocketAddr>,
}

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

/// Where webhooks may lead, and how long they are tried.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Webhooks {
    /// Plain HTTP is allowed. For development.
    pub allow_plain: bool,
    /// Networks that are allowed although they are not public.
    pub allow_networks: Vec<String>,
    /// One whose messages have failed for so long is parked, seconds.
    pub give_up: u64,
}

impl Default for Webhooks {
    fn default() -> Self {
        Self { allow_plain: false, allow_networks: Vec::new(), give_up: 259_200 }
    }
}

impl Webhooks {
    /// What is allowed beside public addresses over TLS.
    ///
    /// # Errors
    /// Names the network that is none.
    pub fn allowed(&self) -> anyhow::Result<crate::webhooks::address::Allowed> {
        let network =
            |text: &String| crate::api::peer::network(text).map_err(|why| anyhow::anyhow!("webhooks.allow_networks: {why}"));
        let networks = self.allow_networks.iter().map(network).collect::<anyhow::Result<_>>()?;
        Ok(crate::webhooks::address::Allowed { plain: self.allow_plain, networks })
    }
}

fn default_connections() -> u32 {
    20
}
fn default_listen() -> SocketAddr {
    ([0, 0, 0, 0], 42_001).into()
}
fn default_kagesecur_listen() -> SocketAddr {
    ([0, 0, 0, 0], 42_000).into()
}
fn default_core_listen() -> SocketAddr {
    ([0, 0, 0, 0], 42_002).into()
}
fn default_auth_life() -> u64 {
    86_400
}
fn default_login_failures() -> u32 {
    20
}
fn default_token_life() -> u64 {
    600
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

/// Variables with our prefix that are no settings: they are read by the command line, the logger or the local stack.
const NO_SETTINGS: &[&str] = &[
    "anvil_bin",
    "api_url",
    "ca_cert",
    "config",
    "consumer_key",
    "consumer_secret",
    "consumer_secret_file",
    "home",
    "log",
    "log_format",
    "postgres_bin",
];

/// Where settings come from: `file` (which must exist when given), then the environment.
///
/// # Errors
/// When there is no such file.
pub fn sources(file: Option<&Path>) -> anyhow::Result<Figment> {
    let mut figment = Figment::new();
    if let Some(file) = file {
        anyhow::ensure!(file.is_file(), "{}: no such settings file", file.display());
        figment = figment.merge(Toml::file_exact(file));
    }
    Ok(figment.merge(Env::prefixed("SCEAU_").split("__").ignore(NO_SETTINGS)))
}

impl Config {
    /// The networks of [`Config::trusted_proxies`].
    #[must_use]
    pub fn trusted(&self) -> Arc<[IpNet]> {
        self.trusted_proxies.iter().filter_map(|text| crate::api::peer::network(text).ok()).collect()
    }

    /// Reads `file` (which must exist when given) and the environment.
    ///
    /// # Errors
    /// Names the setting that is missing, unknown or malformed, and where it came from.
    pub fn load(file: Option<&Path>) -> anyhow::Result<Self> {
        let config: Self = sources(file)?.extract()?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> anyhow::Result<()> {
        anyhow::ensure!(
            self.http.tls.is_some() != self.http.plain,
            "http: give tls.cert and tls.key, or set plain = true to serve behind a proxy that speaks TLS (not both)"
        );
        let origin_ok = (1..=100).contains(&self.origin.len())
            && self.origin.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._:/-".contains(&byte));
        anyhow::ensure!(origin_ok, "origin: 1 to 100 of A-Z a-z 0-9 . _ : / - are allowed, not {:?}", self.origin);
        anyhow::ensure!(self.seal.threshold >= 1, "seal.threshold: must be at least 1");
        for network in &self.trusted_proxies {
            crate::api::peer::network(network).map_err(|why| anyhow::anyhow!("trusted_proxies: {why}"))?;
        }
        let Limits { connections, connections_per_address, token_requests_per_second, token_burst } = self.limits;
        let limits = [connections, connections_per_address, token_requests_per_second as usize, token_burst as usize];
        anyhow::ensure!(limits.into_iter().all(|limit| limit >= 1), "limits: each must be at least 1");
        anyhow::ensure!(
            self.seal.high_water > self.seal.threshold,
            "seal.high_water: must be above seal.threshold, at which the pool is sealed"
        );
        for target in &self.targets {
            target.endpoints()?;
        }
        self.webhooks.allowed()?;
        anyhow::ensure!(!self.http.public_url.ends_with('/'), "http.public_url: must not end in a slash");
        if let Some(kagesecur) = &self.kagesecur {
            anyhow::ensure!(!kagesecur.public_url.ends_with('/'), "kagesecur.public_url: must not end in a slash");
            anyhow::ensure!(
                kagesecur.listen != self.http.listen || kagesecur.listen.port() == 0,
                "kagesecur.listen: {} is the address of http.listen",
                kagesecur.listen
            );
        }
        if let Some(core) = &self.core {
            anyhow::ensure!(
                core.tls.is_some() || self.http.tls.is_some() || core.listen.ip().is_loopback(),
                "core: give core.tls or http.tls, or listen on a loopback address: managers' secrets travel there"
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
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
