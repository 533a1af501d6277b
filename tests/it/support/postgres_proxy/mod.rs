//! A way to Postgres on which one chosen statement goes wrong: it never arrives, its answer is lost or late, or nobody
//! says anything any more. Everything else passes, and is counted by its text.

mod wire;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use wire::{Heard, Reader};

/// What the first message of a connection counts as.
pub const CONNECT: &str = "(connect)";

/// What becomes of the chosen statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The connection ends before the server sees it.
    CutBefore,
    /// It takes effect, then the connection ends without an answer.
    CutAfter,
    /// It never arrives, and the connection stays.
    Hang,
    /// It takes effect, the answer never arrives, and the connection stays.
    AnswerHangs,
    /// It takes effect, and the answer arrives after [`Proxy::release`].
    AnswerLate,
}

impl Fault {
    pub const ALL: [Self; 5] = [Self::CutBefore, Self::CutAfter, Self::Hang, Self::AnswerHangs, Self::AnswerLate];
}

/// Which statement goes wrong, and how.
#[derive(Debug, Clone)]
pub struct Plan {
    pub statement: String,
    /// Counted from 1, over all connections, since [`Proxy::arm`].
    pub occurrence: u64,
    pub fault: Fault,
}

#[derive(Debug, Default)]
struct Inside {
    seen: Vec<String>,
    counts: HashMap<String, u64>,
    plan: Option<Plan>,
    fired: bool,
}

#[derive(Debug)]
struct Shared {
    inside: Mutex<Inside>,
    fired: Notify,
    released: watch::Sender<bool>,
    /// Raised to cut every connection there is.
    epoch: watch::Sender<u64>,
}

/// See the module. Ends with this value.
#[derive(Debug)]
pub struct Proxy {
    /// Connects to the database through it.
    pub url: String,
    shared: Arc<Shared>,
    _accepting: JoinSet<()>,
}

impl Proxy {
    /// In front of the server that `url` names.
    pub async fn start(url: &str) -> Self {
        let (rest, path) = url.rsplit_once('/').expect("a URL with a path");
        let (user, server) = rest.rsplit_once('@').expect("a URL with a user");
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared {
            inside: Mutex::default(),
            fired: Notify::new(),
            released: watch::channel(false).0,
            epoch: watch::channel(0).0,
        });
        let mut accepting = JoinSet::new();
        accepting.spawn(accept(listener, server.to_owned(), Arc::clone(&shared)));
        Self { url: format!("{user}@{address}/{path}"), shared, _accepting: accepting }
    }

    /// Forgets what it saw; from now on `plan` holds, once.
    pub fn arm(&self, plan: Option<Plan>) {
        self.shared.released.send_replace(false);
        *self.shared.inside.lock().unwrap() = Inside { plan, ..Inside::default() };
    }

    /// The statements seen since [`Proxy::arm`], in order.
    pub fn seen(&self) -> Vec<String> {
        self.shared.inside.lock().unwrap().seen.clone()
    }

    /// Whether the planned fault happened.
    pub fn has_fired(&self) -> bool {
        self.shared.inside.lock().unwrap().fired
    }

    /// Waits until it happens.
    pub async fn fired(&self) {
        while !self.has_fired() {
            self.shared.fired.notified().await;
        }
    }

    /// Lets a late answer go.
    pub fn release(&self) {
        self.shared.released.send_replace(true);
    }

    /// Cuts every connection.
    pub fn cut_all(&self) {
        self.shared.epoch.send_modify(|epoch| *epoch += 1);
    }
}

impl Shared {
    /// Counts statements; answers the fault if one of them is the planned one.
    fn hear(&self, heard: &[String]) -> Option<Fault> {
        let mut inside = self.inside.lock().unwrap();
        let mut fault = None;
        for text in heard {
            inside.seen.push(text.clone());
            let count = inside.counts.entry(text.clone()).or_default();
            *count += 1;
            let count = *count;
            if !inside.fired
                && let Some(plan) = inside.plan.clone()
                && plan.statement == *text
                && plan.occurrence == count
            {
                inside.fired = true;
                fault = Some(plan.fault);
            }
        }
        if fault.is_some() {
            self.fired.notify_one();
        }
        fault
    }
}

async fn accept(listener: TcpListener, server: String, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((client, _)) = listener.accept().await else { continue };
        let (server, shared) = (server.clone(), Arc::clone(&shared));
        connections.spawn(async move {
            let mut epoch = shared.epoch.subscribe();
            epoch.mark_unchanged();
            tokio::select! {
                _ = carry(client, &server, &shared) => {}
                _ = epoch.changed() => {}
            }
        });
        while connections.try_join_next().is_some() {}
    }
}

/// What happens to answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answers {
    Pass,
    /// Nothing passes; the connection ends with the next complete answer.
    CutWhenDone,
    Hold,
    HoldUntilReleased,
}

async fn carry(mut client: TcpStream, server: &str, shared: &Shared) -> std::io::Result<()> {
    let start = wire::startup(&mut client).await?;
    let fault = shared.hear(&[CONNECT.to_owned()]);
    if fault == Some(Fault::CutBefore) {
        return Ok(());
    }
    if fault == Some(Fault::Hang) {
        return wire::drain(&mut client).await;
    }
    let mut upstream = TcpStream::connect(server).await?;
    upstream.set_nodelay(true)?;
    client.set_nodelay(true)?;
    wire::write(&mut upstream, &start).await?;
    let (mode, modes) = watch::channel(answers(fault));
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = upstream.into_split();
    tokio::select! {
        done = requests(from_client, to_server, shared, &mode) => done,
        done = replies(from_server, to_client, modes, shared.released.subscribe()) => done,
    }
}

const fn answers(fault: Option<Fault>) -> Answers {
    match fault {
        Some(Fault::CutAfter) => Answers::CutWhenDone,
        Some(Fault::AnswerHangs) => Answers::Hold,
        Some(Fault::AnswerLate) => Answers::HoldUntilReleased,
        _ => Answers::Pass,
    }
}

async fn requests(
    client: OwnedReadHalf,
    mut server: OwnedWriteHalf,
    shared: &Shared,
    mode: &watch::Sender<Answers>,
) -> std::io::Result<()> {
    let (mut reader, mut heard) = (Reader::new(client), Heard::default());
    loop {
        // Up to the message that makes the server answer: what comes before it may sit in buffers.
        let (bytes, statements) = heard.group(&mut reader).await?;
        match shared.hear(&statements) {
            None => {}
            Some(Fault::CutBefore) => return Ok(()),
            Some(Fault::Hang) => return reader.drain().await,
            fault => {
                mode.send_replace(answers(fault));
            }
        }
        wire::write(&mut server, &bytes).await?;
    }
}

async fn replies(
    server: OwnedReadHalf,
    mut client: OwnedWriteHalf,
    mut modes: watch::Receiver<Answers>,
    mut released: watch::Receiver<bool>,
) -> std::io::Result<()> {
    let mut reader = Reader::new(server);
    loop {
        let (kind, message) = reader.message().await?;
        let mode = *modes.borrow_and_update();
        match mode {
            Answers::Pass => wire::write(&mut client, &message).await?,
            Answers::CutWhenDone if kind == b'Z' => return Ok(()),
            Answers::CutWhenDone | Answers::Hold => {}
            Answers::HoldUntilReleased => {
                if released.wait_for(|released| *released).await.is_err() {
                    return Ok(());
                }
                wire::write(&mut client, &message).await?;
            }
        }
    }
}
