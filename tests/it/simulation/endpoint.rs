//! One thing at a time: what an endpoint that is behind, of two minds, or at odds with itself must not bring about.

use std::sync::Arc;

use sceau::chain::signer::LocalWallet;
use sceau::pipeline::{Step, StepError};

use super::control::Control;
use super::history::History;
use super::site::Site;
use crate::model::{Fate, World};

fn mine(history: &History<'_>, blocks: usize) {
    (0..blocks).for_each(|_| history.model.world(World::mine));
}

/// One batch, sent.
async fn sent(site: &Site) -> History<'_> {
    let mut history = History::new(site, 7, Control::None).await;
    history.attempt(0, false).await.unwrap();
    history.submit().await;
    history.seal().await.unwrap();
    history.attempt(0, false).await.unwrap();
    history
}

async fn state(site: &Site) -> String {
    sqlx::query_scalar("select state from anchors where batch = 1").fetch_one(&site.database.pool).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_of_two_forks_never_make_an_anchor_final() {
    let site = Site::new().await;
    for calls in 0..16 {
        let mut history = sent(&site).await;
        mine(&history, 1);
        history.attempt(0, false).await.unwrap();
        assert_eq!(state(&site).await, "included");
        // One node stays on this fork; the chain goes on without it, and without the transaction.
        history.model.fall_behind(false);
        history.model.reorg(1, Fate::Dropped);
        mine(&history, 12);
        history.model.fall_behind_after(calls);
        let done = history.attempt(0, false).await;
        assert!(!matches!(done, Err(StepError::Halt(_))), "call {calls}: {done:?}");
        history.check_finals().await.unwrap_or_else(|what| panic!("call {calls}: {what}"));
        history.settle().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_is_behind_is_no_reason_to_halt() {
    let site = Site::new().await;
    for calls in 0..12 {
        let mut history = sent(&site).await;
        history.model.fall_behind(false);
        history.settle().await.unwrap();
        // The node that never saw batch 1 answers while batch 2 is to be anchored.
        history.submit().await;
        history.seal().await.unwrap();
        history.model.fall_behind(false);
        mine(&history, 1);
        history.model.fall_behind_after(calls);
        let done = history.attempt(1, false).await;
        assert!(!matches!(done, Err(StepError::Halt(_))), "call {calls}: {done:?}");
        history.settle().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_from_before_what_is_final_is_not_believed() {
    let site = Site::new().await;
    let mut history = sent(&site).await;
    let early = history.model.world(|world| world.clone());
    history.settle().await.unwrap();
    history.submit().await;
    history.seal().await.unwrap();
    history.model.answer_from(early);
    let done = history.attempt(0, false).await;
    assert!(matches!(done, Err(StepError::Chain(_))), "{done:?}");
    history.settle().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_that_takes_back_what_was_final_halts() {
    let site = Site::new().await;
    let mut history = sent(&site).await;
    history.settle().await.unwrap();
    assert_eq!(history.attempt(0, false).await.unwrap(), Step::Idle);
    let height = history.model.world(|world| world.latest().number);
    history.model.world(|world| world.break_finality(height));
    // Nothing is waiting, and it is noticed all the same.
    match history.attempt(0, false).await {
        Err(StepError::Halt(why)) => assert!(why.contains("took back what was final"), "{why}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_key_does_not_take_over_the_nonces_of_the_old_one() {
    let site = Site::new().await;
    let mut history = sent(&site).await;
    history.model.world(World::drop_pool);
    // The second account of the test mnemonic has other nonces.
    let other = "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d";
    history.key = Some(Arc::new(LocalWallet::from_hex(&other.into()).unwrap()));
    history.attempt(1, true).await.unwrap();
    let attempts: i64 = sqlx::query_scalar("select count(*) from attempts").fetch_one(&site.database.pool).await.unwrap();
    assert_eq!(attempts, 1, "signed by another key under the same nonce");
    mine(&history, 1);
    history.attempt(1, true).await.unwrap();
    assert_eq!(state(&site).await, "included", "the old key's bytes were sent again");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_runs_ahead_does_not_decide_what_is_final() {
    let site = Site::new().await;
    for quorum in [Control::NoQuorum, Control::None] {
        let mut history = History::new(&site, 7, quorum).await.with_peers();
        mine(&history, 20);
        // It has all the others have, and thirty blocks that nobody else has, most of them final to it.
        history.peers[1].fork(0, Fate::Dropped, 30);
        history.submit().await;
        history.seal().await.unwrap();
        for _ in 0..3 {
            history.attempt(0, false).await.unwrap();
        }
        mine(&history, 1);
        let known: Option<i64> =
            sqlx::query_scalar("select max(number) from finality").fetch_one(&site.database.pool).await.unwrap();
        let last = history.model.world(|world| world.latest().number);
        assert!(
            known.is_none_or(|known| known.unsigned_abs() <= last),
            "{quorum:?}: {known:?} counts as final, {last} is the head"
        );
        history.settle().await.unwrap();
    }
}
