//! The tree, its paths and its tiles, against two independent implementations and against forgeries.

use ct_merkle::mem_backed_tree::MemoryBackedTree;
use proptest::prelude::*;
use rs_merkle::{Hasher, MerkleProof, MerkleTree};
use sceau_verifier::path::{self, PathError};
use sceau_verifier::tile::{self, TileError, TileId};
use sceau_verifier::{Digest, Entry, Tree, merkle};

#[derive(Clone)]
struct Rfc9162;

impl Hasher for Rfc9162 {
    type Hash = [u8; 32];

    fn hash(data: &[u8]) -> [u8; 32] {
        merkle::leaf_hash(data).into()
    }

    fn concat_and_hash(left: &[u8; 32], right: Option<&[u8; 32]>) -> [u8; 32] {
        right.map_or(*left, |right| merkle::node_hash(left, right))
    }
}

fn leaves(size: u64) -> Vec<[u8; 32]> {
    (0..size).map(|n| merkle::leaf_hash(&n.to_be_bytes()).into()).collect()
}

fn flat(path: &[Digest]) -> Vec<u8> {
    path.iter().flat_map(|hash| *hash.as_bytes()).collect()
}

#[test]
fn every_small_tree_agrees_with_both_oracles() {
    let mut oracle = MemoryBackedTree::<sha2_next::Sha256, Vec<u8>>::new();
    for size in 1..=70_u64 {
        oracle.push((size - 1).to_be_bytes().to_vec());
        let tree = Tree::from_leaves(leaves(size));
        let other = MerkleTree::<Rfc9162>::from_leaves(&leaves(size));
        assert_eq!(tree.root().as_ref(), oracle.root().as_bytes().as_slice(), "{size}");
        assert_eq!(other.root(), Some(tree.root().into()), "{size}");
        for index in 0..size {
            let path = tree.path(index).unwrap();
            assert_eq!(flat(&path), oracle.prove_inclusion(index as usize).as_bytes(), "{index} of {size}");
            assert_eq!(flat(&path), other.proof(&[index as usize]).to_bytes(), "{index} of {size}");
            let leaf = Digest::from(leaves(size)[index as usize]);
            assert_eq!(path::verify(&leaf, index, size, &path, &tree.root()), Ok(()));
        }
        assert_eq!(tree.path(size), None);
    }
}

#[test]
fn layers_are_those_of_the_definition() {
    for size in 0..=70_u64 {
        let tree = Tree::from_leaves(leaves(size));
        let mut expected = leaves(size);
        let mut layers = 0;
        while !expected.is_empty() {
            assert_eq!(tree.layer(layers), expected, "{layers} of {size}");
            layers += 1;
            if expected.len() == 1 {
                break;
            }
            expected = expected.chunks(2).map(|pair| Rfc9162::concat_and_hash(&pair[0], pair.get(1))).collect();
        }
        assert_eq!(tree.layers(), layers, "{size}");
        assert!(tree.layer(layers).is_empty() && tree.layer(u32::MAX).is_empty());
    }
    assert_eq!(Tree::from_leaves(Vec::new()).root(), Digest::of(b""));
}

#[test]
fn threads_do_not_change_the_tree() {
    for size in [16_383_u64, 16_384, 16_385, 32_769, 50_001] {
        let one = Tree::with_threads(leaves(size), 1);
        for threads in [2, 3, 7] {
            let many = Tree::with_threads(leaves(size), threads);
            assert!((0..one.layers()).all(|k| one.layer(k) == many.layer(k)), "{size} on {threads}");
        }
    }
}

#[test]
fn no_other_index_or_size_passes_that_ct_merkle_refuses() {
    use ct_merkle::{InclusionProof, RootHash};
    type Sha = sha2_next::Sha256;
    for (index, size) in [(3_u64, 7_u64), (6, 7), (0, 1), (4, 5), (8, 9), (5, 14)] {
        let tree = Tree::from_leaves(leaves(size));
        let path = tree.path(index).unwrap();
        let leaf = Digest::from(leaves(size)[index as usize]);
        for claimed_size in 0..40 {
            for claimed_index in 0..45 {
                let ours = path::verify(&leaf, claimed_index, claimed_size, &path, &tree.root());
                let root = RootHash::<Sha>::new((*tree.root().as_bytes()).into(), claimed_size);
                let theirs = claimed_index < claimed_size
                    && root
                        .verify_inclusion(&index.to_be_bytes().to_vec(), claimed_index, &InclusionProof::from_bytes(flat(&path)))
                        .is_ok();
                assert_eq!(ours.is_ok(), theirs, "({index}, {size}) as ({claimed_index}, {claimed_size})");
            }
        }
    }
}

