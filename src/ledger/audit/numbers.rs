//! Running numbers and kept promises as they stand, for [`crate::audit`]: nothing is assumed of the rows.

use crate::ledger::{Ledger, Result};

/// An account whose proofs are not numbered as they should be.
#[derive(Debug, Clone)]
pub struct OddAccount {
    /// The account.
    pub account_id: i64,
    /// Whether its proofs are amiss, or the row that counts them.
    pub in_proofs: bool,
    /// What is wrong.
    pub why: String,
}

/// Numbers of one account in one closed batch: what the row says, and what the proofs say.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "columns, described in the schema")]
pub struct OddRange {
    pub batch: i64,
    pub account_id: i64,
    /// First and last number of the row; none: there is no row.
    pub row: Option<(i64, i64)>,
    /// First and last number of the proofs, and how many they are; none: there are no proofs.
    pub proofs: Option<(i64, i64, i64)>,
}

impl Ledger {
    /// Accounts whose numbers have a hole, are not those counted, or go back to a closed batch; up to `limit`.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn audit_numbers(&self, limit: i64) -> Result<Vec<OddAccount>> {
        Ok(sqlx::query_as!(
            OddAccount,
            r#"select account_id as "account_id!", in_proofs as "in_proofs!", why as "why!" from (
                 select account_id,
                   coalesce(p.count, 0) <> coalesce(p.last, 0) or coalesce(p.open_first <= c.closed, false) as in_proofs,
                   case
                     when coalesce(p.count, 0) <> coalesce(p.last, 0)
                       then format('its proofs have a hole in their numbers: there are %s, the highest number is %s', p.count, p.last)
                     when c.last is null then 'nothing counts its proofs'
                     when c.last <> coalesce(p.last, 0)
                       then format('it counts %s proofs, the highest number of a proof is %s', c.last, coalesce(p.last, 0))
                     when c.closed <> coalesce(b.last, 0)
                       then format('it says that %s of them are in closed batches, these say %s', c.closed, coalesce(b.last, 0))
                     when p.open_first <= c.closed
                       then format('number %s is in the open batch, though closed ones hold numbers up to %s', p.open_first, c.closed)
                   end as why
                 from (
                   select q.account_id, count(*) as count, max(q.number) as last, min(q.number) filter (where o.number is not null) as open_first
                   from proofs q left join batches o on o.number = q.batch and o.state = 'open' group by q.account_id
                 ) p
                 full join account_numbers c using (account_id)
                 left join (select account_id, max(last) as last from batch_accounts group by account_id) b using (account_id)
               ) looked where why is not null order by account_id limit $1"#,
            limit
        )
        .fetch_all(self.pool())
        .await?)
    }

    /// The highest number that a batch, or what names one, has.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn audit_newest(&self) -> Result<i64> {
        Ok(sqlx::query_scalar!(
            r#"select greatest((select max(number) from batches), (select max(batch) from batch_accounts), 0) as "newest!""#
        )
        .fetch_one(self.pool())
        .await?)
    }

    /// Ranges of numbers in closed batches above `after`, up to batch `until`, that are not those of the proofs.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn audit_ranges(&self, after: i64, until: i64) -> Result<Vec<OddRange>> {
        let rows = sqlx::query!(
            r#"select batch as "batch!", account_id as "account_id!", r.first as "first?", r.last as "last?", p.first as lowest, p.last as highest, p.count
               from (select * from batch_accounts where batch > $1 and batch <= $2) r
               full join (
                 select q.batch, q.account_id, min(q.number) as first, max(q.number) as last, count(*) as count
                 from proofs q join batches b on b.number = q.batch and b.state <> 'open'
                 where q.batch > $1 and q.batch <= $2 group by q.batch, q.account_id
               ) p using (batch, account_id)
               where r.first is distinct from p.first or r.last is distinct from p.last or p.count <> p.last - p.first + 1
               order by batch, account_id"#,
            after,
            until
        )
        .fetch_all(self.pool())
        .await?;
        Ok(rows
            .into_iter()
            .map(|row| OddRange {
                batch: row.batch,
                account_id: row.account_id,
                row: row.first.zip(row.last),
                proofs: row.lowest.zip(row.highest).zip(row.count).map(|((first, last), count)| (first, last, count)),
            })
            .collect())
    }

    /// Ranges that do not follow the one before of the same account: batch, account, the number it begins with and the one
    /// it should begin with; up to `limit`.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn audit_order(&self, limit: i64) -> Result<Vec<(i64, i64, i64, i64)>> {
        let rows = sqlx::query!(
            r#"select batch, account_id, first, follows as "follows!" from (
                 select batch, account_id, first, coalesce(lag(last) over (partition by account_id order by batch), 0) + 1 as follows
                 from batch_accounts
               ) looked where first <> follows order by batch, account_id limit $1"#,
            limit
        )
        .fetch_all(self.pool())
        .await?;
        Ok(rows.into_iter().map(|row| (row.batch, row.account_id, row.first, row.follows)).collect())
    }

    /// Batches above `after`, up to batch `until`, whose earliest and latest promise are not those of their proofs.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn audit_promises(&self, after: i64, until: i64) -> Result<Vec<i64>> {
        Ok(sqlx::query_scalar!(
            "select b.number from batches b left join (
               select batch, min(anchor_by) as first, max(anchor_by) as last from proofs where batch > $1 and batch <= $2 group by batch
             ) p on p.batch = b.number
             where b.number > $1 and b.number <= $2
               and (b.anchor_by_first is distinct from p.first or b.anchor_by_last is distinct from p.last)
             order by b.number",
            after,
            until
        )
        .fetch_all(self.pool())
        .await?)
    }
}
