//! Reading the entries of a closed batch, as many as there are, in the database's own bulk format.

use futures_util::TryStreamExt;

use crate::ledger::server::guarded::Unfinished;
use crate::ledger::{Ledger, LedgerError, Result};

/// Bytes of an entry: digest and salt.
const ENTRY: usize = 48;

/// What stands in the tree for one proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Row<'a> {
    /// The entry, `digest ‖ salt`.
    Entry(&'a [u8; ENTRY]),
    /// The hash of its leaf: the entry was erased.
    Leaf(&'a [u8; 32]),
}

impl Ledger {
    /// Calls `each` with every entry of a closed or sealed batch, in no particular order, and answers their number. Memory does not grow with the batch.
    ///
    /// # Errors
    /// When the database cannot be read, or answers something else than its documented binary COPY format.
    pub async fn each_entry(&self, batch: u64, mut each: impl FnMut(Row<'_>)) -> Result<u64> {
        let query = format!("copy (select digest, salt from proofs where batch = {batch}) to stdout (format binary)");
        let mut connection = Unfinished::from(self.pool().acquire().await?);
        let mut parser = Parser::default();
        {
            let mut stream = connection.get().copy_out_raw(&query).await?;
            while let Some(chunk) = stream.try_next().await? {
                parser.feed(&chunk, &mut each)?;
            }
        }
        connection.finished();
        parser.finish()
    }
}

/// Splits the binary COPY format (PostgreSQL manual, COPY, "Binary Format") of two columns: a digest and a salt, or a zero byte with a
/// leaf and null.
#[derive(Default)]
struct Parser {
    left: Vec<u8>,
    started: bool,
    ended: bool,
    rows: u64,
}

/// Signature, no flags, no extension.
pub(super) const COPY_HEADER: &[u8; 19] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// Two columns, of which the first has 32 bytes.
const DIGEST: [u8; 6] = [0, 2, 0, 0, 0, 32];
/// A column of 16 bytes.
const SALT: [u8; 4] = [0, 0, 0, 16];
/// Two columns, of which the first has 33 bytes and begins with a zero.
const ERASED: [u8; 7] = [0, 2, 0, 0, 0, 33, 0];
/// A column that is null.
const NULL: [u8; 4] = [0xff; 4];

impl Parser {
    fn feed(&mut self, chunk: &[u8], each: &mut impl FnMut(Row<'_>)) -> Result<()> {
        if self.left.is_empty() {
            let used = self.split(chunk, each)?;
            self.left.extend_from_slice(&chunk[used..]);
        } else {
            let mut whole = std::mem::take(&mut self.left);
            whole.extend_from_slice(chunk);
            let used = self.split(&whole, each)?;
            whole.drain(..used);
            self.left = whole;
        }
        Ok(())
    }

    fn split(&mut self, bytes: &[u8], each: &mut impl FnMut(Row<'_>)) -> Result<usize> {
        let mut at = 0;
        if !self.started {
            let Some(header) = bytes.first_chunk::<19>() else { return Ok(0) };
            if header != COPY_HEADER {
                return Err(strange("header"));
            }
            self.started = true;
            at = header.len();
        }
        while bytes.len() - at >= 2 {
            if self.ended {
                return Err(strange("data after the end"));
            }
            if bytes[at..at + 2] == [0xff, 0xff] {
                self.ended = true;
                at += 2;
                continue;
            }
            // Whole rows only: what is cut off waits for the rest.
            let Some(erased) = bytes.get(at + 5).map(|length| *length == ERASED[5]) else { break };
            if erased {
                let Some(row) = bytes[at..].first_chunk::<{ 7 + 32 + 4 }>() else { break };
                let leaf = row[7..].first_chunk().expect("the row is longer");
                if row[..7] != ERASED || row[39..] != NULL {
                    return Err(strange("row"));
                }
                at += row.len();
                each(Row::Leaf(leaf));
            } else {
                let Some(row) = bytes[at..].first_chunk::<{ 6 + 32 + 4 + 16 }>() else { break };
                if row[..6] != DIGEST || row[38..42] != SALT {
                    return Err(strange("row"));
                }
                let mut entry = [0; ENTRY];
                entry[..32].copy_from_slice(&row[6..38]);
                entry[32..].copy_from_slice(&row[42..]);
                at += row.len();
                each(Row::Entry(&entry));
            }
            self.rows += 1;
        }
        Ok(at)
    }

    fn finish(self) -> Result<u64> {
        if self.ended && self.left.is_empty() { Ok(self.rows) } else { Err(strange("end")) }
    }
}

fn strange(what: &str) -> LedgerError {
    LedgerError::Damaged(format!("unexpected {what} in COPY data"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copy_of(rows: u8) -> Vec<u8> {
        let mut bytes = COPY_HEADER.to_vec();
        for row in 0..rows {
            // The last but one was erased.
            if row + 2 == rows {
                bytes.extend([0, 2, 0, 0, 0, 33, 0]);
                bytes.extend([row; 32]);
                bytes.extend(NULL);
            } else {
                bytes.extend([0, 2, 0, 0, 0, 32]);
                bytes.extend([row; 32]);
                bytes.extend([0, 0, 0, 16]);
                bytes.extend([row ^ 0xff; 16]);
            }
        }
        bytes.extend([0xff, 0xff]);
        bytes
    }

    fn parse(bytes: &[u8], step: usize) -> Result<Vec<Vec<u8>>> {
        let (mut parser, mut entries) = (Parser::default(), Vec::new());
        for chunk in bytes.chunks(step) {
            parser.feed(chunk, &mut |row| {
                entries.push(match row {
                    Row::Entry(entry) => entry.to_vec(),
                    Row::Leaf(leaf) => leaf.to_vec(),
                });
            })?;
        }
        parser.finish().map(|rows| {
            assert_eq!(rows, entries.len() as u64);
            entries
        })
    }

    #[test]
    fn rows_come_out_whole_however_the_stream_is_cut() {
        let bytes = copy_of(5);
        for step in 1..=bytes.len() {
            let entries = parse(&bytes, step).unwrap();
            assert_eq!(entries.len(), 5);
            assert_eq!(entries[3], [3; 32]);
            assert_eq!(entries[4], [&[4; 32][..], &[0xfb; 16]].concat());
        }
    }

    #[test]
    fn anything_else_is_refused() {
        let bytes = copy_of(3);
        assert!(parse(&bytes[..bytes.len() - 1], 7).is_err(), "cut off");
        assert!(parse(&bytes[..bytes.len() - 2], 64).is_err(), "no trailer");
        let second = COPY_HEADER.len() + 6 + 32 + 4 + 16;
        for (at, bit, what) in [
            (0, 1, "signature"),
            (12, 1, "flags"),
            (20, 1, "columns"),
            (24, 2, "length of the digest"),
            (24, 1, "a digest with a salt that is as long as a leaf's place"),
            (60, 1, "length of the salt"),
            (second + 5, 1, "a leaf where a digest belongs"),
            (second + 6, 1, "byte before the leaf"),
            (second + 39, 1, "a salt of an erased entry"),
        ] {
            let mut wrong = bytes.clone();
            wrong[at] ^= bit;
            assert!(parse(&wrong, 64).is_err(), "{what}");
        }
        let mut more = bytes;
        more.extend([0, 2]);
        assert!(parse(&more, 64).is_err(), "data after the end");
    }
}
