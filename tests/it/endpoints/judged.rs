//! Several endpoints, some of which are not to be believed.

use sceau::chain::ChainError;
use sceau::ledger::anchors::AnchorState;
use sceau::pipeline::StepError;
use sceau::pipeline::anchoring::Anchoring;

use super::bench::Bench;
use crate::support::rpc::{Fault, Rule};
use crate::support::service::lasting_port;

/// Endpoints that operators see set aside, and why.
async fn asides(bench: &Bench) -> Vec<(u32, String)> {
    bench.ledger.asides().await.expect("asides").into_iter().map(|aside| (aside.endpoint, aside.why)).collect()
}

/// One batch, from seal to final.
async fn one_more(bench: &mut Bench, anchoring: &Anchoring) {
    let before = bench.transactions().await;
    let batch = bench.seal().await;
    bench.until_final(anchoring, batch).await.unwrap();
    assert_eq!(bench.transactions().await, before + 1);
}

/// Steps until nobody is set aside.
async fn until_nobody_is_aside(bench: &Bench, anchoring: &Anchoring) {
    for _ in 0..500 {
        // With nothing to do it looks all the same, for what is final.
        let _ = bench.settle(anchoring).await;
        if asides(bench).await.is_empty() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("still aside: {:?}", asides(bench).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_bad_endpoint_is_named_and_the_others_serve() {
    let mut bench = Bench::new(3).await;
    // Deep enough for an endpoint to be behind and still have what was final.
    bench.policy.depth = Some(10);
    let anchoring = bench.start(3, 2).await.unwrap();
    one_more(&mut bench, &anchoring).await;
    assert_eq!(asides(&bench).await, []);
    let bad = [
        (Fault::OtherChain, "serves chain 1"),
        (Fault::Foreign, "that was final"),
        (Fault::Stale(50), "does not have block"),
        (Fault::Stale(9), "is behind"),
        (Fault::Unavailable, "503"),
        (Fault::TooMany, "429"),
        (Fault::Reset, "endpoint unreachable"),
        (Fault::Hold, "no answer"),
        (Fault::Garbage, "nonsense"),
        (Fault::WrongId, "another request"),
    ];
    for (place, (fault, because)) in bad.into_iter().enumerate() {
        let endpoint = place % 3;
        bench.proxies[endpoint].arm(Rule::always(fault));
        one_more(&mut bench, &anchoring).await;
        let told = asides(&bench).await;
        assert!(
            matches!(&told[..], [(number, why)] if *number as usize == endpoint + 1 && why.contains(because)),
            "{fault:?}: {told:?}"
        );
        bench.proxies[endpoint].disarm();
        until_nobody_is_aside(&bench, &anchoring).await;
    }
    bench.audit().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn endpoints_that_all_serve_another_chain_halt() {
    let mut bench = Bench::new(2).await;
    bench.proxies.iter().for_each(|proxy| proxy.arm(Rule::always(Fault::OtherChain)));
    match bench.start(2, 1).await {
        Err(StepError::Halt(why)) => assert!(why.contains("serves another chain: 1"), "{why}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(asides(&bench).await.len(), 2, "both are named");
}

/// Who does not answer in time cannot disagree, and the other is believed alone: on a machine that stood still there is nothing to see.
#[tokio::test(flavor = "multi_thread")]
async fn two_that_disagree_are_both_not_believed() {
    for _ in 0..3 {
        if two_disagree().await {
            return;
        }
    }
    panic!("each time one of two did not answer in time");
}

/// `false` when an endpoint was too slow.
async fn two_disagree() -> bool {
    let mut bench = Bench::new(2).await;
    let anchoring = bench.start(2, 1).await.unwrap();
    let batch = bench.seal().await;
    bench.settle(&anchoring).await.unwrap();
    bench.anvil.mine(1).await.unwrap();
    // Nothing is final yet that could tell them apart.
    bench.proxies[1].arm(Rule::always(Fault::Foreign));
    bench.run("delete from finality").await;
    let mut seen = Vec::new();
    for _ in 0..6 {
        match bench.settle(&anchoring).await {
            Err(StepError::Chain(ChainError::Garbage(why))) | Err(StepError::Halt(why)) => seen.push(why),
            Ok(()) if asides(&bench).await.iter().any(|(_, why)| !why.contains("disagrees with others")) => return false,
            other => panic!("{other:?}"),
        }
        assert_eq!(bench.state(batch).await, AnchorState::Sent, "nothing is decided");
        bench.anvil.mine(1).await.unwrap();
    }
    assert!(seen.iter().all(|why| why.contains("disagree about block")), "{seen:?}");
    assert!(matches!(bench.settle(&anchoring).await, Err(StepError::Halt(_))), "it lasts: an operator is called");
    assert!(asides(&bench).await.iter().all(|(_, why)| why.contains("disagrees with others")));
    bench.proxies[1].disarm();
    bench.until_final(&anchoring, batch).await.unwrap();
    assert_eq!(asides(&bench).await, []);
    bench.audit().await.unwrap();
    true
}

#[tokio::test(flavor = "multi_thread")]
async fn two_of_three_outvote_the_third() {
    let mut bench = Bench::new(3).await;
    for liar in 0..3 {
        let anchoring = bench.start(3, 1).await.unwrap();
        bench.run("delete from finality").await;
        bench.proxies[liar].arm(Rule::always(Fault::Foreign));
        // The other chain is longer: its head alone makes nobody better.
        bench.other.mine(5).await.unwrap();
        one_more(&mut bench, &anchoring).await;
        let told = asides(&bench).await;
        assert_eq!((told.len(), told[0].0 as usize), (1, liar + 1), "{told:?}");
        bench.proxies[liar].disarm();
    }
    bench.audit().await.unwrap();
}

/// Whether a batch became final before its block was.
async fn too_early(bench: &mut Bench, liar: usize, quorum: usize) -> bool {
    bench.proxies[liar].arm(Rule::always(Fault::Final));
    let anchoring = bench.start(2, quorum).await.unwrap();
    let batch = bench.seal().await;
    let mut early = false;
    for _ in 0..2 {
        bench.settle(&anchoring).await.unwrap();
        early |= bench.check_finals().await.is_err();
        bench.anvil.mine(1).await.unwrap();
    }
    early |= bench.state(batch).await == AnchorState::Final;
    bench.proxies[liar].disarm();
    if !early {
        bench.until_final(&anchoring, batch).await.unwrap();
    }
    early
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quorum_keeps_a_liar_from_calling_blocks_final() {
    let mut bench = Bench::new(2).await;
    for liar in 0..2 {
        assert!(!too_early(&mut bench, liar, 2).await, "liar {liar}");
    }
    bench.audit().await.unwrap();
    // Control: without a quorum the same lie is believed, and the same check sees it.
    assert!(too_early(&mut bench, 0, 1).await, "without a quorum the lie goes unnoticed by this harness");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_changes_sides_within_a_step_does_no_harm() {
    let mut bench = Bench::new(3).await;
    for skip in (0..48).step_by(3) {
        let anchoring = bench.start(3, 2).await.unwrap();
        let before = bench.transactions().await;
        let batch = bench.seal().await;
        let rule = Rule { skip, ..Rule::always(Fault::Foreign) };
        bench.proxies[(skip / 3) as usize % 3].arm(rule);
        for _ in 0..40 {
            let done = bench.settle(&anchoring).await;
            assert!(!matches!(done, Err(StepError::Halt(_))), "after {skip} calls: {done:?}");
            bench.check_finals().await.unwrap_or_else(|what| panic!("after {skip} calls: {what}"));
            if bench.state(batch).await == AnchorState::Final {
                break;
            }
            bench.anvil.mine(1).await.unwrap();
        }
        assert_eq!(bench.state(batch).await, AnchorState::Final, "after {skip} calls");
        assert_eq!(bench.transactions().await, before + 1, "after {skip} calls");
        bench.proxies.iter().for_each(|proxy| proxy.disarm());
    }
    bench.audit().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_halt_that_one_endpoint_alone_asks_for_is_held_against_it() {
    let mut bench = Bench::new(2).await;
    bench.first_pause = std::time::Duration::from_secs(2);
    let anchoring = bench.start(2, 1).await.unwrap();
    one_more(&mut bench, &anchoring).await;
    // It lies about the registry only: in the other chain it has no batch, so one that is final here seems to be missing.
    bench.proxies[0].arm(Rule { method: Some("eth_call".into()), ..Rule::always(Fault::Foreign) });
    one_more(&mut bench, &anchoring).await;
    let told = asides(&bench).await;
    assert!(matches!(&told[..], [(1, why)] if why.contains("contradicted by the others")), "{told:?}");
    // What all of them say is a halt.
    bench.proxies.iter().for_each(|proxy| proxy.arm(Rule { method: Some("eth_call".into()), ..Rule::always(Fault::Foreign) }));
    bench.seal().await;
    match bench.settle(&anchoring).await {
        Err(StepError::Halt(why)) => assert!(why.contains("the registry waits for batch"), "{why}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn transactions_go_to_every_endpoint() {
    let mut bench = Bench::new(3).await;
    let anchoring = bench.start(3, 1).await.unwrap();
    // The endpoint that is looked through takes no transactions, and says nothing about it.
    bench.proxies[0].arm(Rule { method: Some("eth_sendRawTransaction".into()), ..Rule::always(Fault::DropBefore) });
    bench.proxies.iter().for_each(|proxy| drop(proxy.heard()));
    let batch = bench.seal().await;
    bench.settle(&anchoring).await.unwrap();
    bench.anvil.mine(1).await.unwrap();
    bench.settle(&anchoring).await.unwrap();
    assert_eq!(bench.state(batch).await, AnchorState::Included, "the others had it");
    for (number, proxy) in bench.proxies.iter().enumerate() {
        let mut heard = false;
        for _ in 0..500 {
            heard |= proxy.heard().contains_key("eth_sendRawTransaction");
            if heard {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        assert!(heard, "endpoint {number} was told");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn several_endpoints_come_from_the_settings() {
    use figment::providers::{Format, Toml};
    let mut bench = Bench::new(2).await;
    let text = format!(
        "rpc_urls = [\"http://127.0.0.1:{}\", {:?}, {:?}]\nquorum = 2\nmax_lag = 3\ntimeout = 2\nchain_id = 31337\nregistry = \"{}\"\n\
         signer = {{ env = \"KEY\" }}\n",
        lasting_port(),
        bench.proxies[0].url,
        bench.proxies[1].url,
        bench.target.registry
    );
    let target: sceau::config::Target = figment::Figment::from(Toml::string(&text)).extract().unwrap();
    let entropy: std::sync::Arc<dyn sceau::ports::Entropy> = std::sync::Arc::new(sceau::ports::SystemEntropy);
    let way = sceau::app::Way::of(&target, &entropy).unwrap();
    assert_eq!(*way.chain().await.unwrap().target(), bench.target);
    let sceau::app::Way::Several(endpoints) = way else { panic!("several endpoints") };
    let (ledger, wallet) = (bench.ledger.clone(), std::sync::Arc::clone(&bench.wallet));
    let anchoring = Anchoring::connect_several(ledger, endpoints, wallet, bench.policy, uuid::Uuid::from_u128(99)).await.unwrap();
    one_more(&mut bench, &anchoring).await;
    let told = asides(&bench).await;
    assert!(matches!(&told[..], [(1, why)] if why.contains("unreachable")), "{told:?}");
    bench.audit().await.unwrap();
}
