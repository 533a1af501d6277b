//! What cannot change, remembered: trees of sealed batches, and the evidence of final blocks. Nothing here says how far a proof
//! is: that is read for every receipt, with the root, and a receipt is checked against it before it leaves.

use std::sync::{Arc, Mutex, PoisonError};

use sceau_verifier::common::Common;
use sceau_verifier::merkle::node_hash;
use sceau_verifier::verify::Passed;
use sceau_verifier::{Anchor, Digest, tile};

use super::generations::Generations;
use crate::ledger::anchors::{AnchorState, Place};
use crate::ledger::proofs::receipts::Mark;
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

/// What the receipts of a batch have in common while its anchors stand like this.
#[derive(Debug)]
pub(super) struct Printed {
    /// All of them, as the ledger tells them.
    marks: Vec<Mark>,
    pub common: Common,
    /// SHA-256 of the common tail.
    pub tail: Digest,
}

impl Printed {
    pub fn new(marks: Vec<Mark>, common: Common) -> Self {
        let tail = Digest::of(common.tail());
        Self { marks, common, tail }
    }
}

/// Remembers at most so many bytes of tiles, and a tenth of that of everything else together.
#[derive(Debug)]
pub struct Known {
    tiles: Mutex<Generations<(u64, [u8; 32]), LeafTile>>,
    headers: Mutex<Generations<u64, HeaderPath>>,
    anchors: Mutex<Generations<(u64, i32), (Place, Anchor)>>,
    printed: Mutex<Generations<u64, Printed>>,
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
            tiles: Mutex::new(Generations::new(bytes)),
            headers: Mutex::new(Generations::new(bytes / 40)),
            anchors: Mutex::new(Generations::new(bytes / 40)),
            printed: Mutex::new(Generations::new(bytes / 20)),
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
        locked(&self.tiles).put((batch, lowest), Self::TILE, Arc::new(tile));
    }

    pub(super) fn header(&self, batch: u64, root: &[u8; 32]) -> Option<Vec<Digest>> {
        locked(&self.headers).get(&batch).filter(|known| known.0 == *root).map(|known| known.1.clone())
    }

    pub(super) fn learn_header(&self, batch: u64, root: [u8; 32], path: Vec<Digest>) {
        locked(&self.headers).put(batch, Self::HEADER, Arc::new((root, path)));
    }

    /// A final anchor with its evidence, if that is known for the very transaction and block: these determine it.
    pub(super) fn anchor(&self, batch: u64, target: TargetId, place: &Place) -> Option<Anchor> {
        locked(&self.anchors).get(&(batch, target.0)).filter(|known| known.0 == *place).map(|known| known.1.clone())
    }

    /// Whether [`Self::anchor`] would tell the evidence of an anchor that stands so, if it is to have any.
    pub(super) fn has_evidence(&self, batch: u64, mark: &Mark) -> bool {
        let place = mark.place.filter(|_| mark.state == AnchorState::Final);
        let known = |place: &Place| locked(&self.anchors).get(&(batch, mark.target.0)).is_some_and(|known| known.0 == *place);
        place.is_none_or(|place| known(&place))
    }

    pub(super) fn learn_anchor(&self, batch: u64, target: TargetId, place: Place, anchor: Anchor) {
        locked(&self.anchors).put((batch, target.0), Self::ANCHOR, Arc::new((place, anchor)));
    }

    /// What the receipts of this very root have in common, if it is known for anchors that stand exactly like this.
    pub(super) fn printed(&self, batch: u64, root: &[u8; 32], marks: &[Mark]) -> Option<Arc<Printed>> {
        let printed = locked(&self.printed).get(&batch)?;
        (printed.common.root().as_bytes() == root && printed.marks == marks).then_some(printed)
    }

    pub(super) fn learn_printed(&self, batch: u64, printed: Printed) {
        let bytes = Self::HEADER + printed.common.tail().len();
        locked(&self.printed).put(batch, bytes, Arc::new(printed));
    }

    /// Reads the anchors of a batch anew next time.
    pub(super) fn forget(&self, batch: u64) {
        locked(&self.anchors).retain(|(of, _)| *of != batch);
        locked(&self.printed).retain(|of| *of != batch);
    }
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
}
