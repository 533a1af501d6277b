//! Erasing: nothing of it is left anywhere, and neighbours do not notice.

use reqwest::{Method, StatusCode};
use sceau_verifier::{Digest, receipt};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Row};

use super::kit::{Service, digest, problem, service};
use super::receipt::{REGISTRY, finish, include, target};

/// Every row of every table as text.
async fn dump(service: &Service) -> String {
    let tables: Vec<String> =
        sqlx::query_scalar("select table_name::text from information_schema.tables where table_schema = 'public'")
            .fetch_all(&service.database.pool)
            .await
            .unwrap();
    assert!(tables.len() > 20, "{tables:?}");
    let mut all = String::new();
    for table in tables {
        let rows = sqlx::query(AssertSqlSafe(format!("select row_to_json(t)::text from {table} t")));
        for row in rows.fetch_all(&service.database.pool).await.unwrap() {
            all.push_str(&format!("{table} {}\n", row.get::<String, _>(0)));
        }
    }
    all
}

/// The tables that hold `text`, as text or as bytes.
fn holding(dump: &str, text: &str) -> Vec<String> {
    let bytes = hex::encode(text);
    let lines = dump.lines().filter(|line| line.contains(text) || line.contains(&bytes));
    let mut tables: Vec<String> = lines.map(|line| line.split(' ').next().unwrap().to_owned()).collect();
    tables.dedup();
    tables
}

async fn erase(service: &Service, token: &str, number: u64) -> reqwest::Response {
    service.send(Method::DELETE, &format!("/v1/proofs/{}?irrevocable=true", digest(number)), token, None).await
}

/// Makes a batch of what waits, final.
async fn finalize(service: &Service) {
    let target = target(service, 31_337, REGISTRY).await;
    let batch = service.seal().await;
    let anchored = include(service, target, batch, 31_337, REGISTRY).await;
    finish(service, target, batch, &anchored).await;
}

