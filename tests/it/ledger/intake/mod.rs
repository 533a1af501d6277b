//! Accepting: durable, idempotent, and complete when its batch is sealed.

mod sealing;
mod terms;

use std::collections::HashMap;
use std::sync::Arc;

use sceau::ledger::Ledger;
use sceau::ledger::accounts::AccountId;
use sceau::ledger::intake::{Accepted, Detail, Intake, IntakeError, Limits, Submission};
use sceau::ports::{Entropy, SystemEntropy};
use sceau_verifier::Digest;

use super::{account, digest, ledger};
use crate::support::database;

fn intake(ledger: &Ledger, limits: Limits) -> (Intake, tokio::task::JoinSet<()>) {
    let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
    Intake::start(ledger, &entropy, limits)
}

fn plain(account: AccountId, digest: Digest) -> Submission {
    Submission { account, digest, detail: None }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_digest_is_accepted_once_however_often_it_comes() {
    let database = database().await;
    let ledger = ledger(&database);
    let (one, other) = (account(&ledger, "one").await, account(&ledger, "other").await);
    let (intake, _lanes) = intake(&ledger, Limits { group: 8, lanes: 4, ..Limits::default() });
    let tasks: Vec<_> = (0..16)
        .map(|n| {
            let intake = intake.clone();
            tokio::spawn(async move {
                // Opposite orders, so that careless locking would deadlock; twice in one call, too.
                let mut items: Vec<_> = (0..20).chain(0..2).map(|n| plain(one, digest(0, n))).collect();
                if n % 2 == 0 {
                    items.reverse();
                }
                intake.accept(items).await.expect("accepted")
            })
        })
        .collect();
    let mut fresh = HashMap::new();
    let mut salts = HashMap::new();
    for task in tasks {
        for accepted in task.await.expect("a client") {
            *fresh.entry(accepted.digest).or_insert(0) += usize::from(accepted.fresh);
            assert_eq!(*salts.entry(accepted.digest).or_insert(accepted.salt), accepted.salt);
        }
    }
    assert_eq!(fresh.len(), 20);
    assert!(fresh.values().all(|count| *count == 1), "{fresh:?}");
    let others = intake.accept(vec![plain(other, digest(0, 0))]).await.expect("accepted");
    assert!(others[0].fresh, "a digest belongs to each account that submits it");
    assert_ne!(others[0].salt, salts[&digest(0, 0)]);
}

/// Whatever the way in was: a digest that was there before, at a place where nobody looked, and one that comes twice.
#[tokio::test]
async fn one_that_was_seen_before_among_many_new_ones() {
    let database = database().await;
    let ledger = ledger(&database);
    let (account, other) = (account(&ledger, "partner").await, account(&ledger, "other").await);
    let (intake, _lanes) = intake(&ledger, Limits::default());
    let mut items: Vec<Submission> = (0..400).map(|n| plain(account, digest(0, n))).collect();
    // In key order every fourth is looked up beforehand: this one is not.
    let mut ordered: Vec<Digest> = items.iter().map(|item| item.digest).collect();
    ordered.sort_unstable();
    let seen = intake.accept(vec![plain(account, ordered[1])]).await.expect("accepted")[0];
    items.push(items[5].clone());
    items.push(plain(other, digest(0, 5)));

    let accepted = intake.accept(items.clone()).await.expect("accepted");
    let mut number = 1;
    for (item, accepted) in items.iter().zip(&accepted).take(400) {
        assert_eq!(accepted.digest, item.digest);
        if item.digest == seen.digest {
            assert_eq!(*accepted, Accepted { fresh: false, ..seen });
        } else {
            number += 1;
            assert_eq!((accepted.fresh, accepted.number), (true, number), "in the order of the items, without a hole");
        }
    }
    assert_eq!(accepted[400], Accepted { fresh: false, ..accepted[5] });
    assert_eq!((accepted[401].fresh, accepted[401].number), (true, 1), "another account counts for itself");

    // The same without one that was seen.
    let items: Vec<Submission> =
        [(account, 1), (other, 2), (account, 3), (account, 1)].map(|(whose, n)| plain(whose, digest(1, n))).into();
    let accepted = intake.accept(items).await.expect("accepted");
    let told: Vec<(bool, u64)> = accepted.iter().map(|one| (one.fresh, one.number)).collect();
    assert_eq!(told, [(true, 401), (true, 2), (true, 402), (false, 401)]);
    assert_eq!(accepted[3], Accepted { fresh: false, ..accepted[0] });
}

#[tokio::test]
async fn details_are_those_of_the_first_submission() {
    let database = database().await;
    let ledger = ledger(&database);
    let account = account(&ledger, "detailed").await;
    let (intake, _lanes) = intake(&ledger, Limits::default());
    let detail = Detail {
        file_name: Some("contrat signé.pdf".into()),
        reference: Some("r-1".into()),
        labels: Some(vec!["a".into(), "ü".into()]),
        metadata: serde_json::json!({"n": 1, "deep": {"x": [true, null]}}).as_object().cloned(),
        ..Detail::default()
    };
    let with = |detail| Submission { account, digest: digest(0, 0), detail };
    let items = vec![with(Some(detail.clone())), plain(account, digest(0, 1))];
    assert!(intake.accept(items).await.expect("accepted").iter().all(|accepted| accepted.fresh));
    let again = with(Some(Detail { file_name: Some("other".into()), ..Detail::default() }));
    assert!(!intake.accept(vec![again]).await.expect("accepted")[0].fresh);
    assert_eq!(ledger.proof(account, &digest(0, 0)).await.unwrap().expect("stored").detail, detail);
    assert_eq!(ledger.proof(account, &digest(0, 1)).await.unwrap().expect("stored").detail, Detail::default());
}

#[tokio::test]
async fn a_call_whose_answer_was_lost_is_answered_the_same_again() {
    let database = database().await;
    let ledger = ledger(&database);
    let account = account(&ledger, "unlucky").await;
    let call = "select salt, batch, received_at, fresh from accept_proofs($1, $2, $3, $4)";
    let mut answers = Vec::new();
    for _ in 0..2 {
        let row: (Vec<u8>, i64, time::OffsetDateTime, bool) = sqlx::query_as(call)
            .bind([account.0])
            .bind([digest(0, 0).as_ref()])
            .bind([[7_u8; 16]])
            .bind([serde_json::json!({"file_name": "a"})])
            .fetch_one(&database.pool)
            .await
            .expect("accepted");
        answers.push(row);
    }
    assert!(answers[0].3, "fresh");
    assert_eq!(answers[0], answers[1]);
}

#[tokio::test]
async fn one_bad_submission_does_not_fail_its_neighbours() {
    let database = database().await;
    let ledger = ledger(&database);
    let account = account(&ledger, "neighbours").await;
    let (intake, _lanes) = intake(&ledger, Limits { lanes: 1, ..Limits::default() });
    // Postgres cannot store U+0000; the API refuses it earlier, here it stands for any unforeseen refusal.
    let bad = Detail { file_name: Some("\0".into()), ..Detail::default() };
    let first = intake.accept(vec![plain(account, digest(0, 0))]);
    let poison = intake.accept(vec![Submission { account, digest: digest(0, 1), detail: Some(bad) }]);
    let second = intake.accept(vec![plain(account, digest(0, 2))]);
    let (first, poison, second) = tokio::join!(first, poison, second);
    assert!(first.is_ok() && second.is_ok());
    assert!(matches!(poison, Err(IntakeError::Ledger(_))), "{poison:?}");
    assert!(ledger.proof(account, &digest(0, 1)).await.unwrap().is_none(), "nothing half-stored");
}

#[tokio::test]
async fn too_many_waiting_are_refused_at_once() {
    let database = database().await;
    let ledger = ledger(&database);
    let account = account(&ledger, "crowd").await;
    let (intake, _lanes) = intake(&ledger, Limits { waiting: 10, ..Limits::default() });
    // Nobody can be served while this lock is held.
    let mut transaction = database.pool.begin().await.unwrap();
    sqlx::query("select pg_advisory_xact_lock(x'5ceab001'::bigint)").execute(&mut *transaction).await.unwrap();
    let crowd: Vec<_> = (0..10)
        .map(|n| {
            let intake = intake.clone();
            tokio::spawn(async move { intake.accept(vec![plain(account, digest(0, n))]).await })
        })
        .collect();
    // One thread: the whole crowd gets to its first wait here.
    tokio::task::yield_now().await;
    let refused = intake.accept(vec![plain(account, digest(1, 0))]).await;
    assert!(matches!(refused, Err(IntakeError::Overloaded)), "{refused:?}");
    transaction.rollback().await.unwrap();
    for one in crowd {
        one.await.unwrap().expect("whoever had a place is served");
    }
    assert!(intake.accept(vec![plain(account, digest(1, 1))]).await.is_ok(), "places are given back");
}

#[tokio::test]
async fn a_server_that_forgets_is_refused() {
    let database = database().await;
    ledger(&database).check_durability().await.expect("the test cluster is durable");
    let off = format!("alter database {} set synchronous_commit = off", database.name);
    sqlx::query(sqlx::AssertSqlSafe(off)).execute(&database.pool).await.unwrap();
    let refused = ledger(&database).check_durability().await.expect_err("acknowledged proofs would be lost");
    assert!(refused.to_string().contains("synchronous_commit is off"), "{refused}");
}
