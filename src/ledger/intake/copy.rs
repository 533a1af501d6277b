//! Many digests at once: a COPY, for what was never seen before.
//!
//! The same transaction as `accept_proofs` makes, in steps: locks and numbers, the rows, what belongs to them, commit. COPY stores
//! a row for about a third of the work, but stops at the first digest that is there already. Then everything is undone, and
//! `accept_proofs` does it: so the answer is the same, and what is submitted again costs no more than a look at a few digests.
//! A crash before the commit leaves nothing; after it, who asks again with the same salts is told what was stored.

use std::collections::HashMap;

use sqlx::Connection;
use sqlx::postgres::PgConnection;
use time::OffsetDateTime;
use time::macros::datetime;

use super::{Accepted, Submission, details};
use crate::ledger::entries::Unfinished;
use crate::ledger::promises::Offer;
use crate::ledger::{Ledger, LedgerError, Result, natural, stored};

/// From so many digests on the fixed costs of a COPY are worth it.
pub(super) const WORTH: usize = 128;

/// Digests that are looked up before: who sends again what he sent finds one of them.
const SAMPLES: usize = 16;

const COPY: &str = "copy proofs (account_id, batch, received_at, digest, salt, number, anchor_by) from stdin (format binary)";

/// What the items of one account get.
struct Place {
    batch: i64,
    received_at: OffsetDateTime,
    anchor_by: Option<OffsetDateTime>,
    last: i64,
}

impl Ledger {
    /// Accepts digests of which none was seen before; `None`, and nothing stored, when one was.
    pub(super) async fn accept_new(
        &self,
        items: &[&Submission],
        salts: &[&[u8]],
        offer: &Offer,
    ) -> Result<Option<Vec<Accepted>>> {
        let mut connection = Unfinished::from(self.pool().acquire().await?);
        let accepted = accept(connection.get(), items, salts, offer).await?;
        // Committed or rolled back: the next one may have it. After an error it is closed, whatever state it is in.
        connection.finished();
        Ok(accepted)
    }
}

