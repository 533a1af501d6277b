//! Table `idempotency_keys`: answers that are kept to be given again.

use time::OffsetDateTime;

use crate::ledger::accounts::AccountId;
use crate::ledger::{Ledger, LedgerError, Result, exactly_one, fixed};

/// Answers of one account that are kept at most; the oldest go first.
const MOST: i64 = 100_000;

/// How a request with a key stands.
#[derive(Debug)]
pub enum Claim {
    /// It is this caller's to do. Whatever is drawn for it is drawn from `seed` and `begun_at`, so that doing it again after a
    /// crash draws the same.
    Ours {
        /// What to draw from.
        seed: [u8; 32],
        /// When the key was first used.
        begun_at: OffsetDateTime,
    },
    /// Somebody is at it.
    UnderWay,
    /// It was done.
    Done {
        /// HTTP status of the answer.
        status: u16,
        /// Body of the answer.
        body: Vec<u8>,
    },
    /// The key was used for another request.
    Other,
}

impl Ledger {
    /// Claims a key for `seconds`, unless it was used before. A claim that ran out is taken over with its seed.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn claim_key(
        &self,
        account: AccountId,
        key: &str,
        fingerprint: &[u8; 32],
        seed: [u8; 32],
        seconds: f64,
    ) -> Result<Claim> {
        let claimed = sqlx::query!(
            r#"insert into idempotency_keys as k (account_id, key, fingerprint, claimed_until, seed)
                 values ($1, $2, $3, clock_timestamp() + make_interval(secs => $5), $4)
                 on conflict on constraint idempotency_keys_pkey do update set claimed_until = excluded.claimed_until
                   where k.seed is not null and k.claimed_until < clock_timestamp() and k.fingerprint = excluded.fingerprint
               returning seed as "seed!", begun_at"#,
            account.0,
            key,
            fingerprint,
            &seed,
            seconds
        )
        .fetch_optional(self.pool())
        .await?;
        if let Some(row) = claimed {
            return Ok(Claim::Ours { seed: fixed(&row.seed, "idempotency_keys.seed")?, begun_at: row.begun_at });
        }
        let row = sqlx::query!(
            "select fingerprint, status, body from idempotency_keys where account_id = $1 and key = $2",
            account.0,
            key
        )
        .fetch_optional(self.pool())
        .await?;
        Ok(match row {
            // Given back or erased between the two questions.
            None => Claim::UnderWay,
            Some(row) if row.fingerprint != fingerprint => Claim::Other,
            Some(row) => match (row.status, row.body) {
                (Some(status), Some(body)) => {
                    let status = u16::try_from(status).map_err(|_| LedgerError::Damaged(format!("status {status}")))?;
                    Claim::Done { status, body }
                }
                _ => Claim::UnderWay,
            },
        })
    }

    /// Keeps the answer, and forgets the seed.
    ///
    /// # Errors
    /// [`LedgerError::Moved`] when the key is gone or was answered, or when the database fails.
    pub async fn keep_answer(&self, account: AccountId, key: &str, seed: &[u8; 32], status: u16, body: &[u8]) -> Result<()> {
        let done = sqlx::query!(
            "update idempotency_keys set seed = null, status = $4, body = $5 where account_id = $1 and key = $2 and seed = $3",
            account.0,
            key,
            seed,
            i16::try_from(status).map_err(|_| LedgerError::Damaged(format!("status {status}")))?,
            body
        )
        .execute(self.pool())
        .await?;
        exactly_one(done.rows_affected(), "key")
    }

    /// Gives a key back. Where `nothing` was done for it, it is as if it had never been used; else whoever comes next takes it
    /// over.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn give_back_key(&self, account: AccountId, key: &str, seed: &[u8; 32], nothing: bool) -> Result<()> {
        if !nothing {
            sqlx::query!(
                "update idempotency_keys set claimed_until = begun_at where account_id = $1 and key = $2 and seed = $3",
                account.0,
                key,
                seed
            )
            .execute(self.pool())
            .await?;
            return Ok(());
        }
        sqlx::query!("delete from idempotency_keys where account_id = $1 and key = $2 and seed = $3", account.0, key, seed)
            .execute(self.pool())
            .await?;
        Ok(())
    }

    /// Forgets keys older than a day, some thousands at once, and those of an account beyond the newest 100,000; answers how
    /// many went.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn forget_keys(&self, account: AccountId) -> Result<u64> {
        let old = sqlx::query!(
            "delete from idempotency_keys where (account_id, key) in (
               select account_id, key from idempotency_keys where begun_at < clock_timestamp() - interval '1 day'
               order by begun_at limit 10000)"
        )
        .execute(self.pool())
        .await?;
        let surplus = sqlx::query!(
            "delete from idempotency_keys where (account_id, key) in (
               select account_id, key from idempotency_keys where account_id = $1 order by begun_at desc offset $2 limit 10000)",
            account.0,
            MOST
        )
        .execute(self.pool())
        .await?;
        Ok(old.rows_affected() + surplus.rows_affected())
    }
}
