//! Table `changes`: from what happened to the logs of the accounts.

use time::OffsetDateTime;

use crate::ledger::leases::Lease;
use crate::ledger::{Ledger, Result, natural, stored};

impl Ledger {
    /// Whether something changed that is in no log yet.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn has_untold(&self) -> Result<bool> {
        let untold = sqlx::query_scalar!(r#"select exists (select from changes where not told) as "untold!""#);
        Ok(untold.fetch_one(self.pool()).await?)
    }

    /// Appends what changed to the logs it concerns, oldest first, about `most` events. All of a change or nothing of it.
    /// Answers how many changes were told.
    ///
    /// # Errors
    /// [`crate::ledger::LedgerError::LeaseLost`], or when the database fails.
    pub async fn tell_changes(&self, lease: &Lease, most: u64) -> Result<u64> {
        let mut transaction = self.pool().begin().await?;
        lease.check(&mut transaction).await?;
        let told =
            sqlx::query_scalar!(r#"select tell_changes($1) as "told!""#, stored(most)).fetch_one(&mut *transaction).await?;
        transaction.commit().await?;
        natural(told, "changes told")
    }

    /// Notes, once for each account and batch, that the first of its proofs there should count as anchored by now and does
    /// not. What was accepted without a promise of its own is late when it was received before `received`. At most `most`
    /// at a time; answers how many.
    ///
    /// # Errors
    /// [`crate::ledger::LedgerError::LeaseLost`], or when the database fails.
    pub async fn note_overdue(&self, lease: &Lease, received: Option<OffsetDateTime>, most: u64) -> Result<u64> {
        let mut transaction = self.pool().begin().await?;
        lease.check(&mut transaction).await?;
        let noted = sqlx::query_scalar!(r#"select note_overdue($1, $2) as "noted!""#, received, stored(most))
            .fetch_one(&mut *transaction)
            .await?;
        transaction.commit().await?;
        natural(noted, "overdue batches noted")
    }
}

/// Notes that the batches from `first` on lose their proofs to a later one, before they are removed: to their accounts the
/// proofs wait again, and whatever takes these numbers later begins as every batch does.
pub(in crate::ledger) async fn forget_batches(connection: &mut sqlx::PgConnection, first: i64) -> Result<()> {
    // What was not told yet has no accounts any more.
    sqlx::query!("update changes set told = true where batch >= $1 and kind = 'status' and not told", first)
        .execute(&mut *connection)
        .await?;
    sqlx::query!(
        "insert into changes (kind, batch, account_id, first, last, before, after)
         select 'moved', a.batch, a.account_id, a.first, a.last, 'sealed', 'pending'
           from batch_accounts a join batches b on b.number = a.batch where a.batch >= $1 and b.state = 'sealed'
           order by a.batch, a.account_id",
        first
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!(
        "insert into changes (kind, batch, before, after, told)
         select 'status', c.batch, c.after, 'pending', true from (
           select distinct on (batch) batch, after from changes where kind = 'status' and batch >= $1 order by batch, id desc
         ) c where c.after <> 'pending' order by c.batch",
        first
    )
    .execute(connection)
    .await?;
    Ok(())
}
