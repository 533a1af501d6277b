//! What was answered and not read yet: a little of it in memory, the rest in a file without a name.
//!
//! A client may write everything before it reads anything. If its results were held back, it would wait for us and we for it.

mod room;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::Bytes;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

pub use self::room::Room;

/// Bytes kept in memory, or one piece if that is longer.
const MEMORY: usize = 256 * 1024;
/// Bytes read back from the file at once.
const PIECE: usize = 64 * 1024;

/// Nobody reads any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gone;

/// The two ends. Where nothing is taken for `patience` although something is there, the writing end gives up.
#[must_use]
pub fn spool(room: &Room, patience: Duration) -> (Writer, Reader) {
    let state = State { pieces: VecDeque::new(), kept: 0, file: None, read: 0, written: 0, writing: false, end: End::Open };
    let shared = Arc::new(Shared {
        state: Mutex::new(state),
        taken: Mutex::new(Instant::now()),
        filled: Notify::new(),
        emptied: Notify::new(),
        room: room.clone(),
        patience,
    });
    (Writer(Arc::clone(&shared)), Reader(shared))
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// When something was last taken, or nothing was there.
    taken: Mutex<Instant>,
    /// Wakes the reading end.
    filled: Notify,
    /// Wakes the writing end.
    emptied: Notify,
    room: Room,
    patience: Duration,
}

#[derive(Debug)]
struct State {
    /// Older than everything in the file.
    pieces: VecDeque<Bytes>,
    kept: usize,
    file: Option<Arc<File>>,
    /// Bytes of the file that were taken, and those that are there.
    read: u64,
    written: u64,
    /// The writing end is about to write at `written`.
    writing: bool,
    end: End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Open,
    /// Nothing more will come.
    Written,
    /// The reading end went away.
    Gone,
    /// Given up: what is left is not handed out.
    Broken,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn touch(&self) {
        *self.taken.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// Waits until something was taken; fails when nothing was for too long.
    async fn emptier(&self) -> Result<(), Gone> {
        let since = *self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if timeout_at(since + self.patience, self.emptied.notified()).await.is_ok() {
            return Ok(());
        }
        if *self.taken.lock().unwrap_or_else(PoisonError::into_inner) > since {
            return Ok(());
        }
        Err(Gone)
    }

    /// Hands out nothing more.
    fn end(&self, end: End) {
        let mut state = self.state();
        if matches!(state.end, End::Gone | End::Broken) {
            return;
        }
        state.end = end;
        if end != End::Written {
            self.room.give_back(state.written - state.read);
            (state.read, state.written, state.kept) = (0, 0, 0);
            state.pieces.clear();
            state.file = None;
        }
        drop(state);
        self.filled.notify_one();
        self.emptied.notify_one();
    }
}

/// Where results are put. Dropped before [`Writer::finish`] it breaks the reading end off.
#[derive(Debug)]
pub struct Writer(Arc<Shared>);

impl Writer {
    /// Puts one piece. Waits for the reading end where there is no room.
    ///
    /// # Errors
    /// [`Gone`] when the reading end went away or takes nothing any more.
    pub async fn put(&self, piece: Vec<u8>) -> Result<(), Gone> {
        let piece = Bytes::from(piece);
        let length = piece.len() as u64;
        let mut spooling = true;
        loop {
            let file = {
                let mut state = self.0.state();
                if state.end != End::Open {
                    return Err(Gone);
                }
                if state.pieces.is_empty() && state.read == state.written {
                    // The patience begins with the first piece that waits.
                    self.0.touch();
                }
                if state.read == state.written && (state.kept == 0 || state.kept + piece.len() <= MEMORY) {
                    state.kept += piece.len();
                    state.pieces.push_back(piece);
                    drop(state);
                    self.0.filled.notify_one();
                    return Ok(());
                }
                let taken = spooling && self.0.room.take(length);
                taken.then(|| {
                    state.writing = true;
                    (state.file.clone(), state.written)
                })
            };
            let Some((file, at)) = file else {
                self.0.emptier().await?;
                continue;
            };
            let bytes = piece.clone();
            let written = tokio::task::spawn_blocking(move || -> io::Result<Arc<File>> {
                let file = match file {
                    Some(file) => file,
                    None => Arc::new(tempfile::tempfile()?),
                };
                file.write_all_at(&bytes, at)?;
                Ok(file)
            })
            .await;
            let mut state = self.0.state();
            state.writing = false;
            match written {
                Ok(Ok(file)) if state.end == End::Open => {
                    state.file = Some(file);
                    state.written = at + length;
                    drop(state);
                    self.0.filled.notify_one();
                    return Ok(());
                }
                Ok(Ok(_)) => {
                    self.0.room.give_back(length);
                    return Err(Gone);
                }
                failed => {
                    drop(state);
                    self.0.room.give_back(length);
                    tracing::warn!(?failed, "answers cannot be put aside; clients have to read them as they come");
                    spooling = false;
                }
            }
        }
    }

    /// Says that nothing more will come, and waits until everything was taken.
    pub async fn finish(self) {
        self.0.end(End::Written);
        loop {
            {
                let state = self.0.state();
                if state.end != End::Written || (state.pieces.is_empty() && state.read == state.written) {
                    return;
                }
            }
            if self.0.emptier().await.is_err() {
                return self.0.end(End::Broken);
            }
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if self.0.state().end == End::Open {
            self.0.end(End::Broken);
        }
    }
}

/// Where results are taken.
#[derive(Debug)]
pub struct Reader(Arc<Shared>);

impl Reader {
    /// The next piece; `None` when everything was taken.
    ///
    /// # Errors
    /// When the writing end gave up, or the file cannot be read.
    pub async fn take(&self) -> io::Result<Option<Bytes>> {
        loop {
            let found = {
                let mut state = self.0.state();
                if state.end == End::Broken {
                    return Err(io::ErrorKind::BrokenPipe.into());
                }
                match state.pieces.pop_front() {
                    Some(piece) => {
                        state.kept -= piece.len();
                        drop(state);
                        self.taken();
                        return Ok(Some(piece));
                    }
                    None if state.read < state.written => state.file.clone().map(|file| (file, state.read, state.written)),
                    None if state.end == End::Written => return Ok(None),
                    None => None,
                }
            };
            let Some((file, from, to)) = found else {
                self.0.filled.notified().await;
                continue;
            };
            let piece = tokio::task::spawn_blocking(move || -> io::Result<Vec<u8>> {
                let mut piece = vec![0; PIECE.min(usize::try_from(to - from).unwrap_or(PIECE))];
                file.read_exact_at(&mut piece, from)?;
                Ok(piece)
            });
            let piece = piece.await.map_err(io::Error::other)??;
            {
                let mut state = self.0.state();
                if state.end == End::Broken {
                    return Err(io::ErrorKind::BrokenPipe.into());
                }
                state.read += piece.len() as u64;
                self.0.room.give_back(piece.len() as u64);
                if state.read == state.written && !state.writing {
                    // Empty: begun anew, so that its disk space is free.
                    (state.read, state.written, state.file) = (0, 0, None);
                }
            }
            self.taken();
            return Ok(Some(piece.into()));
        }
    }

    fn taken(&self) {
        self.0.touch();
        self.0.emptied.notify_one();
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.0.end(End::Gone);
    }
}
