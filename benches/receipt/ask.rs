//! Asks for receipts over 64 connections, each asking again as soon as it was answered.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{AUTHORIZATION, HOST};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use sceau_verifier::Digest;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::stage::{Served, digest};

/// Connections at once.
pub const CONNECTIONS: usize = 64;

/// Whose receipt is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Asked(Digest);

impl Asked {
    /// The n-th document of a batch.
    pub fn new(batch: u64, n: u64) -> Self {
        Self(digest(batch, n))
    }
}

/// What came of it.
#[derive(Debug)]
pub struct Outcome {
    /// Answers a second.
    pub rate: f64,
    /// Of the latencies.
    pub median: Duration,
}

async fn connect(served: &Served) -> Result<http1::SendRequest<Empty<Bytes>>> {
    let stream = TcpStream::connect(served.address).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}

async fn get(sender: &mut http1::SendRequest<Empty<Bytes>>, token: &str, path: &str) -> Result<(StatusCode, Bytes)> {
    let request = Request::get(path).header(HOST, "localhost").header(AUTHORIZATION, token);
    sender.ready().await?;
    let answer = sender.send_request(request.body(Empty::new())?).await?;
    Ok((answer.status(), answer.into_body().collect().await?.to_bytes()))
}

/// The body of one answer, whatever it is.
///
/// # Errors
/// When there is none.
pub async fn one(served: &Served, path: &str) -> Result<Bytes> {
    Ok(get(&mut connect(served).await?, &served.token, path).await?.1)
}

/// Asks for all of them.
///
/// # Errors
/// At the first answer that is not of the digest that was asked for, or far from `length` bytes long.
pub async fn run(served: &Served, length: usize, asked: Vec<Asked>) -> Result<Outcome> {
    let mut senders = Vec::new();
    for _ in 0..CONNECTIONS {
        senders.push(connect(served).await?);
    }
    let count = asked.len();
    let begun = Instant::now();
    let mut tasks = JoinSet::new();
    for (at, mut sender) in senders.into_iter().enumerate() {
        let mine: Vec<Asked> = asked.iter().skip(at).step_by(CONNECTIONS).copied().collect();
        let token = served.token.clone();
        tasks.spawn(async move {
            let mut latencies = Vec::with_capacity(mine.len());
            for Asked(digest) in mine {
                let begun = Instant::now();
                let (status, body) = get(&mut sender, &token, &format!("/v1/proofs/{digest}/receipt")).await?;
                latencies.push(begun.elapsed());
                let right =
                    body.starts_with(format!(r#"{{"format":"sceau-receipt/1","document":{{"digest":"{digest}""#).as_bytes());
                ensure!(
                    status == StatusCode::OK && right && body.len().abs_diff(length) < length / 8,
                    "{digest} was answered {status}: {}",
                    String::from_utf8_lossy(&body[..body.len().min(300)])
                );
            }
            anyhow::Ok(latencies)
        });
    }
    let mut latencies = Vec::with_capacity(count);
    while let Some(done) = tasks.join_next().await {
        latencies.extend(done??);
    }
    let took = begun.elapsed();
    latencies.sort_unstable();
    Ok(Outcome { rate: count as f64 / took.as_secs_f64(), median: latencies[count / 2] })
}
