//! This package's tree beside other libraries' trees over the same entries: building, 1,000 inclusion paths, their check.
//! Each tree has a process of its own, so that peak memory is its own.
//!
//! `cargo bench -p sceau-verifier --bench peers -- [--leaves 100000] [--tree NAME]` prints one JSON object a tree;
//! `benches/peers/run` adds the trees of other languages and prints the table.

use std::hint::black_box;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use ct_merkle::mem_backed_tree::MemoryBackedTree;
use rs_merkle::{Hasher, MerkleTree};
use sceau_verifier::tile::{self, TileId};
use sceau_verifier::{Digest, Tree, merkle, path};

/// Paths made and checked.
const PATHS: u64 = 1_000;

type Entry = [u8; 48];
type Measured = fn(u64) -> Figures;

const TREES: [(&str, Measured); 6] = [
    ("bare", bare),
    ("sceau", sceau),
    ("sceau-threads", sceau_threads),
    ("sceau-tiles", sceau_tiles),
    ("rs_merkle", rs_merkle),
    ("ct-merkle", ct_merkle),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let after = |name: &str| arguments.iter().position(|one| one == name).and_then(|place| arguments.get(place + 1));
    let Ok(leaves) = after("--leaves").map_or(Ok(100_000), |text| text.parse::<u64>()) else {
        eprintln!("--leaves wants a number");
        return ExitCode::from(2);
    };
    let Some(name) = after("--tree") else { return each(leaves) };
    let Some((_, measured)) = TREES.iter().find(|(known, _)| known == name) else {
        eprintln!("--tree is one of {}", TREES.map(|(known, _)| known).join(", "));
        return ExitCode::from(2);
    };
    let idle = peak();
    let figures = measured(leaves.max(2));
    println!(
        "{}",
        serde_json::json!({
            "tree": name, "leaves": leaves, "paths": PATHS, "build_s": figures.build.as_secs_f64(),
            "prove_s": figures.prove.as_secs_f64(), "verify_s": figures.verify.as_secs_f64(), "root": figures.root.to_string(),
            "peak_kib": figures.peak, "idle_kib": idle,
        })
    );
    ExitCode::SUCCESS
}

