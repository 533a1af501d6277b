//! The committed vectors: the generator must reproduce them, this verifier and the second one must agree with them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use sceau_verifier::verify::verify_bytes;
use sceau_verifier::{Code, Tree, merkle};
use serde_json::{Map, Value, json};

use crate::support::cases::{ALL, Case};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors")
}

fn print(case: &Case) -> String {
    let mut object = Map::new();
    match std::str::from_utf8(&case.receipt) {
        Ok(text) => object.insert("receipt".into(), text.into()),
        Err(_) => {
            let hex: String = case.receipt.iter().map(|byte| format!("{byte:02x}")).collect();
            object.insert("receipt_hex".into(), hex.into())
        }
    };
    object.insert("document_digest".into(), json!(case.document));
    let mut trust = Map::new();
    trust.insert("block_hashes".into(), json!(case.trust.block_hashes));
    if let Some(registry) = case.trust.registry {
        trust.insert("registry".into(), json!(registry));
    }
    if let Some(chain) = case.trust.chain {
        trust.insert("chain".into(), json!(chain));
    }
    object.insert("trust".into(), trust.into());
    object.insert("expect".into(), json!({"verdict": case.code.verdict(), "code": case.code}));
    format!("{}\n", Value::Object(object))
}

fn trees() -> String {
    let leaves: Vec<[u8; 32]> = (0..64_u64).map(|n| merkle::leaf_hash(&n.to_be_bytes()).into()).collect();
    let tree = |size: usize| Tree::from_leaves(leaves[..size].to_vec());
    let roots: Vec<_> = (1..=64).map(|size| tree(size).root()).collect();
    let mut paths = Vec::new();
    for size in [1, 2, 3, 5, 6, 7, 8, 11, 33, 64] {
        for (index, leaf) in (0_u64..).zip(&leaves[..size]) {
            let leaf = sceau_verifier::Digest::from(*leaf);
            paths.push(json!({"size": size, "index": index, "leaf": leaf, "path": tree(size).path(index)}));
        }
    }
    let data = "leaf i = SHA-256(0x00 || i as 8 bytes, big-endian); roots[n-1] is the root of the first n leaves";
    format!("{}\n", json!({"kind": "trees", "data": data, "roots": roots, "paths": paths}))
}

fn generate() -> BTreeMap<String, String> {
    let mut files: BTreeMap<_, _> = ALL.iter().map(|case| (format!("{}.json", case.name), print(case))).collect();
    assert_eq!(files.len(), ALL.len(), "two vectors have the same name");
    files.insert("trees.json".into(), trees());
    files
}

/// `SCEAU_WRITE_VECTORS=1` writes them instead.
#[test]
fn the_generator_reproduces_the_committed_vectors() {
    let files = generate();
    if std::env::var_os("SCEAU_WRITE_VECTORS").is_some() {
        std::fs::create_dir_all(folder()).unwrap();
        for (name, text) in &files {
            std::fs::write(folder().join(name), text).unwrap();
        }
    }
    let names = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut found: Vec<_> = names.filter(|name| name.ends_with(".json")).collect();
    found.sort();
    assert_eq!(found, files.keys().cloned().collect::<Vec<_>>());
    for (name, text) in files {
        assert!(std::fs::read_to_string(folder().join(&name)).unwrap() == text, "{name} is not what the generator makes");
    }
}

#[test]
fn this_verifier_agrees() {
    for case in ALL.iter() {
        let report = verify_bytes(&case.document, &case.receipt, &case.trust);
        assert_eq!(report.code, case.code, "{}: {}", case.name, report.detail);
        assert_eq!(report.verdict, case.code.verdict(), "{}", case.name);
    }
}

#[test]
fn every_offline_code_has_a_vector() {
    let seen: Vec<_> = ALL.iter().map(|case| case.code).collect();
    for code in Code::ALL {
        // Those of promises have vectors of their own.
        assert!((20..=24).contains(&code.step()) || code.step() >= 29 || seen.contains(code), "{code}");
    }
}

#[test]
fn names_say_what_to_expect() {
    for case in ALL.iter() {
        let prefix = case.name.split('-').next().unwrap();
        let verdict = case.code.verdict().as_str();
        let expected = match verdict {
            "verified" => "valid",
            "not_yet" => "notyet",
            "cannot_tell" => "unknown",
            _ => "invalid",
        };
        assert_eq!(prefix, expected, "{}", case.name);
    }
}

#[test]
fn the_second_verifier_agrees() {
    second_verifier_agrees(&folder(), generate().len());
}

/// The same answers to receipts that nobody chose: mangled ones, with whatever code this verifier gives.
#[test]
fn the_second_verifier_agrees_on_mangled_receipts() {
    let folder = tempfile::tempdir().unwrap();
    let mut state = 0x5ce4_u64;
    let mut draw = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let alphabet = b"0123456789abcdef0123456789abcdef{}[]\",:.-+eE\\ux \n\0\x7f";
    let mut codes = BTreeMap::new();
    for n in 0..600 {
        let case = &ALL[draw(ALL.len())];
        let mut receipt = case.receipt.clone();
        for _ in 0..=draw(2) {
            let at = draw(receipt.len().max(1)).min(receipt.len());
            let end = (at + [0, 1, 1, 1, 1, 2, 66][draw(7)]).min(receipt.len());
            let insert: Vec<u8> = (0..[0, 1, 1, 1, 1, 2][draw(6)]).map(|_| alphabet[draw(alphabet.len())]).collect();
            receipt.splice(at..end, insert);
        }
        let code = verify_bytes(&case.document, &receipt, &case.trust).code;
        *codes.entry(code.as_str()).or_insert(0) += 1;
        let mangled = Case { name: n.to_string(), receipt, document: case.document, trust: case.trust.clone(), code };
        std::fs::write(folder.path().join(format!("{n}.json")), print(&mangled)).unwrap();
    }
    assert!(codes.len() > 8, "too few kinds of answers to mean anything: {codes:?}");
    second_verifier_agrees(folder.path(), 600);
}

pub fn second_verifier_agrees(vectors: &Path, count: usize) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/check.py");
    let output = Command::new("python3").arg("-B").arg(script).arg("--vectors").arg(vectors).output();
    let output = output.expect("python3 is needed to run the second verifier, tests/check.py");
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    assert!(text.contains(&format!("{count} vectors, 0 disagreements")), "{text}");
}
