//! Receipts: not too early, never one that does not verify.

use std::sync::Arc;
use std::time::Duration;

use reqwest::StatusCode;
use sceau::api::receipt::Known;
use sceau::ledger::anchors::Place;
use sceau::ledger::batches::{Batch, SealedBatch};
use sceau::ledger::leases::Lease;
use sceau::ledger::targets::{NewTarget, TargetId};
use sceau_verifier::registry::Statement;
use sceau_verifier::{Address, Digest, Evidence, Trust, Verdict, receipt, verify};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::api::evidence;
use crate::api::kit::{Service, digest, problem, service, start};

pub const REGISTRY: [u8; 20] = [0x5a; 20];
pub const BLOCK_TIME: u64 = 1_790_000_000;

pub async fn target(service: &Service, chain_id: u64, registry: [u8; 20]) -> TargetId {
    service.ledger.pin_target(&NewTarget { chain_id, registry, first_number: 1, code_hash: [1; 32] }).await.unwrap()
}

async fn lease(service: &Service) -> Lease {
    service.ledger.lease("publish", Uuid::from_u128(2), Duration::from_secs(60)).await.unwrap().unwrap()
}

async fn sealed(service: &Service, number: u64) -> SealedBatch {
    let Some(Batch::Sealed(batch)) = service.ledger.batch(number).await.unwrap() else { panic!("batch {number} is not sealed") };
    batch
}

pub async fn include(service: &Service, target: TargetId, batch: u64, chain_id: u64, registry: [u8; 20]) -> (Place, Evidence) {
    let sealed = sealed(service, batch).await;
    let statement = Statement { root: sealed.root.into(), size: sealed.size, number: batch };
    let (place, evidence) = evidence::anchored(&statement, chain_id, Address::from(registry), 12, BLOCK_TIME);
    service.ledger.include_anchor(&lease(service).await, target, batch, &place).await.unwrap();
    (place, evidence)
}

pub async fn finish(service: &Service, target: TargetId, batch: u64, (place, evidence): &(Place, Evidence)) {
    let text = serde_json::to_string(evidence).unwrap();
    service.ledger.finalize_anchor(&lease(service).await, target, batch, place, &text).await.unwrap();
}

fn path(digest: Digest) -> String {
    format!("/v1/proofs/{digest}/receipt")
}

#[tokio::test]
async fn the_life_of_a_receipt() {
    let service = service().await;
    let (_, token) = service.partner("a").await;
    let target = target(&service, 31_337, REGISTRY).await;
    service.submit(&token, &(0..5).map(digest).collect::<Vec<_>>()).await;

    let early = service.get(&path(digest(1)), &token).await;
    assert!((1..=60).contains(&early.headers()["retry-after"].to_str().unwrap().parse::<u64>().unwrap()));
    let early = problem(early, 409, "receipt_not_ready").await;
    assert_eq!(early["proof_status"], "pending");
    assert!(early["anchor_by"].is_string());
    let asked: Value = service.post("/v1/verify", &token, &json!({ "digest": digest(1) })).await.json().await.unwrap();
    assert_eq!(
        (&asked["verdict"], &asked["code"], &asked["status"]),
        (&"not_yet".into(), &"not_sealed".into(), &"pending".into())
    );

    let batch = service.seal().await;
    assert_eq!(problem(service.get(&path(digest(1)), &token).await, 409, "receipt_not_ready").await["proof_status"], "sealed");
    let asked: Value = service.post("/v1/verify", &token, &json!({ "digest": digest(1) })).await.json().await.unwrap();
    assert_eq!((&asked["verdict"], &asked["code"], &asked["receipt"]), (&"not_yet".into(), &"no_anchor".into(), &Value::Null));

    let anchored = include(&service, target, batch, 31_337, REGISTRY).await;
    let answer = service.get(&path(digest(1)), &token).await;
    assert_eq!((answer.status(), &answer.headers()["cache-control"]), (StatusCode::OK, &"no-store".parse().unwrap()));
    let open = receipt::parse(&answer.bytes().await.unwrap()).unwrap();
    assert_eq!(open.anchors.len(), 1);
    assert_eq!(open.anchors[0].evidence, None);
    problem(service.get(&format!("{}?final=true", path(digest(1))), &token).await, 409, "receipt_not_ready").await;
    let asked: Value = service.post("/v1/verify", &token, &json!({ "digest": digest(1) })).await.json().await.unwrap();
    assert_eq!((&asked["verdict"], &asked["code"]), (&"not_yet".into(), &"no_evidence".into()));

    finish(&service, target, batch, &anchored).await;
    let trust = Trust { block_hashes: [anchored.0.block_hash.into()].into(), registry: Some(REGISTRY.into()), chain: None };
    for number in 0..5 {
        let answer = service.get(&format!("{}?final=true", path(digest(number))), &token).await;
        assert_eq!(answer.status(), StatusCode::OK);
        let headers = answer.headers().clone();
        assert_eq!(headers["content-type"], "application/json");
        assert_eq!(headers["cache-control"], "private, max-age=31536000, immutable");
        let bytes = answer.bytes().await.unwrap();
        let report = verify::verify_bytes(&digest(number), &bytes, &trust);
        assert_eq!(report.verdict, Verdict::Verified, "{report:?}");
        assert_ne!(verify::verify_bytes(&digest(99), &bytes, &trust).verdict, Verdict::Verified);

        let tag = headers["etag"].to_str().unwrap();
        assert!(tag.starts_with('"'));
        let again = service.client.get(format!("{}{}", service.base, path(digest(number)))).bearer_auth(&token);
        let again = again.header("if-none-match", format!("\"x\", {tag}")).send().await.unwrap();
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
        assert_eq!(again.bytes().await.unwrap().len(), 0);
    }
    let found: Value = service.get(&format!("/v1/proofs/{}", digest(1)), &token).await.json().await.unwrap();
    assert_eq!((&found["status"], &found["overdue"]), (&"final".into(), &false.into()));
    assert_eq!((&found["anchors"][0]["chain"], &found["anchors"][0]["state"]), (&"eip155:31337".into(), &"final".into()));
    assert_eq!(found["anchors"][0]["registry"], format!("0x{}", hex::encode(REGISTRY)));
    assert_eq!(found["anchors"][0]["block_hash"], format!("0x{}", hex::encode(anchored.0.block_hash)));
    assert_eq!((&found["anchors"][0]["block_number"], &found["anchors"][0]["block_time"]), (&12.into(), &BLOCK_TIME.into()));
}

