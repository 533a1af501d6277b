//! The database's disk is full: submissions are refused at once with a reason to try again, nothing is half-done, and
//! everything goes on by itself when there is room.
//!
//! The disk is a small file system in memory, which only root may mount: elsewhere this says so and does nothing.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use sceau::dev::postgres::{self, Options};
use serde_json::Value;

use crate::support::load::{Acknowledged, Partner};
use crate::support::service::{Deployment, Instance, lasting_port};
use crate::support::{self};

/// A file system of its own, unmounted with this value.
struct Disk(PathBuf);

impl Disk {
    fn mount(at: &Path, megabytes: u32) -> Option<Self> {
        std::fs::create_dir(at).expect("a folder");
        let size = format!("size={megabytes}m");
        let done = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(at).output().ok()?;
        done.status.success().then(|| Self(at.to_owned()))
    }

    /// Leaves no room at all; answers the file that takes it.
    fn fill(&self) -> PathBuf {
        let ballast = self.0.join("ballast");
        let mut file = std::fs::File::create(&ballast).expect("a file");
        for size in [1 << 20, 4096, 1] {
            let block = vec![0; size];
            while file.write_all(&block).is_ok() {}
        }
        ballast
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).output();
    }
}

/// A submission of many documents with much to say, so that the table has to grow.
async fn submit(partner: &Partner, round: u64) -> (u16, Value, Vec<Acknowledged>) {
    let documents: Vec<String> = (0..200).map(|n| format!("{round} {n}")).collect();
    let (status, answer) = partner.submit_many(&documents, &"long ".repeat(40)).await;
    let kept = match answer["proofs"].as_array() {
        Some(proofs) => proofs.iter().map(Acknowledged::read).collect(),
        None => Vec::new(),
    };
    (status, answer, kept)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_at_once_and_is_got_over() {
    let folder = tempfile::Builder::new().prefix("sceau-it-disk-").tempdir().expect("a folder");
    let Some(disk) = Disk::mount(&folder.path().join("disk"), 160) else {
        eprintln!("not tried: only root may mount a small disk");
        return;
    };
    let options = Options {
        data: &folder.path().join("disk"),
        port: None,
        database: "sceau",
        password: "0123456789abcdef",
        binaries: None,
        settings: &[("min_wal_size", "32MB"), ("max_wal_size", "32MB")],
        throw_away: false,
    };
    let postgres = postgres::start(options, &support::progress).await.expect("a server");
    sceau::ledger::Ledger::connect(&postgres.url, 1).expect("a URL").migrate().await.expect("migrated");
    let deployment = Deployment::new(&postgres.url).await;
    let mut instance = Instance::start(&deployment.config, lasting_port());
    instance.ready().await;
    let partner = Partner::new(instance.port, &deployment.credentials).await;
    let mut acknowledged = Vec::new();
    let (status, answer, kept) = submit(&partner, 0).await;
    assert_eq!(status, 201, "{answer}");
    acknowledged.extend(kept);

    let ballast = disk.fill();
    let (mut refused, mut longest) = (0, Duration::ZERO);
    for round in 1..200 {
        let asked = Instant::now();
        let (status, answer, kept) = submit(&partner, round).await;
        acknowledged.extend(kept);
        if status == 201 {
            continue;
        }
        longest = longest.max(asked.elapsed());
        assert!(status == 503 || status == 500 || status == 504, "{status} {answer}");
        assert!(answer["request_id"].is_string(), "{answer}");
        refused += 1;
        if refused == 5 {
            break;
        }
    }
    assert_eq!(refused, 5, "the disk never was full");
    let before = acknowledged.len();

    std::fs::remove_file(ballast).expect("room again");
    let deadline = Instant::now() + Duration::from_secs(120);
    loop {
        let (status, answer, kept) = submit(&partner, 1_000).await;
        acknowledged.extend(kept);
        if status == 201 || status == 200 {
            break;
        }
        assert!(Instant::now() < deadline, "{status} {answer}\n{}", instance.log());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let newest = deployment.judge(&acknowledged).await;
    let stored: i64 = {
        let pool = sqlx::PgPool::connect(&postgres.url).await.expect("a connection");
        sqlx::query_scalar("select count(*) from proofs").fetch_one(&pool).await.expect("a count")
    };
    assert_eq!(stored % 200, 0, "a submission is stored whole or not at all");
    instance.stop();
    deployment.audit().await;
    eprintln!(
        "{before} digests before the disk was full, 5 submissions refused, the slowest after {longest:?}; {} digests in {newest} \
         batches in the end, none lost",
        acknowledged.len()
    );
    postgres.stop().await;
}
