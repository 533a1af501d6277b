//! What cannot change, remembered: trees of sealed batches, and the evidence of final blocks. Nothing here says how far a proof
//! is: that is read for every receipt, with the root, and a receipt is checked against it before it leaves.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, PoisonError};

use sceau_verifier::merkle::node_hash;
use sceau_verifier::verify::Passed;
use sceau_verifier::{Anchor, Digest, tile};

use crate::ledger::anchors::Place;
use crate::ledger::targets::TargetId;

/// A leaf tile with the nodes above its leaves, and what leads from there to the root: 16 KiB.
#[derive(Debug)]
pub(super) struct LeafTile {
    /// Of the tree.
    root: [u8; 32],
    /// Index of its first leaf.
    first: u64,
    /// Its leaves, then the layers above them up to one node.
    layers: Vec<Vec<[u8; 32]>>,
    /// From the tile's own node to the root.
    above: Vec<Digest>,
}

impl LeafTile {
    /// `above` is the path of the tile's node in the tree of all leaf tiles.
    pub fn new(root: [u8; 32], index: u64, hashes: &[[u8; 32]], above: Vec<Digest>) -> Self {
        let mut layers = vec![hashes.to_vec()];
        while let Some(layer) = layers.last().filter(|layer| layer.len() > 1) {
            // A node without a sibling is promoted.
            let next = layer.chunks(2).map(|pair| if let [left, right] = pair { node_hash(left, right) } else { pair[0] });
            layers.push(next.collect());
        }
        Self { root, first: index * tile::WIDTH as u64, layers, above }
    }

    /// Index and path of a leaf, if it stands here. Leaf 0 is the header's, whatever its hash.
    pub fn find(&self, leaf: &[u8; 32]) -> Option<(u64, Vec<Digest>)> {
        let skipped = usize::from(self.first == 0);
        let at = self.layers[0][skipped..].binary_search(leaf).ok()? + skipped;
        Some((self.first + at as u64, self.path(at)))
    }

    /// The path of the leaf at this place of the tile.
    pub fn path(&self, at: usize) -> Vec<Digest> {
        let siblings = self.layers.iter().enumerate().filter_map(|(layer, nodes)| nodes.get((at >> layer) ^ 1));
        siblings.map(|node| Digest::from(*node)).chain(self.above.iter().copied()).collect()
    }
}

/// A header's path, and the root it leads to.
type HeaderPath = ([u8; 32], Vec<Digest>);

/// Remembers at most so many bytes of tiles, and a tenth of that of everything else together.
#[derive(Debug)]
pub struct Known {
    tiles: Mutex<Generations<(u64, [u8; 32]), LeafTile>>,
    headers: Mutex<Generations<u64, HeaderPath>>,
    anchors: Mutex<Generations<(u64, i32), (Place, Anchor)>>,
    /// Anchors whose evidence was checked.
    pub(super) passed: Passed,
}

impl Default for Known {
    fn default() -> Self {
        Self::new(64 << 20)
    }
}

impl Known {
    /// Bytes of a tile here.
    const TILE: usize = 16 << 10;
    /// Bytes of an anchor with evidence from a large chain, about.
    const ANCHOR: usize = 16 << 10;
    /// Bytes of a header's path, about.
    const HEADER: usize = 1 << 10;

