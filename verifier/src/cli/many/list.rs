//! The documents that receipts must be about.

use std::io::{BufRead, BufReader, Read};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::Digest;

/// Digests, each with whether a receipt was about it: 33 bytes a document.
pub struct List {
    digests: Vec<Digest>,
    met: Vec<AtomicBool>,
}

impl List {
    /// Reads lines as `sha256sum` prints them: 64 hex digits, alone or before white space and a name.
    ///
    /// # Errors
    /// Names the line that is none.
    pub fn read(reader: &mut dyn Read) -> std::io::Result<Result<Self, String>> {
        let mut digests = Vec::new();
        for (line, number) in BufReader::new(reader).split(b'\n').zip(1_u64..) {
            let line = line?;
            // sha256sum marks lines whose names it escaped.
            let text = line.strip_prefix(b"\\").unwrap_or(&line);
            let end = text.iter().position(u8::is_ascii_whitespace).unwrap_or(text.len());
            let digest = std::str::from_utf8(&text[..end]).ok().and_then(|text| text.to_ascii_lowercase().parse().ok());
            match digest {
                Some(digest) => digests.push(digest),
                None => return Ok(Err(format!("line {number} does not begin with 64 hex digits"))),
            }
        }
        digests.sort_unstable();
        digests.dedup();
        let met = digests.iter().map(|_| AtomicBool::new(false)).collect();
        Ok(Ok(Self { digests, met }))
    }

    /// Whether it is in the list; that a receipt was about it is noted.
    pub fn meet(&self, digest: &Digest) -> bool {
        let found = self.digests.binary_search(digest);
        if let Ok(at) = found {
            self.met[at].store(true, Ordering::Relaxed);
        }
        found.is_ok()
    }

    /// Those that no receipt was about, ascending.
    pub fn missing(&self) -> impl Iterator<Item = &Digest> {
        self.digests.iter().zip(&self.met).filter(|(_, met)| !met.load(Ordering::Relaxed)).map(|(digest, _)| digest)
    }
}
