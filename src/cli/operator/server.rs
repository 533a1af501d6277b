//! `sceau serve`, `sceau migrate` and `sceau dev`.

use std::path::Path;

use anyhow::Context;
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use super::super::output::{Ending, Out};
use super::{Database, Settings, explained, ledger, part, unsettled};
use crate::app::Mode;
use crate::config::Config;
use crate::ports::Ports;
use crate::{app, dev};

const SERVE_EXAMPLES: &str = "\
Examples:
  sceau serve --config /etc/sceau/sceau.toml
  SCEAU_DATABASE_URL=postgres://… SCEAU_LOG_FORMAT=json sceau serve
  sceau serve --api-only

Logs go to standard error. SCEAU_LOG filters them (default info, from libraries warn);
SCEAU_LOG_FORMAT=json makes them JSON lines.";

/// Run the service: the API and the pipeline that seals and anchors
///
/// Runs until SIGTERM or SIGINT, then ends what it has begun. Any number of instances may run on one database.
#[derive(Debug, Args)]
#[command(after_help = SERVE_EXAMPLES)]
pub struct Serve {
    #[command(flatten)]
    settings: Settings,

    /// Accept and answer only: seal and anchor nothing, open no target's key
    #[arg(long, conflicts_with = "pipeline_only")]
    api_only: bool,

    /// Seal and anchor only: answer nothing but health and metrics, on metrics.listen
    #[arg(long)]
    pipeline_only: bool,
}

/// Bring the database up to date
///
/// Applies what is missing, and does nothing when nothing is. Run it before a new version serves.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  sceau migrate --config /etc/sceau/sceau.toml")]
pub struct Migrate {
    #[command(flatten)]
    settings: Settings,
}

/// Runs `sceau serve`.
///
/// # Errors
/// When the settings are wrong or the service cannot go on.
pub async fn serve(command: Serve, outer: Option<&Path>) -> anyhow::Result<Ending> {
    let file = command.settings.file(outer);
    let config = Config::load(file.as_deref()).map_err(|error| unsettled(&error, file.as_deref()))?;
    let mode = match (command.api_only, command.pipeline_only) {
        (true, _) => Mode::ApiOnly,
        (_, true) => Mode::PipelineOnly,
        _ => Mode::All,
    };
    app::serve(config, mode, Ports::system(), shutdown()?).await?;
    Ok(Ending::Done)
}

/// Runs `sceau migrate`.
///
/// # Errors
/// When the database cannot be brought up to date.
pub async fn migrate(command: Migrate, outer: Option<&Path>, out: &mut Out) -> anyhow::Result<Ending> {
    let settings: Database = part(command.settings.file(outer).as_deref())?;
    let ledger = ledger(&settings.database_url)?;
    let done = ledger.migrate().await;
    ledger.close().await;
    done.map_err(explained)?;
    out.line("the database is up to date")?;
    Ok(Ending::Done)
}

/// Runs `sceau dev`.
///
/// # Errors
/// Those of [`dev::run`].
pub async fn dev(options: dev::Options) -> anyhow::Result<Ending> {
    dev::run(options, Ports::system(), shutdown()?).await?;
    Ok(Ending::Done)
}

/// Ends when the process is asked to end. From now on SIGTERM and SIGINT do nothing else.
fn shutdown() -> anyhow::Result<impl Future<Output = ()> + Send + 'static> {
    let listen = |kind| signal(kind).context("listening for signals");
    let (mut terminate, mut interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    Ok(async move {
        let name = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        };
        tracing::info!(signal = name, "shutting down");
    })
}
