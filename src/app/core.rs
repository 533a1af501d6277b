//! The listener of the core API, where the settings have one.

use anyhow::Context;

use crate::api::listen::{Crowd, Listener};
use crate::api::{self, State};
use crate::config::{Config, Http};

/// Bound, not serving yet.
pub(super) struct Bound(Listener);

impl Bound {
    /// Shares the bound on connections with the other listeners.
    ///
    /// # Errors
    /// Names the setting that cannot be used.
    pub(super) async fn of(config: &Config, crowd: Crowd) -> anyhow::Result<Option<Self>> {
        let Some(settings) = &config.core else { return Ok(None) };
        let tls = settings.tls.clone().or_else(|| config.http.tls.clone());
        let plain = tls.is_none();
        let http = Http { listen: settings.listen, public_url: config.http.public_url.clone(), tls, plain };
        Ok(Some(Self(Listener::bind(&http).await.context("core")?.bounded(crowd))))
    }

    /// Serves until `stop` completes.
    pub(super) async fn serve(self, state: State, stop: impl Future<Output = ()> + Send) -> anyhow::Result<()> {
        tracing::info!(address = %self.0.address(), "serving the core API");
        self.0.serve(api::core_router(state), stop).await
    }
}
