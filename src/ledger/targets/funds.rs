//! Table `funds`, and what anchors cost: how long a publisher's money lasts.

use time::OffsetDateTime;

use crate::ledger::targets::TargetId;
use crate::ledger::{Ledger, LedgerError, Result, fixed, natural, stored};

/// Anchors a runway is computed from, at most: the newest ones.
pub const SAMPLE: i64 = 100;

/// Seconds of a day.
const DAY: f64 = 86_400.0;

/// What a publisher has on a chain, and how fast it spends.
#[derive(Debug, Clone, PartialEq)]
pub struct Funds {
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// The account.
    pub signer: [u8; 20],
    /// What it had, wei.
    pub balance: u128,
    /// When it was asked for.
    pub seen_at: OffsetDateTime,
    /// What its newest anchors cost on average, wei; `None` while none is final.
    pub per_anchor: Option<u128>,
    /// How many anchors it makes a day; `None` while that cannot be told: two are needed, an hour apart.
    pub per_day: Option<f64>,
}

impl Funds {
    /// For how many more days the balance pays at the rate and the prices of the newest anchors; `None` while either is
    /// not known.
    #[must_use]
    pub fn runway_days(&self) -> Option<f64> {
        let (cost, rate) = (self.per_anchor?, self.per_day?);
        let days = self.balance as f64 / (cost as f64 * rate);
        days.is_finite().then_some(days)
    }
}

/// Anchors a day, from `count` anchors of which the oldest is `oldest` seconds old and the newest `newest`. The time
/// since the newest counts too, so that a service that has become quiet is not taken for a busy one.
#[must_use]
pub fn rate(count: u64, oldest: f64, newest: f64) -> Option<f64> {
    // Over less than an hour a rate is a burst.
    if count < 2 || oldest - newest < 0.0 || oldest < DAY / 24.0 {
        return None;
    }
    let count = (count - 1) as f64;
    // n anchors have n − 1 intervals; the one that has begun since counts once it is longer than they are on average.
    let between = (oldest - newest) / count;
    let seconds = if newest > between { oldest } else { oldest - newest };
    (seconds > 0.0).then(|| count * DAY / seconds)
}

