//! Table `webhook_deliveries`: what was sent to a webhook, as its owner sees it.

use time::OffsetDateTime;
use uuid::Uuid;

use crate::ledger::accounts::AccountId;
use crate::ledger::{Ledger, Result, natural};

/// One try to deliver one event.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Delivery {
    /// Place in the history, for going on behind it.
    pub id: u64,
    /// Place of the event in the log.
    pub seq: u64,
    /// The event's id.
    pub event: String,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// Counts the tries of this event from 1.
    pub attempt: u64,
    /// When it ended.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// How long it took.
    pub duration_ms: u64,
    /// HTTP status of the answer.
    pub status: Option<u16>,
    /// Why it does not count, in a word; `None`: it was taken.
    pub error: Option<String>,
    /// The beginning of the answer's body.
    pub answer: Option<String>,
}

impl Ledger {
    /// The newest deliveries of a webhook, newest first, older than `before` where that is given.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn deliveries(&self, account: AccountId, id: Uuid, before: Option<u64>, limit: u32) -> Result<Vec<Delivery>> {
        let before = before.map(|before| i64::try_from(before).unwrap_or(i64::MAX));
        let rows = sqlx::query!(
            r#"select d.id, d.seq, d.event_id, d.type as kind, d.attempt, d.at, d.duration_ms, d.status, d.error, d.answer
               from webhook_deliveries d join webhooks w on w.id = d.webhook_id
               where d.webhook_id = $1 and w.account_id = $2 and ($3::bigint is null or d.id < $3) order by d.id desc limit $4"#,
            id,
            account.0,
            before,
            i64::from(limit)
        )
        .fetch_all(self.pool())
        .await?;
        rows.into_iter()
            .map(|row| {
                Ok(Delivery {
                    id: natural(row.id, "webhook_deliveries.id")?,
                    seq: natural(row.seq, "webhook_deliveries.seq")?,
                    event: format!("evt_{}", row.event_id.simple()),
                    kind: row.kind,
                    attempt: natural(row.attempt.into(), "webhook_deliveries.attempt")?,
                    at: row.at,
                    duration_ms: natural(row.duration_ms.into(), "webhook_deliveries.duration_ms")?,
                    status: row.status.and_then(|status| u16::try_from(status).ok()),
                    error: row.error,
                    answer: row.answer,
                })
            })
            .collect()
    }
}
