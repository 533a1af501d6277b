//! Table `webhooks`, as the sender sees it: who sends what next, and how that went.
//!
//! One instance at a time has a webhook, by a claim that expires. The cursor moves only under that claim, and only after
//! the event behind it was taken: a crash at any moment sends an event twice at worst.

use std::time::Duration;

use uuid::Uuid;

use super::log::{self, Event};
use crate::ledger::accounts::AccountId;
use crate::ledger::{Ledger, Result, stored};

/// How long a webhook is somebody's without a sign of life.
const CLAIM: f64 = 45.0;

/// Deliveries of one webhook that are kept.
const KEPT: i64 = 1_000;

/// A webhook that is ours to serve for a while.
#[derive(Debug, Clone)]
pub struct Claim {
    /// The webhook.
    pub id: Uuid,
    /// Whose events.
    pub account: AccountId,
    /// Where they go.
    pub url: String,
    /// The secrets, encrypted: the present one, and the one before while it signs as well.
    pub secrets: Vec<Vec<u8>>,
    /// Failed deliveries of the event behind the cursor.
    pub tries: u32,
    /// For how long these have failed.
    pub failing: Duration,
    types: Option<Vec<String>>,
    cursor: i64,
    number: i64,
}

/// How one try went.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// How long it took.
    pub took: Duration,
    /// HTTP status of the answer, if there was one.
    pub status: Option<u16>,
    /// Why it does not count, in a word; `None`: the event was taken.
    pub error: Option<&'static str>,
    /// The beginning of the answer's body.
    pub answer: Option<String>,
}

/// What a failure leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is tried again after a pause.
    Again(Duration),
    /// The webhook is given up until its owner resumes it.
    Park,
}

