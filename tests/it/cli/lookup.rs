//! `sceau status`, `sceau receipt` and `sceau certificate`.

use sceau_verifier::receipt::{self, Batch, Document, EntryPosition, Format, Receipt, TreePosition};
use sceau_verifier::{Anchor, Digest};
use serde_json::json;

use crate::cli::api::{ANCHOR_BY, Answer, Api, digest, problem};

/// A well-formed receipt; whether it proves anything is not this command's business.
fn receipt_of(content: &str, anchors: Vec<Anchor>) -> Vec<u8> {
    let digest = Digest::of(content.as_bytes());
    let header = format!(
        r#"{{"v":1,"origin":"test","number":7,"previous_root":"{}","sealed_at":"2030-01-01T00:00:00Z","count":1}}"#,
        "0".repeat(64)
    );
    let bytes = Receipt {
        format: Format::V1,
        document: Document { digest },
        entry: EntryPosition { salt: [1; 16].into(), index: 1 },
        tree: TreePosition { size: 2, root: digest, path: vec![digest] },
        batch: Batch { number: 7, header, path: vec![digest] },
        anchors,
        decisions: Vec::new(),
    }
    .to_bytes();
    receipt::parse(&bytes).expect("well formed");
    bytes
}

#[test]
fn status_of_files_and_digests() {
    let api = Api::start();
    let place = api.place();
    place.file("a", "x");
    let (x, y) = (digest("x"), digest("y"));
    api.model().proofs.insert(x.clone(), 7);
    let run = place.run(&["status", "a", &x.to_uppercase(), &y]);
    assert_eq!(
        run.ends(1).stdout,
        format!("pending   {x}  a  to be anchored by {ANCHOR_BY}\npending   {x}  to be anchored by {ANCHOR_BY}\nunknown   {y}\n")
    );
    let lines = place.run(&["status", "--json", "a", "none", &y]);
    let lines = lines.ends(1).json();
    assert_eq!((&lines[0]["file"], &lines[0]["status"], &lines[0]["batch"]), (&json!("a"), &json!("pending"), &json!(7)));
    assert!(lines[1]["error"].as_str().is_some_and(|error| error.contains("No such file")));
    assert_eq!(lines[2], json!({ "digest": y, "status": "unknown", "file": null }));
    place.run(&["status", "a"]).ends(0);
}

#[test]
fn a_broken_promise_is_shown() {
    let api = Api::start();
    let place = api.place();
    let x = digest("x");
    api.model().proofs.insert(x.clone(), 7);
    api.model().proof_members = json!({ "overdue": true, "status": "sealed" });
    assert_eq!(place.run(&["status", &x]).ends(0).stdout, format!("sealed    {x}  OVERDUE since {ANCHOR_BY}\n"));
    api.model().proof_members = json!({ "overdue": false, "status": "anchored" });
    assert_eq!(place.run(&["status", &x]).ends(0).stdout, format!("anchored  {x}\n"));
}

#[test]
fn only_an_unknown_proof_is_unknown() {
    let api = Api::start();
    let place = api.place();
    let x = digest("x");
    let line: &'static str = format!("GET /v1/proofs/{x}").leak();
    api.model().instead = vec![(line, problem(404, "not_found", None))];
    place.run(&["status", &x]).ends(1).briefly().says(&["The title"]);
    api.model().proofs.insert(x.clone(), 7);
    api.model().proof_members = json!({ "digest": digest("y") });
    place.run(&["status", &x]).ends(1).briefly().says(&["another digest"]);
}

