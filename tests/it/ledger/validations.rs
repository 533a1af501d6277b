//! Documents that wait for validators: nothing enters the pool around them, and each decision takes place whole or not at all.

use std::collections::HashSet;
use std::sync::Arc;

use sceau::ledger::LedgerError;
use sceau::ledger::accounts::{AccountId, Role};
use sceau::ledger::intake::{IntakeError, Submission};
use sceau::ledger::validations::{Asked, Decided, Request, Rounds, State, Waiting};
use sceau::ports::SystemEntropy;
use sceau_verifier::decision::{self, Choice, Statement};
use sceau_verifier::{Digest, Salt, utc};
use tokio::task::JoinSet;

use super::office::{office, request};
use super::{account, digest};

#[tokio::test]
async fn the_last_approval_brings_the_document_into_the_pool() {
    let office = office(2, 3).await;
    let waiting = office.wait(1).await;
    assert!(waiting.fresh && waiting.state == State::Awaiting && (waiting.approvals, waiting.approvals_needed) == (0, 2));
    assert_eq!(office.batch_of(&waiting.digest).await, None, "waiting is no proof");
    let again = office.wait(1).await;
    assert_eq!(again, Waiting { fresh: false, ..waiting }, "submitting again changes nothing");

    let first = office.stands(waiting.id, 0, Choice::Approved).await;
    assert_eq!((first.state, first.approvals()), (State::Awaiting, 1));
    assert_eq!(office.batch_of(&waiting.digest).await, None, "one of two");
    assert!(office.batch_of(&first.decisions[0].digest).await.is_some(), "each decision is sealed from when it was made");

    let second = office.stands(waiting.id, 2, Choice::Approved).await;
    assert_eq!((second.state, second.approvals()), (State::Accepted, 2));
    let proof = office.ledger.proof(office.owner, &waiting.digest).await.unwrap().expect("a proof");
    assert_eq!(proof.salt, waiting.salt, "the salt is the one acknowledged");
    assert_eq!(proof.detail, request(1).detail.unwrap());
    assert_eq!(office.batch_of(&second.decisions[1].digest).await, Some(proof.batch), "one transaction, one batch");
    assert!(matches!(office.ask(request(1)).await, Asked::Accepted(accepted) if accepted.salt == waiting.salt));
    assert!(matches!(office.decide(waiting.id, 1, Choice::Refused).await, Decided::Settled(_)), "too late");

    for (decision, name) in second.decisions.iter().zip(["notary 0", "notary 2"]) {
        let statement = Statement::parse(&decision.statement).expect("canonical");
        assert_eq!(Digest::of(decision.statement.as_bytes()), decision.digest);
        assert_eq!((statement.document, statement.account.as_str()), (waiting.digest, "owner"));
        assert_eq!((statement.validator.as_str(), decision.validator_name.as_str()), (name, name));
        assert_eq!((statement.decision, statement.comment.as_str()), (Choice::Approved, "vu"));
        assert_eq!(statement.decided_at, u64::try_from(decision.decided_at.unix_timestamp()).unwrap());
        assert!(statement.decided_at <= utc::MAX);
        let sealed = office.ledger.proof(office.owner, &decision.digest).await.unwrap().expect("sealed");
        assert_eq!(sealed.salt, decision::salt(&decision.digest), "marked as a decision");
    }
}

#[tokio::test]
async fn one_refusal_refuses_and_only_a_new_round_opens_again() {
    let office = office(2, 2).await;
    let waiting = office.wait(1).await;
    office.stands(waiting.id, 0, Choice::Approved).await;
    let refused = office.stands(waiting.id, 1, Choice::Refused).await;
    assert_eq!(refused.state, State::Refused);
    assert!(refused.settled_at.is_some());
    assert_eq!(office.batch_of(&waiting.digest).await, None);
    assert!(office.batch_of(&refused.decisions[1].digest).await.is_some(), "the refusal is sealed");

    let same = office.wait(1).await;
    assert_eq!((same.id, same.state, same.fresh), (waiting.id, State::Refused, false), "refused stays refused");
    let past = office.submit(waiting.digest).await.expect_err("not around the refusal");
    assert!(matches!(past, IntakeError::Ledger(error) if matches!(*error, LedgerError::Held)));

    let Asked::Waiting(round) = office.ask(Request { again: true, ..request(1) }).await else { panic!("accepted") };
    assert!(round.fresh && round.id != waiting.id && round.approvals == 0, "old approvals do not count: {round:?}");
    let Asked::Waiting(still) = office.ask(Request { again: true, ..request(1) }).await else { panic!("accepted") };
    assert_eq!((still.id, still.fresh), (round.id, false), "one round at a time");
    for validator in [0, 1] {
        office.stands(round.id, validator, Choice::Approved).await;
    }
    assert!(office.batch_of(&waiting.digest).await.is_some());
    assert!(!office.submit(waiting.digest).await.expect("answered as it stands"), "not new");
}

