//! Commands of the operator, as far as they go without a database and a chain.

use crate::cli::command::Place;

#[test]
fn variables_of_the_command_line_are_no_settings() {
    let mut place = Place::new();
    for name in [
        "API_URL",
        "CA_CERT",
        "CONSUMER_KEY",
        "CONSUMER_SECRET",
        "CONSUMER_SECRET_FILE",
        "LOG",
        "LOG_FORMAT",
        "HOME",
        "ANVIL_BIN",
        "POSTGRES_BIN",
    ] {
        let value = match name {
            "LOG" => "info",
            "LOG_FORMAT" => "json",
            _ => "x",
        };
        place = place.with(&format!("SCEAU_{name}"), value);
    }
    let run = place.run(&["serve"]);
    run.ends(1).says(&["missing field", "database_url", "--config"]);
    assert!(!run.stderr.contains("unknown"), "{}", run.stderr);
    // The opposite: a variable that is no setting by mistake is still noticed.
    Place::new().with("SCEAU_NONSENSE", "x").run(&["serve"]).ends(1).briefly().says(&["nonsense"]);
    let place = Place::new();
    place.file("sceau.toml", "[auth]\n");
    place.run(&["serve"]).ends(1).briefly().says(&["missing field `token_key` for key \"auth\" in sceau.toml"]);
}

#[test]
fn a_settings_file_that_is_named_must_exist() {
    let place = Place::new();
    for arguments in [
        vec!["serve", "--config", "none.toml"],
        vec!["--config", "none.toml", "serve"],
        vec!["migrate", "--config", "none.toml"],
        vec!["account", "list", "--config", "none.toml"],
        vec!["account", "--config", "none.toml", "list"],
    ] {
        place.run(&arguments).ends(1).briefly().says(&["none.toml: no such settings file"]);
    }
    Place::new().with("SCEAU_CONFIG", "none.toml").run(&["migrate"]).ends(1).says(&["none.toml"]);
}

#[test]
fn accounts_need_only_what_concerns_them() {
    let place = Place::new();
    place.run(&["account", "list"]).ends(1).briefly().says(&["database_url", "--config"]);
    // Nothing listens there; the wrong settings beside it do not matter.
    place.file("sceau.toml", "database_url = 'postgres://x:hidden@127.0.0.1:1/x'\nhttp = 7\nunknown = true\n");
    let run = place.run(&["account", "create", "acme"]);
    run.ends(1).briefly().says(&["auth.pepper", "SCEAU_AUTH__PEPPER"]);
    let run = place.run(&["account", "list"]);
    run.ends(1).says(&["the database does not answer", "database_url"]);
    assert!(!run.stderr.contains("hidden"));
    place.run(&["migrate"]).ends(1).briefly().says(&["the database does not answer"]);
    let run = Place::new().with("SCEAU_DATABASE_URL", "nonsense://hidden").run(&["migrate"]);
    run.ends(1).briefly().says(&["database_url is not a Postgres URL"]);
    assert!(!run.stderr.contains("hidden"));
}

#[test]
fn logging_is_checked_before_anything_starts() {
    Place::new().with("SCEAU_LOG_FORMAT", "xml").run(&["serve"]).ends(2).briefly().says(&["SCEAU_LOG_FORMAT", "xml"]);
    Place::new().with("SCEAU_LOG", "sceau=loudly").run(&["serve"]).ends(2).briefly().says(&["SCEAU_LOG"]);
    Place::new().with("SCEAU_LOG", "").with("SCEAU_LOG_FORMAT", "").run(&["serve"]).ends(1).says(&["database_url"]);
}

#[test]
fn a_deployment_needs_exactly_one_key() {
    let place = Place::new().with("BAD_KEY", "hunter2");
    place.file("key", "hunter2");
    let deploy = |more: &[&str]| {
        let base = ["contract", "deploy", "--rpc-url", "http://127.0.0.1:1", "--chain-id", "31337"];
        place.run(&base.iter().chain(more).copied().collect::<Vec<_>>())
    };
    for more in [
        &[] as &[&str],
        &["--key-file", "key", "--key-env", "BAD_KEY"],
        &["--keystore", "key"],
        &["--password-file", "key"],
        &["--key-env", "NOT_SET"],
        &["--key-file", "key", "--owner", "0x12"],
        &["--key-file", "key", "--first-number", "0"],
    ] {
        let run = deploy(more);
        assert_eq!(run.status, 2, "{more:?}: {}", run.stderr);
    }
    for more in [&["--key-file", "key"] as &[&str], &["--key-env", "BAD_KEY"], &["--keystore", "key", "--password-file", "key"]] {
        let run = deploy(more);
        run.ends(1).briefly();
        assert!(!run.stderr.contains("hunter2"), "{}", run.stderr);
    }
    place.file("right", format!("0x{}\n", "01".repeat(32)));
    deploy(&["--key-file", "right"]).ends(1).briefly().says(&["unreachable"]);
}
