//! How much may be put aside.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes in the files of all answers together, and how many there may be. Cloning gives another hold on the same.
#[derive(Debug, Clone)]
pub struct Room {
    used: Arc<AtomicU64>,
    most: u64,
}

impl Room {
    /// For so many bytes.
    #[must_use]
    pub fn new(most: u64) -> Self {
        Self { used: Arc::default(), most }
    }

    pub(super) fn take(&self, bytes: u64) -> bool {
        let taken = self
            .used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| used.checked_add(bytes).filter(|used| *used <= self.most));
        taken.is_ok()
    }

    pub(super) fn give_back(&self, bytes: u64) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Bytes that are put aside now.
    #[cfg(test)]
    pub(super) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }
}