#[tokio::test]
async fn nothing_goes_around_the_validators_and_neighbours_do_not_suffer() {
    let office = office(1, 1).await;
    let waiting = office.wait(1).await;
    let stranger = account(&office.ledger, "stranger").await;
    let (past, free, other) = tokio::join!(
        office.submit(waiting.digest),
        office.submit(digest(9, 2)),
        office.intake.accept(vec![Submission { account: stranger, digest: waiting.digest, detail: None }]),
    );
    assert!(matches!(past, Err(IntakeError::Ledger(error)) if matches!(*error, LedgerError::Held)));
    assert!(free.expect("accepted"), "another document of the same account, in the same commit");
    assert!(other.expect("accepted")[0].fresh, "a digest belongs to each account by itself");
    let before = office.ask(request(2)).await;
    assert!(matches!(before, Asked::Accepted(accepted) if !accepted.fresh), "what is a proof does not wait: {before:?}");
    assert_eq!(office.count("select count(*) from validations").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn decisions_at_once_are_put_in_order() {
    let office = Arc::new(office(3, 8).await);
    for number in 0..6 {
        let id = office.wait(number).await.id;
        let mut tasks = JoinSet::new();
        for n in 0..16 {
            let office = Arc::clone(&office);
            // Each of eight twice; in odd rounds one of them refuses.
            let choice = if number % 2 == 1 && n % 8 == 5 { Choice::Refused } else { Choice::Approved };
            tasks.spawn(async move { office.decide(id, n % 8, choice).await });
        }
        let outcomes = tasks.join_all().await;
        assert!(outcomes.iter().all(|outcome| matches!(outcome, Decided::Stands(_) | Decided::Settled(_))), "{outcomes:?}");
        let validation = office.ledger.validation(id, office.owner).await.unwrap().expect("there");
        let by: HashSet<AccountId> = validation.decisions.iter().map(|decision| decision.validator).collect();
        assert_eq!(by.len(), validation.decisions.len(), "one decision a validator");
        let refused = validation.decisions.iter().any(|decision| decision.choice == Choice::Refused);
        let accepted = office.batch_of(&digest(9, number)).await.is_some();
        assert_eq!((refused, accepted), (validation.state == State::Refused, validation.state == State::Accepted));
        assert!(if accepted { validation.approvals() == 3 } else { validation.approvals() < 3 }, "{validation:?}");
        for decision in &validation.decisions {
            assert!(office.batch_of(&decision.digest).await.is_some(), "what stands is sealed");
        }
    }
    let decisions = office.count("select count(*) from decisions").await;
    let accepted = office.count("select count(*) from validations where state = 'accepted'").await;
    assert_eq!(office.count("select count(*) from proofs").await, decisions + accepted, "and nothing else");
}

#[tokio::test]
async fn a_decision_takes_place_whole_or_not_at_all() {
    let office = office(1, 1).await;
    let waiting = office.wait(1).await;
    // The last write of the transaction fails: the document's own way into the pool.
    for statement in [
        "create function fail() returns trigger language plpgsql as $$ begin raise exception 'planned'; end $$",
        "create trigger fail before insert on proof_details for each row execute function fail()",
    ] {
        sqlx::query(statement).execute(&office.database.pool).await.unwrap();
    }
    let by = office.validators[0];
    let failed = office.ledger.decide(waiting.id, by, Choice::Approved, "", &SystemEntropy).await;
    assert!(matches!(failed, Err(LedgerError::Database(_))), "{failed:?}");
    let validation = office.ledger.validation(waiting.id, office.owner).await.unwrap().expect("there");
    assert!(validation.state == State::Awaiting && validation.decisions.is_empty(), "{validation:?}");
    assert_eq!(office.count("select count(*) from proofs").await, 0);
    sqlx::query("drop trigger fail on proof_details").execute(&office.database.pool).await.unwrap();

    let made = office.stands(waiting.id, 0, Choice::Approved).await;
    let repeated = office.stands(waiting.id, 0, Choice::Approved).await;
    assert_eq!(made.decisions[0].statement, repeated.decisions[0].statement, "an answer that was lost is given again");
    assert!(matches!(office.decide(waiting.id, 0, Choice::Refused).await, Decided::Differs(_)), "the first word stands");
    assert_eq!(office.count("select count(*) from proofs").await, 2);
}

#[tokio::test]
async fn strangers_and_former_validators_see_and_decide_nothing() {
    let office = office(1, 2).await;
    let waiting = office.wait(1).await;
    let other = office.ledger.create_account("other notary", Role::Validator, "ck_other", [0; 32]).await.unwrap();
    office.ledger.remove_validator("owner", "notary 1").await.unwrap();
    for viewer in [other, office.validators[1], account(&office.ledger, "partner").await] {
        assert!(office.ledger.validation(waiting.id, viewer).await.unwrap().is_none());
        assert!(office.ledger.waiting_for(viewer, None, 10).await.unwrap().is_empty());
        let decided = office.ledger.decide(waiting.id, viewer, Choice::Approved, "", &SystemEntropy).await.unwrap();
        assert!(matches!(decided, Decided::Unknown), "{decided:?}");
    }
    let own = office.ledger.decide(waiting.id, office.owner, Choice::Approved, "", &SystemEntropy).await.unwrap();
    assert!(matches!(own, Decided::Unknown), "nobody approves for himself");
    assert!(office.ledger.validation(waiting.id, office.owner).await.unwrap().is_some());
    assert_eq!(office.count("select count(*) from decisions").await, 0);

    for (account, validator) in [
        ("owner", "owner"),
        ("owner", "partner"),
        ("owner", "nobody"),
        ("nobody", "notary 0"),
        ("owner", "notary 0"),
        ("other notary", "other notary"),
    ] {
        let refused = office.ledger.add_validator(account, validator).await;
        assert!(matches!(refused, Err(LedgerError::Moved { .. })), "{account} {validator}: {refused:?}");
    }
    office.ledger.add_validator("owner", "notary 1").await.expect("it may come back");
    office.stands(waiting.id, 1, Choice::Approved).await;
}

#[tokio::test]
async fn who_has_too_few_validators_cannot_wait_for_them() {
    let office = office(2, 1).await;
    let refused = office.ledger.await_validation(office.owner, &[request(1)], &office.ports).await;
    assert!(matches!(refused, Err(LedgerError::TooFewValidators)), "{refused:?}");
    assert_eq!(office.count("select count(*) from validations").await, 0);
    assert!(office.submit(digest(9, 1)).await.expect("accepted"), "nothing waits");
    assert!(matches!(office.ask(request(1)).await, Asked::Accepted(_)), "what is a proof needs nobody");
    for count in [0, 11] {
        assert!(office.ledger.require_approvals("owner", count).await.is_err(), "{count}");
    }
}

/// One transaction: lost after its commit it is found by what was drawn for it, refused it leaves nothing.
#[tokio::test]
async fn both_kinds_at_once_are_stored_whole_and_answered_the_same_again() {
    let office = office(1, 1).await;
    let direct = |numbers: &[u64]| -> (Vec<Submission>, Vec<Salt>) {
        let item = |number: &u64| Submission { account: office.owner, digest: digest(9, *number), detail: None };
        numbers.iter().map(|number| (item(number), Salt::from([*number as u8; 16]))).unzip()
    };
    let requests = [request(1), request(2)];
    let rounds = Rounds::draw(&requests, &office.ports);
    let (items, salts) = direct(&[3, 4]);
    let first = office.ledger.await_and_accept(office.owner, &rounds, &items, &salts).await.expect("stored");
    assert!(first.0.iter().all(|asked| matches!(asked, Asked::Waiting(waiting) if waiting.fresh)), "{first:?}");
    assert!(first.1.iter().all(|accepted| accepted.fresh), "{first:?}");
    assert_eq!(office.ledger.await_and_accept(office.owner, &rounds, &items, &salts).await.expect("stored"), first);
    // What waits is not accepted beside something else that is to wait.
    let requests = [request(5)];
    let rounds = Rounds::draw(&requests, &office.ports);
    let (items, salts) = direct(&[6, 1]);
    let held = office.ledger.await_and_accept(office.owner, &rounds, &items, &salts).await;
    assert!(matches!(held, Err(LedgerError::Held)), "{held:?}");
    office.ledger.require_approvals("owner", 2).await.unwrap();
    let (items, salts) = direct(&[6]);
    let few = office.ledger.await_and_accept(office.owner, &rounds, &items, &salts).await;
    assert!(matches!(few, Err(LedgerError::TooFewValidators)), "{few:?}");
    assert_eq!(office.count("select (select count(*) from validations) * 10 + (select count(*) from proofs)").await, 22);
}

#[tokio::test]
async fn a_validators_list_is_paged_and_holds_what_waits_for_it() {
    let office = office(2, 2).await;
    let items: Vec<Request> = (0..7).map(request).collect();
    office.ledger.await_validation(office.owner, &items, &office.ports).await.expect("stored");
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = office.ledger.waiting_for(office.validators[0], after, 3).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.id);
        seen.extend(page.iter().map(|validation| (validation.id, validation.digest)));
    }
    assert_eq!(seen.len(), 7);
    assert_eq!(seen.iter().map(|(_, digest)| *digest).collect::<HashSet<_>>().len(), 7);
    office.stands(seen[0].0, 0, Choice::Approved).await;
    office.stands(seen[1].0, 1, Choice::Refused).await;
    let mine = office.ledger.waiting_for(office.validators[0], None, 10).await.unwrap();
    assert_eq!(mine.len(), 5, "neither what I decided nor what is settled");
    assert_eq!(office.ledger.waiting_for(office.validators[1], None, 10).await.unwrap().len(), 6);
}

