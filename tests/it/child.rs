//! A server ends with its owner, and is seen when it ends by itself.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use sceau::dev::child::{Child, Spec, StopSignal};

use crate::support::process::{alive, eventually, process_group, signal};

const OWNER: &str = "SCEAU_TEST_OWNER_FOLDER";

fn shell(folder: &Path, script: &str) -> Spec {
    Spec {
        name: "test server",
        program: "/bin/sh".into(),
        args: vec!["-c".into(), script.into()],
        env: Vec::new(),
        user: None,
        cwd: "/".into(),
        log: folder.join("log"),
        stop: StopSignal::Terminate,
        remove_after: None,
    }
}

#[tokio::test]
async fn asked_to_stop_it_ends_in_its_own_way() {
    let folder = tempfile::tempdir().unwrap();
    let script = "trap 'echo goodbye; exit 7' TERM; echo hello; while :; do sleep 0.05; done";
    let mut child = Child::spawn(shell(folder.path(), script)).await.unwrap();
    assert!(alive(child.pid()));
    eventually("the server's greeting", || child.log_tail() == "hello");
    assert_eq!(child.stop(Duration::from_secs(20)).await.code(), Some(7));
    assert_eq!(child.log_tail(), "hello\ngoodbye");
    assert!(!alive(child.pid()));
}

#[tokio::test]
async fn what_does_not_end_in_time_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = Child::spawn(shell(folder.path(), "trap '' TERM; echo deaf; while :; do sleep 0.05; done")).await.unwrap();
    eventually("the server's greeting", || child.log_tail() == "deaf");
    assert_eq!(child.stop(Duration::from_secs(1)).await.code(), Some(128 + 9));
    assert!(!alive(child.pid()));
}

#[tokio::test]
async fn an_early_end_is_seen_with_status_and_log() {
    let folder = tempfile::tempdir().unwrap();
    let child = Child::spawn(shell(folder.path(), "echo no such luck >&2; exit 3")).await.unwrap();
    let status = child.wait().await;
    assert_eq!(status.code(), Some(3));
    let text = child.early_end(status).to_string();
    assert!(text.contains("test server") && text.contains("no such luck"), "{text}");
}

#[tokio::test]
async fn nothing_of_our_environment_reaches_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut spec = shell(folder.path(), "env");
    spec.env.push(("GIVEN".into(), "yes".into()));
    let child = Child::spawn(spec).await.unwrap();
    child.wait().await;
    let log = std::fs::read_to_string(child.log()).unwrap();
    assert!(log.contains("GIVEN=yes") && !log.contains("CARGO"), "{log}");
}

#[tokio::test]
async fn a_terminal_interrupts_us_alone() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = Child::spawn(shell(folder.path(), "while :; do sleep 0.05; done")).await.unwrap();
    assert_ne!(process_group(child.pid()), process_group(std::process::id()));
    child.stop(Duration::from_secs(20)).await;
}

/// Not a test by itself: the process that [`it_ends_with_a_killed_owner`] kills.
#[tokio::test]
async fn owner() {
    let Some(folder) = std::env::var_os(OWNER) else { return };
    let folder = Path::new(&folder);
    let mut spec = shell(folder, "trap 'exit 0' TERM; while :; do sleep 0.05; done");
    spec.log = folder.with_extension("log");
    spec.remove_after = Some(folder.to_owned());
    let child = Child::spawn(spec).await.unwrap();
    println!("\nserver {}", child.pid());
    std::thread::sleep(Duration::from_secs(600));
}

#[test]
fn it_ends_with_a_killed_owner() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("data");
    std::fs::create_dir(&folder).unwrap();
    let mut owner = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child::owner", "--nocapture"])
        .env(OWNER, &folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(owner.stdout.take().unwrap()).lines().map(Result::unwrap);
    let server: u32 = lines.find_map(|line| line.strip_prefix("server ")?.parse().ok()).expect("the owner tells the pid");
    assert!(alive(server) && folder.exists());
    signal(owner.id(), "KILL");
    owner.wait().unwrap();
    eventually("the server's end", || !alive(server));
    eventually("the folder's removal", || !folder.exists());
}
