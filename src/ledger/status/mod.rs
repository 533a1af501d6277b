//! How the whole service is doing, for anybody who asks; and table `halts`.

pub mod gauges;

use time::OffsetDateTime;

use super::targets::asides::EndpointAside;
use super::targets::policy::AnchorPolicy;
use super::{Ledger, Result, fixed, natural};

/// Digests that are counted of one batch that is not sealed.
pub const COUNTED: i64 = 100_000;

/// A step that waits for an operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Halt {
    /// The step.
    pub step: String,
    /// What must be looked at.
    pub why: String,
    /// Since when.
    pub since: OffsetDateTime,
}

/// One target, seen from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetStatus {
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// The registry.
    pub registry: [u8; 20],
    /// Newest final anchor: batch, height and time of its block.
    pub last_final: Option<(u64, u64, u64)>,
    /// Anchors that are not final there, and that somebody works on, or will.
    pub waiting: u64,
    /// Since when no new anchors are made there.
    pub retired_at: Option<OffsetDateTime>,
}

/// The whole service at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceStatus {
    /// Database time.
    pub now: OffsetDateTime,
    /// Newest sealed batch, and when it was sealed.
    pub last_sealed: Option<(u64, OffsetDateTime)>,
    /// When the oldest digest was accepted that is not sealed yet.
    pub oldest_pending: Option<OffsetDateTime>,
    /// When the oldest digest was accepted that does not count as anchored yet.
    pub oldest_unanchored: Option<OffsetDateTime>,
    /// Until when that one was promised to be anchored; `None`: that was not kept when it was accepted.
    pub oldest_anchor_by: Option<OffsetDateTime>,
    /// Proofs that do not count as anchored although they were promised to be by now. Exact, except that of each batch
    /// that is not sealed, or whose promises have not all passed, no more than [`COUNTED`] digests are looked at.
    pub overdue: u64,
    /// The rule for batches sealed now.
    pub policy: AnchorPolicy,
    /// Every target that was ever used.
    pub targets: Vec<TargetStatus>,
    /// What waits for an operator.
    pub halts: Vec<Halt>,
    /// Endpoints of chains that are not used.
    pub asides: Vec<EndpointAside>,
}

