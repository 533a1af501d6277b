//! The listener of the KageSecur dialect, where the settings have one.

use std::time::Duration;

use anyhow::Context;

use crate::api::State;
use crate::api::kagesecur::{self, Dialect, Options};
use crate::api::listen::{Crowd, Listener};
use crate::config::{Config, Http};

/// Bound, not serving yet.
pub(super) struct Bound {
    listener: Listener,
    options: Options,
}

impl Bound {
    /// Shares the bound on connections with the other listener.
    ///
    /// # Errors
    /// Names the setting that cannot be used.
    pub(super) async fn of(config: &Config, crowd: Crowd) -> anyhow::Result<Option<Self>> {
        let Some(settings) = &config.kagesecur else { return Ok(None) };
        let options = Options {
            key: kagesecur::jwt::Key::load(&settings.token_key).context("kagesecur.token_key")?,
            public_url: settings.public_url.clone(),
            nodes: [std::slice::from_ref(&config.origin), &settings.nodes].concat(),
            auth_life: Duration::from_secs(settings.auth_life),
            login_failures: settings.login_failures,
        };
        let http = Http {
            listen: settings.listen,
            public_url: settings.public_url.clone(),
            tls: settings.tls.clone().or_else(|| config.http.tls.clone()),
            plain: config.http.plain,
        };
        Ok(Some(Self { listener: Listener::bind(&http).await.context("kagesecur")?.bounded(crowd), options }))
    }

    /// Serves until `stop` completes.
    pub(super) async fn serve(self, state: State, stop: impl Future<Output = ()> + Send) -> anyhow::Result<()> {
        tracing::info!(address = %self.listener.address(), url = self.options.public_url, "serving the KageSecur dialect");
        self.listener.serve(kagesecur::router(Dialect::new(state, self.options)), stop).await
    }
}