#[test]
fn a_receipt_is_written_byte_for_byte_and_overwrites_nothing() {
    let api = Api::start();
    let place = api.place();
    place.file("a.pdf", "x");
    let mut bytes = receipt_of("x", Vec::new());
    bytes.push(b'\n');
    api.model().receipts.insert(digest("x"), bytes.clone());
    place.run(&["receipt", "a.pdf"]).ends(0).briefly().says(&["wrote a.pdf.sceau.json"]);
    assert_eq!(std::fs::read(place.path("a.pdf.sceau.json")).expect("written"), bytes);

    let asked = api.model().seen.len();
    place.file("a.pdf.sceau.json", "mine");
    place.run(&["receipt", "a.pdf"]).ends(1).briefly().says(&["exists already", "--force"]);
    assert_eq!(api.model().seen.len(), asked, "refused before the API is asked");
    assert_eq!(std::fs::read(place.path("a.pdf.sceau.json")).expect("there"), b"mine");
    place.run(&["receipt", "--force", "a.pdf"]).ends(0);
    assert_eq!(std::fs::read(place.path("a.pdf.sceau.json")).expect("written"), bytes);

    place.run(&["receipt", &digest("x")]).ends(0).says(&[&format!("wrote {}.sceau.json", digest("x"))]);
    let run = place.run(&["receipt", "a.pdf", "-o", "-"]);
    assert_eq!((run.ends(0).stdout.as_bytes(), &*run.stderr), (&*bytes, ""));
    place.run(&["receipt", "a.pdf", "-o", "no/such/folder"]).ends(1).briefly();
    let left: Vec<_> = std::fs::read_dir(place.path("")).expect("listed").map(|entry| entry.expect("read").file_name()).collect();
    assert_eq!(left.len(), 3, "{left:?}");
}

#[test]
fn a_receipt_that_is_not_ready_says_when_to_come_back() {
    let api = Api::start();
    let place = api.place();
    place.file("a", "x");
    let run = place.run(&["receipt", "a"]);
    run.ends(1).briefly().says(&[
        "The title",
        "request 0123abcd",
        &format!("promised to be anchored by {ANCHOR_BY}"),
        "try again in 42 s",
    ]);
    assert!(!place.path("a.sceau.json").exists());
    assert_eq!(api.asked(&format!("GET /v1/proofs/{}/receipt", digest("x"))), 1);
}

#[test]
fn what_is_not_the_receipt_is_not_written() {
    let api = Api::start();
    let place = api.place();
    place.file("a", "x");
    let mut damaged = receipt_of("x", Vec::new());
    damaged.push(b' ');
    for (bytes, words) in
        [(receipt_of("y", Vec::new()), "another document"), (b"<html>".to_vec(), "no receipt"), (damaged, "no receipt")]
    {
        api.model().receipts.insert(digest("x"), bytes);
        place.run(&["receipt", "a"]).ends(1).briefly().says(&[words]);
        assert!(!place.path("a.sceau.json").exists());
    }
    api.model().receipts.insert(digest("x"), receipt_of("x", Vec::new()));
    place.run(&["receipt", "--final", "a"]).ends(1).briefly().says(&["not final"]);
    assert_eq!(api.asked(&format!("GET /v1/proofs/{}/receipt?final=true", digest("x"))), 1);
}

fn certificate_of(receipts: &[Vec<u8>]) -> Vec<u8> {
    let streams = receipts.iter().map(|bytes| [b"stream\n".as_slice(), bytes, b"\nendstream\n"].concat());
    [b"%PDF-1.7\n".to_vec(), streams.collect::<Vec<_>>().concat()].concat()
}

#[test]
fn a_certificate_is_written_byte_for_byte_and_overwrites_nothing() {
    let api = Api::start();
    let place = api.place();
    place.file("a.pdf", "x");
    let bytes = certificate_of(&[receipt_of("x", Vec::new())]);
    api.model().certificates.insert(digest("x"), bytes.clone());
    place.run(&["certificate", "a.pdf"]).ends(0).briefly().says(&["wrote a.pdf.certificate.pdf"]);
    assert_eq!(std::fs::read(place.path("a.pdf.certificate.pdf")).expect("written"), bytes);
    assert_eq!(api.asked(&format!("GET /v1/proofs/{}/certificate?lang=fr", digest("x"))), 1);
    place.run(&["certificate", "a.pdf"]).ends(1).briefly().says(&["exists already", "--force"]);
    let run = place.run(&["certificate", "--lang", "en", "-o", "-", &digest("x")]);
    assert_eq!(run.ends(0).stdout.as_bytes(), bytes);
    assert_eq!(api.asked(&format!("GET /v1/proofs/{}/certificate?lang=en", digest("x"))), 1);
    assert_eq!(place.run(&["certificate", "--lang", "de", "a.pdf"]).status, 2);
    // Nothing sealed yet: nothing inside.
    api.model().certificates.insert(digest("x"), certificate_of(&[]));
    place.run(&["certificate", "--force", "a.pdf"]).ends(0);
}

