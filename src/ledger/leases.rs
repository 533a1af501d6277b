//! Table `leases`: who does a piece of work now.

use std::time::Duration;

use sqlx::PgConnection;
use uuid::Uuid;

use super::{Ledger, LedgerError, Result};

/// A piece of work held for a while. Whoever writes under it passes it to [`Lease::check`] in the same transaction:
/// an instance that slept past the expiry finds the token moved and changes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    name: String,
    holder: Uuid,
    token: i64,
}

impl Ledger {
    /// Takes or renews the lease `name` for `ttl`. `None` when another instance holds it.
    ///
    /// The token stays the same as long as one holder renews in time and grows when the holder changes. Only the
    /// database's clock is read, so skewed clocks of instances do no harm.
    ///
    /// One that lasts longer than any lease can was taken before the database's clock was set back, and may be taken over.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn lease(&self, name: &str, holder: Uuid, ttl: Duration) -> Result<Option<Lease>> {
        let row = sqlx::query!(
            r#"with before as (select holder, expires_at from leases where name = $1)
               insert into leases as l (name, holder, token, expires_at)
               values ($1, $2, 1, clock_timestamp() + make_interval(secs => $3))
               on conflict on constraint leases_pkey do update
                 set holder = excluded.holder, expires_at = excluded.expires_at,
                     token = l.token + case when l.holder = excluded.holder and l.expires_at > clock_timestamp() then 0 else 1 end
                 where l.holder = excluded.holder or l.expires_at <= clock_timestamp()
                   or l.expires_at > clock_timestamp() + make_interval(secs => 2 * $3)
               returning token,
                 (select b.holder <> l.holder and b.expires_at > '-infinity' from before b) as taken_over"#,
            name,
            holder,
            ttl.as_secs_f64(),
        )
        .fetch_optional(self.pool())
        .await?;
        Ok(row.map(|row| {
            if row.taken_over == Some(true) {
                tracing::warn!(lease = name, "taken over from an instance that let it expire");
                self.events().taken_over.inc();
            }
            Lease { name: name.into(), holder, token: row.token }
        }))
    }

    /// Lets the lease go so that another instance need not wait for its expiry. It expired long ago then, which tells it from
    /// one whose holder died. Losing it meanwhile is no error.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn release(&self, lease: &Lease) -> Result<()> {
        sqlx::query!(
            "update leases set expires_at = '-infinity' where name = $1 and holder = $2 and token = $3",
            lease.name,
            lease.holder,
            lease.token
        )
        .execute(self.pool())
        .await?;
        Ok(())
    }
}

impl Lease {
    /// Fails unless the lease is still ours, and keeps it so until the surrounding transaction ends.
    pub(super) async fn check(&self, connection: &mut PgConnection) -> Result<()> {
        sqlx::query!(
            "select name from leases where name = $1 and holder = $2 and token = $3 for share",
            self.name,
            self.holder,
            self.token
        )
        .fetch_optional(connection)
        .await?
        .map(|_| ())
        .ok_or_else(|| LedgerError::LeaseLost { name: self.name.clone() })
    }
}
