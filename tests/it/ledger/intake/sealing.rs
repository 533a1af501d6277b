//! What was accepted is sealed: all of it, and when it is due.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use sceau::ledger::Ledger;
use sceau::ledger::accounts::AccountId;
use sceau::ledger::batches::Batch;
use sceau::ledger::intake::{Accepted, Limits};
use sceau::pipeline::schedule::Schedule;
use sceau::pipeline::seal::Sealer;
use sceau_verifier::{BatchHeader, Digest, entry, path, tile};
use uuid::Uuid;

use super::super::{account, digest, ledger};
use super::{intake, plain};
use crate::support::database;

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
