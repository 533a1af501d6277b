//! The same for what validators decided.

use sceau::dev::anvil::Mining;
use sceau::ledger::accounts::{AccountId, Role};
use sceau::ledger::anchors::AnchorState;
use sceau::ledger::intake::Submission;
use sceau::ledger::validations::{Asked, Decided, Request};
use sceau::ports::{Ports, SystemClock, SystemEntropy};
use sceau_verifier::decision::Choice;
use std::sync::Arc;
use uuid::Uuid;

use super::{audit, change, restore, save};
use crate::ledger::digest;
use crate::pipeline::kit::Kit;

const TABLES: &[&str] = &["accounts", "validators", "validations", "decisions", "proofs"];

/// A row of each kind, by the document: 1 accepted, 2 refused, 3 with one approval of two, 4 untouched.
const CHANGES: &[(&str, &str, &str)] = &[
    ("update validations set state = 'accepted', settled_at = now() where digest = {3}", "validations", "id="),
    ("update validations set state = 'refused', settled_at = now() where digest = {4}", "validations", "id="),
    ("update validations set state = 'awaiting', settled_at = null where digest = {1}", "validations", "id="),
    ("update validations set state = 'awaiting', settled_at = null where digest = {2}", "validations", "id="),
    ("update validations set state = 'accepted' where digest = {2}", "validations", "id="),
    ("update validations set approvals_needed = 1 where digest = {3}", "validations", "id="),
    ("update validations set approvals_needed = 3 where digest = {1}", "validations", "id="),
    ("update validations set settled_at = settled_at - interval '1 h' where digest = {1}", "validations", "id="),
    ("update validations set salt = set_byte(salt, 0, get_byte(salt, 0) # 1) where digest = {1}", "validations", "id="),
    ("update validations set digest = sha256(digest) where digest = {3}", "decisions", "validation_id="),
    ("update validations set received_at = received_at + interval '1 h' where digest = {3}", "decisions", "validation_id="),
    ("update validations set account_id = 3 where digest = {3}", "decisions", "validation_id="),
    ("delete from decisions where validation_id = (select id from validations where digest = {3})", "decisions", "digest=0x"),
    ("delete from decisions where validation_id = (select id from validations where digest = {1})", "decisions", "digest=0x"),
    ("delete from validations where digest = {1}", "decisions", "digest=0x"),
    ("update decisions set statement = replace(statement, 'vu', 'lu')", "decisions", "validation_id="),
    (
        "update decisions set statement = replace(statement, 'vu', 'lu'), digest = sha256(convert_to(replace(statement, 'vu', 'lu'), 'UTF8')) where decision = 'refused'",
        "decisions",
        "digest=0x",
    ),
    (
        "with bent as (select replace(statement, 'approved', 'refused') as text, digest from decisions where decision = 'approved' and validation_id = (select id from validations where digest = {3})) update decisions d set statement = bent.text, digest = sha256(convert_to(bent.text, 'UTF8')) from bent where d.digest = bent.digest",
        "decisions",
        "digest=0x",
    ),
    ("update decisions set comment = 'no' where decision = 'refused'", "decisions", "validation_id="),
    ("update decisions set decision = 'approved' where decision = 'refused'", "decisions", "validation_id="),
    ("update decisions set decided_at = decided_at - interval '1 s' where decision = 'refused'", "decisions", "validation_id="),
    ("update decisions set validator_id = 1 where decision = 'refused'", "decisions", "validation_id="),
    ("update validators set removed_at = added_at", "decisions", "validation_id="),
    ("update validators set added_at = now() + interval '1 h', removed_at = null", "decisions", "validation_id="),
    ("delete from validators", "decisions", "validation_id="),
    ("update accounts set name = 'somebody else ' || id where role = 'validator'", "decisions", "validation_id="),
    // The pool: batch 2 is not sealed, so nothing but the validations can tell.
    (
        "delete from proofs where digest = (select digest from decisions where decision = 'refused')",
        "decisions",
        "validation_id=",
    ),
    (
        "update proofs set salt = substr(sha256(salt), 1, 16) where digest = (select digest from decisions where decision = 'refused')",
        "decisions",
        "validation_id=",
    ),
    ("delete from proofs where batch = 2 and digest = {5}", "validations", "id="),
    (
        "insert into proofs (account_id, batch, received_at, digest, salt, number) select account_id, 2, clock_timestamp() + interval '3 s', digest, salt, 1000 from validations where digest = {4}; update validations set received_at = received_at - interval '1 h' where digest = {4}",
        "validations",
        "id=",
    ),
];

struct Office<'a> {
    kit: &'a Kit,
    ports: Ports,
    validators: Vec<AccountId>,
}

impl Office<'_> {
    async fn wait(&self, number: u64) -> Uuid {
        let request = Request { digest: digest(70, number), detail: None, again: false };
        match self.kit.ledger.await_validation(self.kit.account, &[request], &self.ports).await.unwrap()[0] {
            Asked::Waiting(waiting) => waiting.id,
            Asked::Accepted(accepted) => panic!("{accepted:?}"),
        }
    }

    async fn decide(&self, id: Uuid, validator: usize, choice: Choice) {
        let decided = self.kit.ledger.decide(id, self.validators[validator], choice, "vu", &SystemEntropy).await.unwrap();
        assert!(matches!(decided, Decided::Stands(_)), "{decided:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_to_what_validators_decided_is_found_and_named() {
    let kit = Kit::new(Mining::Instant).await;
    let mut validators = Vec::new();
    for name in ["one", "two"] {
        validators.push(kit.ledger.create_account(name, Role::Validator, name, [0; 32]).await.unwrap());
        kit.ledger.add_validator("partner", name).await.unwrap();
    }
    kit.ledger.require_approvals("partner", 2).await.unwrap();
    let office =
        Office { kit: &kit, ports: Ports { clock: Arc::new(SystemClock), entropy: Arc::new(SystemEntropy) }, validators };

    let accepted = office.wait(1).await;
    office.decide(accepted, 0, Choice::Approved).await;
    office.decide(accepted, 1, Choice::Approved).await;
    let batch = kit.sealer.seal_now().await.unwrap().expect("a batch");
    kit.until(batch, AnchorState::Final).await.unwrap();

    let refused = office.wait(2).await;
    office.decide(refused, 1, Choice::Refused).await;
    let halfway = office.wait(3).await;
    office.decide(halfway, 0, Choice::Approved).await;
    office.wait(4).await;
    let pooled = office.wait(5).await;
    office.decide(pooled, 0, Choice::Approved).await;
    office.decide(pooled, 1, Choice::Approved).await;
    let plain = Submission { account: kit.account, digest: digest(70, 6), detail: None };
    kit.intake.accept(vec![plain]).await.unwrap();
    // What a validator that left has decided stands.
    kit.ledger.remove_validator("partner", "two").await.unwrap();

    let clean = audit(&kit).await;
    assert_eq!(clean.findings, [], "a clean history");
    assert_eq!((clean.batches, clean.proofs, clean.validations), (2, 3, 5));

    save(&kit, TABLES).await;
    change(&kit, &["alter table decisions drop constraint decisions_digest_of_statement".into()]).await.unwrap();
    let mut missed = Vec::new();
    for (statement, table, key) in CHANGES {
        let mut text = (*statement).to_owned();
        for number in 1..=6 {
            text = text.replace(&format!("{{{number}}}"), &format!("'\\x{}'::bytea", digest(70, number)));
        }
        let statements: Vec<String> = text.split("; ").map(Into::into).collect();
        assert!(change(&kit, &statements).await.unwrap() > 0, "nothing was changed: {text}");
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
