//! Settings: a TOML file, then environment variables `SCEAU_…` (nested names joined by `__`), the latter winning.

mod listen;
mod target;
mod webhooks;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use figment::Figment;
use figment::providers::{Env, Format, Toml};
use ipnet::IpNet;
use secrecy::SecretString;
use serde::Deserialize;

pub use self::listen::{Core, Http, Kagesecur, Limits, Metrics, Tls};
pub use self::target::{Signer, Target};
pub use self::webhooks::Webhooks;

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

fn default_connections() -> u32 {
    20
}
fn default_token_life() -> u64 {
    600
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
        self.trusted_proxies.iter().filter_map(|text| crate::api::access::peer::network(text).ok()).collect()
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
            crate::api::access::peer::network(network).map_err(|why| anyhow::anyhow!("trusted_proxies: {why}"))?;
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
