//! The audit on a real history: silent about a clean one, and naming the row that was changed behind its back.

mod random;
mod validations;

use std::sync::Arc;

use sceau::audit::{self, Report, Witness};
use sceau::chain::Chain;
use sceau::dev::anvil::Mining;
use sceau::ledger::anchors::AnchorState;
use sceau::ledger::proofs::erasures::Erasing;
use sceau::pipeline::recheck::recheck;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use crate::pipeline::kit::{Flaky, Kit};

/// What is changed, the table that must be named first, and the key.
const CHANGES: &[(&str, &str, &str)] = &[
    // Proofs.
    (
        "update proofs set salt = set_byte(salt, 3, get_byte(salt, 3) # 1) where batch = 2 and digest = (select digest from proofs where batch = 2 order by digest limit 1)",
        "proofs",
        "account_id=1 digest=0x",
    ),
    (
        "update proofs set digest = set_byte(digest, 9, get_byte(digest, 9) # 8) where batch = 1 and digest = (select digest from proofs where batch = 1 order by digest desc limit 1)",
        "proofs",
        "account_id=1 digest=0x",
    ),
    (
        "delete from proofs where batch = 3 and digest = (select digest from proofs where batch = 3 order by digest limit 1)",
        "proofs",
        "batch=3",
    ),
    (
        "insert into proofs (account_id, batch, received_at, digest, salt, number) select account_id, batch, received_at, sha256(digest), salt, 1000 from proofs where batch = 2 limit 1",
        "proofs",
        "account_id=1 digest=0x",
    ),
    (
        "update proofs set batch = 3 where batch = 2 and digest = (select digest from proofs where batch = 2 order by digest limit 1)",
        "proofs",
        "batch=2",
    ),
    ("update proofs set batch = 77 where batch = 5", "proofs", "account_id=1 digest=0x"),
    (
        "update proofs set account_id = 55 where batch = 2 and digest = (select digest from proofs where batch = 2 order by digest limit 1)",
        "proofs",
        "account_id=55 digest=0x",
    ),
    (
        "update proofs set received_at = received_at + interval '1 day' where batch = 2 and digest = (select digest from proofs where batch = 2 order by digest limit 1)",
        "proofs",
        "account_id=1 digest=0x",
    ),
    // What was erased, and what was not.
    (
        "update proofs set digest = sha256('\\x00' || digest || salt), salt = null where batch = 2 and digest = (select digest from proofs where batch = 2 order by digest limit 1)",
        "proofs",
        "account_id=1 digest=0x",
    ),
    ("insert into proof_labels (account_id, label, number) values (1, 'odd', 1)", "proof_labels", "account_id=1 number=1"),
    // Batches.
    ("update batches set root = set_byte(root, 0, get_byte(root, 0) # 1) where number = 2", "batches", "number=2"),
    ("update batches set header = replace(header, 'test', 'tset') where number = 2", "batches", "number=2"),
    ("update batches set header = replace(header, '\"v\":1', '\"v\":2') where number = 2", "batches", "number=2"),
    ("update batches set header = header || ' ' where number = 3", "batches", "number=3"),
    ("update batches set size = size + 1 where number = 2", "batches", "number=2"),
    ("update batches set sealed_at = sealed_at + interval '1 s' where number = 2", "batches", "number=2"),
    ("update batches set closed_at = opened_at - interval '1 h' where number = 2", "batches", "number=2"),
    ("update batches set opened_at = opened_at + interval '1 day' where number = 2", "batches", "number=2"),
    ("delete from batches where number = 5", "batches", "number=5"),
    ("delete from batches where number = 2", "batches", "number=2"),
    ("update batches set number = 6 where number = 5", "batches", "number=5"),
    (
        "update batches set state = 'closed', sealed_at = null, header = null, size = null, root = null where number = 3",
        "batches",
        "number=4",
    ),
    ("insert into batches (number, state, opened_at, closed_at) values (6, 'closed', now(), now())", "batches", "number=6"),
    ("update batches set anchors_needed = 2 where number = 2", "batches", "number=2"),
    ("update batches set anchored = not anchored where number = 2", "batches", "number=2"),
    ("update batches set anchored = true where number = 5", "batches", "number=5"),
    ("update anchor_policy set needed = 2", "batches", "number=1"),
    ("delete from anchor_policy", "batches", "number=1"),
    // Tiles.
    (
        "update tiles set hashes = set_byte(hashes, 70, get_byte(hashes, 70) # 64) where batch = 1 and level = 0 and index = 1",
        "tiles",
        "batch=1 level=0 index=1",
    ),
    (
        "update tiles set hashes = set_byte(hashes, 40, get_byte(hashes, 40) # 1) where batch = 1 and level = 1",
        "tiles",
        "batch=1 level=1 index=0",
    ),
    (
        "update tiles set hashes = set_byte(hashes, 0, get_byte(hashes, 0) # 1) where batch = 2 and level = 0",
        "tiles",
        "batch=2 level=0 index=0",
    ),
    ("update tiles set hashes = substr(hashes, 1, 64) where batch = 2 and level = 0", "tiles", "batch=2 level=0 index=0"),
    (
        "update tiles set lowest = set_byte(lowest, 5, get_byte(lowest, 5) # 1) where batch = 1 and level = 0 and index = 1",
        "tiles",
        "batch=1 level=0 index=1",
    ),
    ("delete from tiles where batch = 1 and level = 0 and index = 1", "tiles", "batch=1 level=0 index=1"),
    ("delete from tiles where batch = 1 and level = 1", "tiles", "batch=1 level=1 index=0"),
    (
        "insert into tiles select batch, level, 1, null, hashes from tiles where batch = 1 and level = 1",
        "tiles",
        "batch=1 level=1 index=1",
    ),
    ("update tiles set index = 4 where batch = 1 and level = 1", "tiles", "batch=1 level=1 index=0"),
    ("update tiles set batch = 5 where batch = 2", "tiles", "batch=2 level=0 index=0"),
    ("insert into tiles select 5, level, index, lowest, hashes from tiles where batch = 2", "tiles", "batch=5 level=0 index=0"),
    // Targets and lanes.
    ("update targets set registry = set_byte(registry, 0, get_byte(registry, 0) # 1)", "targets", "chain_id=31337 registry=0x"),
    ("update targets set chain_id = 1", "targets", "chain_id=31337 registry=0x"),
    ("update targets set first_number = 2", "targets", "id=1"),
    ("update targets set code_hash = set_byte(code_hash, 0, get_byte(code_hash, 0) # 1)", "targets", "id=1"),
    ("update lanes set chain_id = chain_id + 1", "lanes", "id=1"),
    ("update lanes set next_nonce = next_nonce + 1", "lanes", "id=1"),
    ("update lanes set next_nonce = next_nonce - 1", "lanes", "id=1"),
    ("update lanes set signer = set_byte(signer, 0, get_byte(signer, 0) # 1)", "attempts", "tx_hash=0x"),
    ("update targets set retired_at = now(), retired_after = 3", "anchors", "batch=4 target_id=1"),
    // Anchors.
    ("update anchors set state = 'included', evidence = null where batch = 1", "anchors", "batch=1 target_id=1"),
    (
        "update anchors set state = 'final', evidence = (select evidence from anchors where batch = 1) where batch = 4",
        "anchor_history",
        "batch=4 target_id=1",
    ),
    (
        "with lie as (update anchors set state = 'final', evidence = (select evidence from anchors where batch = 1) where batch = 4 returning batch, target_id) insert into anchor_history (batch, target_id, state) select batch, target_id, 'final' from lie",
        "anchors",
        "batch=4 target_id=1",
    ),
    ("update anchors set nonce = nonce + 40 where batch = 2", "attempts", "tx_hash=0x"),
    ("update anchors set lane_id = null, nonce = null where batch = 2", "attempts", "tx_hash=0x"),
    (
        "update anchors set tx_hash = (select tx_hash from anchors where batch = 3) where batch = 2",
        "anchors",
        "batch=2 target_id=1",
    ),
    (
        "update anchors set tx_hash = set_byte(tx_hash, 0, get_byte(tx_hash, 0) # 1) where batch = 2",
        "anchors",
        "batch=2 target_id=1",
    ),
    ("update anchors set tx_index = tx_index + 1 where batch = 2", "anchors", "batch=2 target_id=1"),
    ("update anchors set block_number = block_number + 1 where batch = 2", "anchors", "batch=2 target_id=1"),
    (
        "update anchors set block_hash = set_byte(block_hash, 0, get_byte(block_hash, 0) # 1) where batch = 4",
        "anchors",
        "batch=4 target_id=1",
    ),
    ("update anchors set block_time = block_time + 1 where batch = 2", "anchors", "batch=2 target_id=1"),
    (
        "update anchors set evidence = (select evidence from anchors where batch = 1) where batch = 2",
        "anchors",
        "batch=2 target_id=1",
    ),
    ("update anchors set evidence = '{}' where batch = 2", "anchors", "batch=2 target_id=1"),
    (
        "update anchors set evidence = regexp_replace(evidence, '(\"storage_proof\":\\[\"0x..)', '\\1ff') where batch = 2",
        "anchors",
        "batch=2 target_id=1",
    ),
    ("delete from anchors where batch = 2", "anchors", "batch=2 target_id=1"),
    (
        "update anchors set state = 'withdrawn', tx_hash = null, tx_index = null, block_number = null, block_hash = null, block_time = null where batch = 4",
        "anchors",
        "batch=4 target_id=1",
    ),
    ("insert into anchors (batch, target_id, state) values (5, 1, 'planned')", "anchors", "batch=5 target_id=1"),
    // History and attempts.
    ("delete from anchor_history where batch = 2 and state = 'final'", "anchor_history", "batch=2 target_id=1"),
    ("delete from anchor_history where batch = 2 and state = 'included'", "anchor_history", "id="),
    ("delete from anchor_history where batch = 2 and state = 'sent'", "anchor_history", "batch=2 target_id=1"),
    ("delete from anchor_history where batch = 2 and state = 'planned'", "anchor_history", "batch=2 target_id=1"),
    ("update anchor_history set state = 'included' where batch = 2 and state = 'final'", "anchor_history", "batch=2 target_id=1"),
    ("update anchor_history set batch = 3 where batch = 2 and state = 'final'", "anchor_history", "batch=2 target_id=1"),
    ("insert into anchor_history (batch, target_id, state) values (1, 1, 'sent')", "anchor_history", "id="),
    ("update attempts set raw = set_byte(raw, 20, get_byte(raw, 20) # 1) where batch = 2", "attempts", "tx_hash=0x"),
    ("update attempts set tx_hash = sha256(tx_hash) where batch = 2", "attempts", "tx_hash=0x"),
    ("update attempts set max_fee = max_fee + 1 where batch = 2", "attempts", "tx_hash=0x"),
    ("update attempts set max_priority_fee = max_priority_fee - 1 where batch = 2", "attempts", "tx_hash=0x"),
    ("update attempts set batch = 3 where batch = 2", "attempts", "batch=2 target_id=1"),
    ("delete from attempts where batch = 2", "attempts", "batch=2 target_id=1"),
    // Numbers and promises.
    (
        "update proofs set number = 1000 where number = (select max(number) from proofs where account_id = 1) and account_id = 1",
        "proofs",
        "account_id=1",
    ),
    ("update account_numbers set last = last + 1", "account_numbers", "account_id=1"),
    ("update account_numbers set closed = closed - 1", "account_numbers", "account_id=1"),
    ("delete from account_numbers", "account_numbers", "account_id=1"),
    ("insert into account_numbers (account_id, last) values (9, 1)", "account_numbers", "account_id=9"),
    ("update batch_accounts set first = first + 1 where batch = 2", "batch_accounts", "batch=2 account_id=1"),
    ("update batch_accounts set last = last - 1 where batch = 2", "batch_accounts", "batch=2 account_id=1"),
    ("update batch_accounts set account_id = 9 where batch = 2", "batch_accounts", "batch=2 account_id=1"),
    ("delete from batch_accounts where batch = 2", "batch_accounts", "batch=2 account_id=1"),
    ("insert into batch_accounts values (3, 9, 1, 2)", "batch_accounts", "batch=3 account_id=9"),
    ("update batches set anchor_by_last = anchor_by_last + interval '1 day' where number = 2", "batches", "number=2"),
    ("update batches set anchor_by_first = null, anchor_by_last = null where number = 5", "batches", "number=5"),
    (
        "update proofs set anchor_by = anchor_by + interval '1 day' where batch = 2 and digest = (select digest from proofs where batch = 2 order by digest limit 1)",
        "batches",
        "number=2",
    ),
    // Doubled digests.
    (
        "delete from doubled_digests where digest = (select digest from proofs where batch = 1 order by digest limit 1)",
        "doubled_digests",
        "account_id=1 digest=0x",
    ),
    (
        "update doubled_digests set doubled = sha256(doubled) where digest = (select digest from proofs where batch = 5)",
        "doubled_digests",
        "account_id=1 digest=0x",
    ),
    ("insert into doubled_digests values (sha256('x'), 1, false, sha256('y'))", "doubled_digests", "account_id=1 digest=0x"),
];

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
    let one = sceau::ledger::intake::Submission { account: kit.account, digest: crate::ledger::digest(5, 0), detail: None };
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
    // The look before anchoring, which a registry that takes older batches asks for again.
    let (root, size) = recheck(&kit.ledger, batch).await.expect("as it was sealed");
    assert_eq!((root, size), (kit.root(batch).await, 301));
    let bent = "update proofs set digest = set_byte(digest, 5, get_byte(digest, 5) # 1) where salt is null and number = 8";
    assert_eq!(change(&kit, &[bent.into()]).await, Ok(1));
    assert!(recheck(&kit.ledger, batch).await.is_err(), "a leaf that is not the tree's is not anchored");
    assert!(!audit(&kit).await.is_clean());
}
