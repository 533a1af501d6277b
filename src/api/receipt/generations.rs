//! A map of bounded size.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

/// A map that forgets what was not asked for: what is used moves to the young half, and when that is full, the old half goes.
#[derive(Debug)]
pub(super) struct Generations<K, V> {
    young: BTreeMap<K, (usize, Arc<V>)>,
    old: BTreeMap<K, (usize, Arc<V>)>,
    /// Bytes of the young half.
    filled: usize,
    /// Bytes of a half.
    half: usize,
}

impl<K: Ord + Copy, V> Generations<K, V> {
    /// Holds values of so many bytes together.
    pub fn new(bytes: usize) -> Self {
        Self { young: BTreeMap::new(), old: BTreeMap::new(), filled: 0, half: bytes / 2 }
    }

    /// `value` has about so many bytes. What does not fit into a half is not held.
    pub fn put(&mut self, key: K, bytes: usize, value: Arc<V>) {
        if bytes > self.half {
            return;
        }
        if self.filled + bytes > self.half {
            self.old = std::mem::take(&mut self.young);
            self.filled = 0;
        }
        let before = self.young.insert(key, (bytes, value)).map_or(0, |(bytes, _)| bytes);
        self.filled = self.filled + bytes - before;
    }

    pub fn get(&mut self, key: &K) -> Option<Arc<V>> {
        if let Some((_, value)) = self.young.get(key) {
            return Some(Arc::clone(value));
        }
        let (bytes, value) = self.old.remove(key)?;
        self.put(*key, bytes, Arc::clone(&value));
        Some(value)
    }

    /// The last at or before `key`.
    pub fn before(&mut self, key: &K) -> Option<(K, Arc<V>)> {
        let range = (Bound::Unbounded, Bound::Included(key));
        let keys = [&self.young, &self.old].map(|half| half.range(range).next_back().map(|(key, _)| *key));
        let key = keys.into_iter().flatten().max()?;
        self.get(&key).map(|value| (key, value))
    }

    /// Keeps those whose keys are wanted.
    pub fn retain(&mut self, wanted: impl Fn(&K) -> bool) {
        self.young.retain(|key, _| wanted(key));
        self.old.retain(|key, _| wanted(key));
        self.filled = self.young.values().map(|(bytes, _)| bytes).sum();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_stays_and_the_rest_goes() {
        let mut map = Generations::new(8);
        for key in 0..100 {
            map.put(key, 1, Arc::new(key));
            assert_eq!(map.get(&0).as_deref(), Some(&0), "{key}");
            assert!(map.young.len() + map.old.len() <= 8);
        }
        assert!(map.get(&50).is_none());
        let mut none = Generations::new(0);
        none.put(1, 1, Arc::new(1));
        assert!(none.get(&1).is_none());
    }

    #[test]
    fn large_values_take_more_room() {
        let mut map = Generations::new(100);
        for key in 0..120 {
            map.put(key, 1 + key % 60, Arc::new(()));
            let held = [&map.young, &map.old].map(|half| half.values().map(|(bytes, _)| bytes).sum::<usize>());
            assert!(held[0] == map.filled && held[0] <= 50 && held[1] <= 50, "{held:?}");
            assert_eq!(map.get(&key).is_some(), key % 60 < 50);
        }
        // The same key again takes the place of the one before.
        for _ in 0..100 {
            map.put(1, 50, Arc::new(()));
        }
        map.retain(|key| *key != 1);
        assert!(map.filled == 0 && map.get(&1).is_none());
    }
}
