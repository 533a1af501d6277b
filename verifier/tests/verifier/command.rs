//! The binary: arguments, output and exit statuses; and the second verifier beside it.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::support::batch::document;
use crate::support::cases::{ALL, plain};

pub fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sceau-verify"));
    // A proxy of the surroundings must not stand between the tests and their own server.
    for name in ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        command.env_remove(name);
    }
    command
}

pub fn status(output: &Output) -> i32 {
    output.status.code().expect("ended by itself")
}

pub fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// The JSON answer and the exit status.
pub fn json(command: &mut Command) -> (Value, i32) {
    let output = command.arg("--json").output().unwrap();
    let text = stdout(&output);
    (serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}{}", String::from_utf8_lossy(&output.stderr))), status(&output))
}

/// A folder with the document and the receipt of [`plain`].
pub fn files() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let receipt = plain();
    let number = (0..).find(|number| document(*number) == receipt.document.digest).unwrap();
    std::fs::write(folder.path().join("document"), format!("document {number}")).unwrap();
    std::fs::write(folder.path().join("receipt.json"), [receipt.to_bytes(), vec![b'\n']].concat()).unwrap();
    folder
}

fn trusted() -> String {
    plain().anchors[0].block_hash.to_string()
}

#[test]
fn every_vector_gives_its_code_and_exit_status() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("receipt.json");
    for case in ALL.iter() {
        std::fs::write(&path, &case.receipt).unwrap();
        let mut command = command();
        command.arg("--digest").arg(case.document.to_string()).arg(&path);
        for hash in &case.trust.block_hashes {
            command.arg("--block-hash").arg(hash.to_string());
        }
        if let Some(registry) = case.trust.registry {
            command.arg(format!("--registry={registry}"));
        }
        if let Some(chain) = case.trust.chain {
            command.arg("--chain").arg(chain.to_string());
        }
        let (answer, status) = json(&mut command);
        assert_eq!(answer["code"], case.code.as_str(), "{}", case.name);
        assert_eq!(answer["verdict"], case.code.verdict().as_str(), "{}", case.name);
        assert_eq!(answer["step"].as_u64().unwrap_or(0), u64::from(case.code.step()));
        assert_eq!(status, i32::from(case.code.verdict().exit_status()), "{}", case.name);
    }
}