#[tokio::test]
async fn verify_judges_receipts_by_what_the_ledger_knows() {
    let service = service().await;
    let (_, token) = service.partner("a").await;
    let (_, stranger) = service.partner("b").await;
    let target = target(&service, 31_337, REGISTRY).await;
    service.submit(&token, &[digest(1)]).await;
    let batch = service.seal().await;
    let anchored = include(&service, target, batch, 31_337, REGISTRY).await;
    finish(&service, target, batch, &anchored).await;
    let bytes = service.get(&path(digest(1)), &token).await.text().await.unwrap();
    let ask = async |body: String| {
        let answer = service.send(reqwest::Method::POST, "/v1/verify", &stranger, Some(body)).await;
        assert_eq!(answer.status(), StatusCode::OK);
        let answer: Value = answer.json().await.unwrap();
        assert!(answer["note"].as_str().unwrap().contains("sceau-verify"));
        (answer["verdict"].as_str().unwrap().to_owned(), answer["code"].as_str().unwrap().to_owned(), answer)
    };
    let (verdict, code, answer) = ask(format!("{{\"receipt\":{bytes}}}")).await;
    assert_eq!((&*verdict, &*code, &answer["status"]), ("verified", "ok", &"final".into()));
    assert_eq!(answer["anchors"][0]["code"], "ok");
    let (verdict, code, _) = ask(format!("{{\"receipt\":{bytes},\"digest\":\"{}\"}}", digest(2))).await;
    assert_eq!((&*verdict, &*code), ("invalid", "document_mismatch"));
    let (verdict, code, _) = ask(format!("{{\"receipt\":{}}}", bytes.replacen(':', ": ", 1))).await;
    assert_eq!((&*verdict, &*code), ("invalid", "receipt_malformed"), "not the canonical bytes");
    let (verdict, ..) = ask("{\"receipt\":{}}".into()).await;
    assert_eq!(verdict, "invalid");

    // The same root in another contract, in a block of its own: well proven, but not in a registry of ours.
    let other = receipt::parse(bytes.as_bytes()).unwrap();
    let (place, evidence) = evidence::anchored(&other.statement(), 31_337, Address::from([0x66; 20]), 12, BLOCK_TIME);
    let mut forged = other.clone();
    forged.anchors[0].registry = Address::from([0x66; 20]);
    (forged.anchors[0].tx_hash, forged.anchors[0].block_hash) = (place.tx_hash.into(), place.block_hash.into());
    forged.anchors[0].evidence = Some(evidence);
    verify::check_structure(&forged).expect("in itself it is in order");
    let (verdict, code, _) = ask(format!("{{\"receipt\":{forged}}}")).await;
    assert_eq!((&*verdict, &*code), ("invalid", "registry_mismatch"));
    // Our registry in a block that we do not know.
    let (place, evidence) = evidence::anchored(&other.statement(), 31_337, Address::from(REGISTRY), 12, BLOCK_TIME + 1);
    let mut forged = other.clone();
    (forged.anchors[0].tx_hash, forged.anchors[0].block_hash) = (place.tx_hash.into(), place.block_hash.into());
    forged.anchors[0].block_time = BLOCK_TIME + 1;
    forged.anchors[0].evidence = Some(evidence);
    let (verdict, code, _) = ask(format!("{{\"receipt\":{forged}}}")).await;
    assert_eq!((&*verdict, &*code), ("invalid", "block_not_trusted"));

    // The owner asks by digest and gets the receipt with the answer, byte for byte.
    let answer = service.post("/v1/verify", &token, &json!({ "digest": digest(1) })).await.text().await.unwrap();
    assert!(answer.contains(&format!("\"receipt\":{bytes}")) && answer.contains("\"verdict\":\"verified\""), "{answer}");
    problem(service.post("/v1/verify", &token, &json!({})).await, 422, "body_invalid").await;
    problem(service.post("/v1/verify", &token, &json!({ "digest": "x" })).await, 400, "digest_invalid").await;
    problem(service.post("/v1/verify", "", &json!({ "digest": digest(1) })).await, 401, "token_missing").await;
}

