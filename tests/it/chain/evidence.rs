//! Evidence from blocks with company, checked by the verifier with nothing but the block's hash.

use alloy::consensus::{SignableTransaction, TxEip1559, TxEip7702, TxEnvelope};
use alloy::eips::eip2718::Encodable2718;
use alloy::eips::eip7702::Authorization;
use alloy::network::TxSignerSync;
use alloy::primitives::{Address, B256, Bytes, U256};
use alloy::signers::SignerSync;
use alloy::signers::local::PrivateKeySigner;
use sceau::chain::{Chain, Inclusion};
use sceau_verifier::receipt::{Anchor, Evidence};
use sceau_verifier::registry::Statement;
use sceau_verifier::{ChainRef, evidence};
use serde_json::json;

use crate::chain::node::{CHAIN_ID, KEYS, Stage};

fn anchor_of(stage: &Stage, inclusion: &Inclusion) -> Anchor {
    Anchor {
        chain: ChainRef::new(CHAIN_ID).expect("not 0"),
        registry: stage.registry().0.0.into(),
        tx_hash: inclusion.tx_hash.0.into(),
        block_number: inclusion.block.number,
        block_hash: inclusion.block.hash.0.into(),
        block_time: inclusion.block.time,
        evidence: None,
    }
}

/// Sends one transfer of each type that a node takes over JSON-RPC from accounts it holds the keys of.
async fn send_company(stage: &Stage, rounds: u64) {
    let accounts = stage.anvil.rpc("eth_accounts", json!([])).await;
    let to = Address::repeat_byte(0x42);
    for round in 0..rounds {
        let value = format!("{:#x}", round + 1);
        // Offers around ours, so that the anchor stands in the middle of the block; one offer per sender, since the node
        // sorts by price even against the order of nonces, and drops what is then out of order.
        let price = format!("{:#x}", 2_000_000_000 + (round % 6) * 700_000_000);
        let list = json!([{ "address": to, "storageKeys": [B256::repeat_byte(1)] }]);
        let sender = &accounts[3 + usize::try_from(round % 6).expect("small")];
        let fields = [
            json!({ "gasPrice": price }),
            json!({ "type": "0x1", "gasPrice": price, "accessList": list }),
            json!({ "type": "0x2", "maxFeePerGas": price, "maxPriorityFeePerGas": price, "data": "0x0102030405" }),
        ];
        for (i, fields) in fields.into_iter().enumerate() {
            // Unmined transactions do not count for the node's own choice of nonces.
            let nonce = format!("{:#x}", round / 6 * 3 + i as u64);
            let mut transaction = json!({ "from": sender, "to": to, "value": value, "gas": "0xea60", "nonce": nonce });
            let members = transaction.as_object_mut().expect("an object");
            members.extend(fields.as_object().expect("an object").clone());
            stage.anvil.rpc("eth_sendTransaction", json!([transaction])).await;
        }
    }
}

/// A set-code transaction (EIP-7702, type 4) signed by key 2.
async fn send_set_code(stage: &Stage) {
    let signer: PrivateKeySigner = KEYS[2].parse().expect("a key");
    let delegation = Authorization { chain_id: U256::from(CHAIN_ID), address: Address::repeat_byte(9), nonce: 1 };
    let signature = signer.sign_hash_sync(&delegation.signature_hash()).expect("signed");
    let mut transaction = TxEip7702 {
        chain_id: CHAIN_ID,
        nonce: 0,
        gas_limit: 100_000,
        max_fee_per_gas: 5_000_000_000,
        max_priority_fee_per_gas: 3_000_000_000,
        to: Address::repeat_byte(0x43),
        value: U256::from(1),
        access_list: Default::default(),
        authorization_list: vec![delegation.into_signed(signature)],
        input: Bytes::new(),
    };
    let signature = signer.sign_transaction_sync(&mut transaction).expect("signed");
    let raw = Bytes::from(TxEnvelope::from(transaction.into_signed(signature)).encoded_2718());
    stage.anvil.rpc("eth_sendRawTransaction", json!([raw])).await;
}

#[tokio::test]
async fn evidence_from_a_crowded_block_needs_only_the_block_hash() {
    let stage = Stage::set(1).await;
    let root = B256::repeat_byte(0xa1);
    stage.anvil.stop_mining().await;
    send_company(&stage, 60).await;
    send_set_code(&stage).await;
    let mut anchor = stage.anchor(1, root, 1002).await;
    anchor.fees.max_fee = 4_000_000_000;
    anchor.fees.max_priority = 1_500_000_000;
    let signed = stage.send(&anchor).await;
    stage.anvil.mine(1).await;
    let inclusion = stage.mined(signed.hash).await;
    assert!(inclusion.success);

    let number = format!("{:#x}", inclusion.block.number);
    let block = stage.anvil.rpc("eth_getBlockByNumber", json!([number, true])).await;
    let transactions = block["transactions"].as_array().expect("transactions");
    assert!(transactions.len() > 160, "{} transactions: rlp(index) of two bytes was meant to occur", transactions.len());
    assert!(inclusion.tx_index > 0);
    for kind in ["0x0", "0x1", "0x2", "0x4"] {
        assert!(transactions.iter().any(|t| t["type"] == kind), "no transaction of type {kind}");
    }

    let captured = stage.evm.evidence(root, &inclusion).await.expect("evidence");
    let anchor = anchor_of(&stage, &inclusion);
    let statement = Statement { root: root.0.into(), size: 1002, number: 1 };
    evidence::check(&anchor, &captured, &statement).expect("verified");

    refuses_other_claims(&anchor, &captured, &statement);
    refuses_any_flipped_byte(&anchor, &captured, &statement);

    // The same from older state, once the chain went on.
    stage.anvil.mine(5).await;
    assert_eq!(stage.evm.evidence(root, &inclusion).await.expect("evidence"), captured);
}

