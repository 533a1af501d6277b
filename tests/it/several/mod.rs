//! Several chains: each batch anchored in every target by itself, and counted by the rule the operator decided.

mod kit;

use sceau::api::receipt;
use sceau::ledger::anchors::AnchorState;
use sceau::ledger::proofs::Status;
use sceau::ledger::targets::policy::{PolicyError, Retired};

use kit::{Chains, numbers};

#[tokio::test(flavor = "multi_thread")]
async fn one_chain_down_delays_nothing_else_and_catches_up_by_itself() {
    let mut chains = Chains::new().await;
    let (near, far) = (chains.add(31337, 1).await, chains.add(31338, 1).await);
    chains.targets[far].pause();
    let mut proofs = Vec::new();
    for kind in 0..3 {
        let (batch, proof) = chains.seal(kind).await;
        chains.targets[far].step().await.expect_err("nobody answers");
        chains.until(near, batch, AnchorState::Final).await;
        assert_eq!(chains.ledger.batch_status(batch).await.unwrap(), Status::Final, "one of two is enough");
        let assembled = chains.receipt(&proof).await;
        assert_eq!((assembled.receipt.anchors.len(), assembled.complete), (1, false), "the other may still come");
        proofs.push(proof);
    }
    chains.targets[far].resume();
    chains.until(far, 3, AnchorState::Final).await;
    for proof in &proofs {
        let assembled = chains.receipt(proof).await;
        assert!(assembled.complete, "every anchor is in it");
        assert_eq!(assembled.receipt.anchors.len(), 2, "and the receipt lists them all");
        assert!(assembled.receipt.anchors.iter().all(|anchor| anchor.evidence.is_some()));
    }
    chains.audit().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_added_later_starts_at_its_own_first_number_without_a_hole() {
    let mut chains = Chains::new().await;
    let first = chains.add(31337, 1).await;
    for kind in 0..2 {
        let (batch, _) = chains.seal(kind).await;
        chains.until(first, batch, AnchorState::Final).await;
    }
    // One whose registry begins with the third batch, and one that gets everything from the beginning.
    let (third, whole) = (chains.add(31338, 3).await, chains.add(31339, 1).await);
    for kind in 2..4 {
        chains.seal(kind).await;
    }
    for target in [first, third, whole] {
        chains.until(target, 4, AnchorState::Final).await;
    }
    for (target, expected) in [(first, 1..=4), (third, 3..=4), (whole, 1..=4)] {
        assert_eq!(numbers(&chains.targets[target]).await, expected.collect::<Vec<u64>>(), "no hole");
    }
    chains.audit().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_is_anchored_when_as_many_targets_have_it_as_the_rule_says() {
    let mut chains = Chains::new().await;
    let ledger = chains.ledger.clone();
    assert!(matches!(ledger.require_anchors(2, &[]).await, Err(PolicyError::TooFew { left: 0, needed: 2 })));
    let near = chains.add(31337, 1).await;
    let (before, _) = chains.seal(0).await;
    chains.until(near, before, AnchorState::Final).await;
    assert!(matches!(ledger.require_anchors(2, &[]).await, Err(PolicyError::TooFew { left: 1, needed: 2 })));
    let far = chains.add(31338, 1).await;
    let policy = ledger.require_anchors(2, &[]).await.expect("two targets");
    assert_eq!((policy.needed, policy.from_batch), (2, 2), "batches sealed before keep their rule");

    let (batch, proof) = chains.seal(1).await;
    let status = async |batch| ledger.batch_status(batch).await.unwrap();
    chains.until(near, batch, AnchorState::Final).await;
    assert_eq!((status(before).await, status(batch).await), (Status::Final, Status::Sealed));
    let assembled = chains.receipt(&proof).await;
    assert_eq!((assembled.receipt.anchors.len(), assembled.needed), (1, 2));
    chains.audit().await;
    chains.until(far, batch, AnchorState::Included).await;
    assert_eq!(status(batch).await, Status::Anchored, "in two blocks, one of them not final");
    chains.until(far, batch, AnchorState::Final).await;
    assert_eq!(status(batch).await, Status::Final);
    chains.audit().await;

    // A row changed behind our back: the oracle judges by the rule the batch was sealed under.
    for (change, what) in [
        ("update batches set anchors_needed = 1 where number = 2", "it needs 1 anchors, the policy it was sealed under says 2"),
        ("update batches set anchored = false where number = 2", "it does not count as anchored, but 2 of 1 anchors stand"),
    ] {
        sqlx::query(sqlx::AssertSqlSafe(change)).execute(&chains.database.pool).await.unwrap();
        let report = chains.report().await;
        assert!(report.findings.iter().any(|finding| finding.table == "batches" && finding.what == what), "{report:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retired_target_is_waited_for_no_more_and_can_be_resumed() {
    let mut chains = Chains::new().await;
    let ledger = chains.ledger.clone();
    let (near, far) = (chains.add(31337, 1).await, chains.add(31338, 1).await);
    ledger.require_anchors(2, &[]).await.expect("two targets");
    let (first, proof) = chains.seal(0).await;
    chains.until(near, first, AnchorState::Final).await;
    chains.until(far, first, AnchorState::Included).await;
    chains.targets[far].pause();
    let (second, waiting) = chains.seal(1).await;
    chains.until(near, second, AnchorState::Final).await;
    let status = async |batch| ledger.batch_status(batch).await.unwrap();
    assert_eq!(status(second).await, Status::Sealed);

    let gone = chains.targets[far].name();
    assert!(matches!(ledger.retire_target(gone, false).await, Err(PolicyError::TooFew { left: 1, needed: 2 })));
    assert!(matches!(ledger.retire_target((5, [0; 20]), false).await, Err(PolicyError::Unknown)));
    ledger.require_anchors(1, &[]).await.expect("one target");
    assert_eq!(status(second).await, Status::Sealed, "a decision for later batches changes nothing of this one");
    assert_eq!(ledger.retire_target(gone, false).await.unwrap(), Retired { withdrawn: 1, under_way: 1 });
    assert_eq!((status(first).await, status(second).await), (Status::Anchored, Status::Final), "all that are left have it");
    assert!(chains.receipt(&waiting).await.complete, "nothing more will come");
    assert!(!chains.receipt(&proof).await.complete, "this one is under way");
    let (third, _) = chains.seal(2).await;
    assert_eq!(ledger.anchors(third).await.unwrap().len(), 1, "no new anchors are planned there");
    chains.audit().await;

    // The chain is gone for good: what was in a block there is given up too.
    assert!(matches!(ledger.retire_target(gone, false).await, Err(PolicyError::Retired)));
    assert_eq!(ledger.retire_target(gone, true).await.unwrap(), Retired { withdrawn: 1, under_way: 0 });
    assert_eq!(status(first).await, Status::Final);
    assert!(receipt::assemble(&ledger, &receipt::Known::default(), &proof).await.unwrap().expect("sealed").complete);
    chains.audit().await;

    // Or it comes back, and gets everything in its order.
    chains.targets[far].resume();
    assert_eq!(ledger.resume_target(gone).await.unwrap(), 3);
    assert!(matches!(ledger.resume_target(gone).await, Err(PolicyError::NotRetired)));
    for target in [near, far] {
        chains.until(target, third, AnchorState::Final).await;
    }
    assert_eq!(numbers(&chains.targets[far]).await, [1, 2, 3]);
    assert_eq!(ledger.anchors(second).await.unwrap().len(), 2);
    chains.audit().await;
}
