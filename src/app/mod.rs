//! Wiring: settings in, a running service out. Nothing is decided here.

mod core;
mod dialect;
mod inner;
mod log;
mod pipeline;
mod supervise;
mod targets;
mod tell;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow, ensure};
use futures_util::FutureExt;
use secrecy::ExposeSecret;
use tokio::sync::watch;
use tokio::task::JoinSet;
use uuid::Uuid;

use self::supervise::supervise;
use self::targets::Pinned;
pub use self::targets::Way;
use crate::api::access::journal::Journal;
use crate::api::access::limit::{Rate, Rates};
use crate::api::access::secret::Pepper;
use crate::api::access::token::Tokens;
use crate::api::listen::{Crowd, Listener};
use crate::api::news::News;
use crate::api::open::overview::Overview;
use crate::api::{self, Deadline};
use crate::chain::observed::Seen;
use crate::config::{Config, Seal};
use crate::ledger::Ledger;
use crate::ledger::intake::{Intake, Limits};
use crate::metrics::{Metrics, Sources};
use crate::pipeline::continuity;
use crate::pipeline::schedule::Schedule;
use crate::ports::Ports;
use crate::webhooks::address::System;
use crate::webhooks::post::Post;
use crate::webhooks::secret::Vault;
use crate::webhooks::sender::{self as webhooks, Patience, Sender};

/// How often the token keys are read again.
const KEYS: Duration = Duration::from_secs(10);

/// Pause between two looks for webhooks that have something to send.
const WEBHOOKS: Duration = Duration::from_secs(1);

/// What of the service a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// The API and the pipeline.
    All,
    /// Accepts and answers; opens no key of a target and asks no chain.
    ApiOnly,
    /// Seals and anchors; opens no key of the API, and answers health and metrics only.
    PipelineOnly,
}

impl Mode {
    /// As metrics show it.
    const fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::ApiOnly => "api",
            Self::PipelineOnly => "pipeline",
        }
    }

    const fn api(self) -> bool {
        !matches!(self, Self::PipelineOnly)
    }

    const fn pipeline(self) -> bool {
        !matches!(self, Self::ApiOnly)
    }
}

/// The schedule, and what is promised by it.
///
/// # Errors
/// When the schedule is none.
pub fn deadline(seal: &Seal) -> anyhow::Result<(Schedule, Deadline)> {
    let schedule = Schedule::parse(&seal.schedule).context("seal.schedule")?;
    let seals = schedule.clone();
    let deadline = Deadline::new(move |moment| seals.next_after(moment), Duration::from_secs(seal.allowance));
    Ok((schedule, deadline))
}

