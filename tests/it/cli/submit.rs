//! `sceau submit`.

use std::process::Stdio;

use serde_json::json;

use crate::cli::api::{Answer, Api, SECRET, batch, digest, problem};

#[test]
fn files_are_hashed_here_and_one_line_is_printed_for_each() {
    let api = Api::start();
    let place = api.place();
    place.file("one.pdf", "the first document");
    place.file("two.pdf", "the second document");
    let run = place.run(&["submit", "one.pdf", "two.pdf"]);
    run.ends(0);
    let (one, two) = (digest("the first document"), digest("the second document"));
    assert_eq!(run.stdout, format!("pending   {one}  one.pdf\npending   {two}  two.pdf\n"));
    assert_eq!(run.stderr, "");
    assert_eq!(api.items(), [json!({ "digest": one, "file_name": "one.pdf" }), json!({ "digest": two, "file_name": "two.pdf" })]);
}

#[test]
fn labels_reference_and_names_are_sent_as_asked() {
    let api = Api::start();
    let place = api.place();
    place.file("folder/one.pdf", "x");
    place.run(&["submit", "-l", "a", "--label", "b", "--reference", "r 1", "folder/one.pdf"]).ends(0);
    place.run(&["submit", "--no-names", "folder/one.pdf"]).ends(0);
    let x = digest("x");
    let first = json!({ "digest": x, "file_name": "one.pdf", "labels": ["a", "b"], "reference": "r 1" });
    assert_eq!(api.items(), [first, json!({ "digest": x })]);
}

#[test]
fn json_lines_carry_the_whole_answer() {
    let api = Api::start();
    let place = api.place();
    place.file("one.pdf", "x");
    let lines = place.run(&["submit", "--json", "one.pdf"]).ends(0).json();
    assert_eq!(lines.len(), 1);
    for (name, value) in
        [("file", json!("one.pdf")), ("digest", json!(digest("x"))), ("batch", json!(7)), ("created", json!(true))]
    {
        assert_eq!(lines[0][name], value, "{name}");
    }
    assert_eq!(lines[0]["salt"], "00".repeat(16));
}

#[test]
fn files_of_the_same_content_are_sent_once_and_each_has_its_line() {
    let api = Api::start();
    let place = api.place();
    for name in ["a", "b", "c"] {
        place.file(name, if name == "b" { "other" } else { "same" });
    }
    let run = place.run(&["submit", "a", "b", "c"]);
    let (same, other) = (digest("same"), digest("other"));
    assert_eq!(run.ends(0).stdout, format!("pending   {same}  a\npending   {other}  b\npending   {same}  c\n"));
    assert_eq!(api.items(), [json!({ "digest": same, "file_name": "a" }), json!({ "digest": other, "file_name": "b" })]);
}

#[test]
fn folders_are_walked_only_when_asked() {
    let api = Api::start();
    let place = api.place();
    place.file("folder/b/2", "2");
    place.file("folder/a", "1");
    place.run(&["submit", "folder"]).ends(2).briefly().says(&["folder is a folder", "--recursive"]);
    assert!(api.model().seen.is_empty());
    let run = place.run(&["submit", "-r", "folder"]);
    assert_eq!(run.ends(0).stdout, format!("pending   {}  folder/a\npending   {}  folder/b/2\n", digest("1"), digest("2")));
}

#[test]
fn what_cannot_be_read_is_reported_and_the_rest_is_submitted() {
    let api = Api::start();
    let place = api.place();
    place.file("there", "x");
    let run = place.run(&["submit", "--json", "missing", "there"]);
    run.ends(1).briefly().says(&["missing: No such file"]);
    let lines = run.json();
    assert_eq!((lines.len(), &lines[0]["file"], &lines[1]["file"]), (2, &json!("missing"), &json!("there")));
    assert!(lines[0]["error"].is_string() && lines[0].get("digest").is_none());
    assert_eq!(api.items().len(), 1);
}

