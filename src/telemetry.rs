//! Logging: events go to stderr, for people or as JSON lines.

use std::io::{IsTerminal, stderr};

use tracing_subscriber::EnvFilter;

/// Environment variable with the filter, in the directives of `tracing-subscriber`.
pub const FILTER_VARIABLE: &str = "SCEAU_LOG";
/// Environment variable with the format: `text` or `json`.
pub const FORMAT_VARIABLE: &str = "SCEAU_LOG_FORMAT";
/// What is logged unless [`FILTER_VARIABLE`] says otherwise.
pub const DEFAULT_FILTER: &str = "info,sqlx=warn,tokio_cron_scheduler=warn";

/// What is logged beside the progress that `sceau dev` tells.
pub const QUIET_FILTER: &str = "warn";

/// Starts logging for the whole process, with `default` unless the environment says otherwise. Lines for people are coloured on a terminal.
///
/// # Errors
/// When a variable holds something else than it may, or logging was started before.
pub fn init(default: &str) -> anyhow::Result<()> {
    let filter = match variable(FILTER_VARIABLE) {
        Some(text) => EnvFilter::try_new(&text).map_err(|error| anyhow::anyhow!("{FILTER_VARIABLE}: {error}"))?,
        None => EnvFilter::new(default),
    };
    let logger = tracing_subscriber::fmt().with_env_filter(filter).with_writer(stderr);
    let started = match variable(FORMAT_VARIABLE).as_deref() {
        Some("json") => logger.json().flatten_event(true).try_init(),
        Some("text") | None => logger.with_ansi(stderr().is_terminal()).try_init(),
        Some(other) => anyhow::bail!("{FORMAT_VARIABLE}: text or json, not {other:?}"),
    };
    started.map_err(|error| anyhow::anyhow!("logging: {error}"))
}

/// A variable that is set to nothing counts as not set.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
