//! How the whole service is doing, for anybody who asks; and table `halts`.

use time::OffsetDateTime;

use super::{Ledger, Result, fixed, natural};

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
    /// Sealed batches that are not final there.
    pub waiting: u64,
}

/// The whole service at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceStatus {
    /// Database time.
    pub now: OffsetDateTime,
    /// Newest sealed batch, and when it was sealed.
    pub last_sealed: Option<(u64, OffsetDateTime)>,
    /// When the oldest digest was accepted that is in no block yet.
    pub oldest_unanchored: Option<OffsetDateTime>,
    /// Every target that was ever used.
    pub targets: Vec<TargetStatus>,
    /// What waits for an operator.
    pub halts: Vec<Halt>,
}

impl Ledger {
    /// How the service is doing. The work does not grow with history.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn service_status(&self) -> Result<ServiceStatus> {
        let mut transaction = self.pool().begin().await?;
        // One moment for all answers.
        sqlx::query!("set transaction isolation level repeatable read, read only").execute(&mut *transaction).await?;
        let now = sqlx::query_scalar!(r#"select now() as "now!""#).fetch_one(&mut *transaction).await?;
        let sealed = sqlx::query!(
            r#"select number, sealed_at as "sealed_at!" from batches where state = 'sealed' order by number desc limit 1"#
        )
        .fetch_optional(&mut *transaction)
        .await?;
        // The lowest batch that is in no block: of the unsealed ones, and of those whose anchors all wait. A batch has
        // its earliest digest first in the table.
        let oldest = sqlx::query_scalar!(
            "select p.received_at from proofs p
             where p.batch = (
               select min(number) from (
                 select min(b.number) as number from batches b
                   where b.state in ('open', 'closed') and exists (select from proofs q where q.batch = b.number)
                 union all
                 select min(a.batch) from anchors a join batches s on s.number = a.batch and s.state = 'sealed'
                   where a.state in ('planned', 'sent')
                     and not exists (select from anchors o where o.batch = a.batch and o.state in ('included', 'final'))
               ) waiting
             )
             limit 1"
        )
        .fetch_optional(&mut *transaction)
        .await?;
        let rows = sqlx::query!(
            r#"select t.chain_id, t.registry,
                 (select count(*) from anchors a where a.target_id = t.id and a.state <> 'final') as "waiting!",
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
            oldest_unanchored: oldest,
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
                    })
                })
                .collect::<Result<_>>()?,
            halts,
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