impl Ledger {
    /// Takes up to `most` webhooks that have something to send and that nobody else has, longest waiting first.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn claim_webhooks(&self, most: usize) -> Result<Vec<Claim>> {
        let rows = sqlx::query!(
            r#"update webhooks w set claim = w.claim + 1, claimed_until = clock_timestamp() + make_interval(secs => $2)
               where w.id in (
                 select h.id from webhooks h
                   join event_counters e on e.account_id = h.account_id
                   join accounts a on a.id = h.account_id
                   where h.state = 'active' and h.next_at <= clock_timestamp() and h.cursor < e.last and a.disabled_at is null
                     and (h.claimed_until is null or h.claimed_until <= clock_timestamp())
                   order by h.next_at limit $1 for update of h skip locked
               )
               returning w.id, w.account_id, w.url, w.types, w.secret, w.cursor, w.tries, w.claim,
                 case when w.previous_until > clock_timestamp() then w.previous end as previous,
                 coalesce(extract(epoch from clock_timestamp() - w.failing_since), 0)::double precision as "failing!""#,
            i64::try_from(most).unwrap_or(i64::MAX),
            CLAIM
        )
        .fetch_all(self.pool())
        .await?;
        Ok(rows
            .into_iter()
            .map(|row| Claim {
                id: row.id,
                account: AccountId(row.account_id),
                url: row.url,
                secrets: std::iter::once(row.secret).chain(row.previous).collect(),
                tries: row.tries.unsigned_abs(),
                failing: Duration::try_from_secs_f64(row.failing).unwrap_or_default(),
                types: row.types,
                cursor: row.cursor,
                number: row.claim,
            })
            .collect())
    }

    /// The next event to send, after which the claim holds as long as at first. `None` when there is none, or the claim is
    /// lost.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn next_message(&self, claim: &mut Claim) -> Result<Option<Event>> {
        let mut transaction = self.pool().begin().await?;
        let renewed = sqlx::query_scalar!(
            r#"update webhooks w set claimed_until = clock_timestamp() + make_interval(secs => $3)
               where w.id = $1 and w.claim = $2 and w.state = 'active'
               returning (select e.last from event_counters e where e.account_id = w.account_id)"#,
            claim.id,
            claim.number,
            CLAIM
        )
        .fetch_optional(&mut *transaction)
        .await?;
        let Some(Some(last)) = renewed else { return Ok(None) };
        let found =
            log::read(&mut transaction, claim.account, claim.cursor, claim.types.as_deref(), Some(claim.id), 1).await?.pop();
        if found.is_none() && claim.cursor < last {
            // Nothing of what it wants is there up to then: it need not be looked through again.
            sqlx::query!("update webhooks set cursor = $2 where id = $1", claim.id, last).execute(&mut *transaction).await?;
            claim.cursor = last;
        }
        transaction.commit().await?;
        Ok(found)
    }

    /// Records that the event was taken, and moves the cursor there. False when the claim was lost meanwhile: then the
    /// cursor stays.
    ///
    /// # Errors
    /// When the database fails; then the event is sent again.
    pub async fn note_taken(&self, claim: &mut Claim, event: &Event, outcome: &Outcome) -> Result<bool> {
        let mut transaction = self.pool().begin().await?;
        let moved = sqlx::query!(
            "update webhooks set cursor = $3, tries = 0, failing_since = null, next_at = clock_timestamp()
             where id = $1 and claim = $2",
            claim.id,
            claim.number,
            stored(event.seq)
        )
        .execute(&mut *transaction)
        .await?;
        note(&mut transaction, claim, event, outcome).await?;
        transaction.commit().await?;
        claim.cursor = stored(event.seq);
        (claim.tries, claim.failing) = (0, Duration::ZERO);
        Ok(moved.rows_affected() == 1)
    }

    /// Records that the event was not taken, and gives the webhook back: it is tried again after a pause, or parked, which is
    /// an event of its own.
    ///
    /// # Errors
    /// When the database fails; then the event is sent again when the claim expires.
    pub async fn note_failed(&self, claim: &Claim, event: &Event, outcome: &Outcome, verdict: Verdict) -> Result<()> {
        let mut transaction = self.pool().begin().await?;
        let pause = if let Verdict::Again(pause) = verdict { pause.as_secs_f64() } else { 0.0 };
        let done = sqlx::query!(
            "update webhooks set tries = tries + 1, failing_since = coalesce(failing_since, clock_timestamp()),
               next_at = clock_timestamp() + make_interval(secs => $3), claimed_until = null,
               state = case when $4 then 'parked' else state end, parked_at = case when $4 then clock_timestamp() end
             where id = $1 and claim = $2 and state = 'active'",
            claim.id,
            claim.number,
            pause,
            verdict == Verdict::Park
        )
        .execute(&mut *transaction)
        .await?;
        if done.rows_affected() == 1 && verdict == Verdict::Park {
            sqlx::query!(
                "insert into changes (kind, account_id, webhook_id, after) values ('webhook', $1, $2, 'parked')",
                claim.account.0,
                claim.id
            )
            .execute(&mut *transaction)
            .await?;
        }
        note(&mut transaction, claim, event, outcome).await?;
        Ok(transaction.commit().await?)
    }

    /// Gives a webhook back before its claim expires.
    ///
    /// # Errors
    /// When the database fails; then it expires.
    pub async fn release_webhook(&self, claim: &Claim) -> Result<()> {
        sqlx::query!("update webhooks set claimed_until = null where id = $1 and claim = $2", claim.id, claim.number)
            .execute(self.pool())
            .await?;
        Ok(())
    }
}

/// One row of history, and none of what is too old. Nothing of a webhook that was deleted meanwhile.
async fn note(connection: &mut sqlx::PgConnection, claim: &Claim, event: &Event, outcome: &Outcome) -> Result<()> {
    let id = sqlx::query_scalar!(
        "insert into webhook_deliveries (webhook_id, seq, event_id, type, attempt, duration_ms, status, error, answer)
         select w.id, $2, $3, $4, $5, $6, $7, $8, $9 from webhooks w where w.id = $1 for key share returning id",
        claim.id,
        stored(event.seq),
        event.id,
        event.kind.as_str(),
        i32::try_from(claim.tries).unwrap_or(i32::MAX).saturating_add(1),
        i32::try_from(outcome.took.as_millis()).unwrap_or(i32::MAX),
        outcome.status.and_then(|status| i16::try_from(status).ok()),
        outcome.error,
        outcome.answer,
    )
    .fetch_optional(&mut *connection)
    .await?;
    if id.is_some() {
        sqlx::query!(
            "delete from webhook_deliveries where webhook_id = $1 and id < (
               select id from webhook_deliveries where webhook_id = $1 order by id desc offset $2 limit 1
             )",
            claim.id,
            KEPT - 1
        )
        .execute(connection)
        .await?;
    }
    Ok(())
}
