use std::num::NonZeroU32;
use std::path::Path;

use sceau::dev::anvil::{Anvil, CHAIN_ID, Mining, Options, start};
use serde_json::{Value, json};

use crate::support::process::{eventually, signal};
use crate::support::service::lasting_port;
use crate::support::{anvil, anvil_with, progress};

const FUNDED: &str = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";
/// Deploys five bytes of code that store the block's time in slot 0.
const CODE: &str = "0x600580600b6000396000f3426000555f";

fn kept(data: &Path) -> Options<'_> {
    Options { data, port: None, mining: Mining::Instant, binary: None, throw_away: false }
}

async fn send(node: &Anvil, transaction: Value) -> String {
    let mut transaction = transaction;
    transaction["from"] = FUNDED.into();
    node.rpc("eth_sendTransaction", json!([transaction])).await.unwrap().as_str().unwrap().to_owned()
}

/// The receipt of a transaction that a chain with instant blocks has: not always at once, its mining is a task of its own.
async fn receipt(node: &Anvil, transaction: &str) -> Value {
    loop {
        let receipt = node.rpc("eth_getTransactionReceipt", json!([transaction])).await.unwrap();
        if !receipt.is_null() {
            return receipt;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

async fn head(node: &Anvil) -> u64 {
    let number = node.rpc("eth_blockNumber", json!([])).await.unwrap();
    u64::from_str_radix(number.as_str().unwrap().trim_start_matches("0x"), 16).unwrap()
}

/// What a chain answers about a contract deployed in block 1 and called in block 2.
async fn questions(node: &Anvil, deployment: &str) -> Vec<Value> {
    let receipt = receipt(node, deployment).await;
    let contract = receipt["contractAddress"].clone();
    let slot = format!("0x{:064x}", 0);
    let mut answers = vec![receipt];
    for (method, params) in [
        ("eth_chainId", json!([])),
        ("eth_blockNumber", json!([])),
        ("eth_getBlockByNumber", json!(["0x1", true])),
        ("eth_getBlockByNumber", json!(["finalized", true])),
        ("eth_getTransactionByHash", json!([deployment])),
        ("eth_getCode", json!([contract, "latest"])),
        ("eth_getStorageAt", json!([contract, slot, "0x1"])),
        ("eth_getProof", json!([contract, [slot], "0x2"])),
        ("eth_getProof", json!([contract, [slot], "finalized"])),
        ("eth_getTransactionCount", json!([FUNDED, "latest"])),
    ] {
        answers.push(node.rpc(method, params).await.unwrap());
    }
    answers
}

#[tokio::test]
async fn a_restart_keeps_blocks_transactions_code_and_earlier_states() {
    let folder = tempfile::tempdir().unwrap();
    let node = start(kept(folder.path()), &progress).await.unwrap();
    let deployment = send(&node, json!({ "data": CODE })).await;
    let contract = receipt(&node, &deployment).await["contractAddress"].clone();
    let call = send(&node, json!({ "to": contract, "gas": "0x30000" })).await;
    receipt(&node, &call).await;
    node.mine(5).await.unwrap();
    let before = questions(&node, &deployment).await;
    // The first call stored a value before block 2 ended.
    assert_ne!(before[8]["storageProof"][0]["value"], json!("0x0"), "{:?}", before[8]);
    node.stop().await;

    // Stopped, dropped (as when its owner is killed): both write the state.
    for orderly in [true, false] {
        let node = start(kept(folder.path()), &progress).await.unwrap();
        assert_eq!(questions(&node, &deployment).await, before);
        if orderly {
            node.stop().await;
        }
    }

    let node = start(kept(folder.path()), &progress).await.unwrap();
    let parent = node.rpc("eth_getBlockByNumber", json!(["latest", false])).await.unwrap()["hash"].clone();
    node.mine(1).await.unwrap();
    assert_eq!(node.rpc("eth_getBlockByNumber", json!(["latest", false])).await.unwrap()["parentHash"], parent);
    node.stop().await;
}

#[tokio::test]
async fn blocks_are_kept_longer_than_states() {
    let folder = tempfile::tempdir().unwrap();
    let node = start(kept(folder.path()), &progress).await.unwrap();
    let deployment = send(&node, json!({ "data": CODE })).await;
    receipt(&node, &deployment).await;
    node.mine(200).await.unwrap();
    let block = node.rpc("eth_getBlockByNumber", json!(["0x1", true])).await.unwrap();
    node.stop().await;
    let node = start(kept(folder.path()), &progress).await.unwrap();
    assert_eq!(node.rpc("eth_getBlockByNumber", json!(["0x1", true])).await.unwrap(), block);
    assert_eq!(block["transactions"][0]["hash"], json!(deployment));
    node.rpc("eth_getBalance", json!([FUNDED, format!("{:#x}", 201 - 50)])).await.unwrap();
    node.rpc("eth_getBalance", json!([FUNDED, "0x1"])).await.unwrap_err();
    node.stop().await;
}

#[tokio::test]
async fn a_damaged_state_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    start(kept(folder.path()), &progress).await.unwrap().stop().await;
    let state = folder.path().join("anvil.json");
    let whole = std::fs::read(&state).unwrap();
    for half in [&whole[..whole.len() / 2], &[]] {
        std::fs::write(&state, half).unwrap();
        let error = start(kept(folder.path()), &progress).await.unwrap_err().to_string();
        assert!(error.contains("damaged") && error.contains("rm "), "{error}");
    }
}

#[tokio::test]
async fn a_second_node_on_the_folder_or_port_is_refused() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let node = start(kept(folder.path()), &progress).await.unwrap();
    let error = start(kept(folder.path()), &progress).await.unwrap_err().to_string();
    assert!(error.contains("already runs on the folder"), "{error}");
    let error =
        start(Options { port: Some(node.address.port()), ..kept(other.path()) }, &progress).await.unwrap_err().to_string();
    assert!(error.contains(&node.address.to_string()) && error.contains("anvil"), "{error}");
    node.stop().await;
}

#[tokio::test]
async fn a_given_port_is_used_and_the_owner_sees_a_crash() {
    let folder = tempfile::tempdir().unwrap();
    let port = lasting_port();
    let node = start(Options { port: Some(port), ..kept(folder.path()) }, &progress).await.unwrap();
    assert_eq!(node.address.port(), port);
    signal(node.child.pid(), "KILL");
    assert_eq!(node.child.wait().await.code(), Some(128 + 9));
}

#[tokio::test]
async fn on_demand_the_chain_moves_until_all_is_final_and_then_stands_still() {
    let node = anvil_with(Mining::OnDemand).await;
    assert!(!node.mine_if_needed().await.unwrap());
    let transaction = send(&node, json!({ "to": FUNDED })).await;
    assert_eq!(node.rpc("eth_getTransactionReceipt", json!([transaction])).await.unwrap(), Value::Null);
    let mut blocks = 0;
    while node.mine_if_needed().await.unwrap() {
        blocks += 1;
    }
    assert_eq!((blocks, head(&node).await), (3, 3));
    let last_final = node.rpc("eth_getBlockByNumber", json!(["finalized", false])).await.unwrap();
    assert_eq!(last_final["transactions"], json!([transaction]));
}

#[tokio::test]
async fn a_steady_chain_makes_empty_blocks() {
    let node = anvil_with(Mining::Every(NonZeroU32::MIN)).await;
    while head(&node).await < 2 {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_throw_away_node_leaves_no_folder() {
    let (node, other) = (anvil().await, anvil().await);
    assert_ne!(node.url, other.url);
    assert_eq!(node.rpc("eth_chainId", json!([])).await.unwrap(), json!(format!("{CHAIN_ID:#x}")));
    let folder = node.child.log().parent().unwrap().to_owned();
    assert!(folder.exists());
    drop(node);
    eventually("the folder's removal", || !folder.exists());
    assert!(!other.rpc("eth_blockNumber", json!([])).await.unwrap().is_null());
}
