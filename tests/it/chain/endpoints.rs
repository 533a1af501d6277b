//! Endpoints that are gone, hang, lie, or speak another dialect.

use std::time::Duration;

use alloy::primitives::{Address, B256};
use sceau::chain::evm::Evm;
use sceau::chain::{Block, Chain, ChainError, Record};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::chain::scripted::{Says, TARGET, scripted};
use crate::support::service::lasting_port;

fn block(number: u64, hash: u8) -> Value {
    json!({
        "number": format!("{number:#x}"), "hash": B256::repeat_byte(hash), "timestamp": format!("{:#x}", 1000 + number),
        "baseFeePerGas": "0x7", "transactions": [], "somethingNew": {},
    })
}

#[tokio::test]
async fn nobody_there_is_unreachable() {
    let url = format!("http://127.0.0.1:{}/secret-api-key", lasting_port());
    let error = Evm::connect(&url, TARGET).expect("a URL").chain_id().await.expect_err("closed");
    assert!(matches!(error, ChainError::Unreachable(_)), "{error}");
    assert!(!error.to_string().contains("secret-api-key"), "{error}");
}

#[tokio::test]
async fn silence_ends_with_the_time_out() {
    // Accepts connections (the system does) and never answers.
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let evm = Evm::connect_within(&url, TARGET, Duration::from_millis(200)).expect("a URL");
    let answered = tokio::time::timeout(Duration::from_secs(60), evm.send(&[2])).await.expect("ends by itself");
    assert!(matches!(answered, Err(ChainError::Unreachable(ref why)) if why.contains("200ms")), "{answered:?}");
}

#[tokio::test]
async fn a_body_that_never_ends_ends_with_the_time_out() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.expect("accepted");
        let _request = socket.read(&mut [0; 4096]).await;
        let _head = socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n").await;
        while socket.write_all(b" ").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let evm = Evm::connect_within(&url, TARGET, Duration::from_millis(300)).expect("a URL");
    let answered = tokio::time::timeout(Duration::from_secs(60), evm.chain_id()).await.expect("ends by itself");
    assert!(matches!(answered, Err(ChainError::Unreachable(_))), "{answered:?}");
}

#[tokio::test]
async fn gateway_trouble_is_unreachable() {
    for (status, body) in [(429, "slow down"), (503, "<html>"), (502, ""), (403, "no"), (301, "elsewhere")] {
        let error = scripted(move |_, _| Says::Raw(status, body.into())).await.chain_id().await.expect_err("refused");
        assert!(matches!(error, ChainError::Unreachable(ref why) if why.contains(&status.to_string())), "{error}");
    }
    // Whatever the body of a 429 says, it says nothing about the call.
    let evm = scripted(|_, _| Says::Status(429, json!({ "code": -32000, "message": "nonce too low" }))).await;
    assert!(matches!(evm.send(&[2]).await, Err(ChainError::Unreachable(_))));
    let limited = json!({ "code": -32005, "message": "project ID request rate exceeded" });
    for status in [200, 429] {
        let limited = limited.clone();
        let evm = scripted(move |_, _| Says::Status(status, limited.clone())).await;
        assert!(matches!(evm.chain_id().await, Err(ChainError::Unreachable(_))));
    }
}

#[tokio::test]
async fn nonsense_is_garbage() {
    for body in [
        "<html>login</html>",
        "",
        "[]",
        r#"{"jsonrpc":"2.0","id":999999,"result":"0x5"}"#,
        r#"{"jsonrpc":"2.0","result":"0x5"}"#,
        r#"{"jsonrpc":"2.0","id":1}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":null}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":"five"}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":"0x10000000000000000"}"#,
    ] {
        let answered = scripted(move |_, _| Says::Raw(200, body.into())).await.chain_id().await;
        assert!(matches!(answered, Err(ChainError::Garbage(_))), "{body}: {answered:?}");
    }
}

