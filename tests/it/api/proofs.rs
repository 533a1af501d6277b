//! Submitting and asking again.

use reqwest::StatusCode;
use sceau_verifier::{Digest, Salt};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::api::kit::{PUBLIC_URL, digest, problem, service, start};

fn moment(value: &Value) -> OffsetDateTime {
    OffsetDateTime::parse(value.as_str().unwrap(), &Rfc3339).unwrap()
}

#[tokio::test]
async fn one_digest_is_accepted_and_found_again() {
    let service = start(true, |_| {}).await;
    let (_, token) = service.partner("a").await;
    let item = json!({
        "digest": digest(1), "file_name": "contrat signé.pdf", "reference": "2026/17", "labels": ["a", "b"],
        "metadata": { "pages": 3, "nested": { "x": [1, null, "y"] } },
    });
    let answer = service.post("/v1/proofs", &token, &json!({ "proofs": [item] })).await;
    assert_eq!(answer.status(), StatusCode::CREATED);
    assert_eq!(answer.headers()["cache-control"], "no-store");
    let body: Value = answer.json().await.unwrap();
    let proof = &body["proofs"][0];
    assert_eq!(proof["digest"], digest(1).to_string());
    assert_eq!((&proof["status"], &proof["batch"], &proof["created"]), (&"pending".into(), &1.into(), &true.into()));
    proof["salt"].as_str().unwrap().parse::<Salt>().unwrap();
    let received = moment(&proof["received_at"]);
    let next_minute = received.replace_nanosecond(0).unwrap().replace_second(0).unwrap() + time::Duration::minutes(1);
    assert_eq!(moment(&proof["anchor_by"]), next_minute + time::Duration::seconds(1800));
    let path = format!("/v1/proofs/{}", digest(1));
    assert_eq!(proof["links"]["self"], format!("{PUBLIC_URL}{path}"));
    assert_eq!(proof["links"]["receipt"], format!("{PUBLIC_URL}{path}/receipt"));
    assert_eq!(proof["links"]["batch"], format!("{PUBLIC_URL}/v1/batches/1"));

    let found: Value = service.get(&path, &token).await.json().await.unwrap();
    for member in ["digest", "status", "batch", "received_at", "anchor_by", "salt", "links"] {
        assert_eq!(found[member], proof[member], "{member}");
    }
    for member in ["file_name", "reference", "labels", "metadata"] {
        assert_eq!(found[member], item[member], "{member}");
    }
    assert_eq!(found["overdue"], false);
    service.clock.advance(3600);
    let token = service.token(&service.account("later", sceau::ledger::accounts::Role::Partner).await).await;
    problem(service.get(&path, &token).await, 404, "proof_unknown").await;
}

#[tokio::test]
async fn a_late_proof_says_so() {
    let service = service().await;
    let account = service.account("a", sceau::ledger::accounts::Role::Partner).await;
    service.submit(&service.token(&account).await, &[digest(1)]).await;
    service.clock.advance(1800 + 120);
    let token = service.token(&account).await;
    let found: Value = service.get(&format!("/v1/proofs/{}", digest(1)), &token).await.json().await.unwrap();
    assert_eq!((&found["status"], &found["overdue"]), (&"pending".into(), &true.into()));
}

#[tokio::test]
async fn many_are_answered_in_their_order_and_repeats_are_the_same_record() {
    let service = service().await;
    let (_, token) = service.partner("a").await;
    // Descending, so that the order of the answer is not the order of the table.
    let mut digests: Vec<Digest> = (0..10_000).map(digest).collect();
    digests.sort_unstable_by(|a, b| b.cmp(a));
    let first = service.submit(&token, &digests).await;
    assert!(first.iter().zip(&digests).all(|(proof, digest)| proof["digest"] == digest.to_string() && proof["created"] == true));
    assert_eq!(service.stored().await, 10_000);
    service.seal().await;

    // A new one, old ones backwards, and one twice.
    let mixed: Vec<Digest> =
        [digest(20_000)].into_iter().chain(digests[..5].iter().rev().copied()).chain([digest(20_000)]).collect();
    let proofs: Vec<Value> = mixed.iter().map(|digest| json!({ "digest": digest, "file_name": "other" })).collect();
    let answer = service.post("/v1/proofs", &token, &json!({ "proofs": proofs })).await;
    assert_eq!(answer.status(), StatusCode::OK, "not everything was new");
    let again = answer.json::<Value>().await.unwrap()["proofs"].clone();
    assert_eq!(again.as_array().unwrap().len(), mixed.len());
    for (at, digest) in mixed.iter().enumerate() {
        assert_eq!(again[at]["digest"], digest.to_string());
    }
    let created: Vec<bool> = again.as_array().unwrap().iter().map(|proof| proof["created"].as_bool().unwrap()).collect();
    assert_eq!(created.iter().filter(|created| **created).count(), 1, "{created:?}");
    assert_eq!(again[0]["salt"], again[6]["salt"]);
    assert_eq!((&again[0]["batch"], &again[0]["status"]), (&2.into(), &"pending".into()));
    for at in 1..6 {
        assert_eq!(again[at]["status"], "sealed");
        for member in ["salt", "batch", "received_at", "anchor_by"] {
            assert_eq!(again[at][member], first[5 - at][member], "{member}");
        }
    }
    assert_eq!(service.stored().await, 10_001);
    let found: Value = service.get(&format!("/v1/proofs/{}", mixed[1]), &token).await.json().await.unwrap();
    assert_eq!(found.get("file_name"), None, "what was said first stands");
}

#[tokio::test]
async fn accounts_do_not_see_each_other() {
    let service = service().await;
    let (_, one) = service.partner("one").await;
    let (_, two) = service.partner("two").await;
    let mine = service.submit(&one, &[digest(1)]).await;
    let id = "\"request_id\":\"";
    let bytes = async |path: String, digest: Digest| {
        let answer = service.get(&path.replace("{}", &digest.to_string()), &two).await;
        let headers: Vec<(String, String)> = answer
            .headers()
            .iter()
            .filter(|(name, _)| *name != "x-request-id" && *name != "date")
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
            .collect();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        let at = text.find(id).unwrap() + id.len();
        (status, headers, text.replace(&text[at..at + 32], ""))
    };
    for path in ["/v1/proofs/{}", "/v1/proofs/{}/receipt", "/v1/proofs/{}/receipt?final=true"] {
        let others = bytes(path.into(), digest(1)).await;
        assert_eq!(others, bytes(path.into(), digest(2)).await, "{path}: another account's digest and nobody's look alike");
        assert_eq!(others.0, StatusCode::NOT_FOUND);
    }
    for number in [1, 2] {
        problem(service.post("/v1/verify", &two, &json!({ "digest": digest(number) })).await, 404, "proof_unknown").await;
    }
    let theirs = service.submit(&two, &[digest(1)]).await;
    assert_eq!(theirs[0]["created"], true, "the same digest is a proof of its own for each account");
    assert_ne!(theirs[0]["salt"], mine[0]["salt"]);
}
