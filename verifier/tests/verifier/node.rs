//! Asking a node: a tiny HTTP server answers JSON-RPC from fixed answers.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};

use sceau_verifier::registry::{anchor_call, anchors_call};
use sceau_verifier::{Anchor, Bytes, Receipt};
use serde_json::{Value, json};

use crate::command::{command, json as answer, status, stdout};
use crate::support::cases::plain;
use crate::support::decisions::approved;

/// Answers by method and first parameter (of `eth_call`: its data), else by method. A text is sent as it is, not as JSON.
type Answers = HashMap<String, Value>;

/// Serves on a free port of the loopback interface until the test process ends.
fn serve(answers: Answers) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let _ = respond(stream.unwrap(), &answers);
        }
    });
    url
}

fn respond(mut stream: TcpStream, answers: &Answers) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        if line.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let request: Value = serde_json::from_slice(&body).unwrap();
    let method = request["method"].as_str().unwrap();
    let first = &request["params"][0];
    let key = format!("{method} {}", first.as_str().or(first["data"].as_str()).unwrap_or_default());
    let text = match answers.get(&key).or_else(|| answers.get(method)) {
        Some(Value::String(raw)) if raw.starts_with("RAW") => raw[3..].to_owned(),
        Some(Value::Object(error)) if error.contains_key("code") => {
            json!({"jsonrpc": "2.0", "id": 1, "error": error}).to_string()
        }
        Some(result) => json!({"jsonrpc": "2.0", "id": 1, "result": result}).to_string(),
        None => json!({"jsonrpc": "2.0", "id": 1, "error": {"code": -32601, "message": format!("no {key}")}}).to_string(),
    };
    write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{text}", text.len())
}

fn word(value: u64) -> String {
    format!("{value:064x}")
}

/// What an honest node says about the anchor of `receipt`.
fn honest(receipt: &Receipt) -> Answers {
    let Anchor { chain, registry, tx_hash, block_number, block_hash, block_time, .. } = &receipt.anchors[0];
    let block =
        |number: u64| json!({"number": format!("{number:#x}"), "hash": block_hash, "timestamp": format!("{block_time:#x}")});
    let record = [*block_time, *block_number, receipt.tree.size, receipt.batch.number].map(word).concat();
    let input = Bytes(anchor_call(&receipt.statement()).to_vec());
    let entries = [
        ("eth_chainId", json!(format!("{:#x}", chain.id()))),
        ("eth_getBlockByNumber finalized", block(block_number + 30)),
        ("eth_getBlockByNumber latest", block(block_number + 40)),
        ("eth_getBlockByNumber 0xc", block(*block_number)),
        ("eth_call", json!(format!("0x{record}"))),
        (
            "eth_getTransactionReceipt",
            json!({"status": "0x1", "blockHash": block_hash, "to": registry, "transactionHash": tx_hash}),
        ),
        ("eth_getTransactionByHash", json!({"input": input, "to": registry})),
    ];
    entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

/// The code and exit status for a receipt against these answers.
fn ask(receipt: &Receipt, answers: Answers, arguments: &[&str]) -> (String, i32) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("receipt.json");
    std::fs::write(&path, receipt.to_bytes()).unwrap();
    let mut command = command();
    command.arg("--digest").arg(receipt.document.digest.to_string()).arg(path).arg("--rpc").arg(serve(answers)).args(arguments);
    let (answer, status) = answer(&mut command);
    (answer["code"].as_str().unwrap().to_owned(), status)
}

fn bare() -> Receipt {
    let mut receipt = plain();
    receipt.anchors[0].evidence = None;
    receipt
}

#[test]
fn an_honest_node_confirms_with_and_without_evidence() {
    for receipt in [plain(), bare()] {
        assert_eq!(ask(&receipt, honest(&receipt), &[]), ("ok".into(), 0));
        let anchor = &receipt.anchors[0];
        let (registry, hash) = (anchor.registry.to_string(), anchor.block_hash.to_string());
        let pins = ["--registry", &registry, "--chain", "eip155:31337", "--block-hash", &hash];
        assert_eq!(ask(&receipt, honest(&receipt), &pins), ("ok".into(), 0));
        let other = format!("0x{}", "11".repeat(32));
        assert_eq!(ask(&receipt, honest(&receipt), &["--block-hash", &other]), ("block_not_trusted".into(), 1));
    }
}

