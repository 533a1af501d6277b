//! Where many receipts come from: folders, files with one a line, standard input. Read a block at a time.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::sync::Arc;

use crate::certificate;
use crate::receipt::MAX_BYTES;

/// Lines are handed out in blocks of about so many bytes.
const BYTES: usize = 256 << 10;

/// Files are handed out so many at a time.
const FILES: usize = 32;

/// Names in a folder that are receipts, one a file.
const SINGLE: [&str; 2] = [".json", ".certificate.pdf"];

/// Names in a folder that are receipts, one a line.
const LINES: &str = ".jsonl";

/// A piece of work for one thread.
pub enum Work {
    /// Whole lines, of which the first has this number.
    Lines { name: Arc<str>, first: u64, block: Block },
    /// Files with one receipt each, to be read.
    Files(Vec<String>),
    /// Something that cannot be read.
    Unreadable(String),
}

/// Some lines, each with its line feed if it has one.
#[derive(Default)]
pub struct Block {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Block {
    pub fn lines(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(&0).chain(&self.ends);
        starts.zip(&self.ends).map(|(start, end)| &self.bytes[*start..*end])
    }
}

/// Everything that was named, in order; a folder's files in the order of their names.
pub struct Source {
    names: VecDeque<Named>,
    open: Option<Lines>,
    /// Bytes of lines handed out, and of everything, where that is known.
    read: u64,
    all: Option<u64>,
}

enum Named {
    ByUser(String),
    Single(String),
    Lines(String),
}

struct Lines {
    name: Arc<str>,
    reader: Box<dyn BufRead + Send>,
    next: u64,
}

impl Source {
    pub fn new(names: &[String]) -> Self {
        let length = |name: &String| fs::metadata(name).ok().filter(fs::Metadata::is_file).map(|meta| meta.len());
        let all = names.iter().map(length).sum();
        Self { names: names.iter().cloned().map(Named::ByUser).collect(), open: None, read: 0, all }
    }

    /// Which share of everything was handed out, where that is known.
    pub fn share(&self) -> Option<f64> {
        self.all.map(|all| self.read as f64 / all.max(1) as f64)
    }

    /// The next piece of work; `None` at the end.
    pub fn next(&mut self) -> Option<Work> {
        loop {
            if let Some(lines) = &mut self.open {
                match lines.block() {
                    Ok(Some((first, block))) => {
                        self.read += block.bytes.len() as u64;
                        return Some(Work::Lines { name: Arc::clone(&lines.name), first, block });
                    }
                    Ok(None) => self.open = None,
                    Err(error) => {
                        let unreadable = Work::Unreadable(format!("cannot read {}: {error}", lines.name));
                        self.open = None;
                        return Some(unreadable);
                    }
                }
                continue;
            }
            let opened = match self.names.pop_front()? {
                Named::Single(name) => return Some(Work::Files(self.singles(name))),
                Named::Lines(name) => self.begin(&name),
                Named::ByUser(name) if name != "-" && fs::metadata(&name).is_ok_and(|meta| meta.is_dir()) => self.enter(&name),
                Named::ByUser(name) => self.begin(&name),
            };
            match opened {
                Ok(None) => {}
                Ok(Some(work)) => return Some(work),
                Err(text) => return Some(Work::Unreadable(text)),
            }
        }
    }

    /// `first` and the single files behind it.
    fn singles(&mut self, first: String) -> Vec<String> {
        let mut names = vec![first];
        while names.len() < FILES {
            match self.names.pop_front() {
                Some(Named::Single(name)) => names.push(name),
                Some(other) => {
                    self.names.push_front(other);
                    break;
                }
                None => break,
            }
        }
        names
    }

    /// Puts a folder's files in its place.
    fn enter(&mut self, folder: &str) -> Result<Option<Work>, String> {
        let because = |error: io::Error| format!("cannot read {folder}: {error}");
        let mut found = Vec::new();
        for entry in fs::read_dir(folder).map_err(because)? {
            let path = entry.map_err(because)?.path();
            let name = path.to_string_lossy();
            if (SINGLE.iter().any(|end| name.ends_with(end)) || name.ends_with(LINES)) && path.is_file() {
                found.push(name.into_owned());
            }
        }
        if found.is_empty() {
            return Err(format!("no receipts in {folder}: nothing there is named *.json, *.jsonl or *.certificate.pdf"));
        }
        found.sort_unstable();
        for name in found.into_iter().rev() {
            self.names.push_front(if name.ends_with(LINES) { Named::Lines(name) } else { Named::Single(name) });
        }
        Ok(None)
    }

    /// Begins with a file's lines, or hands out a certificate whole.
    fn begin(&mut self, name: &str) -> Result<Option<Work>, String> {
        let open = || -> io::Result<Box<dyn BufRead + Send>> {
            Ok(match name {
                "-" => Box::new(BufReader::with_capacity(BYTES, io::stdin())),
                name => Box::new(BufReader::with_capacity(BYTES, File::open(name)?)),
            })
        };
        let read = open().and_then(|mut reader| {
            let start = reader.fill_buf()?;
            Ok((start.is_empty(), name != "-" && certificate::is_pdf(start), reader))
        });
        match read.map_err(|error| format!("cannot read {name}: {error}"))? {
            (true, ..) => Err(format!("{name} is empty")),
            (_, true, _) => Ok(Some(Work::Files(vec![name.to_owned()]))),
            (_, _, reader) => {
                self.open = Some(Lines { name: name.into(), reader, next: 1 });
                Ok(None)
            }
        }
    }
}

impl Lines {
    /// The next block of whole lines and the number of its first; `None` at the end. Of a line that is longer than any
    /// receipt no more is kept than shows that.
    fn block(&mut self) -> io::Result<Option<(u64, Block)>> {
        let first = self.next;
        let mut block = Block { bytes: Vec::with_capacity(BYTES + (16 << 10)), ends: Vec::new() };
        while block.bytes.len() < BYTES {
            let begun = block.bytes.len();
            (&mut self.reader).take(MAX_BYTES as u64 + 2).read_until(b'\n', &mut block.bytes)?;
            if block.bytes.len() == begun {
                break;
            }
            if block.bytes.last() != Some(&b'\n') && block.bytes.len() - begun == MAX_BYTES + 2 {
                self.reader.skip_until(b'\n')?;
            }
            self.next += 1;
            block.ends.push(block.bytes.len());
        }
        Ok((!block.ends.is_empty()).then_some((first, block)))
    }
}
