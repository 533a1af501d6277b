//! From pool to final anchor on a real node: the order of durable writes under loss, crash and reorg.

pub mod kit;

use alloy::primitives::B256;
use sceau::chain::Chain;
use sceau::dev::anvil::Mining;
use sceau::ledger::anchors::AnchorState;
use sceau::ledger::proofs::Status;
use sceau::pipeline::StepError;
use sceau_verifier::Evidence;
use serde_json::json;

use kit::{Fault, Kit};

fn halted(result: Result<(), StepError>, because: &str) {
    match result {
        Err(StepError::Halt(why)) if why.contains(because) => {}
        other => panic!("{other:?} where a halt because of {because:?} belongs"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_batch_becomes_final_in_one_transaction() {
    let kit = Kit::new(Mining::Instant).await;
    let mut batches = Vec::new();
    for kind in 0..5 {
        batches.push(kit.seal(kind, 3 + kind));
    }
    let mut accepted = Vec::new();
    for sealing in batches {
        accepted.push(sealing.await);
    }
    assert_eq!(kit.sealer.seal_now().await.unwrap(), None, "an empty pool seals nothing");
    for (batch, _) in &accepted {
        kit.until(*batch, AnchorState::Final).await.unwrap();
    }
    assert_eq!(kit.transactions().await, 1 + 5);
    for (batch, proofs) in &accepted {
        let record = kit.record(*batch).await.expect("anchored");
        assert_eq!((record.number, record.size), (*batch, proofs.len() as u64 + 1));
        let anchors = kit.ledger.anchors(*batch).await.unwrap();
        let evidence: Evidence = serde_json::from_str(anchors[0].evidence.as_deref().expect("evidence")).expect("JSON");
        assert!(!evidence.storage_proof.is_empty());
        let proof = kit.ledger.proof(kit.account, &proofs[0].digest).await.unwrap().expect("stored");
        assert_eq!(proof.status, Status::Final);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_lost_on_the_way_is_sent_again_never_signed_again() {
    for (fault, name) in [(Fault::Lost, "lost"), (Fault::AnswerLost, "answer lost")] {
        let mut kit = Kit::new(Mining::Instant).await;
        kit.chain.faults.lock().unwrap().extend([fault, fault, fault]);
        let (batch, _) = kit.seal(0, 4).await;
        kit.settle().await.unwrap();
        // The process dies here: nothing but the database remembers.
        kit.restart().await.unwrap();
        kit.until(batch, AnchorState::Final).await.unwrap();
        let sent = kit.chain.sent.lock().unwrap().clone();
        assert!(sent.iter().all(|raw| *raw == sent[0]), "{name}: other bytes were sent");
        assert_eq!(kit.transactions().await, 2, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_key_has_no_say_over_the_old_ones_nonce() {
    let mut kit = Kit::new(Mining::Instant).await;
    kit.chain.faults.lock().unwrap().extend([Fault::Lost; 4]);
    let (batch, _) = kit.seal(0, 4).await;
    kit.settle().await.unwrap();
    kit.restart_with_another_key().await.unwrap();
    kit.until(batch, AnchorState::Final).await.unwrap();
    let sent = kit.chain.sent.lock().unwrap().clone();
    assert!(sent.len() > 4 && sent.iter().all(|raw| *raw == sent[0]), "only the old key's bytes were sent");
}

#[tokio::test(flavor = "multi_thread")]
async fn evidence_that_cannot_be_had_keeps_nothing_else_waiting() {
    let kit = Kit::new(Mining::Instant).await;
    let (first, _) = kit.seal(0, 2).await;
    let root = B256::from(kit.root(first).await);
    kit.chain.pruned.lock().unwrap().push(root);
    let (second, _) = kit.seal(1, 2).await;
    for _ in 0..20 {
        // The step says what is wrong each time, and does the rest.
        let _ = kit.settle().await;
        kit.anvil.mine(1).await.unwrap();
    }
    assert!(matches!(kit.settle().await, Err(StepError::Chain(_))));
    assert_eq!((kit.state(first).await, kit.state(second).await), (AnchorState::Included, AnchorState::Final));
    kit.chain.pruned.lock().unwrap().clear();
    kit.until(first, AnchorState::Final).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reorg_takes_the_status_back_and_the_anchor_returns() {
    let kit = Kit::new(Mining::OnDemand).await;
    let (batch, proofs) = kit.seal(0, 4).await;
    kit.settle().await.unwrap();
    assert_eq!(kit.state(batch).await, AnchorState::Sent);
    kit.anvil.mine(1).await.unwrap();
    kit.settle().await.unwrap();
    assert_eq!(kit.state(batch).await, AnchorState::Included);
    let status = async || kit.ledger.proof(kit.account, &proofs[0].digest).await.unwrap().expect("stored").status;
    assert_eq!(status().await, Status::Anchored);

    // The block is replaced by one without the transaction, which anvil forgets altogether.
    kit.anvil.rpc("anvil_reorg", json!([1, []])).await.unwrap();
    kit.settle().await.unwrap();
    assert_eq!(kit.state(batch).await, AnchorState::Sent, "a status never claims what the chain does not say");
    assert_eq!(status().await, Status::Sealed);

    kit.until(batch, AnchorState::Final).await.unwrap();
    assert_eq!(kit.transactions().await, 2, "the same transaction came back");
    let states: Vec<String> = sqlx::query_scalar("select state from anchor_history where batch = $1 order by id")
        .bind(batch as i64)
        .fetch_all(&kit.database.pool)
        .await
        .unwrap();
    assert_eq!(states, ["planned", "sent", "included", "sent", "included", "final"], "every change is on record");
    let events = kit.ledger.events();
    assert_eq!((events.included.get(), events.regressed.get(), events.finalized.get()), (2, 1, 1), "and is counted");
}

#[tokio::test(flavor = "multi_thread")]
async fn included_is_not_final() {
    let kit = Kit::new(Mining::OnDemand).await;
    let (batch, _) = kit.seal(0, 1).await;
    kit.settle().await.unwrap();
    for mined in 1..=3 {
        kit.anvil.mine(1).await.unwrap();
        kit.settle().await.unwrap();
        let block = kit.ledger.anchors(batch).await.unwrap()[0].place.expect("included").block_number;
        let finalized = kit.chain.heads().await.unwrap().finalized.expect("anvil has the tag").number;
        let expected = if block <= finalized { AnchorState::Final } else { AnchorState::Included };
        assert_eq!(kit.state(batch).await, expected, "{mined} blocks");
    }
    assert_eq!(kit.state(batch).await, AnchorState::Final);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_anchor_this_database_forgot_is_found_on_the_chain() {
    let kit = Kit::new(Mining::Instant).await;
    let (batch, _) = kit.seal(0, 4).await;
    kit.until(batch, AnchorState::Final).await.unwrap();
    // An old backup: the anchor is planned again and the lane's nonce is back.
    for forget in [
        "delete from attempts",
        "update anchors set state = 'planned', lane_id = null, nonce = null, tx_hash = null, tx_index = null, block_number = null, \
         block_hash = null, block_time = null, evidence = null",
    ] {
        sqlx::query(sqlx::AssertSqlSafe(forget)).execute(&kit.database.pool).await.unwrap();
    }
    kit.until(batch, AnchorState::Final).await.unwrap();
    assert_eq!(kit.transactions().await, 2, "nothing was anchored twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_user_of_the_publishers_key_halts_the_lane() {
    let kit = Kit::new(Mining::Instant).await;
    let (first, _) = kit.seal(0, 1).await;
    kit.until(first, AnchorState::Final).await.unwrap();
    let foreign = json!([{"from": kit.wallet.account(), "to": kit.wallet.account(), "value": "0x1"}]);
    kit.anvil.rpc("eth_sendTransaction", foreign).await.unwrap();
    kit.anvil.mine(1).await.unwrap();
    let (second, _) = kit.seal(1, 1).await;
    halted(kit.settle().await, "somebody else uses the publisher's key");
    assert_eq!(kit.state(second).await, AnchorState::Planned);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_row_is_never_anchored() {
    // What is changed after sealing, and what the second look says of it.
    let changes = [
        (
            "update proofs set salt = set_byte(salt, 3, get_byte(salt, 3) # 1) where ctid = (select min(ctid) from proofs)",
            "not those of its proofs",
        ),
        ("delete from proofs where ctid = (select min(ctid) from proofs)", "not those of its proofs"),
        ("update tiles set hashes = set_byte(hashes, 70, get_byte(hashes, 70) # 64) where level = 0", "do"),
        ("update tiles set hashes = set_byte(hashes, 0, get_byte(hashes, 0) # 1) where level = 0", "leaf 0 is not its header"),
        ("update tiles set hashes = substr(hashes, 1, 64) where level = 0", "size"),
        ("update batches set root = set_byte(root, 0, get_byte(root, 0) # 1) where number = 1", "do not give its root"),
        ("update batches set header = replace(header, '\"count\":4', '\"count\":5') where number = 1", "another batch"),
        ("update batches set header = replace(header, 'test', 'tset') where number = 1", "leaf 0 is not its header"),
        ("update batches set size = 6 where number = 1", "another batch"),
    ];
    for (change, because) in changes {
        let kit = Kit::new(Mining::Instant).await;
        let (batch, _) = kit.seal(0, 4).await;
        let done = sqlx::query(sqlx::AssertSqlSafe(change)).execute(&kit.database.pool).await.unwrap();
        assert_eq!(done.rows_affected(), 1, "{change}");
        halted(kit.settle().await, because);
        assert_eq!(kit.state(batch).await, AnchorState::Planned, "{change}");
        assert!(kit.chain.sent.lock().unwrap().is_empty(), "{change}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_somebody_else_numbered_halts() {
    let kit = Kit::new(Mining::Instant).await;
    let (batch, _) = kit.seal(0, 2).await;
    let call = sceau::chain::registry::anchor_call(batch, B256::repeat_byte(7), 9);
    let foreign = json!([{"from": kit.wallet.account(), "to": kit.chain.target().registry, "input": call}]);
    kit.anvil.rpc("eth_sendTransaction", foreign).await.unwrap();
    kit.anvil.mine(1).await.unwrap();
    halted(kit.settle().await, "with another root");
    assert_eq!(kit.record(batch).await, None);
}