/// Runs itself once for each tree.
fn each(leaves: u64) -> ExitCode {
    let program = std::env::current_exe().expect("the path of this program");
    for (name, _) in TREES {
        let ended = Command::new(&program).args(["--leaves", &leaves.to_string(), "--tree", name]).status();
        if !ended.is_ok_and(|status| status.success()) {
            eprintln!("{name} failed");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

struct Figures {
    build: Duration,
    prove: Duration,
    verify: Duration,
    root: Digest,
    /// Peak resident memory after the first round, KiB; 0 where the system does not tell.
    peak: u64,
}

/// What is hashed into leaf `n`: as long as an entry of a batch.
fn entry(n: u64) -> Entry {
    let mut entry = [7; 48];
    entry[..8].copy_from_slice(&n.to_be_bytes());
    entry
}

fn entries(leaves: u64) -> impl Iterator<Item = Entry> {
    (0..leaves).map(entry)
}

fn leaf_hashes(leaves: u64) -> Vec<[u8; 32]> {
    entries(leaves).map(|entry| merkle::leaf_hash(&entry).into()).collect()
}

/// Which leaves are proven: far apart, and the same in every language.
fn indices(leaves: u64) -> impl Iterator<Item = u64> {
    (0..PATHS).map(move |n| n * 2_654_435_761 % leaves)
}

/// The fastest of the rounds that fit into a fifth of a second, one at least and twenty at most; and the last result.
fn fastest<T>(work: impl Fn() -> T) -> (Duration, T) {
    let (begun, mut best, mut rounds) = (Instant::now(), Duration::MAX, 0);
    loop {
        let round = Instant::now();
        let result = black_box(work());
        best = best.min(round.elapsed());
        rounds += 1;
        if rounds == 20 || begun.elapsed() > Duration::from_millis(200) {
            return (best, result);
        }
    }
}

/// Peak resident memory of this process, KiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    line.and_then(|line| line.split_whitespace().nth(1)).and_then(|kib| kib.parse().ok()).unwrap_or_default()
}

/// Measures a tree. `verify` gets the entry, never its hash. Panics when a path does not prove its entry or proves another.
fn measure<T, P>(
    leaves: u64,
    build: impl Fn() -> T,
    root: impl Fn(&T) -> Digest,
    prove: impl Fn(&T, u64) -> P,
    verify: impl Fn(&T, u64, &Entry, &P) -> bool,
) -> Figures {
    let prove_all = |tree: &T| indices(leaves).map(|index| prove(tree, index)).collect::<Vec<P>>();
    let all_hold =
        |tree: &T, paths: &[P]| indices(leaves).zip(paths).all(|(index, path)| verify(tree, index, &entry(index), path));
    let peak = {
        let tree = build();
        let paths = prove_all(&tree);
        assert!(all_hold(&tree, &paths), "every path proves its entry");
        let index = indices(leaves).next().expect("one index at least");
        assert!(!verify(&tree, index, &entry(index + 1), &paths[0]), "no path proves another entry");
        peak()
    };
    let (build, tree) = fastest(build);
    let (prove, paths) = fastest(|| prove_all(&tree));
    let (verify, held) = fastest(|| all_hold(&tree, &paths));
    assert!(held);
    Figures { build, prove, verify, root: root(&tree), peak }
}

/// What no tree can go below on one thread: as many hashes, without a tree. For the paths those that their tiles' nodes take; a
/// whole tree in memory needs none. There is no root.
fn bare(leaves: u64) -> Figures {
    let hash = |leaf_hashes: u64, node_hashes: u64| {
        let mut node = [0; 32];
        for entry in entries(leaf_hashes) {
            node = black_box(merkle::leaf_hash(&entry).into());
        }
        for _ in 0..node_hashes {
            node = merkle::node_hash(&node, &node);
        }
        node
    };
    let tree = Tree::from_leaves(leaf_hashes(leaves));
    let elements = indices(leaves).map(|index| tree.path(index).expect("a leaf").len() as u64).sum();
    drop(tree);
    let in_tiles = |index| tile::path_tiles(leaves, index).filter_map(|id| tile::width(leaves, id)).map(|width| width as u64 - 1);
    let nodes = indices(leaves).flat_map(in_tiles).sum();
    let (build, _) = fastest(|| hash(leaves, leaves - 1));
    let (prove, _) = fastest(|| hash(0, nodes));
    let (verify, _) = fastest(|| hash(PATHS, elements));
    Figures { build, prove, verify, root: Digest::ZERO, peak: 0 }
}

fn holds(root: &Digest, leaves: u64, index: u64, entry: &Entry, path: &[Digest]) -> bool {
    path::verify(&merkle::leaf_hash(entry), index, leaves, path, root).is_ok()
}

fn layered(leaves: u64, build: impl Fn() -> Tree) -> Figures {
    measure(
        leaves,
        build,
        Tree::root,
        |tree, index| tree.path(index).expect("a leaf"),
        |tree, index, entry, path| holds(&tree.root(), leaves, index, entry, path),
    )
}

fn sceau(leaves: u64) -> Figures {
    layered(leaves, || Tree::with_threads(leaf_hashes(leaves), 1))
}

fn sceau_threads(leaves: u64) -> Figures {
    layered(leaves, || Tree::from_leaves(leaf_hashes(leaves)))
}

/// As a server has it: the tiles alone, in order; each path is computed from at most a handful of them.
fn sceau_tiles(leaves: u64) -> Figures {
    let build = || {
        let tree = Tree::with_threads(leaf_hashes(leaves), 1);
        let tiles: Vec<(TileId, Vec<u8>)> = tile::tiles(&tree).map(|(id, hashes)| (id, hashes.concat())).collect();
        (tree.root(), tiles)
    };
    let prove = |(_, tiles): &(Digest, Vec<(TileId, Vec<u8>)>), index| {
        let needed: Vec<_> = tile::path_tiles(leaves, index)
            .map(|id| {
                let place = tiles.binary_search_by_key(&id, |(id, _)| *id).expect("every tile");
                tile::from_bytes(&tiles[place].1).expect("whole hashes")
            })
            .collect();
        tile::path(leaves, index, &needed).expect("the right tiles")
    };
    measure(leaves, build, |tree| tree.0, prove, |(root, _), index, entry, path| holds(root, leaves, index, entry, path))
}

/// The hashing of RFC 9162 by this package's functions: what differs is the tree.
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

fn rs_merkle(leaves: u64) -> Figures {
    let root = |tree: &MerkleTree<Rfc9162>| tree.root().expect("not empty");
    measure(
        leaves,
        || MerkleTree::<Rfc9162>::from_leaves(&leaf_hashes(leaves)),
        |tree| root(tree).into(),
        |tree, index| tree.proof(&[index as usize]),
        |tree, index, entry, path| path.verify(root(tree), &[index as usize], &[Rfc9162::hash(entry)], leaves as usize),
    )
}

fn ct_merkle(leaves: u64) -> Figures {
    measure(
        leaves,
        || {
            let mut tree = MemoryBackedTree::<sha2_next::Sha256, Entry>::new();
            entries(leaves).for_each(|entry| tree.push(entry));
            tree
        },
        |tree| Digest::from(<[u8; 32]>::from(*tree.root().as_bytes())),
        |tree, index| tree.prove_inclusion(index as usize),
        |tree, index, entry, path| tree.root().verify_inclusion(entry, index, path).is_ok(),
    )
}
