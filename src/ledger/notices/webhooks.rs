//! Table `webhooks`, as their owner sees it.

use time::OffsetDateTime;
use uuid::Uuid;

use super::Kind;
use crate::ledger::accounts::AccountId;
use crate::ledger::{Ledger, LedgerError, Result, natural};

/// Webhooks one account may have.
pub const MOST_WEBHOOKS: i64 = 10;

/// Whether events are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// They are.
    Active,
    /// They failed for too long, and wait for the owner.
    Parked,
}

/// One webhook, without its secret.
#[derive(Debug, Clone)]
pub struct Webhook {
    /// Its id.
    pub id: Uuid,
    /// Where events go.
    pub url: String,
    /// The only types sent; `None`: all.
    pub types: Option<Vec<String>>,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// Whether events are sent.
    pub state: State,
    /// Up to which event everything was taken.
    pub cursor: u64,
    /// Number of the newest event of the account's log.
    pub last: u64,
    /// Failed deliveries of the event behind the cursor.
    pub tries: u64,
    /// When the first of these failed.
    pub failing_since: Option<OffsetDateTime>,
    /// When the next one is made, while it fails.
    pub next_at: OffsetDateTime,
    /// When it was given up.
    pub parked_at: Option<OffsetDateTime>,
    /// Until when the secret before the present one signs as well.
    pub previous_until: Option<OffsetDateTime>,
}

/// A webhook to be made.
#[derive(Debug, Clone)]
pub struct NewWebhook<'a> {
    /// Its id.
    pub id: Uuid,
    /// Where events go.
    pub url: &'a str,
    /// The only types sent; `None`: all.
    pub types: Option<&'a [Kind]>,
    /// The secret, encrypted.
    pub secret: &'a [u8],
    /// The event behind which it begins; `None`: with what happens from now on.
    pub after: Option<u64>,
}

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// The account has no such webhook.
    #[error("no such webhook")]
    Unknown,
    /// It has as many as it may have.
    #[error("an account has at most {MOST_WEBHOOKS} webhooks")]
    TooMany,
    /// The log has no such place.
    #[error("the log ends at {0}")]
    Ahead(u64),
    /// The database failed.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl From<sqlx::Error> for WebhookError {
    fn from(error: sqlx::Error) -> Self {
        Self::Ledger(error.into())
    }
}

impl Ledger {
    /// Makes a webhook.
    ///
    /// # Errors
    /// [`WebhookError::TooMany`], [`WebhookError::Ahead`].
    pub async fn create_webhook(&self, account: AccountId, new: &NewWebhook<'_>) -> std::result::Result<(), WebhookError> {
        let mut transaction = self.pool().begin().await?;
        // Two at once are counted one after the other.
        sqlx::query!("select id from accounts where id = $1 for update", account.0).fetch_one(&mut *transaction).await?;
        let count = sqlx::query_scalar!(r#"select count(*) as "count!" from webhooks where account_id = $1"#, account.0)
            .fetch_one(&mut *transaction)
            .await?;
        if count >= MOST_WEBHOOKS {
            return Err(WebhookError::TooMany);
        }
        let cursor = place(&mut transaction, account, new.after).await?;
        let types: Option<Vec<String>> = new.types.map(|types| types.iter().map(|kind| kind.as_str().into()).collect());
        sqlx::query!(
            "insert into webhooks (id, account_id, url, types, secret, cursor) values ($1, $2, $3, $4, $5, $6)",
            new.id,
            account.0,
            new.url,
            types.as_deref(),
            new.secret,
            cursor
        )
        .execute(&mut *transaction)
        .await?;
        Ok(transaction.commit().await?)
    }

    /// The account's webhooks, or the one with this id, oldest first.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn webhooks(&self, account: AccountId, id: Option<Uuid>) -> Result<Vec<Webhook>> {
        let rows = sqlx::query!(
            r#"select w.id, w.url, w.types, w.created_at, w.state, w.cursor, w.tries, w.failing_since, w.next_at, w.parked_at,
                 case when w.previous_until > clock_timestamp() then w.previous_until end as previous_until,
                 coalesce((select c.last from event_counters c where c.account_id = w.account_id), 0) as "last!"
               from webhooks w where w.account_id = $1 and ($2::uuid is null or w.id = $2) order by w.created_at, w.id"#,
            account.0,
            id
        )
        .fetch_all(self.pool())
        .await?;
        rows.into_iter()
            .map(|row| {
                Ok(Webhook {
                    id: row.id,
                    url: row.url,
                    types: row.types,
                    created_at: row.created_at,
                    state: match &*row.state {
                        "active" => State::Active,
                        "parked" => State::Parked,
                        other => return Err(LedgerError::Damaged(format!("webhook state {other:?}"))),
                    },
                    cursor: natural(row.cursor, "webhooks.cursor")?,
                    last: natural(row.last, "event_counters.last")?,
                    tries: natural(row.tries.into(), "webhooks.tries")?,
                    failing_since: row.failing_since,
                    next_at: row.next_at,
                    parked_at: row.parked_at,
                    previous_until: row.previous_until,
                })
            })
            .collect()
    }

