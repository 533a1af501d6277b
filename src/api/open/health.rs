//! Whether the process lives and whether it can work.

use std::time::Duration;

use axum::Json;
use serde_json::{Value, json};

use crate::api::State;
use crate::api::error::{Code, Result};
use crate::ledger::Ledger;
use crate::ledger::intake::Intake;

/// A readiness check answers within this time.
const PATIENCE: Duration = Duration::from_secs(3);

/// `GET /healthz`: the process answers. Asks nobody else, so that a sick database does not get it restarted.
pub async fn lives() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

/// `GET /readyz`: digests can be accepted. The database answers, it keeps what it acknowledges, and the intake runs.
///
/// # Errors
/// [`Code::NotReady`]; `checks` says which of them failed, the log says why.
pub async fn ready(api: State) -> Result<Json<Value>> {
    let (checks, amiss) = checks(&api.ledger, Some(&api.intake)).await;
    match amiss {
        None => Ok(Json(json!({ "status": "ready", "checks": checks }))),
        Some(cause) => Err(Code::NotReady.because(cause).member("checks", checks)),
    }
}

/// What this process needs to do its work, each `ok` or `failed`, and the first cause of a failure. It says nothing about
/// chains or other instances: restarting this one would not help them.
pub async fn checks(ledger: &Ledger, intake: Option<&Intake>) -> (Value, Option<String>) {
    let away = Err("the database is away".to_owned());
    // The gate knows without waiting; the question itself shows whether this process has connections left.
    let database = if ledger.gate().is_away() { away } else { within(ledger.ping()).await };
    let durability = if database.is_ok() { within(ledger.check_durability()).await } else { Err("not asked".into()) };
    let word = |check: &std::result::Result<(), String>| if check.is_ok() { "ok" } else { "failed" };
    let mut checks = json!({ "database": word(&database), "durability": word(&durability) });
    let intake = match intake {
        Some(intake) => {
            let alive = if intake.is_alive() { Ok(()) } else { Err("ended".to_owned()) };
            checks["intake"] = word(&alive).into();
            alive
        }
        None => Ok(()),
    };
    (checks, database.and(durability).and(intake).err())
}

async fn within(check: impl Future<Output = crate::ledger::Result<()>>) -> std::result::Result<(), String> {
    match tokio::time::timeout(PATIENCE, check).await {
        Ok(answer) => answer.map_err(|error| error.to_string()),
        Err(_) => Err(format!("no answer within {PATIENCE:?}")),
    }
}
