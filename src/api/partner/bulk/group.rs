//! Gathering lines into groups.

use std::time::Duration;

use axum::body::Bytes;
use futures_util::{Stream, StreamExt};
use tokio::time::timeout;

use super::lines::{LONGEST, Line, Splitter};
use crate::api::error::{Code, Problem, Result};

/// Lines of a group at most.
const LINES: usize = 5_000;
/// Bytes of a group at most, the last line aside.
const BYTES: usize = 2 * 1024 * 1024;
/// Lines that came are not kept waiting for others longer than this.
const PAUSE: Duration = Duration::from_millis(20);

/// Lines that are looked at together.
#[derive(Debug, Default)]
pub struct Group {
    bytes: Vec<u8>,
    lines: Vec<Placed>,
}

#[derive(Debug)]
struct Placed {
    number: u64,
    end: usize,
    long: bool,
}

impl Group {
    /// The lines with their numbers, from 1, blank ones counted but left out. `None`: longer than a line may be.
    pub fn lines(&self) -> impl Iterator<Item = (u64, Option<&[u8]>)> {
        let mut from = 0;
        self.lines.iter().map(move |line| {
            let text = &self.bytes[from..line.end];
            from = line.end;
            (line.number, (!line.long).then_some(text))
        })
    }

    fn is_full(&self) -> bool {
        self.lines.len() >= LINES || self.bytes.len() >= BYTES
    }

    fn add(&mut self, number: u64, line: &Line<'_>) {
        let long = matches!(line, Line::TooLong);
        if let Line::Text(text) = line {
            if text.iter().all(u8::is_ascii_whitespace) {
                return;
            }
            self.bytes.extend_from_slice(text);
        }
        self.lines.push(Placed { number, end: self.bytes.len(), long });
    }
}

/// A body that is read group by group. Keeps a chunk, a line and a group.
#[derive(Debug)]
pub struct Input<S> {
    body: S,
    chunk: Bytes,
    splitter: Splitter,
    /// Of the line that was read last.
    number: u64,
    most: u64,
    idle: Duration,
    ended: bool,
    fault: Option<Problem>,
}

impl<S: Stream<Item = std::result::Result<Bytes, E>> + Unpin, E> Input<S> {
    /// Begins with `first`, which was read already. No more than `most` lines are read; `idle` is how long the body may stand
    /// still.
    pub fn new(body: S, first: Bytes, most: u64, idle: Duration) -> Self {
        Self { body, chunk: first, splitter: Splitter::default(), number: 0, most, idle, ended: false, fault: None }
    }

    /// The next group, as large as it may be or as what has come; `None` at the end.
    ///
    /// # Errors
    /// [`Code::RequestTimeout`], [`Code::BodyTooLarge`] and [`Code::BadRequest`], after all whole lines that came. A line that was cut is not one.
    pub async fn group(&mut self) -> Result<Option<Group>> {
        let mut group = Group::default();
        loop {
            let mut rest = &self.chunk[..];
            while !group.is_full()
                && self.number < self.most
                && let Some(line) = self.splitter.next(&mut rest)
            {
                self.number += 1;
                group.add(self.number, &line);
            }
            let used = self.chunk.len() - rest.len();
            let _ = self.chunk.split_to(used);
            if group.is_full() {
                return Ok(Some(group));
            }
            if self.number == self.most && !self.chunk.is_empty() && !self.ended {
                self.end(Some(Code::BodyTooLarge.with(format!("a submission has at most {} lines", self.most))));
            }
            if self.ended {
                if !group.lines.is_empty() {
                    return Ok(Some(group));
                }
                return self.fault.take().map_or(Ok(None), Err);
            }
            let wait = if group.lines.is_empty() { self.idle } else { PAUSE };
            match timeout(wait, self.body.next()).await {
                Err(_) if !group.lines.is_empty() => return Ok(Some(group)),
                Err(_) => {
                    let detail = format!("nothing came for {} s", self.idle.as_secs());
                    self.end(Some(Code::RequestTimeout.with(detail)));
                }
                Ok(Some(Err(_))) => self.end(Some(Code::BadRequest.with("the body ended early"))),
                Ok(Some(Ok(chunk))) => self.chunk = chunk,
                Ok(None) => {
                    self.end(None);
                    if let Some(line) = self.splitter.last() {
                        self.number += 1;
                        group.add(self.number, &line);
                    }
                }
            }
        }
    }

