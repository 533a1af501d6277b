//! Several endpoints of one chain, none of which is believed alone where others can be asked.
//!
//! Nothing here is a chain itself: whoever wants to look takes a [`View`], which stays on one endpoint, so that what
//! one look decides is never put together from the answers of different forks. Which endpoint that is, [`judge`]
//! decides from what all of them say at that moment; what is final, the view asks the others too.

mod gather;
mod health;
mod judge;
mod view;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use alloy::primitives::B256;
use tokio::time::Instant;

use self::gather::gather;
use self::health::Health;
pub use self::health::{Aside, Reason};
use self::judge::{Asides, Heard, Members, Seen, Settled};
pub use self::view::View;
use super::{Chain, ChainError, Target};
use crate::ports::Entropy;

/// Looks in a row at which the endpoints may disagree without a majority before an operator is called for: a reorg
/// that has not reached all of them takes seconds.
const DISAGREEMENTS: u32 = 5;

/// How several endpoints are judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// Endpoints that must agree on what is final; at least 1, at most as many as there are.
    pub quorum: usize,
    /// An endpoint whose head is further behind is not asked, blocks.
    pub max_lag: u64,
    /// Time for one look at all of them, repetitions included, and for one exchange with one of them.
    pub timeout: Duration,
    /// Shortest pause before an endpoint that failed is asked again. It doubles with each failure.
    pub first_pause: Duration,
}

impl Default for Rules {
    fn default() -> Self {
        Self { quorum: 1, max_lag: 10, timeout: super::evm::TIMEOUT, first_pause: Duration::from_secs(1) }
    }
}

/// Why there is nobody to ask.
#[derive(Debug, Clone, thiserror::Error)]
pub enum NoView {
    /// It may pass by itself.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// They contradict each other, as they may for seconds after a reorg.
    #[error("{0}")]
    Disagreement(String),
    /// A person has to look.
    #[error("{0}")]
    Halt(String),
}

/// A block that was final: its height and hash.
pub type Known = (u64, B256);

/// See the module.
#[derive(Debug)]
pub struct Endpoints {
    target: Target,
    chains: Vec<Arc<dyn Chain>>,
    rules: Rules,
    entropy: Arc<dyn Entropy>,
    inside: Mutex<Inside>,
}

#[derive(Debug)]
struct Inside {
    health: Vec<Health>,
    /// The endpoint of the last view.
    last: usize,
    /// Looks in a row without a majority.
    disagreements: u32,
}

impl Endpoints {
    /// Endpoints of one target, in the order in which they are preferred. Asks nobody yet.
    ///
    /// # Panics
    /// When there is none, when two are for different targets, or when the quorum is none of `1..=chains.len()`.
    #[must_use]
    pub fn new(chains: Vec<Arc<dyn Chain>>, rules: Rules, entropy: Arc<dyn Entropy>) -> Self {
        let target = chains.first().expect("at least one endpoint").target().clone();
        assert!(chains.iter().all(|chain| *chain.target() == target), "one target");
        assert!((1..=chains.len()).contains(&rules.quorum), "a quorum that can be reached");
        let inside = Inside { health: vec![Health::default(); chains.len()], last: 0, disagreements: 0 };
        Self { target, chains, rules, entropy, inside: Mutex::new(inside) }
    }

    /// Which registry on which chain.
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Endpoints that are not used at present, and why.
    #[must_use]
    pub fn asides(&self) -> Vec<Aside> {
        let inside = self.inside();
        let aside = |(index, health): (usize, &Health)| health.aside(index);
        inside.health.iter().enumerate().filter_map(aside).collect()
    }

    /// Looks at all endpoints and stays on the best of those that agree. `known` was final before: who contradicts it is
    /// not believed unless all do. `tried` are not taken.
    ///
    /// # Errors
    /// [`NoView`], after several tries within the time for one look.
    pub async fn view(self: &Arc<Self>, known: Option<Known>, tried: &[usize]) -> Result<View, NoView> {
        let begun = Instant::now();
        let mut pause = self.rules.first_pause / 4;
        let nobody = loop {
            let nobody = match self.look(known, tried).await {
                Ok(view) => return Ok(view),
                Err(nobody) => nobody,
            };
            let wait = self.jitter(pause);
            // Whoever was tried was asked just now.
            if !tried.is_empty() || matches!(nobody, NoView::Halt(_)) || begun.elapsed() + wait >= self.rules.timeout {
                break nobody;
            }
            tokio::time::sleep(wait).await;
            pause *= 2;
        };
        let mut inside = self.inside();
        let NoView::Disagreement(why) = nobody else { return Err(nobody) };
        inside.disagreements += 1;
        Err(if inside.disagreements >= DISAGREEMENTS { NoView::Halt(why) } else { NoView::Disagreement(why) })
    }

    /// Notes that an endpoint failed while it was looked through.
    pub fn blame(&self, index: usize, error: &ChainError) {
        self.put_aside(index, Reason::Away(error.to_string()));
    }

    /// Notes that an endpoint brought about a halt that others do not confirm.
    pub fn doubt(&self, index: usize, why: &str) {
        self.put_aside(index, Reason::Doubted(why.to_owned()));
    }

    async fn look(self: &Arc<Self>, known: Option<Known>, tried: &[usize]) -> Result<View, NoView> {
        let now = Instant::now();
        let due: Vec<usize> = {
            let inside = self.inside();
            (0..self.chains.len()).filter(|index| inside.health[*index].is_due(now)).collect()
        };
        match self.look_at(&due, known, tried).await {
            // Better one that failed a moment ago than none; but not twice in one step.
            Err(_) if due.len() < self.chains.len() && tried.is_empty() => {
                let all: Vec<usize> = (0..self.chains.len()).collect();
                self.look_at(&all, known, tried).await
            }
            done => done,
        }
    }

