//! What a node answers to raw transactions that it does not simply take.

use alloy::primitives::{B256, U256};
use sceau::chain::evm::Evm;
use sceau::chain::fees::{self, Fees};
use sceau::chain::signer::{AnchorTx, Signer};
use sceau::chain::{Chain, ChainError, Sent, Target};
use serde_json::json;

use crate::chain::node::{CEILING, CHAIN_ID, Stage, plus_percent};

#[tokio::test]
async fn the_same_bytes_are_known_until_mined_and_too_low_afterwards() {
    let stage = Stage::set(1).await;
    stage.anvil.stop_mining().await;
    let signed = stage.send(&stage.anchor(1, B256::repeat_byte(1), 2).await).await;
    assert_eq!(stage.evm.send(&signed.raw).await.expect("asked"), Sent::AlreadyKnown);
    stage.anvil.mine(1).await;
    stage.mined(signed.hash).await;
    assert_eq!(stage.evm.send(&signed.raw).await.expect("asked"), Sent::NonceTooLow);
}

#[tokio::test]
async fn a_replacement_must_pay_more_and_bump_does() {
    let stage = Stage::set(1).await;
    stage.anvil.stop_mining().await;
    let anchor = stage.anchor(1, B256::repeat_byte(1), 2).await;
    let first = stage.send(&anchor).await;

    let meagre = AnchorTx { fees: Fees { max_priority: anchor.fees.max_priority + 1, ..anchor.fees }, ..anchor.clone() };
    let meagre = stage.sign(&meagre).await;
    assert_eq!(stage.evm.send(&meagre.raw).await.expect("asked"), Sent::Underpriced);

    let quote = stage.evm.fees().await.expect("fees");
    let bumped = fees::bump(anchor.fees, quote, CEILING).expect("below the ceiling");
    let least = plus_percent(anchor.fees, 10);
    assert!(bumped.max_fee >= least.max_fee && bumped.max_priority >= least.max_priority);
    let second = stage.send(&AnchorTx { fees: bumped, ..anchor }).await;
    stage.anvil.mine(1).await;
    assert!(stage.mined(second.hash).await.success);
    assert_eq!(stage.evm.inclusion(first.hash).await.expect("asked"), None);
}

#[tokio::test]
async fn an_offer_below_the_base_fee_is_underpriced() {
    let stage = Stage::set(1).await;
    let mut anchor = stage.anchor(1, B256::repeat_byte(1), 2).await;
    anchor.fees = Fees { max_fee: 1, max_priority: 1 };
    let signed = stage.sign(&anchor).await;
    assert_eq!(stage.evm.send(&signed.raw).await.expect("asked"), Sent::Underpriced);
}

#[tokio::test]
async fn an_empty_account_cannot_pay() {
    let stage = Stage::set(1).await;
    let anchor = stage.anchor(1, B256::repeat_byte(1), 2).await;
    stage.anvil.rpc("anvil_setBalance", json!([stage.publisher.address(), U256::from(1000)])).await;
    assert_eq!(stage.evm.balance(stage.publisher.address()).await.expect("asked"), 1000);
    let signed = stage.sign(&anchor).await;
    assert_eq!(stage.evm.send(&signed.raw).await.expect("asked"), Sent::InsufficientFunds);
}

#[tokio::test]
async fn another_chains_transaction_is_rejected_and_the_chain_is_told_apart() {
    let stage = Stage::set(1).await;
    let elsewhere = Target { chain_id: 1, registry: stage.registry() };
    let anchor = AnchorTx { target: elsewhere.clone(), ..stage.anchor(1, B256::repeat_byte(1), 2).await };
    let signed = stage.sign(&anchor).await;
    let sent = stage.evm.send(&signed.raw).await.expect("asked");
    assert!(matches!(sent, Sent::Rejected(ref why) if why.contains("chain id")), "{sent:?}");

    let evm = Evm::connect(&stage.anvil.url, elsewhere).expect("a URL");
    let wrong = evm.check().await.expect_err("told apart");
    assert!(matches!(wrong, ChainError::WrongChain { expected: 1, found: CHAIN_ID }), "{wrong}");
    let nothing = Target { chain_id: CHAIN_ID, registry: stage.publisher.address() };
    let evm = Evm::connect(&stage.anvil.url, nothing).expect("a URL");
    assert!(matches!(evm.check().await, Err(ChainError::NoRegistry { .. })));
    assert!(matches!(evm.last_number().await, Err(ChainError::Garbage(_))));
    assert!(matches!(evm.record(B256::repeat_byte(1)).await, Err(ChainError::Garbage(_))));
}

#[tokio::test]
async fn bytes_that_are_no_transaction_are_rejected() {
    let stage = Stage::set(1).await;
    let sent = stage.evm.send(&[2, 0xc0]).await.expect("asked");
    assert!(matches!(sent, Sent::Rejected(_)), "{sent:?}");
}
