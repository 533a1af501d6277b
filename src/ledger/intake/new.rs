//! The usual case: digests that were never seen before.
//!
//! `accept_new` stores them without looking each up, and answers what they have in common; the rest is known here. It stops at the
//! first digest that is there already. Then nothing is stored, and `accept_proofs` does it: so the answer is the same. Some
//! are looked up before, which finds what is sent again, and keeps rows that were stored in vain from piling up.
//! A crash before the commit leaves nothing; after it, who asks again with the same salts is told what was stored.

use std::collections::HashMap;

use sqlx::postgres::PgConnection;
use time::OffsetDateTime;

use super::desk::details;
use super::promises::Offer;
use super::{Accepted, Submission};
use crate::ledger::{LedgerError, Result, fixed, natural};

/// Digests that are looked up before: all of a small group.
const SAMPLES: usize = 100;

/// What the items of one account get.
struct Given {
    batch: u64,
    received_at: OffsetDateTime,
    anchor_by: Option<OffsetDateTime>,
    last: u64,
}

/// Accepts digests of which none was seen before; `None`, and nothing stored, when one was.
pub(super) async fn accept_new(
    connection: &mut PgConnection,
    items: &[&Submission],
    salts: &[&[u8]],
    offer: &Offer,
) -> Result<Option<Vec<Accepted>>> {
    let places = places(items);
    // In key order: neighbours in the index are written one after the other, and two transactions cannot deadlock.
    let mut order: Vec<usize> = (0..items.len()).filter(|at| places[*at].first == *at).collect();
    order.sort_unstable_by_key(|at| (items[*at].account.0, items[*at].digest));
    let stored = |at: &usize| (items[*at].account.0, items[*at].digest.as_ref());
    let (accounts, digests): (Vec<i64>, Vec<&[u8]>) = order.iter().map(stored).unzip();
    let new_salts: Vec<&[u8]> = order.iter().map(|at| salts[*at]).collect();
    let new_places: Vec<i64> = order.iter().map(|at| places[*at].place as i64).collect();
    let details = details(order.iter().map(|at| items[*at]));
    let step = order.len().div_ceil(SAMPLES).max(1);
    let (sampled_accounts, sampled): (Vec<i64>, Vec<&[u8]>) = order.iter().step_by(step).map(stored).unzip();
    let rows = sqlx::query!(
        r#"select account_id as "account_id!", batch as "batch!", received_at as "received_at!", anchor_by, last as "last!"
           from accept_new($1, $2, $3, $4, $5, $6, $7, $8, $9), refuse_held($1, $2)"#,
        &accounts,
        &digests as _,
        &new_salts as _,
        &new_places,
        details.as_deref() as _,
        offer.since.as_deref() as _,
        offer.anchor_by.as_deref() as _,
        &sampled_accounts,
        &sampled as _,
    );
    let rows = match rows.fetch_all(connection).await {
        Ok(rows) => rows,
        Err(error) if is_seen(&error) => return Ok(None),
        Err(error) => return Err(LedgerError::from_sql(error)),
    };
    if rows.is_empty() {
        return Ok(None);
    }
    let mut given = HashMap::with_capacity(rows.len());
    for row in rows {
        let (batch, last) = (natural(row.batch, "batches.number")?, natural(row.last, "account_numbers.last")?);
        given.insert(row.account_id, Given { batch, received_at: row.received_at, anchor_by: row.anchor_by, last });
    }
    let accepted = items.iter().enumerate().map(|(at, item)| {
        let Place { first, place } = places[at];
        let given = given.get(&item.account.0);
        let given = given.ok_or_else(|| LedgerError::Damaged("accept_new left an account out".into()))?;
        Ok(Accepted {
            digest: item.digest,
            salt: fixed::<16>(salts[first], "a salt")?.into(),
            batch: given.batch,
            received_at: given.received_at,
            fresh: first == at,
            number: given.last + place,
            anchor_by: given.anchor_by,
        })
    });
    accepted.collect::<Result<_>>().map(Some)
}

/// Whether a digest was there before.
fn is_seen(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| error.constraint() == Some("proofs_pkey"))
}

/// Where an item comes among those of its account. The same digest twice is one proof: the first one's.
#[derive(Debug, Clone, Copy)]
struct Place {
    /// The item that is stored for this one: itself, unless its digest came before.
    first: usize,
    /// That one's place, from 1.
    place: u64,
}

fn places(items: &[&Submission]) -> Vec<Place> {
    let mut places: Vec<Place> = Vec::with_capacity(items.len());
    let mut seen: HashMap<(i64, &[u8]), usize> = HashMap::with_capacity(items.len());
    let mut counts: HashMap<i64, u64> = HashMap::new();
    for (at, item) in items.iter().enumerate() {
        let account = item.account.0;
        let first = *seen.entry((account, item.digest.as_ref())).or_insert(at);
        let place = if first < at {
            places[first].place
        } else {
            let count = counts.entry(account).or_default();
            *count += 1;
            *count
        };
        places.push(Place { first, place });
    }
    places
}