#[test]
fn a_busy_api_is_asked_again() {
    let api = Api::start();
    let place = api.place();
    place.file("a", "x");
    api.model().instead = vec![
        ("POST /oauth2/token", problem(503, "unavailable", Some(0))),
        ("POST /v1/proofs", problem(503, "pool_full", Some(0))),
        ("POST /v1/proofs", Answer { status: 429, retry_after: Some(0), body: json!({}) }),
    ];
    let run = place.run(&["submit", "a"]);
    run.ends(0).says(&["The title: The detail (request 0123abcd); trying again in", "status 429; trying again in"]);
    assert_eq!((api.asked("POST /v1/proofs"), api.asked("POST /oauth2/token")), (3, 2));
    assert_eq!(run.stdout.lines().count(), 1);
}

#[test]
fn an_api_that_is_busy_for_long_is_not_waited_for() {
    let api = Api::start();
    let place = api.place();
    place.file("a", "x");
    api.model().instead = vec![("POST /v1/proofs", problem(503, "unavailable", Some(3_600)))];
    place.run(&["submit", "a"]).ends(1).briefly().says(&["nothing was submitted", "try again in 3600 s"]);
    assert_eq!(api.asked("POST /v1/proofs"), 1);
}

#[test]
fn a_lost_connection_is_tried_again() {
    let api = Api::start();
    let place = api.place();
    place.file("a", "x");
    api.model().hang_up = 1;
    place.run(&["submit", "a"]).ends(0).says(&["no answer from the API", "trying again"]);
}

#[test]
fn an_expired_token_is_renewed_once() {
    let api = Api::start();
    let place = api.place();
    place.file("a", "x");
    api.model().instead = vec![("POST /v1/proofs", problem(401, "token_expired", None))];
    place.run(&["submit", "a"]).ends(0);
    assert_eq!((api.asked("POST /oauth2/token"), api.asked("POST /v1/proofs")), (2, 2));

    api.model().instead = vec![("POST /v1/proofs", problem(401, "token_expired", None)); 2];
    place.run(&["submit", "a"]).ends(1).briefly().says(&["The title"]);
    assert_eq!((api.asked("POST /oauth2/token"), api.asked("POST /v1/proofs")), (4, 4));
}

#[test]
fn a_problem_is_shown_with_its_request() {
    let api = Api::start();
    let place = api.place();
    place.file("a", "x");
    let mut invalid = problem(422, "proofs_invalid", None);
    invalid.body["errors"] = json!([{ "index": 0, "code": "label_too_long", "detail": "a label is too long" }]);
    api.model().instead = vec![("POST /v1/proofs", invalid)];
    let run = place.run(&["submit", "a"]);
    run.ends(1).briefly();
    assert_eq!(
        run.stderr,
        "sceau: nothing was submitted: The title: The detail; item 0: a label is too long (request 0123abcd)\n"
    );
    assert_eq!(run.stdout, "");
}

#[test]
fn a_wrong_secret_is_refused_without_being_shown() {
    let api = Api::start();
    let place = api.place().with("SCEAU_CONSUMER_SECRET", "cs_wrong");
    place.file("a", "x");
    let run = place.run(&["submit", "a"]);
    run.ends(1).briefly().says(&["does not accept the consumer key and secret", "unknown key, wrong secret, or disabled"]);
    assert!(!run.stderr.contains("cs_wrong") && !run.stderr.contains(SECRET));
}

#[test]
fn answers_about_something_else_are_not_believed() {
    let api = Api::start();
    let place = api.place();
    place.file("a", "x");
    place.file("b", "y");
    let proof = |content| json!({ "digest": digest(content), "status": "final", "batch": 1 });
    for proofs in [json!([proof("x")]), json!([proof("y"), proof("x")]), json!([proof("x"), proof("y"), proof("y")]), json!({})] {
        let answer = Answer { status: 201, retry_after: None, body: json!({ "proofs": proofs }) };
        api.model().instead = vec![("POST /v1/proofs", answer)];
        place.run(&["submit", "a", "b"]).ends(1).briefly().says(&["the API"]);
    }
    api.model().instead = vec![("POST /v1/proofs", Answer { status: 307, retry_after: None, body: json!({}) })];
    place.run(&["submit", "a", "b"]).ends(1).briefly().says(&["status 307"]);
    assert_eq!(api.asked("POST /elsewhere"), 0);
}