    /// Removes a webhook with its history. What is under way is not called back.
    ///
    /// # Errors
    /// [`WebhookError::Unknown`].
    pub async fn delete_webhook(&self, account: AccountId, id: Uuid) -> std::result::Result<(), WebhookError> {
        let done = sqlx::query!("delete from webhooks where id = $1 and account_id = $2", id, account.0).execute(self.pool());
        if done.await?.rows_affected() == 1 { Ok(()) } else { Err(WebhookError::Unknown) }
    }

    /// Gives a webhook a new secret (encrypted); the one before signs as well for `overlap` seconds.
    ///
    /// # Errors
    /// [`WebhookError::Unknown`].
    pub async fn rotate_webhook(
        &self,
        account: AccountId,
        id: Uuid,
        secret: &[u8],
        overlap: u32,
    ) -> std::result::Result<OffsetDateTime, WebhookError> {
        let until = sqlx::query_scalar!(
            r#"update webhooks set previous = secret, previous_until = clock_timestamp() + make_interval(secs => $4), secret = $3
               where id = $1 and account_id = $2 returning previous_until as "until!""#,
            id,
            account.0,
            secret,
            f64::from(overlap)
        );
        until.fetch_optional(self.pool()).await?.ok_or(WebhookError::Unknown)
    }

    /// Sends again at once: from the cursor on, or from behind `after`. A parked webhook is active again.
    ///
    /// # Errors
    /// [`WebhookError::Unknown`], [`WebhookError::Ahead`].
    pub async fn resume_webhook(
        &self,
        account: AccountId,
        id: Uuid,
        after: Option<u64>,
    ) -> std::result::Result<(), WebhookError> {
        let mut transaction = self.pool().begin().await?;
        let cursor = match after {
            Some(_) => Some(place(&mut transaction, account, after).await?),
            None => None,
        };
        // Whoever is sending has claimed it before and moves nothing any more.
        let done = sqlx::query!(
            "update webhooks set cursor = coalesce($3, cursor), state = 'active', parked_at = null, tries = 0, failing_since = null,
               next_at = clock_timestamp(), claim = claim + 1, claimed_until = null
             where id = $1 and account_id = $2",
            id,
            account.0,
            cursor
        )
        .execute(&mut *transaction)
        .await?;
        if done.rows_affected() != 1 {
            return Err(WebhookError::Unknown);
        }
        Ok(transaction.commit().await?)
    }

    /// Puts an event into the log that only this webhook is sent.
    ///
    /// # Errors
    /// [`WebhookError::Unknown`].
    pub async fn test_webhook(&self, account: AccountId, id: Uuid) -> std::result::Result<(), WebhookError> {
        let done = sqlx::query!(
            "insert into changes (kind, account_id, webhook_id, after)
             select 'webhook', account_id, id, 'test' from webhooks where id = $1 and account_id = $2",
            id,
            account.0
        );
        if done.execute(self.pool()).await?.rows_affected() == 1 { Ok(()) } else { Err(WebhookError::Unknown) }
    }
}

/// A place in the account's log: the given one if the log is so long, its end when none is given.
async fn place(
    connection: &mut sqlx::PgConnection,
    account: AccountId,
    after: Option<u64>,
) -> std::result::Result<i64, WebhookError> {
    let last = sqlx::query_scalar!("select last from event_counters where account_id = $1", account.0)
        .fetch_optional(connection)
        .await?
        .unwrap_or_default();
    match after.map(i64::try_from) {
        None => Ok(last),
        Some(Ok(after)) if after <= last => Ok(after),
        _ => Err(WebhookError::Ahead(natural(last, "event_counters.last")?)),
    }
}
