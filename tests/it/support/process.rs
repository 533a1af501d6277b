//! Other processes, seen from outside.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Whether a process with this pid exists and is no zombie.
pub fn alive(pid: u32) -> bool {
    let output = Command::new("ps").args(["-o", "stat=", "-p", &pid.to_string()]).output().expect("ps runs");
    let state = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    !state.is_empty() && !state.starts_with('Z')
}

/// The process group a process belongs to.
pub fn process_group(pid: u32) -> u32 {
    let output = Command::new("ps").args(["-o", "pgid=", "-p", &pid.to_string()]).output().expect("ps runs");
    String::from_utf8_lossy(&output.stdout).trim().parse().expect("a process that lives")
}

/// Sends a signal by name.
pub fn signal(pid: u32, name: &str) {
    let status = Command::new("kill").args(["-s", name, &pid.to_string()]).stderr(Stdio::null()).status().expect("kill runs");
    assert!(status.success(), "no process {pid}");
}

/// Waits until `condition` holds; fails the test when it does not within a generous time.
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < Duration::from_secs(60), "never came: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
