//! How many connections there may be, in all and from one address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use ipnet::IpNet;

use crate::api::access::peer;

/// Counts connections. Cloning shares the count.
#[derive(Debug, Clone)]
pub struct Crowd {
    most: usize,
    most_of_one: usize,
    trusted: Arc<[IpNet]>,
    inside: Arc<Mutex<Inside>>,
}

#[derive(Debug, Default)]
struct Inside {
    all: usize,
    of_one: HashMap<IpAddr, usize>,
}

impl Default for Crowd {
    fn default() -> Self {
        Self::new(10_000, 256, Arc::default())
    }
}

/// The place of one connection; free again when it is dropped.
#[derive(Debug)]
pub struct Place {
    address: IpAddr,
    inside: Arc<Mutex<Inside>>,
}

impl Crowd {
    /// At most `most` connections, and `most_of_one` from one address unless it is one of `trusted`: behind a proxy are
    /// many clients.
    #[must_use]
    pub fn new(most: usize, most_of_one: usize, trusted: Arc<[IpNet]>) -> Self {
        Self { most, most_of_one, trusted, inside: Arc::default() }
    }

    /// A place, if there is one.
    #[must_use]
    pub fn enter(&self, address: IpAddr) -> Option<Place> {
        let address = address.to_canonical();
        let mut inside = self.inside.lock().unwrap_or_else(PoisonError::into_inner);
        let of_one = inside.of_one.get(&address).copied().unwrap_or(0);
        if inside.all >= self.most || (of_one >= self.most_of_one && !peer::within(address, &self.trusted)) {
            return None;
        }
        inside.all += 1;
        inside.of_one.insert(address, of_one + 1);
        Some(Place { address, inside: Arc::clone(&self.inside) })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut inside = self.inside.lock().unwrap_or_else(PoisonError::into_inner);
        inside.all -= 1;
        match inside.of_one.get(&self.address).copied() {
            Some(count) if count > 1 => drop(inside.of_one.insert(self.address, count - 1)),
            _ => drop(inside.of_one.remove(&self.address)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_and_given_back() {
        let crowd = Crowd::new(4, 2, [peer::network("10.0.0.0/8").unwrap()].into());
        let enter = |text: &str| crowd.enter(text.parse().unwrap());
        let first = (enter("192.0.2.1").unwrap(), enter("::ffff:192.0.2.1").unwrap());
        assert!(enter("192.0.2.1").is_none(), "two from one address");
        let proxy = (enter("10.0.0.1").unwrap(), enter("10.0.0.1").unwrap());
        assert!(enter("10.0.0.1").is_none() && enter("192.0.2.2").is_none(), "four in all");
        drop(first);
        let third = enter("10.0.0.1");
        assert!(third.is_some(), "a proxy has as many as there are");
        drop((proxy, third));
        assert_eq!(crowd.inside.lock().unwrap().of_one.len(), 0);
        assert!(enter("192.0.2.1").is_some());
    }
}
