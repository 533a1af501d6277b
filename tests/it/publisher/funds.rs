//! The publisher's account is nearly empty.

use std::io::Write;
use std::sync::{Arc, Mutex};

use alloy::primitives::U256;
use sceau::dev::anvil::Mining;
use sceau::ledger::anchors::AnchorState;
use sceau::pipeline::runner::{Watched, Work};
use sceau::pipeline::{Result, Step};
use serde_json::json;

use super::{clean, eager, halted, place, run};
use crate::pipeline::kit::{KEY, Kit};

/// Far more than an anchor may cost at the fees of a new chain (about 4 gwei by 120,000 gas).
const PLENTY: u128 = 1_000_000_000_000_000_000;

async fn give(kit: &Kit, wei: u128) {
    kit.anvil.rpc("anvil_setBalance", json!([kit.wallet.account(), U256::from(wei)])).await.unwrap();
}

async fn signed(kit: &Kit) -> i64 {
    sqlx::query_scalar("select count(*) from attempts").fetch_one(&kit.database.pool).await.unwrap()
}

struct Stepping<'a>(&'a Kit);

impl Work for Stepping<'_> {
    async fn step(&mut self) -> Result<Step> {
        self.0.anchoring.step().await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_signed_that_cannot_be_paid() {
    let kit = Kit::new(Mining::OnDemand).await;
    give(&kit, 1_000).await;
    let (first, _) = kit.seal(0, 2).await;
    let mut watched = Watched { work: Stepping(&kit), name: "anchor".into(), ledger: kit.ledger.clone(), halted: false };
    watched.step().await.expect_err("halted");
    halted(kit.settle().await, "cannot pay for batch 1");
    assert_eq!((signed(&kit).await, kit.state(first).await), (0, AnchorState::Planned));
    let halts = kit.ledger.service_status(|_| None).await.unwrap().halts;
    assert!(halts[0].why.contains("Send it funds"), "{halts:?}");

    // Enough for the first; the second waits until that is mined, though each could be paid alone.
    let (second, _) = kit.seal(1, 2).await;
    let fees = sceau::chain::fees::first(sceau::chain::Chain::fees(&*kit.chain).await.unwrap(), u128::MAX);
    let most = fees.max_fee * u128::from(sceau::chain::signer::ANCHOR_GAS);
    give(&kit, most + most / 2).await;
    halted(kit.settle().await, "cannot pay for batch 2");
    assert_eq!((signed(&kit).await, kit.state(second).await), (1, AnchorState::Planned));
    kit.until(second, AnchorState::Final).await.expect_err("still halted before a block");
    for _ in 0..20 {
        kit.anvil.mine(1).await.unwrap();
        if kit.settle().await.is_ok() && kit.state(second).await == AnchorState::Final {
            break;
        }
    }
    assert_eq!(kit.state(second).await, AnchorState::Final);
    watched.step().await.expect("no halt any more");
    assert!(kit.ledger.service_status(|_| None).await.unwrap().halts.is_empty(), "it is cleared by itself");
    clean(&kit).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_emptied_after_signing_is_told_and_goes_on() {
    let mut kit = Kit::new(Mining::OnDemand).await;
    kit.chain.faults.lock().unwrap().push_back(crate::pipeline::kit::Fault::Lost);
    let (batch, _) = kit.seal(0, 2).await;
    kit.settle().await.unwrap();
    give(&kit, 0).await;
    kit.restart_with(KEY, eager()).await.unwrap();
    halted(kit.settle().await, "which is signed");
    give(&kit, PLENTY).await;
    kit.until(batch, AnchorState::Final).await.unwrap();
    assert_eq!(kit.transactions().await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_spent_and_how_long_it_lasts_is_known() {
    let kit = Kit::new(Mining::Instant).await;
    for kind in 0..3 {
        let (batch, _) = kit.seal(kind, 2).await;
        kit.until(batch, AnchorState::Final).await.unwrap();
    }
    let funds = async || kit.ledger.funds_of(31337, &kit.wallet.account().into()).await.unwrap().expect("seen");
    let seen = funds().await;
    let cost = seen.per_anchor.expect("receipts say what they cost");
    assert!(cost > 45_000 && seen.per_day.is_none() && seen.runway_days().is_none(), "{seen:?}");
    // As if the three had been made a day apart, the last one now.
    sqlx::query("update anchors set block_time = extract(epoch from now())::bigint - (3 - batch) * 86400")
        .execute(&kit.database.pool)
        .await
        .unwrap();
    kit.ledger.note_balance(31337, &kit.wallet.account().into(), cost * 10).await.unwrap();
    let seen = funds().await;
    let days = seen.runway_days().expect("a runway");
    assert!((days - 10.0).abs() < 0.1, "{seen:?}");
    let shown = run(&kit, &place(&kit), &["contract", "status"]).await;
    assert!(shown.ends(0).stdout.contains(" days, at ") && shown.stdout.contains("1.0 anchors a day"), "{}", shown.stdout);
}

/// What is logged.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_short_runway_is_warned_of_once() {
    let mut kit = Kit::new(Mining::Instant).await;
    kit.restart_with(KEY, eager()).await.unwrap();
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let count = |what: &str| String::from_utf8(lines.0.lock().unwrap().clone()).unwrap().matches(what).count();
    let steps = async |kit: &Kit| {
        for _ in 0..3 {
            kit.settle().await.unwrap();
        }
    };
    steps(&kit).await;
    assert_eq!(count("the publisher"), 0, "there is enough");
    give(&kit, 1_000).await;
    steps(&kit).await;
    assert_eq!(count("cannot pay for an anchor"), 1);
    give(&kit, PLENTY).await;
    steps(&kit).await;
    assert_eq!(count("has funds again"), 1);
    for kind in 0..2 {
        let (batch, _) = kit.seal(kind, 2).await;
        kit.until(batch, AnchorState::Final).await.unwrap();
    }
    sqlx::query(
        "update anchors set block_time = extract(epoch from now())::bigint - (2 - batch) * 86400, paid = 1000000000000000",
    )
    .execute(&kit.database.pool)
    .await
    .unwrap();
    give(&kit, 29 * 1_000_000_000_000_000).await;
    steps(&kit).await;
    assert_eq!(count("funds last 2"), 1, "{}", String::from_utf8_lossy(&lines.0.lock().unwrap()));
    let secret = &KEY[2..];
    assert_eq!(count(secret), 0, "the key is never logged");
}