fn refuses_other_claims(anchor: &Anchor, captured: &Evidence, statement: &Statement) {
    let wrong: [(&str, Anchor, Statement); 8] = [
        ("chain", Anchor { chain: ChainRef::new(1).expect("not 0"), ..anchor.clone() }, *statement),
        ("registry", Anchor { registry: [1; 20].into(), ..anchor.clone() }, *statement),
        ("transaction", Anchor { tx_hash: [1; 32].into(), ..anchor.clone() }, *statement),
        ("block number", Anchor { block_number: anchor.block_number + 1, ..anchor.clone() }, *statement),
        ("block hash", Anchor { block_hash: [1; 32].into(), ..anchor.clone() }, *statement),
        ("time", Anchor { block_time: anchor.block_time - 1, ..anchor.clone() }, *statement),
        ("size", anchor.clone(), Statement { size: statement.size + 1, ..*statement }),
        ("root", anchor.clone(), Statement { root: [1; 32].into(), ..*statement }),
    ];
    for (what, anchor, statement) in wrong {
        assert!(evidence::check(&anchor, captured, &statement).is_err(), "accepted with another {what}");
    }
    let index = captured.transaction.index;
    for other in [index - 1, index + 1] {
        let mut moved = captured.clone();
        moved.transaction.index = other;
        assert!(evidence::check(anchor, &moved, statement).is_err(), "accepted at index {other}");
    }
}

fn refuses_any_flipped_byte(anchor: &Anchor, captured: &Evidence, statement: &Statement) {
    type Part = fn(&mut Evidence) -> Vec<&mut Vec<u8>>;
    let parts: [(&str, Part); 5] = [
        ("header", |e| vec![&mut e.header.0]),
        ("account proof", |e| e.account_proof.iter_mut().map(|n| &mut n.0).collect()),
        ("storage proof", |e| e.storage_proof.iter_mut().map(|n| &mut n.0).collect()),
        ("transaction", |e| vec![&mut e.transaction.raw.0]),
        ("transaction proof", |e| e.transaction.proof.iter_mut().map(|n| &mut n.0).collect()),
    ];
    for (name, part) in parts {
        let lengths: Vec<usize> = part(&mut captured.clone()).iter().map(|bytes| bytes.len()).collect();
        assert!(!lengths.is_empty(), "{name} is empty");
        for (i, length) in lengths.into_iter().enumerate() {
            for at in 0..length {
                let mut bent = captured.clone();
                part(&mut bent)[i][at] ^= 1;
                assert!(evidence::check(anchor, &bent, statement).is_err(), "{name} {i}: byte {at} does not matter");
            }
        }
    }
}

#[tokio::test]
async fn evidence_of_a_lonely_anchor_and_of_the_hundredth() {
    let stage = Stage::set(1).await;
    for number in 1..=20_u64 {
        let root = B256::from(U256::from(number));
        let inclusion = stage.anchored(number, root, 2).await;
        let captured = stage.evm.evidence(root, &inclusion).await.expect("evidence");
        let statement = Statement { root: root.0.into(), size: 2, number };
        evidence::check(&anchor_of(&stage, &inclusion), &captured, &statement).expect("verified");
    }
}

#[tokio::test]
async fn there_is_no_evidence_for_what_did_not_anchor() {
    let stage = Stage::set(1).await;
    let root = B256::repeat_byte(1);
    let original = stage.anchored(1, root, 2).await;
    let garbage =
        async |root: B256, inclusion: &Inclusion| stage.evm.evidence(root, inclusion).await.expect_err("no evidence").to_string();
    // A repetition runs well and anchors nothing: the record names another block.
    let repeated = stage.anchored(1, root, 2).await;
    assert!(garbage(root, &repeated).await.contains("does not verify"));
    // A failed call.
    let gap = stage.anchored(5, B256::repeat_byte(5), 2).await;
    assert!(garbage(B256::repeat_byte(5), &gap).await.contains("does not verify"));
    // Another root than the transaction's.
    assert!(garbage(B256::repeat_byte(2), &original).await.contains("does not verify"));
    // A place in the block that is not there, a transaction that is not the one, a time that is not the block's.
    assert!(garbage(root, &Inclusion { tx_index: 7, ..original }).await.contains("no transaction 7"));
    let other = Inclusion { tx_hash: B256::repeat_byte(3), ..original };
    assert!(garbage(root, &other).await.contains("does not verify"));
    let mut late = original;
    late.block.time += 1;
    assert!(garbage(root, &late).await.contains("does not verify"));
}

#[tokio::test]
async fn a_transaction_that_is_no_anchor_call_has_no_evidence() {
    let stage = Stage::set(1).await;
    let anchor = stage.anchor(1, B256::repeat_byte(1), 2).await;
    let transfer = TxEip1559 { input: Bytes::new(), to: Address::repeat_byte(8).into(), ..anchor.unsigned() };
    let signed = stage.publisher.sign_eip1559(&transfer).await.expect("signed");
    stage.evm.send(&signed.raw).await.expect("sent");
    let inclusion = stage.mined(signed.hash).await;
    let error = stage.evm.evidence(B256::repeat_byte(1), &inclusion).await.expect_err("no evidence").to_string();
    assert!(error.contains("no anchor call"), "{error}");
}
