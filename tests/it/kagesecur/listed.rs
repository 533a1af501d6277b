//! Items of `/writeProof`: each answered for by itself, none hidden, nothing bad stored.

use sceau::ledger::accounts::Role;
use serde_json::{Value, json};

use super::kit::{kage, sha256};
use crate::api::kit::problem;

const NOT_CONFORMING: &str = "Les informations ne sont pas conformes et ne peuvent donc pas être validées.";

#[tokio::test]
async fn items_of_one_name_do_not_hide_each_other() {
    let kage = kage().await;
    let alice = kage.speaker("alice", Role::Client).await;
    let token = kage.login(&alice).await;
    let (a, b, c) = (sha256("a"), sha256("b"), sha256("c"));
    let item = |hash: &str, name: &str| alice.item(hash, name);
    // Both registered: the map may say true, and the list says it of each.
    let answer = kage.write(&alice, &token, json!([item(&a, "n"), item(&b, "n"), item(&c, "m")])).await;
    assert_eq!(answer["resultat"], json!({ "n": true, "m": true }));
    assert_eq!(
        answer["details"],
        json!([
            { "fileName": "n", "hash": a, "resultat": true },
            { "fileName": "n", "hash": b, "resultat": true },
            { "fileName": "m", "hash": c, "resultat": true },
        ])
    );
    // One of them not: the map must not say true.
    let d = sha256("d");
    for items in [json!([item(&d, "n"), item(&a, "n")]), json!([item(&a, "n"), item(&sha256("e"), "n")])] {
        let answer = kage.write(&alice, &token, items).await;
        assert_eq!(answer["resultat"], json!({ "n": "Ce document est déjà enregistré." }));
        assert_eq!(answer["details"].as_array().unwrap().len(), 2);
    }
    // One document twice: registered once.
    let f = sha256("f");
    let answer = kage.write(&alice, &token, json!([item(&f, "one"), item(&f, "two")])).await;
    assert_eq!(answer["resultat"], json!({ "one": true, "two": "Ce document est déjà enregistré." }));
    assert_eq!(kage.service.stored().await, 6);
}

#[tokio::test]
async fn a_bad_item_is_refused_by_itself() {
    let kage = kage().await;
    let alice = kage.speaker("alice", Role::Client).await;
    let token = kage.login(&alice).await;
    let good = sha256("good");
    let with = |member: &str, value: Value| {
        let mut item = alice.item(&sha256(format!("{member}{value}")), "bad");
        item[member] = value;
        item
    };
    let without = |member: &str| {
        let mut item = alice.item(&sha256(member), "bad");
        item.as_object_mut().unwrap().remove(member);
        item
    };
    let long = "é".repeat(256);
    for (item, name, text, reason) in [
        (with("hash", json!(good.to_uppercase())), Some("bad"), NOT_CONFORMING, "hash_invalide"),
        (with("hash", json!(good[..63])), Some("bad"), NOT_CONFORMING, "hash_invalide"),
        (with("hash", json!(format!("{}g", &good[..63]))), Some("bad"), NOT_CONFORMING, "hash_invalide"),
        (with("hash", json!(1)), Some("bad"), NOT_CONFORMING, "hash_invalide"),
        (without("hash"), Some("bad"), NOT_CONFORMING, "hash_invalide"),
        (with("node", json!("autre.example")), Some("bad"), NOT_CONFORMING, "noeud_inconnu"),
        (with("node", json!("LOCALHOST")), Some("bad"), NOT_CONFORMING, "noeud_inconnu"),
        (without("node"), Some("bad"), NOT_CONFORMING, "noeud_inconnu"),
        (with("fileName", json!("")), Some(""), NOT_CONFORMING, "nom_invalide"),
        (with("fileName", json!("a\0b")), Some("a\0b"), NOT_CONFORMING, "nom_invalide"),
        (with("fileName", json!(long)), Some(&*long), NOT_CONFORMING, "nom_invalide"),
        (with("fileName", json!(1)), None, NOT_CONFORMING, "nom_invalide"),
        (without("fileName"), None, NOT_CONFORMING, "nom_invalide"),
        (json!(1), None, NOT_CONFORMING, "element_invalide"),
        (Value::Null, None, NOT_CONFORMING, "element_invalide"),
        (with("empreinte", json!(sha256("nobody"))), Some("bad"), "Utilisateur introuvable", "proprietaire_inconnu"),
        (without("empreinte"), Some("bad"), "Utilisateur introuvable", "proprietaire_inconnu"),
    ] {
        let answer = kage.write(&alice, &token, json!([item, alice.item(&good, "good")])).await;
        let told = &answer["details"][0];
        assert_eq!((&told["resultat"], &told["motif"]), (&json!(text), &json!(reason)), "{item}: {answer}");
        match name {
            Some(name) => assert_eq!(answer["resultat"][name], text, "{item}"),
            None => assert_eq!(answer["resultat"].as_object().unwrap().len(), 1, "{item}"),
        }
    }
    assert_eq!(kage.service.stored().await, 1, "the good one alone");
    // Names of nodes: ours, localhost, and those of the settings.
    for (number, node) in ["localhost", "seal.example", "pair-2"].into_iter().enumerate() {
        let mut item = alice.item(&sha256(node), "ok");
        item["node"] = node.into();
        assert_eq!(kage.write(&alice, &token, json!([item])).await["resultat"]["ok"], true, "{number}");
    }
}

