//! Who is believed, case by case.

use alloy::primitives::B256;

use super::*;

fn block(number: u64, fork: u8) -> Block {
    Block { number, hash: B256::repeat_byte(fork), time: 0 }
}

fn seen(head: u64, known: Option<Block>) -> Seen {
    Seen { heads: Heads { latest: block(head, 1), base_fee: 0, safe: None, finalized: None }, known }
}

fn rules(quorum: usize) -> Rules {
    Rules { quorum, max_lag: 10, ..Rules::default() }
}

fn sound(sifted: &Sifted) -> Vec<usize> {
    sifted.sound.iter().map(|(index, _)| *index).collect()
}

/// Who is near, and who is behind which head.
fn heads(heads: &[u64], quorum: usize) -> (Vec<usize>, Vec<u64>) {
    let agreed = heads.iter().enumerate().map(|(index, head)| (index, seen(*head, None))).collect();
    let (near, behind) = near(agreed, &rules(quorum));
    let best = |(index, reason): (usize, Reason)| match reason {
        Reason::Behind { head, best } if head == heads[index] => best,
        other => panic!("{other:?}"),
    };
    (near.into_iter().map(|(index, _)| index).collect(), behind.into_iter().map(best).collect())
}

#[test]
fn who_is_far_behind_is_not_used() {
    assert_eq!(heads(&[100, 90, 79], 1), (vec![0, 1], vec![90]), "half of three is two: the best is 90");
    assert_eq!(heads(&[100, 90, 80], 1), (vec![0, 1, 2], vec![]));
    assert_eq!(heads(&[100, 89], 1), (vec![0], vec![100]));
    // One that runs ahead alone makes nobody slow.
    assert_eq!(heads(&[1_000, 100, 99], 1), (vec![0, 1, 2], vec![]));
    assert_eq!(heads(&[1_000, 100], 2), (vec![0, 1], vec![]));
    assert_eq!(heads(&[7], 2), (vec![0], vec![]));
    assert_eq!(heads(&[], 1), (vec![], vec![]));
}

#[test]
fn what_was_final_is_asked_for() {
    let known = Some((50, B256::repeat_byte(1)));
    let heard = |forks: [Option<u8>; 3]| -> Vec<Heard> {
        let of = |(index, fork): (usize, Option<u8>)| (index, Ok(seen(100, fork.map(|fork| block(50, fork)))));
        forks.into_iter().enumerate().map(of).collect()
    };
    let sifted = sift(&heard([Some(1), Some(2), None]), known);
    assert_eq!(sound(&sifted), [0]);
    assert_eq!(sifted.aside, [(1, Reason::NotFinal { height: 50 }), (2, Reason::NotFinal { height: 50 })]);
    // Nobody has it: whoever looks decides, and halts where one of them calls the other block final.
    let sifted = sift(&heard([Some(2), Some(2), Some(3)]), known);
    assert_eq!((sound(&sifted), sifted.aside.len()), (vec![0, 1, 2], 0));
}

#[test]
fn another_chain_is_told_from_no_chain() {
    let wrong = || Err(ChainError::WrongChain { expected: 5, found: 6 });
    let away = || Err(ChainError::Unreachable("planned".into()));
    let sifted = sift(&[(0, wrong()), (1, away())], None);
    assert_eq!(sifted.serves, Some(6));
    assert_eq!(sifted.aside[0], (0, Reason::WrongChain { found: 6 }));
    assert!(matches!(sifted.aside[1], (1, Reason::Away(_))));
    assert_eq!(sift(&[(0, wrong()), (1, Ok(seen(9, None)))], None).serves, None);
    assert_eq!(sift(&[(0, away())], None).serves, None);
}

fn settled(forks: &[u8], quorum: usize) -> (Vec<usize>, bool) {
    let sound = (0..forks.len()).map(|index| (index, seen(9, None))).collect();
    let blocks = forks.iter().enumerate().map(|(index, fork)| (index, Ok(Some(block(9, *fork))))).collect();
    let settled = settle(9, sound, blocks, quorum);
    assert_eq!(settled.aside.len() + settled.agreed.len(), forks.len(), "everybody is somewhere");
    (settled.agreed.into_iter().map(|(index, _)| index).collect(), settled.open.is_some())
}

#[test]
fn a_majority_is_believed_and_half_is_not() {
    assert_eq!(settled(&[1], 1), (vec![0], false));
    assert_eq!(settled(&[1, 1], 1), (vec![0, 1], false));
    assert_eq!(settled(&[1, 2], 1), (vec![], true));
    assert_eq!(settled(&[1, 2], 2), (vec![], true));
    assert_eq!(settled(&[2, 1, 1], 1), (vec![1, 2], false));
    assert_eq!(settled(&[1, 2, 3], 1), (vec![], true));
    assert_eq!(settled(&[1, 1, 2, 2], 2), (vec![], true));
    assert_eq!(settled(&[1, 1, 2, 3], 2), (vec![0, 1], false), "the only side with the quorum");
    assert_eq!(settled(&[1, 1, 2, 3], 1), (vec![], true), "a quorum of one proves nothing");
}

#[test]
fn who_cannot_say_is_out() {
    let sound = (0..3).map(|index| (index, seen(9, None))).collect();
    let blocks = vec![(0, Ok(Some(block(9, 1)))), (1, Ok(None)), (2, Err(ChainError::Unreachable("planned".into())))];
    let settled = settle(9, sound, blocks, 1);
    assert_eq!(settled.agreed.len(), 1);
    assert_eq!(settled.aside.len(), 2);
    assert_eq!(settle(9, Vec::new(), Vec::new(), 1).open, None);
}
