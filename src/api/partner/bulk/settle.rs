//! What becomes of a group of lines.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sceau_verifier::promise::Record;
use serde::Serialize;

use super::group::{Group, too_long};
use crate::api::State;
use crate::api::access::caller::Caller;
use crate::api::error::{Code, Problem, Result};
use crate::api::partner::item::{self, Fault, Read};
use crate::api::partner::submit::{self, Acknowledged, Outcome};
use crate::api::promise;

/// Waits for a place among those who wait for their commit, and how often.
const PLACE: (Duration, u32) = (Duration::from_millis(250), 40);

/// Why nothing more is accepted, and the first line that was refused for it.
#[derive(Debug, Default)]
pub struct Stopped(Mutex<Option<(u64, Problem)>>);

impl Stopped {
    /// The reason of the first line.
    pub fn first(&self) -> Option<(u64, Problem)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Several groups may be under way: the reason of the first line stands.
    fn at(&self, line: u64, problem: Problem) {
        let mut first = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if first.as_ref().is_none_or(|(at, _)| line < *at) {
            *first = Some((line, problem));
        }
    }
}

/// Lines, counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Those that were answered.
    pub lines: u64,
    /// Those whose digest is durably stored.
    pub accepted: u64,
    /// Those of them that were stored now.
    pub created: u64,
    /// Number of the last one.
    pub last: u64,
}

impl Tally {
    /// Adds those of a later group.
    pub fn add(&mut self, other: &Self) {
        self.lines += other.lines;
        self.accepted += other.accepted;
        self.created += other.created;
        self.last = self.last.max(other.last);
    }
}

/// The answer of a group.
#[derive(Debug)]
pub struct Settled {
    /// One line each, and a last one with what is promised about those that were accepted.
    pub lines: Vec<u8>,
    /// What they say.
    pub tally: Tally,
}

#[derive(Serialize)]
struct Line<T> {
    line: u64,
    #[serde(flatten)]
    said: T,
}

/// Signed as the answer of one submission: with the accepted lines as its `proofs` it is one.
#[derive(Serialize)]
struct Promised {
    promise: String,
    /// First and last line it speaks of.
    lines: [u64; 2],
    /// Digests promised about.
    count: usize,
}

#[derive(Serialize)]
struct Refusal<'a> {
    code: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
}

