//! Promises: the committed vectors, this verifier and the second one; the library's parts; the command.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use sceau_verifier::promise::judge::{Judgement, judge};
use sceau_verifier::promise::{KeySet, Moment, Payload, Record, hash};
use sceau_verifier::verify::verify;
use sceau_verifier::{Code, Digest};
use serde_json::{Map, Value, json};

use crate::command::{command, json as answer, status, stdout};
use crate::support::promises::{ALL, Case, record};
use crate::vectors::second_verifier_agrees;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors/promises")
}

fn judged(case: &Case) -> Judgement {
    let keys = KeySet::parse(case.keys.to_string().as_bytes()).unwrap();
    judge(&case.promise, &keys, case.document.as_ref(), case.receipt.as_deref(), |digest, receipt| {
        verify(digest, receipt, &case.trust)
    })
}

fn print(case: &Case) -> String {
    let mut object = Map::new();
    match std::str::from_utf8(&case.promise) {
        Ok(text) => object.insert("promise".into(), text.into()),
        Err(_) => {
            let hex: String = case.promise.iter().map(|byte| format!("{byte:02x}")).collect();
            object.insert("promise_hex".into(), hex.into())
        }
    };
    object.insert("keys".into(), case.keys.clone());
    if let Some(document) = case.document {
        object.insert("document_digest".into(), json!(document));
    }
    if let Some(receipt) = &case.receipt {
        object.insert("receipt".into(), String::from_utf8(receipt.clone()).unwrap().into());
        object.insert("trust".into(), json!({ "block_hashes": case.trust.block_hashes }));
    }
    object.insert("expect".into(), json!({"verdict": case.code.verdict(), "code": case.code, "outcome": case.outcome}));
    format!("{}\n", Value::Object(object))
}

/// `SCEAU_WRITE_VECTORS=1` writes them instead.
#[test]
fn the_generator_reproduces_the_committed_promises() {
    let files: BTreeMap<_, _> = ALL.iter().map(|case| (format!("{}.json", case.name), print(case))).collect();
    assert_eq!(files.len(), ALL.len(), "two vectors have the same name");
    if std::env::var_os("SCEAU_WRITE_VECTORS").is_some() {
        std::fs::create_dir_all(folder()).unwrap();
        for (name, text) in &files {
            std::fs::write(folder().join(name), text).unwrap();
        }
    }
    let names = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut found: Vec<_> = names.collect();
    found.sort();
    assert_eq!(found, files.keys().cloned().collect::<Vec<_>>());
    for (name, text) in files {
        assert!(std::fs::read_to_string(folder().join(&name)).unwrap() == text, "{name} is not what the generator makes");
    }
}

#[test]
fn this_verifier_agrees_on_promises() {
    for case in ALL.iter() {
        let judgement = judged(case);
        assert_eq!((judgement.code, judgement.outcome), (case.code, case.outcome), "{}: {}", case.name, judgement.detail);
        let prefix = match judgement.verdict.as_str() {
            "verified" => "valid",
            "not_yet" => "notyet",
            "cannot_tell" => "unknown",
            _ => "invalid",
        };
        assert_eq!(case.name.split('-').next(), Some(prefix), "{}", case.name);
    }
}

#[test]
fn the_second_verifier_agrees_on_promises() {
    second_verifier_agrees(&folder(), ALL.len());
}

#[test]
fn every_code_of_a_promise_has_a_vector() {
    for code in Code::ALL.iter().filter(|code| code.step() >= 29) {
        assert!(ALL.iter().any(|case| case.code == *code), "{code}");
    }
}

/// The same answers to files that nobody chose.
#[test]
fn the_second_verifier_agrees_on_mangled_promises() {
    let folder = tempfile::tempdir().unwrap();
    let mut state = 0x9a0b_u64;
    let mut draw = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let alphabet = b"0123456789abcdefABCDEF{}[]\",:.-_+eE\\ux \n\0\x7f";
    let mut codes = BTreeMap::new();
    for n in 0..400 {
        let case = &ALL[draw(ALL.len())];
        let mut promise = case.promise.clone();
        for _ in 0..=draw(2) {
            let at = draw(promise.len().max(1)).min(promise.len());
            let end = (at + [0, 1, 1, 1, 2][draw(5)]).min(promise.len());
            let insert: Vec<u8> = (0..[0, 1, 1, 1, 2][draw(5)]).map(|_| alphabet[draw(alphabet.len())]).collect();
            promise.splice(at..end, insert);
        }
        let mut mangled = Case {
            name: n.to_string(),
            promise,
            keys: case.keys.clone(),
            document: case.document,
            receipt: case.receipt.clone(),
            trust: case.trust.clone(),
            code: Code::Ok,
            outcome: None,
        };
        let judgement = judged(&mangled);
        (mangled.code, mangled.outcome) = (judgement.code, judgement.outcome);
        *codes.entry(judgement.code.as_str()).or_insert(0) += 1;
        std::fs::write(folder.path().join(format!("{n}.json")), print(&mangled)).unwrap();
    }
    assert!(codes.len() > 5, "too few kinds of answers to mean anything: {codes:?}");
    second_verifier_agrees(folder.path(), 400);
}

