//! `sceau-verify --many` on many receipts, beside what it cannot be faster than: bare parsing of the same bytes into the same
//! types, and bare hashing of what verification has to hash, on as many threads.
//!
//! `cargo bench -p sceau-verifier --bench verify -- [--receipts 100000] [--batches 100] [--json]`

#[path = "../tests/verifier/support/batch.rs"]
#[allow(dead_code)]
mod batch;
#[path = "../tests/verifier/support/chain.rs"]
#[allow(dead_code)]
mod chain;

use std::fs::File;
use std::hint::black_box;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use sceau_verifier::merkle::{leaf_hash, node_hash};
use sceau_verifier::{Receipt, cli, evm};
use serde_json::json;

/// Lines a thread takes at once where the limits are measured.
const LINES: usize = 32;

/// Rounds of each; the fastest counts.
const ROUNDS: usize = 4;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let number = |name: &str, default: u64| match arguments.iter().position(|argument| argument == name) {
        Some(place) => arguments[place + 1].parse().expect("a number"),
        None => default,
    };
    let (receipts, batches) = (number("--receipts", 100_000), number("--batches", 100));
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("receipts.jsonl");
    let blocks = write(&path, receipts, batches);
    let bytes = std::fs::read(&path).expect("the file just written");
    let lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
    let threads = std::thread::available_parallelism().expect("a number").get();

    let on_all = |each: &(dyn Fn(&[u8]) + Sync)| timed(&|| on_all_cores(&lines, threads, each));
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

/// Writes receipts of all batches in turn, one a line, and tells the anchors' blocks.
fn write(path: &Path, receipts: u64, batches: u64) -> Vec<String> {
    let each = receipts.div_ceil(batches);
    let sealed: Vec<_> = (1..=batches).map(|number| batch::seal(number, each)).collect();
    let anchors: Vec<_> = (0_u64..)
        .zip(&sealed)
        .map(|(n, sealed)| {
            let block = chain::Block {
                number: 1_000 + n,
                time: 1_790_000_000 + 12 * n,
                neighbours: 5_000,
                transactions: 150,
                ..Default::default()
            };
            block.anchor(&sealed.receipt(1, Vec::new()).statement())
        })
        .collect();
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path).expect("a file"));
    for n in 0..receipts {
        let at = (n % batches) as usize;
        let receipt = sealed[at].receipt(n / batches + 1, vec![anchors[at].clone()]);
        file.write_all(&receipt.to_bytes()).and_then(|()| file.write_all(b"\n")).expect("room");
    }
    file.flush().expect("room");
    anchors.iter().map(|anchor| anchor.block_hash.to_string()).collect()
}

/// The command itself, from the file to the summary.
fn many(path: &Path, blocks: &[String], receipts: u64) {
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

/// Calls `each` with every line.
fn on_all_cores(lines: &[&[u8]], threads: usize, each: &(dyn Fn(&[u8]) + Sync)) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(rest) = lines.get(next.fetch_add(LINES, Ordering::Relaxed)..).filter(|rest| !rest.is_empty()) {
                    rest.iter().take(LINES).for_each(|line| each(line));
                }
            });
        }
    });
}
