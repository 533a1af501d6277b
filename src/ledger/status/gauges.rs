//! What waits in the pipeline, for whoever watches it. The work grows with what waits, not with history.

use time::OffsetDateTime;

use crate::ledger::{Ledger, Result, fixed, natural};

/// Everything at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gauges {
    /// Database time.
    pub now: OffsetDateTime,
    /// Number of the open batch.
    pub open_batch: u64,
    /// Batches closed and not sealed.
    pub closed: u64,
    /// Every target that was ever used.
    pub targets: Vec<TargetGauges>,
    /// Chain id, signer and next nonce of every lane.
    pub lanes: Vec<(u64, [u8; 20], u64)>,
    /// Changes that are in no account's log yet.
    pub untold: u64,
    /// Webhooks.
    pub webhooks: WebhookGauges,
}

/// All webhooks together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WebhookGauges {
    /// Whose events are sent.
    pub active: u64,
    /// Of these, that have something to send.
    pub waiting: u64,
    /// Of these, whose newest try failed.
    pub failing: u64,
    /// Given up until their owners resume them.
    pub parked: u64,
}

/// One target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetGauges {
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// The registry.
    pub registry: [u8; 20],
    /// Anchors that nothing is signed for.
    pub planned: u64,
    /// Anchors sent and in no block.
    pub sent: u64,
    /// Anchors in a block that is not final.
    pub included: u64,
    /// When the oldest batch was sealed that nothing is signed for here.
    pub oldest_unsent: Option<OffsetDateTime>,
    /// When the oldest batch was sealed that is not final here.
    pub oldest_unfinal: Option<OffsetDateTime>,
    /// Most attempts of one anchor that is in no block.
    pub attempts: u64,
}

impl Ledger {
    /// What waits in the pipeline.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn gauges(&self) -> Result<Gauges> {
        let batches = sqlx::query!(
            r#"select clock_timestamp() as "now!", (select number from batches where state = 'open') as "open!",
                 (select count(*) from batches where state = 'closed') as "closed!""#
        )
        .fetch_one(self.pool())
        .await?;
        let targets = sqlx::query!(
            r#"select t.chain_id, t.registry, w.planned as "planned!", w.sent as "sent!", w.included as "included!",
                 (select b.sealed_at from batches b where b.number = w.unsent) as oldest_unsent,
                 (select b.sealed_at from batches b where b.number = w.unfinal) as oldest_unfinal,
                 (select coalesce(max(c.attempts), 0) from (
                    select count(*) as attempts from anchors a
                      join attempts x on x.batch = a.batch and x.target_id = a.target_id
                      where a.target_id = t.id and a.state = 'sent' group by a.batch
                  ) c) as "attempts!"
               from targets t cross join lateral (
                 select count(*) filter (where a.state = 'planned') as planned, count(*) filter (where a.state = 'sent') as sent,
                   count(*) filter (where a.state = 'included') as included,
                   min(a.batch) filter (where a.state = 'planned') as unsent, min(a.batch) as unfinal
                 from anchors a where a.target_id = t.id and a.state <> 'final' and a.state <> 'withdrawn'
               ) w
               order by t.chain_id, t.registry"#
        )
        .fetch_all(self.pool())
        .await?;
        let told = sqlx::query!(
            r#"select (select count(*) from changes where not told) as "untold!",
                 count(*) filter (where w.state = 'active') as "active!",
                 count(*) filter (where w.state = 'active' and w.cursor < e.last) as "waiting!",
                 count(*) filter (where w.state = 'active' and w.tries > 0) as "failing!",
                 count(*) filter (where w.state = 'parked') as "parked!"
               from webhooks w left join event_counters e on e.account_id = w.account_id"#
        )
        .fetch_one(self.pool())
        .await?;
        let lanes = sqlx::query!("select chain_id, signer, next_nonce from lanes order by id").fetch_all(self.pool()).await?;
        Ok(Gauges {
            now: batches.now,
            open_batch: natural(batches.open, "batches.number")?,
            closed: natural(batches.closed, "closed batches")?,
            targets: targets
                .into_iter()
                .map(|row| {
                    Ok(TargetGauges {
                        chain_id: natural(row.chain_id, "targets.chain_id")?,
                        registry: fixed(&row.registry, "targets.registry")?,
                        planned: natural(row.planned, "planned anchors")?,
                        sent: natural(row.sent, "sent anchors")?,
                        included: natural(row.included, "included anchors")?,
                        oldest_unsent: row.oldest_unsent,
                        oldest_unfinal: row.oldest_unfinal,
                        attempts: natural(row.attempts, "attempts")?,
                    })
                })
                .collect::<Result<_>>()?,
            lanes: lanes
                .into_iter()
                .map(|row| {
                    let nonce = natural(row.next_nonce, "lanes.next_nonce")?;
                    Ok((natural(row.chain_id, "lanes.chain_id")?, fixed(&row.signer, "lanes.signer")?, nonce))
                })
                .collect::<Result<_>>()?,
            untold: natural(told.untold, "untold changes")?,
            webhooks: WebhookGauges {
                active: natural(told.active, "webhooks")?,
                waiting: natural(told.waiting, "webhooks")?,
                failing: natural(told.failing, "webhooks")?,
                parked: natural(told.parked, "webhooks")?,
            },
        })
    }

    /// Connections to the database: open, of these idle, and at most.
    #[must_use]
    pub fn connections(&self) -> (u32, u32, u32) {
        let idle = u32::try_from(self.pool.num_idle()).unwrap_or(u32::MAX);
        (self.pool.size(), idle, self.pool.options().get_max_connections())
    }
}