#[tokio::test]
async fn other_bodies_are_answered_and_nothing_is_stored() {
    let kage = kage().await;
    let alice = kage.speaker("alice", Role::Client).await;
    let token = kage.login(&alice).await;
    let item = || alice.item(&sha256("a"), "a");
    for (member, value) in [
        ("allDatas", Value::Null),
        ("allDatas", json!({})),
        ("allDatas", json!("x")),
        ("checkedExterne", json!("peut-être")),
        ("checkedExterne", json!(1)),
        ("checkedVisible", json!([])),
    ] {
        let mut body = alice.named();
        body["allDatas"] = json!([item()]);
        body[member] = value.clone();
        assert_eq!(kage.ask("/writeProof", &token, &body).await, json!({ "resultat": NOT_CONFORMING }), "{member} {value}");
    }
    // Without a validator nothing may wait for one.
    let mut body = alice.named();
    body["allDatas"] = json!([item()]);
    body["checkedExterne"] = true.into();
    let answer = kage.ask("/writeProof", &token, &body).await;
    assert_eq!((&answer["resultat"]["a"], &answer["details"][0]["motif"]), (&json!(NOT_CONFORMING), &json!("validateur_absent")));
    for hash in [json!(1), Value::Null, json!(sha256("a").to_uppercase()), json!("a".repeat(63)), json!("g".repeat(64))] {
        let mut body = alice.named();
        body["hash"] = hash.clone();
        assert_eq!(kage.ask("/verification", &token, &body).await, json!({ "resultat": NOT_CONFORMING }), "{hash}");
    }
    let mut body = alice.named();
    body["allDatas"] = vec![item(); 10_001].into();
    problem(kage.post("/writeProof", &token, &body).await, 422, "proofs_count").await;
    let send = async |text: String| {
        let request = kage.client.post(format!("{}/writeProof", kage.url)).bearer_auth(&token);
        request.body(text).send().await.unwrap()
    };
    problem(send("nonsense".into()).await, 400, "body_malformed").await;
    problem(send("[".repeat(200_000)).await, 400, "body_malformed").await;
    problem(send("[]".into()).await, 422, "body_invalid").await;
    problem(send("x".repeat(8 * 1024 * 1024 + 1)).await, 413, "body_too_large").await;
    let get = kage.client.get(format!("{}/writeProof", kage.url)).send().await.unwrap();
    problem(get, 405, "method_not_allowed").await;
    assert_eq!(kage.service.stored().await, 0);
    body["allDatas"] = json!([]);
    assert_eq!(kage.ask("/writeProof", &token, &body).await, json!({ "resultat": {} }));
}
