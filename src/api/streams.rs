//! Streams of lines under way: how many there may be at once, and how much of their answers may wait on the disk.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::error::{Code, Result};
use super::partner::bulk::spool::Room;
use crate::ledger::accounts::AccountId;

/// Streams of one account at once, on one instance.
const OF_ONE: usize = 4;
/// Streams at once on one instance.
const OF_ALL: usize = 64;
/// Bytes of answers that nobody has read yet and that are put aside, all streams of one instance together.
const ROOM: u64 = 4 << 30;
/// Seconds after which it makes sense to try again.
const RETRY: u64 = 10;

/// The streams of one instance.
#[derive(Debug)]
pub struct Streams {
    seats: Mutex<HashMap<AccountId, usize>>,
    pub(super) room: Room,
}

impl Default for Streams {
    fn default() -> Self {
        Self { seats: Mutex::default(), room: Room::new(ROOM) }
    }
}

/// A stream's place; given back when dropped.
#[derive(Debug)]
pub struct Seat(Arc<Streams>, AccountId);

impl Streams {
    /// A place for one more stream of the account.
    ///
    /// # Errors
    /// [`Code::RateLimited`], [`Code::PoolFull`].
    pub fn enter(self: &Arc<Self>, account: AccountId) -> Result<Seat> {
        let mut seats = self.seats.lock().unwrap_or_else(PoisonError::into_inner);
        if seats.values().sum::<usize>() >= OF_ALL {
            return Err(Code::PoolFull.with(format!("{OF_ALL} streams of lines are under way")).retry_after(RETRY));
        }
        let own = seats.entry(account).or_default();
        if *own >= OF_ONE {
            let detail = format!("{OF_ONE} streams of lines of this account are under way, as many as there may be");
            return Err(Code::RateLimited.with(detail).retry_after(RETRY));
        }
        *own += 1;
        Ok(Seat(Arc::clone(self), account))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut seats = self.0.seats.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = seats.get_mut(&self.1) {
            *own -= 1;
            if *own == 0 {
                seats.remove(&self.1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_few_and_given_back() {
        let streams = Arc::new(Streams::default());
        let own: Vec<Seat> = (0..OF_ONE).map(|_| streams.enter(AccountId(1)).unwrap()).collect();
        assert_eq!(streams.enter(AccountId(1)).unwrap_err().code(), Code::RateLimited);
        let others: Vec<Seat> = (OF_ONE..OF_ALL).map(|at| streams.enter(AccountId(at as i64)).unwrap()).collect();
        assert_eq!(streams.enter(AccountId(1000)).unwrap_err().code(), Code::PoolFull);
        drop(own);
        streams.enter(AccountId(1)).unwrap();
        drop(others);
        assert!(streams.seats.lock().unwrap().is_empty());
    }
}
