//! A submission of which some items wait for validators and others do not: one transaction, so that a refusal is of all of it.

use std::collections::{HashMap, HashSet};

use sceau_verifier::{Digest, Salt};

use super::store::{Outcome, in_time, request, salts, unsettled};
use crate::api::State;
use crate::api::access::caller::Caller;
use crate::api::access::limit::Quota;
use crate::api::error::{Code, Result};
use crate::api::partner::item::Read;
use crate::ledger::LedgerError;
use crate::ledger::accounts::AccountId;
use crate::ledger::intake::{Accepted, Submission};
use crate::ledger::validations::{Asked, Request, Rounds, Waiting};
use crate::ports::Ports;

/// Stores all of it, or nothing.
///
/// # Errors
/// [`Code::QuotaExceeded`], [`Code::ValidatorsMissing`], [`Code::PoolFull`], [`Code::Unavailable`], [`Code::ReadOnly`].
pub(super) async fn store(
    api: &State,
    caller: &Caller,
    items: &[Read],
    quota: &Quota,
    ports: &Ports,
) -> Result<Vec<(usize, Outcome)>> {
    api.intake.admits()?;
    let requests: Vec<Request> = items.iter().filter(|item| item.validation).map(request).collect();
    let rounds = Rounds::draw(&requests, ports);
    let salts = salts(items.len(), ports);
    in_time(api, settle(api, caller.account, items, &rounds, quota, &salts)).await
}

async fn settle(
    api: &State,
    account: AccountId,
    items: &[Read],
    rounds: &Rounds<'_>,
    quota: &Quota,
    drawn: &[[u8; Salt::LEN]],
) -> Result<Vec<(usize, Outcome)>> {
    let waits: HashSet<Digest> = rounds.items().iter().map(|item| item.digest).collect();
    let mut held: HashMap<Digest, Waiting> = HashMap::new();
    // Twice at most, unless digests begin to wait at this very moment.
    for _ in 0..4 {
        // What is to wait here too is not accepted beside it, nor is what waits already.
        let direct = items
            .iter()
            .zip(drawn)
            .filter(|(item, _)| !item.validation && !waits.contains(&item.digest) && !held.contains_key(&item.digest));
        let (direct, salts): (Vec<Submission>, Vec<Salt>) = direct
            .map(|(item, salt)| (Submission { account, digest: item.digest, detail: item.detail.clone() }, Salt::from(*salt)))
            .unzip();
        match api.ledger.await_and_accept(account, rounds, &direct, &salts).await {
            Ok((asked, accepted)) => return in_order(items, &held, asked, accepted),
            Err(LedgerError::Held) => {
                let digests: Vec<Digest> = direct.iter().map(|item| item.digest).collect();
                held.extend(api.ledger.held(account, &digests).await?);
            }
            Err(LedgerError::OverQuota(_)) => return Err(quota.refused()),
            Err(error) => return Err(error.into()),
        }
    }
    Err(unsettled())
}

/// One outcome an item: what waits answers for those of the same digest that need not have waited.
fn in_order(
    items: &[Read],
    held: &HashMap<Digest, Waiting>,
    asked: Vec<Asked>,
    accepted: Vec<Accepted>,
) -> Result<Vec<(usize, Outcome)>> {
    let mut stands: HashMap<Digest, Outcome> =
        held.iter().map(|(digest, waiting)| (*digest, Outcome::Waiting(*waiting))).collect();
    stands.extend(asked.iter().map(|asked| match asked {
        Asked::Waiting(waiting) => (waiting.digest, Outcome::Waiting(Waiting { fresh: false, ..*waiting })),
        Asked::Accepted(accepted) => (accepted.digest, Outcome::Accepted(*accepted)),
    }));
    let (mut asked, mut accepted) = (asked.into_iter(), accepted.into_iter());
    let outcomes = items.iter().map(|item| match stands.get(&item.digest) {
        _ if item.validation => asked.next().map(Outcome::from),
        Some(stands) => Some(*stands),
        None => accepted.next().map(Outcome::Accepted),
    });
    let whole: Option<Vec<Outcome>> = outcomes.collect();
    let whole = whole.ok_or_else(|| Code::Internal.because("an item was left unanswered"))?;
    Ok(whole.into_iter().enumerate().collect())
}
