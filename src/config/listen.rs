//! Listeners, and who may connect to them how often.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::Deserialize;

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

/// The listener for health and metrics.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metrics {
    /// Address and port, plain HTTP; none: there is no such listener. Never let partners reach it.
    pub listen: Option<SocketAddr>,
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
