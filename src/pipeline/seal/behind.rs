//! Work that whoever submits should not notice.

use std::convert::Infallible;
use std::io;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// Niceness of the thread. Not the lowest: a seal must come to its end on a machine that is always busy.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;

/// Of the time that a piece of work took, so much is rested when others wanted the processor meanwhile.
const REST: u32 = 32;

/// Runs `work` on a thread of its own that gives way to others. Postgres gives way with it: it sends, and stores, as fast as
/// the thread takes and gives, so a thread that rests has it rest too. Begins at once.
///
/// # Errors
/// When there is no thread to be had, or `work` panics.
pub(super) fn behind<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> impl Future<Output = io::Result<T>> {
    let (send, receive) = oneshot::channel();
    let spawned = std::thread::Builder::new().name("seal".into()).spawn(move || {
        give_way();
        // Given up: nobody wants it.
        let _ = send.send(work());
    });
    async move {
        spawned?;
        receive.await.map_err(|_| io::Error::other("the thread panicked"))
    }
}

/// Polls `work` on such a thread. Given up, it is dropped at its next turn.
///
/// # Errors
/// As [`behind`].
pub(super) fn polled_behind<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> impl Future<Output = io::Result<T>> {
    let (wanted, given_up) = oneshot::channel::<Infallible>();
    let runtime = Handle::current();
    let done = behind(move || {
        runtime.block_on(async {
            tokio::select! {
                done = work => Some(done),
                _ = given_up => None,
            }
        })
    });
    async move {
        let done = done.await?;
        drop(wanted);
        Ok(done.expect("it was wanted until now"))
    }
}

/// On Linux only: elsewhere niceness is the whole process's.
fn give_way() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, NICENESS) {
        tracing::debug!(%error, "lowering the priority of a thread");
    }
}

/// Rests between pieces of work on a machine that has other things to do. What tells is how long the thread itself waited for a
/// processor (`/proc/thread-self/schedstat`); where the system does not say, nobody rests.
#[derive(Debug)]
pub(super) struct Manners {
    since: Instant,
    before: Option<Scheduled>,
    left: Duration,
}

/// Nanoseconds.
#[derive(Debug, Clone, Copy)]
struct Scheduled {
    running: u64,
    waiting: u64,
}

/// What was rested for is not longer than this, however long the thread was kept from its work.
const LONGEST: Duration = Duration::from_millis(20);

/// All rests together, of reading and of building each: a seal that took too long for a step would begin again, and on a machine
/// that is always busy never end.
const RESTS: Duration = Duration::from_secs(120);

impl Default for Manners {
    fn default() -> Self {
        Self { since: Instant::now(), before: Scheduled::now(), left: RESTS }
    }
}

impl Manners {
    /// After each piece of work, a millisecond or a few.
    pub(super) fn rest(&mut self) {
        if let (Some(before), Some(now)) = (self.before, Scheduled::now()) {
            let pause = self.pause(before, now, self.since.elapsed());
            std::thread::sleep(pause);
        }
        (self.since, self.before) = (Instant::now(), Scheduled::now());
    }

    fn pause(&mut self, before: Scheduled, now: Scheduled, took: Duration) -> Duration {
        if now.waiting.saturating_sub(before.waiting) <= now.running.saturating_sub(before.running) / 2 {
            return Duration::ZERO;
        }
        let pause = (REST * took.min(LONGEST)).min(self.left);
        self.left -= pause;
        pause
    }
}

impl Scheduled {
    fn now() -> Option<Self> {
        let line = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
        let mut numbers = line.split_whitespace().map(str::parse);
        Some(Self { running: numbers.next()?.ok()?, waiting: numbers.next()?.ok()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_for_a_processor_rests_but_not_for_ever() {
        let mut manners = Manners::default();
        let before = Scheduled { running: 5_000_000, waiting: 7_000_000 };
        let quiet = Scheduled { running: 6_000_000, waiting: 7_400_000 };
        let busy = Scheduled { running: 6_000_000, waiting: 7_600_000 };
        let millisecond = Duration::from_millis(1);
        assert_eq!(manners.pause(before, quiet, millisecond), Duration::ZERO);
        assert_eq!(manners.pause(before, busy, millisecond), REST * millisecond);
        let mut rested = REST * millisecond;
        for _ in 0..10_000 {
            let pause = manners.pause(before, busy, Duration::from_secs(1));
            assert!(pause <= REST * LONGEST);
            rested += pause;
        }
        assert_eq!(rested, RESTS);
    }
}
