//! `kill -9` of the real service under load: nothing acknowledged is lost, nothing is anchored twice.
//!
//! Two instances on one Postgres and one chain; each in turn is killed at a random moment and started again, while clients
//! submit to both. `SOAK_KILLS=200` kills more often.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use sceau::ports::{Entropy, SystemEntropy};

use crate::support::load::{self, Load};
use crate::support::process::eventually;
use crate::support::service::{Deployment, Instance, lasting_port, settings};
use crate::support::{self};

/// Kills in a run that nobody asked more of.
const QUICK: u64 = 12;

#[tokio::test]
async fn a_service_on_a_server_that_forgets_does_not_start() {
    let home = tempfile::tempdir().expect("a folder");
    let database = support::database().await;
    let off = format!("alter database {} set synchronous_commit = off", database.name);
    sqlx::query(sqlx::AssertSqlSafe(off)).execute(&database.pool).await.expect("altered");
    let (config, _) = settings(home.path(), &database.url, "");
    let mut refused = Instance::start(&config, lasting_port());
    assert_eq!(refused.child.wait().expect("a child").code(), Some(1));
    let said = std::fs::read_to_string(config.with_extension("log")).expect("its words");
    assert!(said.contains("synchronous_commit is off"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_and_nothing_is_anchored_twice() {
    let kills = std::env::var("SOAK_KILLS").ok().map_or(QUICK, |text| text.parse().expect("SOAK_KILLS is a number"));
    let database = support::database().await;
    let deployment = Deployment::new(&database.url).await;
    let ports = [(); 2].map(|()| lasting_port());
    let mut instances = ports.map(|port| Instance::start(&deployment.config, port));
    for instance in &mut instances {
        instance.ready().await;
    }
    let load = Arc::new(Load::default());
    let mut clients = load::clients(3, &ports[..1], &deployment, &load);
    clients.extend(
        (3..6)
            .map(|number| tokio::spawn(load::client(number, vec![ports[1]], deployment.credentials.clone(), Arc::clone(&load)))),
    );
    for kill in 0..kills {
        // However slow the machine is, each kill comes into submissions.
        let before = load.acknowledged.load(Ordering::Relaxed);
        eventually("submissions between kills", || load.acknowledged.load(Ordering::Relaxed) > before + 10);
        let mut random = [0; 2];
        SystemEntropy.fill(&mut random);
        tokio::time::sleep(Duration::from_millis(u64::from(u16::from_be_bytes(random)) % 700)).await;
        let place = (kill % 2) as usize;
        // The other one may still be starting; the one that is killed was up, or this would kill nothing but start-ups.
        instances[place].ready().await;
        instances[place].kill_and_restart();
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let acknowledged = load::collect(&load, clients).await;
    let newest = deployment.judge(&acknowledged).await;
    instances.iter_mut().for_each(Instance::stop);
    deployment.audit().await;
    eprintln!("{kills} kills, {} digests acknowledged in {newest} batches, none lost, none anchored twice", acknowledged.len());
}
