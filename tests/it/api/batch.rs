//! What anybody may see of a batch.

use reqwest::StatusCode;
use sceau::ledger::batches::Batch;
use sceau_verifier::{BatchHeader, Digest, Tree, tree};
use serde_json::{Value, json};

use crate::api::kit::{digest, problem, service};

#[tokio::test]
async fn batches_are_public_and_say_nothing_before_they_are_sealed() {
    let service = service().await;
    let (_, token) = service.partner("a").await;
    service.submit(&token, &[digest(1), digest(2)]).await;
    let open: Value = service.get("/v1/batches/1", "").await.json().await.unwrap();
    assert_eq!(open, json!({ "number": 1, "state": "open" }));
    problem(service.get("/v1/batches/1/tile/0/000.p/3", "").await, 404, "tile_unknown").await;
    service.seal().await;
    let sealed: Value = service.get("/v1/batches/1", "").await.json().await.unwrap();
    assert_eq!((&sealed["state"], &sealed["size"], &sealed["anchors"]), (&"sealed".into(), &3.into(), &json!([])));
    assert_eq!(sealed["anchored_when"], 1);
    let header = BatchHeader::parse(sealed["header"].as_str().unwrap()).unwrap();
    assert_eq!((header.number, header.count), (1, 2));
    for number in ["3", "0", "01", "+1", "-1", "x", "99999999999999999999", "9223372036854775808"] {
        problem(service.get(&format!("/v1/batches/{number}"), "").await, 404, "batch_unknown").await;
    }
}

async fn fetch(service: &crate::api::kit::Service, path: &str) -> Vec<u8> {
    let answer = service.get(&format!("/v1/batches/1/tile/{path}"), "").await;
    assert_eq!(answer.status(), StatusCode::OK, "{path}");
    assert_eq!(answer.headers()["cache-control"], "public, max-age=31536000, immutable");
    assert_eq!(answer.headers()["content-type"], "application/octet-stream");
    answer.bytes().await.unwrap().to_vec()
}

#[tokio::test]
async fn tiles_give_the_tree_back() {
    let service = service().await;
    let (_, token) = service.partner("a").await;
    service.submit(&token, &(0..600).map(digest).collect::<Vec<_>>()).await;
    service.seal().await;
    let Some(Batch::Sealed(batch)) = service.ledger.batch(1).await.unwrap() else { panic!("not sealed") };
    assert_eq!(batch.size, 601);
    let mut leaves = Vec::new();
    for path in ["0/000", "0/001", "0/002.p/89"] {
        leaves.extend(fetch(&service, path).await.as_chunks::<32>().0.to_vec());
    }
    let tree: Tree = tree::Tree::from_leaves(leaves);
    assert_eq!(tree.root(), Digest::from(batch.root));
    // Level 1 has the two complete subtrees and not the promoted edge that is stored beside them.
    assert_eq!(service.ledger.tile(1, 1, 0).await.unwrap().unwrap().len(), 3 * 32);
    assert_eq!(fetch(&service, "1/000.p/2").await, tree.layer(8)[..2].as_flattened());
    for path in [
        "0/000.p/255",
        "0/002",
        "0/002.p/88",
        "0/002.p/90",
        "0/003.p/1",
        "1/000",
        "1/000.p/3",
        "1/000.p/1",
        "2/000",
        "2/000.p/1",
        "8/000",
        "00/000",
        "64/000",
        "0/0",
        "0/x000/000",
        "0/000.p/0",
        "-1/000",
        "data/000",
    ] {
        problem(service.get(&format!("/v1/batches/1/tile/{path}"), "").await, 404, "tile_unknown").await;
    }
    problem(service.get("/v1/batches/2/tile/0/000", "").await, 404, "tile_unknown").await;
}

#[tokio::test]
async fn a_tree_of_256_leaves_has_its_root_one_level_up() {
    let service = service().await;
    let (_, token) = service.partner("a").await;
    service.submit(&token, &(0..255).map(digest).collect::<Vec<_>>()).await;
    service.seal().await;
    let Some(Batch::Sealed(batch)) = service.ledger.batch(1).await.unwrap() else { panic!("not sealed") };
    assert_eq!(fetch(&service, "0/000").await.len(), 8192);
    assert_eq!(fetch(&service, "1/000.p/1").await, batch.root);
}