async fn accept(
    connection: &mut PgConnection,
    items: &[&Submission],
    salts: &[&[u8]],
    offer: &Offer,
) -> Result<Option<Vec<Accepted>>> {
    let mut transaction = connection.begin().await?;
    let samples = items.iter().step_by(items.len().div_ceil(SAMPLES).max(1));
    let (sampled, digests): (Vec<i64>, Vec<&[u8]>) = samples.map(|item| (item.account.0, item.digest.as_ref())).unzip();
    let seen = sqlx::query_scalar!(r#"select knows_any($1, $2) as "seen!""#, &sampled, &digests as _);
    if seen.fetch_one(&mut *transaction).await? {
        transaction.rollback().await?;
        return Ok(None);
    }

    let mut accounts: Vec<i64> = items.iter().map(|item| item.account.0).collect();
    accounts.sort_unstable();
    accounts.dedup();
    let places = sqlx::query!(
        r#"select account_id as "account_id!", batch as "batch!", received_at as "received_at!", anchor_by, last as "last!"
           from begin_acceptance($1, $2, $3)"#,
        &accounts,
        offer.since.as_deref() as _,
        offer.anchor_by.as_deref() as _,
    );
    let places = places.fetch_all(&mut *transaction).await.map_err(LedgerError::from_sql)?;
    let mut places: HashMap<i64, Place> = places
        .into_iter()
        .map(|row| {
            let place = Place { batch: row.batch, received_at: row.received_at, anchor_by: row.anchor_by, last: row.last };
            (row.account_id, place)
        })
        .collect();

    let accepted = number(items, salts, &mut places)?;
    let mut copy = transaction.copy_in_raw(COPY).await?;
    copy.send(rows(items, &accepted)?).await?;
    match copy.finish().await.map_err(LedgerError::from_sql) {
        Ok(_) => {}
        Err(error) if is_seen(&error) => {
            transaction.rollback().await?;
            return Ok(None);
        }
        Err(error) => return Err(error),
    }

    let details = details(items);
    let asks = sqlx::query_scalar!(
        r#"select exists (select from identities d where d.account_id = any ($1))
             or exists (select from validations w where w.account_id = any ($1) and w.state <> 'accepted') as "asks!""#,
        &accounts,
    );
    if asks.fetch_one(&mut *transaction).await? || details.is_some() {
        let accounts: Vec<i64> = items.iter().map(|item| item.account.0).collect();
        let digests: Vec<&[u8]> = items.iter().map(|item| item.digest.as_ref()).collect();
        sqlx::query!(
            "select from describe_proofs($1, $2, $3, $4), refuse_held($1, $2)",
            &accounts,
            &digests as _,
            &salts as _,
            details.as_deref() as _,
        )
        .execute(&mut *transaction)
        .await
        .map_err(LedgerError::from_sql)?;
    }
    transaction.commit().await?;
    Ok(Some(accepted))
}

/// Whether a digest was there before.
fn is_seen(error: &LedgerError) -> bool {
    let LedgerError::Database(sqlx::Error::Database(error)) = error else { return false };
    error.constraint() == Some("proofs_pkey")
}

/// Numbers the items in their order. The same digest twice is one proof: the first one's.
fn number(items: &[&Submission], salts: &[&[u8]], places: &mut HashMap<i64, Place>) -> Result<Vec<Accepted>> {
    let mut accepted: Vec<Accepted> = Vec::with_capacity(items.len());
    let mut first: HashMap<(i64, &[u8]), usize> = HashMap::with_capacity(items.len());
    for (at, (item, salt)) in items.iter().zip(salts).enumerate() {
        let before = *first.entry((item.account.0, item.digest.as_ref())).or_insert(at);
        if before < at {
            accepted.push(Accepted { fresh: false, ..accepted[before] });
            continue;
        }
        let place = places.get_mut(&item.account.0);
        let place = place.ok_or_else(|| LedgerError::Damaged("begin_acceptance left an account out".into()))?;
        place.last += 1;
        accepted.push(Accepted {
            digest: item.digest,
            salt: super::fixed::<16>(salt, "a salt")?.into(),
            batch: natural(place.batch, "proofs.batch")?,
            received_at: place.received_at,
            fresh: true,
            number: natural(place.last, "proofs.number")?,
            anchor_by: place.anchor_by,
        });
    }
    Ok(accepted)
}

/// The new ones in the binary format of COPY (PostgreSQL manual, COPY, "Binary Format"), in key order: neighbours in the index
/// are written one after the other, and two transactions cannot deadlock.
fn rows(items: &[&Submission], accepted: &[Accepted]) -> Result<Vec<u8>> {
    const COLUMNS: i16 = 7;
    const ROW: usize = 2 + 7 * 4 + 5 * 8 + 32 + 16;
    let mut order: Vec<usize> = (0..items.len()).filter(|at| accepted[*at].fresh).collect();
    order.sort_unstable_by_key(|at| (items[*at].account.0, items[*at].digest));
    let mut bytes = Vec::with_capacity(19 + order.len() * ROW + 2);
    bytes.extend_from_slice(b"PGCOPY\n\xff\r\n\0");
    bytes.extend_from_slice(&[0; 8]);
    for at in order {
        let (item, proof) = (items[at], &accepted[at]);
        bytes.extend_from_slice(&COLUMNS.to_be_bytes());
        field(&mut bytes, &item.account.0.to_be_bytes());
        field(&mut bytes, &stored(proof.batch).to_be_bytes());
        field(&mut bytes, &micros(proof.received_at)?.to_be_bytes());
        field(&mut bytes, proof.digest.as_bytes());
        field(&mut bytes, proof.salt.as_bytes());
        field(&mut bytes, &stored(proof.number).to_be_bytes());
        match proof.anchor_by {
            Some(anchor_by) => field(&mut bytes, &micros(anchor_by)?.to_be_bytes()),
            None => bytes.extend_from_slice(&(-1_i32).to_be_bytes()),
        }
    }
    bytes.extend_from_slice(&(-1_i16).to_be_bytes());
    Ok(bytes)
}

fn field(bytes: &mut Vec<u8>, value: &[u8]) {
    bytes.extend_from_slice(&(value.len() as u32).to_be_bytes());
    bytes.extend_from_slice(value);
}

/// As Postgres counts: microseconds since 2000.
fn micros(moment: OffsetDateTime) -> Result<i64> {
    let micros = (moment - datetime!(2000-01-01 00:00 UTC)).whole_microseconds();
    i64::try_from(micros).map_err(|_| LedgerError::Damaged(format!("the moment {moment}")))
}