/// Each answer replaced in turn: what must come of it, for a receipt without evidence.
#[test]
fn every_other_answer_has_its_code() {
    let receipt = bare();
    let Anchor { registry, block_hash, .. } = receipt.anchors[0].clone();
    let (block, finalized) = ("eth_getBlockByNumber 0xc", "eth_getBlockByNumber finalized");
    let (call, paid, sent) = ("eth_call", "eth_getTransactionReceipt", "eth_getTransactionByHash");
    let time = "0x6ab13b80";
    let record = |parts: [u64; 4]| json!(format!("0x{}", parts.map(word).concat()));
    let other = format!("0x{}", "22".repeat(32));
    let hash = block_hash.to_string();
    for (method, value, code, status) in [
        ("eth_chainId", json!("0x1"), "node_on_other_chain", 4),
        ("eth_chainId", json!(31337), "node_bad_answer", 4),
        ("eth_chainId", json!("0x"), "node_bad_answer", 4),
        ("eth_chainId", json!("RAW<html>"), "node_bad_answer", 4),
        ("eth_chainId", json!("RAW{}"), "node_bad_answer", 4),
        ("eth_chainId", json!("RAW[]"), "node_bad_answer", 4),
        ("eth_chainId", json!({"code": -1, "message": "\u{1b}[2J"}), "node_bad_answer", 4),
        (finalized, json!({"number": "0xb", "hash": other, "timestamp": "0x1"}), "not_final", 3),
        (finalized, Value::Null, "node_bad_answer", 4),
        (finalized, json!({"code": -32602, "message": "no such tag"}), "node_bad_answer", 4),
        (block, Value::Null, "node_behind", 4),
        (block, json!({"number": "0xc", "hash": other, "timestamp": time}), "block_not_on_chain", 1),
        (block, json!({"number": "0xc", "hash": hash, "timestamp": "0x1"}), "block_not_on_chain", 1),
        (block, json!({"number": "0xd", "hash": hash, "timestamp": time}), "node_bad_answer", 4),
        (block, json!({"number": "0xc"}), "node_bad_answer", 4),
        (call, json!("0x"), "record_absent", 1),
        (call, record([0, 0, 0, 0]), "record_absent", 1),
        (call, record([1, 12, 14, 7]), "record_differs", 1),
        (call, record([1_790_000_000, 11, 14, 7]), "record_differs", 1),
        (call, record([1_790_000_000, 12, 15, 7]), "record_differs", 1),
        (call, record([1_790_000_000, 12, 14, 8]), "record_differs", 1),
        (call, json!("0x00"), "node_bad_answer", 4),
        (call, json!(format!("0x{}", "ff".repeat(128))), "node_bad_answer", 4),
        (paid, Value::Null, "transaction_unknown", 4),
        (paid, json!({"status": "0x0", "blockHash": hash, "to": registry}), "transaction_failed", 1),
        (paid, json!({"status": "0x1", "blockHash": other, "to": registry}), "transaction_differs", 1),
        (paid, json!({"status": "0x1", "blockHash": hash, "to": null}), "transaction_differs", 1),
        (paid, json!({"blockHash": hash, "to": registry}), "node_bad_answer", 4),
        (sent, Value::Null, "transaction_unknown", 4),
        (sent, json!({"input": "0x"}), "transaction_differs", 1),
        (sent, json!({}), "node_bad_answer", 4),
    ] {
        let mut answers = honest(&receipt);
        answers.insert(method.into(), value.clone());
        assert_eq!(ask(&receipt, answers, &[]), (code.into(), status), "{method} {value}");
    }
}

