//! Many slow connections do not delay others.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use reqwest::StatusCode;
use sceau::api::listen::Crowd;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, sleep};

use crate::api::kit::{Service, crowded};

const SLOW: usize = 2_000;
/// Requests of a measure.
const ASKED: usize = 120;

/// Opens a connection from that address of this machine (Linux has all of 127.0.0.0/8).
async fn from(address: [u8; 4], service: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((IpAddr::from(address), 0).into())?;
    socket.connect(service).await
}

/// Median and 95th percentile of a request that asks the database, by a client with connections of its own; `None` when one
/// was not answered as it should be.
async fn measured(service: &Service, token: &str) -> Option<(Duration, Duration)> {
    let client = reqwest::Client::builder().local_address(IpAddr::from([127, 0, 0, 9])).build().unwrap();
    let url = format!("http://127.0.0.1:{}/v1/proofs/{}", service.address.port(), "ab".repeat(32));
    let mut times = Vec::new();
    for number in 0..ASKED {
        let begun = Instant::now();
        let mut request = client.get(&url).bearer_auth(token);
        if number % 3 == 0 {
            // Every third needs a new connection: who is new is not delayed either.
            request = request.header("connection", "close");
        }
        if request.send().await.ok()?.status() != StatusCode::NOT_FOUND {
            return None;
        }
        times.push(begun.elapsed());
    }
    times.sort_unstable();
    Some((times[ASKED / 2], times[ASKED * 95 / 100]))
}

/// What the slow ones see.
#[derive(Default)]
struct Seen {
    stop: AtomicBool,
    open: AtomicUsize,
    cut: AtomicUsize,
}

/// How a slow connection begins: in the head, in the body, after the preface of HTTP/2.
fn beginnings(token: &str) -> [String; 5] {
    let head = "GET /healthz HTTP/1.1\r\nhost: x\r\nx-slow: ".to_owned();
    let body = format!(
        "POST /v1/proofs HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\n\
         content-length: 5000000\r\n\r\n"
    );
    let preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned();
    [head, body.clone(), preface.clone(), body, preface]
}

/// Keeps as many connections open as there are places and sends one byte a second on each, with a new one in the place of
/// each that is cut. One thread with plain sockets, so that the slow side itself costs little.
fn trickle(address: SocketAddr, token: &str, seen: &Seen) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let beginnings = beginnings(token);
    let mut places: Vec<Option<std::net::TcpStream>> = (0..SLOW).map(|_| None).collect();
    while !seen.stop.load(Ordering::Relaxed) {
        let begun = Instant::now();
        for (number, place) in places.iter_mut().enumerate() {
            match place {
                None => {
                    let opened = async { from([127, 0, 1 + (number / 100) as u8, 1], address).await?.into_std() };
                    *place = runtime.block_on(opened).ok();
                    if let Some(stream) = place {
                        let _ = stream.write(beginnings[number % 5].as_bytes());
                        seen.open.fetch_add(1, Ordering::Relaxed);
                    }
                }
                // The sockets do not block; one whose other end is gone says so.
                Some(stream) => match (stream.write(b"a"), stream.read(&mut [0; 4096])) {
                    (Err(error), _) if error.kind() != ErrorKind::WouldBlock => cut(place, seen),
                    (_, Ok(0)) => cut(place, seen),
                    (_, Err(error)) if error.kind() != ErrorKind::WouldBlock => cut(place, seen),
                    _ => {}
                },
            }
        }
        std::thread::sleep(Duration::from_secs(1).saturating_sub(begun.elapsed()));
    }
}

fn cut(place: &mut Option<std::net::TcpStream>, seen: &Seen) {
    *place = None;
    seen.open.fetch_sub(1, Ordering::Relaxed);
    seen.cut.fetch_add(1, Ordering::Relaxed);
}