#[tokio::test]
async fn anchors_stand_in_the_order_of_their_texts() {
    let service = service().await;
    let (_, token) = service.partner("a").await;
    let chains = [9_u64, 10, 100];
    let mut targets = Vec::new();
    for chain in chains {
        targets.push(target(&service, chain, REGISTRY).await);
    }
    service.submit(&token, &[digest(1)]).await;
    let batch = service.seal().await;
    for (chain, target) in chains.into_iter().zip(&targets) {
        let anchored = include(&service, *target, batch, chain, REGISTRY).await;
        if chain != 9 {
            finish(&service, *target, batch, &anchored).await;
        }
    }
    let answer = service.get(&path(digest(1)), &token).await;
    assert_eq!(answer.headers()["cache-control"], "no-store", "one of three is not final: the bytes will change");
    let receipt = receipt::parse(&answer.bytes().await.unwrap()).unwrap();
    let chains: Vec<String> = receipt.anchors.iter().map(|anchor| anchor.chain.to_string()).collect();
    assert_eq!(chains, ["eip155:10", "eip155:100", "eip155:9"]);
}

#[tokio::test]
async fn large_batches_give_receipts_for_every_leaf() {
    let service = service().await;
    let (_, token) = service.partner("a").await;
    let target = target(&service, 1, REGISTRY).await;
    let digests: Vec<Digest> = (0..1500).map(digest).collect();
    service.submit(&token, &digests).await;
    let batch = service.seal().await;
    let anchored = include(&service, target, batch, 1, REGISTRY).await;
    let mut indices = Vec::new();
    for digest in digests.iter().step_by(7) {
        let receipt = receipt::parse(&service.get(&path(*digest), &token).await.bytes().await.unwrap()).unwrap();
        verify::check_structure(&receipt).unwrap();
        assert_eq!(receipt.anchors[0].block_hash, anchored.0.block_hash.into());
        indices.push(receipt.entry.index);
    }
    indices.sort_unstable();
    indices.dedup();
    assert_eq!(indices.len(), 1500_usize.div_ceil(7), "every proof has a leaf of its own");
}

#[tokio::test]
async fn a_damaged_tree_gives_no_receipt() {
    // Trees that were read whole before are remembered: this one reads all of it every time.
    let service = start(false, |state| state.known = Arc::new(Known::new(0))).await;
    let (_, token) = service.partner("a").await;
    let target = target(&service, 1, REGISTRY).await;
    service.submit(&token, &(0..300).map(digest).collect::<Vec<_>>()).await;
    let batch = service.seal().await;
    include(&service, target, batch, 1, REGISTRY).await;
    // A proof whose leaf stands in the first tile, as the header does.
    let mut first = None;
    for number in 0..300 {
        let bytes = service.get(&path(digest(number)), &token).await.bytes().await.unwrap();
        if receipt::parse(&bytes).unwrap().entry.index < 256 {
            first = Some(path(digest(number)));
            break;
        }
    }
    let first = first.expect("256 of 301 leaves are there");
    for damage in [
        // One bit of the sibling of the subtree in which both leaves stand.
        "update tiles set hashes = set_bit(hashes, 261, 1 - get_bit(hashes, 261)) where level = 1",
        "delete from tiles where level = 1",
        "update batches set header = replace(header, 'test', 'tset') where number = 1",
        "update proofs set salt = decode(md5('x'), 'hex')",
        "delete from tiles where level = 0",
    ] {
        sqlx::query(damage).execute(&service.database.pool).await.unwrap();
        let answer = problem(service.get(&first, &token).await, 500, "internal").await;
        let detail = answer["detail"].as_str().unwrap();
        assert_eq!(
            detail,
            format!("Tell the operator the request id {}.", answer["request_id"].as_str().unwrap()),
            "and nothing of the cause"
        );
    }
}
