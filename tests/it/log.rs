//! The log of a real service: what operators, managers and strangers do is in it, and its head is sealed with the proofs.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use sceau::ledger::Ledger;
use sceau_verifier::Digest;
use serde_json::{Value, json};

use crate::support::instance::{Instance, settings};
use crate::support::service::lasting_port;
use crate::support::{crypto, database};

/// What a command of the operator prints.
fn sceau(settings: &Path, arguments: &[&str]) -> String {
    let done = Command::new(env!("CARGO_BIN_EXE_sceau")).arg("--config").arg(settings).args(arguments).output().expect("sceau");
    assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).expect("text")
}

async fn token(http: &reqwest::Client, base: &str, key: &str, secret: &str) -> Option<String> {
    let asked = http.post(format!("{base}/oauth2/token")).basic_auth(key, Some(secret));
    let asked = asked.header("content-type", "application/x-www-form-urlencoded").body("grant_type=client_credentials");
    let answer: Value = asked.send().await.expect("an answer").json().await.expect("JSON");
    answer["access_token"].as_str().map(str::to_owned)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_done_is_in_the_log_and_the_log_is_sealed() {
    crypto();
    let (home, database) = (tempfile::tempdir().expect("a folder"), database().await);
    let [port, metrics, core] = [(); 3].map(|()| lasting_port());
    let more = format!("[core]\nlisten = \"127.0.0.1:{core}\"\n");
    let file = settings(home.path(), "sceau.toml", &database.url, [port, metrics], &more);
    let text = std::fs::read_to_string(&file).expect("written").replace("[seal]\n", "[seal]\nlog_after = 1\n");
    std::fs::write(&file, text).expect("written");
    let mut service = Instance::start(&file, "service", &[]);
    let base = format!("http://127.0.0.1:{core}");
    service.ready(&format!("{base}/healthz")).await;

    let boss: Value =
        serde_json::from_str(&sceau(&file, &["account", "create", "boss", "--role", "manager", "--json"])).expect("JSON");
    let (key, secret) = (boss["consumer_key"].as_str().expect("a key"), boss["consumer_secret"].as_str().expect("a secret"));
    let http = reqwest::Client::new();
    assert_eq!(token(&http, &base, key, "cs_wrong").await, None);
    let token = token(&http, &base, key, secret).await.expect("a token");
    let made =
        http.post(format!("{base}/core/v1/accounts")).bearer_auth(&token).json(&json!({ "name": "acme", "role": "client" }));
    assert_eq!(made.send().await.expect("an answer").status(), 201);

    // The head is sealed by itself.
    let ledger = Ledger::connect(&database.url, 2).expect("a URL");
    let deadline = Instant::now() + Duration::from_secs(90);
    let sealed: i64 = loop {
        let found = sqlx::query_scalar(
            "select l.number from proofs p join audit_log l on l.hash = p.digest join batches b on b.number = p.batch
             where p.account_id = 0 and b.state = 'sealed' and l.number >= 4 limit 1",
        );
        if let Some(number) = found.fetch_optional(&database.pool).await.expect("an answer") {
            break number;
        }
        assert!(Instant::now() < deadline, "the head of the log is not sealed: {}", service.said());
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    assert!(service.stop().success(), "{}", service.said());

    // What was gathered is written before the process ends.
    let log = sceau(&file, &["log", "--json"]);
    let rows: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let of = |action: &str| rows.iter().find(|row| row["event"]["action"] == action).unwrap_or_else(|| panic!("{action}: {log}"));
    assert_eq!(of("account.created")["event"]["actor"], "operator");
    assert_eq!(of("token.refused")["event"]["detail"], json!({ "reason": "wrong_secret", "count": 1 }));
    assert_eq!(of("token.given")["event"]["account"], boss["id"]);
    let acme = rows.iter().find(|row| row["event"]["detail"]["name"] == "acme").expect("acme");
    assert_eq!(
        (&acme["event"]["actor"], &acme["event"]["address"]),
        (&json!(format!("account {}", boss["id"])), &json!("127.0.0.1"))
    );
    assert!(!log.contains(secret));
    assert!(sceau(&file, &["log", "--after", "1"]).starts_with("2  "));

    // What was hashed, and its receipt: anybody can check that one belongs to the other.
    let (document, receipt) = (home.path().join("head.bin"), home.path().join("head.json"));
    let number = sealed.to_string();
    let files = ["--document", document.to_str().expect("text"), "--receipt", receipt.to_str().expect("text")];
    sceau(&file, &[&["log", "--head", &number], &files[..]].concat());
    let receipt = sceau_verifier::receipt::parse(&std::fs::read(receipt).expect("a file")).expect("a receipt");
    assert_eq!(receipt.document.digest, Digest::of(&std::fs::read(document).expect("a file")));
    sceau_verifier::verify::check_structure(&receipt).expect("consistent");
    assert_eq!(ledger.sealed_heads(1).await.expect("an answer").0, Vec::<Vec<u8>>::new());
    assert!(sceau(&file, &["audit", "--offline"]).contains("rows of the log checked: 0 findings"));
}