/// Each connection has two ends in this process.
fn raise_open_files() {
    let soft = || {
        let limits = std::fs::read_to_string("/proc/self/limits").expect("the limits of this process");
        let line = limits.lines().find(|line| line.starts_with("Max open files")).expect("a limit of open files");
        line.split_whitespace().nth(3).and_then(|limit| limit.parse().ok()).unwrap_or(usize::MAX)
    };
    let needed = 2 * SLOW + 1_000;
    if soft() < needed {
        let pid = std::process::id().to_string();
        let raise = ["--pid", &pid, &format!("--nofile={needed}:")];
        let _ = std::process::Command::new("prlimit").args(raise).status();
    }
    assert!(soft() >= needed, "this test needs {needed} open files: raise `ulimit -n`");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_thousand_slow_connections_do_not_delay_others() {
    raise_open_files();
    let service = crowded(false, Crowd::default(), |_| {}).await;
    let (_, token) = service.partner("a").await;
    measured(&service, &token).await;
    // The machine has other work at times, and two thousand connections need some of it in a debug build: the best of some
    // measures counts on both sides.
    let mut without = Vec::new();
    while without.len() < 3 {
        without.extend(measured(&service, &token).await);
    }
    let median = without.iter().min().expect("measured").0;
    let seen = Arc::new(Seen::default());
    let slow = {
        let (address, token, seen) = (service.address, token.clone(), Arc::clone(&seen));
        std::thread::spawn(move || trickle(address, &token, &seen))
    };
    while seen.open.load(Ordering::Relaxed) < SLOW * 9 / 10 {
        assert!(!slow.is_finished(), "the slow side goes on");
        sleep(Duration::from_millis(20)).await;
    }
    // Longer than most of the limits that cut them.
    let (begun, mut with, mut least) = (Instant::now(), Vec::<(Duration, Duration)>::new(), usize::MAX);
    let as_good = |with: &[(Duration, Duration)]| with.iter().any(|with| with.0 < median * 5);
    while begun.elapsed() < Duration::from_secs(15) || !(as_good(&with) || begun.elapsed() > Duration::from_secs(120)) {
        let before = seen.open.load(Ordering::Relaxed);
        let now = measured(&service, &token).await;
        let there = before.min(seen.open.load(Ordering::Relaxed));
        // On a busy machine the slow side may be too slow to come back itself: such a measure says nothing.
        if there > SLOW / 2 {
            with.extend(now);
            least = least.min(there);
        }
    }
    seen.stop.store(true, Ordering::Relaxed);
    tokio::task::spawn_blocking(|| slow.join()).await.unwrap().expect("the slow side ends in order");
    println!(
        "median and 95 %: {without:?} without, {with:?} with at least {least} slow connections; {} were cut",
        seen.cut.load(Ordering::Relaxed)
    );
    assert!(seen.cut.load(Ordering::Relaxed) > 0, "slow ones are cut");
    assert!(as_good(&with), "the median was {median:?} without them, and {with:?} with them");
}

#[tokio::test]
async fn one_address_has_so_many_connections_and_others_have_theirs() {
    let service = crowded(false, Crowd::new(1_000, 20, Arc::default()), |_| {}).await;
    let mut kept = Vec::new();
    let mut refused = 0;
    for _ in 0..60 {
        let mut stream = from([127, 0, 0, 2], service.address).await.unwrap();
        let answered = async {
            stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await?;
            let mut bytes = [0; 12];
            stream.read_exact(&mut bytes).await.map(|_| bytes)
        };
        match answered.await {
            Ok(bytes) => {
                assert_eq!(&bytes, b"HTTP/1.1 200");
                kept.push(stream);
            }
            Err(_) => refused += 1,
        }
    }
    assert_eq!((kept.len(), refused), (20, 40));
    assert_eq!(service.get("/healthz", "").await.status(), StatusCode::OK, "127.0.0.1 has its own");
    drop(kept);
    for _ in 0..500 {
        let mut stream = from([127, 0, 0, 2], service.address).await.unwrap();
        let sent = stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await;
        if sent.is_ok() && stream.read_exact(&mut [0; 12]).await.is_ok() {
            return;
        }
        sleep(Duration::from_millis(20)).await;
    }
    panic!("places are never given back");
}
