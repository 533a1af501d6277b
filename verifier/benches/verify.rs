//! `sceau-verify --many` on many receipts, beside what it cannot be faster than: bare parsing of the same bytes into the same
//! types, and bare hashing of what verification has to hash, on as many threads.
//!
//! `cargo bench -p sceau-verifier --bench verify -- [--receipts 100000] [--batches 100] [--file PATH] [--json]`
//!
//! `--file` keeps the receipts, or takes those it kept: making a batch's evidence takes 20 ms.

#[path = "../tests/verifier/support/batch.rs"]
#[expect(dead_code, reason = "the tests look for receipts by document")]
mod batch;
#[path = "../tests/verifier/support/chain.rs"]
mod chain;

use std::collections::BTreeSet;
use std::fs::File;
use std::hint::black_box;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use sceau_verifier::merkle::{leaf_hash, node_hash};
use sceau_verifier::{Anchor, Receipt, cli, evm};
use serde_json::json;

/// Lines or batches that a thread takes at once where the command is not.
const AT_ONCE: usize = 32;

/// Rounds of each; the fastest counts.
const ROUNDS: usize = 4;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let number = |name: &str, default: u64| match arguments.iter().position(|argument| argument == name) {
        Some(place) => arguments[place + 1].parse().expect("a number"),
        None => default,
    };
    let (receipts, batches) = (number("--receipts", 100_000), number("--batches", 100));
    let threads = std::thread::available_parallelism().expect("a number").get();
    let folder = tempfile::tempdir().expect("a folder");
    let kept = arguments.iter().position(|argument| argument == "--file").map(|place| PathBuf::from(&arguments[place + 1]));
    let path = kept.unwrap_or_else(|| folder.path().join("receipts.jsonl"));
    if !path.exists() {
        write(&path, receipts, batches, threads);
    }
    let bytes = std::fs::read(&path).expect("the file just written");
    let lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
    assert_eq!(lines.len() as u64, receipts, "of the file");
    let blocks: BTreeSet<String> = lines.iter().map(|line| parsed(line).anchors[0].block_hash.to_string()).collect();
    assert_eq!(blocks.len() as u64, batches, "of the file");

    let on_all = |each: &(dyn Fn(&[u8]) + Sync)| timed(&|| on_all_cores(&lines, threads, &|_, line| each(line)));
    // In turn, the fastest of each: what else the machine does hits all of them.
    let mut best = [f64::INFINITY; 3];
    for _ in 0..ROUNDS {
        let times = [
            on_all(&|line| drop(black_box(parsed(line)))),
            on_all(&|line| hash(&parsed(line))),
            timed(&|| many(&path, &blocks, receipts)),
        ];
        best.iter_mut().zip(times).for_each(|(best, time)| *best = best.min(time));
    }
    let [parse, limit, value] = best.map(|seconds| receipts as f64 / seconds);
    let each = bytes.len() as u64 / receipts;
    if arguments.iter().any(|argument| argument == "--json") {
        let facts = json!({"receipts": receipts, "batches": batches, "bytes_each": each, "threads": threads, "parsing": parse});
        let row = json!({"case": "sceau-verify --many", "value": value, "unit": "/s", "against": "parsing and hashing", "limit": limit,
            "ratio": value / limit, "aim": {"at_least": 0.8}, "reached": value >= 0.8 * limit});
        println!("{}", json!({"bench": "verify", "facts": facts, "rows": [row]}));
        return;
    }
    println!("{receipts} receipts of {batches} batches, {each} bytes each, {threads} threads; receipts a second:");
    println!("  bare parsing                   {parse:>10.0}");
    println!("  limit: parsing and hashing     {limit:>10.0}");
    println!("  sceau-verify --many            {value:>10.0}   ratio {:.3}   aim ≥ 0.8", value / limit);
}

fn timed(work: &dyn Fn()) -> f64 {
    let begun = Instant::now();
    work();
    begun.elapsed().as_secs_f64()
}

/// Writes receipts of all batches in turn, one a line.
fn write(path: &Path, receipts: u64, batches: u64, threads: usize) {
    let each = receipts.div_ceil(batches);
    let made: Vec<OnceLock<(batch::Sealed, Anchor)>> = (0..batches).map(|_| OnceLock::new()).collect();
    // A state of some thousand accounts for each batch: that takes longer than all that is measured.
    on_all_cores(&made, threads, &|at, made| {
        let n = at as u64;
        let sealed = batch::seal(1 + n, each);
        let block = chain::Block {
            number: 1_000 + n,
            time: 1_790_000_000 + 12 * n,
            neighbours: 5_000,
            transactions: 150,
            ..Default::default()
        };
        let anchor = block.anchor(&sealed.receipt(1, Vec::new()).statement());
        let _ = made.set((sealed, anchor));
    });
    let made: Vec<_> = made.into_iter().filter_map(OnceLock::into_inner).collect();
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path).expect("a file"));
    for n in 0..receipts {
        let (sealed, anchor) = &made[(n % batches) as usize];
        let receipt = sealed.receipt(n / batches + 1, vec![anchor.clone()]);
        file.write_all(&receipt.to_bytes()).and_then(|()| file.write_all(b"\n")).expect("room");
    }
    file.flush().expect("room");
}

/// The command itself, from the file to the summary.
fn many(path: &Path, blocks: &BTreeSet<String>, receipts: u64) {
    let mut arguments = vec!["--many".to_owned(), "--any-document".to_owned(), path.to_str().expect("a name").to_owned()];
    arguments.extend(blocks.iter().flat_map(|block| ["--block-hash".to_owned(), block.clone()]));
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let status = cli::run(arguments.into_iter(), &mut out, &mut err);
    let text = String::from_utf8_lossy(&out);
    assert!(status == 0 && text.starts_with(&format!("{receipts} receipts: {receipts} verified, ")), "{status}: {text}");
}

fn parsed(line: &[u8]) -> Receipt {
    serde_json::from_slice(line).expect("a receipt")
}

/// As many SHA-256 and Keccak-256 as verification needs, over the same bytes.
fn hash(receipt: &Receipt) {
    black_box(leaf_hash(&receipt.entry().to_bytes()));
    black_box(leaf_hash(receipt.batch.header.as_bytes()));
    for paths in [&receipt.tree.path, &receipt.batch.path] {
        for node in paths {
            black_box(node_hash(node.as_bytes(), node.as_bytes()));
        }
    }
    let keccak = |bytes: &[u8]| {
        black_box(evm::keccak256(bytes));
    };
    for anchor in &receipt.anchors {
        let evidence = anchor.evidence.as_ref().expect("evidence");
        keccak(evidence.header.as_ref());
        // The paths of account and record, the latter from its storage key.
        keccak(anchor.registry.as_bytes());
        keccak(&[0; 64]);
        keccak(&[0; 32]);
        for node in evidence.account_proof.iter().chain(&evidence.storage_proof).chain(&evidence.transaction.proof) {
            keccak(node.as_ref());
        }
        keccak(evidence.transaction.raw.as_ref());
    }
}

/// Calls `each` with every item and its place.
fn on_all_cores<T: Sync>(items: &[T], threads: usize, each: &(dyn Fn(usize, &T) + Sync)) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let first = next.fetch_add(AT_ONCE, Ordering::Relaxed);
                    let Some(rest) = items.get(first..).filter(|rest| !rest.is_empty()) else { return };
                    (first..).zip(rest).take(AT_ONCE).for_each(|(at, item)| each(at, item));
                }
            });
        }
    });
}
