//! What was asked for one scrape, as series.

use std::fmt::Error;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeGaugeValue, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;
use time::OffsetDateTime;

use crate::ledger::status::gauges::{Gauges, TargetGauges};
use crate::ledger::status::{ServiceStatus, TargetStatus};
use crate::ledger::targets::funds::Funds;

/// Everything that is not counted but asked.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// Open, idle and most connections to the database.
    pub connections: (u32, u32, u32),
    /// Digests that wait for their commit, in a process that takes any.
    pub intake_waiting: Option<usize>,
    /// Digests not sealed, when last counted.
    pub pool: u64,
    /// Whether nothing is accepted for that.
    pub pool_full: bool,
    /// What the database says; none: it does not answer.
    pub database: Option<Answer>,
}

/// What the database says.
#[derive(Debug)]
pub(super) struct Answer {
    pub status: Arc<ServiceStatus>,
    pub gauges: Gauges,
    pub funds: Vec<Funds>,
    /// How many seconds its clock is ahead of ours.
    pub ahead: f64,
}

/// Prints what was told last.
#[derive(Debug)]
pub(super) struct Snapshot(pub Arc<Mutex<Told>>);

impl Collector for Snapshot {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        let told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut print = Print(encoder);
        told.process(&mut print)?;
        if let Some(Answer { status, gauges, funds, ahead }) = &told.database {
            print.one("database_clock_ahead", "Database clock minus ours", Some(Unit::Seconds), *ahead)?;
            service(status, &mut print)?;
            pipeline(gauges, &mut print)?;
            publishers(funds, &mut print)?;
        }
        Ok(())
    }
}

impl Told {
    fn process(&self, print: &mut Print<'_>) -> Result<(), Error> {
        print.one("database_up", "Whether the database answered this scrape", None, u64::from(self.database.is_some()))?;
        let (open, idle, most) = self.connections;
        print.one("database_connections", "Open connections of the pool", None, u64::from(open))?;
        print.one("database_connections_idle", "Of these, idle ones", None, u64::from(idle))?;
        print.one("database_connections_max", "Connections at most", None, u64::from(most))?;
        if let Some(waiting) = self.intake_waiting {
            print.one("intake_waiting", "Digests that wait for their commit", None, waiting as u64)?;
        }
        print.one("pool_digests", "Digests not sealed when they were last counted", None, self.pool)?;
        print.one("pool_full", "Whether the pool is over its high-water mark", None, u64::from(self.pool_full))
    }
}

fn service(status: &ServiceStatus, print: &mut Print<'_>) -> Result<(), Error> {
    let age = |since: OffsetDateTime| (status.now - since).as_seconds_f64().max(0.0);
    let seconds = Some(Unit::Seconds);
    // Nothing waits: no age, so that zero always means "just now" and an alert needs no second condition.
    let oldest = |since: Option<OffsetDateTime>| since.map_or(0.0, age);
    print.one("oldest_unsealed_age", "Age of the oldest digest not sealed", seconds.clone(), oldest(status.oldest_pending))?;
    let help = "Age of the oldest digest that does not count as anchored";
    print.one("oldest_unanchored_age", help, seconds.clone(), oldest(status.oldest_unanchored))?;
    print.one("overdue_proofs", "Proofs not anchored though they were promised to be", None, status.overdue)?;
    print.one("anchored_when", "Targets that must have a batch", None, status.policy.needed)?;
    if let Some((batch, sealed_at)) = status.last_sealed {
        print.one("last_sealed_batch", "Number of the newest sealed batch", None, batch)?;
        print.one("last_sealed_time", "When it was sealed, since 1970", seconds.clone(), sealed_at.unix_timestamp())?;
    }
    print.one("halted_steps", "Steps that wait for an operator", None, status.halts.len() as u64)?;
    let halts = status.halts.iter().map(|halt| ([("step", halt.step.clone())], age(halt.since)));
    print.each("halted", "How long a step has waited for an operator", seconds.clone(), halts)?;
    let asides = status
        .asides
        .iter()
        .map(|aside| ([("step", aside.step.clone()), ("endpoint", aside.endpoint.to_string())], age(aside.since)));
    print.each("endpoint_aside", "How long an endpoint has not been used", seconds.clone(), asides)?;
    let named = |target: &TargetStatus| [("target", name(target.chain_id, &target.registry))];
    let finals = || status.targets.iter().filter_map(|target| Some((named(target), target.last_final?)));
    let batches = finals().map(|(labels, (batch, ..))| (labels, batch));
    print.each("last_final_batch", "Newest batch final in a target", None, batches)?;
    let times = finals().map(|(labels, (.., time))| (labels, time));
    print.each("last_final_block_time", "Time of its block, since 1970", seconds, times)?;
    let retired = status.targets.iter().map(|target| (named(target), u64::from(target.retired_at.is_some())));
    print.each("target_retired", "Whether no new anchors are made in a target", None, retired)
}

