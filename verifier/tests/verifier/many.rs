//! `--many`: folders and lines, bad ones among good ones, one order, what is said and the exit status.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;
use std::process::{Output, Stdio};

use sceau_verifier::verify::Passed;
use sceau_verifier::{Digest, receipt, verify};
use serde_json::Value;

use crate::command::{command, status, stdout};
use crate::support::batch::{Sealed, seal};
use crate::support::cases::{ALL, plain};
use crate::support::chain::Block;

/// So many that several threads have something to do, and no block of lines holds them all.
const COUNT: u64 = 400;

struct Set {
    folder: tempfile::TempDir,
    sealed: Sealed,
    /// The receipts, as text.
    texts: Vec<String>,
    block: String,
}

fn set() -> Set {
    let sealed = seal(7, COUNT);
    let anchor = Block::default().anchor(&sealed.receipt(1, Vec::new()).statement());
    let texts = (1..=COUNT).map(|index| sealed.receipt(index, vec![anchor.clone()]).to_string()).collect();
    Set { folder: tempfile::tempdir().unwrap(), sealed, texts, block: anchor.block_hash.to_string() }
}

impl Set {
    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).into_os_string().into_string().unwrap()
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) -> String {
        std::fs::write(self.folder.path().join(name), text).unwrap();
        self.path(name)
    }

    fn many(&self, arguments: &[&str]) -> Output {
        command().arg("--many").args(arguments).args(["--block-hash", &self.block]).output().unwrap()
    }

    /// One digest of a document a line, as `sha256sum` has it.
    fn digests(&self) -> String {
        self.sealed.entries.iter().enumerate().fold(String::new(), |mut text, (n, entry)| {
            let _ = writeln!(text, "{}  document-{n}", entry.digest);
            text
        })
    }
}

/// Bends the receipts that are number 3, 200 and 400.
fn bent(set: &Set) -> Vec<String> {
    let mut texts = set.texts.clone();
    texts[2] = texts[2].replacen("\"index\":3", "\"index\":4", 1);
    texts[199].insert(0, ' ');
    texts[399] = texts[398].replace("sceau-receipt/1", "sceau-receipt/2");
    texts
}

#[test]
fn lines_with_bad_ones_among_them_are_told_in_order() {
    let set = set();
    let all = set.write("good.jsonl", set.texts.join("\n"));
    let output = set.many(&[&all, "--any-document"]);
    let text = stdout(&output);
    assert!(text.starts_with("400 receipts: 400 verified, 0 invalid, 0 not yet, 0 cannot tell\n"), "{text}");
    assert!(text.contains("no document was checked") && text.contains("--registry"), "{text}");
    assert_eq!(status(&output), 0);

    let file = set.write("bent.jsonl", bent(&set).join("\n") + "\n");
    let said = stdout(&set.many(&[&file, "--any-document"]));
    let lines: Vec<&str> = said.lines().collect();
    assert!(
        lines[0].starts_with(&format!("{file}:3 of ")) && lines[0].contains("invalid, entry_not_included (step 5)"),
        "{said}"
    );
    assert!(lines[1].starts_with(&format!("{file}:200: invalid, receipt_malformed (step 1)")), "{said}");
    assert!(lines[2].starts_with(&format!("{file}:400: invalid, receipt_malformed")), "{said}");
    assert!(lines[3].starts_with("400 receipts: 397 verified, 3 invalid,"), "{said}");
    for _ in 0..5 {
        let output = set.many(&[&file, "--any-document"]);
        assert_eq!((stdout(&output), status(&output)), (said.clone(), 1));
    }
    let (reader, mut writer) = std::io::pipe().unwrap();
    let bytes = bent(&set).join("\n");
    let writes = std::thread::spawn(move || std::io::Write::write_all(&mut writer, bytes.as_bytes()).unwrap());
    let output = command().args(["--many", "--any-document", "-", "--block-hash", &set.block]).stdin(reader).output().unwrap();
    writes.join().unwrap();
    assert_eq!(stdout(&output), said.replace(&file, "-"));
}

#[test]
fn whoever_is_faster_lines_stay_in_order() {
    let set = set();
    // A third of the blocks is done in no time.
    let line = |(n, text): (usize, &String)| {
        if n % 90 < 30 { "x".repeat(9_000) } else { text.replacen('{', " {", usize::from(n % 5 == 0)) }
    };
    let bad = |n: usize| n % 90 < 30 || n.is_multiple_of(5);
    let lines: Vec<String> = set.texts.iter().cycle().take(2_000).enumerate().map(line).collect();
    let expected: Vec<String> = (0..2_000).filter(|n| bad(*n)).map(|n| format!("lines.jsonl:{}", n + 1)).collect();
    let file = set.write("lines.jsonl", lines.join("\n"));
    for _ in 0..3 {
        let text = stdout(&set.many(&[&file, "--any-document"]));
        let found = text.lines().filter(|line| line.contains(": invalid,"));
        let found: Vec<&str> =
            found.map(|line| &line[line.find("lines.jsonl").unwrap()..line.find(": invalid").unwrap()]).collect();
        assert_eq!(found, expected);
    }
}

