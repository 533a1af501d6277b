//! The HTTP side: tokens, submissions, receipts, public batches. Speaks to the ledger only; the chain is never asked.

mod body;
pub mod caller;
pub mod certificate;
mod check;
mod conditional;
mod core;
pub mod error;
pub mod health;
pub mod journal;
pub mod kagesecur;
pub mod limit;
pub mod listen;
pub mod news;
pub mod openapi;
mod operations;
pub mod overview;
mod partner;
pub mod peer;
mod promise;
pub mod receipt;
pub mod routes;
pub mod secret;
pub mod streams;
pub mod token;
pub mod traffic;

use std::convert::Infallible;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRequestParts, Path, Request};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::Response;
use axum::{Json, Router, middleware};
use ipnet::IpNet;
use sceau_verifier::Digest;
use serde_json::{Value, json};
use time::OffsetDateTime;
use tower_http::catch_panic::CatchPanicLayer;

use self::caller::Standings;
use self::error::{Code, Problem, Result};
use self::journal::Journal;
use self::limit::Rates;
use self::news::News;
use self::overview::Overview;
use self::routes::Route;
use self::secret::Pepper;
use self::streams::Streams;
use self::token::Tokens;
use self::traffic::Traffic;
use crate::ledger::Ledger;
use crate::ledger::intake::{Intake, IntakeError};
use crate::ledger::promises::Terms;
use crate::ports::Ports;
use crate::webhooks::address::Allowed;

/// The last moment RFC 3339 can write.
const LAST: OffsetDateTime = time::macros::datetime!(9999-12-31 23:59:59 UTC);

/// Nobody looks for broken promises further back: about 136 years, in seconds.
const LONGEST: i64 = 1 << 32;

/// By when a proof is promised to be anchored.
#[derive(Clone)]
pub struct Deadline {
    next_seal: Arc<dyn Fn(OffsetDateTime) -> OffsetDateTime + Send + Sync>,
    allowance: Duration,
}

impl fmt::Debug for Deadline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deadline").field("allowance", &self.allowance).finish_non_exhaustive()
    }
}

impl Deadline {
    /// `next_seal` answers the first scheduled seal after a moment; anchoring is allowed to take `allowance` from there.
    pub fn new(next_seal: impl Fn(OffsetDateTime) -> OffsetDateTime + Send + Sync + 'static, allowance: Duration) -> Self {
        Self { next_seal: Arc::new(next_seal), allowance }
    }

    /// The first scheduled seal after `moment`.
    #[must_use]
    pub fn next_seal(&self, moment: OffsetDateTime) -> OffsetDateTime {
        (self.next_seal)(moment)
    }

    /// By when what was received then is promised to be anchored. Stays within the years that can be written.
    #[must_use]
    pub fn of(&self, received_at: OffsetDateTime) -> OffsetDateTime {
        let allowance = time::Duration::try_from(self.allowance).unwrap_or(time::Duration::MAX);
        self.next_seal(received_at).saturating_add(allowance).min(LAST)
    }

    /// By when a proof is promised to be anchored: what was kept with it, or else what the settings say now.
    #[must_use]
    pub fn kept(&self, anchor_by: Option<OffsetDateTime>, received_at: OffsetDateTime) -> OffsetDateTime {
        anchor_by.unwrap_or_else(|| self.of(received_at))
    }

    /// What is promised to those who are received around `moment`: from five seconds before it, for eight scheduled seals
    /// or fifteen seconds, whichever ends first. Longer waits are asked for again.
    #[must_use]
    pub fn around(&self, moment: OffsetDateTime) -> Terms {
        let last = moment.saturating_add(time::Duration::seconds(15));
        let mut since = moment.saturating_sub(time::Duration::seconds(5));
        let mut steps = Vec::with_capacity(2);
        while steps.len() < 8 && since < last {
            steps.push((since, self.of(since)));
            since = self.next_seal(since);
        }
        Terms { steps, until: since.min(last) }
    }

