//! Large submissions to the real service: its memory while lines go by, in both orders of writing and reading.
//!
//! `SOAK_LINES=1000000` sends as many as one request may have.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use sceau_verifier::Digest;
use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};

use crate::support::service::{Deployment, Instance, lasting_port};
use crate::support::{self};

/// Lines in a run that nobody asked more of.
const QUICK: u64 = 50_000;
/// What the service may grow by, whatever the number of lines.
const GROWTH: u64 = 64 * 1024;

#[derive(Deserialize)]
struct Line {
    line: Option<u64>,
    digest: Option<Digest>,
    created: Option<bool>,
    number: Option<u64>,
    promise: Option<String>,
    end: Option<End>,
}

#[derive(Deserialize, Debug, PartialEq)]
struct End {
    lines: u64,
    accepted: u64,
    created: u64,
    refused: u64,
}

fn digest(number: u64) -> Digest {
    Digest::of(&number.to_be_bytes())
}

/// Kilobytes in memory of a process.
fn resident(pid: u32) -> u64 {
    let output = Command::new("ps").args(["-o", "rss=", "-p", &pid.to_string()]).output().expect("ps runs");
    String::from_utf8_lossy(&output.stdout).trim().parse().expect("a process that lives")
}

/// Lines from `from` to `to`, in pieces.
fn pieces(from: u64, to: u64) -> impl Iterator<Item = String> + Send {
    let starts = (from..to).step_by(1_000);
    starts.map(move |start| (start..to.min(start + 1_000)).map(|at| format!("{{\"digest\":\"{}\"}}\n", digest(at))).collect())
}

/// Checks an answer line by line while it comes.
struct Judge {
    from: u64,
    seen: u64,
    numbers: u64,
    /// Of how many something is promised.
    promised: u64,
    end: Option<End>,
}

impl Judge {
    fn new(from: u64) -> Self {
        Self { from, seen: 0, numbers: 0, promised: 0, end: None }
    }

    fn see(&mut self, text: &str) {
        let line: Line = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
        assert!(self.end.is_none(), "behind the end: {text}");
        match line.end {
            Some(end) => self.end = Some(end),
            None if line.promise.is_some() => self.promised = self.seen,
            None => {
                assert_eq!(line.line, Some(self.seen + 1));
                assert_eq!((line.digest, line.created), (Some(digest(self.from + self.seen)), Some(true)), "{text}");
                self.numbers += line.number.expect("a number");
                self.seen += 1;
            }
        }
    }

    fn finish(self, lines: u64) {
        assert_eq!(self.promised, lines);
        assert_eq!(self.end, Some(End { lines, accepted: lines, created: lines, refused: 0 }));
        // Each number of the account once.
        assert_eq!(self.numbers, (self.from + 1..=self.from + lines).sum::<u64>());
    }
}

async fn token(port: u16, (key, secret): &(String, String)) -> String {
    let form = reqwest::Client::new().post(format!("http://127.0.0.1:{port}/oauth2/token")).basic_auth(key, Some(secret));
    let form = form.header("content-type", "application/x-www-form-urlencoded").body("grant_type=client_credentials");
    let answer: serde_json::Value = form.send().await.expect("an answer").json().await.expect("JSON");
    answer["access_token"].as_str().expect("a token").to_owned()
}

/// Reads while it writes, as curl does.
async fn at_once(port: u16, token: &str, from: u64, to: u64) {
    let body = futures_util::stream::iter(pieces(from, to).map(Ok::<_, std::io::Error>));
    let request = reqwest::Client::new().post(format!("http://127.0.0.1:{port}/v1/proofs")).bearer_auth(token);
    let answer = request.header("content-type", "application/x-ndjson").body(reqwest::Body::wrap_stream(body)).send().await;
    let (mut answer, mut left, mut judge) = (answer.expect("an answer").bytes_stream(), Vec::new(), Judge::new(from));
    while let Some(chunk) = answer.next().await {
        left.extend_from_slice(&chunk.expect("bytes"));
        let whole = left.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        std::str::from_utf8(&left[..whole]).expect("text").lines().for_each(|line| judge.see(line));
        left.drain(..whole);
    }
    judge.finish(to - from);
}