#[test]
fn every_line_is_judged_as_its_file_would_be() {
    let set = set();
    let cases = ALL.iter().filter(|case| !case.receipt.contains(&b'\n') && !case.receipt.is_empty());
    let hashes: BTreeSet<_> = plain().anchors.iter().map(|anchor| anchor.block_hash).collect();
    // The same trust for all: those that need another have their own tests.
    let cases: Vec<_> = cases
        .filter(|case| case.trust.block_hashes == hashes && case.trust.registry.is_none() && case.trust.chain.is_none())
        .filter(|case| !case.name.contains("other-document"))
        .collect();
    assert!(cases.len() > 50, "{}", cases.len());
    let mut bytes = Vec::new();
    for case in &cases {
        bytes.extend_from_slice(&case.receipt);
        bytes.push(b'\n');
    }
    let file = set.write("all.jsonl", bytes);
    let output = command()
        .args(["--many", "--any-document", "--json", &file, "--block-hash", &hashes.first().expect("an anchor").to_string()])
        .output()
        .unwrap();
    let told: Vec<Value> = stdout(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (summary, told) = told.split_last().unwrap();
    let bad: Vec<_> = (1..).zip(&cases).filter(|(_, case)| case.code.as_str() != "ok").collect();
    assert_eq!(told.len(), bad.len());
    for ((line, case), told) in bad.iter().zip(told) {
        assert_eq!((told["line"].as_u64(), told["code"].as_str()), (Some(*line), Some(case.code.as_str())), "{}", case.name);
        assert_eq!(told["verdict"], case.code.verdict().as_str(), "{}", case.name);
    }
    assert_eq!(summary["receipts"].as_u64(), Some(cases.len() as u64));
    assert_eq!(summary["verified"].as_u64(), Some((cases.len() - bad.len()) as u64));
    assert_eq!(summary["documents"]["source"], "receipt");
}

#[test]
fn a_block_is_found_among_very_many() {
    let set = set();
    let file = set.write("good.jsonl", set.texts.join("\n"));
    let others: Vec<String> = (0..100_u8).flat_map(|n| ["--block-hash".to_owned(), format!("0x{}", Digest::of(&[n]))]).collect();
    let with = |arguments: &[String], block: &[&str]| {
        let output = command().args(["--many", "--any-document", &file]).args(arguments).args(block).output().unwrap();
        (stdout(&output), status(&output))
    };
    let own = ["--block-hash", &set.block];
    assert_eq!(with(&others, &own), with(&[], &own));
    // None of them is the receipts'.
    let (text, status) = with(&others, &[]);
    assert_eq!((text.matches("block_not_trusted").count(), status), (400, 1), "{text}");
    assert_eq!(with(&others[..2], &[]), (text, status));
}

/// Anchors that passed are not checked again, and vouch for nothing but themselves.
#[test]
fn what_passed_before_changes_no_verdict() {
    let passed = Passed::default();
    // Once to be checked, once to be kept, once to be compared.
    for _ in 0..3 {
        for case in ALL.iter() {
            let Ok(receipt) = receipt::parse(&case.receipt) else { continue };
            let report = verify::verify_among(&case.document, &receipt, &case.trust, Some(&passed));
            assert_eq!(report, verify::verify(&case.document, &receipt, &case.trust), "{}", case.name);
            assert_eq!(report.code, case.code, "{}", case.name);
        }
    }
}

#[test]
fn a_folder_is_read_in_the_order_of_names() {
    let set = set();
    let folder = set.path("receipts");
    std::fs::create_dir(&folder).unwrap();
    for (n, text) in bent(&set).iter().enumerate() {
        std::fs::write(Path::new(&folder).join(format!("{n:03}.receipt.json")), text).unwrap();
    }
    std::fs::write(Path::new(&folder).join("letter.pdf"), "%PDF-1.7 a document").unwrap();
    let output = set.many(&[&folder, "--any-document"]);
    let text = stdout(&output);
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].contains("/002.receipt.json of ") && lines[0].contains("entry_not_included"), "{text}");
    assert!(lines[1].contains("/199.receipt.json: invalid, receipt_malformed") && lines[2].contains("/399."), "{text}");
    assert!(lines[3].starts_with("400 receipts: 397 verified, 3 invalid"), "{text}");
    assert_eq!(status(&output), 1);

    let empty = set.path("empty");
    std::fs::create_dir(&empty).unwrap();
    let output = set.many(&[&empty, "--any-document"]);
    assert!(status(&output) == 2 && String::from_utf8_lossy(&output.stderr).contains("no receipts in"));
}

