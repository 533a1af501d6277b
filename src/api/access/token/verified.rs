//! Tokens whose signature was found right, so that the next request with the same token does not pay for it again.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest as _, Sha256};

use super::claims::Claims;

/// What tokens say that were checked with one set of keys; it goes when the keys do. Times are not remembered: whoever
/// asks compares them each time.
#[derive(Default)]
pub(super) struct Verified(Mutex<HashMap<[u8; 32], Arc<Claims>>>);

impl fmt::Debug for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verified").finish_non_exhaustive()
    }
}

/// What a token is remembered by. Not the token: what can be used again is not kept.
#[derive(Clone, Copy)]
pub(super) struct Name([u8; 32]);

impl Name {
    pub(super) fn of(token: &str) -> Self {
        Self(Sha256::digest(token).into())
    }
}

impl Verified {
    /// More than this are not remembered.
    const MOST: usize = 10_000;

    pub(super) fn find(&self, name: Name) -> Option<Arc<Claims>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&name.0).cloned()
    }

    /// Remembers; when there are too many, those that are over at `now` go, and when none is, all of them.
    pub(super) fn keep(&self, name: Name, claims: &Arc<Claims>, now: i64) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= Self::MOST {
            known.retain(|_, claims| claims.exp > now);
            if known.len() >= Self::MOST {
                known.clear();
            }
        }
        known.insert(name.0, Arc::clone(claims));
    }
}
