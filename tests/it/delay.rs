//! How long a digest takes, seen from outside: one is submitted each second, and its status is asked for until it is
//! final. `SOAK_SECONDS=300` watches for longer.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use sceau_verifier::Digest;
use serde_json::Value;

use crate::support;
use crate::support::load::Partner;
use crate::support::service::{Deployment, Instance, lasting_port};

/// Statuses in their order.
const STATUSES: [&str; 4] = ["pending", "sealed", "anchored", "final"];

/// One digest on its way: when it was acknowledged, and when each status (or a later one) was first seen.
struct Watched {
    acknowledged: Instant,
    seen: [Option<Duration>; STATUSES.len()],
    /// The chain's head when it was seen sealed.
    head: Option<u64>,
    /// The block it was anchored in.
    block: Option<u64>,
}

impl Watched {
    fn is_final(&self) -> bool {
        self.seen.iter().all(Option::is_some)
    }
}

fn seconds() -> u64 {
    std::env::var("SOAK_SECONDS").ok().map_or(12, |text| text.parse().expect("SOAK_SECONDS is a number"))
}

/// Every digest passes through all of it without going back, is never overdue, and is anchored by a block soon after its
/// seal. How long each step takes is printed, not judged: machines differ.
#[tokio::test(flavor = "multi_thread")]
async fn the_delay_of_each_digest_is_seen_from_outside() {
    let database = support::database().await;
    let deployment = Deployment::new(&database.url).await;
    let port = lasting_port();
    let mut instance = Instance::start(&deployment.config, port);
    instance.ready().await;
    let partner = Partner::new(port, &deployment.credentials).await;
    let mut watched: HashMap<Digest, Watched> = HashMap::new();
    let begun = Instant::now();
    let mut next = begun;
    loop {
        if begun.elapsed().as_secs() < seconds() && Instant::now() >= next {
            next += Duration::from_secs(1);
            let document = format!("delay {}", watched.len());
            let (status, answer) = partner.submit(&document).await;
            assert_eq!(status, 201, "{answer}");
            let acknowledged = Instant::now();
            let new = Watched { acknowledged, seen: [Some(Duration::ZERO), None, None, None], head: None, block: None };
            watched.insert(Digest::of(document.as_bytes()), new);
        }
        for (digest, one) in watched.iter_mut().filter(|(_, one)| !one.is_final()) {
            look(&partner, &deployment, digest, one).await;
        }
        if begun.elapsed().as_secs() >= seconds() && watched.values().all(Watched::is_final) {
            break;
        }
        assert!(begun.elapsed().as_secs() < seconds() + 180, "not all became final:\n{}", instance.log());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    instance.stop();
    deployment.audit().await;
    for (at, status) in STATUSES.iter().enumerate().skip(1) {
        let mut took: Vec<Duration> = watched.values().filter_map(|one| one.seen[at]).collect();
        took.sort_unstable();
        eprintln!(
            "{} digests, one a second, sealed each second, a block a second: {status} after {:.1?} (median), {:.1?} at most",
            took.len(),
            took[took.len() / 2],
            took[took.len() - 1]
        );
    }
    let blocks = watched.values().map(|one| one.block.expect("a block").saturating_sub(one.head.expect("a head"))).max();
    eprintln!("anchored at most {} blocks after they were seen sealed", blocks.expect("some"));
}

async fn look(partner: &Partner, deployment: &Deployment, digest: &Digest, one: &mut Watched) {
    let (status, proof) = partner.proof(digest).await;
    assert_eq!(status, 200, "{proof}");
    assert_eq!(proof["overdue"], Value::Bool(false), "{proof}");
    let said = proof["status"].as_str().expect("a status");
    let now = STATUSES.iter().position(|status| *status == said).unwrap_or_else(|| panic!("{proof}"));
    let before = one.seen.iter().flatten().count() - 1;
    assert!(now >= before, "went back from {} to {said}: {proof}", STATUSES[before]);
    if now >= 1 && one.head.is_none() {
        one.head = Some(deployment.chain().heads().await.expect("heads").latest.number);
    }
    for seen in &mut one.seen[..=now] {
        seen.get_or_insert_with(|| one.acknowledged.elapsed());
    }
    if let Some(block) = proof["anchors"][0]["block_number"].as_u64() {
        one.block = Some(block);
    }
}
