//! Hashes many files at once, on threads of its own, without ever holding a whole file.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use sceau_verifier::Digest;

/// Results that may wait to be taken before the threads pause.
const AHEAD: usize = 1_024;

/// Digests in the order of the paths that were given; see [`hash_files`].
#[derive(Debug)]
pub struct Hashes {
    paths: Arc<[PathBuf]>,
    results: Receiver<(usize, io::Result<Digest>)>,
    /// Results that came before their turn.
    early: BTreeMap<usize, io::Result<Digest>>,
    next: usize,
}

/// Starts hashing `paths`, one thread a processor. `progress` hears of every block read, in bytes, on those threads.
/// The threads end when all is hashed or the answer is dropped.
///
/// # Errors
/// When no thread can be started. What concerns one file is in its result.
pub fn hash_files(paths: Vec<PathBuf>, progress: impl Fn(u64) + Clone + Send + 'static) -> io::Result<Hashes> {
    let paths: Arc<[PathBuf]> = paths.into();
    let (sender, results) = sync_channel(AHEAD);
    let turn = Arc::new(AtomicUsize::new(0));
    let threads = thread::available_parallelism().map_or(1, usize::from).min(paths.len());
    for _ in 0..threads {
        let (paths, sender, turn, progress) = (paths.clone(), sender.clone(), turn.clone(), progress.clone());
        thread::Builder::new().name("hash".into()).spawn(move || {
            loop {
                let index = turn.fetch_add(1, Ordering::Relaxed);
                let Some(path) = paths.get(index) else { return };
                if sender.send((index, hash_file(path, &progress))).is_err() {
                    return;
                }
            }
        })?;
    }
    Ok(Hashes { paths, results, early: BTreeMap::new(), next: 0 })
}

/// SHA-256 of one file.
///
/// # Errors
/// When it cannot be read, is no regular file, or was changed meanwhile: its digest would be that of no document.
pub fn hash_file(path: &Path, progress: &dyn Fn(u64)) -> io::Result<Digest> {
    let state = |file: &File| file.metadata().map(|data| (data.is_file(), data.len(), data.modified().ok()));
    // Opening a named pipe would wait for a writer.
    if !path.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    let mut file = File::open(path)?;
    let before = state(&file)?;
    let digest = Digest::of_reader(&mut Counted { file: &mut file, progress })?;
    if state(&file)? != before {
        return Err(io::Error::other("changed while it was read"));
    }
    Ok(digest)
}

struct Counted<'a> {
    file: &'a mut File,
    progress: &'a dyn Fn(u64),
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        (self.progress)(read as u64);
        Ok(read)
    }
}

impl Iterator for Hashes {
    type Item = (PathBuf, io::Result<Digest>);

    /// Waits for the next file's digest.
    fn next(&mut self) -> Option<Self::Item> {
        let index = self.next;
        let path = self.paths.get(index)?.clone();
        self.next += 1;
        let result = loop {
            if let Some(result) = self.early.remove(&index) {
                break result;
            }
            match self.results.recv() {
                Ok((found, result)) => self.early.insert(found, result),
                // Only a thread that panicked leaves a gap; the file must not pass for hashed.
                Err(_) => break Err(io::Error::other("hashing was interrupted")),
            };
        };
        Some((path, result))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;

    use super::*;

    #[test]
    fn every_file_gets_its_own_digest_in_order() {
        let folder = tempfile::tempdir().expect("a folder");
        // The first file is by far the longest, so the others come early.
        let contents: Vec<Vec<u8>> = (0..200_usize).map(|n| vec![n as u8; if n == 0 { 3_000_000 } else { n * 7 }]).collect();
        let paths: Vec<PathBuf> = (0..contents.len()).map(|n| folder.path().join(n.to_string())).collect();
        for (path, content) in paths.iter().zip(&contents) {
            std::fs::write(path, content).expect("written");
        }
        let read = Arc::new(AtomicU64::new(0));
        let counter = read.clone();
        let mut asked = paths.clone();
        asked.insert(3, folder.path().join("none"));
        asked.insert(5, folder.path().to_owned());
        let progress = move |bytes| {
            counter.fetch_add(bytes, Ordering::Relaxed);
            // Only the first file is long enough for whole blocks: hold it back until the others are done.
            if bytes == 64 * 1024 {
                thread::sleep(std::time::Duration::from_millis(2));
            }
        };
        let mut found: Vec<_> = hash_files(asked, progress).expect("started").collect();
        assert_eq!(found.remove(5).1.expect_err("a folder").kind(), io::ErrorKind::InvalidInput);
        assert_eq!(found.remove(3).1.expect_err("missing").kind(), io::ErrorKind::NotFound);
        assert_eq!(found.len(), paths.len());
        for ((path, digest), (expected, content)) in found.into_iter().zip(paths.iter().zip(&contents)) {
            assert_eq!(&path, expected);
            assert_eq!(digest.expect("hashed"), Digest::of(content));
        }
        assert_eq!(read.load(Ordering::Relaxed), contents.iter().map(Vec::len).sum::<usize>() as u64);
    }

    #[test]
    fn no_files_and_dropped_answers_end() {
        assert_eq!(hash_files(Vec::new(), |_| {}).expect("started").count(), 0);
        drop(hash_files(vec!["none".into(); 10_000], |_| {}).expect("started"));
    }

    #[test]
    fn a_file_that_changes_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("growing");
        std::fs::write(&path, [0; 100]).expect("written");
        let grow = |read: u64| {
            if read > 0 {
                std::fs::write(&path, [1; 300]).expect("written");
            }
        };
        // The first read is followed by a longer file: its end is not where it was.
        let error = hash_file(&path, &grow).expect_err("refused");
        assert_eq!(error.to_string(), "changed while it was read");
    }
}