fn pipeline(gauges: &Gauges, print: &mut Print<'_>) -> Result<(), Error> {
    let age = |since: Option<OffsetDateTime>| since.map_or(0.0, |since| (gauges.now - since).as_seconds_f64().max(0.0));
    print.one("open_batch", "Number of the batch that takes digests", None, gauges.open_batch)?;
    print.one("closed_batches", "Batches closed and not sealed", None, gauges.closed)?;
    let named = |target: &TargetGauges| name(target.chain_id, &target.registry);
    let states = gauges.targets.iter().flat_map(|target| {
        [("planned", target.planned), ("sent", target.sent), ("included", target.included)]
            .map(|(state, count)| ([("target", named(target)), ("state", state.to_owned())], count))
    });
    print.each("anchors", "Anchors that are not final, by state", None, states)?;
    let of = |value: fn(&TargetGauges) -> Option<OffsetDateTime>| {
        gauges.targets.iter().map(move |target| ([("target", named(target))], age(value(target))))
    };
    let help = "Time since the oldest batch was sealed that nothing is signed for";
    print.each("oldest_unsent_age", help, Some(Unit::Seconds), of(|target| target.oldest_unsent))?;
    let help = "Time since the oldest batch was sealed that is not final";
    print.each("oldest_unfinal_age", help, Some(Unit::Seconds), of(|target| target.oldest_unfinal))?;
    let attempts = gauges.targets.iter().map(|target| ([("target", named(target))], target.attempts));
    print.each("attempts_most", "Most attempts of one anchor that is in no block", None, attempts)?;
    let lanes = gauges.lanes.iter().map(|(chain, signer, nonce)| (publisher(*chain, signer), *nonce));
    print.each("signer_next_nonce", "Nonce of the next transaction, by the journal", None, lanes)?;
    print.one("events_untold", "Changes that are in no account's log yet", None, gauges.untold)?;
    let webhooks = &gauges.webhooks;
    let states =
        [("active", webhooks.active), ("waiting", webhooks.waiting), ("failing", webhooks.failing), ("parked", webhooks.parked)];
    let help = "Webhooks: active, of these with something to send, of these failing; and parked ones";
    print.each("webhooks", help, None, states.into_iter().map(|(state, count)| ([("state", state)], count)))
}

#[expect(clippy::cast_precision_loss, reason = "amounts are shown, not reckoned with")]
fn publishers(funds: &[Funds], print: &mut Print<'_>) -> Result<(), Error> {
    let named = |funds: &Funds| publisher(funds.chain_id, &funds.signer);
    let balances = funds.iter().map(|funds| (named(funds), funds.balance as f64));
    print.each("signer_balance_wei", "Balance of the signer when last asked, wei", None, balances)?;
    let costs = funds.iter().filter_map(|funds| Some((named(funds), funds.per_anchor? as f64)));
    print.each("signer_anchor_cost_wei", "What its newest anchors cost on average, wei", None, costs)?;
    let days = funds.iter().filter_map(|funds| Some((named(funds), funds.runway_days()?)));
    print.each("signer_runway_days", "How long its balance lasts at the present rate", None, days)
}

fn publisher(chain_id: u64, signer: &[u8; 20]) -> [(&'static str, String); 2] {
    [("chain", format!("eip155:{chain_id}")), ("signer", format!("0x{}", hex::encode(signer)))]
}

fn name(chain_id: u64, registry: &[u8; 20]) -> String {
    format!("eip155:{chain_id}:0x{}", hex::encode(registry))
}

/// Prints gauges.
struct Print<'a>(DescriptorEncoder<'a>);

impl Print<'_> {
    fn one(&mut self, name: &str, help: &str, unit: Option<Unit>, value: impl EncodeGaugeValue) -> Result<(), Error> {
        let encoder = self.0.encode_descriptor(name, &format!("{help}."), unit.as_ref(), MetricType::Gauge)?;
        ConstGauge::new(value).encode(encoder)
    }

    /// One series a member; nothing at all where there is none.
    fn each<S: EncodeLabelSet, V: EncodeGaugeValue>(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<Unit>,
        series: impl Iterator<Item = (S, V)>,
    ) -> Result<(), Error> {
        let mut series = series.peekable();
        if series.peek().is_none() {
            return Ok(());
        }
        let mut encoder = self.0.encode_descriptor(name, &format!("{help}."), unit.as_ref(), MetricType::Gauge)?;
        for (labels, value) in series {
            ConstGauge::new(value).encode(encoder.encode_family(&labels)?)?;
        }
        Ok(())
    }
}
