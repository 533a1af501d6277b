//! Cutting a stream of bytes into lines, with a bound on what one line keeps.

/// Bytes of one line at most, without its line feed.
pub const LONGEST: usize = 64 * 1024;

/// One line, without its line feed.
#[derive(Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// As it came.
    Text(&'a [u8]),
    /// Longer than [`LONGEST`]: nothing of it was kept.
    TooLong,
}

/// Cuts lines out of chunks, wherever the chunks end. Keeps [`LONGEST`] bytes at most.
#[derive(Debug, Default)]
pub struct Splitter {
    line: Vec<u8>,
    long: bool,
    /// The line was handed out: the next one begins.
    given: bool,
}

impl Splitter {
    /// Takes from the front of `chunk` what completes a line; `None` when all of it was taken and the line goes on.
    pub fn next<'a>(&'a mut self, chunk: &mut &[u8]) -> Option<Line<'a>> {
        self.begin();
        let end = chunk.iter().position(|byte| *byte == b'\n');
        let (part, rest) = match end {
            Some(at) => (&chunk[..at], &chunk[at + 1..]),
            None => (*chunk, &chunk[chunk.len()..]),
        };
        if self.long || self.line.len() + part.len() > LONGEST {
            self.long = true;
            self.line.clear();
        } else {
            self.line.extend_from_slice(part);
        }
        *chunk = rest;
        end.map(|_| self.give())
    }

    /// What stands behind the last line feed, when everything has come; `None` when nothing does.
    pub fn last(&mut self) -> Option<Line<'_>> {
        self.begin();
        (self.long || !self.line.is_empty()).then(|| self.give())
    }

    fn begin(&mut self) {
        if std::mem::take(&mut self.given) {
            self.line.clear();
            self.long = false;
        }
    }

    fn give(&mut self) -> Line<'_> {
        self.given = true;
        if self.long { Line::TooLong } else { Line::Text(&self.line) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// All lines, with the chunks cut at `cuts`.
    fn lines(bytes: &[u8], cuts: &[usize]) -> Vec<Option<Vec<u8>>> {
        let mut ends: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).chain([bytes.len()]).collect();
        ends.sort_unstable();
        let (mut splitter, mut found, mut from) = (Splitter::default(), Vec::new(), 0);
        let owned = |line: Line<'_>| match line {
            Line::Text(text) => Some(text.to_vec()),
            Line::TooLong => None,
        };
        for end in ends {
            let mut chunk = &bytes[from..end];
            from = end;
            while !chunk.is_empty() {
                found.extend(splitter.next(&mut chunk).map(owned));
                assert!(splitter.line.len() <= LONGEST, "a bound on what is kept");
            }
        }
        found.extend(splitter.last().map(owned));
        assert!(splitter.last().is_none(), "given once");
        found
    }

    /// The same by splitting everything at once.
    fn expected(bytes: &[u8]) -> Vec<Option<Vec<u8>>> {
        let mut all: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
        if all.last().is_some_and(|last| last.is_empty()) {
            all.pop();
        }
        all.into_iter().map(|line| (line.len() <= LONGEST).then(|| line.to_vec())).collect()
    }

    proptest! {
        #[test]
        fn lines_come_out_whole_wherever_the_stream_is_cut(
            bytes in proptest::collection::vec(prop_oneof![Just(b'\n'), any::<u8>()], 0..300),
            cuts in proptest::collection::vec(any::<usize>(), 0..20),
        ) {
            prop_assert_eq!(lines(&bytes, &cuts), expected(&bytes));
        }

        #[test]
        fn a_line_that_is_too_long_takes_no_other_with_it(
            lengths in proptest::collection::vec(prop_oneof![0..5_usize, LONGEST - 2..LONGEST + 3, Just(3 * LONGEST)], 1..5),
            ended in any::<bool>(),
            cuts in proptest::collection::vec(any::<usize>(), 0..10),
        ) {
            let mut bytes = lengths.iter().map(|length| vec![b'x'; *length]).collect::<Vec<_>>().join(&b'\n');
            if ended {
                bytes.push(b'\n');
            }
            prop_assert_eq!(lines(&bytes, &cuts), expected(&bytes));
        }
    }

    #[test]
    fn lines_come_out_whole_when_cut_at_every_byte() {
        let bytes = b"{\"a\":1}\r\n\n{}\nlast";
        for cut in 0..=bytes.len() {
            assert_eq!(lines(bytes, &[cut]), expected(bytes), "{cut}");
        }
        assert_eq!(lines(bytes, &(0..bytes.len()).collect::<Vec<_>>()), expected(bytes));
    }
}
