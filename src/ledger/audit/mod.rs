//! Rows as they stand, for [`crate::audit`]: nothing is assumed of them, least of all that this service wrote them.

mod numbers;
mod rows;

pub use self::numbers::{OddAccount, OddRange};
pub use self::rows::{
    AnchorPage, AnchorRow, AnchoredRow, AttemptRow, BatchRow, CallRow, HistoryRow, LaneRow, StrayRow, TargetRow, TileRow,
};
use super::{Ledger, Result};
impl Ledger {
    /// Numbers of batches, proofs and anchors, for telling how far an audit is.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn audit_size(&self) -> Result<(u64, u64)> {
        let row =
            sqlx::query!(r#"select (select count(*) from batches) as "batches!", (select count(*) from anchors) as "anchors!""#)
                .fetch_one(self.pool())
                .await?;
        Ok((row.batches.unsigned_abs(), row.anchors.unsigned_abs()))
    }

    /// Batches above `after`, ascending.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn audit_batches(&self, after: i64, limit: i64) -> Result<Vec<BatchRow>> {
        Ok(sqlx::query_as!(
            BatchRow,
            r#"select number, state, opened_at, closed_at, sealed_at, header, size, root, anchors_needed,
                 (select p.needed from anchor_policy p where p.from_batch <= b.number order by p.id desc limit 1) as policy,
                 exists (select from anchor_history h where h.batch = b.number and h.state = 'withdrawn') as "withdrawn!"
               from batches b where number > $1 order by number limit $2"#,
            after,
            limit
        )
        .fetch_all(self.pool())
        .await?)
    }

    /// Batches whose `anchored` is not what their anchors say, up to `limit`.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn audit_anchored(&self, limit: i64) -> Result<Vec<AnchoredRow>> {
        Ok(sqlx::query_as!(
            AnchoredRow,
            r#"select b.number, b.anchored, b.anchors_needed as needed, a.standing as "standing!"
               from batches b cross join lateral (
                 select count(*) as standing from anchors where batch = b.number and state in ('included', 'final')
               ) a
               where b.anchored <> (a.standing >= b.anchors_needed) order by b.number limit $1"#,
            limit
        )
        .fetch_all(self.pool())
        .await?)
    }

    /// Tiles of a batch behind `(level, index)`, ascending.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn audit_tiles(&self, batch: i64, (level, index): (i16, i32), limit: i64) -> Result<Vec<TileRow>> {
        Ok(sqlx::query_as!(
            TileRow,
            "select level, index, lowest, hashes from tiles where batch = $1 and (level, index) > ($2, $3) order by level, index limit $4",
            batch,
            level,
            index,
            limit
        )
        .fetch_all(self.pool())
        .await?)
    }

    /// Tiles of batches that are not sealed: the first one's batch, level and index.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn audit_early_tile(&self) -> Result<Option<(i64, i16, i32)>> {
        let row = sqlx::query!(
            "select t.batch, t.level, t.index from tiles t join batches b on b.number = t.batch where b.state <> 'sealed'
             order by t.batch, t.level, t.index limit 1"
        )
        .fetch_optional(self.pool())
        .await?;
        Ok(row.map(|row| (row.batch, row.level, row.index)))
    }

    /// Proofs whose batch or account does not exist (account 0 is the service itself), or that were received while their batch was not open, up to
    /// `limit`. Five seconds are forgiven for a database clock that was set.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn audit_strays(&self, limit: i64) -> Result<Vec<StrayRow>> {
        Ok(sqlx::query_as!(
            StrayRow,
            r#"select p.account_id, p.digest, p.batch, case
                 when b.number is null then 'its batch does not exist'
                 when (a.id is null and p.account_id <> 0) then 'its account does not exist'
                 else 'it was received while its batch was not open' end as "why!"
               from proofs p left join batches b on b.number = p.batch left join accounts a on a.id = p.account_id
               where b.number is null or (a.id is null and p.account_id <> 0) or p.received_at < b.opened_at - interval '5 s'
                 or p.received_at > b.closed_at + interval '5 s'
               limit $1"#,
            limit
        )
        .fetch_all(self.pool())
        .await?)
    }

    /// Proofs without a salt that nobody erased, and erasures whose proof is another than they say, up to `limit`.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn audit_erased(&self, limit: i64) -> Result<Vec<StrayRow>> {
        Ok(sqlx::query_as!(
            StrayRow,
            r#"select account_id as "account_id!", digest as "digest!", batch as "batch!", why as "why!" from (
                 select p.account_id, p.digest, p.batch, 'it has no salt, and nobody erased it' as why
                   from proofs p left join erasures e on e.account_id = p.account_id and e.number = p.number
                     and p.digest = '\x00'::bytea || e.leaf
                   where p.salt is null and e.number is null
                 union all
                 select e.account_id, e.leaf, 0, 'it was erased, and yet it is not as it was left'
                   from erasures e left join proofs p on p.account_id = e.account_id and p.number = e.number
                   where p.salt is not null or p.digest is distinct from '\x00'::bytea || e.leaf or exists (
                     select from proof_details d where d.account_id = e.account_id and d.digest = p.digest)
               ) odd order by 1, 2 limit $1"#,
            limit
        )
        .fetch_all(self.pool())
        .await?)
    }

    /// Labels that are kept of no proof, or of one that does not have them, and those that are missing, up to `limit`: account,
    /// number and label.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn audit_labels(&self, limit: i64) -> Result<Vec<(i64, i64, String)>> {
        let rows = sqlx::query!(
            r#"select coalesce(k.account_id, s.account_id) as "account_id!", coalesce(k.number, s.number) as "number!",
                 coalesce(k.label, s.label) as "label!"
               from proof_labels k full join (
                 select distinct d.account_id, u.label, p.number from proof_details d cross join lateral unnest(d.labels) as u (label)
                   join proofs p on p.account_id = d.account_id and p.digest = d.digest
               ) s on s.account_id = k.account_id and s.number = k.number and s.label = k.label
               where k.label is null or s.label is null
               order by 1, 2 limit $1"#,
            limit
        );
        Ok(rows.fetch_all(self.pool()).await?.into_iter().map(|row| (row.account_id, row.number, row.label)).collect())
    }

    /// The account that has this digest in this batch with this salt; without a salt, this leaf of an erased proof.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn audit_owner(&self, batch: i64, digest: &[u8], salt: Option<&[u8]>) -> Result<Option<i64>> {
        let query = sqlx::query_scalar!(
            r#"select account_id from proofs
             where batch = $1 and digest = case when $3::bytea is null then '\x00'::bytea || $2 else $2 end
               and salt is not distinct from $3 limit 1"#,
            batch,
            digest,
            salt
        );
        Ok(query.fetch_optional(self.pool()).await?)
    }

    /// All targets.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn audit_targets(&self) -> Result<Vec<TargetRow>> {
        Ok(sqlx::query_as!(
            TargetRow,
            "select id, chain_id, registry, first_number, code_hash, retired_after from targets order by id"
        )
        .fetch_all(self.pool())
        .await?)
    }

    /// All lanes.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn audit_lanes(&self) -> Result<Vec<LaneRow>> {
        let rows = sqlx::query!(
            r#"select l.id, l.chain_id, l.signer, l.next_nonce, count(distinct u.nonce) as "used!",
                 min(u.nonce) as lowest, max(u.nonce) as highest,
                 exists (
                   select from anchors a join targets t on t.id = a.target_id where a.lane_id = l.id and t.chain_id <> l.chain_id
                 ) as "elsewhere!"
               from lanes l left join (
                 select lane_id, nonce from anchors where lane_id is not null
                 union all select retired_lane, retired_nonce from attempts where retired_lane is not null
                 union all select lane_id, nonce from calls
               ) u on u.lane_id = l.id group by l.id order by l.id"#
        )
        .fetch_all(self.pool())
        .await?;
        Ok(rows
            .into_iter()
            .map(|row| LaneRow {
                id: row.id,
                chain_id: row.chain_id,
                signer: row.signer,
                next_nonce: row.next_nonce,
                used: row.used,
                range: row.lowest.zip(row.highest),
                elsewhere: row.elsewhere,
            })
            .collect())
    }

    /// All transactions of operators' commands: few.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn audit_calls(&self) -> Result<Vec<CallRow>> {
        Ok(sqlx::query_as!(
            CallRow,
            "select c.lane_id, l.chain_id, l.signer, c.nonce, c.tx_hash, c.raw from calls c join lanes l on l.id = c.lane_id
             order by c.lane_id, c.nonce"
        )
        .fetch_all(self.pool())
        .await?)
    }

    /// The lowest sealed batch that should have an anchor in the target and has none, and the lowest anchor that should
    /// not be there.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn audit_plan(&self, target: &TargetRow) -> Result<(Option<i64>, Option<i64>)> {
        let row = sqlx::query!(
            "select
               (select min(b.number) from batches b
                  where b.state in ('sealed', 'lost') and b.number >= $2 and b.number <= $3
                  and not exists (select from anchors a where a.batch = b.number and a.target_id = $1)) as missing,
               (select min(a.batch) from anchors a join batches b on b.number = a.batch
                  where a.target_id = $1 and (b.state not in ('sealed', 'lost') or b.number < $2 or b.number > $3)) as surplus",
            target.id,
            target.first_number,
            target.retired_after.unwrap_or(i64::MAX)
        )
        .fetch_one(self.pool())
        .await?;
        Ok((row.missing, row.surplus))
    }

    /// Anchors of a target above batch `after`, ascending, with history and attempts of the same moment.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn audit_anchors(&self, target: i32, after: i64, limit: i64) -> Result<AnchorPage> {
        let mut transaction = self.pool().begin().await?;
        sqlx::query!("set transaction isolation level repeatable read, read only").execute(&mut *transaction).await?;
        let anchors = sqlx::query_as!(
            AnchorRow,
            r#"select a.batch, a.target_id, a.state, a.nonce, l.signer as "signer?", a.tx_hash, a.tx_index, a.block_number,
                 a.block_hash, a.block_time, a.evidence, b.root, b.size
               from anchors a join batches b on b.number = a.batch left join lanes l on l.id = a.lane_id
               where a.target_id = $1 and a.batch > $2 order by a.batch limit $3"#,
            target,
            after,
            limit
        )
        .fetch_all(&mut *transaction)
        .await?;
        let Some(last) = anchors.last().map(|anchor| anchor.batch) else { return Ok(AnchorPage::default()) };
        let history = sqlx::query_as!(
            HistoryRow,
            "select id, batch, state from anchor_history where target_id = $1 and batch > $2 and batch <= $3 order by batch, id",
            target,
            after,
            last
        )
        .fetch_all(&mut *transaction)
        .await?;
        let attempts = sqlx::query_as!(
            AttemptRow,
            r#"select t.tx_hash, t.batch, t.max_fee, t.max_priority_fee, t.raw, l.signer as "retired_signer?", t.retired_nonce
               from attempts t left join lanes l on l.id = t.retired_lane
               where t.target_id = $1 and t.batch > $2 and t.batch <= $3 order by t.batch, t.tx_hash"#,
            target,
            after,
            last
        )
        .fetch_all(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(AnchorPage { anchors, history, attempts })
    }
}