#[test]
fn waiting_asks_for_batches_not_for_proofs() {
    let api = Api::start();
    let place = api.place();
    for name in ["a", "b", "c", "d"] {
        place.file(name, name);
    }
    {
        let mut model = api.model();
        model.batch_of = Some(|n| if n < 3 { 7 } else { 8 });
        let slow = [batch(7, "open", &[]), batch(7, "sealed", &["sent", "planned"]), batch(7, "sealed", &["included", "sent"])];
        model.batches.insert(7, slow.into());
        model.batches.insert(8, [batch(8, "sealed", &["final"])].into());
    }
    let run = place.run(&["submit", "--json", "--wait", "anchored", "a", "b", "c", "d"]);
    run.ends(0).says(&["waiting for 1 batch to be anchored"]);
    let statuses: Vec<_> = run.json().iter().map(|line| line["status"].clone()).collect();
    assert_eq!(statuses, ["anchored", "anchored", "anchored", "final"]);
    assert_eq!((api.asked("GET /v1/batches/7"), api.asked("GET /v1/batches/8")), (3, 1));
    assert!(!api.model().seen.iter().any(|seen| seen.line.starts_with("GET /v1/proofs")));
}

#[test]
fn waiting_ends_when_time_is_up() {
    let api = Api::start();
    let place = api.place();
    place.file("a", "x");
    api.model().batches.insert(7, [batch(7, "sealed", &["included"])].into());
    let run = place.run(&["submit", "-q", "--wait", "final", "--timeout", "1", "a"]);
    run.ends(1).briefly().says(&["not everything is final after 1 s", "sceau status"]);
    assert_eq!(run.stdout, format!("anchored  {}  a\n", digest("x")));
}

#[test]
fn a_reader_that_goes_away_changes_nothing() {
    let api = Api::start();
    let place = api.place();
    let names: Vec<String> = (0..500).map(|n| format!("file-{n}")).collect();
    for name in &names {
        place.file(name, name);
    }
    let arguments: Vec<&str> = ["submit"].into_iter().chain(names.iter().map(String::as_str)).collect();
    let mut child = place.command(&arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("started");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("ended");
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(0), ""));
    assert_eq!(api.items().len(), names.len());
}

#[test]
fn names_do_not_control_the_terminal() {
    let api = Api::start();
    let place = api.place();
    place.file("a\u{1b}[31m", "x");
    let run = place.run(&["submit", "a\u{1b}[31m", "none\u{1b}[0m"]);
    run.ends(1);
    assert!(!run.stdout.contains('\u{1b}') && !run.stderr.contains('\u{1b}'), "{}{}", run.stdout, run.stderr);
}

#[test]
fn usage_errors_come_before_any_work() {
    let api = Api::start();
    let place = api.place();
    let long = "x".repeat(65);
    for arguments in [
        vec!["submit"],
        vec!["submit", "--wait", "soon", "a"],
        vec!["submit", "--timeout", "3", "a"],
        vec!["submit", "--label", &long, "a"],
        vec!["submit", "--label", "", "a"],
        vec!["submit", "--unknown", "a"],
    ] {
        let run = place.run(&arguments);
        assert_eq!(run.status, 2, "{arguments:?}: {}", run.stderr);
        assert_eq!(run.stdout, "");
    }
    let labels: Vec<&str> = ["submit", "a"].into_iter().chain(["-l", "x"].into_iter().cycle().take(42)).collect();
    place.run(&labels).ends(2).briefly().says(&["21 labels"]);
    assert!(api.model().seen.is_empty());
}
