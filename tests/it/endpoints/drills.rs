//! What real chains do and anvil can be made to do: it all ends with every batch final by one transaction. The time that
//! takes is printed, not judged.

use std::time::{Duration, Instant};

use sceau::chain::Chain;
use sceau::chain::evm::Evm;
use sceau::dev::anvil::{self, Mining, Options};
use sceau::ledger::anchors::AnchorState;
use sceau::pipeline::anchoring::Anchoring;
use serde_json::json;

use super::bench::Bench;
use crate::support::process::signal;
use crate::support::service::lasting_port;

fn told(what: &str, begun: Instant) {
    eprintln!("converged in {:>5} ms: {what}", begun.elapsed().as_millis());
}

async fn included(bench: &Bench, anchoring: &Anchoring, batch: u64) {
    for _ in 0..20 {
        bench.settle(anchoring).await.unwrap();
        if bench.state(batch).await >= AnchorState::Included {
            return;
        }
        bench.anvil.mine(1).await.unwrap();
    }
    panic!("batch {batch} stays {:?}", bench.state(batch).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn reorgs_of_every_depth_converge() {
    let mut bench = Bench::new(1).await;
    bench.policy.depth = Some(64);
    let anchoring = bench.start(1, 1).await.unwrap();
    let before = bench.transactions().await;
    // A long run tries every depth.
    let depths: Vec<u64> =
        if std::env::var_os("SOAK_CALL_FAULTS").is_some() { (1..=64).collect() } else { vec![1, 2, 3, 8, 21, 64, 64] };
    for depth in depths.iter().copied() {
        let batch = bench.seal().await;
        bench.settle(&anchoring).await.unwrap();
        included(&bench, &anchoring, batch).await;
        if depth > 1 {
            bench.anvil.mine(depth - 1).await.unwrap();
        }
        let begun = Instant::now();
        // Every block of that depth is replaced by an empty one, and the node forgets their transactions.
        bench.anvil.rpc("anvil_reorg", json!([depth, []])).await.unwrap();
        bench.settle(&anchoring).await.unwrap();
        assert_eq!(bench.state(batch).await, AnchorState::Sent, "depth {depth}: taken back, openly");
        included(&bench, &anchoring, batch).await;
        told(&format!("reorg of {depth} blocks"), begun);
    }
    bench.anvil.mine(64).await.unwrap();
    bench.settle(&anchoring).await.unwrap();
    assert_eq!(bench.transactions().await, before + depths.len() as u64);
    let finals: i64 =
        sqlx::query_scalar("select count(*) from anchors where state = 'final'").fetch_one(&bench.database.pool).await.unwrap();
    assert_eq!(finals as usize, depths.len());
    bench.audit().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn dropped_transactions_come_back() {
    let mut bench = Bench::new(1).await;
    let anchoring = bench.start(1, 1).await.unwrap();
    let before = bench.transactions().await;
    let mut last = 0;
    for _ in 0..5 {
        last = bench.seal().await;
        bench.settle(&anchoring).await.unwrap();
    }
    // No block is made, and what waits is forgotten, again and again.
    let begun = Instant::now();
    for _ in 0..3 {
        bench.anvil.rpc("anvil_dropAllTransactions", json!([])).await.unwrap();
        bench.settle(&anchoring).await.unwrap();
    }
    bench.until_final(&anchoring, last).await.unwrap();
    told("five transactions dropped three times", begun);
    assert_eq!(bench.transactions().await, before + 5);
    bench.audit().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_base_fee_jumps_and_the_ceiling_holds() {
    let mut bench = Bench::new(1).await;
    bench.policy.bump_after = Duration::ZERO;
    bench.policy.ceiling = 100_000_000_000;
    let anchoring = bench.start(1, 1).await.unwrap();
    let before = bench.transactions().await;
    let gwei = |gwei: u64| json!([format!("{:#x}", gwei * 1_000_000_000)]);
    for (from, to, what) in [(1, 50, "below the ceiling"), (10, 500, "above the ceiling for ten blocks")] {
        bench.anvil.rpc("anvil_setNextBlockBaseFeePerGas", gwei(from)).await.unwrap();
        bench.anvil.mine(1).await.unwrap();
        let batch = bench.seal().await;
        bench.settle(&anchoring).await.unwrap();
        let begun = Instant::now();
        for _ in 0..10 {
            bench.anvil.rpc("anvil_setNextBlockBaseFeePerGas", gwei(to)).await.unwrap();
            bench.anvil.mine(1).await.unwrap();
            bench.settle(&anchoring).await.unwrap();
        }
        assert_eq!(bench.state(batch).await >= AnchorState::Included, to < 100, "{what}");
        for fee in [to / 2, to / 8, 5] {
            bench.anvil.rpc("anvil_setNextBlockBaseFeePerGas", gwei(fee)).await.unwrap();
            bench.anvil.mine(1).await.unwrap();
            bench.settle(&anchoring).await.unwrap();
        }
        bench.until_final(&anchoring, batch).await.unwrap();
        told(&format!("base fee ×50, {what}"), begun);
    }
    assert_eq!(bench.transactions().await, before + 2);
    let (most, attempts): (i64, i64) =
        sqlx::query_as("select max(max_fee), count(*) from attempts").fetch_one(&bench.database.pool).await.unwrap();
    assert!(most <= 100_000_000_000, "{most}");
    eprintln!("{attempts} attempts, none above {most} wei a gas");
    bench.audit().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_stops_for_a_while_loses_nothing() {
    let mut bench = Bench::new(1).await;
    let anchoring = bench.start(1, 1).await.unwrap();
    let before = bench.transactions().await;
    let mut last = 0;
    for wait in 0..3 {
        last = bench.seal().await;
        if wait > 0 {
            bench.settle(&anchoring).await.unwrap();
        }
        signal(bench.anvil.child.pid(), "STOP");
        for _ in 0..2 {
            assert!(bench.settle(&anchoring).await.is_err(), "nobody answers");
        }
        signal(bench.anvil.child.pid(), "CONT");
    }
    let begun = Instant::now();
    bench.until_final(&anchoring, last).await.unwrap();
    told("a node stopped three times", begun);
    assert_eq!(bench.transactions().await, before + 3);
    bench.audit().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_restarted_with_an_older_state_is_caught_up_with() {
    let mut bench = Bench::new(1).await;
    let folder = tempfile::tempdir().unwrap();
    let progress = &crate::support::progress;
    let port = Some(lasting_port());
    let start = async || {
        let options = Options { data: folder.path(), port, mining: Mining::OnDemand, binary: None, throw_away: false };
        anvil::start(options, progress).await.expect("a node")
    };
    // This node keeps its state; the bench's own is left alone.
    let node = start().await;
    let target = super::bench::deploy(&node, &bench.wallet).await;
    assert_eq!(target, bench.target);
    bench.truth = std::sync::Arc::new(Evm::connect(&node.url, target).unwrap());
    bench.proxies[0].lead_to(&node.url);
    std::mem::replace(&mut bench.anvil, node).stop().await;

    let anchoring = bench.start(1, 1).await.unwrap();
    let first = bench.seal().await;
    bench.until_final(&anchoring, first).await.unwrap();
    let height = bench.truth.heads().await.unwrap().latest.number;
    // Written in good order, and kept aside.
    let mut kept = bench.anvil;
    kept.child.stop(Duration::from_secs(60)).await;
    drop(kept);
    let (state, older) = (folder.path().join("anvil.json"), folder.path().join("older.json"));
    std::fs::copy(&state, &older).unwrap();
    bench.anvil = start().await;

    let second = bench.seal().await;
    bench.settle(&anchoring).await.unwrap();
    bench.anvil.mine(1).await.unwrap();
    bench.settle(&anchoring).await.unwrap();
    assert_eq!(bench.state(second).await, AnchorState::Included);
    // The machine dies and comes back with what was on its disk a while ago.
    signal(bench.anvil.child.pid(), "KILL");
    let mut dead = bench.anvil;
    dead.child.stop(Duration::from_secs(60)).await;
    drop(dead);
    std::fs::rename(&older, &state).unwrap();
    bench.anvil = start().await;
    assert_eq!(bench.truth.heads().await.unwrap().latest.number, height, "the block of batch {second} is gone");
    let begun = Instant::now();
    bench.settle(&anchoring).await.unwrap();
    assert_eq!(bench.state(second).await, AnchorState::Sent, "taken back, openly");
    bench.until_final(&anchoring, second).await.unwrap();
    told("a node restarted with an older state", begun);
    assert_eq!(bench.transactions().await, 3);
    bench.audit().await.unwrap();
}
