//! Who sends: takes up webhooks that have something to send, and serves each of them in a task of its own.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::post::{GONE, Message, Post};
use super::secret::Vault;
use crate::ledger::notices::{Claim, Event, Outcome, Verdict};
use crate::ledger::{self, Ledger};
use crate::ports::Ports;

/// When failed deliveries are tried again, and when that ends.
#[derive(Debug, Clone)]
pub struct Patience {
    /// Pauses after the first, second, … failure; the last one is repeated. Each is lengthened by up to a tenth.
    pub pauses: Vec<Duration>,
    /// A webhook whose event has failed for so long is parked.
    pub give_up: Duration,
}

impl Patience {
    /// The pauses of an installation: short ones first, so that a restart of the receiver costs little.
    #[must_use]
    pub fn lasting(give_up: Duration) -> Self {
        let pauses = [5, 30, 120, 600, 1_800, 3_600, 7_200, 14_400, 21_600].map(Duration::from_secs).to_vec();
        Self { pauses, give_up }
    }

    /// What follows a failure, the `tries` before it included; `random` is 0 to 255.
    fn verdict(&self, tries: u32, failing: Duration, outcome: &Outcome, random: u8) -> Verdict {
        if outcome.status == Some(GONE) || (tries > 0 && failing >= self.give_up) {
            return Verdict::Park;
        }
        let last = self.pauses.len().saturating_sub(1);
        let pause = self.pauses.get(last.min(tries as usize)).copied().unwrap_or_default();
        let pause = pause + pause * u32::from(random) / 2_550;
        // The last try comes when the time is over, not a whole pause later.
        let left = if tries > 0 { self.give_up.saturating_sub(failing) } else { self.give_up };
        Verdict::Again(pause.min(left))
    }
}

/// Sends what is to be sent, for as long as it is polled.
#[derive(Debug)]
pub struct Sender {
    /// Where events and webhooks are.
    pub ledger: Ledger,
    /// Opens the secrets.
    pub vault: Vault,
    /// Sends.
    pub post: Post,
    /// Time and chance.
    pub ports: Ports,
    /// When to try again.
    pub patience: Patience,
    /// Webhooks served at once.
    pub at_once: usize,
    /// Pause between two looks for work.
    pub every: Duration,
}

/// A webhook with much to send is put behind the others after so many messages, or so long.
const TURN: (u32, Duration) = (100, Duration::from_secs(30));

/// Webhooks one instance serves at once: each waits for its receiver most of the time.
pub const AT_ONCE: usize = 64;

/// How long a receiver has to answer.
pub const TIMEOUT: Duration = Duration::from_secs(15);

impl Sender {
    /// Never ends. Dropped, it stops where it is: what was sent and not noted is sent again.
    pub async fn run(self) {
        let sender = Arc::new(self);
        let mut turns = JoinSet::new();
        loop {
            let free = sender.at_once - turns.len();
            if free > 0 && !sender.ledger.gate().is_away() {
                match sender.ledger.claim_webhooks(free).await {
                    Ok(claims) => {
                        for claim in claims {
                            turns.spawn(Arc::clone(&sender).turn(claim));
                        }
                    }
                    Err(error) => tracing::warn!(%error, "looking for webhooks to serve: trying again"),
                }
            }
            let pause = tokio::time::sleep(sender.every);
            tokio::pin!(pause);
            loop {
                tokio::select! {
                    () = &mut pause => break,
                    Some(ended) = turns.join_next() => {
                        // A panic in one turn is one event's: its claim expires, and the others go on.
                        if let Err(error) = ended {
                            tracing::error!(%error, "serving a webhook ended by itself");
                        }
                    }
                }
            }
        }
    }

    async fn turn(self: Arc<Self>, mut claim: Claim) {
        if let Err(error) = self.serve(&mut claim).await {
            tracing::warn!(%error, webhook = %claim.id, "serving a webhook: somebody takes it up again when the claim is over");
        }
    }

    /// Sends what is behind the cursor, one after the other, until there is nothing, one fails, or others had to wait long
    /// enough.
    async fn serve(&self, claim: &mut Claim) -> ledger::Result<()> {
        let begun = Instant::now();
        for _ in 0..TURN.0 {
            if begun.elapsed() >= TURN.1 {
                break;
            }
            let Some(event) = self.ledger.next_message(claim).await? else { break };
            let outcome = self.send(claim, &event).await;
            self.ledger.events().delivered.get_or_create(&[("outcome", outcome.error.unwrap_or("taken"))]).inc();
            if outcome.error.is_none() {
                if !self.ledger.note_taken(claim, &event, &outcome).await? {
                    return Ok(());
                }
                continue;
            }
            let mut random = [0];
            self.ports.entropy.fill(&mut random);
            let verdict = self.patience.verdict(claim.tries, claim.failing, &outcome, random[0]);
            if verdict == Verdict::Park {
                tracing::warn!(webhook = %claim.id, account = claim.account.0, error = outcome.error, "parked");
            }
            return self.ledger.note_failed(claim, &event, &outcome, verdict).await;
        }
        self.ledger.release_webhook(claim).await
    }

    async fn send(&self, claim: &Claim, event: &Event) -> Outcome {
        let failed = |error| Outcome { took: Duration::ZERO, status: None, error: Some(error), answer: None };
        let secrets: Option<Vec<_>> = claim.secrets.iter().map(|locked| self.vault.open(claim.id, locked)).collect();
        let Some(secrets) = secrets else {
            tracing::error!(webhook = %claim.id, "its secret does not open; is the pepper another one?");
            return failed("secret");
        };
        let Ok(body) = serde_json::to_vec(event) else { return failed("internal") };
        let (id, timestamp) = (event.name(), self.ports.clock.now().unix_timestamp());
        let signatures: Vec<String> = secrets.iter().map(|secret| secret.sign(&id, timestamp, &body)).collect();
        self.post.send(Message { url: &claim.url, id: &id, timestamp, signature: &signatures.join(" "), body }).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_until_three_days_are_over_then_it_is_parked() {
        let patience = Patience::lasting(Duration::from_secs(3 * 86_400));
        let failed = Outcome { took: Duration::ZERO, status: Some(500), error: Some("status"), answer: None };
        for random in [0, 255] {
            let (mut failing, mut tries, mut pauses) = (Duration::ZERO, 0, Vec::new());
            while let Verdict::Again(pause) = patience.verdict(tries, failing, &failed, random) {
                pauses.push(pause);
                failing += pause;
                tries += 1;
                assert!(tries < 100);
            }
            assert_eq!(failing, patience.give_up, "exactly three days");
            assert!(pauses[..pauses.len() - 1].is_sorted(), "{pauses:?}");
            assert!((17..=20).contains(&tries), "{tries}");
        }
        let gone = Outcome { status: Some(410), error: Some("gone"), ..failed };
        assert_eq!(patience.verdict(0, Duration::ZERO, &gone, 0), Verdict::Park);
    }
}