#[tokio::test]
async fn what_is_erased_is_nowhere_any_more_and_neighbours_stay_verifiable() {
    let service = service().await;
    let (account, token) = service.partner("a").await;
    let (_, other) = service.partner("b").await;
    target(&service, 31_337, REGISTRY).await;
    service.ledger.set_identity(&account.name, "etude@example", &[9; 32]).await.unwrap();
    let item = json!({
        "digest": digest(1), "file_name": "secret-name.pdf", "reference": "secret-reference", "labels": ["secret-label", "kept"],
        "metadata": { "secret-member": "secret-value" },
    });
    let kept = json!({ "digest": digest(2), "file_name": "kept-name.pdf", "labels": ["kept"] });
    let body = json!({ "proofs": [item, kept] }).to_string();
    let request = service.client.post(format!("{}/v1/proofs", service.base)).bearer_auth(&token);
    let request = request.header("content-type", "application/json").header("idempotency-key", "k1").body(body.clone());
    let answer: Value = request.send().await.unwrap().json().await.unwrap();
    service.submit(&other, &[digest(1)]).await;
    let salt = answer["proofs"][0]["salt"].as_str().unwrap().to_owned();
    for statement in [
        format!(
            "insert into declared_dates (account_id, digest, declared_at) values ({}, '\\x{}', now())",
            account.id.0,
            digest(1)
        ),
        format!(
            "insert into certificate_links (auth_hash, account_id, digest, expires_at) values (sha256('x'), {}, '\\x{}', now() + interval '1 h')",
            account.id.0,
            digest(1)
        ),
    ] {
        sqlx::query(AssertSqlSafe(statement)).execute(&service.database.pool).await.unwrap();
    }
    let before = dump(&service).await;
    for table in ["proofs", "idempotency_keys"] {
        assert!(holding(&before, &salt).contains(&table.into()), "{table} held it: {:?}", holding(&before, &salt));
    }
    for table in ["proof_details", "proof_labels"] {
        assert!(holding(&before, "secret-").contains(&table.into()), "{table} held it");
    }

    // Not before nothing remains to be done with it, and not by accident.
    problem(erase(&service, &token, 1).await, 409, "erasure_too_early").await;
    finalize(&service).await;
    let path = format!("/v1/proofs/{}", digest(1));
    problem(service.send(Method::DELETE, &path, &token, None).await, 400, "confirmation_missing").await;
    problem(service.send(Method::DELETE, &format!("{path}?irrevocable=false"), &token, None).await, 400, "confirmation_missing")
        .await;
    problem(service.send(Method::DELETE, &format!("{path}?sure=true"), &token, None).await, 400, "query_invalid").await;
    problem(erase(&service, &token, 7).await, 404, "proof_unknown").await;
    let neighbour = format!("/v1/proofs/{}/receipt", digest(2));
    let receipt_before = service.get(&neighbour, &token).await.bytes().await.unwrap();
    let others = service.get(&format!("{path}/receipt"), &other).await.bytes().await.unwrap();

    let erased = erase(&service, &token, 1).await;
    assert_eq!(erased.status(), StatusCode::OK);
    let erased: Value = erased.json().await.unwrap();
    assert_eq!((&erased["digest"], &erased["batch"]), (&digest(1).to_string().into(), &1.into()));

    let after = dump(&service).await;
    for secret in [&*salt, "secret-"] {
        assert_eq!(holding(&after, secret), [""; 0], "{secret}");
    }
    assert_eq!(holding(&after, "kept-name.pdf"), ["proof_details"]);
    // Who knows the digest can be told that it was erased; it stands nowhere else but where others put it.
    let doubled = sceau_verifier::Digest::of(digest(1).to_string().as_bytes());
    assert_eq!(holding(&after, &doubled.to_string()), [""; 0]);

    for path in [path.clone(), format!("{path}/receipt"), format!("{path}/certificate")] {
        let gone = problem(service.get(&path, &token).await, 410, "proof_erased").await;
        assert_eq!((&gone["number"], &gone["erased_at"]), (&erased["number"], &erased["erased_at"]));
    }
    problem(service.post("/v1/verify", &token, &json!({ "digest": digest(1) })).await, 410, "proof_erased").await;
    // Repeating is safe.
    assert_eq!(erase(&service, &token, 1).await.json::<Value>().await.unwrap(), erased);
    let listed: Value = service.get("/v1/proofs?limit=1", &token).await.json().await.unwrap();
    let first = &listed["proofs"][0];
    assert_eq!(
        (&first["digest"], &first["erased_at"], &first["status"]),
        (&erased["digest"], &erased["erased_at"], &"final".into())
    );
    assert!(first.get("salt").is_none() && first.get("file_name").is_none() && first.get("links").is_none(), "{first}");
    let labelled: Value = service.get("/v1/proofs?label=kept", &token).await.json().await.unwrap();
    assert_eq!(labelled["proofs"].as_array().unwrap().len(), 1);

    assert_eq!(service.get(&neighbour, &token).await.bytes().await.unwrap(), receipt_before);
    receipt::parse(&receipt_before).unwrap();
    assert_eq!(
        service.get(&format!("{path}/receipt"), &other).await.bytes().await.unwrap(),
        others,
        "the same document of another"
    );

    // Submitted again, it is a new proof; the key that told the salt is forgotten.
    let again = service.submit(&token, &[digest(1)]).await;
    assert_eq!((&again[0]["created"], &again[0]["number"]), (&true.into(), &3.into()));
    assert_ne!(again[0]["salt"], salt);
    assert_eq!(service.get(&path, &token).await.status(), StatusCode::OK);
    finalize(&service).await;
    let second: Value = erase(&service, &token, 1).await.json().await.unwrap();
    assert_eq!(second["number"], 3);
    assert_eq!(
        service.get("/v1/proofs?limit=9", &token).await.json::<Value>().await.unwrap()["proofs"].as_array().unwrap().len(),
        3
    );
}