/// Reads nothing before everything is written, as simple clients do.
async fn one_after_the_other(port: u16, token: &str, from: u64, to: u64) {
    let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.expect("a connection");
    let length = (to - from) * (64 + 14);
    let head = format!(
        "POST /v1/proofs HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\ncontent-type: application/x-ndjson\r\n\
         connection: close\r\ncontent-length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.expect("written");
    for piece in pieces(from, to) {
        stream.write_all(piece.as_bytes()).await.expect("written");
    }
    let (mut reader, mut judge, mut text) = (BufReader::new(stream), Judge::new(from), String::new());
    while text != "\r\n" {
        text.clear();
        assert_ne!(reader.read_line(&mut text).await.expect("a head"), 0);
    }
    let mut left = Vec::new();
    loop {
        text.clear();
        reader.read_line(&mut text).await.expect("a chunk");
        let length = usize::from_str_radix(text.trim_end(), 16).expect("a length");
        if length == 0 {
            break;
        }
        let at = left.len();
        left.resize(at + length, 0);
        reader.read_exact(&mut left[at..]).await.expect("a chunk");
        reader.read_exact(&mut [0; 2]).await.expect("its end");
        let whole = left.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        std::str::from_utf8(&left[..whole]).expect("text").lines().for_each(|line| judge.see(line));
        left.drain(..whole);
    }
    judge.finish(to - from);
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_does_not_grow_with_the_lines_of_a_submission() {
    let lines = std::env::var("SOAK_LINES").ok().map_or(QUICK, |text| text.parse().expect("SOAK_LINES is a number"));
    let database = support::database().await;
    let deployment = Deployment::new(&database.url).await;
    let port = lasting_port();
    let mut instance = Instance::start(&deployment.config, port);
    instance.ready().await;
    let token = self::token(port, &deployment.credentials).await;
    // What the first groups need stays.
    at_once(port, &token, 0, 20_000).await;
    let mut from = 20_000;
    for (name, patient) in [("reading while writing", false), ("writing, then reading", true)] {
        let (pid, stop, peak) = (instance.child.id(), Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let before = resident(pid);
        let (ending, highest) = (Arc::clone(&stop), Arc::clone(&peak));
        let watching = std::thread::spawn(move || {
            let mut samples = Vec::new();
            while !ending.load(Ordering::Relaxed) {
                let now = resident(pid);
                highest.fetch_max(now, Ordering::Relaxed);
                samples.push(now / 1024);
                std::thread::sleep(Duration::from_millis(100));
            }
            samples
        });
        let begun = Instant::now();
        match patient {
            false => at_once(port, &token, from, from + lines).await,
            true => one_after_the_other(port, &token, from, from + lines).await,
        }
        let took = begun.elapsed();
        stop.store(true, Ordering::Relaxed);
        let samples = watching.join().expect("samples");
        let tenths: Vec<u64> = samples.chunks(samples.len().div_ceil(10)).filter_map(|some| some.iter().max().copied()).collect();
        let peak = peak.load(Ordering::Relaxed);
        println!(
            "{name}: {lines} lines in {:.1} s ({:.0} a second); before {} MiB, peak {} MiB; each tenth of the time: {tenths:?} MiB",
            took.as_secs_f64(),
            lines as f64 / took.as_secs_f64(),
            before / 1024,
            peak / 1024
        );
        assert!(peak < before + GROWTH, "{peak} KiB after {before} KiB");
        from += lines;
    }
    let stored: i64 = sqlx::query_scalar("select count(*) from proofs").fetch_one(&database.pool).await.expect("a count");
    assert_eq!(stored as u64, from);
}
