//! A node that bends what it says about a block: no evidence comes of it, and honest quirks do no harm.

use alloy::primitives::B256;
use sceau::chain::deploy::{DeployError, deploy};
use sceau::chain::{Chain, Inclusion};
use sceau_verifier::receipt::Evidence;
use serde_json::{Value, json};

use crate::chain::node::{Stage, plan, wallet};
use crate::chain::scripted::{Says, relay, relayed};

const ROOT: B256 = B256::repeat_byte(1);

/// One block with two transfers and an anchor, and the evidence of the anchor.
async fn stage() -> (Stage, Inclusion, Evidence) {
    let stage = Stage::set(1).await;
    stage.anvil.stop_mining().await;
    let accounts = stage.anvil.rpc("eth_accounts", json!([])).await;
    for sender in [&accounts[4], &accounts[5]] {
        let transfer = json!({ "from": sender, "to": accounts[6], "value": "0x1", "gas": "0x5208" });
        stage.anvil.rpc("eth_sendTransaction", json!([transfer])).await;
    }
    let signed = stage.send(&stage.anchor(1, ROOT, 2).await).await;
    stage.anvil.mine(1).await;
    let inclusion = stage.mined(signed.hash).await;
    let evidence = stage.evm.evidence(ROOT, &inclusion).await.expect("evidence");
    (stage, inclusion, evidence)
}

fn another_than(inclusion: &Inclusion) -> usize {
    usize::from(inclusion.tx_index == 0)
}

#[tokio::test]
async fn bent_answers_give_no_evidence() {
    let (stage, inclusion, _) = stage().await;
    let other = another_than(&inclusion);
    type Bend = Box<dyn Fn(&str, &mut Value) + Send + Sync>;
    let block = |bend: fn(&mut Value, usize)| -> Bend {
        Box::new(move |method, result| {
            if method == "eth_getBlockByHash" {
                bend(result, other);
            }
        })
    };
    let proof = |bend: fn(&mut Value)| -> Bend {
        Box::new(move |method, result| {
            if method == "eth_getProof" {
                bend(result);
            }
        })
    };
    let bends: [(&str, Bend); 10] = [
        ("the header of block", block(|b, _| b["gasUsed"] = json!("0x1"))),
        ("the header of block", block(|b, _| b["timestamp"] = json!("0x1"))),
        ("does not have that hash when encoded", block(|b, i| b["transactions"][i]["value"] = json!("0x2"))),
        ("a transaction without hash", block(|b, i| b["transactions"][i] = json!({ "type": "0x2" }))),
        (
            "do not have its transactions root",
            block(|b, _| {
                b["transactions"].as_array_mut().expect("transactions").push(Value::Null);
                let last = b["transactions"][0].clone();
                *b["transactions"].as_array_mut().and_then(|t| t.last_mut()).expect("one") = last;
            }),
        ),
        ("not served any more", block(|b, _| *b = Value::Null)),
        ("storage proofs for one key", proof(|p| p["storageProof"] = json!([]))),
        ("does not verify", proof(|p| p["storageProof"][0]["proof"] = json!([]))),
        (
            "does not verify",
            proof(|p| {
                p["accountProof"].as_array_mut().expect("nodes").pop();
            }),
        ),
        ("does not verify", proof(|p| p["accountProof"] = p["storageProof"][0]["proof"].clone())),
    ];
    for (expected, bend) in bends {
        let evm = relayed(&stage, move |method, _, result| {
            bend(method, result);
            None
        })
        .await;
        let error = evm.evidence(ROOT, &inclusion).await.expect_err(expected).to_string();
        assert!(error.contains(expected), "{error} (wanted: {expected})");
    }
}

#[tokio::test]
async fn proofs_are_asked_by_number_where_hashes_are_refused() {
    let (stage, inclusion, evidence) = stage().await;
    let evm = relayed(&stage, |method, params, _| {
        (method == "eth_getProof" && params[2].is_object()).then_some(Says::Error(-32602, "expected a block number"))
    })
    .await;
    assert_eq!(evm.evidence(ROOT, &inclusion).await.expect("evidence"), evidence);
    // By number, but another block is there in the meantime: its state root does not fit.
    let evm = relayed(&stage, |method, params, result| {
        if method == "eth_getProof" {
            if params[2].is_object() {
                return Some(Says::Error(-32602, "expected a block number"));
            }
            *result = json!({ "accountProof": [], "storageProof": [] });
        }
        None
    })
    .await;
    assert!(evm.evidence(ROOT, &inclusion).await.is_err());
}

#[tokio::test]
async fn a_neighbour_of_an_unknown_type_is_taken_raw() {
    let (stage, inclusion, evidence) = stage().await;
    let other = another_than(&inclusion);
    let disguise = move |method: &str, result: &mut Value| {
        if method == "eth_getBlockByHash" {
            // A rollup's deposit, as far as this program can tell; its bytes are still the true ones.
            result["transactions"][other]["type"] = json!("0x7e");
        }
    };
    let evm = relayed(&stage, move |method, _, result| {
        disguise(method, result);
        None
    })
    .await;
    assert_eq!(evm.evidence(ROOT, &inclusion).await.expect("evidence"), evidence);

    for refused in [true, false] {
        let evm = relayed(&stage, move |method, _, result| {
            disguise(method, result);
            (method == "eth_getRawTransactionByHash").then_some(if refused {
                Says::Error(-32601, "method not found")
            } else {
                Says::Result(Value::Null)
            })
        })
        .await;
        let error = evm.evidence(ROOT, &inclusion).await.expect_err("refused").to_string();
        assert!(error.contains("of type 0x7e cannot be encoded here"), "{error}");
    }
    let evm = relayed(&stage, move |method, _, result| {
        disguise(method, result);
        (method == "eth_getRawTransactionByHash").then(|| Says::Result(json!("0x7e00")))
    })
    .await;
    let error = evm.evidence(ROOT, &inclusion).await.expect_err("refused").to_string();
    assert!(error.contains("does not have that hash when encoded"), "{error}");
}

#[tokio::test]
async fn a_deployment_that_fails_on_chain_is_no_deployment() {
    let stage = Stage::set(1).await;
    // Enough to begin, not enough to store the code.
    let url = relay(&stage, |method, _, result| {
        if method == "eth_estimateGas" {
            *result = json!("0x493e0");
        }
        None
    })
    .await;
    let error = deploy(&url, &wallet(0), &plan(1)).await.expect_err("out of gas");
    assert!(matches!(error, DeployError::Reverted(_)), "{error}");

    let url = relay(&stage, |method, _, result| {
        if method == "eth_getCode" {
            *result = json!("0x6001");
        }
        None
    })
    .await;
    let error = deploy(&url, &wallet(0), &plan(1)).await.expect_err("other code");
    assert!(matches!(error, DeployError::OtherCode { .. }), "{error}");
}
