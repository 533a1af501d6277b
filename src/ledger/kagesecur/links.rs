//! Table `certificate_links`: what an `auth` opens, for a time.

use sceau_verifier::Digest;
use time::OffsetDateTime;

use super::super::accounts::AccountId;
use super::super::accounts::limits::Limits;
use super::super::{Ledger, Result, fixed};

impl Ledger {
    /// Remembers that the secret behind `auth_hash` opens the account's proof of `digest` until `expires_at`. Repeating
    /// it writes nothing. Expired links go as new ones come, a few at a time.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn remember_link(
        &self,
        auth_hash: &[u8; 32],
        account: AccountId,
        digest: &Digest,
        expires_at: OffsetDateTime,
        now: OffsetDateTime,
    ) -> Result<()> {
        let there = sqlx::query_scalar!(
            r#"select exists (select from certificate_links where auth_hash = $1) as "there!""#,
            auth_hash.as_slice()
        )
        .fetch_one(self.pool())
        .await?;
        if there {
            return Ok(());
        }
        sqlx::query!(
            "with gone as (
               delete from certificate_links where auth_hash in (
                 select auth_hash from certificate_links where expires_at < $5 order by expires_at limit 10 for update skip locked
               )
             )
             insert into certificate_links (auth_hash, account_id, digest, expires_at) values ($1, $2, $3, $4)
               on conflict on constraint certificate_links_pkey do nothing",
            auth_hash.as_slice(),
            account.0,
            digest.as_ref(),
            expires_at,
            now,
        )
        .execute(self.pool())
        .await?;
        Ok(())
    }

    /// Whose proof of what the secret behind `auth_hash` opens at `now`, and how often that account may ask; `None` for one that never existed, has expired,
    /// or belongs to an account that is disabled.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn linked(&self, auth_hash: &[u8; 32], now: OffsetDateTime) -> Result<Option<(AccountId, Digest, Limits)>> {
        let row = sqlx::query!(
            r#"select l.account_id, l.digest, coalesce(a.requests_per_second, d.requests_per_second) as "requests_per_second!",
                 coalesce(a.burst, d.burst) as "burst!", coalesce(a.digests_per_day, d.digests_per_day) as "digests_per_day!"
               from certificate_links l join accounts a on a.id = l.account_id cross join default_limits d
               where l.auth_hash = $1 and l.expires_at > $2 and a.disabled_at is null"#,
            auth_hash.as_slice(),
            now
        )
        .fetch_optional(self.pool())
        .await?;
        row.map(|row| {
            let digest = fixed::<32>(&row.digest, "certificate_links.digest")?.into();
            let limits = Limits::of(row.requests_per_second, row.burst, row.digests_per_day)?;
            Ok((AccountId(row.account_id), digest, limits))
        })
        .transpose()
    }
}
