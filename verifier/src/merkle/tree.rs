//! The tree kept as layers, which is how tiles are cut and paths are read.

use std::num::NonZero;

use super::{layer_len, node_hash};
use crate::Digest;

/// Layers shorter than this are hashed on the calling thread: starting threads would cost more than it saves.
const PARALLEL_FROM: usize = 1 << 13;

/// A tree of RFC 9162: layer 0 the leaf hashes, each next layer the parents, an odd last node promoted unchanged.
/// Takes 64 bytes a leaf, while building too.
#[derive(Clone, Debug)]
pub struct Tree {
    leaves: Vec<[u8; 32]>,
    /// Layers 1, 2, … one after the other, ending in the root.
    upper: Vec<[u8; 32]>,
}

impl Tree {
    /// Builds the tree over leaf hashes (already hashed with [`super::leaf_hash`]), in their order, on up to all cores.
    #[must_use]
    pub fn from_leaves(leaves: Vec<[u8; 32]>) -> Self {
        let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
        Self::with_threads(leaves, threads)
    }

    /// As [`Tree::from_leaves`] on at most `threads` threads.
    #[must_use]
    pub fn with_threads(leaves: Vec<[u8; 32]>, threads: usize) -> Self {
        let mut total = 0;
        let mut len = leaves.len();
        while len > 1 {
            len = len.div_ceil(2);
            total += len;
        }
        let mut upper = vec![[0; 32]; total];
        let mut below: &[[u8; 32]] = &leaves;
        let mut rest: &mut [[u8; 32]] = &mut upper;
        while below.len() > 1 {
            let (layer, next) = rest.split_at_mut(below.len().div_ceil(2));
            hash_layer(below, layer, threads);
            below = layer;
            rest = next;
        }
        Self { leaves, upper }
    }

    /// Number of leaves.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.leaves.len() as u64
    }

    /// Number of layers: 0 for no leaf, 1 for one leaf, else `ceil(log2(size)) + 1`.
    #[must_use]
    pub fn layers(&self) -> u32 {
        match self.size() {
            0 => 0,
            size => u64::BITS - (size - 1).leading_zeros() + 1,
        }
    }

    /// Layer `k`: `ceil(size / 2^k)` nodes, empty above the root.
    #[must_use]
    pub fn layer(&self, k: u32) -> &[[u8; 32]] {
        if k == 0 {
            return &self.leaves;
        }
        if k >= self.layers() {
            return &[];
        }
        let start: u64 = (1..k).map(|below| layer_len(self.size(), below)).sum();
        // Layers are slices of memory, so their positions fit in usize.
        let (start, len) = (start as usize, layer_len(self.size(), k) as usize);
        &self.upper[start..start + len]
    }

    /// The root; for no leaf the SHA-256 of nothing (RFC 9162 §2.1.1).
    #[must_use]
    pub fn root(&self) -> Digest {
        match self.upper.last().or(self.leaves.last()) {
            Some(root) => Digest::from(*root),
            None => Digest::of(&[]),
        }
    }

    /// The inclusion path of leaf `index`, leaf to root (RFC 9162 §2.1.3.1); `None` when there is no such leaf.
    #[must_use]
    pub fn path(&self, index: u64) -> Option<Vec<Digest>> {
        if index >= self.size() {
            return None;
        }
        let mut node = index as usize;
        let mut path = Vec::with_capacity(self.layers() as usize);
        for k in 0..self.layers() {
            path.extend(self.layer(k).get(node ^ 1).map(|sibling| Digest::from(*sibling)));
            node >>= 1;
        }
        Some(path)
    }
}

fn hash_layer(below: &[[u8; 32]], layer: &mut [[u8; 32]], threads: usize) {
    if threads < 2 || layer.len() < PARALLEL_FROM {
        return hash_pairs(below, layer);
    }
    let part = layer.len().div_ceil(threads);
    std::thread::scope(|scope| {
        for (below, layer) in below.chunks(2 * part).zip(layer.chunks_mut(part)) {
            scope.spawn(move || hash_pairs(below, layer));
        }
    });
}

/// Parents of `below`, an odd last node promoted.
pub(crate) fn hash_pairs(below: &[[u8; 32]], layer: &mut [[u8; 32]]) {
    for (pair, parent) in below.chunks(2).zip(layer) {
        *parent = match pair {
            [left, right] => node_hash(left, right),
            promoted => promoted[0],
        };
    }
}
