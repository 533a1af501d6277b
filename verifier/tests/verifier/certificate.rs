//! Receipts inside PDF files (SPEC.md §2.4): exactly one, or none is taken.

use std::path::Path;
use std::process::Command;

use proptest::prelude::*;
use sceau_verifier::certificate::{MAX_PDF_BYTES, NoReceipt, receipt};
use sceau_verifier::receipt::MAX_BYTES;

use crate::command::{command, files, json, status, stdout};
use crate::support::cases::plain;

const HEAD: &str = "%PDF-1.7\n%\u{e4}\u{e4}\n1 0 obj\n<</Type/EmbeddedFile/Length 1>>\nstream";
const TAIL: &str = "endstream\nendobj\ntrailer\n%%EOF\n";

fn pdf(before: &str, content: &[u8], after: &str) -> Vec<u8> {
    [HEAD.as_bytes(), before.as_bytes(), content, after.as_bytes(), TAIL.as_bytes()].concat()
}

#[test]
fn the_one_receipt_is_found_whatever_stands_around_it() {
    let bytes = plain().to_bytes();
    for (before, after) in [("\n", "\n"), ("\r\n", "\r\n"), ("\n", "\r"), ("\r\n", "\n")] {
        assert_eq!(receipt(&pdf(before, &bytes, after)), Ok(&*bytes), "{before:?} {after:?}");
    }
    // Quoted, nested, or in a text: not the beginning of a stream.
    let quoted = [&pdf("\n", &bytes, "\n")[..], b"(", &bytes, b") [", &bytes, b"]\n", &bytes].concat();
    assert_eq!(receipt(&quoted), Ok(&*bytes));
}

#[test]
fn none_several_and_open_ones_are_told_apart() {
    let bytes = plain().to_bytes();
    let one = pdf("\n", &bytes, "\n");
    assert_eq!(receipt(&[&one[..], &one].concat()), Err(NoReceipt::Several), "the same twice is still a choice");
    assert_eq!(receipt(b"%PDF-1.7\n%%EOF"), Err(NoReceipt::None));
    assert_eq!(receipt(&pdf(" ", &bytes, "\n")), Err(NoReceipt::None));
    assert_eq!(
        receipt(&pdf("\r", &bytes, "\n")),
        Err(NoReceipt::None),
        "a lone CR does not begin a stream (ISO 32000-1 §7.3.8.1)"
    );
    for after in ["", "\n\n", "\n ", "\n%"] {
        assert_eq!(receipt(&pdf("\n", &bytes, after)), Err(NoReceipt::Open), "{after:?}");
    }
    assert_eq!(receipt(&one[..one.len() - TAIL.len()]), Err(NoReceipt::Open));
    assert_eq!(receipt(&one[..one.len() - TAIL.len() - 1]), Err(NoReceipt::Open));
    let long = |length: usize| pdf("\n", &[&b"{\"format\":\"sceau-receipt/1\","[..], &vec![b'x'; length - 28]].concat(), "\n");
    assert_eq!(receipt(&long(MAX_BYTES)).map(<[u8]>::len), Ok(MAX_BYTES));
    assert_eq!(receipt(&long(MAX_BYTES + 1)), Err(NoReceipt::Open));
    let mut large = one;
    large.resize(MAX_PDF_BYTES, b' ');
    assert_eq!(receipt(&large), Ok(&*bytes));
    large.push(b' ');
    assert_eq!(receipt(&large), Err(NoReceipt::TooLong));
}

fn second(arguments: &[&str]) -> i32 {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/check.py");
    Command::new("python3").arg(script).args(arguments).output().unwrap().status.code().unwrap()
}

#[test]
fn both_verifiers_take_certificates_and_refuse_the_same_ones() {
    let files = files();
    let path = |name: &str| files.path().join(name).into_os_string().into_string().unwrap();
    let (bytes, trusted) = (plain().to_bytes(), plain().anchors[0].block_hash.to_string());
    let one = pdf("\n", &bytes, "\n");
    let mut changed = bytes.clone();
    changed[40] ^= 1;
    for (name, content, expected) in [
        ("good", one.clone(), 0),
        ("changed", pdf("\n", &changed, "\n"), 1),
        ("twice", [&one[..], &one].concat(), 2),
        ("none", b"%PDF-1.7\n%%EOF".to_vec(), 2),
        ("open", pdf("\n", &bytes, ""), 2),
        ("cut", one[..one.len() - TAIL.len()].to_vec(), 2),
        ("not a PDF", [b" ".as_slice(), &one].concat(), 1),
    ] {
        let file = path("certificate.pdf");
        std::fs::write(&file, content).unwrap();
        let document = path("document");
        let arguments = [&*document, &*file, "--block-hash", &*trusted];
        let output = command().args(arguments).output().unwrap();
        assert_eq!(status(&output), expected, "{name}: {}", stdout(&output));
        assert_eq!(second(&arguments), expected, "{name}");
        if expected == 2 {
            assert!(output.stdout.is_empty() && String::from_utf8_lossy(&output.stderr).contains("PDF"), "{name}");
        }
    }
    std::fs::write(path("certificate.pdf"), &one).unwrap();
    let text = stdout(&command().args([&path("document"), &path("certificate.pdf"), "--block-hash", &trusted]).output().unwrap());
    assert!(text.starts_with("VERIFIED") && text.contains("pages say was not looked at"), "{text}");
    let (answer, _) = json(command().args([&path("document"), &path("certificate.pdf"), "--block-hash", &trusted]));
    assert_eq!((&answer["container"], &answer["verdict"]), (&"pdf".into(), &"verified".into()));
    let (answer, _) = json(command().args([&path("document"), &path("receipt.json"), "--block-hash", &trusted]));
    assert_eq!(answer["container"], "json");
}

fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"stream".to_vec()),
        Just(b"endstream".to_vec()),
        Just(b"\n".to_vec()),
        Just(b"\r\n".to_vec()),
        Just(b"\r".to_vec()),
        Just(b"{\"format\":\"sceau-receipt/1\",".to_vec()),
        Just(b"{\"format\":".to_vec()),
        proptest::collection::vec(any::<u8>(), 0..8),
    ];
    proptest::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn hostile_files_are_survived_and_what_is_taken_is_alone(bytes in pieces()) {
        let mark = b"{\"format\":\"sceau-receipt/1\",";
        let begins = |ending: &[u8]| {
            let begin = [b"stream", ending, mark].concat();
            bytes.windows(begin.len()).filter(|window| *window == begin).count()
        };
        let marked = begins(b"\n") + begins(b"\r\n");
        match receipt(&bytes) {
            Ok(found) => {
                prop_assert_eq!(marked, 1);
                prop_assert!(found.starts_with(mark) && !found.iter().any(|byte| matches!(byte, b'\n' | b'\r')));
            }
            Err(NoReceipt::None) => prop_assert_eq!(marked, 0),
            Err(NoReceipt::Several) => prop_assert!(marked > 1),
            Err(NoReceipt::Open) => prop_assert_eq!(marked, 1),
            Err(NoReceipt::TooLong) => prop_assert!(false),
        }
    }

    #[test]
    fn any_receipt_is_found_between_any_bytes(before in proptest::collection::vec(any::<u8>(), 0..200), after in proptest::collection::vec(any::<u8>(), 0..200)) {
        let bytes = plain().to_bytes();
        let file = [&before[..], b"stream\n", &bytes, b"\nendstream", &after].concat();
        prop_assert_eq!(receipt(&file), Ok(&*bytes));
    }
}
