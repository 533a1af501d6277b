//! The audit on a real history: silent about a clean one, and naming the row that was changed behind its back.

mod changes;
mod random;
mod validations;

use std::sync::Arc;

use sceau::audit::{self, Report, Witness};
use sceau::chain::Chain;
use sceau::dev::anvil::Mining;
use sceau::ledger::anchors::AnchorState;
use sceau::ledger::intake::{Accepted, Submission};
use sceau::ledger::proofs::erasures::Erasing;
use sceau::pipeline::recheck::recheck;
use sceau_verifier::Digest;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use self::changes::CHANGES;
use crate::pipeline::kit::{Flaky, Kit};

async fn audit(kit: &Kit) -> Report {
    let chain: Arc<dyn Chain> = Arc::<Flaky>::clone(&kit.chain);
    let witness = Witness { chain, depth: None, evidence: true };
    audit::run(&kit.ledger, &[witness], |_| ()).await.expect("a report")
}

const TABLES: &[&str] = &[
    "anchor_policy",
    "accounts",
    "account_numbers",
    "batch_accounts",
    "batches",
    "proofs",
    "tiles",
    "targets",
    "lanes",
    "anchors",
    "anchor_history",
    "attempts",
    "doubled_digests",
    "proof_labels",
];

/// Runs statements that no constraint between tables holds back: all or none.
async fn change(kit: &Kit, statements: &[String]) -> Result<u64, String> {
    let mut connection = PgConnection::connect(&kit.database.url).await.expect("a connection");
    let mut transaction = connection.begin().await.expect("a transaction");
    transaction.execute("set local session_replication_role = replica").await.expect("superuser");
    let mut rows = 0;
    for statement in statements {
        rows = sqlx::query(AssertSqlSafe(statement.clone()))
            .execute(&mut *transaction)
            .await
            .map_err(|error| format!("{statement}: {error}"))?
            .rows_affected();
    }
    transaction.commit().await.map_err(|error| error.to_string())?;
    Ok(rows)
}

/// Keeps the rows of these tables as they are.
async fn save(kit: &Kit, tables: &[&str]) {
    let save: Vec<String> = tables.iter().map(|table| format!("create table saved_{table} as table {table}")).collect();
    change(kit, &save).await.unwrap();
}

/// Puts them back.
async fn restore(kit: &Kit, tables: &[&str]) {
    let restore = tables.iter().flat_map(|table| {
        [format!("delete from {table}"), format!("insert into {table} overriding system value table saved_{table}")]
    });
    change(kit, &restore.collect::<Vec<_>>()).await.unwrap();
}

/// Something of everything: three final batches, one in a block, one open.
async fn history(kit: &Kit) {
    for (kind, count) in [(1, 300), (2, 4), (3, 5)] {
        let (batch, _) = kit.seal(kind, count).await;
        kit.until(batch, AnchorState::Final).await.unwrap();
    }
    // What was accepted before the account spoke the KageSecur dialect, and what comes after.
    kit.ledger.set_identity("partner", "partner", &[1; 32]).await.expect("an identity");
    let (batch, _) = kit.seal(4, 3).await;
    kit.settle().await.unwrap();
    assert_eq!(kit.state(batch).await, AnchorState::Included);
    let one = Submission { account: kit.account, digest: crate::ledger::digest(5, 0), detail: None };
    kit.intake.accept(vec![one]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_is_found_and_named() {
    let kit = Kit::new(Mining::Instant).await;
    history(&kit).await;
    let clean = audit(&kit).await;
    assert_eq!(clean.findings, [], "a clean history");
    assert_eq!((clean.batches, clean.proofs, clean.anchors, clean.count), (5, 312, 4, 0));

    save(&kit, TABLES).await;
    let mut missed = Vec::new();
    for (statement, table, key) in CHANGES {
        assert!(change(&kit, &[(*statement).into()]).await.unwrap() > 0, "nothing was changed: {statement}");
        let report = audit(&kit).await;
        let first = report.findings.first();
        if !first.is_some_and(|first| first.table == *table && first.key.starts_with(key)) {
            missed.push(format!("{statement}\n  expected {table} {key}, found {first:?}"));
        }
        restore(&kit, TABLES).await;
    }
    assert!(missed.is_empty(), "{} of {} changes:\n{}", missed.len(), CHANGES.len(), missed.join("\n"));
    assert!(audit(&kit).await.is_clean(), "everything is back");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_erased_is_no_finding_and_is_anchored_where_a_registry_comes_later() {
    let kit = Kit::new(Mining::Instant).await;
    let (batch, accepted) = kit.seal(1, 300).await;
    assert_eq!(kit.ledger.erase(kit.account, &accepted[7].digest, "k").await.unwrap(), Erasing::Early);
    kit.until(batch, AnchorState::Final).await.unwrap();
    for at in [7, 250] {
        assert_eq!(kit.ledger.erase(kit.account, &accepted[at].digest, "k").await.unwrap(), Erasing::Erased);
        assert_eq!(kit.ledger.erase(kit.account, &accepted[at].digest, "k").await.unwrap(), Erasing::Unknown);
    }
    let report = audit(&kit).await;
    assert_eq!((report.findings, report.proofs), (vec![], 300));
    // A leaf is a digest like any other, before it is all that is left of a proof and after; and can be erased like any other.
    let leaf = |one: &Accepted| Digest::of(&[&[0][..], one.digest.as_ref(), one.salt.as_bytes()].concat());
    let leaves = [leaf(&accepted[7]), leaf(&accepted[9])];
    let items = leaves.map(|digest| Submission { account: kit.account, digest, detail: None });
    kit.intake.accept(items.to_vec()).await.unwrap();
    let (later, _) = kit.seal(2, 2).await;
    kit.until(later, AnchorState::Final).await.unwrap();
    for digest in [accepted[9].digest, leaves[0], leaves[1]] {
        assert_eq!(kit.ledger.erase(kit.account, &digest, "k").await.unwrap(), Erasing::Erased);
    }
    let report = audit(&kit).await;
    assert_eq!((report.findings, report.proofs), (vec![], 304));
    // The look before anchoring, which a registry that takes older batches asks for again.
    let (root, size) = recheck(&kit.ledger, batch).await.expect("as it was sealed");
    assert_eq!((root, size), (kit.root(batch).await, 301));
    let bent = "update proofs set digest = set_byte(digest, 5, get_byte(digest, 5) # 1) where salt is null and number = 8";
    assert_eq!(change(&kit, &[bent.into()]).await, Ok(1));
    assert!(recheck(&kit.ledger, batch).await.is_err(), "a leaf that is not the tree's is not anchored");
    assert!(!audit(&kit).await.is_clean());
}
