//! Handing items to the ledger: into the pool, or to the owner's validators.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::super::Dialect;
use super::item::{Item, Outcome};
use super::quota::Quotas;
use crate::api::error::{Code, Problem, Result};
use crate::ledger::LedgerError;
use crate::ledger::accounts::AccountId;
use crate::ledger::intake::{Detail, IntakeError, Submission};
use crate::ledger::kagesecur::identities::Identity;
use crate::ledger::validations::{Asked, Request, State, Waiting};

/// What is registered, and where its item stands.
pub(super) type Job = (usize, Submission);

/// One outcome an item, once everything is durable. With `waits` documents wait for validators of their owners.
pub(super) async fn register(
    dialect: &Dialect,
    items: &[Item],
    owners: &HashMap<String, Identity>,
    waits: bool,
    visible: bool,
) -> Result<Vec<Outcome>> {
    let now = dialect.api.ports.clock.now();
    let (mut jobs, mut first, mut repeated) = (Vec::new(), HashMap::new(), Vec::new());
    let mut outcomes: Vec<Outcome> = Vec::with_capacity(items.len());
    for (position, item) in items.iter().enumerate() {
        outcomes.push(match &item.document {
            Err(refused) => *refused,
            Ok(document) => match owners.get(&document.owner) {
                None => Outcome::NO_OWNER,
                Some(owner) if !owner.is_subscribed(now) => Outcome::EXPIRED,
                Some(owner) => {
                    let before = *first.entry((owner.account, document.digest)).or_insert(position);
                    if before == position {
                        let detail = Detail { file_name: item.file_name.clone(), visible, ..Detail::default() };
                        let submission = Submission { account: owner.account, digest: document.digest, detail: Some(detail) };
                        jobs.push((position, submission));
                    } else {
                        repeated.push((position, before));
                    }
                    Outcome::ALREADY
                }
            },
        });
    }
    let quotas = Quotas::of(dialect, owners.values(), now);
    let work = async { if waits { wait(dialect, jobs).await } else { accept(dialect, jobs, &quotas).await } };
    // The commit runs in a task of its own, or in the database alone: ending the wait, or a client that goes away, does
    // not undo it half-way.
    let settled = match tokio::time::timeout(dialect.api.limits.commit, work).await {
        Ok(settled) => settled?,
        Err(_) => return Err(Code::Unavailable.because("no commit in time").retry_after(2)),
    };
    for (position, outcome) in settled {
        outcomes[position] = outcome;
    }
    // What stands twice in one request is registered when its first item is, and refused as that one.
    for (position, before) in repeated {
        outcomes[position] = if outcomes[before] == Outcome::REGISTERED { Outcome::ALREADY } else { outcomes[before] };
    }
    Ok(outcomes)
}

/// Into the pool. What waits for validators, or was refused by one, is answered as it stands, and so is what its owner has no
/// digests left for.
async fn accept(dialect: &Dialect, mut jobs: Vec<Job>, quotas: &Quotas<'_>) -> Result<Vec<(usize, Outcome)>> {
    let mut settled = Vec::with_capacity(jobs.len());
    quotas.cut(&mut jobs, &mut settled, None).await?;
    // Twice at most, unless documents begin to wait at this very moment.
    for _ in 0..4 {
        match dialect.api.intake.accept(jobs.iter().map(|(_, submission)| submission.clone()).collect()).await {
            Ok(accepted) => {
                let outcome = |fresh| if fresh { Outcome::REGISTERED } else { Outcome::ALREADY };
                settled.extend(jobs.iter().zip(accepted).map(|((at, _), accepted)| (*at, outcome(accepted.fresh))));
                return Ok(settled);
            }
            Err(IntakeError::Ledger(error)) if matches!(*error, LedgerError::Held) => {
                for (account, of_account) in by_account(&jobs) {
                    let digests: Vec<_> = of_account.iter().map(|(_, submission)| submission.digest).collect();
                    let held = dialect.api.ledger.held(account, &digests).await?;
                    settled.extend(of_account.iter().filter_map(|(at, one)| Some((*at, stands(held.get(&one.digest)?)))));
                }
                let known: HashSet<usize> = settled.iter().map(|(at, _)| *at).collect();
                jobs.retain(|(at, _)| !known.contains(at));
            }
            // Refused in the transaction: another request took what was left.
            Err(IntakeError::Ledger(error)) => match *error {
                LedgerError::OverQuota(account) => quotas.cut(&mut jobs, &mut settled, Some(account)).await?,
                ref error => return Err(error.into()),
            },
            Err(error) => return Err(error.into()),
        }
    }
    Err(Code::Unavailable.because("documents begin to wait again and again").retry_after(2))
}

/// To the validators of each owner. Owners are served one after the other: when that fails half-way, repeating the request
/// is safe.
async fn wait(dialect: &Dialect, jobs: Vec<Job>) -> Result<Vec<(usize, Outcome)>> {
    let mut settled = Vec::with_capacity(jobs.len());
    if !jobs.is_empty() {
        dialect.api.intake.admits()?;
    }
    for (account, of_account) in by_account(&jobs) {
        let requests: Vec<Request> =
            of_account.iter().map(|(_, one)| Request { digest: one.digest, detail: one.detail.clone(), again: false }).collect();
        let outcomes: Vec<Outcome> = match dialect.api.ledger.await_validation(account, &requests, &dialect.api.ports).await {
            Ok(asked) => asked.iter().map(outcome).collect(),
            Err(LedgerError::TooFewValidators) => vec![Outcome::NO_VALIDATOR; requests.len()],
            Err(error) => return Err(Problem::from(error)),
        };
        settled.extend(of_account.iter().map(|(at, _)| *at).zip(outcomes));
    }
    Ok(settled)
}

fn by_account(jobs: &[Job]) -> BTreeMap<AccountId, Vec<&Job>> {
    let mut groups: BTreeMap<AccountId, Vec<&Job>> = BTreeMap::new();
    for job in jobs {
        groups.entry(job.1.account).or_default().push(job);
    }
    groups
}

fn outcome(asked: &Asked) -> Outcome {
    match asked {
        Asked::Waiting(waiting) if waiting.fresh => Outcome::REGISTERED,
        Asked::Waiting(waiting) if waiting.state == State::Refused => Outcome::REFUSED,
        Asked::Waiting(_) | Asked::Accepted(_) => Outcome::ALREADY,
    }
}

/// How a document stands that cannot be registered past its validators.
fn stands(waiting: &Waiting) -> Outcome {
    if waiting.state == State::Refused { Outcome::REFUSED } else { Outcome::AWAITING }
}
