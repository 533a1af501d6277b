//! Validators named by the manager of an account, over the API and by the command line.

use reqwest::{Method, StatusCode};
use sceau::ledger::accounts::Role;
use serde_json::{Value, json};

use super::flow::place;
use crate::api::kit::{Account, Service, digest, forgetful, problem};

/// A manager with its clients, which are there already.
async fn manager(service: &Service, name: &str, clients: &[&str]) -> (Account, String) {
    let account = service.account(name, Role::Manager).await;
    for client in clients {
        service.ledger.add_client(name, client).await.unwrap();
    }
    let token = service.token(&account).await;
    (account, token)
}

async fn put(service: &Service, path: &str, token: &str) -> reqwest::Response {
    service.send(Method::PUT, path, token, None).await
}

async fn delete(service: &Service, path: &str, token: &str) -> reqwest::Response {
    service.send(Method::DELETE, path, token, None).await
}

async fn require(service: &Service, path: &str, token: &str, approvals: Value) -> reqwest::Response {
    service.send(Method::PUT, path, token, Some(json!({ "approvals_needed": approvals }).to_string())).await
}

async fn names(answer: reqwest::Response) -> Vec<String> {
    assert!(answer.status().is_success());
    let list: Value = answer.json().await.unwrap();
    list["validators"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap().into()).collect()
}

#[tokio::test]
async fn a_manager_names_validators_for_itself_and_its_clients() {
    let service = forgetful().await;
    let (_, client) = service.partner("acme & fils").await;
    let (_, boss) = manager(&service, "gérante", &["acme & fils"]).await;
    let notary = service.account("Maître Dupont", Role::Validator).await;
    let own = "/v1/validators";
    let of_client = "/v1/validators?account=acme%20%26%20fils";
    let list: Value = service.json(own, &boss).await;
    let empty = json!({ "account": "gérante", "approvals_needed": 1, "enough": false, "validators": [] });
    assert_eq!(list, empty);

    // By its key; its name says nothing to this manager yet.
    let by_key = |key: &str| format!("/v1/validators/{key}?account=acme%20%26%20fils");
    let by_name = "/v1/validators/Ma%C3%AEtre%20Dupont";
    problem(put(&service, by_name, &boss).await, 404, "validator_unknown").await;
    let named = put(&service, &by_key(&notary.key), &boss).await;
    assert_eq!(named.status(), StatusCode::CREATED);
    let named: Value = named.json().await.unwrap();
    assert_eq!((&named["account"], &named["enough"]), (&json!("acme & fils"), &json!(true)));
    assert_eq!((&named["validators"][0]["name"], &named["validators"][0]["active"]), (&json!("Maître Dupont"), &json!(true)));
    let again = put(&service, &by_key(&notary.key), &boss).await;
    assert_eq!((again.status(), again.json::<Value>().await.unwrap()), (StatusCode::OK, named), "repeating it changes nothing");
    // Known from the client, the name is enough.
    assert_eq!(put(&service, by_name, &boss).await.status(), StatusCode::CREATED);
    assert_eq!(names(service.get(own, &boss).await).await, ["Maître Dupont"]);

    // It decides.
    let wish = |number| json!({ "proofs": [{ "digest": digest(number) }], "validation": true });
    let (status, waiting) = service.propose(&client, &wish(1)).await;
    assert_eq!(status, 201);
    let id = waiting[0]["validation"]["id"].as_str().unwrap().to_owned();
    let token = service.token(&notary).await;
    assert_eq!(service.json("/v1/validations", &token).await["validations"][0]["id"], *id);

    // More approvals than validators: nothing new can wait, and what waits keeps its number.
    let rule = require(&service, of_client, &boss, 2.into()).await;
    assert_eq!(rule.json::<Value>().await.unwrap()["enough"], false);
    problem(service.post("/v1/proofs", &client, &wish(2)).await, 409, "validators_missing").await;
    for wrong in [json!(0), json!(11), json!(-1), json!("2"), Value::Null] {
        problem(require(&service, of_client, &boss, wrong).await, 422, "body_invalid").await;
    }

    // Without its validator the document waits on; it is told nobody, and nothing is lost.
    assert!(names(delete(&service, &by_key(&notary.key), &boss).await).await.is_empty());
    problem(delete(&service, &by_key(&notary.key), &boss).await, 404, "validator_unknown").await;
    problem(service.decide(&token, &id, "approve").await, 404, "validation_unknown").await;
    let path = format!("/v1/proofs/{}", digest(1));
    assert_eq!(service.json(&path, &client).await["validation"]["approvals_needed"], 1);
    // Removed, not forgotten: the manager still knows the name, and the row of before is kept.
    assert_eq!(put(&service, &format!("{by_name}?account=acme%20%26%20fils"), &boss).await.status(), StatusCode::CREATED);
    let rows: i64 = sqlx::query_scalar("select count(*) from validators").fetch_one(&service.database.pool).await.unwrap();
    assert_eq!(rows, 3);
    assert_eq!(service.decide(&token, &id, "approve").await.status(), StatusCode::OK);
    assert_eq!(service.json(&path, &client).await["status"], "pending");
}