    async fn look_at(self: &Arc<Self>, asked: &[usize], known: Option<Known>, tried: &[usize]) -> Result<View, NoView> {
        let heard = self.ask(asked, known).await;
        let caip2 = self.target.caip2();
        let sifted = judge::sift(&heard, known);
        self.put_all_aside(sifted.aside);
        if sifted.sound.is_empty() {
            return Err(match sifted.serves {
                Some(found) => NoView::Halt(format!("every endpoint for {caip2} that answers serves another chain: {found}")),
                None => ChainError::Unreachable(self.nobody()).into(),
            });
        }
        // Who is behind is compared too: one that runs far ahead on a fork must not make the others' word count less.
        let agreed = self.agree(sifted.sound).await?;
        let (near, behind) = judge::near(agreed, &self.rules);
        let agreed = if behind.is_empty() { near } else { self.agree(near).await? };
        self.put_all_aside(behind);
        self.pick(agreed, tried)
    }

    /// Those who have the same block at the highest height that all of them have.
    async fn agree(&self, sound: Members) -> Result<Members, NoView> {
        let settled = self.compare(sound).await;
        self.put_all_aside(settled.aside);
        match settled.open {
            None => Ok(settled.agreed),
            Some(height) => Err(NoView::Disagreement(format!(
                "the endpoints for {} disagree about block {height}, and no side has the majority",
                self.target.caip2()
            ))),
        }
    }

    /// Asks each what it serves, where its chain ends, and what it has where something was final.
    async fn ask(&self, asked: &[usize], known: Option<Known>) -> Vec<Heard> {
        let look = |index: usize| {
            let chain = &self.chains[index];
            async move {
                let chain_id = chain.chain_id().await?;
                if chain_id != self.target.chain_id {
                    return Err(ChainError::WrongChain { expected: self.target.chain_id, found: chain_id });
                }
                let heads = chain.heads().await?;
                let known = match known {
                    Some((height, _)) => chain.block(height).await?,
                    None => None,
                };
                Ok(Seen { heads, known })
            }
        };
        gather(asked, look, self.enough(), self.rules.timeout).await
    }

    /// Endpoints after whose answers the others are not waited for much longer. More than half of all: whoever answers
    /// first is not believed for being first.
    fn enough(&self) -> usize {
        self.rules.quorum.max(self.chains.len() / 2 + 1)
    }

    /// Compares what the endpoints have at the highest height that all of them have.
    async fn compare(&self, sound: Members) -> Settled {
        let height = sound.iter().map(|(_, seen)| seen.heads.latest.number).min().unwrap_or(0);
        let who: Vec<usize> = sound.iter().map(|(index, _)| *index).collect();
        let there = |index: usize| {
            let latest = sound.iter().find(|(one, _)| *one == index).map(|(_, seen)| seen.heads.latest);
            let chain = &self.chains[index];
            async move {
                match latest.filter(|latest| latest.number == height) {
                    Some(latest) => Ok(Some(latest)),
                    None => chain.block(height).await,
                }
            }
        };
        let blocks = gather(&who, there, self.enough(), self.rules.timeout).await;
        judge::settle(height, sound, blocks, self.rules.quorum)
    }

    fn pick(self: &Arc<Self>, agreed: Members, tried: &[usize]) -> Result<View, NoView> {
        let mut inside = self.inside();
        inside.disagreements = 0;
        for (index, _) in &agreed {
            // Doubt is not taken back by looking well.
            if !matches!(inside.health[*index].reason(), Some(Reason::Doubted(_))) || inside.health[*index].is_due(Instant::now())
            {
                inside.health[*index].recover();
            }
        }
        let last = inside.last;
        // The highest head, so that a change of endpoints does not look like a reorg; then the one used before, then the
        // order of the settings.
        let best = agreed
            .iter()
            .filter(|(index, _)| !tried.contains(index))
            .min_by_key(|(index, seen)| (std::cmp::Reverse(seen.heads.latest.number), *index != last, *index));
        let Some((pinned, _)) = best else {
            drop(inside);
            return Err(ChainError::Unreachable(self.nobody()).into());
        };
        let pinned = *pinned;
        inside.last = pinned;
        drop(inside);
        let members = agreed.into_iter().map(|(index, seen)| (index, seen.heads)).collect();
        Ok(View::new(Arc::clone(self), pinned, members))
    }

    fn nobody(&self) -> String {
        let said: Vec<String> =
            self.asides().iter().map(|aside| format!("endpoint {} {}", aside.endpoint, aside.reason)).collect();
        let said = if said.is_empty() { "no other is left".to_owned() } else { said.join("; ") };
        format!("no endpoint for {} can be used: {said}", self.target.caip2())
    }

    fn put_all_aside(&self, asides: Asides) {
        for (index, reason) in asides {
            self.put_aside(index, reason);
        }
    }

    fn put_aside(&self, index: usize, reason: Reason) {
        let jitter = self.jitter(Duration::from_secs(1)).as_secs_f64();
        let mut inside = self.inside();
        if inside.health[index].put_aside(reason.clone(), self.rules.first_pause, jitter) {
            tracing::warn!(endpoint = index + 1, chain = ?self.chains[index], %reason, "an endpoint is set aside");
        }
    }

    /// Half of `pause` to one and a half of it, so that instances and endpoints do not fall into step.
    fn jitter(&self, pause: Duration) -> Duration {
        let mut drawn = [0; 4];
        self.entropy.fill(&mut drawn);
        pause.mul_f64(0.5 + f64::from(u32::from_le_bytes(drawn)) / f64::from(u32::MAX))
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
