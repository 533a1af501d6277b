//! Random histories on a real Postgres and the model chain: whatever happens on the way, once it is quiet every
//! acknowledged digest is in one batch and every batch is anchored once, and no status ever claimed what was not so.
//!
//! `SOAK_SEEDS=2000` runs more histories (for `SOAK_PATIENCE` seconds at most, where that is given), `SOAK_SEED=17` one,
//! with its story told.

mod control;
mod endpoint;
mod history;
mod judge;
mod log;
pub mod site;
mod steps;

use std::time::{Duration, Instant};

use control::Control;
use history::History;
use site::Site;

/// Histories run at once: Postgres' answers take most of the time.
const AT_ONCE: u64 = 3;

/// Histories in a run that nobody asked more of.
const QUICK: u64 = 60;

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().unwrap_or_else(|_| panic!("{name} is no number: {value}")))
}

/// Runs the history of one seed, with `several` endpoints or one.
async fn run(site: &Site, seed: u64, control: Control, several: bool, told: bool) -> Result<(), String> {
    let mut history = History::new(site, seed, control).await;
    if several {
        history = history.with_peers();
    }
    let ended = history.play().await;
    if told || (ended.is_err() && control == Control::None) {
        eprintln!("{}", history.story());
    }
    ended.map_err(|what| match control {
        Control::None => format!(
            "seed {seed}: {what}\n  again: SOAK_SEED={seed} cargo test --test it simulation::{}",
            if several { "several" } else { "histories" }
        ),
        _ => format!("seed {seed}: {what}"),
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn histories_end_well() {
    many(QUICK, Duration::from_secs(45), false).await;
}

/// Three endpoints, one of which may be on a fork of its own, far ahead or behind, at any time.
#[tokio::test(flavor = "multi_thread")]
async fn several_endpoints_of_which_one_lies_end_well() {
    many(QUICK / 2, Duration::from_secs(25), true).await;
}

/// Runs the histories that are asked for, or `quick` within `patience`.
async fn many(quick: u64, patience: Duration, several: bool) {
    if let Some(seed) = variable("SOAK_SEED") {
        run(&Site::new().await, seed, Control::None, several, true).await.unwrap();
        return;
    }
    let (seeds, begun) = (variable("SOAK_SEEDS").unwrap_or(quick), Instant::now());
    // A busy machine runs fewer, never none.
    let asked = variable("SOAK_SEEDS").map(|_| Duration::MAX);
    let patience = variable("SOAK_PATIENCE").map(Duration::from_secs).or(asked).unwrap_or(patience);
    let work = move |worker: u64| {
        let mut done = 0;
        let play = async {
            let site = Site::new().await;
            for seed in (worker..seeds).step_by(AT_ONCE as usize) {
                run(&site, seed, Control::None, several, false).await.unwrap();
                done += 1;
                if begun.elapsed() > patience {
                    break;
                }
            }
        };
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(play);
        done
    };
    let workers: Vec<_> = (0..AT_ONCE).map(|worker| std::thread::spawn(move || work(worker))).collect();
    let done: u32 = workers.into_iter().map(|worker| worker.join().expect("no history ends badly")).sum();
    eprintln!("{done} histories, several endpoints: {several}, {:.1} a second", f64::from(done) / begun.elapsed().as_secs_f64());
}

/// Each control breaks the order of things in one way; a harness that does not notice proves nothing.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_broken_on_purpose_is_noticed() {
    let site = Site::new().await;
    for control in [Control::SendBeforeStore, Control::HeightOnly, Control::NewestOnly, Control::NoQuorum] {
        let mut noticed = None;
        for seed in 0..25 {
            if let Err(what) = run(&site, seed, control, control == Control::NoQuorum, false).await {
                noticed = Some(what);
                break;
            }
        }
        let noticed = noticed.unwrap_or_else(|| panic!("{control:?} went unnoticed"));
        eprintln!("{control:?}: {noticed}");
    }
}
