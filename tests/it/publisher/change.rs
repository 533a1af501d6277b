//! The publisher is replaced while batches are sealed.

use sceau::chain::Chain;
use sceau::chain::administer::{self, Act};
use sceau::chain::evm::Evm;
use sceau::chain::signer::LocalWallet;
use sceau::dev::anvil::Mining;
use sceau::ledger::anchors::AnchorState;
use sceau::ledger::anchors::calls::Call;

use super::{clean, eager, halted, place, run, until_final};
use crate::pipeline::kit::{Fault, KEY, Kit, OTHER_KEY, OWNER_KEY};

const OWNER: &[&str] = &["--key-env", "OWNER"];

fn with<'a>(base: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    [base, more].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_planned_change_leaves_no_hole() {
    let mut kit = Kit::new(Mining::Instant).await;
    let old = kit.wallet.account();
    let (first, _) = kit.seal(0, 2).await;
    kit.until(first, AnchorState::Final).await.unwrap();
    let place = place(&kit);

    // The last batch of the old key is on its way, and gets lost.
    kit.chain.faults.lock().unwrap().extend([Fault::Lost; 8]);
    let (second, _) = kit.seal(1, 3).await;
    kit.settle().await.unwrap();
    assert_eq!(kit.state(second).await, AnchorState::Sent);
    kit.chain.faults.lock().unwrap().clear();

    let next = LocalWallet::from_hex(&OTHER_KEY.into()).unwrap().account().to_string();
    let set = ["contract", "set-publisher", "--publisher", &next];
    let shown = run(&kit, &place, &with(&with(&set, OWNER), &["--dry-run"])).await;
    shown.ends(0);
    assert!(shown.stdout.contains("Nothing was sent") && shown.stdout.contains(&next), "{}", shown.stdout);
    let status = run(&kit, &place, &["contract", "status", "--json"]).await;
    assert!(status.ends(0).json()[0]["pending_publisher"].is_null(), "a dry run changes nothing");
    let accept = ["contract", "accept-publisher"];
    run(&kit, &place, &accept).await.ends(1).briefly().says(&["nobody is proposed"]);
    run(&kit, &place, &with(&with(&set, OWNER), &["--json"])).await.ends(0);
    run(&kit, &place, &with(&set, OWNER)).await.ends(1).briefly().says(&["proposed already", "accept-publisher"]);

    // All instances are restarted with the new key: they sign nothing yet, and see the old key's batches through.
    kit.restart_with(OTHER_KEY, eager()).await.unwrap();
    let (third, _) = kit.seal(2, 4).await;
    halted(kit.settle().await, "the registry's publisher is");
    assert_eq!(kit.state(third).await, AnchorState::Planned);
    // Taking over now would leave the old key's batch to be refused.
    run(&kit, &place, &with(&accept, &["--dry-run"])).await.ends(1).briefly().says(&["1 anchors", "not final yet"]);
    let told = with(&accept, &["--json"]);
    let (accepted, ()) = tokio::join!(run(&kit, &place, &told), until_final(&kit, second));
    let accepted = &accepted.ends(0).json()[0];
    assert_eq!((accepted["publisher"].as_str(), accepted["final"].as_bool()), (Some(&*next.to_lowercase()), Some(true)));

    let calls: i64 = sqlx::query_scalar("select count(*) from calls").fetch_one(&kit.database.pool).await.unwrap();
    assert_eq!(calls, 1, "the new key's nonces are the database's from its first transaction on");

    until_final(&kit, third).await;
    let by = async |batch: u64| {
        let sql = "select encode(l.signer, 'hex') from anchors a join lanes l on l.id = a.lane_id where a.batch = $1";
        sqlx::query_scalar::<_, String>(sql).bind(batch as i64).fetch_one(&kit.database.pool).await.unwrap()
    };
    assert_eq!(format!("0x{}", by(second).await), old.to_string().to_lowercase());
    assert_eq!(format!("0x{}", by(third).await), next.to_lowercase());
    assert_eq!(kit.chain.last_number().await.unwrap(), 3);
    clean(&kit).await;
    let status = run(&kit, &place, &["contract", "status"]).await;
    assert!(status.ends(0).stdout.contains(&next) && status.stdout.contains("last batch   3"), "{}", status.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_replaced_publisher_signed_is_signed_anew() {
    let mut kit = Kit::new(Mining::Instant).await;
    let (first, _) = kit.seal(0, 2).await;
    kit.until(first, AnchorState::Final).await.unwrap();
    let place = place(&kit);
    // Nobody waits: the old key's transactions arrive after the change, and are refused by the registry.
    kit.chain.faults.lock().unwrap().extend([Fault::Lost; 8]);
    let (second, _) = kit.seal(1, 2).await;
    let (third, _) = kit.seal(2, 2).await;
    kit.settle().await.unwrap();
    kit.chain.faults.lock().unwrap().clear();
    assert_eq!((kit.state(second).await, kit.state(third).await), (AnchorState::Sent, AnchorState::Sent));
    let url = kit.anvil.url.clone();
    let registry = kit.chain.target().registry.to_string();
    // Without the settings no database is known, so nothing is waited for.
    let bare = ["--rpc-url", &url, "--chain-id", "31337", "--registry", &registry];
    let run_bare = run(&kit, &place, &with(&with(&["contract", "set-publisher", "--new-key-env", "NEXT"], OWNER), &bare)).await;
    run_bare.ends(0).says(&["no database is given"]);
    let stale = kit.chain.sent.lock().unwrap().clone();
    for raw in &stale {
        let _ = kit.chain.send(raw).await;
    }
    kit.anvil.mine(1).await.unwrap();
    halted(kit.settle().await, "reverted");
    kit.restart_with(OTHER_KEY, eager()).await.unwrap();
    until_final(&kit, third).await;
    assert_eq!(kit.state(second).await, AnchorState::Final);
    let retired: i64 = sqlx::query_scalar("select count(*) from attempts where retired_lane is not null")
        .fetch_one(&kit.database.pool)
        .await
        .unwrap();
    assert_eq!(retired, 2, "what was given up stays on record");
    clean(&kit).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_that_also_publishes_takes_its_nonces_from_the_database() {
    let kit = Kit::owned_by(Mining::Instant, KEY).await;
    let (first, _) = kit.seal(0, 2).await;
    kit.until(first, AnchorState::Final).await.unwrap();
    let place = place(&kit);
    let next = LocalWallet::from_hex(&OTHER_KEY.into()).unwrap().account().to_string();
    let propose = ["contract", "set-publisher", "--publisher", &next, "--key-env", "FIRST"];
    run(&kit, &place, &propose).await.ends(0);
    let withdraw = ["contract", "set-publisher", "--withdraw", "--key-env", "FIRST"];
    run(&kit, &place, &withdraw).await.ends(0);
    let (second, _) = kit.seal(1, 2).await;
    kit.until(second, AnchorState::Final).await.unwrap();
    clean(&kit).await;

    // A command that died between storing and sending: its nonce is taken, so what it stored goes first.
    let broken = run(&kit, &place, &with(&propose, &["--timeout", "0", "--json"])).await;
    broken.ends(1);
    run(&kit, &place, &withdraw).await.ends(0);
    let (third, _) = kit.seal(2, 2).await;
    kit.until(third, AnchorState::Final).await.unwrap();
    clean(&kit).await;
    // One that died before it sent, and nobody calls it again: the anchors behind its nonce would wait for ever.
    let (from, evm) = (kit.wallet.account(), Evm::connect(&kit.anvil.url, kit.chain.target().clone()).unwrap());
    let (lane, nonce) = kit.ledger.known_lane(31337, &from.into()).await.unwrap().expect("a lane");
    let act = Act::ProposePublisher(Some(next.parse().unwrap()));
    let draft = administer::draft(&evm, &act, from, nonce, u128::MAX).await.unwrap();
    let signed = kit.wallet.sign_eip1559(&draft).await.unwrap();
    let call = Call { nonce, tx_hash: signed.hash.into(), raw: signed.raw.to_vec() };
    kit.ledger.store_call(lane, &call, "a test").await.unwrap();
    let (fourth, _) = kit.seal(3, 2).await;
    kit.until(fourth, AnchorState::Final).await.unwrap();
    assert!(act.is_done(&evm.roles().await.unwrap(), from));
    clean(&kit).await;

    sqlx::query("update calls set nonce = nonce + 40").execute(&kit.database.pool).await.unwrap();
    assert!(!super::audited(&kit).await.is_clean(), "a changed row is found");
}

#[tokio::test(flavor = "multi_thread")]
async fn nonsense_is_refused_in_one_sentence() {
    let kit = Kit::new(Mining::Instant).await;
    let place = place(&kit);
    let publisher = kit.wallet.account().to_string();
    let owner = LocalWallet::from_hex(&OWNER_KEY.into()).unwrap().account().to_string();
    let zero = format!("0x{}", "00".repeat(20));
    let nobody = format!("0x{}", "11".repeat(20));
    for (arguments, status, says) in [
        (with(&["set-publisher", "--publisher", &publisher], OWNER), 1, "is the publisher already"),
        (with(&["set-publisher", "--publisher", &zero], OWNER), 1, "can never accept"),
        (vec!["set-publisher", "--publisher", &nobody, "--key-env", "NEXT"], 1, "is not the registry's owner"),
        (with(&["set-publisher", "--withdraw"], OWNER), 1, "nothing to withdraw"),
        (
            with(&["set-publisher", "--publisher", &nobody, "--new-key-env", "NEXT"], OWNER),
            2,
            "the new publisher's key is that of",
        ),
        (with(&["set-publisher"], OWNER), 2, "say who is to anchor"),
        (vec!["set-publisher", "--publisher", &nobody], 2, "give --key-file"),
        (vec!["revoke-publisher", "--key-env", "NEXT"], 1, "is not the registry's owner"),
        (with(&["transfer-ownership", "--owner", &owner], OWNER), 1, "is the owner already"),
        (vec!["accept-ownership", "--key-env", "NEXT"], 1, "nobody is proposed as owner"),
        (vec!["status", "--chain-id", "5"], 2, "no such target"),
        (
            vec!["status", "--rpc-url", &kit.anvil.url, "--chain-id", "5", "--registry", &publisher],
            1,
            "endpoint serves chain 31337, configured is 5",
        ),
        (
            vec!["status", "--rpc-url", &kit.anvil.url, "--chain-id", "31337", "--registry", &publisher],
            1,
            "no contract at the registry's address",
        ),
    ] {
        let run = place.run(&with(&["contract"], &arguments));
        assert!(!run.stdout.contains("Nothing was sent"), "{arguments:?}");
        run.ends(status).briefly().says(&[says]);
    }
    // Ownership, for real.
    let next = LocalWallet::from_hex(&OTHER_KEY.into()).unwrap().account().to_string();
    run(&kit, &place, &with(&["contract", "transfer-ownership", "--owner", &next], OWNER)).await.ends(0);
    run(&kit, &place, &["contract", "accept-ownership", "--key-env", "NEXT", "--json"]).await.ends(0);
    let status = run(&kit, &place, &["contract", "status", "--json"]).await;
    let status = &status.ends(0).json()[0];
    assert_eq!(status["owner"].as_str(), Some(&*next.to_lowercase()));
    assert_eq!(status["last_number"], 0);
}