#[test]
fn a_file_and_standard_input() {
    let files = files();
    let (file, receipt) = (files.path().join("document"), files.path().join("receipt.json"));
    let output = command().args([&file, &receipt]).args(["--block-hash", &trusted()]).output().unwrap();
    assert_eq!(status(&output), 0);
    let text = stdout(&output);
    assert!(text.starts_with("VERIFIED. This document existed, unchanged, before block 12 of 2026-09-21T14:13:20Z."), "{text}");
    assert!(text.contains("named by the receipt alone; pin it with --registry") && text.contains("who issued"), "{text}");

    let piped = |arguments: [&Path; 2], input: &[u8]| {
        let mut child = command()
            .args(arguments)
            .args(["--block-hash", &trusted()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        status(&child.wait_with_output().unwrap())
    };
    assert_eq!(piped([Path::new("-"), &receipt], &std::fs::read(&file).unwrap()), 0);
    assert_eq!(piped([&file, Path::new("-")], &std::fs::read(&receipt).unwrap()), 0);
    assert_eq!(piped([Path::new("-"), &receipt], b"another document"), 1);
}

#[test]
fn the_source_of_every_setting_is_said() {
    let files = files();
    let (file, receipt) = (files.path().join("document"), files.path().join("receipt.json"));
    let anchor = plain().anchors[0].clone();
    let (answer, _) = json(command().args([&file, &receipt]).args(["--block-hash", &trusted()]));
    assert_eq!(answer["trust"]["registry"], serde_json::json!({"value": anchor.registry, "source": "receipt"}));
    assert_eq!(answer["trust"]["chain"], serde_json::json!({"value": "eip155:31337", "source": "receipt"}));
    assert_eq!(answer["trust"]["block"]["source"], "auditor");
    let upper = anchor.registry.to_string().to_uppercase().replace("0X", "0x");
    let pins = ["--registry", &upper, "--chain", "eip155:31337", "--block-hash", &trusted()];
    let (answer, code) = json(command().args([&file, &receipt]).args(pins));
    assert_eq!(code, 0);
    assert_eq!(answer["trust"]["registry"]["source"], "auditor");
    assert_eq!(answer["trust"]["chain"]["source"], "auditor");
    let output = command().args([&file, &receipt]).args(pins).output().unwrap();
    assert!(stdout(&output).contains("pinned by you") && !stdout(&output).contains("note"), "{}", stdout(&output));
}

#[test]
fn without_a_block_the_hash_to_compare_is_printed() {
    let files = files();
    let output = command().arg(files.path().join("document")).arg(files.path().join("receipt.json")).output().unwrap();
    assert_eq!(status(&output), 4);
    assert!(stdout(&output).contains(&trusted()) && stdout(&output).contains("no_trusted_block"));
}

#[test]
fn who_approved_is_said_and_cannot_steer_a_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("receipt.json");
    let say = |name: &str| {
        let case = ALL.iter().find(|case| case.name == name).unwrap();
        std::fs::write(&path, &case.receipt).unwrap();
        let mut command = command();
        command.args(["--digest", &case.document.to_string()]).arg(&path);
        for hash in &case.trust.block_hashes {
            command.args(["--block-hash", &hash.to_string()]);
        }
        stdout(&command.output().unwrap())
    };
    let text = say("valid-decision");
    let line = "approved  by Maître Dupont, 2026-09-21T14:10:00Z, sealed before block 13 of 2026-09-21T14:13:32Z";
    assert!(text.starts_with("VERIFIED.") && text.contains(line) && text.contains("validators do not sign"), "{text}");
    let text = say("valid-decision-of-many-characters");
    assert!(text.starts_with("VERIFIED.") && text.contains("by \u{fffd}🖋\u{fffd}\u{fffd},"), "{text}");
    assert!(!text.contains(['\u{202e}', '\u{2028}', '\u{1}', '\t']), "{text:?}");
    let text = say("unknown-decision-in-a-block-not-trusted");
    assert!(text.starts_with("CANNOT TELL. The document is proven;") && text.contains("block_not_trusted"), "{text}");
    assert!(say("notyet-decision-without-evidence").starts_with("NOT YET. The document is proven"));
    assert!(say("invalid-decision-in-another-registry").starts_with("INVALID. The document existed"));
}

#[test]
fn usage_is_status_2() {
    let files = files();
    let receipt = files.path().join("receipt.json").into_os_string().into_string().unwrap();
    let r = receipt.as_str();
    let digest = "00".repeat(32);
    for arguments in [
        &[][..],
        &[r],
        &[r, r, r],
        &["-", "-"],
        &["/nonexistent", r],
        &[r, "/nonexistent"],
        &["--digest", &digest, r, r],
        &["--digest", &digest[1..], r],
        &["--digest", &digest, "--digest", &digest, r],
        &[r, r, "--block-hash", "0x12"],
        &[r, r, "--block-hash"],
        &[r, r, "--registry", "0x12"],
        &[r, r, "--chain", "1"],
        &[r, r, "--rpc", "file:///x"],
        &[r, r, "--rpc", "http://127.0.0.1:1", "--confirmations", "0"],
        &[r, r, "--confirmations", "3"],
        &[r, r, "--json=yes"],
        &[r, r, "--unknown"],
    ] {
        let output = command().args(arguments).output().unwrap();
        assert_eq!(status(&output), 2, "{arguments:?}");
        assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{arguments:?}");
    }
    let help = command().arg("--help").output().unwrap();
    assert!(status(&help) == 0 && stdout(&help).contains("--block-hash"));
    let version = command().arg("--version").output().unwrap();
    assert!(status(&version) == 0 && stdout(&version).starts_with("sceau-verify "));
}

#[test]
fn a_closed_output_changes_nothing() {
    let files = files();
    let (file, receipt) = (files.path().join("document"), files.path().join("receipt.json"));
    for arguments in [vec!["--block-hash".to_owned(), trusted()], vec!["--json".to_owned()]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let expected = if arguments.len() == 2 { 0 } else { 4 };
        let output = command().args([&file, &receipt]).args(arguments).stdout(writer).output().unwrap();
        assert_eq!(status(&output), expected);
        assert!(!String::from_utf8_lossy(&output.stderr).contains("panicked"));
    }
}

#[test]
fn the_second_verifier_has_the_same_command_line() {
    let files = files();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/check.py");
    let (file, receipt) = (files.path().join("document"), files.path().join("receipt.json"));
    let run = |arguments: &[&str]| {
        let mut python = Command::new("python3");
        let output = python.arg("-B").arg(&script).args([&file, &receipt]).args(arguments).output();
        let output = output.expect("python3 is needed to run the second verifier, tests/check.py");
        let ours = command().args([&file, &receipt]).args(arguments).output().unwrap();
        assert_eq!(status(&output), status(&ours), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        status(&output)
    };
    let hash = trusted();
    assert_eq!(run(&["--block-hash", &hash, "--json"]), 0);
    assert_eq!(run(&["--block-hash", &hash, "--chain", "eip155:1"]), 1);
    assert_eq!(run(&[]), 4);
    assert_eq!(run(&["--chain", "x"]), 2);
    assert_eq!(run(&["--block-hash", &hash, "--registry", "0x5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a"]), 0);
}