#[tokio::test]
async fn nobody_learns_of_accounts_that_are_not_its_own() {
    let service = forgetful().await;
    for name in ["mine", "theirs", "nobody's"] {
        service.partner(name).await;
    }
    let (_, boss) = manager(&service, "boss", &["mine"]).await;
    let (rival, other) = manager(&service, "rival", &["theirs"]).await;
    let notary = service.account("notary", Role::Validator).await;
    service.ledger.add_validator("theirs", "notary").await.unwrap();
    let said = |mut body: Value| {
        body.as_object_mut().unwrap().remove("request_id");
        body
    };
    // Another manager's client, another manager, an account without one, no account at all, and one that is disabled.
    service.partner("gone").await;
    service.ledger.add_client("boss", "gone").await.unwrap();
    service.ledger.disable_account("gone").await.unwrap();
    let mut answers = Vec::new();
    for account in ["theirs", "rival", "nobody's", "absent", "gone", "", "a%00b"] {
        for (method, path, body) in [
            (Method::GET, "/v1/validators".to_owned(), None),
            (Method::PUT, "/v1/validators".to_owned(), Some(json!({ "approvals_needed": 3 }).to_string())),
            (Method::PUT, format!("/v1/validators/{}", notary.key), None),
            (Method::DELETE, format!("/v1/validators/{}", notary.key), None),
        ] {
            let answer = service.send(method, &format!("{path}?account={account}"), &boss, body).await;
            answers.push(said(problem(answer, 404, "account_unknown").await));
        }
    }
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "not told apart");
    // Validators of others by name, no validators, nobody: told in one word too.
    service.account("former", Role::Validator).await;
    service.ledger.disable_account("former").await.unwrap();
    let (partner, of_partner) = service.partner("partner").await;
    let mut answers = Vec::new();
    for meant in ["notary", "former", "partner", &partner.key, "boss", "mine", "absent", "ck_a", "a%00b", &rival.key] {
        let path = format!("/v1/validators/{meant}?account=mine");
        answers.push(said(problem(put(&service, &path, &boss).await, 404, "validator_unknown").await));
        answers.push(said(problem(delete(&service, &path, &boss).await, 404, "validator_unknown").await));
    }
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "not told apart");
    // Nor does a manager take away what another named, when both have the client.
    assert_eq!(names(service.get("/v1/validators?account=theirs", &other).await).await, ["notary"]);
    // Only managers.
    for path in ["/v1/validators", "/v1/validators?account=mine"] {
        problem(service.get(path, &of_partner).await, 403, "scope_missing").await;
    }
    for query in ["?client=mine", "?account=mine&account=theirs", "?account=mine&x=1"] {
        problem(service.get(&format!("/v1/validators{query}"), &boss).await, 400, "query_invalid").await;
    }
    // A manager that lost a client lost its say.
    assert_eq!(put(&service, &format!("/v1/validators/{}?account=mine", notary.key), &boss).await.status(), 201);
    service.ledger.remove_client("boss", "mine").await.unwrap();
    problem(service.get("/v1/validators?account=mine", &boss).await, 404, "account_unknown").await;
    problem(put(&service, "/v1/validators/notary", &boss).await, 404, "validator_unknown").await;
    let rows: i64 = sqlx::query_scalar("select count(*) from validators").fetch_one(&service.database.pool).await.unwrap();
    assert_eq!(rows, 2, "nothing else was written");
}

#[tokio::test]
async fn a_disabled_validator_is_none() {
    let service = forgetful().await;
    let (_, client) = service.partner("acme").await;
    let (_, boss) = manager(&service, "boss", &["acme"]).await;
    let notary = service.account("notary", Role::Validator).await;
    put(&service, &format!("/v1/validators/{}?account=acme", notary.key), &boss).await;
    service.ledger.disable_account("notary").await.unwrap();
    let list = service.json("/v1/validators?account=acme", &boss).await;
    assert_eq!((&list["enough"], &list["validators"][0]["active"]), (&json!(false), &json!(false)));
    let wish = json!({ "proofs": [{ "digest": digest(1) }], "validation": true });
    problem(service.post("/v1/proofs", &client, &wish).await, 409, "validators_missing").await;
    problem(service.get(&format!("/v1/proofs/{}", digest(1)), &client).await, 404, "proof_unknown").await;
    assert!(names(delete(&service, "/v1/validators/notary?account=acme", &boss).await).await.is_empty(), "it can be removed");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_names_validators() {
    let service = forgetful().await;
    service.partner("acme & fils").await;
    let (boss, _) = manager(&service, "boss", &["acme & fils"]).await;
    let notary = service.account("Maître Dupont", Role::Validator).await;
    let desk = place(&service, &boss);
    let run = |arguments: &[&str]| desk.run(&[&["validators"], arguments].concat());
    run(&["list", "--account", "acme & fils"]).ends(0).says(&["needs 1 approvals and has 0"]);
    let added = run(&["add", "-a", "acme & fils", &notary.key]);
    assert!(added.ends(0).stdout.starts_with("Maître Dupont  since 20"), "{}", added.stdout);
    run(&["require", "-a", "acme & fils", "2"]).ends(0).says(&["needs 2 approvals and has 1"]);
    run(&["require", "-a", "acme & fils", "11"]).ends(2);
    let listed = run(&["list", "-a", "acme & fils", "--json"]).ends(0).json();
    assert_eq!((&listed[0]["approvals_needed"], &listed[0]["validators"][0]["name"]), (&json!(2), &json!("Maître Dupont")));
    run(&["add", "-a", "nobody", &notary.key]).ends(1).briefly().says(&["No such account"]);
    run(&["add", "somebody"]).ends(1).briefly().says(&["No such validator"]);
    assert_eq!(run(&["remove", "-a", "acme & fils", "Maître Dupont"]).ends(0).stdout, "");
    run(&["remove", "-a", "acme & fils", "Maître Dupont"]).ends(1).briefly();
}
