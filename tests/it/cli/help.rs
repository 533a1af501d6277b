//! Help texts, word for word. `SCEAU_REWRITE_HELP=1` rewrites the files they are compared with.

use std::path::Path;

use crate::cli::command::Place;

const COMMANDS: &[&str] = &[
    "",
    "submit",
    "status",
    "list",
    "receipt",
    "certificate",
    "erase",
    "validations",
    "validations list",
    "validations approve",
    "validations refuse",
    "validators",
    "validators list",
    "validators add",
    "validators remove",
    "validators require",
    "events",
    "webhook",
    "webhook add",
    "webhook list",
    "webhook test",
    "webhook deliveries",
    "webhook resume",
    "webhook rotate",
    "webhook remove",
    "dev",
    "serve",
    "migrate",
    "account",
    "account create",
    "account list",
    "account validator",
    "account validator add",
    "account validator remove",
    "account validator list",
    "account validator require",
    "account disable",
    "account credential",
    "account credential add",
    "account credential revoke",
    "account credential list",
    "account basic",
    "account networks",
    "account networks set",
    "account networks list",
    "account limits",
    "account revoke-tokens",
    "account identity",
    "account client",
    "account subscription",
    "account import",
    "audit",
    "recover",
    "target",
    "target list",
    "target require",
    "target retire",
    "target resume",
    "contract",
    "contract deploy",
    "contract status",
    "contract set-publisher",
    "contract accept-publisher",
    "contract revoke-publisher",
    "contract transfer-ownership",
    "contract accept-ownership",
];

#[test]
fn help_reads_as_written_down() {
    let rewrite = std::env::var_os("SCEAU_REWRITE_HELP").is_some();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/cli/help");
    for command in COMMANDS {
        let arguments: Vec<&str> = command.split_whitespace().chain(["--help"]).collect();
        let run = Place::new().run(&arguments);
        run.ends(0);
        assert_eq!(run.stderr, "");
        let name = if command.is_empty() { "sceau" } else { command };
        let file = folder.join(format!("{}.txt", name.replace(' ', "-")));
        if rewrite {
            std::fs::write(&file, &run.stdout).expect("written");
        }
        let expected = std::fs::read_to_string(&file).unwrap_or_default();
        assert_eq!(run.stdout, expected, "{}; SCEAU_REWRITE_HELP=1 rewrites it", file.display());
        assert!(run.stdout.lines().all(|line| line.chars().count() <= 100), "{name}: a line is longer than 100 characters");
    }
}

#[test]
fn help_does_not_show_what_is_in_variables() {
    let mut place = Place::new();
    for name in ["SCEAU_CONSUMER_SECRET", "SCEAU_CONSUMER_KEY", "SCEAU_API_URL", "SCEAU_CA_CERT", "SCEAU_CONSUMER_SECRET_FILE"] {
        place = place.with(name, "hunter2");
    }
    for command in ["submit", "status", "receipt", "certificate"] {
        for help in ["-h", "--help"] {
            let run = place.run(&[command, help]);
            assert!(!run.ends(0).stdout.contains("hunter2"), "{}", run.stdout);
        }
    }
}

#[test]
fn called_wrongly_is_status_2_and_says_how_to_go_on() {
    for arguments in
        [&[] as &[&str], &["nonsense"], &["submit"], &["account"], &["account", "create"], &["contract"], &["serve", "x"]]
    {
        let run = Place::new().run(arguments);
        assert_eq!((run.status, &*run.stdout), (2, ""), "{arguments:?}");
        run.says(&["Usage: sceau"]);
    }
    assert_eq!(Place::new().run(&["--version"]).ends(0).stdout, concat!("sceau ", env!("CARGO_PKG_VERSION"), "\n"));
}