#[test]
fn the_list_says_which_documents_count() {
    let set = set();
    let receipts = set.write("receipts.jsonl", set.texts[..399].join("\n"));
    let all = set.write("digests", set.digests().to_uppercase());
    let output = set.many(&[&receipts, "--digests", &all]);
    let missing = set.sealed.entries[399].digest;
    let text = stdout(&output);
    assert!(text.starts_with(&format!("{missing}: no receipt is about it\n399 receipts: 399 verified,")), "{text}");
    assert!(text.contains("1 documents without a receipt") && !text.contains("no document was checked"), "{text}");
    assert_eq!(status(&output), 4);

    let complete = set.write("complete.jsonl", set.texts.join("\n"));
    assert_eq!(status(&set.many(&[&complete, "--digests", &all])), 0);

    let first: String = set.digests().lines().take(1).map(|line| format!("{line}\n")).collect();
    let one = set.write("one", first);
    let output = set.many(&[&complete, "--digests", &one]);
    let text = stdout(&output);
    assert!(text.contains("400 receipts: 1 verified, 399 invalid") && text.contains("document_mismatch (step 2)"), "{text}");
    assert_eq!(status(&output), 1);
}

#[test]
fn the_exit_status_is_the_first_that_applies() {
    let set = set();
    let good = set.write("good.json", &set.texts[0]);
    let bad = set.write("bad.json", bent(&set)[199].as_str());
    let open = set.write("open.json", set.sealed.receipt(1, Vec::new()).to_string());
    let unreadable = set.path("nothing");
    for (names, expected) in
        [(&[&good][..], 0), (&[&good, &open], 3), (&[&good, &unreadable, &open], 2), (&[&open, &unreadable, &bad, &good], 1)]
    {
        let names: Vec<&str> = names.iter().map(|name| name.as_str()).chain(["--any-document"]).collect();
        let output = set.many(&names);
        assert_eq!(status(&output), expected, "{names:?}: {}", stdout(&output));
        assert_eq!(String::from_utf8_lossy(&output.stderr).contains("cannot read"), names.contains(&unreadable.as_str()));
    }
    // Without a block that is trusted, those to look up are named once.
    let lines = set.write("lines.jsonl", set.texts.join("\n"));
    let output = command().args(["--many", "--any-document", &lines, &open]).output().unwrap();
    let text = stdout(&output);
    assert!(text.contains("0 verified, 0 invalid, 1 not yet, 400 cannot tell"), "{text}");
    assert_eq!(text.matches("\n  block     12 on eip155:31337 0x").count(), 1, "{text}");
    assert_eq!(status(&output), 4);
}

#[test]
fn a_line_without_end_is_no_burden() {
    let set = set();
    let mut bytes = vec![b'x'; 40 << 20];
    bytes.push(b'\n');
    bytes.extend_from_slice(set.texts[0].as_bytes());
    let file = set.write("long.jsonl", bytes);
    let text = stdout(&set.many(&[&file, "--any-document"]));
    assert!(text.contains("long.jsonl:1: invalid, receipt_malformed (step 1): longer than 1 MiB\n"), "{text}");
    assert!(text.contains("2 receipts: 1 verified, 1 invalid"), "{text}");
}

#[test]
fn usage_is_said() {
    let set = set();
    let file = set.write("good.json", &set.texts[0]);
    let digests = set.write("digests", "no digest\n");
    let f = file.as_str();
    for arguments in [
        &["--any-document"][..],
        &[f],
        &[f, "--any-document", "--digests", f],
        &[f, "--digests", &digests],
        &[f, "--digests", "/nonexistent"],
        &["-", "--digests", "-"],
        &[f, "--any-document", "--digest", &"00".repeat(32)],
        &[f, "--any-document", "--receipt", f],
    ] {
        let output = set.many(arguments);
        assert!(status(&output) == 2 && output.stdout.is_empty() && !output.stderr.is_empty(), "{arguments:?}");
    }
    let output = command().args([f, f, "--any-document"]).output().unwrap();
    assert_eq!(status(&output), 2);
    let closed =
        command().args(["--many", f, "--any-document", "--block-hash", &set.block]).stdout(Stdio::null()).output().unwrap();
    assert_eq!(status(&closed), 0);
}
