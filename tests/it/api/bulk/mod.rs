//! Submissions as streams of lines.

mod ending;

use reqwest::{Body, Response, StatusCode};
use sceau_verifier::promise::KeySet;
use sceau_verifier::promise::judge::{Outcome, judge};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::kit::{Service, digest, service, start};

const MEDIA: &str = "application/x-ndjson";

fn lines(numbers: impl IntoIterator<Item = u64>) -> String {
    numbers.into_iter().map(|number| format!("{}\n", json!({ "digest": digest(number) }))).collect()
}

async fn send(service: &Service, token: &str, body: impl Into<Body>) -> Response {
    let request = service.client.post(format!("{}/v1/proofs", service.base)).bearer_auth(token);
    request.header("content-type", MEDIA).body(body).send().await.unwrap()
}

/// The results of an answer that is whole, and what its last line says.
fn read(text: &str) -> (Vec<Value>, Value) {
    let (results, _, end) = parts(text);
    (results, end)
}

/// The results, the promises, and what the last line says.
fn parts(text: &str) -> (Vec<Value>, Vec<Value>, Value) {
    let mut all: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let end = all.pop().expect("a last line")["end"].take();
    assert!(end.is_object(), "{text}");
    let (promises, results) = all.into_iter().partition(|line| line.get("promise").is_some());
    (results, promises, end)
}

async fn answered(answer: Response) -> (Vec<Value>, Value) {
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()["content-type"], MEDIA);
    assert_eq!(answer.headers()["cache-control"], "no-store");
    read(&answer.text().await.unwrap())
}

/// Writes a head and a body before anything is read.
async fn raw(service: &Service, token: &str, body: &str) -> TcpStream {
    let mut stream = TcpStream::connect(service.address).await.unwrap();
    let head = format!(
        "POST /v1/proofs HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\ncontent-type: {MEDIA}\r\nconnection: close\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(body.as_bytes()).await.unwrap();
    stream
}

/// The bytes of a chunked body, as far as they came.
fn unchunked(mut bytes: &[u8]) -> Vec<u8> {
    let at = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("a head");
    bytes = &bytes[at + 4..];
    let mut body = Vec::new();
    while let Some(at) = bytes.windows(2).position(|two| two == b"\r\n") {
        let length = usize::from_str_radix(std::str::from_utf8(&bytes[..at]).unwrap(), 16).unwrap();
        let chunk = &bytes[at + 2..];
        body.extend_from_slice(&chunk[..length.min(chunk.len())]);
        bytes = chunk.get(length + 2..).unwrap_or_default();
    }
    body
}

#[tokio::test]
async fn every_line_has_its_result_and_a_bad_one_refuses_only_itself() {
    let service = start(true, |_| {}).await;
    let (_, token) = service.partner("a").await;
    service.submit(&token, &[digest(2)]).await;
    let good = |number: u64| json!({ "digest": digest(number), "file_name": format!("{number}.pdf") }).to_string();
    let long = format!("{{\"digest\":\"{}\"}}", "a".repeat(70_000));
    let body = [
        &good(1),
        "",
        &good(2),
        "{\"digest\":\"no\"}",
        "nonsense",
        "  \r",
        &good(3),
        &long,
        &good(1),
        "{\"digest\":1}",
        "\u{7f}",
        &good(4),
    ]
    .join("\n");
    let (lines, end) = answered(send(&service, &token, body).await).await;
    let told = |line: &Value| line["code"].as_str().map_or_else(|| line["created"].to_string(), str::to_owned);
    let found: Vec<(u64, String)> = lines.iter().map(|line| (line["line"].as_u64().unwrap(), told(line))).collect();
    let expected = [
        (1, "true"),
        (3, "false"),
        (4, "digest_invalid"),
        (5, "item_invalid"),
        (7, "true"),
        (8, "line_too_long"),
        (9, "false"),
        (10, "item_invalid"),
        (11, "item_invalid"),
        (12, "true"),
    ];
    assert_eq!(found, expected.map(|(line, told)| (line, told.to_owned())));
    assert_eq!(end, json!({ "lines": 10, "accepted": 5, "created": 3, "refused": 5 }));
    assert_eq!(service.stored().await, 4);
    let first = &lines[0];
    assert_eq!(first["digest"], digest(1).to_string());
    assert_eq!(first["salt"], lines[6]["salt"], "the same proof");
    assert!(first.get("links").is_none() && first["number"].is_u64() && first["anchor_by"].is_string(), "{first}");
    let found: Value = service.get(&format!("/v1/proofs/{}", digest(4)), &token).await.json().await.unwrap();
    assert_eq!((&found["file_name"], &found["salt"]), (&"4.pdf".into(), &lines[9]["salt"]));
}

#[tokio::test]
async fn a_client_may_write_everything_before_it_reads_anything() {
    let service = service().await;
    let (_, token) = service.partner("a").await;
    const LINES: u64 = 40_000;
    let mut stream = raw(&service, &token, &lines(0..LINES)).await;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    let (all, end) = read(std::str::from_utf8(&unchunked(&bytes)).unwrap());
    assert_eq!(end, json!({ "lines": LINES, "accepted": LINES, "created": LINES, "refused": 0 }));
    for (number, line) in all.iter().enumerate() {
        assert_eq!(
            (line["line"].as_u64(), line["digest"].as_str()),
            (Some(number as u64 + 1), Some(&*digest(number as u64).to_string()))
        );
    }
    assert_eq!(service.stored().await, LINES as i64);
}

/// With the results it speaks of as `proofs`, a promise in a stream is the answer of a submission.
#[tokio::test]
async fn every_accepted_line_is_promised() {
    let service = service().await;
    let (_, token) = service.partner("acme").await;
    let body = format!("{}nonsense\n{}", lines(0..7_000), lines([3, 7_001]));
    let text = send(&service, &token, body).await.text().await.unwrap();
    let (results, promises, end) = parts(&text);
    assert!(promises.len() > 1, "several groups");
    let keys = service.get("/.well-known/jwks.json", "").await.bytes().await.unwrap();
    let keys = KeySet::parse(&keys).unwrap();
    let given = |promise: &Value, proofs: &[&Value]| {
        let answer = json!({ "promise": promise["promise"], "proofs": proofs }).to_string();
        judge(answer.as_bytes(), &keys, None, None, |_, _| unreachable!("there is no receipt")).outcome
    };
    let mut promised = 0;
    for promise in &promises {
        let [from, to] = [0, 1].map(|at| promise["lines"][at].as_u64().unwrap());
        let within = |line: &&Value| (from..=to).contains(&line["line"].as_u64().unwrap()) && line.get("digest").is_some();
        let proofs: Vec<&Value> = results.iter().filter(within).collect();
        assert_eq!(given(promise, &proofs), Some(Outcome::Given));
        assert_eq!(given(promise, &proofs[1..]), None, "one is missing");
        assert_eq!(promise["count"], proofs.len());
        promised += proofs.len();
    }
    assert_eq!((promised, &end["accepted"]), (7_002, &json!(7_002)));
}
