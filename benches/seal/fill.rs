//! Proofs in the open batch as the ledger leaves them, faster than by submitting them.

use anyhow::{Result, ensure};
use sceau::ledger::Ledger;
use sceau::ledger::accounts::Role;
use sqlx::postgres::PgPool;

/// Rows of one statement.
const STEP: u64 = 500_000;

/// Accounts whose proofs are stored by turns. Digests ascend with the numbers, so that indexes grow at their right edge.
pub struct Filler {
    accounts: Vec<i64>,
    stored: u64,
    most: u64,
}

impl Filler {
    /// New accounts, for at most `most` proofs altogether.
    pub async fn new(ledger: &Ledger, accounts: u64, most: u64) -> Result<Self> {
        let mut ids: Vec<i64> = Vec::new();
        for n in 0..accounts {
            ids.push(ledger.create_account(&format!("filled {n}"), Role::Partner, &format!("ck_filled_{n}"), [0; 32]).await?.0);
        }
        Ok(Self { accounts: ids, stored: 0, most })
    }

    /// So many more in the open batch. Each row as `accept_proofs` stores it, counted by the
    /// same trigger.
    pub async fn fill(&mut self, pool: &PgPool, count: u64) -> Result<()> {
        ensure!(self.stored + count <= self.most, "more proofs than digests were laid out for");
        let end = self.stored + count;
        while self.stored < end {
            let until = end.min(self.stored + STEP);
            let mut transaction = pool.begin().await?;
            // The lock of whoever accepts: what goes on beside it sees the batch whole.
            sqlx::query("select pg_advisory_xact_lock_shared(x'5ceab001'::bigint)").execute(&mut *transaction).await?;
            sqlx::query("insert into account_numbers (account_id) select unnest($1) on conflict do nothing")
                .bind(&self.accounts)
                .execute(&mut *transaction)
                .await?;
            sqlx::query(
                "insert into proofs (account_id, batch, received_at, digest, salt, number)
                 select $1[1 + n % cardinality($1)], (select number from batches where state = 'open'), clock_timestamp(),
                   int8send(n * $4) || substr(sha256(int8send(n)), 9), substr(sha256(int8send(-n - 1)), 1, 16),
                   1 + n / cardinality($1)
                 from generate_series($2::bigint, $3::bigint - 1) n",
            )
            .bind(&self.accounts)
            .bind(i64::try_from(self.stored)?)
            .bind(i64::try_from(until)?)
            .bind(i64::MAX / i64::try_from(self.most)?)
            .execute(&mut *transaction)
            .await?;
            transaction.commit().await?;
            self.stored = until;
        }
        sqlx::query("vacuum analyze proofs").execute(pool).await?;
        Ok(())
    }
}
