//! Many digests a request: in one piece, and as lines.

use std::sync::Mutex;

use hyper::StatusCode;
use hyper::body::Bytes;
use sceau_verifier::Digest;
use serde::Deserialize;

use super::kit::load::Case;
use super::kit::single::{Answer, digest};

/// A case whose bodies are made before the clock runs, and whose answers are checked after it: as the rows are made that COPY sends.
pub struct Prepared<C> {
    case: C,
    bodies: Vec<Bytes>,
    answers: Mutex<Vec<(u64, StatusCode, Bytes)>>,
}

impl<C: Case> Prepared<C> {
    /// Of the first requests.
    pub fn new(case: C, requests: u64) -> Self {
        Self { bodies: (0..requests).map(|n| case.body(n)).collect(), answers: Mutex::default(), case }
    }

    /// Whether each was answered, and rightly.
    pub fn is_answered(&self) -> bool {
        let answers = self.answers.lock().expect("no check has panicked");
        answers.len() == self.bodies.len() && answers.iter().all(|(n, status, body)| self.case.is_answer(*n, *status, body))
    }
}

impl<C: Case> Case for Prepared<C> {
    fn path(&self) -> &'static str {
        self.case.path()
    }

    fn media(&self) -> &'static str {
        self.case.media()
    }

    fn body(&self, n: u64) -> Bytes {
        self.bodies[n as usize].clone()
    }

    fn is_answer(&self, n: u64, status: StatusCode, body: &Bytes) -> bool {
        self.answers.lock().expect("no check has panicked").push((n, status, body.clone()));
        status.is_success()
    }
}

/// The n-th digest of those that come many at a time.
fn bulk_digest(n: u64) -> Digest {
    digest(n | 1 << 40)
}

/// As many digests a request as the API takes in one piece.
pub struct Many;

impl Many {
    /// Of one request.
    pub const COUNT: u64 = 10_000;
}

impl Case for Many {
    fn path(&self) -> &'static str {
        "/v1/proofs"
    }

    fn body(&self, n: u64) -> Bytes {
        let items: Vec<String> =
            (n * Self::COUNT..(n + 1) * Self::COUNT).map(|n| format!(r#"{{"digest":"{}"}}"#, bulk_digest(n))).collect();
        format!(r#"{{"proofs":[{}]}}"#, items.join(",")).into()
    }

    fn is_answer(&self, n: u64, status: StatusCode, body: &Bytes) -> bool {
        status == StatusCode::CREATED
            && serde_json::from_slice::<Answer>(body).is_ok_and(|answer| {
                answer.proofs.len() == Self::COUNT as usize
                    && (n * Self::COUNT..).zip(&answer.proofs).all(|(n, one)| one.is_new(bulk_digest(n)))
            })
    }
}

/// The same as lines: a stream a request, each line answered by one.
pub struct Lines;

impl Lines {
    /// Of one request.
    pub const COUNT: u64 = 50_000;

    fn digests(n: u64) -> impl Iterator<Item = Digest> {
        (n * Self::COUNT..(n + 1) * Self::COUNT).map(|n| bulk_digest(n | 1 << 41))
    }
}

/// A line of the answer: about a digest, a promise, or the end.
#[derive(Deserialize)]
struct Said {
    digest: Option<Digest>,
    #[serde(default)]
    created: bool,
    end: Option<Tally>,
}

#[derive(Deserialize)]
struct Tally {
    created: u64,
}

impl Case for Lines {
    fn path(&self) -> &'static str {
        "/v1/proofs"
    }

    fn media(&self) -> &'static str {
        "application/x-ndjson"
    }

    fn body(&self, n: u64) -> Bytes {
        Self::digests(n).map(|digest| format!("{{\"digest\":\"{digest}\"}}\n")).collect::<String>().into()
    }

    fn is_answer(&self, n: u64, status: StatusCode, body: &Bytes) -> bool {
        let said: Result<Vec<Said>, serde_json::Error> = serde_json::Deserializer::from_slice(body).into_iter().collect();
        let Ok(said) = said else { return false };
        let told = said.iter().filter(|line| line.created).filter_map(|line| line.digest);
        status == StatusCode::OK
            && told.eq(Self::digests(n))
            && said.last().and_then(|line| line.end.as_ref()).is_some_and(|tally| tally.created == Self::COUNT)
    }
}
