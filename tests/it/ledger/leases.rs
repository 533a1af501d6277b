use std::time::Duration;

use sceau::ledger::LedgerError;
use uuid::Uuid;

use super::ledger;
use crate::support::database;

const LONG: Duration = Duration::from_secs(600);

#[tokio::test]
async fn one_holder_at_a_time() {
    let database = database().await;
    let ledger = ledger(&database);
    let (a, b) = (Uuid::from_u128(1), Uuid::from_u128(2));
    let held = ledger.lease("seal", a, LONG).await.unwrap().expect("free");
    assert_eq!(ledger.lease("seal", b, LONG).await.unwrap(), None);
    assert_eq!(ledger.lease("seal", a, LONG).await.unwrap().as_ref(), Some(&held), "renewing keeps the token");
    assert!(ledger.lease("other", b, LONG).await.unwrap().is_some());
    ledger.release(&held).await.unwrap();
    assert!(ledger.lease("seal", b, LONG).await.unwrap().is_some());
    assert_eq!(ledger.events().taken_over.get(), 0, "it was given back");
}

#[tokio::test]
async fn a_holder_that_slept_past_its_expiry_changes_nothing() {
    let database = database().await;
    let ledger = ledger(&database);
    let stale = ledger.lease("seal", Uuid::from_u128(1), Duration::ZERO).await.unwrap().expect("free");
    let fresh = ledger.lease("seal", Uuid::from_u128(2), LONG).await.unwrap().expect("expired");
    assert_eq!(ledger.events().taken_over.get(), 1, "it was not given back");
    let refused = ledger.close_batch(&stale).await;
    assert!(matches!(refused, Err(LedgerError::LeaseLost { .. })), "{refused:?}");
    assert_eq!(ledger.close_batch(&fresh).await.unwrap(), None, "the pool is empty");
}