#[tokio::test]
async fn what_validators_approved_is_erased_and_what_they_said_stays() {
    let service = service().await;
    let (owner, token) = service.partner("owner").await;
    let validator = service.account("validator", sceau::ledger::accounts::Role::Validator).await;
    service.ledger.add_validator(&owner.name, &validator.name).await.unwrap();
    target(&service, 31_337, REGISTRY).await;
    let item = json!({ "digest": digest(1), "file_name": "secret-name.pdf", "validation": true });
    let answer: Value = service.post("/v1/proofs", &token, &json!({ "proofs": [item] })).await.json().await.unwrap();
    let (salt, id) = (answer["proofs"][0]["salt"].as_str().unwrap(), answer["proofs"][0]["validation"]["id"].as_str().unwrap());
    let waiting = problem(erase(&service, &token, 1).await, 409, "erasure_too_early").await;
    assert_eq!(waiting["proof_status"], "awaiting_validation");
    let says = service.token(&validator).await;
    let decided: Value =
        service.post(&format!("/v1/validations/{id}"), &says, &json!({ "decision": "approve" })).await.json().await.unwrap();
    assert_eq!(decided["state"], json!(sceau::ledger::validations::State::Accepted));
    finalize(&service).await;
    let decision = decided["decisions"][0]["digest"].as_str().unwrap();
    let path = format!("/v1/proofs/{decision}?irrevocable=true");
    problem(service.send(Method::DELETE, &path, &token, None).await, 409, "decision_kept").await;
    assert_eq!(erase(&service, &token, 1).await.status(), StatusCode::OK);
    let after = dump(&service).await;
    for secret in [salt, "secret-"] {
        assert_eq!(holding(&after, secret), [""; 0], "{secret}");
    }
    problem(service.get(&format!("/v1/proofs/{}", digest(1)), &token).await, 410, "proof_erased").await;
    assert_eq!(service.get(&format!("/v1/proofs/{decision}/receipt"), &token).await.status(), StatusCode::OK);
    // It may go to them again.
    let item = json!({ "digest": digest(1), "validation": true });
    let again: Value = service.post("/v1/proofs", &token, &json!({ "proofs": [item] })).await.json().await.unwrap();
    assert_eq!((&again["proofs"][0]["status"], &again["proofs"][0]["created"]), (&"awaiting_validation".into(), &true.into()));
}

/// The hash of a proof's leaf, as everybody can compute it who knows its salt.
fn leaf(digest: &Digest, acknowledged: &Value) -> Digest {
    let salt = hex::decode(acknowledged["salt"].as_str().unwrap()).unwrap();
    Digest::of(&[&[0][..], digest.as_ref(), &salt].concat())
}

#[tokio::test]
async fn a_leaf_is_a_digest_like_any_other_and_in_nobody_s_way() {
    let service = service().await;
    let (owner, token) = service.partner("owner").await;
    let validator = service.account("validator", sceau::ledger::accounts::Role::Validator).await;
    service.ledger.add_validator(&owner.name, &validator.name).await.unwrap();
    target(&service, 31_337, REGISTRY).await;
    let answer = service.submit(&token, &[digest(1), digest(2), digest(3)]).await;
    let leaves: Vec<Digest> = (1..=3).zip(&answer).map(|(number, told)| leaf(&digest(number), told)).collect();
    // Before the proofs are erased: as a proof, and as a document that waits.
    service.submit(&token, &leaves[..1]).await;
    let wait = |leaf: &Digest| json!({ "proofs": [{ "digest": leaf, "validation": true }] });
    assert_eq!(service.post("/v1/proofs", &token, &wait(&leaves[1])).await.status(), StatusCode::CREATED);
    finalize(&service).await;
    for number in 1..=3 {
        assert_eq!(erase(&service, &token, number).await.status(), StatusCode::OK);
        problem(service.get(&format!("/v1/proofs/{}", digest(number)), &token).await, 410, "proof_erased").await;
    }
    // And after.
    problem(service.get(&format!("/v1/proofs/{}", leaves[2]), &token).await, 404, "proof_unknown").await;
    assert_eq!(service.post("/v1/proofs", &token, &wait(&leaves[2])).await.status(), StatusCode::CREATED);
    for leaf in &leaves[..1] {
        let again = service.submit(&token, &[*leaf]).await;
        assert_eq!(again[0]["created"], false, "{again:?}");
        let path = format!("/v1/proofs/{leaf}?irrevocable=true");
        assert_eq!(service.send(Method::DELETE, &path, &token, None).await.status(), StatusCode::OK);
        assert_eq!(service.submit(&token, &[*leaf]).await[0]["created"], true);
    }
}
