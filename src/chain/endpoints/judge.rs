//! Whom to believe. Pure: what was heard goes in, who is sound comes out.

use crate::chain::{Block, ChainError, Heads};

use super::health::Reason;
use super::{Known, Rules};

/// What one endpoint says at one moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    pub heads: Heads,
    /// What it has where a block was final.
    pub known: Option<Block>,
}

/// An endpoint and what was heard of it.
pub(super) type Heard = (usize, Result<Seen, ChainError>);

/// Endpoints that count, and what they say.
pub(super) type Members = Vec<(usize, Seen)>;

/// Endpoints that do not, and why.
pub(super) type Asides = Vec<(usize, Reason)>;

/// Whom to compare, and who is out before that.
#[derive(Debug, Default)]
pub(super) struct Sifted {
    pub sound: Members,
    pub aside: Asides,
    /// Another chain that somebody serves, when everybody who answers does.
    pub serves: Option<u64>,
}

/// Sorts out who fails, serves another chain, or lacks what was final.
pub(super) fn sift(heard: &[Heard], known: Option<Known>) -> Sifted {
    let mut sifted = Sifted::default();
    let mut contradicting = Vec::new();
    let mut wrong = None;
    for (index, heard) in heard {
        match heard {
            Err(ChainError::WrongChain { found, .. }) => {
                wrong = Some(*found);
                sifted.aside.push((*index, Reason::WrongChain { found: *found }));
            }
            Err(error) => sifted.aside.push((*index, Reason::Away(error.to_string()))),
            Ok(seen) => match known {
                Some((height, hash)) if seen.known.is_none_or(|block| block.hash != hash) => {
                    contradicting.push((*index, *seen, height));
                }
                _ => sifted.sound.push((*index, *seen)),
            },
        }
    }
    if sifted.sound.is_empty() && !contradicting.is_empty() {
        // Nobody confirms what was final: that is for whoever looks through the view to judge.
        sifted.sound = contradicting.into_iter().map(|(index, seen, _)| (index, seen)).collect();
    } else {
        sifted.aside.extend(contradicting.into_iter().map(|(index, _, height)| (index, Reason::NotFinal { height })));
    }
    let answered = heard.iter().filter(|(_, heard)| heard.is_ok()).count();
    sifted.serves = wrong.filter(|_| answered == 0);

    sifted
}

/// Sorts out who is too far behind the head that half of them have reached, or the quorum if that is more: one that runs
/// ahead alone makes nobody slow.
pub(super) fn near(agreed: Members, rules: &Rules) -> (Members, Asides) {
    let mut heads: Vec<u64> = agreed.iter().map(|(_, seen)| seen.heads.latest.number).collect();
    heads.sort_unstable_by(|a, b| b.cmp(a));
    let rank = rules.quorum.max(heads.len().div_ceil(2)).min(heads.len());
    let Some(best) = rank.checked_sub(1).map(|place| heads[place]) else { return (agreed, Vec::new()) };
    let (near, behind): (Vec<_>, Vec<_>) =
        agreed.into_iter().partition(|(_, seen)| seen.heads.latest.number.saturating_add(rules.max_lag) >= best);
    let reason = |(index, seen): (usize, Seen)| (index, Reason::Behind { head: seen.heads.latest.number, best });
    (near, behind.into_iter().map(reason).collect())
}

/// Who agrees with whom.
#[derive(Debug, Default)]
pub(super) struct Settled {
    pub agreed: Members,
    pub aside: Asides,
    /// The height about which they disagree, when nobody is to be believed.
    pub open: Option<u64>,
}

/// Compares what the endpoints have at one height that all of them had. One side is believed when it is more than half of
/// those who answer, or when it alone has the quorum and that is more than one.
pub(super) fn settle(
    height: u64,
    sound: Members,
    blocks: Vec<(usize, Result<Option<Block>, ChainError>)>,
    quorum: usize,
) -> Settled {
    let mut settled = Settled::default();
    let mut sides: Vec<(Block, Vec<usize>)> = Vec::new();
    let mut gone = Vec::new();
    for (index, block) in blocks {
        match block {
            Err(error) => settled.aside.push((index, Reason::Away(error.to_string()))),
            // Its head went back since it was asked.
            Ok(None) => gone.push(index),
            Ok(Some(block)) => match sides.iter_mut().find(|(other, _)| other.hash == block.hash) {
                Some((_, side)) => side.push(index),
                None => sides.push((block, vec![index])),
            },
        }
    }
    settled.aside.extend(gone.iter().map(|index| (*index, Reason::OtherFork { height, hash: None })));
    let answered: usize = sides.iter().map(|(_, side)| side.len()).sum();
    let believed = sides.iter().position(|(_, side)| {
        let others_with_quorum = sides.iter().filter(|(_, other)| other != side && other.len() >= quorum).count();
        side.len() * 2 > answered || (quorum > 1 && side.len() >= quorum && others_with_quorum == 0)
    });
    match believed {
        Some(believed) => {
            let (_, members) = sides.swap_remove(believed);
            settled.agreed = sound.into_iter().filter(|(index, _)| members.contains(index)).collect();
            for (block, others) in sides {
                let reason = Reason::OtherFork { height, hash: Some(block.hash) };
                settled.aside.extend(others.into_iter().map(|index| (index, reason.clone())));
            }
        }
        None if answered == 0 => {}
        None => {
            settled.open = Some(height);
            let all = sides.into_iter().flat_map(|(_, side)| side);
            settled.aside.extend(all.map(|index| (index, Reason::Disputed { height })));
        }
    }
    settled
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
