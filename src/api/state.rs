//! What the handlers need, and the bounds of a request.

use std::convert::Infallible;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use ipnet::IpNet;

use super::Deadline;
use super::access::caller::Standings;
use super::access::journal::Journal;
use super::access::limit::Rates;
use super::access::secret::Pepper;
use super::access::token::Tokens;
use super::news::News;
use super::open::overview::Overview;
use super::receipt::Known;
use super::streams::Streams;
use super::traffic::Traffic;
use crate::ledger::Ledger;
use crate::ledger::intake::Intake;
use crate::ports::Ports;
use crate::webhooks::address::Allowed;
/// Bounds of one request.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Time for the whole answer.
    pub answer: Duration,
    /// Time in which a body must arrive.
    pub body: Duration,
    /// Time for a submission's commit.
    pub commit: Duration,
    /// Bytes of a body.
    pub body_bytes: usize,
    /// A stream of lines may stand still for so long.
    pub idle: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            answer: Duration::from_secs(15),
            body: Duration::from_secs(10),
            commit: Duration::from_secs(12),
            body_bytes: 8 * 1024 * 1024,
            idle: Duration::from_secs(60),
        }
    }
}

/// What the handlers need. Cloning counts one hold more: every layer of a router clones it for every request.
#[derive(Debug, Clone)]
pub struct State(Arc<Shared>);

/// What is in a [`State`].
#[derive(Debug, Clone)]
pub struct Shared {
    /// The database.
    pub ledger: Ledger,
    /// The way in for digests.
    pub intake: Intake,
    /// Clock and entropy.
    pub ports: Ports,
    /// The keys of access tokens.
    pub tokens: Arc<Tokens>,
    /// The key of consumer secrets.
    pub pepper: Arc<Pepper>,
    /// What is promised.
    pub deadline: Deadline,
    /// Links start with it; no slash at the end.
    pub public_url: Arc<str>,
    /// Bounds of one request.
    pub limits: Limits,
    /// How credentials stand.
    pub standings: Arc<Standings>,
    /// How often somebody may ask.
    pub rates: Arc<Rates>,
    /// Proxies of ours: whose word on a client's address is believed.
    pub trusted: Arc<[IpNet]>,
    /// How the service is doing.
    pub overview: Arc<Overview>,
    /// Requests, counted.
    pub traffic: Traffic,
    /// Where tokens given and refused are noted.
    pub journal: Journal,
    /// Streams of lines under way.
    pub streams: Arc<Streams>,
    /// Who waits for events.
    pub news: Arc<News>,
    /// Where webhooks may lead.
    pub allowed: Arc<Allowed>,
    /// What receipts need of sealed trees and final blocks.
    pub known: Arc<Known>,
}

impl State {
    /// How long an account may go on after it was disabled, at most.
    pub const STANDING: Duration = Duration::from_secs(5);

    /// With the default bounds; they are fields and may be changed.
    #[must_use]
    pub fn new(
        ledger: Ledger,
        intake: Intake,
        ports: Ports,
        tokens: Tokens,
        pepper: Pepper,
        deadline: Deadline,
        public_url: &str,
    ) -> Self {
        let overview = Overview::new(ledger.clone(), deadline.clone(), Overview::LIFE);
        Self(Arc::new(Shared {
            ledger,
            intake,
            ports,
            tokens: Arc::new(tokens),
            pepper: Arc::new(pepper),
            deadline,
            public_url: public_url.into(),
            limits: Limits::default(),
            standings: Arc::new(Standings::new(Self::STANDING)),
            rates: Arc::default(),
            trusted: Arc::default(),
            overview: Arc::new(overview),
            traffic: Traffic::default(),
            journal: Journal::default(),
            streams: Arc::default(),
            news: Arc::default(),
            allowed: Arc::default(),
            known: Arc::default(),
        }))
    }
}

impl Deref for State {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

/// For setting up: whoever holds a clone keeps what it had.
impl DerefMut for State {
    fn deref_mut(&mut self) -> &mut Shared {
        Arc::make_mut(&mut self.0)
    }
}

/// Handlers take the state as it is.
impl FromRequestParts<Self> for State {
    type Rejection = Infallible;

    async fn from_request_parts(_: &mut Parts, state: &Self) -> std::result::Result<Self, Infallible> {
        Ok(state.clone())
    }
}
