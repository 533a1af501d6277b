//! Several instances under load: killed one after the other, restarted in an orderly way, with clocks that are wrong.
//!
//! `SOAK_SECONDS=120` goes on for longer.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use sceau::config::Config;
use sceau::ports::{Clock, Ports, SystemClock};
use tokio::sync::oneshot;

use crate::support::load::{self, Load};
use crate::support::service::{Deployment, Instance, lasting_port};
use crate::support::{self};

/// Seconds of one phase in a run that nobody asked more of.
const QUICK: u64 = 6;

fn seconds() -> u64 {
    std::env::var("SOAK_SECONDS").ok().map_or(QUICK, |text| text.parse().expect("SOAK_SECONDS is a number"))
}

/// Digests acknowledged a second while `work` goes on.
async fn rate(load: &Load, work: impl Future<Output = ()>) -> f64 {
    let (before, begun) = (load.acknowledged.load(Ordering::Relaxed), Instant::now());
    work.await;
    (load.acknowledged.load(Ordering::Relaxed) - before) as f64 / begun.elapsed().as_secs_f64()
}

async fn killed_in_turn(count: usize, every: Duration) {
    let database = support::database().await;
    let deployment = Deployment::new(&database.url).await;
    let ports: Vec<u16> = (0..count).map(|_| lasting_port()).collect();
    let mut instances: Vec<Instance> = ports.iter().map(|port| Instance::start(&deployment.config, *port)).collect();
    for instance in &mut instances {
        instance.ready().await;
    }
    let load = Arc::new(Load::default());
    let clients = load::clients(8, &ports, &deployment, &load);
    let length = Duration::from_secs(seconds());
    let quiet = rate(&load, tokio::time::sleep(length)).await;
    let mut kills = 0;
    let killing = rate(&load, async {
        let begun = Instant::now();
        while begun.elapsed() < length * 2 {
            tokio::time::sleep(every).await;
            instances[kills % count].kill_and_restart();
            kills += 1;
        }
    })
    .await;
    let acknowledged = load::collect(&load, clients).await;
    let newest = deployment.judge(&acknowledged).await;
    for instance in &mut instances {
        instance.ready().await;
        instance.stop();
    }
    deployment.audit().await;
    eprintln!(
        "{count} instances: {quiet:.0} digests a second; with one killed every {every:?}, {kills} in all: {killing:.0}; {} digests in \
         {newest} batches, none lost, none anchored twice",
        acknowledged.len()
    );
    // Clients go on to the next instance: what is left carries on. Machines differ, so the bound is generous.
    assert!(killing > quiet / 4.0, "{killing:.0} digests a second while one was killed, {quiet:.0} before");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_and_four_instances_go_on_while_one_is_killed() {
    let every = Duration::from_secs(if seconds() > QUICK { 10 } else { 3 });
    for count in [2, 4] {
        killed_in_turn(count, every).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_restart_loses_nothing_and_refuses_nobody() {
    let database = support::database().await;
    let deployment = Deployment::new(&database.url).await;
    let ports = [lasting_port(), lasting_port()];
    let mut instances = ports.map(|port| Instance::start(&deployment.config, port));
    for instance in &mut instances {
        instance.ready().await;
    }
    let load = Arc::new(Load::default());
    let clients = load::clients(6, &ports, &deployment, &load);
    let begun = Instant::now();
    let (mut restarts, mut slowest) = (0, Duration::ZERO);
    while begun.elapsed() < Duration::from_secs(seconds()) || restarts < 4 {
        let which = restarts % 2;
        let stopping = Instant::now();
        instances[which].stop();
        slowest = slowest.max(stopping.elapsed());
        instances[which] = Instance::start(&deployment.config, ports[which]);
        instances[which].ready().await;
        restarts += 1;
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    let acknowledged = load::collect(&load, clients).await;
    let newest = deployment.judge(&acknowledged).await;
    instances.iter_mut().for_each(Instance::stop);
    deployment.audit().await;
    assert_eq!(load.refused.load(Ordering::Relaxed), 0, "answers that do not say when to try again");
    eprintln!(
        "{restarts} restarts, slowest end {slowest:?}: {} digests in {newest} batches, none lost, no answer but to try again",
        acknowledged.len()
    );
}

/// The system's clock, moved.
#[derive(Debug)]
struct Skewed(time::Duration);

impl Clock for Skewed {
    fn now(&self) -> time::OffsetDateTime {
        SystemClock.now() + self.0
    }
}

/// In this process, with a clock of its own; ends when the channel does.
fn skewed(deployment: &Deployment, port: u16, by: time::Duration) -> (oneshot::Sender<()>, tokio::task::JoinHandle<()>) {
    let mut config = Config::load(Some(&deployment.config)).expect("settings");
    config.http.listen = ([127, 0, 0, 1], port).into();
    let ports = Ports { clock: Arc::new(Skewed(by)), ..Ports::system() };
    let (stop, stopped) = oneshot::channel();
    let serving = tokio::spawn(async move {
        let stopped = async {
            let _ = stopped.await;
        };
        sceau::app::serve(config, sceau::app::Mode::All, ports, stopped).await.expect("an orderly end");
    });
    (stop, serving)
}

/// An hour behind and an hour ahead: leases, order and promises read one clock, the database's.
#[tokio::test(flavor = "multi_thread")]
async fn clocks_that_are_an_hour_off_do_no_harm() {
    let database = support::database().await;
    let deployment = Deployment::new(&database.url).await;
    let ports = [lasting_port(), lasting_port()];
    let instances = [-1, 1].map(time::Duration::hours);
    let instances: Vec<_> = ports.iter().zip(instances).map(|(port, by)| skewed(&deployment, *port, by)).collect();
    let load = Arc::new(Load::default());
    // A token belongs to the instance that gave it: the other one sees it two hours away.
    let mut clients = load::clients(2, &ports[..1], &deployment, &load);
    clients.extend(
        (2..4)
            .map(|number| tokio::spawn(load::client(number, vec![ports[1]], deployment.credentials.clone(), Arc::clone(&load)))),
    );
    tokio::time::sleep(Duration::from_secs(seconds())).await;
    let acknowledged = load::collect(&load, clients).await;
    let newest = deployment.judge(&acknowledged).await;
    // Sealed when the database says, not when an instance thinks.
    let off: i64 = sqlx::query_scalar(
        "select count(*) from batches where state = 'sealed' and abs(extract(epoch from sealed_at - closed_at)) > 600",
    )
    .fetch_one(&database.pool)
    .await
    .expect("a count");
    assert_eq!(off, 0, "a batch was sealed by a wrong clock");
    for (stop, serving) in instances {
        drop(stop);
        serving.await.expect("an orderly end");
    }
    deployment.audit().await;
    eprintln!("clocks an hour behind and ahead: {} digests in {newest} batches, audit clean", acknowledged.len());
}
