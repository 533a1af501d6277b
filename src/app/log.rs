//! Seals the log: its head becomes a proof of the service's own, and so is anchored with everything else.

use std::time::Duration;

use crate::ledger::Ledger;
use crate::ledger::accounts::audit_log::SERVICE;
use crate::ledger::intake::{Intake, Submission};

/// How often it is looked whether there is something to seal.
const LOOK: Duration = Duration::from_secs(30);

/// Submits the head of the log when an event has waited for `after` seconds. Nothing is remembered: what is due is asked of
/// the database, and submitting the same head twice is submitting it once. Lets the intake go at the stop, and never ends.
pub(super) async fn seal_heads(ledger: Ledger, intake: Intake, after: u64, stop: impl Future<Output = ()> + Send) {
    let sealing = async move {
        loop {
            tokio::time::sleep(LOOK.min(Duration::from_secs(after.max(1)))).await;
            match ledger.head_to_seal(after).await {
                Ok(None) => {}
                Ok(Some(digest)) => {
                    let head = Submission { account: SERVICE, digest, detail: None };
                    match intake.accept(vec![head]).await {
                        Ok(_) => tracing::info!(%digest, "the head of the log waits to be sealed"),
                        Err(error) => tracing::warn!(%error, "the head of the log is not accepted"),
                    }
                }
                Err(error) => tracing::warn!(%error, "asking whether the log is to be sealed"),
            }
        }
    };
    tokio::select! {
        () = stop => {}
        () = sealing => {}
    }
    std::future::pending::<()>().await;
}
