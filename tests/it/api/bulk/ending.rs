//! Streams that end early, or do not begin: what was said until then holds.

use std::time::Duration;

use futures_util::StreamExt;
use reqwest::{Body, StatusCode};
use sceau::ledger::accounts::limits::{Change, Changes};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use super::super::kit::{digest, forgetful, problem, service, start};
use super::{MEDIA, answered, lines, read, send, unchunked};

/// What is in the next piece of an answer.
fn first(piece: &[u8]) -> Value {
    serde_json::from_slice(piece.split(|byte| *byte == b'\n').next().unwrap()).unwrap()
}

/// A body that is written piece by piece.
fn piecewise() -> (mpsc::UnboundedSender<String>, Body) {
    let (pieces, receiver) = mpsc::unbounded_channel::<String>();
    let stream = futures_util::stream::unfold(receiver, |mut receiver| async {
        receiver.recv().await.map(|piece| (Ok::<_, std::io::Error>(piece), receiver))
    });
    (pieces, Body::wrap_stream(stream))
}

#[tokio::test]
async fn whoever_goes_away_finds_every_acknowledged_line_and_may_go_on() {
    let service = service().await;
    let (account, token) = service.partner("a").await;
    const LINES: u64 = 60_000;
    // Announced in full, sent by half.
    let whole = lines(0..LINES);
    let half = whole.len() / 2 + 7;
    let mut stream = TcpStream::connect(service.address).await.unwrap();
    let head = format!(
        "POST /v1/proofs HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\ncontent-type: {MEDIA}\r\ncontent-length: {}\r\n\r\n",
        whole.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let (mut from, mut to) = stream.into_split();
    let sent = whole.as_bytes()[..half].to_vec();
    let writing = tokio::spawn(async move { to.write_all(&sent).await.map(|()| to) });
    let mut bytes = Vec::new();
    while bytes.len() < 2_000_000 {
        assert_ne!(from.read_buf(&mut bytes).await.unwrap(), 0, "{}", String::from_utf8_lossy(&bytes));
    }
    drop((from, writing.await.unwrap()));
    let body = unchunked(&bytes);
    let end = body.iter().rposition(|byte| *byte == b'\n').expect("a line");
    let told = body[..end].split(|byte| *byte == b'\n').map(|line| serde_json::from_slice::<Value>(line).unwrap());
    let told: Vec<Value> = told.filter(|line| line.get("promise").is_none()).collect();
    assert!(told.len() > 3_000 && told.len() < LINES as usize, "{}", told.len());
    for line in &told {
        let digest = line["digest"].as_str().unwrap().parse().unwrap();
        let proof = service.ledger.proof(account.id, &digest).await.unwrap().expect("acknowledged");
        assert_eq!((proof.salt.to_string(), line["created"].as_bool()), (line["salt"].as_str().unwrap().into(), Some(true)));
    }
    // The rest, or everything again: both are right.
    let (all, end) = answered(send(&service, &token, whole).await).await;
    assert_eq!((&end["accepted"], end.get("stopped")), (&LINES.into(), None));
    for (line, again) in told.iter().zip(&all) {
        for member in ["line", "digest", "salt", "number", "batch", "received_at"] {
            assert_eq!(line[member], again[member]);
        }
        assert_eq!(again["created"], false);
    }
    assert_eq!(service.stored().await, LINES as i64);
}

#[tokio::test]
async fn what_ends_acceptance_is_told_on_every_line_behind_and_at_the_end() {
    let service = forgetful().await;
    let (account, token) = service.partner("a").await;
    let changes = Changes { requests_per_second: Change::Keep, burst: Change::Keep, digests_per_day: Change::Set(Some(12_000)) };
    service.ledger.change_limits(Some(&account.name), changes).await.unwrap();
    let (all, end) = answered(send(&service, &token, lines(0..30_000)).await).await;
    assert_eq!(all.len(), 30_000);
    let accepted = all.iter().filter(|line| line["created"] == true).count() as i64;
    assert_eq!((service.stored().await, end["accepted"].as_i64()), (accepted, Some(accepted)));
    assert!(accepted > 0 && accepted <= 12_000, "{accepted}");
    let refused: Vec<&Value> = all.iter().filter(|line| line.get("digest").is_none()).collect();
    assert!(refused.iter().all(|line| line["code"] == "quota_exceeded"));
    let why = &end["stopped"];
    assert_eq!((&why["code"], &why["status"], &why["line"]), (&"quota_exceeded".into(), &429.into(), &refused[0]["line"]));
    assert!(why["retry_after"].as_u64() > Some(0), "{end}");

    // What was accepted is answered all the same. Of two groups under way the later one may be the first to be stored.
    let created = all.iter().filter(|line| line["created"] == true).map(|line| line["line"].as_u64().unwrap() - 1);
    let (again, end) = answered(send(&service, &token, lines(created)).await).await;
    assert_eq!((again.len() as i64, end.get("stopped")), (accepted, None));
}

#[tokio::test]
async fn results_come_while_the_client_writes_and_a_revoked_account_is_not_served_on() {
    let service = forgetful().await;
    let (account, token) = service.partner("a").await;
    let (pieces, body) = piecewise();
    pieces.send(lines([1])).unwrap();
    let mut answer = send(&service, &token, body).await.bytes_stream();
    let first = self::first(&answer.next().await.unwrap().unwrap());
    assert_eq!((&first["line"], &first["created"]), (&1.into(), &true.into()));
    pieces.send(lines([2])).unwrap();
    let second = self::first(&answer.next().await.unwrap().unwrap());
    assert_eq!(second["line"], 2);
    service.ledger.disable_account(&account.name).await.unwrap();
    pieces.send(lines([3])).unwrap();
    drop(pieces);
    let rest: Vec<u8> = answer.map(|piece| piece.unwrap().to_vec()).collect::<Vec<_>>().await.concat();
    let (all, end) = read(std::str::from_utf8(&rest).unwrap());
    assert_eq!(all, [json!({ "line": 3, "code": "account_disabled" })]);
    assert_eq!((&end["accepted"], &end["stopped"]["code"]), (&2.into(), &"account_disabled".into()));
    assert_eq!(service.stored().await, 2);
}

#[tokio::test]
async fn a_stream_that_stands_still_is_ended_and_places_are_few() {
    let service = start(false, |state| state.limits.idle = Duration::from_millis(1_500)).await;
    let (_, token) = service.partner("a").await;
    let (pieces, body) = piecewise();
    pieces.send(format!("{}{{\"dig", lines([1]))).unwrap();
    let (all, end) = answered(send(&service, &token, body).await).await;
    assert_eq!(all.len(), 1);
    assert_eq!((&end["stopped"]["code"], &end["stopped"]["line"]), (&"request_timeout".into(), &2.into()), "{end}");
    drop(pieces);

    let service = self::service().await;
    let (_, token) = service.partner("a").await;
    let mut open = Vec::new();
    for number in 0..4 {
        let (pieces, body) = piecewise();
        pieces.send(lines([number])).unwrap();
        let answer = send(&service, &token, body).await;
        assert_eq!(answer.status(), StatusCode::OK);
        open.push((pieces, answer));
    }
    problem(send(&service, &token, lines([9])).await, 429, "rate_limited").await;
    let (_, other) = service.partner("b").await;
    assert_eq!(send(&service, &other, lines([9])).await.status(), StatusCode::OK, "others have places of their own");
    for (pieces, answer) in open {
        drop(pieces);
        assert_eq!(answered(answer).await.1["accepted"], 1);
    }
    assert_eq!(answered(send(&service, &token, lines([9])).await).await.1["accepted"], 1);
}

#[tokio::test]
async fn what_cannot_begin_is_refused_as_everywhere() {
    let service = service().await;
    let (_, token) = service.partner("a").await;
    problem(send(&service, &token, "").await, 422, "proofs_count").await;
    problem(send(&service, "", lines([1])).await, 401, "token_invalid").await;
    let request = service.client.post(format!("{}/v1/proofs", service.base)).bearer_auth(&token);
    let coded = request.header("content-type", MEDIA).header("content-encoding", "gzip").body("x").send().await.unwrap();
    problem(coded, 415, "media_type_unsupported").await;
    let (all, end) = answered(send(&service, &token, "\n\n").await).await;
    assert_eq!((all.len(), end), (0, json!({ "lines": 0, "accepted": 0, "created": 0, "refused": 0 })));
    // Without validators nothing can wait for them; the others are not held up by that.
    let body = format!("{}\n{}", json!({ "digest": digest(1), "validation": true }), lines([2]));
    let (all, end) = answered(send(&service, &token, body).await).await;
    assert_eq!((&all[0]["code"], &all[1]["created"]), (&"validators_missing".into(), &true.into()));
    assert_eq!((&end["accepted"], end.get("stopped")), (&1.into(), None));
}