/// Direct submissions and requests to wait for the same digests, at once: what was acknowledged as waiting before a direct
/// submission began is never accepted by it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn racing_submissions_keep_what_was_acknowledged() {
    let office = Arc::new(office(1, 1).await);
    let mut tasks = JoinSet::new();
    for number in 0..40 {
        let office = Arc::clone(&office);
        tasks.spawn(async move {
            if number >= 30 {
                // Acknowledged first: none of those that come later gets past it.
                let waiting = office.ask(request(number)).await;
                let late = (0..4).map(|_| office.submit(digest(9, number)));
                assert!(futures_util::future::join_all(late).await.iter().all(Result::is_err), "{waiting:?}");
                return waiting;
            }
            let waiting = office.ask(request(number));
            let direct = office.submit(digest(9, number));
            let (waiting, direct) = tokio::join!(waiting, direct);
            let after = office.submit(digest(9, number)).await;
            if direct.is_ok() {
                assert!(!after.expect("it is a proof"), "a proof stays one");
            } else {
                assert!(after.is_err(), "it waits");
            }
            waiting
        });
    }
    for asked in tasks.join_all().await {
        if let Asked::Waiting(waiting) = asked {
            assert_eq!(office.stands(waiting.id, 0, Choice::Approved).await.state, State::Accepted);
            assert!(office.batch_of(&waiting.digest).await.is_some());
        }
    }
}

#[tokio::test]
async fn what_a_transaction_has_just_accepted_does_not_open_the_way_around() {
    let office = office(1, 1).await;
    let waiting = office.wait(1).await;
    // However the planner orders the two calls of one statement.
    let mut transaction = office.database.pool.begin().await.unwrap();
    let call = |statement: &'static str| {
        sqlx::query(statement).bind(office.owner.0).bind(waiting.digest.as_ref().to_vec()).bind([7_u8; 16].as_slice())
    };
    call("select accept_proofs(array[$1], array[$2], array[$3], null)").execute(&mut *transaction).await.unwrap();
    let refused = call("select refuse_held(array[$1], array[$2]), $3::bytea").execute(&mut *transaction).await.unwrap_err();
    assert_eq!(refused.as_database_error().and_then(|error| error.code()).as_deref(), Some("SC001"), "{refused}");
    drop(transaction);
    assert!(matches!(office.submit(waiting.digest).await, Err(IntakeError::Ledger(_))));
    // A proof of before is one, whatever became of it with validators.
    office.stands(waiting.id, 0, Choice::Approved).await;
    assert!(!office.submit(waiting.digest).await.expect("answered"));
}