/// What an honest node says about a receipt's decision, beside what it says about the document.
fn honest_about_both(receipt: &Receipt) -> Answers {
    let nested = &receipt.decisions[0].receipt;
    let (tx_hash, root) = (nested.anchors[0].tx_hash, nested.tree.root);
    let mut answers = honest(receipt);
    for (key, value) in honest(nested) {
        let key = match key.as_str() {
            "eth_call" => format!("{key} {}", Bytes(anchors_call(&root).to_vec())),
            "eth_getTransactionReceipt" | "eth_getTransactionByHash" => format!("{key} {tx_hash}"),
            "eth_getBlockByNumber 0xc" => format!("eth_getBlockByNumber {:#x}", nested.anchors[0].block_number),
            _ => continue,
        };
        answers.insert(key, value);
    }
    answers
}

#[test]
fn a_node_is_asked_about_decisions_too() {
    let receipt = approved();
    let mut bare = receipt.clone();
    for anchor in bare.anchors.iter_mut().chain(&mut bare.decisions[0].receipt.anchors) {
        anchor.evidence = None;
    }
    for receipt in [&receipt, &bare] {
        assert_eq!(ask(receipt, honest_about_both(receipt), &[]), ("ok".into(), 0));
    }
    let call = format!("eth_call {}", Bytes(anchors_call(&receipt.decisions[0].receipt.tree.root).to_vec()));
    let sent = format!("eth_getTransactionReceipt {}", receipt.decisions[0].receipt.anchors[0].tx_hash);
    for (key, value, code, status) in [
        (call.as_str(), json!("0x"), "decision_not_proven", 1),
        ("eth_getBlockByNumber 0xd", Value::Null, "decision_not_checked", 4),
        (&sent, Value::Null, "decision_not_checked", 4),
        (
            "eth_getBlockByNumber finalized",
            json!({"number": "0xc", "hash": format!("0x{}", "22".repeat(32)), "timestamp": "0x1"}),
            "decision_not_final",
            3,
        ),
    ] {
        let mut answers = honest_about_both(&bare);
        answers.insert(key.into(), value);
        assert_eq!(ask(&bare, answers, &[]), (code.into(), status), "{key}");
    }
}

#[test]
fn evidence_stands_in_for_a_transaction_the_node_forgot() {
    let mut answers = honest(&plain());
    answers.insert("eth_getTransactionReceipt".into(), Value::Null);
    assert_eq!(ask(&plain(), answers.clone(), &[]), ("ok".into(), 0));
    assert_eq!(ask(&bare(), answers, &[]), ("transaction_unknown".into(), 4));
}

#[test]
fn evidence_is_checked_even_when_the_node_agrees() {
    let mut receipt = plain();
    receipt.anchors[0].evidence.as_mut().unwrap().storage_proof.pop();
    assert_eq!(ask(&receipt, honest(&receipt), &[]), ("record_not_proven".into(), 1));
}

#[test]
fn confirmations_take_the_place_of_the_tag() {
    let receipt = plain();
    let mut answers = honest(&receipt);
    answers.remove("eth_getBlockByNumber finalized");
    answers.insert(
        "eth_getBlockByNumber latest".into(),
        json!({"number": "0xe", "hash": receipt.anchors[0].block_hash, "timestamp": "0x1"}),
    );
    assert_eq!(ask(&receipt, answers.clone(), &["--confirmations", "3"]), ("ok".into(), 0));
    assert_eq!(ask(&receipt, answers.clone(), &["--confirmations", "4"]), ("not_final".into(), 3));
    assert_eq!(ask(&receipt, answers, &[]), ("node_bad_answer".into(), 4));
}

#[test]
fn an_unreachable_node_settles_nothing_and_its_address_stays_secret() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("receipt.json");
    std::fs::write(&path, plain().to_bytes()).unwrap();
    let digest = plain().document.digest.to_string();
    let url = format!("http://127.0.0.1:{port}/v3/secretkey");
    for json in [None, Some("--json")] {
        let output = command().args(["--digest", &digest]).arg(&path).args(["--rpc", &url]).args(json).output().unwrap();
        assert_eq!(status(&output), 4);
        let text = stdout(&output) + &String::from_utf8_lossy(&output.stderr);
        assert!(text.contains("node_unreachable") && !text.contains("secretkey"), "{text}");
    }
    // A wrong document is invalid, whatever the node does not say.
    let other = "00".repeat(32);
    let output = command().args(["--digest", &other]).arg(&path).args(["--rpc", &url]).output().unwrap();
    assert_eq!(status(&output), 1);
}
