//! The life of an anchor on a healthy chain, and what a reorg does to it.

use std::time::Duration;

use alloy::primitives::{Address, B256};
use sceau::chain::deploy::{self, DeployError, Plan};
use sceau::chain::evm::Evm;
use sceau::chain::signer::{ANCHOR_GAS, Signer};
use sceau::chain::{Chain, ChainError, Record, Target};
use serde_json::json;

use crate::chain::node::{CHAIN_ID, Stage, plan, wallet};

#[tokio::test]
async fn a_registry_is_deployed_and_recognised() {
    let stage = Stage::set(1).await;
    assert_eq!(stage.deployment.code_hash, deploy::registry_code_hash());
    assert_eq!(stage.evm.check().await.expect("right chain, code there"), stage.deployment.code_hash);
    assert_eq!(stage.evm.block(stage.deployment.block.number).await.expect("asked"), Some(stage.deployment.block));
    assert_eq!(stage.evm.last_number().await.expect("asked"), 0);

    let later = deploy::deploy(&stage.anvil.url, &wallet(0), &plan(41)).await.expect("a second one");
    assert_ne!(later.address, stage.registry());
    let target = Target { chain_id: CHAIN_ID, registry: later.address };
    let evm = Evm::connect(&stage.anvil.url, target).expect("a URL");
    assert_eq!(evm.last_number().await.expect("asked"), 40);
}

#[tokio::test]
async fn a_deployment_that_cannot_work_says_why() {
    let stage = Stage::set(1).await;
    let deploy = async |plan: &Plan| deploy::deploy(&stage.anvil.url, &wallet(0), plan).await.expect_err("refused");
    let zero = deploy(&plan(0)).await;
    assert!(zero.to_string().contains("batch numbers start at 1"), "{zero}");
    let nobody = deploy(&Plan { publisher: Address::ZERO, ..plan(1) }).await;
    assert!(nobody.to_string().contains("zero address"), "{nobody}");
    let elsewhere = deploy(&Plan { chain_id: 1, ..plan(1) }).await;
    assert!(matches!(elsewhere, DeployError::Chain(ChainError::WrongChain { expected: 1, found: CHAIN_ID })), "{elsewhere}");
    stage.anvil.stop_mining().await;
    let waiting = deploy(&Plan { patience: Duration::from_millis(300), ..plan(1) }).await;
    assert!(matches!(waiting, DeployError::StillWaiting { .. }), "{waiting}");
}

#[tokio::test]
async fn two_batches_are_anchored_and_found_again() {
    let stage = Stage::set(1).await;
    let (first, second) = (B256::repeat_byte(1), B256::repeat_byte(2));
    assert_eq!(stage.evm.record(first).await.expect("asked"), None);

    for (number, root, size) in [(1, first, 2), (2, second, 1002)] {
        let inclusion = stage.anchored(number, root, size).await;
        assert!(inclusion.success);
        assert_eq!(stage.evm.block(inclusion.block.number).await.expect("asked"), Some(inclusion.block));
        let record = stage.evm.record(root).await.expect("asked").expect("anchored");
        let block = inclusion.block;
        assert_eq!(record, Record { timestamp: block.time, block_number: block.number, size, number });
        assert_eq!(stage.evm.last_number().await.expect("asked"), number);
        assert_eq!(stage.evm.anchoring(root, &record).await.expect("asked"), Some(inclusion));

        let receipt = stage.anvil.rpc("eth_getTransactionReceipt", json!([inclusion.tx_hash])).await;
        let used = receipt["gasUsed"].as_str().and_then(|s| u64::from_str_radix(&s[2..], 16).ok()).expect("gas");
        assert!(used * 3 / 2 <= ANCHOR_GAS, "{used} gas leaves too little room below {ANCHOR_GAS}");
    }
    // Looked up where it is not: another root, another block.
    let record = stage.evm.record(second).await.expect("asked").expect("anchored");
    assert_eq!(stage.evm.anchoring(first, &record).await.expect("asked"), None);
    let elsewhere = Record { block_number: record.block_number - 1, ..record };
    assert_eq!(stage.evm.anchoring(second, &elsewhere).await.expect("asked"), None);
    let at_another_time = Record { timestamp: record.timestamp + 1, ..record };
    assert_eq!(stage.evm.anchoring(second, &at_another_time).await.expect("asked"), None);
}