    /// What was received before the answered moment had to be anchored before `now`; `None` when nothing had to be.
    #[must_use]
    pub fn passed(&self, now: OffsetDateTime) -> Option<OffsetDateTime> {
        let allowance = time::Duration::try_from(self.allowance).ok()?;
        let late = |received: OffsetDateTime| self.next_seal(received).saturating_add(allowance).min(LAST) < now;
        // Whoever was received earlier is late earlier. Seals come at whole seconds, so whole seconds decide.
        let back =
            |seconds: i64| now.checked_sub(time::Duration::seconds(seconds)).map(|at| at.replace_nanosecond(0).unwrap_or(at));
        let (mut near, mut far) = (0_i64, 1_i64);
        while !late(back(far)?) {
            near = far;
            far = far.checked_mul(2).filter(|far| *far < LONGEST)?;
        }
        while far - near > 1 {
            let middle = near + (far - near) / 2;
            if late(back(middle)?) { far = middle } else { near = middle }
        }
        Some(self.next_seal(back(far)?))
    }
}

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
    pub known: Arc<receipt::Known>,
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

/// All routes of the partners' listener.
pub fn router(state: State) -> Router {
    finished(state, routes::all())
}

/// All routes of the managers' listener.
pub fn core_router(state: State) -> Router {
    finished(state, routes::core())
}

fn finished(state: State, routes: impl Iterator<Item = &'static Route>) -> Router {
    routes::router(&state, routes)
        .fallback(async || error::Problem::new(Code::NotFound))
        .layer(CatchPanicLayer::custom(error::panicked))
        .layer(middleware::from_fn_with_state(state.clone(), error::finish))
        .with_state(state)
}

/// In front of what cannot be answered without the database: refused at once while it is away, and given up when it goes.
/// Handlers may be dropped at any point: what they had handed to the intake goes on there.
async fn unless_away(api: State, request: Request, next: Next) -> Result<Response> {
    tokio::select! {
        biased;
        () = api.ledger.gate().away() => Err(Problem::from(IntakeError::Away)),
        response = next.run(request) => Ok(response),
    }
}

/// The entity tag of a body, and whether the client has that one already (RFC 9110 §13.1.2).
fn etag(body: &[u8], headers: &HeaderMap) -> (String, bool) {
    let tag = format!("\"{}\"", Digest::of(body));
    let same = conditional::has(headers, &tag);
    (tag, same)
}

fn described(code: Code) -> Value {
    json!({ "code": code.as_str(), "status": code.status().as_u16(), "title": code.title(), "description": code.description() })
}

/// `GET /problems`: every problem there is.
async fn problems() -> Json<Value> {
    Json(json!({ "problems": Code::ALL.iter().copied().map(described).collect::<Vec<_>>() }))
}

/// `GET /problems/{code}`: where the `type` of a problem leads.
async fn problem(Path(name): Path<String>) -> Result<Json<Value>> {
    Ok(Json(described(Code::parse(&name).ok_or(Code::NotFound)?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn a_deadline_can_always_be_written() {
        let seal = datetime!(2026-11-22 06:01:00 UTC);
        for (allowance, by) in [(1800, datetime!(2026-11-22 06:31:00 UTC)), (u64::MAX, LAST), (1 << 40, LAST)] {
            assert_eq!(Deadline::new(move |_| seal, Duration::from_secs(allowance)).of(datetime!(2026-11-22 06:00:30 UTC)), by);
        }
    }

    #[test]
    fn what_was_received_before_the_passed_moment_is_late_and_nothing_else() {
        let start = datetime!(2026-11-22 06:00:00 UTC);
        // Seals each 7 minutes; now and then none for three days.
        let next = move |moment: OffsetDateTime| {
            let mut step = (moment - start).whole_nanoseconds().div_euclid(420_000_000_000) as i64 + 1;
            while step.rem_euclid(2_000) < 600 {
                step += 1;
            }
            start + time::Duration::seconds(step * 420)
        };
        for allowance in [0, 1, 419, 1_800, 500_000] {
            let deadline = Deadline::new(next, Duration::from_secs(allowance));
            for at in 0..400_i64 {
                let now = start + time::Duration::milliseconds(at * 7_777_777);
                let passed = deadline.passed(now).expect("seals have no beginning");
                for off in [-1, 0, 1] {
                    let received = passed + time::Duration::nanoseconds(off);
                    assert_eq!(deadline.of(received) < now, received < passed, "{allowance} {now} {received}");
                }
            }
        }
        assert_eq!(Deadline::new(|_| LAST, Duration::ZERO).passed(start), None, "no seal ever came");
        assert_eq!(Deadline::new(next, Duration::MAX).passed(start), None);
    }
}
