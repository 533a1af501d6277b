//! The ledger against a real Postgres.

mod guard;
mod held;
mod intake;
mod leases;
mod numbers;
mod office;
mod offline;
mod upgrade;
mod validations;

use std::sync::Arc;
use std::time::Duration;

use sceau::ledger::Ledger;
use sceau::ledger::accounts::{AccountId, Role};
use sceau::ledger::intake::promises::Terms;
use sceau::ports::SystemClock;
use sceau_verifier::Digest;
use time::OffsetDateTime;

use crate::support::Database;

/// A ledger on a test's database.
pub fn ledger(database: &Database) -> Ledger {
    Ledger::connect(&database.url, 8).expect("a Postgres URL")
}

/// What is promised in tests that ask for it: half an hour after the next full hour.
pub fn terms(moment: OffsetDateTime) -> Terms {
    let hour = |at: OffsetDateTime| at.unix_timestamp().div_euclid(3600) * 3600;
    let at = |seconds| OffsetDateTime::from_unix_timestamp(seconds).expect("a moment");
    let since = moment - Duration::from_secs(5);
    let steps = vec![(since, at(hour(since) + 5400)), (at(hour(since) + 3600), at(hour(since) + 9000))];
    Terms { steps, until: at(hour(since) + 7200) }
}

/// A ledger that promises.
pub fn promising(ledger: Ledger) -> Ledger {
    ledger.promising(terms, Arc::new(SystemClock))
}

/// An account to submit for.
pub async fn account(ledger: &Ledger, name: &str) -> AccountId {
    ledger.create_account(name, Role::Partner, &format!("ck_{name}"), [0; 32]).await.expect("a new account")
}

/// A digest that nobody else in the test uses.
pub fn digest(kind: u64, number: u64) -> Digest {
    Digest::of(&[kind.to_be_bytes(), number.to_be_bytes()].concat())
}
