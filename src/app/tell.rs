//! The facts of `GET /v1/status`, told in the log whenever they change.

use std::sync::Arc;
use std::time::Duration;

use crate::api::open::overview::Overview;
use crate::ledger::status::{Halt, ServiceStatus};

/// Pause between two looks: a change is told once, however often it comes within that time.
const EVERY: Duration = Duration::from_secs(5);

/// What is told. Ages change all the time and are not among it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Facts {
    last_sealed: Option<u64>,
    finals: Vec<String>,
    halted: Vec<String>,
    overdue: u64,
    policy: u64,
    targets: usize,
}

impl Facts {
    fn of(status: &ServiceStatus) -> Self {
        let halted = |halt: &Halt| format!("{}: {}", halt.step, halt.why);
        Self {
            last_sealed: status.last_sealed.map(|(batch, _)| batch),
            finals: status
                .targets
                .iter()
                .map(|target| {
                    let batch = target.last_final.map_or_else(|| "-".into(), |(batch, ..)| batch.to_string());
                    format!("eip155:{}:0x{} {batch}", target.chain_id, hex::encode(target.registry))
                })
                .collect(),
            halted: status.halts.iter().map(halted).collect(),
            overdue: status.overdue,
            policy: status.policy.needed,
            targets: status.targets.iter().filter(|target| target.retired_at.is_none()).count(),
        }
    }

    fn tell(&self) {
        let Self { last_sealed, finals, halted, overdue, policy, targets } = self;
        if halted.is_empty() && *overdue == 0 {
            tracing::info!(last_sealed, ?finals, overdue, anchored_when = policy, targets, "status");
        } else {
            tracing::warn!(last_sealed, ?finals, ?halted, overdue, anchored_when = policy, targets, "status");
        }
    }
}

/// Tells changes for ever. A database that is away is told elsewhere.
pub(super) async fn changes(overview: Arc<Overview>) {
    let mut told = None;
    loop {
        match overview.status().await {
            Ok(status) => {
                let facts = Facts::of(&status);
                if told.as_ref() != Some(&facts) {
                    facts.tell();
                    told = Some(facts);
                }
            }
            Err(error) => tracing::debug!(%error, "asking how the service is doing"),
        }
        tokio::time::sleep(EVERY).await;
    }
}
