//! Tiles: the tree cut into blocks of up to 256 hashes, so that a path is computed from a few small stored blocks.
//!
//! Tile level `l` holds layer `8·l` of the layered tree ([`super::tree::Tree::layer`]), right edge with its promoted
//! nodes included: `ceil(size / 256^l)` hashes. Levels stop before the one that would hold the root alone
//! (a tree of one leaf keeps level 0). Unlike the tiles of C2SP tlog-tiles, a partial right edge is stored at every level.

use std::fmt;

use super::tree::{Tree, hash_pairs};
use super::{layer_len, node_hash};
use crate::Digest;

/// Hashes in a full tile.
pub const WIDTH: usize = 256;

/// Where a tile is in its tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TileId {
    /// Tile level: layer `8·level` of the tree.
    pub level: u32,
    /// Position of the tile in its level; it starts with node `256·index` of the layer.
    pub index: u64,
}

/// Why tiles do not give a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TileError {
    /// The leaf index is not below the tree's size.
    OutOfRange,
    /// Another number of tiles than [`path_tiles`] names.
    Count {
        /// How many are needed.
        expected: usize,
        /// How many were given.
        found: usize,
    },
    /// A tile of another width than the tree's size says.
    Width {
        /// Level of that tile.
        level: u32,
        /// Hashes it should hold.
        expected: usize,
        /// Hashes it holds.
        found: usize,
    },
    /// Stored bytes that are not a whole number of hashes, or none, or more than a tile holds.
    Bytes(usize),
}

impl fmt::Display for TileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfRange => f.write_str("the leaf index is not below the tree's size"),
            Self::Count { expected, found } => write!(f, "{found} tiles given, {expected} needed"),
            Self::Width { level, expected, found } => {
                write!(f, "the tile at level {level} holds {found} hashes, not {expected}")
            }
            Self::Bytes(len) => write!(f, "{len} bytes are not a tile"),
        }
    }
}

impl std::error::Error for TileError {}

/// Number of tile levels of a tree of `size` leaves: 1 up to 256 leaves, 2 up to 65,536, 3 up to 2^24; 0 for no leaf.
#[must_use]
pub const fn levels(size: u64) -> u32 {
    if size == 0 {
        return 0;
    }
    let mut level = 1;
    while level < 8 && layer_len(size, 8 * level) > 1 {
        level += 1;
    }
    level
}

/// Number of hashes in a tile, 1 to 256; `None` where the tree has no such tile.
#[must_use]
pub fn width(size: u64, id: TileId) -> Option<usize> {
    if id.level >= levels(size) {
        return None;
    }
    let left = layer_len(size, 8 * id.level).checked_sub(id.index.checked_mul(WIDTH as u64)?)?;
    (left > 0).then(|| left.min(WIDTH as u64) as usize)
}

/// The tiles that the path of leaf `index` needs, level 0 first: one a level. Empty when there is no such leaf.
pub fn path_tiles(size: u64, index: u64) -> impl Iterator<Item = TileId> {
    let levels = if index < size { levels(size) } else { 0 };
    (0..levels).map(move |level| TileId { level, index: index.checked_shr(8 * (level + 1)).unwrap_or(0) })
}

/// All tiles of a tree with their hashes, level 0 first, left to right: what a server stores.
pub fn tiles(tree: &Tree) -> impl Iterator<Item = (TileId, &[[u8; 32]])> {
    (0..levels(tree.size())).flat_map(|level| {
        let layer = tree.layer(8 * level).chunks(WIDTH);
        layer.enumerate().map(move |(index, hashes)| (TileId { level, index: index as u64 }, hashes))
    })
}

/// The node that the level above holds for a tile: eight layers up, which is the root of the tile's own hashes, since an odd
/// last one is promoted in both. `None` where there is no hash, or more than a tile holds.
#[must_use]
pub fn parent(tile: &[[u8; 32]]) -> Option<[u8; 32]> {
    if !(1..=WIDTH).contains(&tile.len()) {
        return None;
    }
    let mut layer = [[0; 32]; WIDTH.div_ceil(2)];
    let mut len = tile.len().div_ceil(2);
    hash_pairs(tile, &mut layer[..len]);
    while len > 1 {
        for pair in 0..len / 2 {
            layer[pair] = node_hash(&layer[2 * pair], &layer[2 * pair + 1]);
        }
        if len % 2 == 1 {
            layer[len / 2] = layer[len - 1];
        }
        len = len.div_ceil(2);
    }
    Some(layer[0])
}

/// Reads a stored tile: 1 to 256 hashes of 32 bytes, one after the other.
///
/// # Errors
/// [`TileError::Bytes`] for any other length.
pub fn from_bytes(bytes: &[u8]) -> Result<&[[u8; 32]], TileError> {
    match bytes.as_chunks() {
        (hashes, []) if (1..=WIDTH).contains(&hashes.len()) => Ok(hashes),
        _ => Err(TileError::Bytes(bytes.len())),
    }
}

/// The inclusion path (leaf to root) of leaf `index` in a tree of `size` leaves, computed from the tiles that
/// [`path_tiles`] names, in that order. A wrong hash inside a tile gives a wrong path, never an error: check the result.
///
/// # Errors
/// [`TileError::OutOfRange`], [`TileError::Count`], [`TileError::Width`].
pub fn path(size: u64, index: u64, tiles: &[&[[u8; 32]]]) -> Result<Vec<Digest>, TileError> {
    if index >= size {
        return Err(TileError::OutOfRange);
    }
    let expected = levels(size) as usize;
    if tiles.len() != expected {
        return Err(TileError::Count { expected, found: tiles.len() });
    }
    let mut path = Vec::with_capacity(8 * expected);
    for (id, tile) in path_tiles(size, index).zip(tiles) {
        let expected = width(size, id).ok_or(TileError::OutOfRange)?;
        if tile.len() != expected {
            return Err(TileError::Width { level: id.level, expected, found: tile.len() });
        }
        // Eight layers up inside one tile: a node and its sibling always share an aligned block of 256.
        let mut layer = [[0; 32]; WIDTH];
        layer[..expected].copy_from_slice(tile);
        let mut len = expected;
        let mut node = ((index >> (8 * id.level)) % WIDTH as u64) as usize;
        for _ in 0..8 {
            if node ^ 1 < len {
                path.push(Digest::from(layer[node ^ 1]));
            }
            let below = layer;
            hash_pairs(&below[..len], &mut layer);
            len = len.div_ceil(2);
            node >>= 1;
        }
    }
    Ok(path)
}
