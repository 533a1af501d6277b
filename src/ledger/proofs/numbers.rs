//! Which numbers of an account are where: in time, in batches, among what is not final.

use time::OffsetDateTime;

use crate::ledger::accounts::AccountId;
use crate::ledger::proofs::Status;
use crate::ledger::{Ledger, Result, natural, stored};

impl Ledger {
    /// Number of the account's newest proof; 0 when it has none.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn newest_number(&self, account: AccountId) -> Result<i64> {
        let last = sqlx::query_scalar!("select last from account_numbers where account_id = $1", account.0);
        Ok(last.fetch_optional(self.pool()).await?.unwrap_or_default())
    }

    pub(super) async fn number_at(&self, account: AccountId, moment: OffsetDateTime) -> Result<i64> {
        let number = sqlx::query_scalar!(r#"select number_at($1, $2) as "number!""#, account.0, moment);
        Ok(number.fetch_one(self.pool()).await?)
    }

    /// The account's first and last number in a batch; one after the other's place when there is none.
    pub(super) async fn numbers_of(&self, account: AccountId, batch: u64) -> Result<(i64, i64)> {
        let row = sqlx::query!(
            r#"select first as "first!", last as "last!" from batch_accounts where batch = $1 and account_id = $2
               union all
               select c.closed + 1, c.last from account_numbers c join batches b on b.number = $1 and b.state = 'open'
               where c.account_id = $2"#,
            stored(batch),
            account.0
        )
        .fetch_optional(self.pool())
        .await?;
        Ok(row.map_or((1, 0), |row| (row.first, row.last)))
    }

    /// Batches that are not final, and how far they are.
    pub(super) async fn not_final(&self) -> Result<Vec<(i64, Status)>> {
        let numbers = sqlx::query_scalar!(
            r#"select number as "number!" from batches where not anchored
               union select batch from anchors where state <> 'final' and state <> 'withdrawn'"#
        )
        .fetch_all(self.pool())
        .await?;
        let numbers = numbers.into_iter().map(|number| natural(number, "batches.number")).collect::<Result<Vec<_>>>()?;
        let statuses = self.batch_statuses(&numbers).await?;
        Ok(statuses
            .into_iter()
            .filter(|(_, status)| *status != Status::Final)
            .map(|(batch, status)| (stored(batch), status))
            .collect())
    }

    /// The account's numbers in these batches, between two numbers: ascending, neighbours joined.
    pub(super) async fn ranges(&self, account: AccountId, batches: Vec<i64>, low: i64, high: i64) -> Result<Vec<(i64, i64)>> {
        let rows = sqlx::query!(
            r#"select first as "first!", last as "last!" from batch_accounts
               where account_id = $1 and batch = any($2) and last >= $3 and first <= $4
               union all
               select c.closed + 1, c.last from account_numbers c
               where c.account_id = $1 and c.last > c.closed and exists (
                 select from batches b where b.state = 'open' and b.number = any($2))
               order by 1"#,
            account.0,
            &batches,
            low,
            high
        )
        .fetch_all(self.pool())
        .await?;
        let mut ranges: Vec<(i64, i64)> = Vec::new();
        for row in rows {
            match ranges.last_mut() {
                Some((_, last)) if *last + 1 >= row.first => *last = row.last.max(*last),
                _ => ranges.push((row.first, row.last)),
            }
        }
        Ok(ranges)
    }
}
