//! A server process that cannot outlive its owner.
//!
//! Destructors do not run on SIGKILL, and a server left behind holds its port and its data folder. So the server is the
//! child of a small shell (`watchdog.sh`) whose standard input is a pipe only this process holds: the kernel closes it
//! whichever way this process ends, and the shell then ends the server by its own pid.

use std::ffi::OsString;
use std::fs::{File, TryLockError};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use tokio::sync::watch;

use super::host::User;

const WATCHDOG: &str = include_str!("watchdog.sh");
/// Seconds between the stop signal and SIGKILL when the owner died without a word.
const ORPHAN_GRACE: u64 = 30;
/// How long a new server waits for one of an earlier owner to end.
const PREDECESSOR_ENDS_WITHIN: Duration = Duration::from_secs(ORPHAN_GRACE + 10);
const LOG_LINES: usize = 12;

/// How a server is asked to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopSignal {
    /// SIGINT. Only for servers that install a handler for it: the shell starts them with SIGINT ignored.
    Interrupt,
    /// SIGTERM.
    Terminate,
}

/// What to run and how.
#[derive(Debug, Clone)]
pub struct Spec {
    /// Name for messages.
    pub name: &'static str,
    /// The server's own binary, absolute: not a wrapper that starts the real one.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Its environment beside `PATH`; nothing else is inherited, so no secret of ours leaks into it.
    pub env: Vec<(OsString, OsString)>,
    /// Run as this user; needs root. `None`: as ourselves.
    pub user: Option<User>,
    /// Working folder.
    pub cwd: PathBuf,
    /// Takes stdout and stderr; emptied at each start. Locked while the server runs, so two servers with one log (and
    /// the folder it lies in) never run at once.
    pub log: PathBuf,
    /// How the server is asked to end.
    pub stop: StopSignal,
    /// A folder to remove once the server and its owner are gone.
    pub remove_after: Option<PathBuf>,
}

/// A running server. Dropping it asks the server to end without waiting; [`Child::stop`] waits.
///
/// Bound to no async runtime: it may be waited for from any.
#[derive(Debug)]
pub struct Child {
    name: &'static str,
    pid: u32,
    log: PathBuf,
    owner_pipe: Option<ChildStdin>,
    ended: watch::Receiver<Option<ExitStatus>>,
}

impl Child {
    /// Starts the server and returns once it has a pid; readiness is the caller's to find out. A server with the same
    /// log that is still ending, because its owner was killed a moment ago, is waited for.
    ///
    /// # Errors
    /// When the log cannot be written, the earlier server does not end, or the shell cannot be started. A program that
    /// cannot be run shows as an early end (status 126 or 127), not here.
    pub async fn spawn(spec: Spec) -> Result<Self> {
        let log = lock_log(&spec).await?;
        let mut command = Command::new("/bin/sh");
        command
            .arg("-c")
            .arg(WATCHDOG)
            .arg("watchdog")
            .arg(match spec.stop {
                StopSignal::Interrupt => "INT",
                StopSignal::Terminate => "TERM",
            })
            .arg(ORPHAN_GRACE.to_string())
            .arg(spec.remove_after.unwrap_or_default())
            .arg(&spec.program)
            .args(&spec.args)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into()))
            .envs(spec.env)
            .current_dir(&spec.cwd)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            // Out of the terminal's foreground group: Ctrl-C reaches us alone, and we end the servers in order.
            .process_group(0);
        if let Some(user) = &spec.user {
            command.uid(user.uid).gid(user.gid);
        }
        let mut shell = command.spawn().with_context(|| format!("cannot start a shell for {}", spec.name))?;
        let (Some(owner_pipe), Some(stdout)) = (shell.stdin.take(), shell.stdout.take()) else {
            bail!("the shell for {} has no pipes", spec.name);
        };

        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).context("cannot read the server's pid")?;
        let pid = line
            .trim()
            .parse()
            .map_err(|_| anyhow!("{} did not start; log {}: {}", spec.name, spec.log.display(), last_lines(&spec.log)))?;

        let (announce, ended) = watch::channel(None);
        std::thread::Builder::new().name(format!("wait-{}", spec.name)).spawn(move || {
            let status = shell.wait().unwrap_or_else(|_| ExitStatus::from_raw(-1));
            announce.send_replace(Some(status));
        })?;
        Ok(Self { name: spec.name, pid, log: spec.log, owner_pipe: Some(owner_pipe), ended })
    }

    /// The server's own pid.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// The server's status if it has ended. A server ended by signal *n* shows as exit code 128 + *n*.
    #[must_use]
    pub fn ended(&self) -> Option<ExitStatus> {
        *self.ended.borrow()
    }

    /// Waits until the server has ended, by itself or because it was asked to. Cancel safe.
    pub async fn wait(&self) -> ExitStatus {
        let mut ended = self.ended.clone();
        match ended.wait_for(Option::is_some).await {
            Ok(status) => status.unwrap_or_default(),
            Err(_) => ExitStatus::from_raw(-1),
        }
    }

    /// Asks the server to end and waits until it has; SIGKILL follows after `grace` (whole seconds). A second call
    /// only waits.
    pub async fn stop(&mut self, grace: Duration) -> ExitStatus {
        if let Some(mut pipe) = self.owner_pipe.take() {
            // A watchdog that is gone already has no use for the number.
            let _ = writeln!(pipe, "{}", grace.as_secs());
        }
        self.wait().await
    }

    /// An error telling that the server ended though nobody asked it to, with the last lines of its log.
    #[must_use]
    pub fn early_end(&self, status: ExitStatus) -> anyhow::Error {
        anyhow!("{} ended by itself ({status}); log {}:\n{}", self.name, self.log.display(), self.log_tail())
    }

    /// The last lines the server wrote.
    #[must_use]
    pub fn log_tail(&self) -> String {
        last_lines(&self.log)
    }

    /// Where the server writes.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.log
    }
}

/// The lock belongs to the open file, which the watchdog and the server inherit as their stderr: it ends when the last
/// of them has ended, not with this process.
async fn lock_log(spec: &Spec) -> Result<File> {
    let failed = || format!("cannot write the log {}", spec.log.display());
    // The folder may be the server's user's: root must not be led to write elsewhere.
    if std::fs::symlink_metadata(&spec.log).is_ok_and(|meta| !meta.is_file()) {
        bail!("the log {} is not a file", spec.log.display());
    }
    let log = File::options().create(true).append(true).open(&spec.log).with_context(failed)?;
    let begun = Instant::now();
    loop {
        match log.try_lock() {
            Ok(()) => break,
            Err(TryLockError::WouldBlock) if begun.elapsed() > PREDECESSOR_ENDS_WITHIN => {
                bail!("another {} still runs and writes {}: end it", spec.name, spec.log.display())
            }
            Err(TryLockError::WouldBlock) => tokio::time::sleep(Duration::from_millis(50)).await,
            Err(TryLockError::Error(error)) => return Err(error).with_context(failed),
        }
    }
    log.set_len(0).with_context(failed)?;
    Ok(log)
}

fn last_lines(log: &Path) -> String {
    let bytes = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
}
