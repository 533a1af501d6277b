//! `POST /v1/proofs`: accepts digests.

use std::collections::HashMap;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use sceau_verifier::{Digest, Salt};
use serde::Serialize;
use time::OffsetDateTime;

use super::Links;
use super::item::{self, Body, MOST};
use crate::api::State;
use crate::api::body::JsonBytes;
use crate::api::caller::Caller;
use crate::api::error::{Code, ItemError, Result};
use crate::api::limit::Quota;
use crate::ledger::LedgerError;
use crate::ledger::accounts::AccountId;
use crate::ledger::intake::{IntakeError, Submission};
use crate::ledger::proofs::Status;

/// Faults listed at most; all are counted.
const LISTED: usize = 100;

#[derive(Serialize)]
struct Answer {
    proofs: Vec<Acknowledged>,
}

/// What the submitter gets for one item, in the order of the items.
#[derive(Serialize)]
struct Acknowledged {
    digest: Digest,
    status: Status,
    batch: u64,
    #[serde(with = "time::serde::rfc3339")]
    received_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    anchor_by: OffsetDateTime,
    created: bool,
    salt: Salt,
    links: Links,
}

/// Answers after the commit: 201 when every item is new, 200 when the account had submitted one of them before (or twice
/// now). Repeating a submission is always safe. When one item is not in order nothing is stored.
///
/// # Errors
/// [`Code::ProofsCount`], [`Code::ProofsInvalid`], [`Code::QuotaExceeded`], [`Code::PoolFull`], [`Code::Unavailable`].
pub async fn submit(api: State, caller: Caller, body: JsonBytes) -> Result<Response> {
    let submissions = read(&body, caller.account)?;
    let quota = Quota::ask(&api, &caller, submissions.iter().map(|submission| submission.digest)).await?;
    // The commit runs in a task of its own: ending the wait, or a client that goes away, does not cancel it.
    let accepted = match tokio::time::timeout(api.limits.commit, api.intake.accept(submissions)).await {
        Ok(Err(IntakeError::Ledger(error))) if matches!(*error, LedgerError::OverQuota(_)) => return Err(quota.exceeded()),
        Ok(accepted) => accepted?,
        Err(_) => return Err(Code::Unavailable.because("no commit in time").retry_after(2)),
    };
    quota.note(accepted.iter().filter(|proof| proof.fresh).count() as u64);
    // A batch that takes new proofs is not sealed: only older ones need a look.
    let mut older: Vec<u64> = accepted.iter().filter(|proof| !proof.fresh).map(|proof| proof.batch).collect();
    older.sort_unstable();
    older.dedup();
    let statuses = if older.is_empty() { HashMap::new() } else { api.ledger.batch_statuses(&older).await? };
    let mut deadlines = HashMap::new();
    let proofs: Vec<Acknowledged> = accepted
        .iter()
        .map(|proof| Acknowledged {
            digest: proof.digest,
            status: statuses.get(&proof.batch).copied().unwrap_or(Status::Pending),
            batch: proof.batch,
            received_at: proof.received_at,
            anchor_by: *deadlines.entry(proof.received_at).or_insert_with(|| api.deadline.of(proof.received_at)),
            created: proof.fresh,
            salt: proof.salt,
            links: Links::of(&api, &proof.digest, proof.batch),
        })
        .collect();
    let status = if proofs.iter().all(|proof| proof.created) { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(Answer { proofs })).into_response())
}

fn read(body: &JsonBytes, account: AccountId) -> Result<Vec<Submission>> {
    let items = body.read::<Body<'_>>()?.proofs;
    if !(1..=MOST).contains(&items.count) {
        return Err(Code::ProofsCount.with(format!("a submission has 1 to {MOST} proofs, this has {}", items.count)));
    }
    let (mut submissions, mut faults, mut count) = (Vec::with_capacity(items.count), Vec::new(), 0);
    for (index, raw) in items.kept.into_iter().enumerate() {
        match item::read(raw) {
            Ok((digest, detail)) => submissions.push(Submission { account, digest, detail }),
            Err((code, detail)) => {
                count += 1;
                if faults.len() < LISTED {
                    faults.push(ItemError { index, code, detail });
                }
            }
        }
    }
    if count == 0 {
        return Ok(submissions);
    }
    let listed = serde_json::to_value(&faults).map_err(|error| Code::Internal.because(error))?;
    let detail = format!("{count} of {} proofs are not in order; nothing was stored", items.count);
    Err(Code::ProofsInvalid.with(detail).member("errors", listed).member("error_count", count))
}