#[test]
fn what_is_not_the_certificate_is_not_written() {
    let api = Api::start();
    let place = api.place();
    place.file("a", "x");
    place.run(&["certificate", "a"]).ends(1).briefly();
    let (mine, other) = (receipt_of("x", Vec::new()), receipt_of("y", Vec::new()));
    for (bytes, words) in [
        (certificate_of(&[other]), "another document"),
        (certificate_of(&[mine.clone(), mine]), "several receipts"),
        (b"<html>".to_vec(), "not a PDF"),
        (certificate_of(&[b"{\"format\":\"sceau-receipt/1\",}".to_vec()]), "no certificate"),
    ] {
        api.model().certificates.insert(digest("x"), bytes);
        place.run(&["certificate", "a"]).ends(1).briefly().says(&[words]);
        assert!(!place.path("a.certificate.pdf").exists());
    }
}

#[test]
fn lists_are_printed_page_by_page_for_people_and_programs() {
    let api = Api::start();
    let place = api.place();
    let (x, y) = (digest("x"), digest("y"));
    let ok = |body| Answer { status: 200, retry_after: None, body };
    let first = json!({
        "number": 3, "digest": x, "status": "final", "batch": 1, "received_at": "2030-01-02T03:04:05.678Z", "file_name": "a\u{1b}[2Jb.pdf",
    });
    let second = json!({
        "number": 9, "digest": y, "status": "final", "batch": 2, "received_at": "2030-01-02T03:04:05Z", "erased_at": "2031-01-01T00:00:00Z",
    });
    let pages = [
        (
            "GET /v1/proofs?limit=1000&after=0&status=final&label=a+%26+b&file_name=%C3%A9t%C3%A9",
            json!({ "proofs": [first], "next": 7 }),
        ),
        (
            "GET /v1/proofs?limit=1000&after=7&status=final&label=a+%26+b&file_name=%C3%A9t%C3%A9",
            json!({ "proofs": [second], "next": null }),
        ),
    ];
    let arguments = ["list", "--status", "final", "--label", "a & b", "--name", "été"];
    api.model().instead.extend(pages.clone().map(|(line, body)| (line, ok(body))));
    assert_eq!(
        place.run(&arguments).ends(0).stdout,
        format!(
            "       3  final     2030-01-02T03:04:05Z  {x}  a\u{fffd}[2Jb.pdf\n       9  final     2030-01-02T03:04:05Z  {y}  erased 2031-01-01T00:00:00Z\n"
        )
    );
    api.model().instead.extend(pages.clone().map(|(line, body)| (line, ok(body))));
    assert_eq!(place.run(&[&arguments[..], &["--json"]].concat()).ends(0).json(), [first, second]);
    let [(line, body), _] = pages;
    api.model().instead.push((line, ok(body)));
    assert_eq!(place.run(&[&arguments[..], &["--limit", "1"]].concat()).ends(0).stdout.lines().count(), 1);
    api.model().instead.push(("GET /v1/proofs?limit=1000&after=0&received_from=x", problem(400, "query_invalid", None)));
    place.run(&["list", "--from", "x"]).ends(1);
    place.run(&["list", "--status", "lost"]).ends(2);
}

#[test]
fn erasing_is_asked_for_and_told_for_each_proof() {
    let api = Api::start();
    let place = api.place();
    place.file("a", "x");
    let (x, y) = (digest("x"), digest("y"));
    place.run(&["erase", "a"]).ends(2);
    assert_eq!(api.model().seen.len(), 0, "nobody confirmed");
    let line = |digest: &str| -> &'static str { format!("DELETE /v1/proofs/{digest}?irrevocable=true").leak() };
    let erased = json!({ "digest": x, "number": 3, "batch": 1, "erased_at": "2031-01-01T00:00:00Z" });
    api.model().instead = vec![
        (line(&x), Answer { status: 200, retry_after: None, body: erased.clone() }),
        (line(&y), problem(409, "erasure_too_early", None)),
    ];
    let run = place.run(&["erase", "--yes", &y, "a"]);
    assert_eq!(run.ends(1).stdout, format!("erased  {x}  a  2031-01-01T00:00:00Z\n"));
    api.model().instead = vec![(line(&x), Answer { status: 200, retry_after: None, body: erased.clone() })];
    assert_eq!(place.run(&["erase", "-y", "--json", "a"]).ends(0).json(), [erased]);
    let status: &'static str = format!("GET /v1/proofs/{x}").leak();
    api.model().instead = vec![(status, problem(410, "proof_erased", None))];
    assert_eq!(place.run(&["status", "a"]).ends(1).stdout, format!("erased    {x}  a\n"));
}