#[tokio::test]
async fn a_refusal_is_a_refusal_under_any_status_and_keeps_no_secret() {
    for status in [200, 400, 500] {
        let error = json!({ "code": -32000, "message": "key 0123456789abcdef is not enough" });
        let error = scripted(move |_, _| Says::Status(status, error.clone())).await.chain_id().await.expect_err("refused");
        assert!(matches!(error, ChainError::Refused { method: "eth_chainId", code: -32000, .. }), "{error}");
        assert!(!error.to_string().contains("0123456789abcdef"), "{error}");
    }
}

#[tokio::test]
async fn chains_without_finality_tags_have_heads_too() {
    for missing in [
        Says::Result as fn(Value) -> Says,
        |_| Says::Error(-39001, "Unknown block"),
        |_| Says::Error(-32602, "invalid argument 0: hex string without 0x prefix"),
    ] {
        let evm = scripted(move |_, params| match params[0].as_str() {
            Some("latest") => Says::Result(block(9, 9)),
            _ => missing(Value::Null),
        })
        .await;
        let heads = evm.heads().await.expect("heads");
        assert_eq!((heads.latest.number, heads.base_fee, heads.safe, heads.finalized), (9, 7, None, None));
        assert_eq!(heads.latest.time, 1009);
    }
    // A node in trouble has not lost its finality: falling back to no tags at all would loosen the rule.
    let evm = scripted(|_, params| match params[0].as_str() {
        Some("finalized") => Says::Error(-32603, "internal error"),
        _ => Says::Result(block(9, 9)),
    })
    .await;
    assert!(evm.heads().await.is_err());
}

#[tokio::test]
async fn heads_that_contradict_each_other_are_not_believed() {
    for (finalized, safe, latest) in [
        (block(9, 9), block(8, 8), block(10, 10)),
        (block(7, 7), block(11, 11), block(10, 10)),
        (block(11, 11), Value::Null, block(10, 10)),
        (block(10, 1), Value::Null, block(10, 2)),
    ] {
        let evm = scripted(move |_, params| {
            Says::Result(match params[0].as_str() {
                Some("finalized") => finalized.clone(),
                Some("safe") => safe.clone(),
                _ => latest.clone(),
            })
        })
        .await;
        assert!(matches!(evm.heads().await, Err(ChainError::Garbage(_))));
    }
}

#[tokio::test]
async fn another_block_than_asked_for_is_garbage() {
    let evm = scripted(|_, _| Says::Result(block(9, 9))).await;
    let expected = Block { number: 9, hash: B256::repeat_byte(9), time: 1009 };
    assert_eq!(evm.block(9).await.expect("asked"), Some(expected));
    assert!(matches!(evm.block(8).await, Err(ChainError::Garbage(_))));
}

#[tokio::test]
async fn a_receipt_counts_only_in_the_canonical_block() {
    let tx = B256::repeat_byte(0xaa);
    let receipt = move |hash: Value, of: B256, status: Value| json!({ "transactionHash": of, "transactionIndex": "0x3", "blockHash": hash, "blockNumber": "0x9", "status": status });
    let asked = async move |receipt: Value, canonical: Value| {
        let evm = scripted(move |method, _| {
            Says::Result(if method == "eth_getTransactionReceipt" { receipt.clone() } else { canonical.clone() })
        })
        .await;
        evm.inclusion(tx).await
    };
    let hash = json!(B256::repeat_byte(9));
    let found = asked(receipt(hash.clone(), tx, json!("0x1")), block(9, 9)).await.expect("asked").expect("included");
    assert_eq!((found.tx_index, found.success, found.block.number), (3, true, 9));
    let failed = asked(receipt(hash.clone(), tx, json!("0x0")), block(9, 9)).await.expect("asked").expect("included");
    assert!(!failed.success);
    // Another block took its place, or the chain got shorter.
    assert_eq!(asked(receipt(hash.clone(), tx, json!("0x1")), block(9, 8)).await.expect("asked"), None);
    assert_eq!(asked(receipt(hash.clone(), tx, json!("0x1")), Value::Null).await.expect("asked"), None);
    assert_eq!(asked(receipt(Value::Null, tx, json!("0x1")), block(9, 9)).await.expect("asked"), None);
    let other = receipt(hash.clone(), B256::ZERO, json!("0x1"));
    assert!(matches!(asked(other, block(9, 9)).await, Err(ChainError::Garbage(_))));
    assert!(matches!(asked(receipt(hash, tx, Value::Null), block(9, 9)).await, Err(ChainError::Garbage(_))));
}

