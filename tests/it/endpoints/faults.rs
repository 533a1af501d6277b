//! Every call the pipeline makes, failing in every way, before and after it took effect; the process restarts then.
//! Whatever happened, each batch is anchored by one transaction, nothing counts as final that is not, and it goes on by
//! itself.
//!
//! `SOAK_CALL_FAULTS=500` plays so many random faults more, over one, two and three endpoints; `SOAK_CALL_FAULTS_SEED=7` the same
//! ones again.

use std::collections::BTreeMap;
use std::time::Instant;

use sceau::ledger::anchors::AnchorState;

use super::bench::Bench;
use crate::model::Rng;
use crate::support::rpc::{Fault, Rule};

/// How the pipeline reaches its chain.
#[derive(Debug, Clone, Copy)]
struct Way {
    endpoints: usize,
    quorum: usize,
}

const ALONE: Way = Way { endpoints: 1, quorum: 1 };

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().unwrap_or_else(|_| panic!("{name} is no number: {value}")))
}

/// One batch from seal to final while `rules` befall the proxies. Answers how many calls were hit.
async fn play(bench: &mut Bench, way: Way, rules: &[Vec<Rule>]) -> Result<u64, String> {
    let before = bench.transactions().await;
    let batch = bench.seal().await;
    for (proxy, rules) in bench.proxies.iter().zip(rules) {
        proxy.arm_all(rules.clone());
    }
    let mut anchoring = None;
    let mut restarted_at = 0;
    let mut last = String::new();
    for round in 0..80 {
        if round == 50 {
            // What lasts has lasted long enough.
            bench.proxies.iter().for_each(|proxy| proxy.disarm());
        }
        if anchoring.is_none() {
            match bench.start(way.endpoints, way.quorum).await {
                Ok(started) => anchoring = Some(started),
                Err(error) => last = error.to_string(),
            }
        }
        if let Some(anchoring) = &anchoring
            && let Err(error) = bench.settle(anchoring).await
        {
            last = error.to_string();
        }
        bench.check_finals().await?;
        let fired: u64 = bench.proxies.iter().map(|proxy| proxy.fired()).sum();
        if fired > restarted_at {
            (anchoring, restarted_at) = (None, fired);
        }
        if bench.state(batch).await == AnchorState::Final {
            bench.proxies.iter().for_each(|proxy| proxy.disarm());
            let after = bench.transactions().await;
            return if after == before + 1 { Ok(fired) } else { Err(format!("{} transactions for one batch", after - before)) };
        }
        bench.anvil.mine(1).await.expect("a block");
        // The other chain stays ahead.
        bench.other.mine(1).await.expect("a block");
    }
    Err(format!("batch {batch} stays {:?}: {last}", bench.state(batch).await))
}

