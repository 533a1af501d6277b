//! The routes.

use sceau::ledger::accounts::Role;
use sceau_verifier::{receipt, verify};
use serde_json::{Value, json};

use super::office;
use crate::api::kit::{digest, problem, service, start};
use crate::api::receipt::{REGISTRY, finish, include, target};

#[tokio::test]
async fn items_wait_by_themselves_or_with_their_submission() {
    let service = service().await;
    let office = office(&service, 1, &["notary"]).await;
    let item = |number: u64| json!({ "digest": digest(number), "file_name": format!("{number}.pdf") });
    let with = |number: u64, member: &str, value: bool| {
        let mut item = item(number);
        item[member] = value.into();
        item
    };
    let body = json!({ "proofs": [item(1), with(2, "validation", true), item(3)] });
    let (status, mixed) = service.propose(&office.token, &body).await;
    assert_eq!(status, 201);
    let words: Vec<&Value> = mixed.iter().map(|proof| &proof["status"]).collect();
    assert_eq!(words, ["pending", "awaiting_validation", "pending"]);
    let waiting = &mixed[1];
    assert_eq!(waiting["digest"], json!(digest(2)), "in the order of the items");
    assert!(waiting["batch"].is_null() && waiting["anchor_by"].is_null() && waiting["links"]["receipt"].is_null(), "{waiting}");
    assert_eq!((&waiting["validation"]["approvals"], &waiting["validation"]["approvals_needed"]), (&json!(0), &json!(1)));
    assert_eq!(waiting["salt"].as_str().unwrap().len(), 32);
    assert!(mixed[0]["validation"].is_null() && mixed[0]["batch"] == 1);
    assert_eq!(service.stored().await, 2, "what waits is no proof");

    let body = json!({ "proofs": [item(4), with(5, "validation", false)], "validation": true });
    let (status, all) = service.propose(&office.token, &body).await;
    assert_eq!((status, &all[0]["status"], &all[1]["status"]), (201, &json!("awaiting_validation"), &json!("pending")));

    // Again, and around the validators: answered as it stands.
    for body in [json!({ "proofs": [item(2), item(1)] }), json!({ "proofs": [item(2), item(1)], "validation": true })] {
        let (status, again) = service.propose(&office.token, &body).await;
        assert_eq!((status, &again[0]["created"], &again[1]["created"]), (200, &json!(false), &json!(false)));
        assert_eq!((&again[0]["status"], &again[0]["salt"]), (&json!("awaiting_validation"), &waiting["salt"]));
        assert_eq!(again[1]["batch"], 1, "{body}");
    }
    let (status, both) = service.propose(&office.token, &json!({ "proofs": [item(7), with(7, "validation", true)] })).await;
    assert_eq!((status, &both[0]["status"]), (200, &json!("awaiting_validation")), "twice in one: it waits");

    let bad = service.post("/v1/proofs", &office.token, &json!({ "proofs": [item(8), with(9, "again", true)] })).await;
    assert_eq!(problem(bad, 422, "proofs_invalid").await["errors"][0]["code"], "item_invalid");
    let bad = service.post("/v1/proofs", &office.token, &json!({ "proofs": [item(8)], "validation": "yes" })).await;
    problem(bad, 422, "body_invalid").await;
}

#[tokio::test]
async fn while_nothing_is_accepted_nothing_waits_and_nothing_is_decided() {
    let (tell, closed) = tokio::sync::watch::channel(None);
    let service = start(false, |state| state.intake = state.intake.clone().closed_while(closed)).await;
    let office = office(&service, 1, &["notary"]).await;
    let wish = |number: u64| json!({ "proofs": [{ "digest": digest(number) }], "validation": true });
    let id = service.propose(&office.token, &wish(1)).await.1[0]["validation"]["id"].as_str().unwrap().to_owned();

    tell.send_replace(Some("restored from a backup".into()));
    problem(service.post("/v1/proofs", &office.token, &wish(2)).await, 503, "read_only").await;
    let decide = async || {
        let (path, word) = (format!("/v1/validations/{id}"), json!({ "decision": "approve" }));
        service.post(&path, &office.validators[0].1, &word).await
    };
    problem(decide().await, 503, "read_only").await;
    assert_eq!(service.stored().await, 0);
    problem(service.get(&format!("/v1/proofs/{}", digest(2)), &office.token).await, 404, "proof_unknown").await;

    tell.send_replace(None);
    assert_eq!(decide().await.status(), 200);
    assert_eq!(service.stored().await, 2, "the document and the decision");
}

