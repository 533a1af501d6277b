//! Storing what a submission holds: in the pool, or with its validators.

use std::collections::HashMap;

use sceau_verifier::promise::Record;
use sceau_verifier::{Digest, Salt};

use crate::api::State;
use crate::api::access::caller::Caller;
use crate::api::access::limit::Quota;
use crate::api::error::{Code, Problem, Result};
use crate::api::partner::item::Read;
use crate::api::promise;
use crate::ledger::LedgerError;
use crate::ledger::accounts::AccountId;
use crate::ledger::intake::{Accepted, IntakeError, Submission};
use crate::ledger::validations::{Asked, Request, Waiting};
use crate::ports::Ports;

/// What became of one item.
#[derive(Clone, Copy)]
pub(in crate::api::partner) enum Outcome {
    Accepted(Accepted),
    Waiting(Waiting),
}

impl From<Asked> for Outcome {
    fn from(asked: Asked) -> Self {
        match asked {
            Asked::Waiting(waiting) => Self::Waiting(waiting),
            Asked::Accepted(accepted) => Self::Accepted(accepted),
        }
    }
}

impl Outcome {
    /// What is promised about it.
    pub(in crate::api::partner) fn promised(&self) -> Option<Record> {
        match self {
            Self::Accepted(proof) => {
                promise::record((proof.digest, proof.salt), (proof.number, proof.batch), (proof.received_at, proof.anchor_by?))
            }
            Self::Waiting(_) => None,
        }
    }

    /// The batch of a proof that was there before.
    pub(super) fn older(&self) -> Option<u64> {
        match self {
            Self::Accepted(proof) if !proof.fresh => Some(proof.batch),
            _ => None,
        }
    }
}

/// The commit runs in a task of its own, or is one transaction: ending the wait, or a client that goes away, does not undo it
/// half-way.
pub(super) async fn in_time<T>(api: &State, work: impl Future<Output = Result<T>>) -> Result<T> {
    let late = |_| Problem::from(Code::Unavailable).cause("no commit in time").retry_after(2);
    tokio::time::timeout(api.limits.commit, work).await.map_err(late)?
}

/// An item that is to wait for validators.
pub(super) fn request(item: &Read) -> Request {
    Request { digest: item.digest, detail: item.detail.clone(), again: item.again }
}

/// Stores what waits for validators; answers with the places of these items.
///
/// # Errors
/// [`Code::ValidatorsMissing`], [`Code::PoolFull`], [`Code::Unavailable`], [`Code::ReadOnly`].
pub(in crate::api::partner) async fn ask(
    api: &State,
    account: AccountId,
    items: &[Read],
    ports: &Ports,
) -> Result<Vec<(usize, Outcome)>> {
    let waiting = items.iter().enumerate().filter(|(_, item)| item.validation);
    let (places, requests): (Vec<usize>, Vec<Request>) = waiting.map(|(at, item)| (at, request(item))).unzip();
    if requests.is_empty() {
        return Ok(Vec::new());
    }
    api.intake.admits()?;
    let asked = async { Ok(api.ledger.await_validation(account, &requests, ports).await?) };
    let asked: Vec<Asked> = in_time(api, asked).await?;
    Ok(places.into_iter().zip(asked.into_iter().map(Outcome::from)).collect())
}

/// Accepts the others; one that waits, or was refused, is answered as it stands. `again` reads the items anew.
///
/// # Errors
/// [`Code::QuotaExceeded`], [`Code::PoolFull`], [`Code::Unavailable`], [`Code::ReadOnly`].
pub(in crate::api::partner) async fn accept(
    api: &State,
    caller: &Caller,
    items: Vec<Read>,
    again: &(impl Fn() -> Result<Vec<Read>> + Sync),
    quota: &Quota,
    ports: &Ports,
) -> Result<Vec<(usize, Outcome)>> {
    let salts = salts(items.len(), ports);
    in_time(api, accept_all(api, caller, items, again, quota, &salts)).await
}

/// One for each item, so that it does not matter which of them are held.
pub(super) fn salts(count: usize, ports: &Ports) -> Vec<[u8; Salt::LEN]> {
    let mut salts = vec![[0; Salt::LEN]; count];
    ports.entropy.fill(salts.as_flattened_mut());
    salts
}

async fn accept_all(
    api: &State,
    caller: &Caller,
    items: Vec<Read>,
    again: &(impl Fn() -> Result<Vec<Read>> + Sync),
    quota: &Quota,
    drawn: &[[u8; Salt::LEN]],
) -> Result<Vec<(usize, Outcome)>> {
    let account = caller.account;
    let mut items = Some(items);
    let mut held: HashMap<Digest, Waiting> = HashMap::new();
    // Twice at most, unless digests begin to wait at this very moment. What is held is seldom there, so the items are
    // handed over for good, and read again when they are needed again.
    for _ in 0..4 {
        let (mut places, mut rest, mut salts, mut outcomes) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (at, item) in items.take().map_or_else(again, Ok)?.into_iter().enumerate() {
            match held.get(&item.digest) {
                _ if item.validation => {}
                Some(waiting) => outcomes.push((at, Outcome::Waiting(*waiting))),
                None => {
                    places.push(at);
                    salts.extend(drawn.get(at).copied().map(Salt::from));
                    rest.push(Submission { account, digest: item.digest, detail: item.detail });
                }
            }
        }
        match api.intake.accept_with(rest, salts).await {
            Ok(accepted) => {
                outcomes.extend(places.into_iter().zip(accepted.into_iter().map(Outcome::Accepted)));
                return Ok(outcomes);
            }
            Err(IntakeError::Ledger(error)) if matches!(*error, LedgerError::Held) => {
                let direct = again()?.into_iter().filter(|item| !item.validation);
                held = api.ledger.held(account, &direct.map(|item| item.digest).collect::<Vec<_>>()).await?;
            }
            Err(IntakeError::Ledger(error)) if matches!(*error, LedgerError::OverQuota(_)) => return Err(quota.refused()),
            Err(error) => return Err(error.into()),
        }
    }
    Err(unsettled())
}

/// Digests begin to wait again and again. Nothing was stored.
pub(super) fn unsettled() -> Problem {
    Code::Unavailable.because("digests begin to wait again and again").retry_after(2)
}

/// In the order of the items.
pub(in crate::api::partner) fn merge(asked: Vec<(usize, Outcome)>, accepted: Vec<(usize, Outcome)>) -> Vec<(usize, Outcome)> {
    let mut all: Vec<(usize, Outcome)> = asked.into_iter().chain(accepted).collect();
    all.sort_unstable_by_key(|(at, _)| *at);
    all
}
