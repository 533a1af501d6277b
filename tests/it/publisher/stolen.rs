//! Somebody else has the publisher's key.

use alloy::primitives::B256;
use sceau::chain::{Chain, registry};
use sceau::dev::anvil::Mining;
use sceau::ledger::anchors::AnchorState;
use serde_json::json;

use super::{clean, eager, halted, place, run, settings, until_final};
use crate::pipeline::kit::{Fault, Flaky, Kit, OTHER_KEY};

/// The thief sends something with the publisher's key.
async fn steal(kit: &Kit, input: &alloy::primitives::Bytes) {
    let from = kit.wallet.account();
    let to = if input.is_empty() { from } else { kit.chain.target().registry };
    kit.anvil.rpc("eth_sendTransaction", json!([{ "from": from, "to": to, "input": input }])).await.unwrap();
    kit.anvil.mine(1).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stolen_key_is_revoked_and_replaced() {
    let mut kit = Kit::new(Mining::Instant).await;
    let (first, _) = kit.seal(0, 2).await;
    kit.until(first, AnchorState::Final).await.unwrap();
    let place = place(&kit);
    // A batch is on its way when the thief takes its nonce, and more.
    kit.chain.faults.lock().unwrap().extend([Fault::Lost; 8]);
    let (second, _) = kit.seal(1, 2).await;
    kit.settle().await.unwrap();
    kit.chain.faults.lock().unwrap().clear();
    for _ in 0..3 {
        steal(&kit, &Default::default()).await;
    }
    halted(kit.settle().await, "used by a transaction that is not ours");
    let (third, _) = kit.seal(2, 2).await;

    run(&kit, &place, &["contract", "revoke-publisher", "--key-env", "OWNER"]).await.ends(0);
    run(&kit, &place, &["contract", "revoke-publisher", "--key-env", "OWNER"]).await.ends(1).says(&["revoked already"]);
    // From here on the thief can write nothing into the registry.
    let foreign = registry::anchor_call(2, B256::repeat_byte(7), 9);
    steal(&kit, &foreign).await;
    assert_eq!(kit.chain.last_number().await.unwrap(), 1);
    let status = run(&kit, &place, &["contract", "status"]).await;
    assert!(status.ends(0).stdout.contains("none: revoked"), "{}", status.stdout);

    kit.restart_with(OTHER_KEY, eager()).await.unwrap();
    halted(kit.settle().await, "not ours");
    run(&kit, &place, &["contract", "set-publisher", "--key-env", "OWNER", "--new-key-env", "NEXT"]).await.ends(0);
    until_final(&kit, third).await;
    assert_eq!(kit.state(second).await, AnchorState::Final);
    assert_eq!(kit.chain.last_number().await.unwrap(), 3);
    clean(&kit).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_foreign_root_another_registry_goes_on_at_the_missing_number() {
    let mut kit = Kit::new(Mining::Instant).await;
    let (first, _) = kit.seal(0, 2).await;
    kit.until(first, AnchorState::Final).await.unwrap();
    let place = place(&kit);
    steal(&kit, &registry::anchor_call(2, B256::repeat_byte(7), 9)).await;
    let (second, _) = kit.seal(1, 2).await;
    halted(kit.settle().await, "already holds a batch 2 with another root");
    run(&kit, &place, &["contract", "revoke-publisher", "--key-env", "OWNER"]).await.ends(0);

    let next = sceau::chain::signer::LocalWallet::from_hex(&OTHER_KEY.into()).unwrap().account().to_string();
    let url = kit.anvil.url.clone();
    let deploy = ["contract", "deploy", "--rpc-url", &url, "--chain-id", "31337", "--key-env", "OWNER"];
    let more = ["--publisher", &next, "--first-number", "2", "--json"];
    let deployed = run(&kit, &place, &[&deploy[..], &more].concat()).await;
    let address: String = deployed.ends(0).json()[0]["registry"].as_str().expect("an address").into();
    kit.chain = Flaky::at(&url, address.parse().unwrap());
    kit.restart_with(OTHER_KEY, eager()).await.unwrap();
    place.file("sceau.toml", settings(&kit));

    let (third, _) = kit.seal(2, 2).await;
    for _ in 0..60 {
        kit.settle().await.unwrap();
        kit.anvil.mine(1).await.unwrap();
    }
    for batch in [second, third] {
        let anchors = kit.ledger.anchors(batch).await.unwrap();
        let here = anchors.iter().find(|anchor| kit.chain.target().registry == anchor.registry).expect("an anchor");
        assert_eq!(here.state, AnchorState::Final, "batch {batch}");
    }
    assert_eq!(kit.chain.first_number().await.unwrap(), 2);
    assert_eq!(kit.chain.last_number().await.unwrap(), 3);
    let status = run(&kit, &place, &["contract", "status", "--json"]).await;
    assert_eq!(status.ends(0).json()[0]["first_number"], 2);
    clean(&kit).await;
}
