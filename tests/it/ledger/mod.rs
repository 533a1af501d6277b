//! The ledger against a real Postgres.

mod guard;
mod intake;
mod leases;
mod offline;
mod validations;

use sceau::ledger::Ledger;
use sceau::ledger::accounts::{AccountId, Role};
use sceau_verifier::Digest;

use crate::support::Database;

/// A ledger on a test's database.
pub fn ledger(database: &Database) -> Ledger {
    Ledger::connect(&database.url, 8).expect("a Postgres URL")
}

/// An account to submit for.
pub async fn account(ledger: &Ledger, name: &str) -> AccountId {
    ledger.create_account(name, Role::Partner, &format!("ck_{name}"), [0; 32]).await.expect("a new account")
}

/// A digest that nobody else in the test uses.
pub fn digest(kind: u64, number: u64) -> Digest {
    Digest::of(&[kind.to_be_bytes(), number.to_be_bytes()].concat())
}
