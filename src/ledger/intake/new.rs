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

/// Up to so many digests at once are stored, and so numbered, in the order they came. More are stored in the order of the primary key:
/// a quarter faster at a million proofs, because a page is found where the one before it was.
const IN_ORDER: usize = 1_000;

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
    let Arranged { order, first, places } = arrange(items);
    let mut run = Run::default();
    for at in &order {
        run.push(items[*at], salts[*at]);
    }
    let details = details(order.iter().map(|at| items[*at]));
    let step = order.len().div_ceil(SAMPLES).max(1);
    let samples = order.iter().step_by(step).map(|at| (items[*at].account.0, items[*at].digest.as_ref()));
    let (sampled_accounts, sampled): (Vec<i64>, Vec<&[u8]>) = samples.unzip();
    let rows = sqlx::query!(
        r#"select account_id as "account_id!", batch as "batch!", received_at as "received_at!", anchor_by, last as "last!"
           from accept_new($1, $2, $3, $4, $5, $6, $7, $8, $9)"#,
        &run.accounts,
        &run.counts,
        run.digests,
        run.salts,
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
        let given = given.get(&item.account.0);
        let given = given.ok_or_else(|| LedgerError::Damaged("accept_new left an account out".into()))?;
        Ok(Accepted {
            digest: item.digest,
            salt: fixed::<16>(salts[first[at]], "a salt")?.into(),
            batch: given.batch,
            received_at: given.received_at,
            fresh: first[at] == at,
            number: given.last + places[first[at]],
            anchor_by: given.anchor_by,
        })
    });
    accepted.collect::<Result<_>>().map(Some)
}

/// Items as `accept_new` takes them: account by account, without what would separate one from the next.
#[derive(Default)]
struct Run {
    accounts: Vec<i64>,
    /// How many items are whose.
    counts: Vec<i32>,
    digests: Vec<u8>,
    salts: Vec<u8>,
}

impl Run {
    fn push(&mut self, item: &Submission, salt: &[u8]) {
        if self.accounts.last() != Some(&item.account.0) {
            self.accounts.push(item.account.0);
            self.counts.push(0);
        }
        *self.counts.last_mut().expect("one for each account") += 1;
        self.digests.extend_from_slice(item.digest.as_ref());
        self.salts.extend_from_slice(salt);
    }
}

/// Whether a digest was there before.
fn is_seen(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| error.constraint() == Some("proofs_pkey"))
}

/// In which order items are stored, and numbered.
struct Arranged {
    /// The items that are stored, account by account.
    order: Vec<usize>,
    /// For each item the one that is stored for it: itself, unless its digest came before.
    first: Vec<usize>,
    /// For each item that is stored, its place among those of its account, from 1.
    places: Vec<u64>,
}

/// Items of an account keep their order, unless they are many: then neighbours in the primary key are written one after the other.
fn arrange(items: &[&Submission]) -> Arranged {
    let mut order: Vec<usize> = (0..items.len()).collect();
    let account = |at: usize| items[at].account.0;
    order.sort_unstable_by_key(|at| (account(*at), items[*at].digest, *at));
    let mut first: Vec<usize> = (0..items.len()).collect();
    for pair in 1..order.len() {
        let (before, at) = (order[pair - 1], order[pair]);
        if (account(before), items[before].digest) == (account(at), items[at].digest) {
            first[at] = first[before];
        }
    }
    order.retain(|at| first[*at] == *at);
    if order.len() <= IN_ORDER {
        order.sort_unstable_by_key(|at| (account(*at), *at));
    }
    let mut places = vec![0; items.len()];
    for (nth, at) in order.iter().enumerate() {
        let follows = nth > 0 && account(order[nth - 1]) == account(*at);
        places[*at] = if follows { places[order[nth - 1]] + 1 } else { 1 };
    }
    Arranged { order, first, places }
}

#[cfg(test)]
mod tests {
    use sceau_verifier::Digest;

    use super::super::Submission;
    use super::{Arranged, IN_ORDER, Run, arrange};
    use crate::ledger::accounts::AccountId;

    fn submission(account: i64, digest: usize) -> Submission {
        Submission { account: AccountId(account), digest: Digest::of(&digest.to_be_bytes()), detail: None }
    }

    /// Every third belongs to another account, every tenth comes again.
    fn submissions(count: usize) -> Vec<Submission> {
        (0..count).map(|n| submission([7, 3, 7][n % 3], if n % 10 == 9 { n - 9 } else { n })).collect()
    }

    fn arranged(all: &[Submission]) -> Arranged {
        arrange(&all.iter().collect::<Vec<_>>())
    }

    #[test]
    fn each_digest_of_an_account_has_one_place_and_places_follow_the_order_of_storing() {
        for count in [0, 1, 2, 30, IN_ORDER, 3 * IN_ORDER] {
            let all = submissions(count);
            let Arranged { order, first, places } = arranged(&all);
            for at in 0..count {
                let same = |other: &usize| (all[*other].account, all[*other].digest) == (all[at].account, all[at].digest);
                assert_eq!(Some(first[at]), (0..count).find(same), "{at} of {count}");
            }
            let firsts = (0..count).filter(|at| first[*at] == *at).count();
            assert_eq!(order.len(), firsts);
            for account in [3, 7] {
                let stored: Vec<u64> = order.iter().filter(|at| all[**at].account.0 == account).map(|at| places[*at]).collect();
                assert!(stored.iter().copied().eq(1..=stored.len() as u64), "account {account} of {count}");
            }
        }
    }

    #[test]
    fn few_keep_their_order_and_many_are_stored_by_key() {
        let all: Vec<Submission> = (0..=IN_ORDER).map(|n| submission(1, n)).collect();
        assert!(arranged(&all[..IN_ORDER]).order.into_iter().eq(0..IN_ORDER));
        let order = arranged(&all).order;
        assert!(order.is_sorted_by_key(|at| all[*at].digest) && !order.is_sorted());
    }

    #[test]
    fn items_come_account_by_account() {
        let all = submissions(30);
        let mut run = Run::default();
        for at in arranged(&all).order {
            run.push(&all[at], &[at as u8; 16]);
        }
        assert_eq!(run.accounts, [3, 7]);
        let of = |account| (0..30).filter(|at| at % 10 != 9 && all[*at].account.0 == account).collect::<Vec<_>>();
        let (threes, sevens) = (of(3), of(7));
        assert_eq!(run.counts, [threes.len() as i32, sevens.len() as i32]);
        let order = [threes, sevens].concat();
        assert_eq!(run.digests, order.iter().flat_map(|at| all[*at].digest.as_ref().to_vec()).collect::<Vec<_>>());
        assert_eq!(run.salts, order.iter().flat_map(|at| [*at as u8; 16]).collect::<Vec<_>>());
    }
}