#[test]
fn one_flipped_bit_anywhere_fails() {
    let flip = |hash: &Digest, bit: usize| {
        let mut bytes = *hash.as_bytes();
        bytes[bit / 8] ^= 1 << (bit % 8);
        Digest::from(bytes)
    };
    for size in [2_u64, 3, 7, 8, 13] {
        let tree = Tree::from_leaves(leaves(size));
        for index in 0..size {
            let (path, root, leaf) = (tree.path(index).unwrap(), tree.root(), tree.layer(0)[index as usize].into());
            for bit in 0..256 {
                assert!(path::verify(&flip(&leaf, bit), index, size, &path, &root).is_err());
                assert!(path::verify(&leaf, index, size, &path, &flip(&root, bit)).is_err());
                for at in 0..path.len() {
                    let mut bent = path.clone();
                    bent[at] = flip(&bent[at], bit);
                    assert!(path::verify(&leaf, index, size, &bent, &root).is_err());
                }
            }
        }
    }
}

#[test]
fn trailing_and_missing_hashes_fail() {
    for size in 1..=40_u64 {
        let tree = Tree::from_leaves(leaves(size));
        for index in 0..size {
            let (path, root, leaf) = (tree.path(index).unwrap(), tree.root(), tree.layer(0)[index as usize].into());
            for extra in [Digest::ZERO, root, leaf] {
                let longer = [path.clone(), vec![extra]].concat();
                assert_eq!(path::verify(&leaf, index, size, &longer, &root), Err(PathError::TooLong));
            }
            if let Some((_, shorter)) = path.split_last() {
                assert_eq!(path::verify(&leaf, index, size, shorter, &root), Err(PathError::TooShort));
            }
            assert_eq!(path::verify(&leaf, size, size, &path, &root), Err(PathError::OutOfRange));
            assert_eq!(path::verify(&leaf, u64::MAX, size, &path, &root), Err(PathError::OutOfRange));
        }
    }
    assert_eq!(path::root(&Digest::ZERO, 0, 0, &[]), Err(PathError::OutOfRange));
    assert_eq!(path::root(&Digest::ZERO, 0, u64::MAX, &[]), Err(PathError::TooShort));
}

/// What `rs_merkle` lets through, and why it is an oracle for building alone.
#[test]
fn the_forgeries_that_rs_merkle_accepts_fail_here() {
    let tree = Tree::from_leaves(leaves(4));
    let (root, fake) = (tree.root(), [0xfa; 32]);
    let theirs = MerkleTree::<Rfc9162>::from_leaves(&leaves(4)).proof(&[0, 1]);
    let leaf = leaves(4)[0];
    assert!(theirs.verify(root.into(), &[0, 1, 1], &[leaf, leaves(4)[1], fake], 4), "the known duplicate-index forgery");
    for index in 0..4 {
        assert!(path::verify(&fake.into(), index, 4, &tree.path(index).unwrap(), &root).is_err());
    }
    let path = [tree.path(0).unwrap(), vec![Digest::ZERO]].concat();
    let proof = MerkleProof::<Rfc9162>::try_from(flat(&path)).unwrap();
    assert!(proof.verify(root.into(), &[0], &[leaf], 4), "the known trailing hash");
    assert!(path::verify(&leaf.into(), 0, 4, &path, &root).is_err());
}

#[test]
fn an_interior_node_is_no_leaf() {
    let tree = Tree::from_leaves(leaves(8));
    let interior = Digest::from(tree.layer(1)[1]);
    // As a bare hash it passes in a tree of half the size: so the leaf must come from the entry.
    let path = tree.path(2).unwrap();
    assert_eq!(path::verify(&interior, 1, 4, &path[1..], &tree.root()), Ok(()));
    let (left, right) = (tree.layer(0)[2], tree.layer(0)[3]);
    assert_ne!(merkle::leaf_hash(&[left, right].concat()), interior);
    let entry = Entry { digest: left.into(), salt: right[..16].try_into().unwrap() };
    assert!(path::verify(&entry.leaf(), 1, 4, &path[1..], &tree.root()).is_err());
}

fn path_from_tiles(tree: &Tree, index: u64) -> Vec<Digest> {
    let stored: std::collections::HashMap<TileId, Vec<u8>> =
        tile::tiles(tree).map(|(id, hashes)| (id, hashes.concat())).collect();
    let ids: Vec<_> = tile::path_tiles(tree.size(), index).collect();
    let tiles: Vec<_> = ids.iter().map(|id| tile::from_bytes(&stored[id]).unwrap()).collect();
    tile::path(tree.size(), index, &tiles).unwrap()
}

