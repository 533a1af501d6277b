//! What accounts are told: the log, waiting for it, and webhooks against every receiver there is.

mod addresses;
mod api;
mod cli;
mod keeping;
mod log;
mod process;
mod receiver;
mod sending;

use std::sync::Arc;
use std::time::Duration;

use sceau::api::access::secret::Pepper;
use sceau::ledger::Ledger;
use sceau::pipeline::Step;
use sceau::pipeline::notify::Teller;
use sceau::ports::{Ports, SystemClock, SystemEntropy};
use sceau::webhooks::address::{Allowed, Lookup, System};
use sceau::webhooks::post::Post;
use sceau::webhooks::secret::Vault;
use sceau::webhooks::sender::{Patience, Sender};
use serde_json::Value;
use sqlx::Executor;
use uuid::Uuid;

use crate::api::kit::{Service, start};

/// Receivers of tests are on this machine.
pub fn open() -> Arc<Allowed> {
    Arc::new(Allowed { plain: true, networks: vec!["127.0.0.0/8".parse().unwrap()] })
}

/// A service whose webhooks may lead to this machine.
pub async fn service() -> Service {
    start(false, |state| state.allowed = open()).await
}

/// Tells everything there is to tell.
pub async fn tell(ledger: &Ledger) {
    let mut teller = teller(ledger);
    while teller.step().await.expect("told") == Step::Worked {}
}

/// Looks for broken promises at each step.
pub fn teller(ledger: &Ledger) -> Teller {
    let passed = Arc::new(|_| None);
    Teller { ledger: ledger.clone(), passed, every: Duration::ZERO, holder: Uuid::from_u128(7), looked: None }
}

/// A sender in a hurry.
pub fn sender(ledger: &Ledger, allowed: Arc<Allowed>, lookup: Arc<dyn Lookup>, patience: Patience) -> Sender {
    Sender {
        ledger: ledger.clone(),
        vault: Vault::new(&Pepper::from_bytes([7; 32]).webhooks()),
        post: Post::new(allowed, lookup, Duration::from_millis(400)).unwrap(),
        ports: Ports { clock: Arc::new(SystemClock), entropy: Arc::new(SystemEntropy) },
        patience,
        at_once: 8,
        every: Duration::from_millis(20),
    }
}

pub fn hurry() -> Patience {
    Patience { pauses: [20, 40, 80].map(Duration::from_millis).to_vec(), give_up: Duration::from_secs(3_600) }
}

/// One that runs until it is dropped.
pub struct Running(tokio::task::JoinHandle<()>);

impl Running {
    pub fn of(sender: Sender) -> Self {
        Self(tokio::spawn(sender.run()))
    }

    pub fn start(service: &Service) -> Self {
        Self::of(sender(&service.ledger, open(), Arc::new(System), hurry()))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Moves the anchor of a batch in the one target there is, as the pipeline would.
pub async fn anchor(service: &Service, batch: u64, state: &str) {
    let pool = &service.database.pool;
    pool.execute(
        "insert into targets (chain_id, registry, first_number, code_hash)
         values (1, '\\x0101010101010101010101010101010101010101', 1, sha256('')) on conflict do nothing",
    )
    .await
    .unwrap();
    sqlx::query("insert into anchors (batch, target_id, state) select $1, id, 'planned' from targets on conflict do nothing")
        .bind(batch as i64)
        .execute(pool)
        .await
        .unwrap();
    let hash = "sha256(int8send($1))";
    let place = match state {
        "included" | "final" => format!(
            "tx_hash = {hash}, tx_index = 0, block_number = $1, block_hash = {hash}, block_time = 1, evidence = {}",
            if state == "final" { "'{}'" } else { "null" }
        ),
        _ => "tx_hash = null, tx_index = null, block_number = null, block_hash = null, block_time = null, evidence = null \
              where $1 > 0"
            .into(),
    };
    let place = if place.contains("where") { format!("{place} and batch = $1") } else { format!("{place} where batch = $1") };
    let statement = format!("update anchors set state = '{state}', {place}");
    sqlx::query(sqlx::AssertSqlSafe(statement)).bind(batch as i64).execute(pool).await.unwrap();
}

/// `sealed`, `anchored`, `final` and so on, by batch, in the order of the log.
pub fn by_batch(events: &[Value]) -> std::collections::BTreeMap<u64, Vec<String>> {
    let mut found: std::collections::BTreeMap<u64, Vec<String>> = Default::default();
    for event in events {
        if let Some(batch) = event["data"]["batch"].as_u64() {
            found.entry(batch).or_default().push(event["type"].as_str().unwrap().to_owned());
        }
    }
    found
}

/// The whole log of the account behind a token, read by pages of three.
pub async fn whole_log(service: &Service, token: &str) -> Vec<Value> {
    let (mut events, mut after): (Vec<Value>, u64) = (Vec::new(), 0);
    loop {
        let page = service.json(&format!("/v1/events?after={after}&limit=3"), token).await;
        let got = page["events"].as_array().unwrap();
        if got.is_empty() {
            assert_eq!(page["last"], after);
            return events;
        }
        for event in got {
            assert_eq!(event["seq"].as_u64().unwrap(), events.len() as u64 + 1, "no hole");
            events.push(event.clone());
        }
        after = page["next"].as_u64().unwrap();
    }
}