/// What the pipeline calls, and how often, while one batch becomes final.
async fn calls(bench: &mut Bench) -> BTreeMap<String, u64> {
    bench.proxies[0].heard();
    play(bench, ALONE, &[]).await.expect("nothing fails");
    bench.proxies[0].heard()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_call_may_fail_in_every_way() {
    let begun = Instant::now();
    let mut bench = Bench::new(1).await;
    let calls = calls(&mut bench).await;
    eprintln!("calls of one batch: {calls:?}");
    // In a short run every method suffers a fault in the life of one batch, in a long run each in that of its own.
    let alone = variable("SOAK_CALL_FAULTS").is_some();
    let (mut batches, mut hit) = (0, 0);
    for (place, fault) in Fault::ALL.into_iter().enumerate() {
        let rules = calls.iter().filter(|(method, _)| fault.concerns(method)).map(|(method, count)| {
            // The first, the last and those between take turns.
            Rule { fault, method: Some(method.clone()), skip: (place as u64 * 3) % count, times: 1 }
        });
        let rules: Vec<Rule> = rules.collect();
        let lives = if alone { rules.into_iter().map(|rule| vec![rule]).collect() } else { vec![rules] };
        for rules in lives {
            match play(&mut bench, ALONE, std::slice::from_ref(&rules)).await {
                Ok(fired) => hit += fired,
                Err(what) => panic!("{rules:?}: {what}"),
            }
            batches += 1;
        }
        if place % 7 == 6 {
            bench.audit().await.unwrap_or_else(|what| panic!("until {fault:?}: {what}"));
        }
    }
    bench.audit().await.unwrap();
    eprintln!("{hit} calls of {} methods hit in the lives of {batches} batches, in {:?}", calls.len(), begun.elapsed());
    // A call behind one that failed may be one that is not made again.
    assert!(hit >= 150, "{hit}");
}

/// A batch that the database forgot to have anchored is found in the registry, whatever fails while it is looked for.
#[tokio::test(flavor = "multi_thread")]
async fn looking_for_a_forgotten_anchor_may_fail_in_every_way() {
    let mut bench = Bench::new(1).await;
    let anchoring = bench.start(1, 1).await.unwrap();
    let batch = bench.seal().await;
    bench.until_final(&anchoring, batch).await.unwrap();
    let before = bench.transactions().await;
    for fault in Fault::ALL {
        // What others ask too fails in the other tests.
        let method = if matches!(fault, Fault::Failed | Fault::Elsewhere) { "eth_getTransactionReceipt" } else { "eth_getLogs" };
        if fault.concerns(method) {
            bench.run("delete from attempts").await;
            bench
                .run(
                    "update anchors set state = 'planned', lane_id = null, nonce = null, tx_hash = null, tx_index = null, \
                     block_number = null, block_hash = null, block_time = null, evidence = null",
                )
                .await;
            let anchoring = bench.start(1, 1).await.unwrap();
            bench.proxies[0].arm(Rule { fault, method: Some(method.into()), skip: 0, times: 1 });
            bench.until_final(&anchoring, batch).await.unwrap_or_else(|what| panic!("{method} {fault:?}: {what}"));
            assert!(bench.proxies[0].fired() > 0, "{method} was called");
            assert_eq!(bench.transactions().await, before, "{method} {fault:?}: nothing is anchored twice");
        }
    }
}

/// One random way, and for each proxy a random fault that leaves the quorum standing.
fn draw(rng: &mut Rng, methods: &[String]) -> (Way, Vec<Vec<Rule>>) {
    let ways = [(1, 1), (2, 1), (2, 2), (3, 1), (3, 2)];
    let (endpoints, quorum) = ways[rng.below(5) as usize];
    // With one endpoint, or when all are needed, what fails passes; a minority may fail and lie for long.
    let bad = if endpoints == 3 { 1 } else { 0 };
    let worst = rng.below(endpoints as u64) as usize;
    let rules = (0..endpoints).map(|proxy| {
        let fault = match Fault::ALL[rng.below(Fault::ALL.len() as u64) as usize] {
            Fault::Stale(_) => Fault::Stale(1 + rng.below(50)),
            other => other,
        };
        let method = rng.chance(50).then(|| methods[rng.below(methods.len() as u64) as usize].clone());
        let lasting = bad == 1 && proxy == worst;
        let times = if lasting { 1 + rng.below(400) } else { u64::from(proxy == worst) * (1 + rng.below(2)) };
        vec![Rule { fault, method, skip: rng.below(12), times }]
    });
    (Way { endpoints, quorum }, rules.collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn random_faults_over_several_endpoints() {
    let begun = Instant::now();
    let seed = variable("SOAK_CALL_FAULTS_SEED").unwrap_or_else(|| u64::from(std::process::id()));
    let count = variable("SOAK_CALL_FAULTS").unwrap_or(12);
    eprintln!("again: SOAK_CALL_FAULTS_SEED={seed} SOAK_CALL_FAULTS={count} cargo test --test it endpoints::faults::random");
    let mut rng = Rng::new(seed);
    let mut bench = Bench::new(3).await;
    let methods: Vec<String> = calls(&mut bench).await.into_keys().collect();
    let mut hit = 0;
    for number in 0..count {
        let (way, rules) = draw(&mut rng, &methods);
        match play(&mut bench, way, &rules).await {
            Ok(fired) => hit += u64::from(fired > 0),
            Err(what) => panic!("seed {seed}, fault {number}: {way:?} {rules:?}: {what}"),
        }
        if number % 50 == 49 {
            bench.audit().await.unwrap_or_else(|what| panic!("seed {seed}, until fault {number}: {what}"));
            eprintln!("{} of {count} in {:?}", number + 1, begun.elapsed());
        }
    }
    bench.audit().await.unwrap();
    eprintln!("{count} random faults, {hit} of them hit a call, in {:?}", begun.elapsed());
}
