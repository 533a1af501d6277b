//! What anybody may see of a batch.

use reqwest::StatusCode;
use sceau::ledger::batches::Batch;
use sceau_verifier::{BatchHeader, Digest, Tree, tree};
use serde_json::{Value, json};

use crate::api::kit::{digest, problem, service};
use crate::api::receipt::{REGISTRY, finish, include, target};

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

#[tokio::test]
async fn what_does_not_change_is_not_sent_twice() {
    let service = service().await;
    let (_, token) = service.partner("a").await;
    let target = target(&service, 31_337, REGISTRY).await;
    service.submit(&token, &[digest(1), digest(2)]).await;
    service.seal().await;
    let get = async |path: &str, tag: Option<&str>| {
        let request = service.client.get(format!("{}{path}", service.base));
        tag.map_or(request.try_clone().unwrap(), |tag| request.header("if-none-match", tag)).send().await.unwrap()
    };
    let (mut tags, mut anchored) = (Vec::new(), None);
    for (step, cache) in [("sealed", "public, max-age=5"), ("included", "public, max-age=5"), ("final", "public, max-age=3600")] {
        if step == "included" {
            anchored = Some(include(&service, target, 1, 31_337, REGISTRY).await);
        } else if step == "final" {
            finish(&service, target, 1, anchored.as_ref().expect("included before")).await;
        }
        let answer = get("/v1/batches/1", None).await;
        let tag = answer.headers()["etag"].to_str().unwrap().to_owned();
        assert!(tag.starts_with('"') && !tags.contains(&tag), "strong, and another at each step");
        assert_eq!(answer.headers()["cache-control"], cache, "{step}");
        for old in &tags {
            assert_eq!(get("/v1/batches/1", Some(old)).await.status(), StatusCode::OK);
        }
        let same = get("/v1/batches/1", Some(&tag)).await;
        assert_eq!((same.status(), same.headers()["cache-control"].to_str().unwrap()), (StatusCode::NOT_MODIFIED, cache));
        assert_eq!(same.bytes().await.unwrap().len(), 0);
        tags.push(tag);
    }
    let tile = get("/v1/batches/1/tile/0/000.p/3", None).await;
    let tag = tile.headers()["etag"].to_str().unwrap().to_owned();
    let same = get("/v1/batches/1/tile/0/000.p/3", Some(&tag)).await;
    assert_eq!(same.status(), StatusCode::NOT_MODIFIED);
    assert_eq!(same.headers()["cache-control"], "public, max-age=31536000, immutable");
    let receipt = service.get(&format!("/v1/proofs/{}/receipt", digest(1)), &token).await;
    assert_eq!(receipt.headers()["vary"], "Authorization");
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