#[tokio::test]
async fn without_validators_nothing_can_wait() {
    let service = service().await;
    let (_, token) = service.partner("alone").await;
    let body = json!({ "proofs": [{ "digest": digest(1) }, { "digest": digest(2), "validation": true }] });
    problem(service.post("/v1/proofs", &token, &body).await, 409, "validators_missing").await;
    assert_eq!(service.stored().await, 0, "nothing was stored");
    problem(service.get(&format!("/v1/proofs/{}", digest(2)), &token).await, 404, "proof_unknown").await;
}

#[tokio::test]
async fn a_document_is_approved_and_seen_all_the_way() {
    let service = service().await;
    let office = office(&service, 2, &["Maître Dupont", "Maître Durand"]).await;
    let path = format!("/v1/proofs/{}", digest(1));
    let body = json!({ "proofs": [{ "digest": digest(1), "file_name": "acte.pdf" }], "validation": true });
    let id = service.propose(&office.token, &body).await.1[0]["validation"]["id"].as_str().unwrap().to_owned();

    let list = service.json("/v1/validations", &office.validators[0].1).await;
    let one = &list["validations"][0];
    assert_eq!((&one["id"], &one["state"], &one["account"]), (&json!(id), &json!("awaiting"), &json!("acme")));
    assert_eq!((&one["file_name"], &one["decisions"], &list["next"]), (&json!("acte.pdf"), &json!([]), &Value::Null));
    assert!(one["salt"].is_null(), "the salt is the owner's");

    let early = problem(service.get(&format!("{path}/receipt"), &office.token).await, 409, "receipt_not_ready").await;
    assert_eq!((&early["proof_status"], &early["anchor_by"]), (&json!("awaiting_validation"), &Value::Null));
    let asked: Value = service.post("/v1/verify", &office.token, &json!({ "digest": digest(1) })).await.json().await.unwrap();
    assert_eq!((&asked["verdict"], &asked["code"]), (&json!("not_yet"), &json!("awaiting_validation")));

    for (n, (_, token)) in office.validators.iter().enumerate() {
        let answer: Value = service.decide(token, &id, "approve").await.json().await.unwrap();
        assert_eq!(answer["state"], ["awaiting", "accepted"][n]);
        let status = service.json(&path, &office.token).await;
        assert_eq!(status["status"], ["awaiting_validation", "pending"][n]);
        assert_eq!(status["validation"]["approvals"], n + 1);
        assert_eq!(status["validation"]["decisions"].as_array().unwrap().len(), n + 1);
        assert_eq!(service.json("/v1/validations", token).await["validations"], json!([]), "done");
    }
    let again = service.decide(&office.validators[0].1, &id, "approve").await;
    assert_eq!(again.status().as_u16(), 200, "repeating is safe");
    let differs = problem(service.decide(&office.validators[0].1, &id, "refuse").await, 409, "decision_differs").await;
    assert_eq!(differs["decision"], "approved");
    let status = service.json(&path, &office.token).await;
    let decision = &status["validation"]["decisions"][1];
    assert_eq!((&decision["validator"], &decision["comment"]), (&json!("Maître Durand"), &json!("vu")));
    let of_decision = format!("/v1/proofs/{}", decision["digest"].as_str().unwrap());
    assert_eq!(service.json(&of_decision, &office.token).await["status"], "pending", "a proof of the owner");
    // The validator is told the same, and reads the receipt of the decision there.
    let shown = service.json(&format!("/v1/validations/{id}"), &office.validators[1].1).await;
    assert_eq!(shown["decisions"][1], *decision);
    let link = decision["receipt"].as_str().unwrap().strip_prefix(crate::api::kit::PUBLIC_URL).unwrap();
    problem(service.get(link, &office.validators[1].1).await, 409, "receipt_not_ready").await;
}