proptest! {
    /// No field of a record can be changed without its bytes, and no record taken for several.
    #[test]
    fn records_are_told_apart(number in 1_u64..1 << 53, batch in 0_u64..1 << 53, micros in 0_u64..1 << 50, salt: [u8; 16], digest: [u8; 32]) {
        let moment = Moment::from_micros(micros).unwrap();
        prop_assert_eq!(moment.to_string().parse(), Ok(moment));
        let one = Record { digest: digest.into(), salt: salt.into(), number, batch, accepted_at: moment, anchor_by: record().anchor_by };
        let others = [
            Record { number: number ^ 1, ..one },
            Record { batch: batch ^ 1, ..one },
            Record { accepted_at: Moment::from_micros(micros ^ 1).unwrap(), ..one },
            Record { anchor_by: moment, ..one },
            Record { digest: Digest::of(&digest), ..one },
        ];
        for other in others {
            prop_assert_ne!(other.to_bytes(), one.to_bytes());
            prop_assert_ne!(hash(&[other, one]), hash(&[one, other]));
        }
        for records in [vec![one], vec![one, one], vec![one; 3]] {
            let payload = Payload::new("i", 1, "a", &records);
            prop_assert!(payload.covers(&records));
            prop_assert!(!payload.covers(&records[1..]) && !payload.covers(&[&records[..], &[one]].concat()));
        }
    }
}

#[test]
fn the_command_judges_every_vector() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    for case in ALL.iter() {
        std::fs::write(at("promise"), &case.promise).unwrap();
        std::fs::write(at("keys"), case.keys.to_string()).unwrap();
        let mut command = command();
        command.arg("--promise").arg(at("promise")).arg("--keys").arg(at("keys"));
        if let Some(document) = case.document {
            command.args(["--digest", &document.to_string()]);
        }
        if let Some(receipt) = &case.receipt {
            std::fs::write(at("receipt"), receipt).unwrap();
            command.arg("--receipt").arg(at("receipt"));
        }
        for hash in &case.trust.block_hashes {
            command.args(["--block-hash", &hash.to_string()]);
        }
        let (found, code) = answer(&mut command);
        assert_eq!((&found["code"], &found["outcome"]), (&json!(case.code), &json!(case.outcome)), "{}", case.name);
        assert_eq!(code, i32::from(case.code.verdict().exit_status()), "{}", case.name);
    }
}

#[test]
fn what_was_promised_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let say = |name: &str, arguments: &[&str]| {
        let case = ALL.iter().find(|case| case.name == name).unwrap();
        std::fs::write(at("promise"), &case.promise).unwrap();
        std::fs::write(at("keys"), case.keys.to_string()).unwrap();
        let mut command = command();
        command.arg("--promise").arg(at("promise")).arg("--keys").arg(at("keys")).args(arguments);
        if let Some(receipt) = &case.receipt {
            std::fs::write(at("receipt"), receipt).unwrap();
            command.arg("--receipt").arg(at("receipt"));
        }
        for hash in &case.trust.block_hashes {
            command.args(["--block-hash", &hash.to_string()]);
        }
        command.output().unwrap()
    };
    let text = stdout(&say("valid-one", &[]));
    assert!(text.starts_with("GIVEN.") && text.contains("number    41 of this account, in batch 7"), "{text}");
    assert!(text.contains("anchor by 2026-09-21T14:13:20Z") && text.contains("the operator has to answer"), "{text}");
    assert!(stdout(&say("valid-kept", &[])).starts_with("KEPT."));
    let text = stdout(&say("invalid-broken-another-batch", &[]));
    assert!(text.starts_with("BROKEN.") && text.contains("promised for batch 8, sealed in batch 7"), "{text}");
    // The document itself.
    std::fs::write(at("document"), "another").unwrap();
    let output = say("valid-one", &[at("document").to_str().unwrap()]);
    assert!(status(&output) == 1 && stdout(&output).starts_with("INVALID. This promise is about other documents."));
    for wrong in [&["--digest", "00"][..], &["a", "b"], &["--promise", "x"], &["--receipt", "/nonexistent"], &["--json=1"]] {
        assert_eq!(status(&say("valid-one", wrong)), 2, "{wrong:?}");
    }
    std::fs::write(at("keys"), "[]").unwrap();
    let mut without = command();
    without.arg("--promise").arg(at("promise")).arg("--keys").arg(at("keys"));
    assert_eq!(status(&without.output().unwrap()), 2);
    assert_eq!(status(&command().arg("--promise").arg(at("promise")).output().unwrap()), 2, "keys are needed");
    assert_eq!(status(&command().args(["--keys", "x", "a", "b"]).output().unwrap()), 2, "keys alone mean nothing");
}
