//! Table `anchor_policy`, and the end of targets: when a proof counts as anchored, and where no more anchors are made.
//!
//! The rule is decided in the database, not by a setting: every instance, and the audit, judges by the same rows. A
//! batch keeps the rule it was sealed under, so that a later decision takes no status back.

use time::OffsetDateTime;

use crate::ledger::{Ledger, LedgerError, Result, fixed, natural, stored};

/// In how many targets a batch must stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AnchorPolicy {
    /// Targets needed.
    pub needed: u64,
    /// The first batch sealed under it.
    pub from_batch: u64,
    /// When it was decided.
    pub decided_at: OffsetDateTime,
}

/// A target as an operator sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownTarget {
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// The registry.
    pub registry: [u8; 20],
    /// The registry's first batch number.
    pub first_number: u64,
    /// When it was first used.
    pub added_at: OffsetDateTime,
    /// When it was retired.
    pub retired_at: Option<OffsetDateTime>,
    /// Anchors that somebody works on, or will.
    pub waiting: u64,
}

/// Names a target: chain id and registry.
pub type TargetName = (u64, [u8; 20]);

/// What became of a target's anchors when it was retired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retired {
    /// Anchors that are not made any more.
    pub withdrawn: u64,
    /// Anchors under way, which go on.
    pub under_way: u64,
}

/// Why a decision was not taken. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// No such target.
    #[error("this target was never used here")]
    Unknown,
    /// It is retired.
    #[error("this target is retired already")]
    Retired,
    /// It is not retired.
    #[error("this target is not retired")]
    NotRetired,
    /// Too few targets for the rule.
    #[error("a batch must stand in {needed} targets to count as anchored, and {left} would be left")]
    TooFew {
        /// Targets that would be left.
        left: u64,
        /// Targets needed.
        needed: u64,
    },
    /// The database failed.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl From<sqlx::Error> for PolicyError {
    fn from(error: sqlx::Error) -> Self {
        Self::Ledger(error.into())
    }
}