#[tokio::test]
async fn logs_are_filtered_again() {
    use alloy::sol_types::SolEvent;
    use sceau::chain::registry::AnchorRegistry::Anchored;
    let (root, tx) = (B256::repeat_byte(1), B256::repeat_byte(0xaa));
    let record = Record { timestamp: 1009, block_number: 9, size: 2, number: 1 };
    let log = move |address: Address, topic: B256, of: B256, removed: bool| json!({ "address": address, "topics": [topic, of, B256::ZERO, B256::ZERO], "transactionHash": tx, "removed": removed });
    let asked = async move |log: Value| {
        let evm = scripted(move |method, _| {
            Says::Result(match method {
                "eth_getLogs" => json!([log]),
                "eth_getTransactionReceipt" => json!({
                    "transactionHash": tx, "transactionIndex": "0x0", "blockHash": B256::repeat_byte(9),
                    "blockNumber": "0x9", "status": "0x1",
                }),
                _ => block(9, 9),
            })
        })
        .await;
        evm.anchoring(root, &record).await.expect("asked")
    };
    let ours = TARGET.registry;
    assert!(asked(log(ours, Anchored::SIGNATURE_HASH, root, false)).await.is_some());
    assert_eq!(asked(log(Address::ZERO, Anchored::SIGNATURE_HASH, root, false)).await, None);
    assert_eq!(asked(log(ours, B256::ZERO, root, false)).await, None);
    assert_eq!(asked(log(ours, Anchored::SIGNATURE_HASH, tx, false)).await, None);
    assert_eq!(asked(log(ours, Anchored::SIGNATURE_HASH, root, true)).await, None);
}

#[tokio::test]
async fn fees_fall_back_step_by_step() {
    let full = scripted(|method, _| match method {
        "eth_feeHistory" => Says::Result(json!({
            "baseFeePerGas": ["0x64", "0x70"], "gasUsedRatio": [0.5], "reward": [["0x0"]],
        })),
        _ => Says::Error(-32603, "must not be asked"),
    })
    .await;
    let quote = full.fees().await.expect("fees");
    // Somebody got in without a tip; ours is never nothing.
    assert_eq!((quote.base_fee, quote.tip), (0x70, 1));

    let quiet = scripted(|method, _| match method {
        "eth_feeHistory" => {
            Says::Result(json!({ "baseFeePerGas": ["0x64", "0x64"], "gasUsedRatio": [0.0], "reward": [["0x0"]] }))
        }
        "eth_maxPriorityFeePerGas" => Says::Result(json!("0x2a")),
        _ => Says::Error(-32603, "must not be asked"),
    })
    .await;
    let quote = quiet.fees().await.expect("fees");
    assert_eq!((quote.base_fee, quote.tip), (0x64, 42));

    let old = scripted(|method, _| match method {
        "eth_getBlockByNumber" => Says::Result(block(9, 9)),
        _ => Says::Error(-32601, "no such method"),
    })
    .await;
    let quote = old.fees().await.expect("fees");
    assert_eq!((quote.base_fee, quote.tip), (8, 1_000_000_000));
}

#[tokio::test]
async fn a_node_that_answers_another_hash_is_not_believed() {
    let evm = scripted(|_, _| Says::Result(json!(B256::repeat_byte(1)))).await;
    assert!(matches!(evm.send(&[2, 1]).await, Err(ChainError::Garbage(_))));
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let other = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let location = format!("http://{}/", other.local_addr().expect("an address"));
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.expect("accepted");
        let _request = socket.read(&mut [0; 4096]).await;
        let head = format!("HTTP/1.1 307 Temporary Redirect\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n");
        socket.write_all(head.as_bytes()).await.expect("written");
    });
    let evm = Evm::connect_within(&url, TARGET, Duration::from_secs(2)).expect("a URL");
    let error = evm.send(&[2]).await.expect_err("nobody else is told");
    assert!(matches!(error, ChainError::Unreachable(ref why) if why.contains("307")), "{error}");
}
