//! Tokens of the dialect: their hour, their owner, and the other dialect's.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::StatusCode;
use sceau::ledger::accounts::Role;
use sceau::ports::Clock;
use serde_json::{Value, json};

use super::kit::{kage, sha256, with};
use crate::api::kit::problem;

fn claims(token: &str) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap()).unwrap()
}

#[tokio::test]
async fn a_token_lives_for_an_hour_and_is_renewed_near_its_end() {
    let kage = kage().await;
    let speaker = kage.speaker("alice", Role::Client).await;
    let first = kage.run(&speaker, &["login"]).await.json()["jwt"].as_str().unwrap().to_owned();
    let said = claims(&first);
    assert_eq!(said["exp"].as_i64().unwrap() - said["iat"].as_i64().unwrap(), 3_600_000, "milliseconds");
    assert_eq!(said.as_object().unwrap().len(), 3);
    // Whoever sees a token does not see the password.
    assert_ne!(said["hash"], *speaker.empreinte);

    let file = kage.file("a", "a");
    assert!(kage.run(&speaker, &["write", "localhost", &file]).await.json().get("jwt").is_none());
    kage.service.clock.advance(45 * 60);
    assert!(kage.run(&speaker, &["verify", &file]).await.json().get("jwt").is_none(), "a quarter of an hour is left");
    kage.service.clock.advance(10 * 60);
    let renewed = kage.run(&speaker, &["verify", &file]).await.json()["jwt"].as_str().expect("five minutes are left").to_owned();
    assert!(claims(&renewed)["exp"].as_i64() > said["exp"].as_i64());
    // The client goes on with it, across the end of the first one's hour.
    kage.service.clock.advance(10 * 60);
    assert_eq!(kage.run(&speaker, &["verify", &file]).await.json()["resultat"], "Votre document est enregistré.");
    problem_of(kage.post("/verification", &first, &speaker.named()).await).await;
    kage.service.clock.advance(45 * 60);
    let written = kage.run(&speaker, &["write", "localhost", &file]).await.json();
    assert!(written["jwt"].is_string(), "writing renews as well: {written}");
    // A client that slept over it has to log in again.
    kage.service.clock.advance(61 * 60);
    assert_eq!(kage.run(&speaker, &["verify", &file]).await.status, 3);
    kage.run(&speaker, &["login"]).await.json();
    assert_eq!(kage.run(&speaker, &["verify", &file]).await.status, 0);
}

async fn problem_of(answer: reqwest::Response) -> Value {
    problem(answer, 403, "authentication_failed").await
}

#[tokio::test]
async fn the_hash_must_belong_to_the_token() {
    let kage = kage().await;
    let (alice, bob) = (kage.speaker("alice", Role::Client).await, kage.speaker("bob", Role::Client).await);
    let (of_alice, of_bob) = (kage.login(&alice).await, kage.login(&bob).await);
    let item = json!([alice.item(&sha256("a"), "a")]);
    for (empreinte, hash_jwt, token) in [
        (&alice.empreinte, &bob.empreinte, &of_alice),
        (&bob.empreinte, &bob.empreinte, &of_alice),
        (&alice.empreinte, &alice.empreinte, &of_bob),
        (&alice.empreinte, &alice.empreinte.to_uppercase(), &of_alice),
        (&alice.empreinte, &String::new(), &of_alice),
    ] {
        let body = json!({ "empreinte": empreinte, "hashJwt": hash_jwt, "hash": sha256("a"), "allDatas": item });
        for path in ["/writeProof", "/verification"] {
            problem_of(kage.post(path, token, &body).await).await;
        }
    }
    // By the client too: another account's hashJwt is an authentication problem.
    kage.run(&alice, &["login"]).await.json();
    assert_eq!(kage.run(&alice, &["--hash-jwt", &bob.empreinte, "verify-hash", &sha256("a")]).await.status, 3);
    // The token and hashJwt are right, the empreinte is not: the documented answers, and nothing is stored.
    let cut = &alice.empreinte[..63];
    for wrong in
        [json!(alice.empreinte.to_uppercase()), json!(cut), json!(format!("{cut}g")), json!(bob.empreinte), json!(1), Value::Null]
    {
        let mut body = json!({ "empreinte": wrong, "hashJwt": alice.empreinte, "hash": sha256("a"), "allDatas": item });
        assert_eq!(kage.ask("/writeProof", &of_alice, &body).await, json!({ "resultat": "Utilisateur introuvable" }));
        let answer = kage.ask("/verification", &of_alice, &body).await;
        assert_eq!(answer["resultat"], "Les informations ne sont pas conformes et ne peuvent donc pas être validées.");
        body["empreinte"] = alice.empreinte.clone().into();
        body["allDatas"][0]["empreinte"] = wrong;
        let answer = kage.ask("/writeProof", &of_alice, &body).await;
        assert_eq!(answer["resultat"], json!({ "a": "Utilisateur introuvable" }));
    }
    assert_eq!(kage.service.stored().await, 0);
    // An identity that was replaced is nobody any more, whatever tokens are about.
    kage.identify(alice.account.clone(), "alice", "nouvelle clef").await;
    let mut body = alice.named();
    body["allDatas"] = item;
    assert_eq!(kage.ask("/writeProof", &of_alice, &body).await["resultat"], "Utilisateur introuvable");
    assert_eq!(kage.ask("/connexionKS", "noJwt", &alice.named()).await["resultat"], "Inconnu");
}

#[tokio::test]
async fn no_dialect_takes_the_tokens_of_the_other() {
    let kage = kage().await;
    let speaker = kage.speaker("alice", Role::Client).await;
    let (own, partner) = (kage.login(&speaker).await, kage.service.token(&speaker.account).await);
    let mut body = speaker.named();
    body["hash"] = sha256("a").into();
    for token in [&*partner, "noJwt", "", &own[..own.len() - 1]] {
        problem_of(kage.post("/verification", token, &body).await).await;
        problem_of(kage.post("/writeProof", token, &body).await).await;
    }
    let bare = kage.client.post(format!("{}/verification", kage.url)).body(body.to_string()).send().await.unwrap();
    problem_of(bare).await;
    let answer = kage.service.get(&format!("/v1/proofs/{}", sha256("a")), &own).await;
    problem(answer, 401, "token_invalid").await;
    assert!(kage.service.get(&format!("/v1/proofs/{}", sha256("a")), &partner).await.status() == StatusCode::NOT_FOUND);
    kage.ask("/verification", &own, &body).await;
}

#[tokio::test]
async fn an_address_that_fails_too_often_has_to_wait() {
    let kage = with(|_| {}, 3).await;
    let speaker = kage.speaker("alice", Role::Client).await;
    let wrong = json!({ "empreinte": sha256("x"), "hashJwt": sha256("x") });
    // From the beginning of a minute, so that the count does not begin anew in between.
    kage.service.clock.advance(60 - i64::from(kage.service.clock.now().second()));
    kage.ask("/connexionKS", "noJwt", &speaker.named()).await;
    for _ in 0..3 {
        assert_eq!(kage.ask("/connexionKS", "noJwt", &wrong).await["resultat"], "Inconnu");
    }
    let answer = kage.post("/connexionKS", "noJwt", &speaker.named()).await;
    let wait: u64 = answer.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait));
    problem_of(answer).await;
    kage.service.clock.advance(60);
    assert_eq!(kage.ask("/connexionKS", "noJwt", &speaker.named()).await["resultat"], "Connecté");
}
