//! The core API: what a manager may do, to whom, and what the log says about it.

use sceau::audit;
use sceau::ledger::accounts::Role;
use serde_json::{Value, json};
use sqlx::Executor;

use super::kit::{Account, Service, core_of, problem, start};

/// A service whose routes are those of the managers' listener, and two managers.
async fn offices() -> (Service, (Account, String), (Account, String)) {
    let service = core_of(&start(false, |_| {}).await, |_| {}).await;
    let mut managers = Vec::new();
    for name in ["first", "second"] {
        let account = service.account(name, Role::Manager).await;
        let token = service.token(&account).await;
        managers.push((account, token));
    }
    let second = managers.pop().unwrap();
    (service, managers.pop().unwrap(), second)
}

async fn made(service: &Service, token: &str, name: &str) -> Value {
    let answer = service.post("/core/v1/accounts", token, &json!({ "name": name, "role": "client" })).await;
    assert_eq!(answer.status(), 201);
    answer.json().await.unwrap()
}

async fn put(service: &Service, path: &str, token: &str, body: Value) -> reqwest::Response {
    service.send(reqwest::Method::PUT, path, token, Some(body.to_string())).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manager_administers_what_it_made_and_nothing_else() {
    let (service, (first, token), (_, other)) = offices().await;
    let made = made(&service, &token, "acme").await;
    let id = made["account"]["id"].as_i64().unwrap();
    let path = format!("/core/v1/accounts/{id}");
    // The credential works.
    let client = Account {
        id: first.id,
        name: "acme".into(),
        key: made["credential"]["consumer_key"].as_str().unwrap().into(),
        secret: made["credential"]["consumer_secret"].as_str().unwrap().into(),
    };
    service.token(&client).await;
    problem(service.post("/core/v1/accounts", &other, &json!({ "name": "acme", "role": "client" })).await, 409, "name_taken")
        .await;
    let refused = service.post("/core/v1/accounts", &token, &json!({ "name": "boss", "role": "manager" })).await;
    problem(refused, 422, "body_invalid").await;

    // A second credential, not a third; the first goes.
    let credentials = format!("{path}/credentials");
    assert_eq!(service.post(&credentials, &token, &json!(null)).await.status(), 201);
    problem(service.post(&credentials, &token, &json!(null)).await, 409, "credentials_full").await;
    let gone = format!("{credentials}/{}", client.key);
    for _ in 0..2 {
        assert_eq!(service.send(reqwest::Method::DELETE, &gone, &token, None).await.status(), 204);
    }
    let unknown = service.send(reqwest::Method::DELETE, &format!("{credentials}/ck_none"), &token, None).await;
    problem(unknown, 404, "credential_unknown").await;

    // Networks, limits, subscription.
    let networks = format!("{path}/networks");
    assert_eq!(put(&service, &networks, &token, json!({ "networks": ["192.0.2.0/24"] })).await.status(), 200);
    problem(put(&service, &networks, &token, json!({ "networks": ["192.0.2.1/24"] })).await, 422, "body_invalid").await;
    let limits = format!("{path}/limits");
    assert_eq!(put(&service, &limits, &token, json!({ "digests_per_day": 5 })).await.status(), 200);
    problem(put(&service, &limits, &token, json!({ "requests_per_second": 1_001 })).await, 422, "body_invalid").await;
    let subscription = format!("{path}/subscription");
    let until = json!({ "until": "2027-12-31T23:59:59Z" });
    assert_eq!(put(&service, &subscription, &token, until.clone()).await.json::<Value>().await.unwrap(), until);
    let change = service.send(reqwest::Method::PATCH, &path, &token, Some(json!({ "disabled": true }).to_string())).await;
    assert_eq!(change.status(), 200);
    let seen: Value = service.get(&path, &token).await.json().await.unwrap();
    assert!(seen["disabled_at"].is_string());
    assert_eq!((&seen["networks"], &seen["limits"]["digests_per_day"]), (&json!(["192.0.2.0/24"]), &json!(5)));

    // The other manager sees none of it, nor does a manager whose client it merely is.
    let list: Value = service.get("/core/v1/accounts", &other).await.json().await.unwrap();
    assert_eq!(list, json!({ "accounts": [], "next": null }));
    service.ledger.add_client("second", "acme").await.unwrap();
    for (method, tail, body) in [
        ("GET", "", None),
        ("PATCH", "", Some("{}")),
        ("GET", "/credentials", None),
        ("POST", "/credentials", None),
        ("DELETE", "/credentials/ck_none", None),
        ("DELETE", "/tokens", None),
        ("GET", "/networks", None),
        ("PUT", "/networks", Some(r#"{"networks":[]}"#)),
        ("GET", "/limits", None),
        ("PUT", "/limits", Some("{}")),
        ("GET", "/subscription", None),
        ("PUT", "/subscription", Some(r#"{"until":null}"#)),
    ] {
        let ask = async |id: i64| {
            let path = format!("/core/v1/accounts/{id}{tail}");
            let answer = service.send(method.parse().unwrap(), &path, &other, body.map(str::to_owned)).await;
            let mut problem = problem(answer, 404, "account_unknown").await;
            problem["request_id"] = Value::Null;
            problem
        };
        assert_eq!(ask(id).await, ask(99_999).await, "{method} {tail}");
    }
    let log: Value = service.get("/core/v1/log", &other).await.json().await.unwrap();
    assert!(log["log"].as_array().unwrap().iter().all(|row| row["event"]["account"] != id), "{log}");
    service.ledger.let_administer("second", "acme", true).await.unwrap();
    assert_eq!(service.get(&path, &other).await.status(), 200);

    // The log tells it all, in the manager's name, and no secret.
    let log = service.get("/core/v1/log?limit=200", &token).await.text().await.unwrap();
    let all: Value = serde_json::from_str(&log).unwrap();
    let actions: Vec<&str> = all["log"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|row| row["event"]["actor"] == format!("account {}", first.id.0))
        .filter_map(|row| row["event"]["action"].as_str())
        .collect();
    for action in ["account.created", "client.created", "credential.created", "credential.changed", "account.changed"] {
        assert!(actions.contains(&action), "{action}: {actions:?}");
    }
    assert!(!log.contains(&client.secret) && !log.contains("secret_hash") && log.contains("127.0.0.1"));
}

/// No account gets more than its manager has.
#[tokio::test(flavor = "multi_thread")]
async fn a_manager_gives_no_more_than_it_has() {
    let (service, (_, token), _) = offices().await;
    let until = time::macros::datetime!(2027-06-30 00:00 UTC);
    service.ledger.set_subscription("first", Some(until)).await.unwrap();
    let service = core_of(&service, |_| {}).await;
    let made = made(&service, &token, "acme").await;
    assert_eq!(made["account"]["subscribed_until"], "2027-06-30T00:00:00Z");
    let path = format!("/core/v1/accounts/{}/subscription", made["account"]["id"]);
    for until in [json!(null), json!("2027-06-30T00:00:01Z")] {
        problem(put(&service, &path, &token, json!({ "until": until })).await, 422, "body_invalid").await;
    }
    assert_eq!(put(&service, &path, &token, json!({ "until": "2027-06-30T00:00:00Z" })).await.status(), 200);
}

/// The first bad row is named, whatever was done to it.
#[tokio::test(flavor = "multi_thread")]
async fn an_audit_names_the_first_row_of_the_log_that_is_not_as_it_was() {
    let service = start(false, |_| {}).await;
    for name in ["one", "two", "three"] {
        service.account(name, Role::Partner).await;
    }
    let report = audit::run(&service.ledger, &[], |_| {}).await.unwrap();
    assert_eq!((report.log, report.count), (6, 0));
    for refused in ["update audit_log set entry = '{}'", "delete from audit_log", "truncate audit_log"] {
        assert!(service.database.pool.execute(refused).await.is_err(), "{refused}");
    }
    let (_, head) = service.ledger.log_head().await.unwrap();
    for (forgery, found) in [
        ("update audit_log set entry = replace(entry, 'two', 'TWO') where number = 3", "number=3"),
        ("update audit_log set account_id = 9 where number = 4", "number=4"),
        ("delete from audit_log where number = 2", "number=3"),
        ("delete from audit_log where number = 6", "number=6"),
        (
            "update audit_log set entry = e, hash = sha256(previous || convert_to(e, 'UTF8')) from (select replace(entry, 'two', 'TWO') as e from audit_log where number = 3) n where number = 3",
            "number=4",
        ),
    ] {
        let mut transaction = service.database.pool.begin().await.unwrap();
        // What somebody can do who may do everything.
        transaction.execute("alter table audit_log disable trigger all").await.unwrap();
        transaction.execute("alter table audit_log drop constraint audit_log_hash_is_of_entry").await.unwrap();
        transaction.execute("create table saved as table audit_log").await.unwrap();
        transaction.execute(forgery).await.unwrap();
        transaction.commit().await.unwrap();
        let report = audit::run(&service.ledger, &[], |_| {}).await.unwrap();
        assert_eq!(
            report.findings.first().map(|finding| (finding.table, &*finding.key)),
            Some(("audit_log", found)),
            "{forgery}"
        );
        let mut transaction = service.database.pool.begin().await.unwrap();
        transaction.execute("delete from audit_log").await.unwrap();
        transaction.execute("insert into audit_log table saved").await.unwrap();
        transaction.execute("drop table saved").await.unwrap();
        transaction.execute("alter table audit_log add constraint audit_log_hash_is_of_entry check (hash = sha256(previous || convert_to(entry, 'UTF8')))").await.unwrap();
        transaction.execute("alter table audit_log enable trigger all").await.unwrap();
        transaction.commit().await.unwrap();
    }

    // A sealed head that the rows do not lead to: the whole chain was written anew.
    let digest = service.ledger.head_to_seal(0).await.unwrap().unwrap();
    assert_eq!(digest, head.into());
    sqlx::query("select accept_proofs(array[0::bigint], array[$1::bytea], array[$2::bytea], null)")
        .bind(&head[..])
        .bind(&[7_u8; 16][..])
        .execute(&service.database.pool)
        .await
        .unwrap();
    assert_eq!(service.ledger.head_to_seal(0).await.unwrap(), None, "nothing happened since");
    assert!(audit::run(&service.ledger, &[], |_| {}).await.unwrap().is_clean());
    let mut transaction = service.database.pool.begin().await.unwrap();
    for statement in [
        "alter table audit_log disable trigger all",
        "alter table audit_head disable trigger all",
        "delete from audit_log",
        "update audit_head set number = 0, hash = decode(repeat('00', 32), 'hex')",
        "select note('operator', 'account.created', 1, '{}')",
    ] {
        transaction.execute(statement).await.unwrap();
    }
    transaction.commit().await.unwrap();
    let report = audit::run(&service.ledger, &[], |_| {}).await.unwrap();
    assert_eq!((report.count, report.findings[0].key.starts_with("hash=0x")), (1, true), "{:?}", report.findings);
}

/// Whoever appends at the same time waits for the other; none is lost, and nobody waits for ever.
#[tokio::test(flavor = "multi_thread")]
async fn changes_at_the_same_time_are_one_chain() {
    let service = start(false, |_| {}).await;
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..40_u32 {
        let ledger = service.ledger.clone();
        tasks.spawn(async move {
            let name = format!("account {number}");
            let mut hash = [0; 32];
            hash[0] = number as u8;
            ledger.create_account(&name, Role::Partner, &format!("ck_{number}"), hash).await.unwrap();
            ledger.set_basic(&name, true).await.unwrap();
            ledger.disable_account(&name).await.unwrap();
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    let report = audit::run(&service.ledger, &[], |_| {}).await.unwrap();
    assert_eq!((report.log, report.count), (160, 0), "{:?}", report.findings);
}

#[tokio::test(flavor = "multi_thread")]
async fn validators_are_named_on_the_managers_listener_too() {
    let (service, (_, token), (_, other)) = offices().await;
    made(&service, &token, "acme").await;
    let notary = service.account("notary", Role::Validator).await;
    let path = |validator: &str| format!("/v1/validators{validator}?account=acme");
    let named = put(&service, &path(&format!("/{}", notary.key)), &token, json!(null)).await;
    assert_eq!(named.status(), 201);
    let list: Value = service.get(&path(""), &token).await.json().await.unwrap();
    assert_eq!((&list["account"], &list["validators"][0]["name"]), (&json!("acme"), &json!("notary")));
    problem(service.get(&path(""), &other).await, 404, "account_unknown").await;
}

/// Only that the router has the routes of this listener, not those of the partners'.
#[tokio::test(flavor = "multi_thread")]
async fn the_listeners_have_their_own_routes() {
    let partners = start(false, |_| {}).await;
    let core = core_of(&partners, |_| {}).await;
    let manager = core.account("manager", Role::Manager).await;
    let token = core.token(&manager).await;
    problem(partners.get("/core/v1/accounts", &token).await, 404, "not_found").await;
    problem(core.get("/v1/status", "").await, 404, "not_found").await;
    assert_eq!(core.get("/docs", "").await.status(), 200);
}
