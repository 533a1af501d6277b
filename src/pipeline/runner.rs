//! The boring loop.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use super::{Result, Step, StepError};
use crate::ledger::Ledger;

/// Longest pause between tries after errors.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Something that is done step by step.
pub trait Work: Send {
    /// Does what there is to do now, or a part of it.
    fn step(&mut self) -> impl Future<Output = Result<Step>> + Send;
}

/// Work whose halts are told in the ledger, where every instance can read them.
pub struct Watched<W> {
    /// The work.
    pub work: W,
    /// Its name among the halts.
    pub name: String,
    /// Where they are told.
    pub ledger: Ledger,
    /// Whether a halt may stand there: at first, one of an earlier life.
    pub halted: bool,
}

impl<W: Work> Work for Watched<W> {
    async fn step(&mut self) -> Result<Step> {
        let done = self.work.step().await;
        if let Err(error) = &done {
            self.ledger.events().step_errors.get_or_create(&[("step", self.name.clone()), ("cause", error.cause().into())]).inc();
        }
        match &done {
            Err(StepError::Halt(why) | StepError::Funds(why)) => {
                self.halted = true;
                // The halt itself must reach the log, whatever becomes of the note.
                if let Err(error) = self.ledger.note_halt(&self.name, why).await {
                    tracing::warn!(step = self.name, %error, "telling a halt");
                }
            }
            Ok(_) if self.halted => {
                self.ledger.clear_halt(&self.name).await?;
                self.halted = false;
            }
            // Other errors say nothing about the cause of a halt.
            _ => {}
        }
        done
    }
}

/// Longest time for one step. None takes so long unless the database has stopped to answer without hanging up.
const LONGEST_STEP: Duration = Duration::from_secs(900);

/// Work whose steps are given up after a while: what they had committed stands, and the next goes on from there.
pub struct Bounded<W> {
    /// The work.
    pub work: W,
    /// Longest time for one step.
    pub limit: Duration,
}

impl<W: Work> Work for Bounded<W> {
    async fn step(&mut self) -> Result<Step> {
        match tokio::time::timeout(self.limit, self.work.step()).await {
            Ok(done) => done,
            Err(_) => Err(StepError::TooLong(self.limit)),
        }
    }
}

/// Repeats the step for ever: at once after work, after `interval` or a wake-up when idle, after growing pauses on
/// errors. Never returns; a panic in a step ends the task, and whoever started it must end the process then.
pub async fn run(name: &'static str, interval: Duration, wake: Arc<Notify>, work: impl Work) {
    let mut work = Bounded { work, limit: LONGEST_STEP };
    let mut pause = interval;
    loop {
        match work.step().await {
            Ok(Step::Worked) => {
                pause = interval;
                continue;
            }
            Ok(Step::Idle) => pause = interval,
            Err(error) => {
                pause = (pause * 2).min(LONGEST_PAUSE);
                let again_in = pause.as_secs_f32();
                match error {
                    StepError::Halt(_) | StepError::Funds(_) => {
                        tracing::error!(step = name, %error, again_in, "needs an operator")
                    }
                    StepError::Ledger(ref ledger) if ledger.is_transient() => {
                        tracing::warn!(step = name, %error, again_in, "trying again")
                    }
                    StepError::Chain(_) => tracing::warn!(step = name, %error, again_in, "trying again"),
                    _ => tracing::error!(step = name, %error, again_in, "trying again"),
                }
            }
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = wake.notified() => {}
        }
    }
}