#[tokio::test]
async fn repeating_is_harmless_and_a_gap_fails_on_chain() {
    let stage = Stage::set(1).await;
    let root = B256::repeat_byte(1);
    let original = stage.anchored(1, root, 2).await;
    let again = stage.anchored(1, root, 2).await;
    assert!(again.success);
    let record = stage.evm.record(root).await.expect("asked").expect("anchored");
    assert_eq!(record.block_number, original.block.number);
    assert_eq!(stage.evm.anchoring(root, &record).await.expect("asked"), Some(original));

    let gap = stage.anchored(3, B256::repeat_byte(3), 2).await;
    assert!(!gap.success);
    assert_eq!(stage.evm.last_number().await.expect("asked"), 1);
    // Batch 3 could be sent all the same while 2 waits: the fixed gas limit asks no simulation.
}

#[tokio::test]
async fn batches_wait_in_order_in_one_block() {
    let stage = Stage::set(1).await;
    stage.anvil.stop_mining().await;
    let mut hashes = Vec::new();
    for i in 0..3_u64 {
        let mut anchor = stage.anchor(1 + i, B256::repeat_byte(1 + i as u8), 2).await;
        assert_eq!(anchor.nonce, 0, "the nonce is that of `latest`, whatever waits");
        anchor.nonce = i;
        hashes.push(stage.send(&anchor).await.hash);
    }
    assert_eq!(stage.evm.inclusion(hashes[0]).await.expect("asked"), None);
    stage.anvil.mine(1).await;
    for (i, hash) in hashes.into_iter().enumerate() {
        let inclusion = stage.mined(hash).await;
        assert!(inclusion.success);
        assert_eq!(inclusion.tx_index, i as u64);
    }
    assert_eq!(stage.evm.last_number().await.expect("asked"), 3);
    assert_eq!(stage.evm.nonce(stage.publisher.address()).await.expect("asked"), 3);
}

#[tokio::test]
async fn heads_follow_the_chains_own_tags() {
    let stage = Stage::set(1).await;
    stage.anvil.mine(8).await;
    let heads = stage.evm.heads().await.expect("asked");
    let n = heads.latest.number;
    assert_eq!(heads.safe.map(|b| b.number), Some(n - 1));
    assert_eq!(heads.finalized.map(|b| b.number), Some(n - 2));
    assert!(heads.base_fee > 0);
    for block in [Some(heads.latest), heads.safe, heads.finalized].into_iter().flatten() {
        assert_eq!(stage.evm.block(block.number).await.expect("asked"), Some(block));
    }
    assert_eq!(stage.evm.block(n + 1).await.expect("asked"), None);
}

#[tokio::test]
async fn a_reorg_takes_an_anchor_away_and_the_same_bytes_bring_it_back() {
    let stage = Stage::set(1).await;
    stage.anvil.mine(2).await;
    let root = B256::repeat_byte(7);
    let anchor = stage.anchor(1, root, 9).await;
    let signed = stage.send(&anchor).await;
    let lost = stage.mined(signed.hash).await;
    let record = stage.evm.record(root).await.expect("asked").expect("anchored");

    stage.anvil.rpc("anvil_reorg", json!([1, []])).await;
    assert_eq!(stage.evm.inclusion(signed.hash).await.expect("asked"), None);
    assert_eq!(stage.evm.record(root).await.expect("asked"), None);
    assert_eq!(stage.evm.anchoring(root, &record).await.expect("asked"), None);
    assert_eq!(stage.evm.last_number().await.expect("asked"), 0);
    let block = stage.evm.block(lost.block.number).await.expect("asked").expect("replaced");
    assert_ne!(block.hash, lost.block.hash);
    let gone = stage.evm.evidence(root, &lost).await.expect_err("no evidence of what is not there");
    assert!(gone.to_string().contains("not served any more"), "{gone}");

    stage.send(&anchor).await;
    let back = stage.mined(signed.hash).await;
    assert_ne!(back.block.hash, lost.block.hash);
    assert_eq!(stage.evm.record(root).await.expect("asked").map(|r| r.block_number), Some(back.block.number));
}

#[tokio::test]
async fn fees_are_quoted_and_accepted() {
    let stage = Stage::set(1).await;
    for number in 1..=3 {
        stage.anchored(number, B256::repeat_byte(number as u8), 2).await;
    }
    let quote = stage.evm.fees().await.expect("fees");
    assert!(quote.tip >= 1 && quote.base_fee > 0, "{quote:?}");
    let heads = stage.evm.heads().await.expect("heads");
    // The next base fee moves by an eighth at most (EIP-1559).
    assert!(quote.base_fee.abs_diff(heads.base_fee) <= heads.base_fee.div_ceil(8), "{quote:?} after {heads:?}");
    assert!(stage.evm.balance(stage.publisher.address()).await.expect("asked") > 0);
}
