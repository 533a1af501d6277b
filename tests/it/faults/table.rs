//! Each statement of the write path, found by doing the job once, fails in each way; then everything must come right.
//!
//! A run that nobody asked more of tries as many cases as its time allows, in an order drawn from a printed seed (again:
//! `SOAK_FAULTS_SEED=…`). `SOAK_FAULTS=each` tries them all, `SOAK_FAULTS=all` every single execution of
//! every statement.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use sceau::ports::{Entropy, SystemEntropy};

use super::job::{Job, Then};
use crate::model::Rng;
use crate::simulation::site::Site;
use crate::support::postgres_proxy::{Fault, Plan, Proxy};

/// Jobs at once: Postgres' answers take most of the time.
const AT_ONCE: usize = 3;

/// For a run that nobody asked more of.
const QUICK: Duration = Duration::from_secs(20);

/// How much was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extent {
    /// What the time allows.
    Quick,
    /// Each statement once, in each way.
    Each,
    /// Each time a statement is executed, in each way.
    All,
}

fn extent() -> Extent {
    match std::env::var("SOAK_FAULTS").ok().as_deref() {
        None => Extent::Quick,
        Some("each") => Extent::Each,
        Some("all") => Extent::All,
        Some(other) => panic!("SOAK_FAULTS is each or all, not {other}"),
    }
}

/// What goes wrong in one run of the job.
#[derive(Debug, Clone)]
struct Case {
    plan: Plan,
    then: Then,
}

fn seed() -> u64 {
    if let Ok(seed) = std::env::var("SOAK_FAULTS_SEED") {
        return seed.parse().expect("SOAK_FAULTS_SEED is a number");
    }
    let mut bytes = [0; 4];
    SystemEntropy.fill(&mut bytes);
    u32::from_be_bytes(bytes).into()
}

fn cases(seen: &[String]) -> Vec<Case> {
    let mut counts: HashMap<&String, u64> = HashMap::new();
    seen.iter().for_each(|text| *counts.entry(text).or_default() += 1);
    let mut counts: Vec<(&String, u64)> = counts.into_iter().collect();
    counts.sort();
    let mut cases = Vec::new();
    for (statement, count) in counts {
        // A commit ends another transaction each time.
        let every = extent() == Extent::All || statement.eq_ignore_ascii_case("commit");
        let occurrences: Vec<u64> = if every { (1..=count).collect() } else { vec![1] };
        for occurrence in occurrences {
            for fault in Fault::ALL {
                let waits = !matches!(fault, Fault::CutBefore | Fault::CutAfter);
                for then in [Then::Restart, Then::GoOn] {
                    // Waiting for somebody who says nothing takes its time: by default for what partners wait for.
                    if waits && then == Then::GoOn && extent() == Extent::Quick && !statement.contains("accept_proofs") {
                        continue;
                    }
                    cases.push(Case { plan: Plan { statement: statement.clone(), occurrence, fault }, then });
                }
            }
        }
    }
    cases
}

/// Runs one case; answers whether the fault happened.
async fn run(site: &Site, proxy: &Proxy, case: &Case) -> Result<bool, String> {
    proxy.arm(Some(case.plan.clone()));
    let mut job = Job::new(site, proxy, case.then).await;
    job.run().await.map_err(|what| format!("{case:?}: {what}"))?;
    Ok(proxy.has_fired())
}

/// Does the job undisturbed and answers the statements it took.
async fn record() -> Vec<String> {
    let site = Site::new().await;
    let proxy = Proxy::start(&site.database.url).await;
    proxy.arm(None);
    Job::new(&site, &proxy, Then::GoOn).await.run().await.expect("an undisturbed job");
    proxy.seen()
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_statement_fails_everything_comes_right() {
    let seen = record().await;
    for expected in ["accept_proofs", "close_batch", "copy tiles", "insert into attempts", "into leases", "insert into halts"] {
        assert!(seen.iter().any(|text| text.contains(expected)), "the job never did {expected:?}");
    }
    let (mut cases, seed) = (cases(&seen), seed());
    let mut rng = Rng::new(seed);
    for place in (1..cases.len()).rev() {
        cases.swap(place, rng.below(place as u64 + 1) as usize);
    }
    let (total, begun) = (cases.len(), Instant::now());
    let patience = if extent() == Extent::Quick { QUICK } else { Duration::MAX };
    let cases = Arc::new(Mutex::new(cases.into_iter()));
    let work = move |cases: Arc<Mutex<std::vec::IntoIter<Case>>>| {
        let (mut reached, mut wrong, mut missed) = (0, Vec::new(), Vec::new());
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(async {
            let site = Site::new().await;
            let proxy = Proxy::start(&site.database.url).await;
            loop {
                let Some(case) = cases.lock().unwrap().next() else { break };
                match run(&site, &proxy, &case).await {
                    Ok(true) => reached += 1,
                    Ok(false) => missed.push(case),
                    Err(what) => wrong.push(what),
                }
                if begun.elapsed() > patience {
                    break;
                }
            }
        });
        (reached, wrong, missed)
    };
    let workers: Vec<_> = (0..AT_ONCE)
        .map(|_| {
            std::thread::spawn({
                let cases = Arc::clone(&cases);
                move || work(cases)
            })
        })
        .collect();
    let (mut reached, mut wrong, mut missed) = (0, Vec::new(), Vec::new());
    for worker in workers {
        let (more, more_wrong, more_missed) = worker.join().expect("a worker");
        reached += more;
        wrong.extend(more_wrong);
        missed.extend(more_missed);
    }
    let statements = seen.iter().collect::<std::collections::HashSet<_>>().len();
    eprintln!(
        "seed {seed}: {reached} of {total} faults in {statements} statements ({} executions), {} not reached, {:.0} s",
        seen.len(),
        missed.len(),
        begun.elapsed().as_secs_f64()
    );
    assert!(wrong.is_empty(), "{} of {total}:\n{}", wrong.len(), wrong.join("\n"));
    // How often idle connections are looked after differs from run to run; first occurrences do not.
    let first = missed.iter().find(|case| case.plan.occurrence == 1);
    assert!(first.is_none() && missed.len() * 20 <= total, "not reached: {missed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_before_the_commit_is_noticed() {
    let seen = record().await;
    let statement = seen.iter().find(|text| text.contains("accept_proofs")).expect("it was called").clone();
    let site = Site::new().await;
    let proxy = Proxy::start(&site.database.url).await;
    proxy.arm(Some(Plan { statement, occurrence: 1, fault: Fault::CutBefore }));
    let mut job = Job::new(&site, &proxy, Then::Restart).await;
    job.hasty = true;
    let what = job.run().await.expect_err("a digest was acknowledged that was never stored");
    eprintln!("noticed: {what}");
}
