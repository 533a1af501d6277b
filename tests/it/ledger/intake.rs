//! Accepting: durable, idempotent, and complete when its batch is sealed.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use sceau::ledger::Ledger;
use sceau::ledger::accounts::AccountId;
use sceau::ledger::batches::Batch;
use sceau::ledger::intake::{Accepted, Detail, Intake, IntakeError, Limits, Submission};
use sceau::pipeline::schedule::Schedule;
use sceau::pipeline::seal::Sealer;
use sceau::ports::{Entropy, SystemEntropy};
use sceau_verifier::{BatchHeader, Digest, entry, path, tile};
use uuid::Uuid;

use super::{account, digest, ledger};
use crate::support::database;

fn intake(ledger: &Ledger, limits: Limits) -> (Intake, tokio::task::JoinSet<()>) {
    let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
    Intake::start(ledger, &entropy, limits)
}

fn plain(account: AccountId, digest: Digest) -> Submission {
    Submission { account, digest, detail: None }
}

fn sealer(ledger: &Ledger, holder: u128) -> Sealer {
    Sealer {
        ledger: ledger.clone(),
        origin: "test".into(),
        schedule: Schedule::parse("0 0 0 1 1 *").expect("a schedule"),
        threshold: u64::MAX >> 1,
        holder: Uuid::from_u128(holder),
    }
}

/// Every acknowledged digest is where its acknowledgement says, exactly once, and every sealed batch is whole.
async fn account_for(ledger: &Ledger, account: AccountId, acknowledged: &[Accepted], newest: u64) {
    let mut batches: HashMap<u64, HashSet<[u8; 32]>> = HashMap::new();
    for accepted in acknowledged {
        let proof = ledger.proof(account, &accepted.digest).await.unwrap().expect("an acknowledged digest is stored");
        assert_eq!((proof.salt, proof.batch), (accepted.salt, accepted.batch), "the acknowledgement holds");
        let leaf = entry::leaf(accepted.digest, accepted.salt);
        assert!(batches.entry(accepted.batch).or_default().insert(leaf.into()), "once each");
    }
    let mut previous_root = Digest::from([0; 32]);
    for number in 1..=newest {
        let Some(Batch::Sealed(batch)) = ledger.batch(number).await.unwrap() else { panic!("batch {number} is not sealed") };
        let expected = batches.remove(&number).expect("no batch is empty");
        let header = BatchHeader::parse(&batch.header).expect("a header");
        assert_eq!(header.previous_root, previous_root, "batches are chained");
        assert_eq!((header.number, header.count, batch.size), (number, expected.len() as u64, expected.len() as u64 + 1));
        previous_root = batch.root.into();
        for leaf in expected {
            let (tile_index, hashes) = ledger.leaf_tile(number, &leaf).await.unwrap().expect("a tile");
            let place = hashes.as_chunks::<32>().0.iter().position(|hash| *hash == leaf).expect("the leaf is sealed");
            let index = tile_index * 256 + place as u64;
            let mut tiles = Vec::new();
            for id in tile::path_tiles(batch.size, index) {
                tiles.push(ledger.tile(number, u8::try_from(id.level).unwrap(), id.index).await.unwrap().expect("a tile"));
            }
            let tiles: Vec<&[[u8; 32]]> = tiles.iter().map(|bytes| tile::from_bytes(bytes).expect("whole hashes")).collect();
            let proof = tile::path(batch.size, index, &tiles).expect("a path");
            path::verify(&leaf.into(), index, batch.size, &proof, &batch.root.into()).expect("the path leads to the root");
        }
    }
    assert!(batches.is_empty(), "every acknowledged digest is in a sealed batch");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sealing_in_a_loop_leaves_no_acknowledged_digest_out() {
    let database = database().await;
    let ledger = ledger(&database);
    let account = account(&ledger, "busy").await;
    let (intake, _lanes) = intake(&ledger, Limits { group: 64, lanes: 3, ..Limits::default() });
    let (stop, rounds) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));

    // Two instances seal as fast as they can while eight clients submit ones and handfuls, until both have done enough.
    let sealers: Vec<_> = [1, 2]
        .map(|holder| {
            let (sealer, stop, rounds) = (sealer(&ledger, holder), Arc::clone(&stop), Arc::clone(&rounds));
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    match sealer.seal_now().await {
                        Ok(newest) => _ = rounds.fetch_add(u64::from(newest.is_some()), Ordering::Relaxed),
                        Err(sceau::pipeline::StepError::Ledger(error)) => {
                            assert!(
                                matches!(error, sceau::ledger::LedgerError::LeaseLost { .. }) || error.is_transient(),
                                "{error}"
                            );
                        }
                        Err(error) => panic!("{error}"),
                    }
                    tokio::task::yield_now().await;
                }
            })
        })
        .into_iter()
        .collect();
    let clients: Vec<_> = (0..8_u64)
        .map(|client| {
            let (intake, rounds) = (intake.clone(), Arc::clone(&rounds));
            tokio::spawn(async move {
                let (mut acknowledged, mut sent) = (Vec::new(), 0);
                for round in 0.. {
                    if round >= 60 && rounds.load(Ordering::Relaxed) >= 5 {
                        break;
                    }
                    let items: Vec<_> = (0..=round % 5).map(|n| plain(account, digest(client, round * 10 + n))).collect();
                    sent += items.len();
                    acknowledged.extend(intake.accept(items).await.expect("accepted"));
                }
                assert_eq!(acknowledged.len(), sent);
                acknowledged
            })
        })
        .collect();
    let mut acknowledged = Vec::new();
    for client in clients {
        acknowledged.extend(client.await.expect("a client"));
    }
    stop.store(true, Ordering::Relaxed);
    for sealer in sealers {
        sealer.await.expect("a sealer");
    }
    // Whatever was acknowledged after the last round.
    sealer(&ledger, 1).seal_now().await.expect("sealed");
    let newest = acknowledged.iter().map(|accepted| accepted.batch).max().expect("some");
    assert!(acknowledged.iter().all(|accepted| accepted.fresh));
    account_for(&ledger, account, &acknowledged, newest).await;
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