#[tokio::test]
async fn a_refused_document_stays_refused_until_it_is_asked_for_again() {
    let service = service().await;
    let office = office(&service, 1, &["notary", "deputy"]).await;
    let path = format!("/v1/proofs/{}", digest(1));
    let body = json!({ "proofs": [{ "digest": digest(1) }], "validation": true });
    let id = service.propose(&office.token, &body).await.1[0]["validation"]["id"].as_str().unwrap().to_owned();
    let answer: Value = service.decide(&office.validators[0].1, &id, "refuse").await.json().await.unwrap();
    assert_eq!((&answer["state"], &answer["decisions"][0]["decision"]), (&json!("refused"), &json!("refused")));
    let settled = problem(service.decide(&office.validators[1].1, &id, "approve").await, 409, "validation_settled").await;
    assert_eq!(settled["state"], "refused");

    assert_eq!(service.json(&path, &office.token).await["status"], "refused");
    let none = problem(service.get(&format!("{path}/receipt"), &office.token).await, 409, "receipt_not_ready").await;
    assert_eq!(none["proof_status"], "refused");
    let asked: Value = service.post("/v1/verify", &office.token, &json!({ "digest": digest(1) })).await.json().await.unwrap();
    assert_eq!(asked["code"], "refused");
    for body in [body.clone(), json!({ "proofs": [{ "digest": digest(1) }] })] {
        let (status, answer) = service.propose(&office.token, &body).await;
        assert_eq!((status, &answer[0]["status"]), (200, &json!("refused")));
    }
    let again = json!({ "proofs": [{ "digest": digest(1), "again": true }], "validation": true });
    let (status, answer) = service.propose(&office.token, &again).await;
    assert_eq!((status, &answer[0]["status"]), (201, &json!("awaiting_validation")));
    assert_ne!(answer[0]["validation"]["id"], json!(id));
    assert_eq!(service.json(&path, &office.token).await["status"], "awaiting_validation");
    assert_eq!(service.stored().await, 1, "the refusal alone");
}

#[tokio::test]
async fn who_has_nothing_to_do_with_it_cannot_tell_that_it_exists() {
    let service = service().await;
    let office = office(&service, 1, &["notary"]).await;
    let body = json!({ "proofs": [{ "digest": digest(1) }], "validation": true });
    let id = service.propose(&office.token, &body).await.1[0]["validation"]["id"].as_str().unwrap().to_owned();
    let (_, partner) = service.partner("other").await;
    let foreign = service.token(&service.account("foreign notary", Role::Validator).await).await;
    let former = service.account("former notary", Role::Validator).await;
    service.ledger.add_validator("acme", "former notary").await.unwrap();
    let former = service.token(&former).await;
    service.ledger.remove_validator("acme", "former notary").await.unwrap();

    let nobody = "0198f2b6-7c1e-7d33-9a55-2f6f0d3f7b10";
    let bare = |mut problem: Value| {
        problem.as_object_mut().unwrap().remove("request_id");
        problem
    };
    for token in [&partner, &foreign, &former] {
        let mut answers = Vec::new();
        for id in [id.as_str(), nobody, "nonsense", &id.to_uppercase()] {
            let path = format!("/v1/validations/{id}");
            answers.push(bare(problem(service.get(&path, token).await, 404, "validation_unknown").await));
            let receipt = format!("{path}/decisions/{}/receipt", digest(1));
            answers.push(bare(problem(service.get(&receipt, token).await, 404, "validation_unknown").await));
            if *token != partner {
                answers.push(bare(problem(service.decide(token, id, "approve").await, 404, "validation_unknown").await));
            }
        }
        assert!(answers.iter().all(|answer| *answer == answers[0]), "all say the same: {answers:?}");
        let path = format!("/v1/proofs/{}", digest(1));
        problem(service.get(&path, token).await, 404, "proof_unknown").await;
    }
    for token in [&foreign, &former] {
        assert_eq!(service.json("/v1/validations", token).await["validations"], json!([]));
    }
    // The owner sees it, and cannot decide.
    assert_eq!(service.json(&format!("/v1/validations/{id}"), &office.token).await["state"], "awaiting");
    for answer in [service.decide(&office.token, &id, "approve").await, service.get("/v1/validations", &office.token).await] {
        problem(answer, 403, "scope_missing").await;
    }
    // A validator submits nothing.
    let answer = service.post("/v1/proofs", &office.validators[0].1, &body).await;
    problem(answer, 403, "scope_missing").await;
}

