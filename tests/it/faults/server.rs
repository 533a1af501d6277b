//! The database's server dies, or its disk is full.
//!
//! `SOAK_SERVER_KILLS=40` kills it more often.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use sceau::dev::postgres::{self, Options, Postgres};
use sceau::ledger::Ledger;
use sceau::ledger::accounts::AccountId;
use sceau::ledger::intake::{Accepted, Intake, Limits, Submission};
use sceau::ports::{Entropy, SystemEntropy};

use crate::support::load::Load;
use crate::support::service::lasting_port;
use crate::support::{self, process};

/// Kills of the server in a run that nobody asked more of.
const QUICK: u64 = 3;

/// A server of this test alone.
struct Server {
    data: PathBuf,
    port: u16,
    settings: &'static [(&'static str, &'static str)],
    postgres: Option<Postgres>,
}

impl Server {
    async fn start(data: PathBuf, settings: &'static [(&'static str, &'static str)]) -> Self {
        let mut server = Self { data, port: lasting_port(), settings, postgres: None };
        server.again().await;
        server
    }

    async fn again(&mut self) {
        let options = Options {
            data: &self.data,
            port: Some(self.port),
            database: "sceau",
            password: "0123456789abcdef",
            binaries: None,
            settings: self.settings,
            throw_away: false,
        };
        self.postgres = Some(postgres::start(options, &support::progress).await.expect("a server"));
    }

    fn running(&self) -> &Postgres {
        self.postgres.as_ref().expect("it runs")
    }

    /// SIGKILL for the postmaster, then for everything that still has the cluster open.
    async fn kill(&mut self) {
        let postgres = self.postgres.take().expect("it runs");
        let cluster = self.data.join("cluster").canonicalize().expect("a cluster");
        process::signal(postgres.child.pid(), "KILL");
        postgres.child.wait().await;
        drop(postgres);
        loop {
            let left = inside(&cluster);
            if left.is_empty() {
                return;
            }
            for pid in left {
                // It may have ended by itself meanwhile.
                let _ = std::process::Command::new("kill").args(["-s", "KILL", &pid.to_string()]).output();
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// Processes that work in this folder: a server's workers, by no name that others share.
fn inside(folder: &Path) -> Vec<u32> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid| std::fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd == folder)).collect()
}

async fn submit(intake: Intake, account: AccountId, number: u64, load: Arc<Load>) -> Vec<Accepted> {
    let (mut kept, mut round) = (Vec::new(), 0);
    while !load.stop.load(Ordering::Relaxed) {
        round += 1;
        let digest = crate::ledger::digest(number, round);
        match intake.accept(vec![Submission { account, digest, detail: None }]).await {
            Ok(accepted) => {
                load.acknowledged.fetch_add(1, Ordering::Relaxed);
                kept.extend(accepted);
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
    kept
}

/// Accepts under load while the server is killed again and again; answers digests acknowledged and lost.
async fn kill_under_load(settings: &'static [(&'static str, &'static str)], kills: u64) -> (usize, usize) {
    let folder = tempfile::Builder::new().prefix("sceau-it-server-").tempdir().expect("a folder");
    let mut server = Server::start(folder.path().join("data"), settings).await;
    let ledger = Ledger::connect(&server.running().url, 6).expect("a URL");
    ledger.migrate().await.expect("migrated");
    let account = crate::ledger::account(&ledger, "partner").await;
    let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
    let (intake, _lanes) = Intake::start(&ledger, &entropy, Limits::default());
    let load = Arc::new(Load::default());
    let clients: Vec<_> = (0..8).map(|number| tokio::spawn(submit(intake.clone(), account, number, Arc::clone(&load)))).collect();
    for kill in 0..kills {
        // However slow the machine is, each kill comes into submissions.
        let before = load.acknowledged.load(Ordering::Relaxed);
        process::eventually("submissions between kills", || load.acknowledged.load(Ordering::Relaxed) > before + 7);
        tokio::time::sleep(Duration::from_millis(300 + 97 * (kill % 7))).await;
        server.kill().await;
        server.again().await;
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    load.stop.store(true, Ordering::Relaxed);
    let mut acknowledged = Vec::new();
    for client in clients {
        acknowledged.extend(client.await.expect("a client"));
    }
    let mut lost = 0;
    for one in &acknowledged {
        let proof = ledger.proof(account, &one.digest).await.expect("an answer");
        lost += usize::from(proof.is_none_or(|proof| (proof.salt, proof.batch) != (one.salt, one.batch)));
    }
    ledger.close().await;
    if let Some(postgres) = server.postgres.take() {
        postgres.stop().await;
    }
    (acknowledged.len(), lost)
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_when_the_server_is_killed() {
    let kills = std::env::var("SOAK_SERVER_KILLS").ok().map_or(QUICK, |text| text.parse().expect("a number"));
    let (acknowledged, lost) = kill_under_load(&[], kills).await;
    eprintln!("{kills} kills of the server: {acknowledged} digests acknowledged, {lost} lost");
    assert_eq!(lost, 0);
}

/// The control: a server that does not wait for its disk loses what was acknowledged, and this harness sees it.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_wait_for_its_disk_loses_some() {
    for _ in 0..5 {
        let (acknowledged, lost) = kill_under_load(&[("synchronous_commit", "off"), ("wal_writer_delay", "5s")], 2).await;
        eprintln!("synchronous_commit=off: {acknowledged} digests acknowledged, {lost} lost");
        if lost > 0 {
            return;
        }
    }
    panic!("nothing was lost: the harness cannot tell");
}
