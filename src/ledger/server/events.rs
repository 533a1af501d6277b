//! What this process has done to the ledger, counted: for whoever watches the service, never for a decision.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

/// Counters of one [`crate::ledger::Ledger`]. Cloning gives another hold on the same.
#[derive(Debug, Clone)]
pub struct Events {
    /// Digests per commit of the intake.
    pub group: Histogram,
    /// Seconds per commit of the intake, repetitions included.
    pub commit_seconds: Histogram,
    /// Digests acknowledged that were new.
    pub accepted: Counter,
    /// Digests acknowledged that the account had submitted before.
    pub repeated: Counter,
    /// Commits tried again after a failure that may pass.
    pub retries: Counter,
    /// Submissions not acknowledged, by reason.
    pub refused: Family<[(&'static str, &'static str); 1], Counter>,
    /// Anchors taken back because their block is no longer canonical.
    pub regressed: Counter,
    /// Times an anchor was seen in a block.
    pub included: Counter,
    /// Anchors that became final.
    pub finalized: Counter,
    /// Transactions signed and stored: the first of an anchor, or one with higher fees.
    pub attempts: Family<[(&'static str, &'static str); 1], Counter>,
    /// Leases taken over from an instance that let them expire.
    pub taken_over: Counter,
    /// Steps that ended early, by step and cause.
    pub step_errors: Family<[(&'static str, String); 2], Counter>,
    /// Messages to webhooks, by how that went.
    pub delivered: Family<[(&'static str, &'static str); 1], Counter>,
}

impl Default for Events {
    fn default() -> Self {
        Self {
            group: Histogram::new(exponential_buckets(1.0, 4.0, 9)),
            commit_seconds: Histogram::new(exponential_buckets(0.001, 2.5, 11)),
            accepted: Counter::default(),
            repeated: Counter::default(),
            retries: Counter::default(),
            refused: Family::default(),
            regressed: Counter::default(),
            included: Counter::default(),
            finalized: Counter::default(),
            attempts: Family::default(),
            taken_over: Counter::default(),
            step_errors: Family::default(),
            delivered: Family::default(),
        }
    }
}

impl Events {
    /// Counts digests that were acknowledged, `fresh` of them new.
    pub(in crate::ledger) fn acknowledged(&self, digests: usize, fresh: usize) {
        self.accepted.inc_by(fresh as u64);
        self.repeated.inc_by((digests - fresh) as u64);
    }

    /// Names them all in `registry`.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("intake_group", "Digests per commit of the intake", self.group.clone());
        let help = "Time of one commit of the intake, repetitions included";
        registry.register_with_unit("intake_commit", help, Unit::Seconds, self.commit_seconds.clone());
        registry.register("intake_accepted", "Digests acknowledged that were new", self.accepted.clone());
        let help = "Digests acknowledged that their account had submitted before";
        registry.register("intake_repeated", help, self.repeated.clone());
        registry.register("intake_retries", "Commits tried again after a failure that may pass", self.retries.clone());
        registry.register("intake_refused", "Submissions not acknowledged, by reason", self.refused.clone());
        let help = "Anchors taken back because a reorg took their block";
        registry.register("anchors_regressed", help, self.regressed.clone());
        registry.register("anchors_included", "Times an anchor was seen in a block", self.included.clone());
        registry.register("anchors_finalized", "Anchors that became final", self.finalized.clone());
        let help = "Transactions signed and stored: the first of an anchor, or one with higher fees";
        registry.register("attempts_stored", help, self.attempts.clone());
        let help = "Leases taken over from an instance that let them expire";
        registry.register("leases_taken_over", help, self.taken_over.clone());
        registry.register("step_errors", "Steps of the pipeline that ended early, by cause", self.step_errors.clone());
        let help = "Messages sent to webhooks, by outcome: taken, or why not";
        registry.register("webhook_deliveries", help, self.delivered.clone());
        // So that the first one of each is seen as a change.
        let _ = self.delivered.get_or_create(&[("outcome", "taken")]);
        for reason in ["overloaded", "full", "away", "stopped", "database"] {
            let _ = self.refused.get_or_create(&[("reason", reason)]);
        }
        for kind in ["first", "higher_fees"] {
            let _ = self.attempts.get_or_create(&[("kind", kind)]);
        }
    }
}
