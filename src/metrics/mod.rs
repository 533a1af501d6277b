//! What a monitoring system reads: OpenMetrics text, which Prometheus scrapes.
//!
//! Counters are owned by whoever counts and only named here. What the database knows is asked at the scrape, at most every
//! two seconds; while it does not answer, those series are absent rather than old.

mod snapshot;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::encoding::text;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;
use tokio::time::timeout;

use self::snapshot::{Answer, Snapshot, Told};
use crate::api::open::overview::Overview;
use crate::api::traffic::Traffic;
use crate::chain::observed::Seen;
use crate::ledger::Ledger;
use crate::ledger::intake::Intake;
use crate::ports::Clock;

/// Media type of what is answered.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The database's answer may take so long.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where numbers come from.
#[derive(Debug, Clone)]
pub struct Sources {
    /// The database, and what this process did to it.
    pub ledger: Ledger,
    /// How the service is doing.
    pub overview: Arc<Overview>,
    /// The chains.
    pub seen: Seen,
    /// The API, where this process has one.
    pub traffic: Option<Traffic>,
    /// The way in for digests, where this process has one.
    pub intake: Option<Intake>,
    /// This process' time.
    pub clock: Arc<dyn Clock>,
}

/// All metrics of this process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    sources: Sources,
    told: Arc<Mutex<Told>>,
    scraping: tokio::sync::Mutex<()>,
}

impl Metrics {
    /// Names everything. `mode` is shown beside the version.
    #[must_use]
    pub fn new(sources: Sources, mode: &str) -> Self {
        let mut registry = Registry::with_prefix("sceau");
        let build = [("version", env!("CARGO_PKG_VERSION").to_owned()), ("mode", mode.to_owned())];
        registry.register("build", "The program", Info::new(build));
        sources.ledger.events().register(&mut registry);
        sources.seen.register(&mut registry);
        if let Some(traffic) = &sources.traffic {
            traffic.register(&mut registry);
        }
        let told = Arc::new(Mutex::new(Told::default()));
        registry.register_collector(Box::new(Snapshot(Arc::clone(&told))));
        Self { registry, sources, told, scraping: tokio::sync::Mutex::default() }
    }

    /// Everything, as text.
    ///
    /// # Errors
    /// When it cannot be printed.
    pub async fn scrape(&self) -> Result<String, std::fmt::Error> {
        // One at a time: what is asked of the database is of one scrape.
        let _alone = self.scraping.lock().await;
        let told = self.ask().await;
        *self.told.lock().unwrap_or_else(PoisonError::into_inner) = told;
        let mut text = String::new();
        text::encode(&mut text, &self.registry)?;
        Ok(text)
    }

    async fn ask(&self) -> Told {
        let Sources { ledger, overview, intake, clock, .. } = &self.sources;
        let mut told = Told {
            connections: ledger.connections(),
            intake_waiting: intake.as_ref().map(Intake::waiting),
            pool: ledger.gate().waiting(),
            pool_full: ledger.gate().is_full(),
            ..Told::default()
        };
        if ledger.gate().is_away() {
            return told;
        }
        let asked = async {
            let before = clock.now();
            let gauges = ledger.gauges().await?;
            // Half-way between question and answer is when the database looked at its clock, more or less.
            let ours = before + (clock.now() - before) / 2;
            let ahead = time::Duration::as_seconds_f64(gauges.now - ours);
            let (status, funds) = (overview.status().await?, ledger.funds().await?);
            Ok::<_, crate::ledger::LedgerError>(Answer { status, gauges, funds, ahead })
        };
        match timeout(PATIENCE, asked).await {
            Ok(Ok(asked)) => told.database = Some(asked),
            Ok(Err(error)) => tracing::warn!(%error, "asking the database for metrics"),
            Err(_) => tracing::warn!("the database does not answer for metrics in time"),
        }
        told
    }
}
