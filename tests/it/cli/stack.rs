//! Commands of the operator on a real database and a real chain.

use sceau::api::access::secret::{Pepper, looks_like_secret};
use sceau::ledger::Ledger;
use serde_json::{Value, json};

use crate::cli::command::Place;
use crate::support::{anvil, database};

/// First two accounts of the mnemonic that development chains fund.
const FUNDED: &str = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";
const FUNDED_KEY: &str = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
const SECOND: &str = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";

/// The word after `label` on a line of its own.
#[track_caller]
fn value_of<'a>(text: &'a str, label: &str) -> &'a str {
    let line = text.lines().find_map(|line| line.strip_prefix(label)).unwrap_or_else(|| panic!("no {label} in:\n{text}"));
    line.trim()
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_are_made_listed_and_disabled() {
    let database = database().await;
    let place = Place::new().with("SCEAU_DATABASE_URL", &database.url).with("SCEAU_AUTH__PEPPER", "pepper");
    place.file("pepper", "5a".repeat(32));
    let ledger = Ledger::connect(&database.url, 2).expect("a URL");
    let pepper = Pepper::from_bytes([0x5a; 32]);

    let run = place.run(&["account", "create", "acme"]);
    run.ends(0).briefly().says(&["only time the secret is shown"]);
    let (key, secret) = (value_of(&run.stdout, "consumer key"), value_of(&run.stdout, "consumer secret"));
    assert!(looks_like_secret(secret));
    let credential = ledger.credential(key).await.expect("asked").expect("made");
    assert!(credential.active && pepper.matches(secret, Some(&credential.secret_hash)));
    assert_eq!(credential.role.as_str(), "partner");

    place.run(&["account", "create", "acme"]).ends(1).briefly().says(&["there is an account named acme already"]);
    place.run(&["account", "create", "bad\nname"]).ends(1).briefly();
    let made = place.run(&["account", "create", "notary", "--role", "validator", "--json"]).ends(0).json();
    assert_eq!((&made[0]["name"], &made[0]["role"]), (&json!("notary"), &json!("validator")));
    let found = ledger.credential(made[0]["consumer_key"].as_str().expect("a key")).await.expect("asked").expect("made");
    assert!(pepper.matches(made[0]["consumer_secret"].as_str().expect("a secret"), Some(&found.secret_hash)));

    place.run(&["account", "disable", "acme"]).ends(0);
    place.run(&["account", "disable", "acme"]).ends(1).briefly().says(&["no active account named acme"]);
    assert!(!ledger.credential(key).await.expect("asked").expect("there").active);
    let listed = place.run(&["account", "list"]);
    let lines: Vec<&str> = listed.ends(0).stdout.lines().collect();
    assert!(lines[0].starts_with("acme    partner    disabled 2"), "{lines:?}");
    assert_eq!(lines[1..], ["notary  validator  active"]);
    let lines = place.run(&["account", "list", "--json"]).ends(0).json();
    assert_eq!((lines.len(), &lines[1]["disabled_at"]), (2, &Value::Null));
    place.run(&["migrate"]).ends(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_networks_and_limits_are_changed() {
    let database = database().await;
    let place = Place::new().with("SCEAU_DATABASE_URL", &database.url).with("SCEAU_AUTH__PEPPER", "pepper");
    place.file("pepper", "5a".repeat(32));
    let ledger = Ledger::connect(&database.url, 2).expect("a URL");
    let pepper = Pepper::from_bytes([0x5a; 32]);
    let first = place.run(&["account", "create", "acme", "--json"]).ends(0).json();
    let first = first[0]["consumer_key"].as_str().expect("a key");

    let run = place.run(&["account", "credential", "add", "acme"]);
    run.ends(0).briefly().says(&["only time the secret is shown"]);
    let (key, secret) = (value_of(&run.stdout, "consumer key"), value_of(&run.stdout, "consumer secret"));
    assert!(looks_like_secret(secret) && key != first);
    let of = async |key: &str| ledger.credential(key).await.expect("asked").expect("made");
    assert!(pepper.matches(secret, Some(&of(key).await.secret_hash)) && of(first).await.active);
    place.run(&["account", "credential", "add", "acme"]).ends(1).briefly().says(&["acme has 2 credentials in use", "revoke"]);
    place.run(&["account", "credential", "revoke", "acme", "ck_none"]).ends(1).briefly().says(&["no such credential"]);
    place.run(&["account", "credential", "revoke", "acme", first]).ends(0);
    assert!(!of(first).await.active && of(key).await.active);
    let listed = place.run(&["account", "credential", "list", "acme"]);
    let lines: Vec<&str> = listed.ends(0).stdout.lines().collect();
    assert!(lines[0].starts_with(first) && lines[0].contains("revoked 2") && lines[1].ends_with("in use"), "{lines:?}");
    let made = place.run(&["account", "credential", "add", "acme", "--json"]).ends(0).json();
    assert!(looks_like_secret(made[0]["consumer_secret"].as_str().expect("a secret")));

    place.run(&["account", "basic", "acme", "on"]).ends(0);
    assert!(of(key).await.basic);
    place.run(&["account", "networks", "set", "acme", "192.0.2.0/24", "2001:db8::1"]).ends(0);
    assert_eq!(place.run(&["account", "networks", "list", "acme"]).ends(0).stdout, "192.0.2.0/24\n2001:db8::1/128\n");
    place.run(&["account", "networks", "set", "acme", "192.0.2.7/24"]).ends(2).says(&["did you mean 192.0.2.0/24"]);
    place.run(&["account", "networks", "set", "acme"]).ends(0);
    assert!(of(key).await.networks.is_none());

    let shown = |run: &[&str]| place.run(run).ends(0).json()[0].clone();
    let limits = shown(&["account", "limits", "acme", "--burst", "7", "--digests-per-day", "9", "--json"]);
    assert_eq!(limits, json!({ "requests_per_second": 1000, "burst": 7, "digests_per_day": 9 }));
    place.run(&["account", "limits", "--defaults", "--requests-per-second", "5", "--burst", "6"]).ends(0);
    let limits = shown(&["account", "limits", "acme", "--digests-per-day", "none", "--json"]);
    assert_eq!(limits, json!({ "requests_per_second": 5, "burst": 7, "digests_per_day": null }));
    assert_eq!(shown(&["account", "limits", "acme", "--burst", "default", "--json"])["burst"], 6);
    for wrong in [
        &["acme", "--burst", "0"] as &[&str],
        &["acme", "--burst", "x"],
        &["acme", "--digests-per-day", "-1"],
        &["--defaults", "--burst", "default"],
        &["--defaults", "acme"],
        &[],
    ] {
        let run = place.run(&[&["account", "limits"], wrong].concat());
        assert_eq!(run.status, 2, "{wrong:?}: {}", run.stderr);
    }
    place.run(&["account", "revoke-tokens", "acme"]).ends(0);
    assert_eq!(of(key).await.generation, 1);
    for nobody in [
        &["credential", "add", "nobody"] as &[&str],
        &["credential", "list", "nobody"],
        &["basic", "nobody", "on"],
        &["networks", "list", "nobody"],
        &["networks", "set", "nobody"],
        &["limits", "nobody"],
        &["revoke-tokens", "nobody"],
    ] {
        place.run(&[&["account"], nobody].concat()).ends(1).briefly().says(&["no account named nobody"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_is_deployed_and_described() {
    let node = anvil().await;
    let place = Place::new().with("DEPLOYER", FUNDED_KEY);
    let deploy = |more: &[&str]| {
        let base = ["contract", "deploy", "--rpc-url", &node.url, "--chain-id", "31337", "--key-env", "DEPLOYER"];
        place.run(&base.iter().chain(more).copied().collect::<Vec<_>>())
    };
    let run = deploy(&[]);
    run.ends(0).briefly().says(&["owner and publisher are the same account"]);
    let registry = value_of(&run.stdout, "registry ");
    assert_eq!((value_of(&run.stdout, "owner "), value_of(&run.stdout, "publisher ")), (FUNDED, FUNDED));
    let snippet = run.stdout.split_once("Add to sceau.toml:\n\n").expect("a snippet").1;
    assert_eq!(
        snippet,
        format!(
            "[[targets]]\nrpc_url = \"{}\"\nchain_id = 31337\nregistry = \"{registry}\"\nsigner = {{ env = \"DEPLOYER\" }}\n",
            node.url
        )
    );
    let code = node.rpc("eth_getCode", json!([registry, "latest"])).await.expect("answered");
    assert!(code.as_str().is_some_and(|code| code.len() > 1_000), "no contract at {registry}");

    let run = deploy(&["--json", "--publisher", SECOND, "--first-number", "7"]);
    let made = &run.ends(0).json()[0];
    assert_eq!((&made["owner"], &made["publisher"]), (&json!(FUNDED.to_lowercase()), &json!(SECOND.to_lowercase())));
    let receipt = node.rpc("eth_getTransactionReceipt", json!([made["tx_hash"]])).await.expect("answered");
    assert_eq!((&receipt["contractAddress"], &receipt["blockHash"]), (&made["registry"], &made["block_hash"]));

    place.file("poor", "01".repeat(32));
    let base = ["contract", "deploy", "--rpc-url", &node.url, "--key-file", "poor", "--chain-id"];
    let with_chain = |id| place.run(&base.iter().copied().chain([id]).collect::<Vec<_>>());
    with_chain("1").ends(1).briefly().says(&["31337"]);
    with_chain("31337").ends(1).briefly();
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn targets_are_listed_required_retired_and_resumed() {
    let database = database().await;
    let place = Place::new().with("SCEAU_DATABASE_URL", &database.url);
    assert_eq!(place.run(&["target", "list"]).ends(0).stdout, "anchored when 1 target has it, from batch 1 on\n");
    place.run(&["target", "require", "2"]).ends(1).briefly().says(&["2 targets", "0 would be left"]);
    place.run(&["target", "require", "0"]).ends(2);
    // What the settings name counts although it was never used.
    let target =
        |byte: &str| format!("{{rpc_url=\"http://x\", chain_id=1, registry=\"0x{}\", signer={{env=\"X\"}}}}", byte.repeat(20));
    let two = format!("[{}, {}]", target("ab"), target("cd"));
    let configured = Place::new().with("SCEAU_DATABASE_URL", &database.url).with("SCEAU_TARGETS", &two);
    configured.run(&["target", "require", "3"]).ends(1).briefly().says(&["3 targets", "2 would be left"]);
    let run = configured.run(&["target", "require", "2"]);
    assert_eq!(run.ends(0).stdout, "anchored when 2 targets have it, from batch 1 on\n");

    for byte in ["ab", "cd"] {
        let insert = format!(
            "insert into targets (chain_id, registry, first_number, code_hash) values (1, decode(repeat('{byte}', 20), 'hex'), 1, decode(repeat('00', 32), 'hex'))"
        );
        sqlx::query(sqlx::AssertSqlSafe(insert)).execute(&database.pool).await.expect("a target");
    }
    let name = format!("eip155:1:0x{}", "ab".repeat(20));
    place.run(&["target", "retire", &name]).ends(1).briefly().says(&["2 targets", "1 would be left", "sceau target require"]);
    place.run(&["target", "retire", "nonsense"]).ends(2).says(&["eip155:CHAIN:0xREGISTRY"]);
    place.run(&["target", "retire", &format!("eip155:2:0x{}", "ab".repeat(20))]).ends(1).briefly().says(&["never used here"]);
    place.run(&["target", "require", "1"]).ends(0);
    assert_eq!(place.run(&["target", "retire", &name]).ends(0).stdout, "retired; 0 anchors withdrawn, 0 under way\n");
    place.run(&["target", "retire", &name]).ends(1).briefly().says(&["retired already"]);
    let listed = &place.run(&["target", "list", "--json"]).ends(0).json()[0];
    assert_eq!((&listed["anchored_when"], &listed["targets"][0]["target"]), (&json!(1), &json!(name)));
    assert!(listed["targets"][0]["retired_at"].is_string() && listed["targets"][1]["retired_at"].is_null(), "{listed}");
    assert!(
        place
            .run(&["target", "list"])
            .ends(0)
            .stdout
            .contains(&format!("{name}  from batch 1, 0 anchors under way or planned, retired 2"))
    );
    assert_eq!(place.run(&["target", "resume", &name]).ends(0).stdout, "resumed; 0 anchors to make\n");
    place.run(&["target", "resume", &name]).ends(1).briefly().says(&["not retired"]);
}
