//! A load generator: many connections, HTTP/1.1 keep-alive or HTTP/2, every answer checked.
//!
//! Two ways of asking. *As fast as answers come* finds the rate a server sustains. *On a timetable* sends at a fixed rate
//! whether answers come or not, and counts latency from the moment a request was due, not from when it could be sent: a
//! server that stalls for a second is charged for every request that was due in that second (no coordinated omission).

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::{http1, http2};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::{Request, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// What is asked, and what an answer must be.
pub trait Case: Send + Sync + 'static {
    /// Path of the request.
    fn path(&self) -> &'static str;
    /// What the body is.
    fn media(&self) -> &'static str {
        "application/json"
    }
    /// Body of the n-th request; no two are the same.
    fn body(&self, n: u64) -> Bytes;
    /// Whether this answers the n-th request.
    fn is_answer(&self, n: u64, status: StatusCode, body: &Bytes) -> bool;
}

/// How much is asked of whom.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Where the server listens, without TLS.
    pub address: SocketAddr,
    /// Sent as `Authorization`, where there is one.
    pub authorization: Option<String>,
    /// Requests at once on one connection: one by one it is HTTP/1.1, more of them are streams of HTTP/2.
    pub streams: usize,
    /// Requests at once.
    pub at_once: usize,
    /// Requests altogether.
    pub requests: u64,
    /// Requests a second; `None`: as fast as answers come.
    pub rate: Option<f64>,
    /// Number of the first request.
    pub first: u64,
}

/// What came of it.
#[derive(Debug)]
pub struct Outcome {
    /// From the first request to the last answer.
    pub took: Duration,
    /// Latencies, ascending.
    pub latencies: Vec<Duration>,
}

impl Outcome {
    /// Answers a second.
    pub fn rate(&self) -> f64 {
        self.latencies.len() as f64 / self.took.as_secs_f64()
    }

    /// The latency that a share of the requests did not exceed.
    pub fn quantile(&self, share: f64) -> Duration {
        let last = self.latencies.len().saturating_sub(1);
        self.latencies.get((last as f64 * share).round() as usize).copied().unwrap_or_default()
    }
}

/// Asks as planned.
///
/// # Errors
/// At the first connection that fails or answer that is not right: figures of a run with errors mean nothing.
pub async fn run(plan: &Plan, case: Arc<dyn Case>) -> Result<Outcome> {
    let mut senders = Vec::new();
    for on_one in (0..plan.at_once).step_by(plan.streams).map(|before| plan.streams.min(plan.at_once - before)) {
        if plan.streams == 1 {
            senders.push(Sender::One(Box::new(one(plan.address).await?)));
        } else {
            let sender = two(plan.address).await?;
            senders.extend((0..on_one).map(|_| Sender::Two(sender.clone())));
        }
    }
    let started = Instant::now();
    let due = Arc::new(tokio::sync::Mutex::new(timetable(plan, started)));
    let mut tasks = JoinSet::new();
    for mut sender in senders {
        let (plan, case, due) = (plan.clone(), Arc::clone(&case), Arc::clone(&due));
        tasks.spawn(async move {
            let mut latencies = Vec::new();
            loop {
                let next = due.lock().await.recv().await;
                let Some((n, due)) = next else { return anyhow::Ok(latencies) };
                let due = due.unwrap_or_else(Instant::now);
                ask(&mut sender, &plan, case.as_ref(), plan.first + n).await?;
                latencies.push(due.elapsed());
            }
        });
    }
    let mut latencies = Vec::with_capacity(plan.requests as usize);
    while let Some(done) = tasks.join_next().await {
        latencies.extend(done??);
    }
    let took = started.elapsed();
    latencies.sort_unstable();
    Ok(Outcome { took, latencies })
}

/// Numbers of requests, each when it is due; on a timetable with that moment. Whoever is free takes the next. It comes from a
/// thread of its own, because the runtime's timers are as late as a millisecond.
fn timetable(plan: &Plan, started: Instant) -> mpsc::UnboundedReceiver<(u64, Option<Instant>)> {
    let (give, take) = mpsc::unbounded_channel();
    let (requests, rate) = (plan.requests, plan.rate);
    std::thread::spawn(move || {
        for n in 0..requests {
            let due = rate.map(|rate| started + Duration::from_secs_f64(n as f64 / rate));
            if let Some(due) = due {
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
            }
            // Nobody takes any more: a request has failed.
            if give.send((n, due)).is_err() {
                return;
            }
        }
    });
    take
}

enum Sender {
    One(Box<http1::SendRequest<Full<Bytes>>>),
    Two(http2::SendRequest<Full<Bytes>>),
}

async fn ask(sender: &mut Sender, plan: &Plan, case: &dyn Case, n: u64) -> Result<()> {
    let mut request = Request::post(match sender {
        Sender::One(_) => case.path().to_owned(),
        Sender::Two(_) => format!("http://{}{}", plan.address, case.path()),
    })
    .header(CONTENT_TYPE, case.media());
    if let Sender::One(_) = sender {
        request = request.header(HOST, "localhost");
    }
    if let Some(authorization) = &plan.authorization {
        request = request.header(AUTHORIZATION, authorization);
    }
    let request = request.body(Full::new(case.body(n)))?;
    let answer = match sender {
        Sender::One(sender) => {
            sender.ready().await?;
            sender.send_request(request).await?
        }
        Sender::Two(sender) => {
            sender.ready().await?;
            sender.send_request(request).await?
        }
    };
    let status = answer.status();
    let body = answer.into_body().collect().await?.to_bytes();
    ensure!(case.is_answer(n, status, &body), "request {n} was answered {status}: {}", String::from_utf8_lossy(&body));
    Ok(())
}

async fn connect(address: SocketAddr) -> Result<TokioIo<TcpStream>> {
    let stream = TcpStream::connect(address).await.with_context(|| format!("connecting to {address}"))?;
    stream.set_nodelay(true)?;
    Ok(TokioIo::new(stream))
}

async fn one(address: SocketAddr) -> Result<http1::SendRequest<Full<Bytes>>> {
    let (sender, connection) = http1::handshake(connect(address).await?).await?;
    tokio::spawn(connection);
    Ok(sender)
}

async fn two(address: SocketAddr) -> Result<http2::SendRequest<Full<Bytes>>> {
    let (sender, connection) = http2::handshake(TokioExecutor::new(), connect(address).await?).await?;
    tokio::spawn(connection);
    Ok(sender)
}