#[tokio::test]
async fn the_pool_is_sealed_by_size_or_by_the_clock_and_never_empty() {
    use sceau::pipeline::Step;

    let database = database().await;
    let ledger = ledger(&database);
    let account = account(&ledger, "due").await;
    let (intake, _lanes) = intake(&ledger, Limits::default());
    let submit = async |numbers: std::ops::Range<u64>| {
        intake.accept(numbers.map(|n| plain(account, digest(0, n))).collect()).await.expect("accepted")[0].batch
    };
    // Once a year by the clock.
    let by_size = Sealer { threshold: 5, ..sealer(&ledger, 1) };
    assert_eq!(by_size.step().await.unwrap(), Step::Idle, "an empty pool");
    assert_eq!(submit(0..4).await, 1);
    assert_eq!(by_size.step().await.unwrap(), Step::Idle, "four of five");
    assert_eq!(submit(4..5).await, 1);
    assert_eq!(by_size.step().await.unwrap(), Step::Worked, "five of five");
    assert_eq!(submit(5..6).await, 2);
    // Once a second by the clock.
    let by_clock = Sealer { schedule: Schedule::parse("* * * * * *").expect("a schedule"), ..sealer(&ledger, 1) };
    while by_clock.step().await.unwrap() == Step::Idle {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert!(matches!(ledger.batch(2).await.unwrap(), Some(Batch::Sealed(batch)) if batch.size == 2));
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    assert_eq!(by_clock.step().await.unwrap(), Step::Idle, "a second has gone by, but the pool is empty");
    assert_eq!(ledger.batch(4).await.unwrap(), None);
}
