//! Whether the process lives and whether it can work.

use std::time::Duration;

use axum::Json;
use serde_json::{Value, json};

use super::State;
use super::error::{Code, Result};

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
    let database = within(api.ledger.ping()).await;
    let durability = if database.is_ok() { within(api.ledger.check_durability()).await } else { Err("not asked".into()) };
    let intake = if api.intake.is_alive() { Ok(()) } else { Err("ended".to_owned()) };
    let word = |check: &std::result::Result<(), String>| if check.is_ok() { "ok" } else { "failed" };
    let checks = json!({ "database": word(&database), "durability": word(&durability), "intake": word(&intake) });
    match database.and(durability).and(intake) {
        Ok(()) => Ok(Json(json!({ "status": "ready", "checks": checks }))),
        Err(cause) => Err(Code::NotReady.because(cause).member("checks", checks)),
    }
}

async fn within(check: impl Future<Output = crate::ledger::Result<()>>) -> std::result::Result<(), String> {
    match tokio::time::timeout(PATIENCE, check).await {
        Ok(answer) => answer.map_err(|error| error.to_string()),
        Err(_) => Err(format!("no answer within {PATIENCE:?}")),
    }
}