impl Ledger {
    /// Notes what an account has now.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn note_balance(&self, chain_id: u64, signer: &[u8; 20], wei: u128) -> Result<()> {
        sqlx::query!(
            "insert into funds (chain_id, signer, balance) values ($1, $2, $3::text::numeric)
             on conflict on constraint funds_pkey do update set balance = excluded.balance, seen_at = clock_timestamp()",
            stored(chain_id),
            signer,
            wei.to_string()
        )
        .execute(self.pool())
        .await?;
        Ok(())
    }

    /// Whether an account's balance has not been asked for since `every`, or never.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn balance_due(&self, chain_id: u64, signer: &[u8; 20], every: std::time::Duration) -> Result<bool> {
        let due = sqlx::query_scalar!(
            r#"select seen_at + make_interval(secs => $3) <= clock_timestamp()
                 or seen_at > clock_timestamp() + interval '1 minute' as "due!"
               from funds where chain_id = $1 and signer = $2"#,
            stored(chain_id),
            signer,
            every.as_secs_f64()
        );
        Ok(due.fetch_optional(self.pool()).await?.unwrap_or(true))
    }

    /// Notes what the transaction of an anchor cost.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn note_paid(&self, target: TargetId, batch: u64, wei: u128) -> Result<()> {
        sqlx::query!(
            "update anchors set paid = $3::text::numeric where batch = $1 and target_id = $2 and state in ('included', 'final')",
            stored(batch),
            target.0,
            wei.to_string()
        )
        .execute(self.pool())
        .await?;
        Ok(())
    }

    /// What every known publisher has, and how fast it spends. The work does not grow with history.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn funds(&self) -> Result<Vec<Funds>> {
        let rows = sqlx::query!(
            r#"select f.chain_id, f.signer, f.balance::text as "balance!", f.seen_at, s.count as "count!",
                 s.cost::text as cost, s.oldest, s.newest
               from funds f
               left join lanes l on l.chain_id = f.chain_id and l.signer = f.signer
               cross join lateral (
                 select count(*) as count, trunc(avg(n.paid)) as cost,
                   extract(epoch from clock_timestamp())::float8 - min(n.block_time) as oldest,
                   extract(epoch from clock_timestamp())::float8 - max(n.block_time) as newest
                 from (
                   select a.paid, a.block_time from anchors a where a.lane_id = l.id and a.paid is not null
                   order by a.block_time desc limit $1
                 ) n
               ) s
               order by f.chain_id, f.signer"#,
            SAMPLE
        )
        .fetch_all(self.pool())
        .await?;
        rows.into_iter()
            .map(|row| {
                Ok(Funds {
                    chain_id: natural(row.chain_id, "funds.chain_id")?,
                    signer: fixed(&row.signer, "funds.signer")?,
                    balance: wei(&row.balance, "funds.balance")?,
                    seen_at: row.seen_at,
                    per_anchor: row.cost.map(|cost| wei(&cost, "anchors.paid")).transpose()?,
                    per_day: match (row.oldest, row.newest) {
                        (Some(oldest), Some(newest)) => rate(natural(row.count, "anchors")?, oldest, newest.max(0.0)),
                        _ => None,
                    },
                })
            })
            .collect()
    }

    /// What one publisher has, if it was ever asked for.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn funds_of(&self, chain_id: u64, signer: &[u8; 20]) -> Result<Option<Funds>> {
        Ok(self.funds().await?.into_iter().find(|funds| (funds.chain_id, &funds.signer) == (chain_id, signer)))
    }

    /// The most that the transactions on their way can still cost their signer, by their fee caps, wei per gas: of each
    /// anchor that is sent, the dearest attempt.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn caps_in_flight(&self, chain_id: u64, signer: &[u8; 20]) -> Result<Vec<(TargetId, u64, u64)>> {
        let rows = sqlx::query!(
            r#"select a.target_id, a.batch, max(t.max_fee) as "max_fee!" from anchors a
               join lanes l on l.id = a.lane_id
               join attempts t on t.batch = a.batch and t.target_id = a.target_id and t.retired_lane is null
               where l.chain_id = $1 and l.signer = $2 and a.state = 'sent' group by 1, 2"#,
            stored(chain_id),
            signer
        )
        .fetch_all(self.pool())
        .await?;
        rows.into_iter()
            .map(|row| {
                Ok((TargetId(row.target_id), natural(row.batch, "anchors.batch")?, natural(row.max_fee, "attempts.max_fee")?))
            })
            .collect()
    }
}

fn wei(text: &str, what: &'static str) -> Result<u128> {
    text.parse().map_err(|_| LedgerError::Damaged(format!("{what}: {text}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: f64 = 3_600.0;

    fn funds(balance: u128, per_anchor: Option<u128>, per_day: Option<f64>) -> Funds {
        Funds { chain_id: 1, signer: [0; 20], balance, seen_at: OffsetDateTime::UNIX_EPOCH, per_anchor, per_day }
    }

    #[test]
    fn a_runway_is_balance_by_cost_and_rate() {
        assert_eq!(funds(1_000, Some(10), Some(4.0)).runway_days(), Some(25.0));
        assert_eq!(funds(0, Some(10), Some(4.0)).runway_days(), Some(0.0));
        assert_eq!(funds(1_000, None, Some(4.0)).runway_days(), None);
        assert_eq!(funds(1_000, Some(10), None).runway_days(), None);
        assert_eq!(funds(1_000, Some(0), Some(4.0)).runway_days(), None, "a chain without fees has no runway");
    }

    #[test]
    fn a_rate_needs_time() {
        assert_eq!(rate(1, 10.0 * HOUR, 10.0 * HOUR), None, "one anchor has no rate");
        assert_eq!(rate(50, 600.0, 0.0), None, "ten minutes are a burst");
        assert_eq!(rate(25, 24.0 * HOUR, 0.0), Some(24.0));
        assert_eq!(rate(25, 24.5 * HOUR, 0.5 * HOUR), Some(24.0), "the interval that has begun is not over");
        assert_eq!(rate(25, 48.0 * HOUR, 24.0 * HOUR), Some(12.0), "a quiet day counts");
        assert_eq!(rate(2, 2.0 * HOUR, 2.0 * HOUR), Some(12.0), "two at once, long ago");
    }
}