#[test]
fn tiles_give_the_tree_s_paths() {
    for size in (1..=20).chain([255, 256, 257, 258, 511, 512, 513, 514, 65_535, 65_536, 65_537, 131_329]) {
        let tree = Tree::from_leaves(leaves(size));
        let step = (size / 97).max(1) as usize;
        let edges = [0, 1, 254, 255, 256, 257, 65_279, 65_280, 65_535, 65_536, size.saturating_sub(2), size - 1];
        for index in (0..size).step_by(step).chain(edges).filter(|index| *index < size) {
            assert_eq!(Some(path_from_tiles(&tree, index)), tree.path(index), "{index} of {size}");
        }
    }
}

#[test]
fn tiles_have_the_shape_that_is_documented() {
    assert_eq!([0, 1, 256, 257, 65_536, 65_537, 1 << 24, (1 << 24) + 1].map(tile::levels), [0, 1, 1, 2, 2, 3, 3, 4]);
    assert_eq!(tile::levels(u64::MAX), 8);
    let width = |size, level, index| tile::width(size, TileId { level, index });
    assert_eq!(width(257, 0, 0), Some(256));
    assert_eq!(width(257, 0, 1), Some(1));
    assert_eq!(width(257, 0, 2), None);
    assert_eq!(width(257, 1, 0), Some(2));
    assert_eq!(width(257, 2, 0), None);
    assert_eq!(width(u64::MAX, 0, u64::MAX), None);
    for size in [1_u64, 256, 257, 600, 65_537] {
        let tree = Tree::from_leaves(leaves(size));
        for (id, hashes) in tile::tiles(&tree) {
            assert_eq!(width(size, id.level, id.index), Some(hashes.len()));
        }
        let stored: usize = tile::tiles(&tree).map(|(_, hashes)| hashes.len()).sum();
        let expected: usize = (0..tile::levels(size)).map(|level| tree.layer(8 * level).len()).sum();
        assert_eq!(stored, expected);
    }
}

#[test]
fn the_parent_of_a_tile_is_its_node_in_the_level_above() {
    for size in (1..=600).chain([65_536, 65_537, 65_800]) {
        let tree = Tree::from_leaves(leaves(size));
        for (id, hashes) in tile::tiles(&tree) {
            let above = match tree.layer(8 * (id.level + 1)) {
                [] => tree.root().into(),
                layer => layer[id.index as usize],
            };
            assert_eq!(tile::parent(hashes), Some(above), "{size} leaves, {id:?}");
        }
    }
    assert_eq!(tile::parent(&[]), None);
    assert_eq!(tile::parent(&[[0; 32]; 257]), None);
}

#[test]
fn wrong_tiles_are_refused() {
    let tree = Tree::from_leaves(leaves(300));
    let (first, second) = (&tree.layer(0)[256..], tree.layer(8));
    assert!(tile::path(300, 299, &[first, second]).is_ok());
    assert_eq!(tile::path(300, 300, &[first, second]), Err(TileError::OutOfRange));
    assert_eq!(tile::path(300, 299, &[first]), Err(TileError::Count { expected: 2, found: 1 }));
    assert_eq!(tile::path(300, 299, &[&first[1..], second]), Err(TileError::Width { level: 0, expected: 44, found: 43 }));
    assert_eq!(tile::path(300, 0, &[first, second]), Err(TileError::Width { level: 0, expected: 256, found: 44 }));
    assert_eq!(tile::path(300, 299, &[first, &second[1..]]), Err(TileError::Width { level: 1, expected: 2, found: 1 }));
    for len in [0, 31, 33, 257 * 32] {
        assert_eq!(tile::from_bytes(&vec![0; len]), Err(TileError::Bytes(len)));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn random_sizes(size in 1_u64..3000, at in any::<proptest::sample::Index>()) {
        let tree = Tree::from_leaves(leaves(size));
        let index = at.index(size as usize) as u64;
        let path = tree.path(index).unwrap();
        prop_assert_eq!(&path_from_tiles(&tree, index), &path);
        let leaf = tree.layer(0)[index as usize].into();
        prop_assert_eq!(path::verify(&leaf, index, size, &path, &tree.root()), Ok(()));
        // Another index with the same path and size never passes.
        let other = (index + 1) % size;
        prop_assert!(size == 1 || path::verify(&leaf, other, size, &path, &tree.root()).is_err());
    }

    #[test]
    fn arbitrary_paths_never_panic(index: u64, size: u64, path in prop::collection::vec(any::<[u8; 32]>(), 0..70)) {
        let path: Vec<Digest> = path.into_iter().map(Digest::from).collect();
        prop_assert!(path::verify(&Digest::ZERO, index, size, &path, &Digest::ZERO).is_err());
    }
}
