//! `sceau-verify --many`: all cores, bounded memory, one line for each receipt that is not verified.

mod list;
mod print;
mod source;

use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};
use std::num::NonZero;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Condvar, Mutex, PoisonError};

use self::list::List;
use self::print::{Findings, Place};
use self::source::{Source, Work};
use super::args::{Documents, ManyArgs};
use super::{Judge, USAGE_STATUS, receipt_bytes, with_input};
use crate::receipt;
use crate::verdict::{Code, Failure};
use crate::verify::{Passed, Report};

/// Checks them all and returns the exit status.
pub fn run(args: &ManyArgs, out: &mut dyn Write, err: &mut dyn Write) -> u8 {
    let list = match &args.documents {
        Documents::Any => None,
        Documents::List(name) => {
            match with_input(name, &List::read).and_then(|list| list.map_err(|error| format!("{name}: {error}"))) {
                Ok(list) => Some(list),
                Err(message) => {
                    let _ = writeln!(err, "sceau-verify: {message}");
                    return USAGE_STATUS;
                }
            }
        }
    };
    let line = Line { source: Mutex::new((Source::new(&args.receipts), 0)), order: Mutex::default(), moved: Condvar::new() };
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
    let judge = Judge::of(&args.look, Some(Passed::default()));
    let mut total = Findings::default();
    let mut progress = io::stderr().is_terminal().then(print::Progress::default);
    std::thread::scope(|scope| {
        let (sender, findings) = sync_channel(threads);
        for _ in 0..threads {
            let (sender, line, judge, list) = (sender.clone(), &line, &judge, list.as_ref());
            scope.spawn(move || work(line, judge, list, args.json, &sender));
        }
        drop(sender);
        for (found, share) in findings {
            if let Some(progress) = progress.as_mut().filter(|_| !found.lines.is_empty()) {
                progress.clear(err);
            }
            let _ = out.write_all(found.lines.as_bytes());
            for message in &found.unreadable {
                let _ = writeln!(err, "sceau-verify: {message}");
            }
            total.add(found);
            if let Some(progress) = &mut progress {
                progress.show(err, &total, share);
            }
        }
    });
    if let Some(progress) = &mut progress {
        progress.clear(err);
    }
    let summary = print::summary(args, &total, list.as_ref(), out);
    let _ = summary.and_then(|()| out.flush());
    total.exit_status(list.is_some_and(|list| list.missing().next().is_some()))
}

/// Where threads take work, and in which order they answer.
struct Line {
    source: Mutex<(Source, u64)>,
    order: Mutex<Order>,
    moved: Condvar,
}

/// What came of pieces of work, until those before them are done.
#[derive(Default)]
struct Order {
    next: u64,
    done: BTreeMap<u64, Answered>,
}

/// What came of one piece, and the share of all bytes that had been handed out with it.
type Answered = (Findings, Option<f64>);

/// So many pieces may be done before the one that is printed next: what waits is bounded.
const AHEAD: u64 = 64;

/// Takes work until there is none, and tells what came of it in the order in which it was taken.
fn work(line: &Line, judge: &Judge<'_>, list: Option<&List>, json: bool, sender: &SyncSender<Answered>) {
    loop {
        let (work, mut piece) = {
            let mut source = line.source.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(work) = source.0.next() else { return };
            source.1 += 1;
            let answered = (Findings::new(json), source.0.share());
            (work, Piece { line, sender, number: source.1 - 1, answered })
        };
        look_at(work, judge, list, &mut piece.answered.0);
    }
}

/// A place in the order. Its end passes the turn on, a panic's included: nobody waits for a thread that is gone.
struct Piece<'a> {
    line: &'a Line,
    sender: &'a SyncSender<Answered>,
    number: u64,
    answered: Answered,
}

impl Drop for Piece<'_> {
    fn drop(&mut self) {
        let mut order = self.line.order.lock().unwrap_or_else(PoisonError::into_inner);
        while self.number >= order.next + AHEAD {
            order = self.line.moved.wait(order).unwrap_or_else(PoisonError::into_inner);
        }
        order.done.insert(self.number, std::mem::take(&mut self.answered));
        let before = order.next;
        while let Some(answered) = {
            let next = order.next;
            order.done.remove(&next)
        } {
            // Nobody listens any more only when the whole run panics.
            let _ = self.sender.send(answered);
            order.next += 1;
        }
        if order.next != before {
            self.line.moved.notify_all();
        }
    }
}

fn look_at(work: Work, judge: &Judge<'_>, list: Option<&List>, found: &mut Findings) {
    match work {
        Work::Unreadable(message) => found.unreadable.push(message),
        Work::Files(names) => {
            for name in names {
                match receipt_bytes(&name) {
                    Ok((bytes, _)) => one(&bytes, Place { name: &name, line: None }, judge, list, found),
                    Err(message) => found.unreadable.push(message),
                }
            }
        }
        Work::Lines { name, first, block } => {
            for (line, number) in block.lines().zip(first..) {
                one(line, Place { name: &name, line: Some(number) }, judge, list, found);
            }
        }
    }
}

fn one(bytes: &[u8], place: Place<'_>, judge: &Judge<'_>, list: Option<&List>, found: &mut Findings) {
    let receipt = match receipt::parse(bytes) {
        Ok(receipt) => receipt,
        Err(failure) => return found.note(place, &failure.into(), None),
    };
    let document = receipt.document.digest;
    let report = if list.is_none_or(|list| list.meet(&document)) {
        judge.verify(&document, &receipt)
    } else {
        let detail = format!("the receipt is about {document}, which is not in the list");
        Report::from(Failure::new(Code::DocumentMismatch, &detail))
    };
    found.note(place, &report, Some(&receipt));
}
