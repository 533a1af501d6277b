//! What a lane does: commits what it takes from the queue, and answers.

use std::sync::Arc;
use std::time::Duration;

use sceau_verifier::digest::Salt;
use sqlx::postgres::PgConnection;

use super::line::Line;
use super::new::accept_new;
use super::promises::Offer;
use super::queue::Lane;
use super::{Accepted, Detail, Job, Submission, patiently};
use crate::ledger::server::no_answer;
use crate::ledger::{Ledger, LedgerError, Result, fixed, natural};
use crate::ports::Entropy;

/// What a lane works with.
pub(super) struct Desk {
    ledger: Ledger,
    line: Line,
    entropy: Arc<dyn Entropy>,
    patience: Duration,
}

impl Desk {
    pub(super) fn new(ledger: Ledger, entropy: Arc<dyn Entropy>, patience: Duration) -> Self {
        Self { line: Line::beside(ledger.pool()), ledger, entropy, patience }
    }

    /// Until nothing can come any more.
    pub(super) async fn work(self, lane: Lane, group: usize) {
        while let Some(mut taken) = lane.take(group).await {
            self.settle(std::mem::take(&mut taken.jobs)).await;
        }
        self.line.close().await;
    }

    /// Commits the jobs together; where that fails for a reason that lies in one of them, those of the account that is over its
    /// quota each by itself, and the others together as before.
    async fn settle(&self, mut batch: Vec<Job>) {
        let mut late = Vec::new();
        while !batch.is_empty() {
            match self.commit(&batch).await {
                Ok(mut accepted) => {
                    for job in batch.drain(..).rev() {
                        let own = accepted.split_off(accepted.len() - job.items.len());
                        // A client that went away has its digests accepted all the same.
                        let _ = job.answer.send(Ok(own));
                    }
                }
                Err(LedgerError::OverQuota(account)) if batch.len() > 1 => {
                    let (over, rest) = batch.into_iter().partition(|job| job.items.iter().any(|item| item.account == account));
                    late.extend::<Vec<Job>>(over);
                    batch = rest;
                }
                Err(error) if batch.len() > 1 && !error.is_transient() => late.append(&mut batch),
                Err(error) => {
                    let error = Arc::new(error);
                    for job in batch.drain(..) {
                        let _ = job.answer.send(Err(Arc::clone(&error)));
                    }
                }
            }
        }
        for job in late {
            let settled = self.commit(std::slice::from_ref(&job)).await.map_err(Arc::new);
            let _ = job.answer.send(settled);
        }
    }

    /// Inserts, and counts what was accepted.
    async fn commit(&self, jobs: &[Job]) -> Result<Vec<Accepted>> {
        let begun = tokio::time::Instant::now();
        let accepted = self.insert(jobs).await?;
        let events = self.ledger.events();
        events.acknowledged(accepted.len(), accepted.iter().filter(|one| one.fresh).count());
        events.group.observe(accepted.len() as f64);
        events.commit_seconds.observe(begun.elapsed().as_secs_f64());
        Ok(accepted)
    }

    /// Inserts with the same salts until the database says yes or no: when an answer was lost after the commit, the second
    /// run finds the rows of the first by their salts and reports them as fresh.
    async fn insert(&self, jobs: &[Job]) -> Result<Vec<Accepted>> {
        let items: Vec<&Submission> = jobs.iter().flat_map(|job| &job.items).collect();
        let items = &items[..];
        let mut salts = vec![0; items.len() * 16];
        self.entropy.fill(&mut salts);
        let mut at = 0;
        for job in jobs {
            for (place, salt) in salts[at..].chunks_exact_mut(Salt::LEN).zip(&job.salts) {
                place.copy_from_slice(salt.as_bytes());
            }
            at += job.items.len() * Salt::LEN;
        }
        let salts: Vec<&[u8]> = salts.chunks_exact(16).collect();
        // Given up here, it may be done there all the same: the next try waits for it and finds its rows.
        let salts = &salts;
        patiently(&self.ledger, || async move {
            match tokio::time::timeout(self.patience, self.accept(items, salts)).await {
                Ok(accepted) => accepted,
                Err(_) => Err(no_answer(self.patience).into()),
            }
        })
        .await
    }

    async fn accept(&self, items: &[&Submission], salts: &[&[u8]]) -> Result<Vec<Accepted>> {
        let accept = |offer: Offer| {
            self.line.call(async move |connection| match accept_new(connection, items, salts, &offer).await? {
                Some(accepted) => Ok(accepted),
                None => accept_any(connection, items, salts, &offer).await,
            })
        };
        self.ledger.with_offer(accept).await
    }
}

/// Accepts digests some of which were there before, or come twice; one answer each, in their order.
pub(in crate::ledger) async fn accept_any(
    connection: &mut PgConnection,
    items: &[&Submission],
    salts: &[&[u8]],
    offer: &Offer,
) -> Result<Vec<Accepted>> {
    let accounts: Vec<i64> = items.iter().map(|item| item.account.0).collect();
    let digests: Vec<&[u8]> = items.iter().map(|item| item.digest.as_ref()).collect();
    let details = details(items.iter().copied());
    let rows = sqlx::query!(
        r#"select ord as "ord!", salt as "salt!", batch as "batch!", received_at as "received_at!", fresh as "fresh!",
             number as "number!", anchor_by
           from accept_proofs($1, $2, $3, $4, $5, $6), refuse_held($1, $2)"#,
        &accounts,
        &digests as _,
        salts as _,
        details.as_deref() as _,
        offer.since.as_deref() as _,
        offer.anchor_by.as_deref() as _,
    );
    let rows = rows.fetch_all(connection).await.map_err(LedgerError::from_sql)?;
    let mut accepted: Vec<Option<Accepted>> = vec![None; items.len()];
    for row in rows {
        let place = usize::try_from(row.ord - 1).ok().filter(|place| *place < items.len());
        let place = place.ok_or_else(|| LedgerError::Damaged(format!("accept_proofs answered item {}", row.ord)))?;
        accepted[place] = Some(Accepted {
            digest: items[place].digest,
            salt: fixed::<16>(&row.salt, "proofs.salt")?.into(),
            batch: natural(row.batch, "proofs.batch")?,
            received_at: row.received_at,
            fresh: row.fresh,
            number: natural(row.number, "proofs.number")?,
            anchor_by: row.anchor_by,
        });
    }
    let whole: Option<Vec<Accepted>> = accepted.into_iter().collect();
    whole.ok_or_else(|| LedgerError::Damaged("accept_proofs left an item unanswered".into()))
}

/// What is said of items, one each; `None` where nothing is said of any.
pub(super) fn details<'a>(
    items: impl ExactSizeIterator<Item = &'a Submission> + Clone,
) -> Option<Vec<Option<serde_json::Value>>> {
    items.clone().any(|item| item.detail.is_some()).then(|| items.map(|item| item.detail.as_ref().map(Detail::to_json)).collect())
}