/// Serves until `stop` completes, then finishes what is under way: requests within ten seconds, and the digests that
/// wait. The pipeline is simply ended: its steps go on where they were at the next start.
///
/// # Errors
/// When the service cannot start (one sentence says what to do), and when one of its tasks dies: a service that goes on
/// without its sealer would look well and do nothing.
pub async fn serve(
    config: Config,
    mode: Mode,
    ports: Ports,
    stop: impl Future<Output = ()> + Send + 'static,
) -> anyhow::Result<()> {
    let ledger = Ledger::connect(config.database_url.expose_secret(), config.database_connections).context("database_url")?;
    ledger.check_schema().await?;
    ledger.check_durability().await?;
    let (schedule, deadline) = deadline(&config.seal)?;
    let holder = instance(&ports);
    let ledger = {
        let deadline = deadline.clone();
        ledger.promising(move |moment| deadline.around(moment), Arc::clone(&ports.clock))
    };

    // Whatever can be refused is refused before anything runs.
    let inner = match config.metrics.listen {
        Some(address) => Some(Listener::plain(address).context("metrics.listen")?),
        None => None,
    };
    ensure!(
        mode.api() || inner.is_some(),
        "metrics.listen: set it, since with --pipeline-only health and metrics are all that is answered, and there"
    );
    let trusted = config.trusted();
    let limits = &config.limits;
    let strangers = Rate { per_second: limits.token_requests_per_second, burst: limits.token_burst };
    let crowd = Crowd::new(limits.connections, limits.connections_per_address, Arc::clone(&trusted));
    let allowed = Arc::new(config.webhooks.allowed()?);
    let outer = match mode.api() {
        true => Some(Outer {
            tokens: Tokens::load(&config.auth.token_key, &config.http.public_url, config.auth.token_life)?,
            pepper: Pepper::load(&config.auth.pepper)?,
            listener: Listener::bind(&config.http).await?.bounded(crowd.clone()),
            core: core::Bound::of(&config, crowd.clone()).await?,
            dialect: dialect::Bound::of(&config, crowd).await?,
            post: Post::new(Arc::clone(&allowed), Arc::new(System), webhooks::TIMEOUT)?,
        }),
        false => None,
    };
    let pinned: Pinned = config.targets.iter().map(targets::pinned).collect::<anyhow::Result<_>>()?;
    let (mut steps, seen) = (JoinSet::new(), Seen::default());
    let clock = match mode.pipeline() {
        true => {
            let promised = deadline.clone();
            let given = (&schedule, Arc::new(move |now| promised.passed(now)) as _, &pinned);
            Some(pipeline::start(&config, &ledger, given, (&ports, &seen), holder, &mut steps).await?)
        }
        false => None,
    };
    steps.spawn(ledger.clone().keep_gate(config.seal.high_water));
    // A database restored from a backup is known before anything is accepted.
    let (tell, closed) = watch::channel(ledger.read_only(&pinned).await?.map(Into::into));
    steps.spawn(continuity::watch(ledger.clone(), pinned, tell));

    let (stopping, stopped) = watch::channel(false);
    let until = |mut stopped: watch::Receiver<bool>| async move {
        // An error means that the sender is gone, and with it this function.
        let _ = stopped.wait_for(|stopped| *stopped).await;
    };
    let signal = async move {
        stop.await;
        let _ = stopping.send(true);
        std::future::pending::<()>().await;
    };
    let (mut lanes, mut writing) = (JoinSet::new(), None);
    let mut sources = Sources {
        ledger: ledger.clone(),
        overview: Arc::new(Overview::new(ledger.clone(), deadline.clone(), Overview::LIFE)),
        seen,
        traffic: None,
        intake: None,
        clock: Arc::clone(&ports.clock),
    };
    let serving_outer = outer.map(|Outer { tokens, pepper, listener, core, dialect, post }| {
        let (way_in, started) = Intake::start(&ledger, &ports.entropy, Limits::default());
        lanes = started;
        let way_in = way_in.closed_while(closed);
        sources.intake = Some(way_in.clone());
        steps.spawn(log::seal_heads(ledger.clone(), way_in.clone(), config.seal.log_after, until(stopped.clone())));
        let mut state = api::State::new(ledger.clone(), way_in, ports.clone(), tokens, pepper, deadline, &config.http.public_url);
        state.trusted = trusted;
        let (journal, written) = Journal::start(ledger.clone());
        state.journal = journal;
        writing = Some(tokio::spawn(written));
        state.rates = Arc::new(Rates::new(strangers));
        state.allowed = Arc::clone(&allowed);
        state.news = Arc::new(News::until(stopped.clone()));
        steps.spawn(sender(&ledger, &state.pepper, post, &ports, config.webhooks.give_up).run());
        steps.spawn(Arc::clone(&state.tokens).follow(KEYS));
        sources.overview = Arc::clone(&state.overview);
        sources.traffic = Some(state.traffic.clone());
        tracing::info!(address = %listener.address(), url = config.http.public_url, instance = %holder, ?mode, "serving");
        // Boxed, all of them: together they are too large for a thread's stack in a debug build.
        let dialect = dialect.map(|bound| bound.serve(state.clone(), until(stopped.clone())).boxed());
        let core = core.map(|bound| bound.serve(state.clone(), until(stopped.clone())).boxed());
        let partner = listener.serve(api::router(state), until(stopped.clone())).boxed();
        async { tokio::try_join!(partner, optional(dialect), optional(core)).map(|((), (), ())| ()) }.boxed()
    });
    let serving_inner = inner.map(|listener| {
        tracing::info!(address = %listener.address(), ?mode, "serving health and metrics");
        let (ledger, intake) = (ledger.clone(), sources.intake.clone());
        let metrics = Arc::new(Metrics::new(sources.clone(), mode.name()));
        listener.serve(inner::router(inner::Inner { ledger, intake, metrics }), until(stopped.clone())).boxed()
    });
    steps.spawn(tell::changes(sources.overview));
    // No way in is held here: the intake ends with the routers.
    drop(sources.intake);

    let serving = async {
        // Both end at the stop; either ends the process when it fails.
        let ((), ()) = tokio::try_join!(optional(serving_outer), optional(serving_inner))?;
        until(stopped).await;
        anyhow::Ok(())
    };
    supervise(serving, signal, &mut steps, &mut lanes).await?;
    // The routers are gone and with them every way in, so the lanes end when nothing waits any more.
    while let Some(ended) = lanes.join_next().await {
        ended.map_err(|error| anyhow!("the intake died while stopping: {error}"))?;
    }
    if let Some(writing) = writing {
        writing.await.context("writing the log")?;
    }
    steps.shutdown().await;
    if let Some(mut clock) = clock {
        clock.shutdown().await.context("stopping the schedule")?;
    }
    ledger.close().await;
    tracing::info!("stopped");
    Ok(())
}

/// What the API needs of its own.
struct Outer {
    tokens: Tokens,
    pepper: Pepper,
    listener: Listener,
    core: Option<core::Bound>,
    dialect: Option<dialect::Bound>,
    post: Post,
}

/// Who sends events to webhooks.
fn sender(ledger: &Ledger, pepper: &Pepper, post: Post, ports: &Ports, give_up: u64) -> Sender {
    Sender {
        ledger: ledger.clone(),
        vault: Vault::new(&pepper.webhooks()),
        post,
        ports: ports.clone(),
        patience: Patience::lasting(Duration::from_secs(give_up)),
        at_once: webhooks::AT_ONCE,
        every: WEBHOOKS,
    }
}

async fn optional(serving: Option<impl Future<Output = anyhow::Result<()>>>) -> anyhow::Result<()> {
    match serving {
        Some(serving) => serving.await,
        None => Ok(()),
    }
}

/// A name for this process in leases.
fn instance(ports: &Ports) -> Uuid {
    let mut bytes = [0; 16];
    ports.entropy.fill(&mut bytes);
    uuid::Builder::from_random_bytes(bytes).into_uuid()
}