impl Ledger {
    /// The rule for batches sealed now.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn anchor_policy(&self) -> Result<AnchorPolicy> {
        let row = sqlx::query!("select needed, from_batch, decided_at from anchor_policy order by id desc limit 1")
            .fetch_one(self.pool())
            .await?;
        Ok(AnchorPolicy {
            needed: natural(row.needed.into(), "anchor_policy.needed")?,
            from_batch: natural(row.from_batch, "anchor_policy.from_batch")?,
            decided_at: row.decided_at,
        })
    }

    /// In how many targets a batch must stand: at least 1, and the more the policy said when it was sealed.
    ///
    /// # Errors
    /// When the database cannot be asked or there is no such batch.
    pub async fn anchors_needed(&self, batch: u64) -> Result<u64> {
        let needed = sqlx::query_scalar!("select anchors_needed from batches where number = $1", stored(batch));
        natural(needed.fetch_one(self.pool()).await?.into(), "batches.anchors_needed")
    }

    /// Decides in how many targets the batches sealed from now on must stand. `configured` are targets that will be used
    /// although the database may not know them yet.
    ///
    /// # Errors
    /// [`PolicyError::TooFew`] when there are not so many targets.
    pub async fn require_anchors(
        &self,
        needed: u64,
        configured: &[TargetName],
    ) -> std::result::Result<AnchorPolicy, PolicyError> {
        let mut transaction = self.pool().begin().await?;
        // Nobody seals, pins or retires meanwhile: what is counted, and the first batch, stay true until the commit.
        sqlx::query!("lock table targets in share row exclusive mode").execute(&mut *transaction).await?;
        let known = sqlx::query!("select chain_id, registry, retired_at is null as \"active!\" from targets")
            .fetch_all(&mut *transaction)
            .await?;
        let is = |name: &TargetName, chain: i64, registry: &[u8]| stored(name.0) == chain && name.1 == registry;
        let mut new: Vec<&TargetName> =
            configured.iter().filter(|name| !known.iter().any(|row| is(name, row.chain_id, &row.registry))).collect();
        new.sort_unstable();
        new.dedup();
        let left = (known.iter().filter(|row| row.active).count() + new.len()) as u64;
        if left < needed {
            return Err(PolicyError::TooFew { left, needed });
        }
        sqlx::query!(
            "insert into anchor_policy (from_batch, needed)
             select coalesce((select max(number) from batches where state = 'sealed'), 0) + 1, $1::integer
             where $1 <> (select needed from anchor_policy order by id desc limit 1)",
            i32::try_from(needed).unwrap_or(i32::MAX)
        )
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(self.anchor_policy().await?)
    }

    /// Every target that was ever used.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn known_targets(&self) -> Result<Vec<KnownTarget>> {
        let rows = sqlx::query!(
            r#"select chain_id, registry, first_number, added_at, retired_at,
                 (select count(*) from anchors a
                  where a.target_id = t.id and a.state <> 'final' and a.state <> 'withdrawn') as "waiting!"
               from targets t order by chain_id, registry"#
        )
        .fetch_all(self.pool())
        .await?;
        rows.into_iter()
            .map(|row| {
                Ok(KnownTarget {
                    chain_id: natural(row.chain_id, "targets.chain_id")?,
                    registry: fixed(&row.registry, "targets.registry")?,
                    first_number: natural(row.first_number, "targets.first_number")?,
                    added_at: row.added_at,
                    retired_at: row.retired_at,
                    waiting: natural(row.waiting, "waiting anchors")?,
                })
            })
            .collect()
    }

    /// Ends a target: batches sealed from now on get no anchor there, and those that nothing was signed for are
    /// withdrawn. Anchors under way go on as long as somebody works on the target; with `abandon` they are withdrawn too.
    ///
    /// A batch that has fewer targets left than it needs, needs only those.
    ///
    /// # Errors
    /// [`PolicyError::TooFew`] when the targets left are fewer than batches need from now on.
    pub async fn retire_target(
        &self,
        (chain_id, registry): TargetName,
        abandon: bool,
    ) -> std::result::Result<Retired, PolicyError> {
        let mut transaction = self.pool().begin().await?;
        sqlx::query!("lock table targets in share row exclusive mode").execute(&mut *transaction).await?;
        let target =
            sqlx::query!("select id, retired_at from targets where chain_id = $1 and registry = $2", stored(chain_id), &registry)
                .fetch_optional(&mut *transaction)
                .await?
                .ok_or(PolicyError::Unknown)?;
        if target.retired_at.is_some() && !abandon {
            return Err(PolicyError::Retired);
        }
        let count = sqlx::query!(
            r#"select (select count(*) from targets where retired_at is null and id <> $1) as "left!",
                 (select needed from anchor_policy order by id desc limit 1) as "needed!""#,
            target.id
        )
        .fetch_one(&mut *transaction)
        .await?;
        if target.retired_at.is_none() && count.left < i64::from(count.needed) {
            return Err(PolicyError::TooFew {
                left: natural(count.left, "targets")?,
                needed: natural(count.needed.into(), "anchor_policy.needed")?,
            });
        }
        sqlx::query!(
            "update targets set retired_at = clock_timestamp(),
               retired_after = coalesce((select max(number) from batches where state = 'sealed'), 0)
             where id = $1 and retired_at is null",
            target.id
        )
        .execute(&mut *transaction)
        .await?;
        let withdrawn = sqlx::query!(
            "with gone as (
               update anchors set state = 'withdrawn', tx_hash = null, tx_index = null, block_number = null, block_hash = null,
                 block_time = null, changed_at = clock_timestamp()
               where target_id = $1 and (state = 'planned' or ($2 and state in ('sent', 'included')))
               returning batch, target_id
             )
             insert into anchor_history (batch, target_id, state, note)
             select batch, target_id, 'withdrawn', 'the target is retired' from gone",
            target.id,
            abandon
        )
        .execute(&mut *transaction)
        .await?
        .rows_affected();
        sqlx::query!(
            "update batches b set anchors_needed = greatest(1, l.remaining), anchored = l.standing >= greatest(1, l.remaining)
             from (
               select a.batch, count(*) filter (where a.state <> 'withdrawn') as remaining,
                 count(*) filter (where a.state in ('included', 'final')) as standing
               from anchors a where a.batch in (select batch from anchors where target_id = $1 and state = 'withdrawn')
               group by a.batch
             ) l
             where b.number = l.batch and b.anchors_needed > greatest(1, l.remaining)",
            target.id
        )
        .execute(&mut *transaction)
        .await?;
        let under_way = sqlx::query_scalar!(
            r#"select count(*) as "count!" from anchors where target_id = $1 and state in ('sent', 'included')"#,
            target.id
        )
        .fetch_one(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(Retired { withdrawn, under_way: natural(under_way, "anchors under way")? })
    }

    /// Takes a retirement back: what was withdrawn, and every batch sealed meanwhile, is anchored there after all.
    /// Answers how many anchors that makes.
    ///
    /// # Errors
    /// [`PolicyError::NotRetired`], [`PolicyError::Unknown`].
    pub async fn resume_target(&self, (chain_id, registry): TargetName) -> std::result::Result<u64, PolicyError> {
        let mut transaction = self.pool().begin().await?;
        sqlx::query!("lock table targets in share row exclusive mode").execute(&mut *transaction).await?;
        let target = sqlx::query!(
            "select id, first_number, retired_after from targets where chain_id = $1 and registry = $2",
            stored(chain_id),
            &registry
        )
        .fetch_optional(&mut *transaction)
        .await?
        .ok_or(PolicyError::Unknown)?;
        let after = target.retired_after.ok_or(PolicyError::NotRetired)?;
        let done = sqlx::query!(
            "with back as (
               update anchors set state = case when nonce is null then 'planned' else 'sent' end, changed_at = clock_timestamp()
               where target_id = $1 and state = 'withdrawn' returning batch, target_id, state
             ), more as (
               insert into anchors (batch, target_id, state)
               select number, $1, 'planned' from batches where state = 'sealed' and number >= $2 and number > $3
               returning batch, target_id, state
             )
             insert into anchor_history (batch, target_id, state, note)
             select batch, target_id, state, 'the target is resumed' from (select * from back union all select * from more) made
             order by batch",
            target.id,
            target.first_number,
            after
        )
        .execute(&mut *transaction)
        .await?;
        sqlx::query!("update targets set retired_at = null, retired_after = null where id = $1", target.id)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(done.rows_affected())
    }
}