    /// Remembers at most so many bytes of tiles.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        Self {
            tiles: Mutex::new(Generations::new(bytes / Self::TILE)),
            headers: Mutex::new(Generations::new(bytes / 20 / Self::HEADER)),
            anchors: Mutex::new(Generations::new(bytes / 20 / Self::ANCHOR)),
            passed: Passed::default(),
        }
    }

    /// Index and path of a leaf, where its tile is known.
    pub(super) fn leaf(&self, batch: u64, root: &[u8; 32], leaf: &[u8; 32]) -> Option<(u64, Vec<Digest>)> {
        let tile = locked(&self.tiles).before(&(batch, *leaf)).filter(|((of, _), tile)| *of == batch && tile.root == *root)?.1;
        tile.find(leaf)
    }

    pub(super) fn learn_tile(&self, batch: u64, tile: LeafTile) {
        // As the ledger looks for it: the header is not in order, and comes before everything.
        let lowest = if tile.first == 0 { [0; 32] } else { tile.layers[0][0] };
        locked(&self.tiles).put((batch, lowest), Arc::new(tile));
    }

    pub(super) fn header(&self, batch: u64, root: &[u8; 32]) -> Option<Vec<Digest>> {
        locked(&self.headers).get(&batch).filter(|known| known.0 == *root).map(|known| known.1.clone())
    }

    pub(super) fn learn_header(&self, batch: u64, root: [u8; 32], path: Vec<Digest>) {
        locked(&self.headers).put(batch, Arc::new((root, path)));
    }

    /// A final anchor with its evidence, if that is known for the very transaction and block: these determine it.
    pub(super) fn anchor(&self, batch: u64, target: TargetId, place: &Place) -> Option<Anchor> {
        locked(&self.anchors).get(&(batch, target.0)).filter(|known| known.0 == *place).map(|known| known.1.clone())
    }

    /// Whether [`Self::anchor`] would tell one.
    pub(super) fn knows_anchor(&self, batch: u64, target: TargetId, place: &Place) -> bool {
        locked(&self.anchors).get(&(batch, target.0)).is_some_and(|known| known.0 == *place)
    }

    pub(super) fn learn_anchor(&self, batch: u64, target: TargetId, place: Place, anchor: Anchor) {
        locked(&self.anchors).put((batch, target.0), Arc::new((place, anchor)));
    }

    /// Reads the anchors of a batch anew next time.
    pub(super) fn forget(&self, batch: u64) {
        let mut anchors = locked(&self.anchors);
        anchors.young.retain(|(of, _), _| *of != batch);
        anchors.old.retain(|(of, _), _| *of != batch);
    }
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A map that forgets what was not asked for: what is used moves to the young half, and when that is full, the old half goes.
#[derive(Debug)]
struct Generations<K, V> {
    young: BTreeMap<K, Arc<V>>,
    old: BTreeMap<K, Arc<V>>,
    half: usize,
}

impl<K: Ord + Copy, V> Generations<K, V> {
    fn new(most: usize) -> Self {
        Self { young: BTreeMap::new(), old: BTreeMap::new(), half: most / 2 }
    }

    fn put(&mut self, key: K, value: Arc<V>) {
        if self.half == 0 {
            return;
        }
        if self.young.len() >= self.half {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, value);
    }

    fn get(&mut self, key: &K) -> Option<Arc<V>> {
        if let Some(value) = self.young.get(key) {
            return Some(Arc::clone(value));
        }
        let value = self.old.remove(key)?;
        self.put(*key, Arc::clone(&value));
        Some(value)
    }

    /// The last at or before `key`.
    fn before(&mut self, key: &K) -> Option<(K, Arc<V>)> {
        let range = (Bound::Unbounded, Bound::Included(key));
        let keys = [&self.young, &self.old].map(|half| half.range(range).next_back().map(|(key, _)| *key));
        let key = keys.into_iter().flatten().max()?;
        self.get(&key).map(|value| (key, value))
    }
}

#[cfg(test)]
mod tests {
    use sceau_verifier::{Tree, path};

    use super::*;

    #[test]
    fn a_known_tile_gives_the_paths_of_its_tree() {
        for size in [2_u64, 3, 255, 256, 257, 258, 511, 512, 513, 700, 66_000] {
            let mut leaves: Vec<[u8; 32]> = (0..size).map(|n| *Digest::of(&n.to_be_bytes()).as_bytes()).collect();
            leaves[1..].sort_unstable();
            let tree = Tree::from_leaves(leaves.clone());
            let root = *tree.root().as_bytes();
            let known = Known::default();
            for (index, hashes) in (0..).zip(leaves.chunks(256)) {
                let above = tree.path(index * 256).unwrap().split_off(hashes.len().next_power_of_two().ilog2() as usize);
                // The first leaf of a tile has a sibling in every layer of it.
                known.learn_tile(7, LeafTile::new(root, index, hashes, above));
            }
            for index in (1..size).step_by(1 + size as usize / 300).chain([size - 1]) {
                let leaf = leaves[index as usize];
                let (found, path) = known.leaf(7, &root, &leaf).expect("its tile is known");
                assert_eq!((found, &path), (index, &tree.path(index).unwrap()), "{size}");
                path::verify(&leaf.into(), index, size, &path, &tree.root()).unwrap();
            }
            let other = *Digest::of(b"another").as_bytes();
            assert!(known.leaf(7, &root, &other).is_none() && known.leaf(7, &other, &leaves[1]).is_none());
            assert!(known.leaf(8, &root, &leaves[1]).is_none() && known.leaf(6, &root, &leaves[1]).is_none());
        }
    }

    #[test]
    fn what_is_asked_for_stays_and_the_rest_goes() {
        let mut map = Generations::new(8);
        for key in 0..100 {
            map.put(key, Arc::new(key));
            assert_eq!(map.get(&0).as_deref(), Some(&0), "{key}");
            assert!(map.young.len() + map.old.len() <= 8);
        }
        assert!(map.get(&50).is_none());
        let mut none = Generations::new(0);
        none.put(1, Arc::new(1));
        assert!(none.get(&1).is_none());
    }
}