/// What is said about one line.
enum Answer {
    Told(Box<Acknowledged>),
    Fault(Fault),
    /// Refused with all its neighbours.
    Refused(&'static str),
}

/// Accepts what is in order and answers every line. A line that is not refuses itself only.
pub async fn settle(api: &State, caller: &Caller, group: Group, stopped: &Stopped) -> Settled {
    let numbers: Vec<u64> = group.lines().map(|(number, _)| number).collect();
    let mut answers: Vec<Option<Answer>> = Vec::with_capacity(numbers.len());
    let (mut places, mut items, mut promised) = (Vec::new(), Vec::new(), None);
    for (at, line) in group.lines().enumerate() {
        match read(line) {
            Ok(item) => {
                answers.push(None);
                places.push(at);
                items.push(item);
            }
            Err(fault) => answers.push(Some(Answer::Fault(fault))),
        }
    }
    // A fault is told as such even where nothing is accepted any more.
    if let Some((_, problem)) = stopped.first() {
        refuse(&mut answers, problem.code());
    } else if !items.is_empty() {
        let again = || Ok(group.lines().filter_map(|line| read(line).ok()).collect());
        let (outcomes, ended) = accept(api, caller, items, &again).await;
        let (at, outcomes): (Vec<usize>, Vec<Outcome>) = outcomes.into_iter().unzip();
        let records: Vec<Record> = outcomes.iter().filter_map(Outcome::promised).collect();
        match submit::acknowledge(api, outcomes).await {
            Ok(told) => {
                let lines = [numbers.first().copied().unwrap_or_default(), numbers.last().copied().unwrap_or_default()];
                promised =
                    promise::sign(api, &caller.name, &records).map(|promise| Promised { promise, lines, count: records.len() });
                for (at, told) in at.into_iter().zip(told) {
                    answers[places[at]] = Some(Answer::Told(Box::new(told.short())));
                }
                match ended {
                    Ended::Whole => {}
                    Ended::NoValidators => refuse(&mut answers, Code::ValidatorsMissing),
                    Ended::Stopped(problem) => stop(stopped, &numbers, &mut answers, problem),
                }
            }
            // Stored, but how far the older ones are could not be asked: not acknowledged, so to be sent again.
            Err(problem) => stop(stopped, &numbers, &mut answers, problem),
        }
    }
    print(&numbers, answers, promised.as_ref())
}

fn read((_, line): (u64, Option<&[u8]>)) -> std::result::Result<Read, Fault> {
    item::of(line.ok_or_else(too_long)?, false)
}

enum Ended {
    Whole,
    /// What was to wait for validators was refused, the rest was not.
    NoValidators,
    /// What has no outcome was refused, and so is everything behind it.
    Stopped(Problem),
}

/// The outcomes there are: each by itself, since what was stored is acknowledged whatever became of the rest.
async fn accept(
    api: &State,
    caller: &Caller,
    items: Vec<Read>,
    again: &(impl Fn() -> Result<Vec<Read>> + Sync),
) -> (Vec<(usize, Outcome)>, Ended) {
    let begun = async {
        caller.still(api).await?;
        caller.subscribed(api.ports.clock.now())?;
        submit::ask_quota(api, caller, &items).await
    };
    let quota = match begun.await {
        Ok(quota) => quota,
        Err(problem) => return (Vec::new(), Ended::Stopped(problem)),
    };
    let (asked, ended) = match submit::ask(api, caller.account, &items, &api.ports).await {
        Ok(asked) => (asked, Ended::Whole),
        Err(problem) if problem.code() == Code::ValidatorsMissing => (Vec::new(), Ended::NoValidators),
        Err(problem) => return (Vec::new(), Ended::Stopped(problem)),
    };
    let mut tries = 0;
    let mut items = Some(items);
    let accepted = loop {
        let read = match items.take().map_or_else(again, Ok) {
            Ok(read) => read,
            Err(problem) => break Err(problem),
        };
        match submit::accept(api, caller, read, again, &quota, &api.ports).await {
            // Too many wait for their commit at this moment: a stream has time.
            Err(problem) if problem.code() == Code::PoolFull && !api.ledger.gate().is_full() && tries < PLACE.1 => {
                tries += 1;
                tokio::time::sleep(PLACE.0).await;
            }
            settled => break settled,
        }
    };
    match accepted {
        Ok(accepted) => (submit::merge(asked, accepted), ended),
        Err(problem) => (asked, Ended::Stopped(problem)),
    }
}

fn refuse(answers: &mut [Option<Answer>], code: Code) {
    for answer in answers.iter_mut().filter(|answer| answer.is_none()) {
        *answer = Some(Answer::Refused(code.as_str()));
    }
}

fn stop(stopped: &Stopped, numbers: &[u64], answers: &mut [Option<Answer>], problem: Problem) {
    let code = problem.code();
    if let Some(at) = answers.iter().position(Option::is_none) {
        stopped.at(numbers[at], problem);
    }
    refuse(answers, code);
}

fn print(numbers: &[u64], answers: Vec<Option<Answer>>, promised: Option<&Promised>) -> Settled {
    let mut tally = Tally { lines: numbers.len() as u64, last: numbers.last().copied().unwrap_or_default(), ..Tally::default() };
    let mut lines = Vec::with_capacity(numbers.len() * 320);
    for (number, answer) in numbers.iter().zip(answers) {
        let refusal = |code, detail| Line { line: *number, said: Refusal { code, detail } };
        let written = match answer {
            Some(Answer::Told(told)) => {
                tally.accepted += 1;
                tally.created += u64::from(told.created);
                serde_json::to_writer(&mut lines, &Line { line: *number, said: *told })
            }
            Some(Answer::Fault((code, detail))) => serde_json::to_writer(&mut lines, &refusal(code, Some(&detail))),
            Some(Answer::Refused(code)) => serde_json::to_writer(&mut lines, &refusal(code, None)),
            None => serde_json::to_writer(&mut lines, &refusal(Code::Internal.as_str(), None)),
        };
        written.expect("plain values are written to memory");
        lines.push(b'\n');
    }
    if let Some(promised) = promised {
        serde_json::to_writer(&mut lines, promised).expect("plain values are written to memory");
        lines.push(b'\n');
    }
    Settled { lines, tally }
}
