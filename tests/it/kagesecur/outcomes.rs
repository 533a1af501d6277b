//! Every documented outcome, through the client in Python, byte for byte.

use sceau::ledger::accounts::Role;
use sceau::ports::Clock;
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;

use super::kit::{AUTH_LIFE, DIALECT_URL, Speaker, kage, sha256};

/// Of the published page: a file's hash, and under what it is found.
const HASH: &str = "1055333b299feee2c67e46ccda15d0c96370dc6d0efe06b829b3ef9408683715";
const DOUBLED: &str = "8c470831917e833c54370bbbb1ce4434f9a2930a2886cb40d9ed3a4c7f4b17f4";

#[tokio::test]
async fn a_client_written_from_the_page_logs_in_registers_and_verifies() {
    let kage = kage().await;
    let helene = kage.speaker("hélène", Role::Client).await;
    let jwt = r#"eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9."#;
    let login = kage.run(&helene, &["login"]).await;
    assert!(login.text.starts_with(&format!(r#"{{"resultat":"Connecté","gestionnaire":false,"jwt":"{jwt}"#)), "{}", login.text);
    assert_eq!(login.status, 0);

    let (one, two) = (kage.file("contrat signé.pdf", "un"), kage.file("œuvre \"à\" part.txt", "deux"));
    let written = kage.run(&helene, &["write", "localhost", &one, &two]).await;
    assert_eq!(written.text, r#"{"resultat":{"contrat signé.pdf":true,"œuvre \"à\" part.txt":true}}"#);
    let again = kage.run(&helene, &["write", "seal.example", &one]).await;
    assert_eq!(again.text, r#"{"resultat":{"contrat signé.pdf":"Ce document est déjà enregistré."}}"#);

    let found = kage.run(&helene, &["verify", &one]).await;
    let answer = found.json();
    let auth = answer["auth"].as_str().expect("a string").to_owned();
    let doubled = sha256(sha256("un"));
    let expected = format!(
        r#"{{"resultat":"Votre document est enregistré.","date":"{}","validateur":[],"identifiant":"hélène","fileName":"contrat signé.pdf","auth":"{auth}","hashfile":"{doubled}","hashFile":"{doubled}","statut":"en attente","lot":1,"recu":"{DIALECT_URL}/recu/{auth}"}}"#,
        answer["date"].as_str().expect("a date"),
    );
    assert_eq!(found.text, expected);
    // The date is the acceptance's, cut to milliseconds.
    let date = answer["date"].as_str().expect("a date");
    assert!(date.len() == 24 && date.ends_with('Z'), "{date}");
    let stored = kage.service.ledger.proof(helene.account.id, &sha256("un").parse().unwrap()).await.unwrap().unwrap();
    let shown = time::OffsetDateTime::parse(date, &Rfc3339).expect("ISO 8601");
    assert!((stored.received_at - shown).whole_milliseconds() == 0 && shown <= stored.received_at);
    // Seen from the partner API it is the same proof.
    let token = kage.service.token(&helene.account).await;
    let seen: Value = kage.service.get(&format!("/v1/proofs/{}", sha256("un")), &token).await.json().await.unwrap();
    assert_eq!((&seen["file_name"], &seen["batch"]), (&json!("contrat signé.pdf"), &json!(1)));

    kage.service.seal().await;
    assert_eq!(kage.run(&helene, &["verify", &one]).await.json()["statut"], "scellé");
    let absent = kage.file("autre", "autre");
    assert_eq!(kage.run(&helene, &["verify", &absent]).await.text, r#"{"resultat":"Ce document n'est pas enregistré."}"#);
    assert_eq!(
        kage.run(&helene, &["verify-hash", "abc"]).await.text,
        r#"{"resultat":"Les informations ne sont pas conformes et ne peuvent donc pas être validées."}"#
    );
}

#[tokio::test]
async fn the_golden_vector_of_the_page() {
    let kage = kage().await;
    let speaker = kage.speaker("page", Role::Client).await;
    kage.run(&speaker, &["login"]).await.json();
    let body = json!({ "allDatas": [speaker.item(HASH, "fichier.pdf")] });
    assert_eq!(kage.run_with(&speaker, &["write-json"], Some(&body)).await.text, r#"{"resultat":{"fichier.pdf":true}}"#);
    let answer = kage.run(&speaker, &["verify-hash", DOUBLED]).await.json();
    assert_eq!((&answer["resultat"], &answer["hashfile"]), (&json!("Votre document est enregistré."), &json!(DOUBLED)));
    assert_eq!(answer["hashFile"], DOUBLED);
    // Not by the digest itself, nor by SHA-256 of its 32 bytes.
    let raw = sha256(hex::decode(HASH).unwrap());
    for other in [HASH, &raw] {
        assert_eq!(kage.run(&speaker, &["verify-hash", other]).await.json()["resultat"], "Ce document n'est pas enregistré.");
    }
}

#[tokio::test]
async fn nobody_is_logged_in_by_a_wrong_empreinte() {
    let kage = kage().await;
    let speaker = kage.speaker("alice", Role::Client).await;
    let stranger = Speaker { clef: "fausse".into(), ..speaker.clone() };
    let unknown = r#"{"resultat":"Inconnu","gestionnaire":false,"jwt":null}"#;
    assert_eq!(kage.run(&stranger, &["login"]).await.text, unknown);
    let upper = speaker.empreinte.to_uppercase();
    let odd = format!("{}g", &speaker.empreinte[..63]);
    for wrong in [&*upper, &speaker.empreinte[..63], &odd, "", "é"] {
        assert_eq!(kage.run(&speaker, &["--empreinte", wrong, "login"]).await.text, unknown, "{wrong}");
    }
    // The empreinte is right, but hashJwt is not the same.
    let foreign = sha256("x");
    assert_eq!(kage.run(&speaker, &["--hash-jwt", &foreign, "login"]).await.text, unknown);
    for body in [json!({}), json!({ "empreinte": 1, "hashJwt": 1 }), json!({ "empreinte": speaker.empreinte })] {
        assert_eq!(kage.ask("/connexionKS", "noJwt", &body).await["resultat"], "Inconnu", "{body}");
    }
    kage.service.ledger.disable_account("alice").await.unwrap();
    assert_eq!(kage.run(&speaker, &["login"]).await.text, unknown);
}

#[tokio::test]
async fn a_manager_registers_for_its_clients_only() {
    let kage = kage().await;
    let manager = kage.speaker("gérante", Role::Manager).await;
    let (client, other) = (kage.speaker("client", Role::Client).await, kage.speaker("autre", Role::Client).await);
    kage.service.ledger.add_client("gérante", "client").await.unwrap();
    assert_eq!(kage.run(&manager, &["login"]).await.json()["gestionnaire"], true);
    let (a, b, c) = (sha256("a"), sha256("b"), sha256("c"));
    let items = json!([manager.item(&a, "a"), client.item(&b, "b"), other.item(&c, "c")]);
    let body = json!({ "allDatas": items, "checkedExterne": false, "checkedVisible": false });
    let answer = kage.run_with(&manager, &["write-json"], Some(&body)).await;
    assert_eq!(
        answer.text,
        format!(
            r#"{{"resultat":{{"a":true,"b":true,"c":"Utilisateur introuvable"}},"details":[{{"fileName":"a","hash":"{a}","resultat":true}},{{"fileName":"b","hash":"{b}","resultat":true}},{{"fileName":"c","hash":"{c}","resultat":"Utilisateur introuvable","motif":"proprietaire_inconnu"}}]}}"#
        )
    );
    // Each owner finds its own; the manager finds its client's, and is told whose it is.
    let (of_manager, of_client) = (kage.login(&manager).await, kage.login(&client).await);
    let found = kage.verify(&client, &of_client, &sha256(&b)).await;
    assert_eq!((&found["resultat"], &found["identifiant"]), (&json!("Votre document est enregistré."), &json!("client")));
    assert_eq!(kage.verify(&manager, &of_manager, &sha256(&b)).await["identifiant"], "client");
    assert_eq!(kage.verify(&client, &of_client, &sha256(&a)).await["resultat"], "Ce document n'est pas enregistré.");
    assert_eq!(kage.service.stored().await, 2);
    // A client registers for nobody else, not even for its manager.
    let answer = kage.write(&client, &of_client, json!([manager.item(&c, "c"), other.item(&c, "d")])).await;
    assert_eq!(answer["resultat"], json!({ "c": "Utilisateur introuvable", "d": "Utilisateur introuvable" }));
    kage.service.ledger.remove_client("gérante", "client").await.unwrap();
    assert_eq!(
        kage.write(&manager, &of_manager, json!([client.item(&c, "c")])).await["resultat"]["c"],
        "Utilisateur introuvable"
    );
    assert_eq!(kage.verify(&manager, &of_manager, &sha256(&b)).await["resultat"], "Ce document n'est pas enregistré.");
    assert_eq!(kage.service.stored().await, 2);
}

#[tokio::test]
async fn an_expired_subscription_stops_registering_and_nothing_else() {
    let kage = kage().await;
    let speaker = kage.speaker("abonnée", Role::Client).await;
    let manager = kage.speaker("gérante", Role::Manager).await;
    kage.service.ledger.add_client("gérante", "abonnée").await.unwrap();
    kage.run(&speaker, &["login"]).await.json();
    let file = kage.file("avant", "avant");
    kage.run(&speaker, &["write", "localhost", &file]).await.json();
    let until = kage.service.clock.now() + time::Duration::minutes(5);
    kage.service.ledger.set_subscription("abonnée", Some(until)).await.unwrap();
    assert_eq!(kage.run(&speaker, &["login"]).await.json()["resultat"], "Connecté");
    kage.service.clock.advance(300);

    let login = kage.run(&speaker, &["login"]).await;
    assert!(login.text.starts_with(r#"{"resultat":"Abonnement expiré","gestionnaire":false,"jwt":"eyJ"#), "{}", login.text);
    let late = kage.file("après", "après");
    assert_eq!(kage.run(&speaker, &["write", "localhost", &late]).await.text, r#"{"resultat":"Abonnement expiré"}"#);
    assert_eq!(kage.run(&speaker, &["verify", &file]).await.json()["resultat"], "Votre document est enregistré.");
    // Nor does its manager register for it, nor does it by the partner API.
    let token = kage.login(&manager).await;
    let answer = kage.write(&manager, &token, json!([speaker.item(&sha256("x"), "x"), manager.item(&sha256("x"), "y")])).await;
    assert_eq!(answer["resultat"], json!({ "x": "Abonnement expiré", "y": true }));
    let token = kage.service.token(&speaker.account).await;
    let body = json!({ "proofs": [{ "digest": sha256("z") }] });
    crate::api::kit::problem(kage.service.post("/v1/proofs", &token, &body).await, 403, "subscription_expired").await;
    let known = kage.service.get(&format!("/v1/proofs/{}", sha256("avant")), &token).await;
    assert!(known.status().is_success());
    assert_eq!(kage.service.stored().await, 2);
    kage.service.ledger.set_subscription("abonnée", None).await.unwrap();
    assert_eq!(kage.run(&speaker, &["write", "localhost", &late]).await.json()["resultat"], json!({ "après": true }));
}

#[tokio::test]
async fn auth_opens_the_receipt_until_it_expires() {
    let kage = kage().await;
    let speaker = kage.speaker("alice", Role::Client).await;
    let token = kage.login(&speaker).await;
    kage.write(&speaker, &token, json!([speaker.item(HASH, "a")])).await;
    let answer = kage.verify(&speaker, &token, DOUBLED).await;
    let auth = answer["auth"].as_str().expect("a string, not a number").to_owned();
    assert!(auth.len() == 52 && auth.bytes().all(|byte| byte.is_ascii_digit()), "{auth}");
    let made: i64 = auth[..13].parse().unwrap();
    assert!((0..3_600_000).contains(&(kage.service.clock.now().unix_timestamp() * 1000 + 999 - made)), "{auth}");
    // Verified again within the hour, it is the same, and one row.
    assert!(kage.count("certificate_links").await <= 2);
    let get = async |auth: &str| kage.client.get(format!("{}/recu/{auth}", kage.url)).send().await.unwrap();
    let problem = async |answer: reqwest::Response, status: u16| {
        assert_eq!(answer.status().as_u16(), status);
        answer.json::<Value>().await.unwrap()["code"].as_str().unwrap().to_owned()
    };
    assert_eq!(problem(get(&auth).await, 409).await, "receipt_not_ready");
    // The certificate says how far the document is, as the partner API's.
    let certificate = async |auth: &str| {
        let request = kage.client.get(format!("{}/certificat/{auth}", kage.url)).header("accept-language", "fr");
        request.send().await.unwrap()
    };
    let pdf = certificate(&auth).await;
    assert_eq!(pdf.headers()["content-type"], "application/pdf");
    assert_eq!(pdf.headers()["content-language"], "fr");
    assert!(pdf.bytes().await.unwrap().starts_with(b"%PDF-"));
    assert_eq!(problem(certificate(&auth[..51]).await, 404).await, "link_unknown");
    let mut wrong = auth.clone().into_bytes();
    wrong[51] = if wrong[51] == b'0' { b'1' } else { b'0' };
    for wrong in [String::from_utf8(wrong).unwrap(), auth[..19].into(), format!("{auth}0"), "0".repeat(52), "x".into()] {
        assert_eq!(problem(get(&wrong).await, 404).await, "link_unknown");
    }
    kage.service.clock.advance(AUTH_LIFE as i64);
    assert_eq!(problem(get(&auth).await, 409).await, "receipt_not_ready", "it is good for its whole life");
    kage.service.clock.advance(3600);
    assert_eq!(problem(get(&auth).await, 404).await, "link_unknown");
    assert_eq!(problem(certificate(&auth).await, 404).await, "link_unknown");
    // A later verification gives another, and clears the old one away.
    let token = kage.login(&speaker).await;
    let later = kage.verify(&speaker, &token, DOUBLED).await["auth"].as_str().unwrap().to_owned();
    assert_ne!(later, auth);
    assert_eq!(kage.count("certificate_links where expires_at < now()").await, 0);
}