impl Ledger {
    /// How the service is doing. `promised` answers for the database's time which proofs had to be anchored by then where
    /// no promise was kept with them: those accepted before the moment it answers. The work grows with what waits, not
    /// with history.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn service_status(
        &self,
        promised: impl FnOnce(OffsetDateTime) -> Option<OffsetDateTime> + Send,
    ) -> Result<ServiceStatus> {
        // Before the transaction: a small pool has no second connection for it.
        let asides = self.asides().await?;
        let mut transaction = self.pool().begin().await?;
        // One moment for all answers.
        sqlx::query!("set transaction isolation level repeatable read, read only").execute(&mut *transaction).await?;
        let now = sqlx::query_scalar!(r#"select now() as "now!""#).fetch_one(&mut *transaction).await?;
        let sealed = sqlx::query!(
            r#"select number, sealed_at as "sealed_at!" from batches where state = 'sealed' order by number desc limit 1"#
        )
        .fetch_optional(&mut *transaction)
        .await?;
        // A batch has its earliest digest first in the table.
        let oldest = sqlx::query!(
            r#"select
                 (select p.received_at from proofs p where p.batch = (
                    select min(b.number) from batches b
                      where not b.anchored and b.state in ('open', 'closed') and exists (select from proofs q where q.batch = b.number)
                  ) limit 1) as pending,
                 u.received_at as "unanchored?", u.anchor_by as "anchor_by?"
               from (select) one left join lateral (
                 select p.received_at, p.anchor_by from proofs p where p.batch = (
                    select min(b.number) from batches b
                      where not b.anchored and exists (select from proofs q where q.batch = b.number)
                 ) limit 1) u on true"#
        )
        .fetch_one(&mut *transaction)
        .await?;
        let overdue = overdue(&mut transaction, now, promised(now)).await?;
        let policy = sqlx::query!("select needed, from_batch, decided_at from anchor_policy order by id desc limit 1")
            .fetch_one(&mut *transaction)
            .await?;
        let rows = sqlx::query!(
            r#"select t.chain_id, t.registry, t.retired_at,
                 (select count(*) from anchors a
                  where a.target_id = t.id and a.state <> 'final' and a.state <> 'withdrawn') as "waiting!",
                 f.batch as "batch?", f.block_number as "block_number?", f.block_time as "block_time?"
               from targets t left join lateral (
                 select a.batch, a.block_number, a.block_time from anchors a where a.target_id = t.id and a.state = 'final'
                 order by a.batch desc limit 1
               ) f on true
               order by t.chain_id, t.registry"#
        )
        .fetch_all(&mut *transaction)
        .await?;
        let halts =
            sqlx::query_as!(Halt, "select step, why, since from halts order by since, step").fetch_all(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(ServiceStatus {
            now,
            last_sealed: sealed
                .map(|row| Ok::<_, super::LedgerError>((natural(row.number, "batches.number")?, row.sealed_at)))
                .transpose()?,
            oldest_pending: oldest.pending,
            oldest_unanchored: oldest.unanchored,
            oldest_anchor_by: oldest.anchor_by,
            overdue,
            policy: AnchorPolicy {
                needed: natural(policy.needed.into(), "anchor_policy.needed")?,
                from_batch: natural(policy.from_batch, "anchor_policy.from_batch")?,
                decided_at: policy.decided_at,
            },
            targets: rows
                .into_iter()
                .map(|row| {
                    let last_final = match (row.batch, row.block_number, row.block_time) {
                        (Some(batch), Some(number), Some(time)) => Some((
                            natural(batch, "anchors.batch")?,
                            natural(number, "anchors.block_number")?,
                            natural(time, "anchors.block_time")?,
                        )),
                        _ => None,
                    };
                    Ok(TargetStatus {
                        chain_id: natural(row.chain_id, "targets.chain_id")?,
                        registry: fixed(&row.registry, "targets.registry")?,
                        last_final,
                        waiting: natural(row.waiting, "waiting anchors")?,
                        retired_at: row.retired_at,
                    })
                })
                .collect::<Result<_>>()?,
            halts,
            asides,
        })
    }

    /// Records that a step waits for an operator. Since when is kept as long as it does.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn note_halt(&self, step: &str, why: &str) -> Result<()> {
        sqlx::query!(
            "insert into halts (step, why) values ($1, $2) on conflict on constraint halts_pkey do update set why = excluded.why",
            step,
            why
        )
        .execute(self.pool())
        .await?;
        Ok(())
    }

    /// Records that a step goes on.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn clear_halt(&self, step: &str) -> Result<()> {
        sqlx::query!("delete from halts where step = $1", step).execute(self.pool()).await?;
        Ok(())
    }
}

/// Proofs of batches that do not count as anchored though they were promised to be before `now`; those without a promise of
/// their own, though they were accepted before `before`. A sealed batch of which all that holds counts with its size; only
/// what stands open at the moment is looked at row by row.
async fn overdue(connection: &mut sqlx::PgConnection, now: OffsetDateTime, before: Option<OffsetDateTime>) -> Result<u64> {
    let count = sqlx::query_scalar!(
        r#"select coalesce(sum(case
             when b.state = 'sealed' and coalesce(b.anchor_by_last < $1, b.closed_at <= $2) then b.size - 1
             else (select count(*) from (
                     select p.received_at, p.anchor_by from proofs p where p.batch = b.number limit $3
                   ) looked where coalesce(looked.anchor_by < $1, looked.received_at < $2))
           end), 0)::bigint as "count!"
           from batches b where not b.anchored and (b.anchor_by_first < $1 or b.opened_at < $2)"#,
        now,
        before,
        COUNTED
    )
    .fetch_one(connection)
    .await?;
    natural(count, "overdue proofs")
}
