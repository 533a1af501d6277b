//! The service killed at the k-th message it sends to anybody, for k after k: each is a safe point to die.
//!
//! `SOAK_CRASH_POINTS=100` tries the first hundred of them. Needs strace: elsewhere this says so and does nothing.

use std::process::{Command, Stdio};
use std::time::Duration;

use crate::support::load::{Acknowledged, Partner};
use crate::support::service::{Deployment, Instance, lasting_port};
use crate::support::{self};

/// Messages before which it dies in a run that nobody asked more of.
const QUICK: [u64; 4] = [14, 29, 47, 61];

#[tokio::test(flavor = "multi_thread")]
async fn every_message_is_a_safe_point_to_die() {
    let asked = std::env::var("SOAK_CRASH_POINTS").ok().map(|text| text.parse().expect("SOAK_CRASH_POINTS is a number"));
    let points: Vec<u64> = asked.map_or(QUICK.to_vec(), |most: u64| (1..=most).collect());
    let strace = Command::new("strace").arg("-V").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !strace.is_ok_and(|status| status.success()) {
        eprintln!("not tried: there is no strace");
        return;
    }
    let database = support::database().await;
    let deployment = Deployment::new(&database.url).await;
    let port = lasting_port();
    let (mut acknowledged, mut died) = (Vec::new(), 0);
    for point in &points {
        let inject = format!("inject=sendto:signal=KILL:when={point}");
        let strace = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=sendto", "-e", &inject];
        let mut traced = Traced(Instance::start_under(&strace, &deployment.config, port));
        for round in 0..60 {
            if traced.0.child.try_wait().expect("a child").is_some() {
                died += 1;
                break;
            }
            let told = tokio::time::timeout(Duration::from_secs(5), submit(&deployment, port, *point, round)).await;
            acknowledged.extend(told.ok().flatten());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        // Where it lives on, no thread of it ever sent so many.
    }
    assert!(died * 2 >= points.len(), "it died {died} times of {}", points.len());
    let mut instance = Instance::start(&deployment.config, port);
    instance.ready().await;
    acknowledged.extend(submit(&deployment, port, 0, 0).await);
    let newest = deployment.judge(&acknowledged).await;
    instance.stop();
    deployment.audit().await;
    eprintln!(
        "{died} deaths at {} messages: {} digests acknowledged in {newest} batches, none lost, none anchored twice",
        points.len(),
        acknowledged.len()
    );
}

/// A service under a tracer, which would live on without it.
struct Traced(Instance);

impl Drop for Traced {
    fn drop(&mut self) {
        let tracer = self.0.child.id();
        let children = std::fs::read_to_string(format!("/proc/{tracer}/task/{tracer}/children")).unwrap_or_default();
        for pid in children.split_whitespace() {
            let _ = Command::new("kill").args(["-s", "KILL", pid]).output();
        }
        let _ = self.0.child.wait();
    }
}

/// One digest, if anybody takes it.
async fn submit(deployment: &Deployment, port: u16, point: u64, round: u64) -> Option<Acknowledged> {
    let partner = Partner::try_new(port, &deployment.credentials).await?;
    let (status, told) = partner.try_submit(&format!("{point} {round}")).await?;
    (status == 201).then(|| Acknowledged::read(&told["proofs"][0]))
}
