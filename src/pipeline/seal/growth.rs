//! A tree whose tiles leave as soon as they are full.

use sceau_verifier::tile;

/// A tree while its leaves come, in their order: one unfinished tile a level is all it keeps. It has the tiles and the root
/// of [`sceau_verifier::Tree`] over the same leaves.
#[derive(Debug, Default)]
pub(super) struct Growth {
    levels: Vec<Level>,
    size: u64,
}

#[derive(Debug, Default)]
struct Level {
    /// The unfinished tile.
    hashes: Vec<[u8; 32]>,
    /// Tiles before it.
    full: u64,
}

/// What is called with each tile: its level, its place in it, its hashes.
pub(super) trait Take: FnMut(u8, u64, &[[u8; 32]]) {}
impl<T: FnMut(u8, u64, &[[u8; 32]])> Take for T {}

impl Growth {
    /// More leaves.
    pub(super) fn extend(&mut self, mut leaves: &[[u8; 32]], take: &mut impl Take) {
        self.size += leaves.len() as u64;
        while !leaves.is_empty() {
            let room = tile::WIDTH - self.level(0).hashes.len();
            let (now, later) = leaves.split_at(room.min(leaves.len()));
            self.level(0).hashes.extend_from_slice(now);
            leaves = later;
            let mut level = 0;
            // A full tile is a node of the level above, which may be full with it.
            while self.level(level).hashes.len() == tile::WIDTH {
                let parent = self.close(level, take);
                level += 1;
                self.level(level).hashes.push(parent);
            }
        }
    }

    /// No more leaves: the tiles of the right edge, then the size and the root. `None` without a leaf.
    pub(super) fn finish(mut self, take: &mut impl Take) -> Option<(u64, [u8; 32])> {
        let mut level = 0;
        loop {
            let &Level { ref hashes, full } = self.levels.get(level)?;
            // The root is no tile, unless it is the only leaf.
            if let (&[root], 0, 1..) = (&hashes[..], full, level) {
                return Some((self.size, root));
            }
            if !hashes.is_empty() {
                let parent = self.close(level, take);
                self.level(level + 1).hashes.push(parent);
            }
            level += 1;
        }
    }

    fn level(&mut self, level: usize) -> &mut Level {
        while self.levels.len() <= level {
            self.levels.push(Level::default());
        }
        &mut self.levels[level]
    }

    /// The unfinished tile is finished: it is taken, and the node above it answered.
    fn close(&mut self, level: usize, take: &mut impl Take) -> [u8; 32] {
        let Level { hashes, full } = self.level(level);
        take(u8::try_from(level).expect("a tree has at most 8 tile levels"), *full, hashes);
        let parent = tile::parent(hashes).expect("1 to 256 hashes");
        hashes.clear();
        *full += 1;
        parent
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use sceau_verifier::{Tree, merkle};

    use super::*;

    fn agree(leaves: &[[u8; 32]], step: usize) {
        let tree = Tree::from_leaves(leaves.to_vec());
        let expected: BTreeMap<_, _> = tile::tiles(&tree).map(|(id, hashes)| ((id.level, id.index), hashes.to_vec())).collect();
        let mut tiles = BTreeMap::new();
        let mut take = |level, index, hashes: &[[u8; 32]]| {
            assert!(tiles.insert((u32::from(level), index), hashes.to_vec()).is_none(), "a tile twice");
        };
        let mut growth = Growth::default();
        leaves.chunks(step).for_each(|some| growth.extend(some, &mut take));
        let end = growth.finish(&mut take);
        assert_eq!(end, (!leaves.is_empty()).then(|| (tree.size(), tree.root().into())), "{} leaves", leaves.len());
        assert_eq!(tiles, expected, "{} leaves", leaves.len());
    }

    #[test]
    fn it_has_the_tiles_and_the_root_of_the_layers() {
        let leaves: Vec<[u8; 32]> = (0..65_800_u64).map(|n| merkle::leaf_hash(&n.to_be_bytes()).into()).collect();
        for size in (0..=9).chain([255, 256, 257, 258, 511, 512, 513, 600, 769]) {
            [1, 7, 256, 300, 1 << 20].into_iter().for_each(|step| agree(&leaves[..size], step));
        }
        for size in [65_535, 65_536, 65_537, 65_793] {
            agree(&leaves[..size], 300);
        }
    }
}