#[tokio::test]
async fn bad_words_are_refused_and_pages_follow_one_another() {
    let service = service().await;
    let office = office(&service, 1, &["notary"]).await;
    let items: Vec<Value> = (0..5).map(|number| json!({ "digest": digest(number) })).collect();
    let waiting = service.propose(&office.token, &json!({ "proofs": items, "validation": true })).await.1;
    let token = &office.validators[0].1;
    let path = format!("/v1/validations/{}", waiting[0]["validation"]["id"].as_str().unwrap());
    for body in [
        json!({}),
        json!({ "decision": "approved" }),
        json!({ "decision": "approve", "comment": 1 }),
        json!({ "decision": "approve", "note": "" }),
        json!({ "decision": "approve", "comment": "é".repeat(1001) }),
        json!({ "decision": "approve", "comment": "a\0b" }),
    ] {
        problem(service.post(&path, token, &body).await, 422, "body_invalid").await;
    }
    assert_eq!(service.json(&path, token).await["state"], "awaiting");
    let most = json!({ "decision": "approve", "comment": "é".repeat(1000) });
    assert_eq!(service.post(&path, token, &most).await.status().as_u16(), 200);

    for query in ["?limit=0", "?limit=201", "?limit=x", "?after=x", "?state=all"] {
        problem(service.get(&format!("/v1/validations{query}"), token).await, 400, "query_invalid").await;
    }
    let (mut seen, mut after) = (Vec::new(), String::new());
    loop {
        let page = service.json(&format!("/v1/validations?limit=3{after}"), token).await;
        let found = page["validations"].as_array().unwrap();
        seen.extend(found.iter().map(|one| one["digest"].clone()));
        let Some(next) = page["next"].as_str() else { break };
        assert_eq!(found.len(), 3);
        after = format!("&after={next}");
    }
    seen.sort_by_key(ToString::to_string);
    let mut expected: Vec<Value> = (1..5).map(|number| json!(digest(number))).collect();
    expected.sort_by_key(ToString::to_string);
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn a_receipt_has_all_decisions_once_each_is_as_far_as_the_document() {
    let service = service().await;
    let office = office(&service, 2, &["one", "two"]).await;
    let target = target(&service, 31_337, REGISTRY).await;
    let body = json!({ "proofs": [{ "digest": digest(1) }], "validation": true });
    let id = service.propose(&office.token, &body).await.1[0]["validation"]["id"].as_str().unwrap().to_owned();
    let mut batches = Vec::new();
    for (_, token) in &office.validators {
        assert_eq!(service.decide(token, &id, "approve").await.status().as_u16(), 200);
        batches.push(service.seal().await);
    }
    let path = format!("/v1/proofs/{}/receipt", digest(1));
    let receipt = async || {
        let answer = service.get(&path, &office.token).await;
        let forever = answer.headers()["cache-control"].to_str().unwrap().contains("immutable");
        let receipt = receipt::parse(&answer.bytes().await.unwrap()).unwrap();
        assert!(verify::check_structure(&receipt).is_ok());
        (receipt.decisions.len(), receipt.anchors[0].evidence.is_some(), forever)
    };
    let later = include(&service, target, batches[1], 31_337, REGISTRY).await;
    assert_eq!(receipt().await, (0, false, false), "the first approval is in no block");
    let earlier = include(&service, target, batches[0], 31_337, REGISTRY).await;
    assert_eq!(receipt().await, (2, false, false));
    finish(&service, target, batches[1], &later).await;
    assert_eq!(receipt().await, (0, true, false), "the first approval is not final");
    finish(&service, target, batches[0], &earlier).await;
    assert_eq!(receipt().await, (2, true, true));
}
