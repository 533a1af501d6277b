//! Documents that wait for validators, seen through the dialect while the native API decides.

use sceau::ledger::accounts::Role;
use sceau::ledger::anchors::AnchorState;
use serde_json::{Value, json};

use super::kit::{Kage, Speaker, kage, sha256};
use crate::validations::flow::registry;

/// Somebody with a validator, and the validator's token.
async fn office(kage: &Kage) -> (Speaker, String) {
    let speaker = kage.speaker("étude", Role::Client).await;
    let notary = kage.service.account("Maître Dupont", Role::Validator).await;
    kage.service.ledger.add_validator("étude", "Maître Dupont").await.unwrap();
    kage.run(&speaker, &["login"]).await.json();
    (speaker, kage.service.token(&notary).await)
}

/// Registers by the client in Python, to wait for the validator.
async fn propose(kage: &Kage, speaker: &Speaker, name: &str) -> String {
    let body = json!({ "allDatas": [speaker.item(&sha256(name), name)], "checkedExterne": true, "checkedVisible": true });
    kage.run_with(speaker, &["write-json"], Some(&body)).await.text
}

/// Decides about the oldest document that waits.
async fn decide(kage: &Kage, token: &str, decision: &str) {
    let waiting = kage.service.json("/v1/validations", token).await;
    let id = waiting["validations"][0]["id"].as_str().unwrap_or_else(|| panic!("{waiting}")).to_owned();
    let answer = kage.service.decide(token, &id, decision).await;
    assert!(answer.status().is_success(), "{:?}", answer.text().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn awaiting_approved_sealed_and_final_through_both_dialects() {
    let kage = kage().await;
    let registry = registry(&kage.service).await;
    let (speaker, notary) = office(&kage).await;
    assert_eq!(propose(&kage, &speaker, "acte.pdf").await, r#"{"resultat":{"acte.pdf":true}}"#);
    let file = kage.file("acte.pdf", "acte.pdf");
    let awaiting = r#"{"resultat":"Le document n'a pas encore été validé."}"#;
    assert_eq!(kage.run(&speaker, &["verify", &file]).await.text, awaiting);
    // The native API says the same, and nothing is in the pool.
    let native = kage.service.token(&speaker.account).await;
    let path = format!("/v1/proofs/{}", sha256("acte.pdf"));
    assert_eq!(kage.service.json(&path, &native).await["status"], "awaiting_validation");
    assert_eq!(kage.service.stored().await, 0);
    // Again, it is registered already; and nobody goes around the validator.
    assert_eq!(propose(&kage, &speaker, "acte.pdf").await, r#"{"resultat":{"acte.pdf":"Ce document est déjà enregistré."}}"#);
    let other = kage.file("autre.pdf", "autre");
    let around = kage.run(&speaker, &["write", "localhost", &file, &other]).await.json();
    assert_eq!(around["resultat"], json!({ "acte.pdf": "Le document n'a pas encore été validé.", "autre.pdf": true }));
    assert_eq!(around["details"][0]["motif"], "validation_en_attente");
    // Others learn nothing of what waits.
    let stranger = kage.speaker("tiers", Role::Client).await;
    let of_stranger = kage.login(&stranger).await;
    let doubled = sha256(sha256("acte.pdf"));
    assert_eq!(kage.verify(&stranger, &of_stranger, &doubled).await["resultat"], "Ce document n'est pas enregistré.");

    decide(&kage, &notary, "approve").await;
    let found = kage.run(&speaker, &["verify", &file]).await.json();
    assert_eq!(found["resultat"], "Votre document est enregistré.");
    assert_eq!((&found["validateur"], &found["statut"]), (&json!(["Maître Dupont"]), &json!("en attente")));
    assert_eq!(found["fileName"], "acte.pdf");
    // What was said when it was proposed holds: others may know that it exists now.
    assert_eq!(kage.verify(&stranger, &of_stranger, &doubled).await["resultat"], "Ce document ne vous appartient pas.");

    let batch = kage.service.seal().await;
    assert_eq!(kage.run(&speaker, &["verify", &file]).await.json()["statut"], "scellé");
    registry.until(&kage.service, batch, AnchorState::Final).await;
    let found = kage.run(&speaker, &["verify", &file]).await.json();
    assert_eq!((&found["statut"], &found["lot"]), (&json!("définitif"), &json!(batch)));
    assert_eq!(kage.service.json(&path, &native).await["status"], "final");
    // The receipt behind the link is the owner's, with the decision and its own proof of inclusion.
    let link = format!("{}/recu/{}", kage.url, found["auth"].as_str().unwrap());
    let receipt = kage.client.get(link).send().await.unwrap().bytes().await.unwrap();
    let own = kage.service.get(&format!("{path}/receipt?final=true"), &native).await.bytes().await.unwrap();
    assert_eq!(receipt, own);
    let receipt: Value = serde_json::from_slice(&receipt).unwrap();
    let decision = &receipt["decisions"][0];
    assert!(decision["statement"].as_str().unwrap().contains("Maître Dupont"), "{decision}");
    assert!(decision["receipt"]["anchors"][0]["evidence"].is_object(), "{decision}");
}

#[tokio::test]
async fn a_refused_document_is_told_and_never_registered() {
    let kage = kage().await;
    let (speaker, notary) = office(&kage).await;
    propose(&kage, &speaker, "brouillon").await;
    decide(&kage, &notary, "refuse").await;
    let file = kage.file("brouillon", "brouillon");
    let refused = r#"{"resultat":"Le document a été refusé par son validateur."}"#;
    assert_eq!(kage.run(&speaker, &["verify", &file]).await.text, refused);
    // Neither asking again nor going around the validator makes it one.
    for flag in [true, false] {
        let body = json!({ "allDatas": [speaker.item(&sha256("brouillon"), "b")], "checkedExterne": flag });
        let answer = kage.run_with(&speaker, &["write-json"], Some(&body)).await.json();
        assert_eq!(answer["resultat"]["b"], "Le document a été refusé par son validateur.", "{flag}");
        assert_eq!(answer["details"][0]["motif"], "validation_refusee");
    }
    let native = kage.service.token(&speaker.account).await;
    let seen = kage.service.json(&format!("/v1/proofs/{}", sha256("brouillon")), &native).await;
    assert_eq!(seen["status"], "refused");
    // The decision itself is a proof; the document is none. A new round, by the native API, is seen here.
    assert_eq!(kage.service.stored().await, 1);
    let again = json!({ "proofs": [{ "digest": sha256("brouillon"), "validation": true, "again": true }] });
    kage.service.propose(&native, &again).await;
    assert_eq!(kage.run(&speaker, &["verify", &file]).await.json()["resultat"], "Le document n'a pas encore été validé.");
    decide(&kage, &notary, "approve").await;
    let found = kage.run(&speaker, &["verify", &file]).await.json();
    assert_eq!((&found["resultat"], &found["validateur"]), (&json!("Votre document est enregistré."), &json!(["Maître Dupont"])));
}

#[tokio::test]
async fn a_manager_sees_how_its_clients_documents_stand() {
    let kage = kage().await;
    let (speaker, notary) = office(&kage).await;
    let manager = kage.speaker("gérante", Role::Manager).await;
    kage.service.ledger.add_client("gérante", "étude").await.unwrap();
    let token = kage.login(&manager).await;
    // One for a client with a validator, one for itself, which has none.
    let mut body = manager.named();
    body["allDatas"] = json!([speaker.item(&sha256("a"), "a"), manager.item(&sha256("b"), "b")]);
    body["checkedExterne"] = true.into();
    let answer = kage.ask("/writeProof", &token, &body).await;
    assert_eq!(answer["resultat"]["a"], true);
    assert_eq!(answer["details"][1]["motif"], "validateur_absent");
    let ask = async || kage.verify(&manager, &token, &sha256(sha256("a"))).await["resultat"].clone();
    assert_eq!(ask().await, "Le document n'a pas encore été validé.");
    assert_eq!(kage.verify(&manager, &token, &sha256(sha256("b"))).await["resultat"], "Ce document n'est pas enregistré.");
    decide(&kage, &notary, "refuse").await;
    assert_eq!(ask().await, "Le document a été refusé par son validateur.");
}