    fn end(&mut self, fault: Option<Problem>) {
        (self.ended, self.fault) = (true, fault);
    }
}

/// What is wrong with a line that is too long.
pub fn too_long() -> (&'static str, String) {
    ("line_too_long", format!("a line has at most {LONGEST} bytes"))
}

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use proptest::prelude::*;

    use super::super::MOST;
    use super::*;

    async fn all<S: Stream<Item = std::result::Result<Bytes, ()>> + Unpin>(
        mut input: Input<S>,
    ) -> (Vec<(u64, Option<Vec<u8>>)>, Option<Problem>) {
        let mut lines = Vec::new();
        loop {
            match input.group().await {
                Ok(Some(group)) => {
                    assert!(!group.lines.is_empty() && group.lines.len() <= LINES && group.bytes.len() <= BYTES + LONGEST);
                    lines.extend(group.lines().map(|(number, line)| (number, line.map(<[u8]>::to_vec))));
                }
                Ok(None) => return (lines, None),
                Err(problem) => return (lines, Some(problem)),
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn every_line_is_in_one_group_with_its_number(
            texts in proptest::collection::vec("[a-z ]{0,12}", 0..60),
            long in any::<u8>(),
            cuts in proptest::collection::vec(any::<usize>(), 0..12),
        ) {
            let mut texts = texts;
            if let Some(text) = texts.get_mut(usize::from(long)) {
                *text = "x".repeat(LONGEST + 1);
            }
            let bytes = texts.join("\n").into_bytes();
            let mut ends: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).chain([0, bytes.len()]).collect();
            ends.sort_unstable();
            let chunks = ends.windows(2).map(|pair| Ok::<_, ()>(Bytes::copy_from_slice(&bytes[pair[0]..pair[1]])));
            let input = Input::new(stream::iter(chunks.collect::<Vec<_>>()), Bytes::new(), MOST, Duration::from_secs(60));
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
            let (lines, fault) = runtime.block_on(all(input));
            let expected: Vec<(u64, Option<Vec<u8>>)> = (1..)
                .zip(&texts)
                .filter(|(_, text)| !text.trim().is_empty())
                .map(|(number, text)| (number, (text.len() <= LONGEST).then(|| text.clone().into_bytes())))
                .collect();
            prop_assert_eq!(lines, expected);
            prop_assert!(fault.is_none());
        }
    }

    #[tokio::test]
    async fn groups_are_bounded() {
        let bytes = Bytes::from("{}\n".repeat(3 * LINES + 1));
        let input = Input::new(stream::iter([Ok::<_, ()>(bytes)]), Bytes::from_static(b"1\n\n"), MOST, Duration::from_secs(60));
        assert_eq!(all(input).await.0.len(), 3 * LINES + 2);
        let wide = Bytes::from(format!("{}\n", "x".repeat(LONGEST)).repeat(100));
        let input = Input::new(stream::iter([Ok::<_, ()>(wide)]), Bytes::new(), MOST, Duration::from_secs(60));
        assert_eq!(all(input).await.0.len(), 100);
        for (text, most, fault) in [("1\n2\n3\n", 3, None), ("1\n2\n3", 3, None), ("1\n2\n3\n4", 3, Some(Code::BodyTooLarge))] {
            let body = stream::iter([Ok::<_, ()>(Bytes::from_static(text.as_bytes()))]);
            let (lines, found) = all(Input::new(body, Bytes::new(), most, Duration::from_secs(60))).await;
            assert_eq!((lines.len(), found.map(|fault| fault.code())), (3, fault), "{text:?}");
        }
    }

    #[tokio::test]
    async fn what_is_whole_is_looked_at_before_a_body_that_breaks_or_stops() {
        let cut = stream::iter([Ok(Bytes::from_static(b"1\n2\n{\"dig")), Err(())]);
        let (lines, fault) = all(Input::new(cut, Bytes::new(), MOST, Duration::from_secs(60))).await;
        assert_eq!((lines.len(), fault.map(|fault| fault.code())), (2, Some(Code::BadRequest)));
        let silent = stream::iter([Ok(Bytes::from_static(b"1\n2"))]).chain(stream::pending());
        let (lines, fault) = all(Input::new(silent, Bytes::new(), MOST, Duration::from_millis(300))).await;
        assert_eq!((lines.len(), fault.map(|fault| fault.code())), (1, Some(Code::RequestTimeout)));
    }
}
