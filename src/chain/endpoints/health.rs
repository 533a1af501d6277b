//! How one endpoint is: in use, or set aside, why, and until when.

use std::fmt;
use std::time::Duration;

use alloy::primitives::B256;
use tokio::time::Instant;

/// Longest pause before an endpoint is asked again.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Why an endpoint is not used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// It does not answer, or not as it must.
    Away(String),
    /// It serves another chain.
    WrongChain {
        /// The chain it serves.
        found: u64,
    },
    /// Its head is too far behind.
    Behind {
        /// Its head.
        head: u64,
        /// The head that enough others have reached.
        best: u64,
    },
    /// It has another block, or none, where one was final.
    NotFinal {
        /// Height.
        height: u64,
    },
    /// The others have another block.
    OtherFork {
        /// Height.
        height: u64,
        /// The block it has.
        hash: Option<B256>,
    },
    /// Another endpoint contradicts it, and there is no majority.
    Disputed {
        /// Height.
        height: u64,
    },
    /// It brought about a halt that the others do not confirm.
    Doubted(String),
}

impl Reason {
    /// The kind of reason, in a word or two.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Away(_) => "away",
            Self::WrongChain { .. } => "wrong chain",
            Self::Behind { .. } => "behind",
            Self::NotFinal { .. } => "not final",
            Self::OtherFork { .. } => "other fork",
            Self::Disputed { .. } => "disputed",
            Self::Doubted(_) => "doubted",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Away(why) => f.write_str(why),
            Self::WrongChain { found } => write!(f, "serves chain {found}"),
            Self::Behind { head, best } => write!(f, "is behind: its head is {head}, that of others {best}"),
            Self::NotFinal { height } => write!(f, "does not have block {height} that was final: it is behind or on a dead fork"),
            Self::OtherFork { height, hash: Some(hash) } => write!(f, "has another block {height} than the others: {hash}"),
            Self::OtherFork { height, hash: None } => write!(f, "has no block {height} any more"),
            Self::Disputed { height } => write!(f, "disagrees with others about block {height}"),
            Self::Doubted(why) => write!(f, "is contradicted by the others, it brought about: {why}"),
        }
    }
}

/// An endpoint that is not used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aside {
    /// Its place in the settings, from 1.
    pub endpoint: usize,
    /// Why.
    pub reason: Reason,
}

/// See the module.
#[derive(Debug, Clone, Default)]
pub(super) struct Health {
    failures: u32,
    again_at: Option<Instant>,
    reason: Option<Reason>,
}

impl Health {
    pub(super) fn aside(&self, index: usize) -> Option<Aside> {
        self.reason.clone().map(|reason| Aside { endpoint: index + 1, reason })
    }

    pub(super) fn reason(&self) -> Option<&Reason> {
        self.reason.as_ref()
    }

    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.again_at.is_none_or(|at| at <= now)
    }

    pub(super) fn recover(&mut self) {
        *self = Self::default();
    }

    /// Answers whether this is new. Who only lags or differs is looked at again with the next look: that costs little, and
    /// a majority needs it. `jitter` is about 1.
    pub(super) fn put_aside(&mut self, reason: Reason, first_pause: Duration, jitter: f64) -> bool {
        let new = self.reason.as_ref().is_none_or(|before| before.kind() != reason.kind());
        let pause = match reason {
            Reason::Away(_) => Some(first_pause * 2_u32.saturating_pow(self.failures.min(10))),
            Reason::WrongChain { .. } | Reason::Doubted(_) => Some(LONGEST_PAUSE.min(first_pause * 64)),
            _ => None,
        };
        self.failures = if matches!(reason, Reason::Away(_)) { self.failures.saturating_add(1) } else { 0 };
        self.again_at = pause.map(|pause| Instant::now() + pause.min(LONGEST_PAUSE).mul_f64(jitter));
        self.reason = Some(reason);
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn pauses_grow_and_end_with_recovery() {
        let mut health = Health::default();
        assert!(health.is_due(Instant::now()));
        let away = || Reason::Away("planned".into());
        assert!(health.put_aside(away(), Duration::from_secs(1), 1.0));
        let first = health.again_at.expect("a pause");
        assert!(!health.is_due(Instant::now()));
        for _ in 0..40 {
            assert!(!health.put_aside(away(), Duration::from_secs(1), 1.0), "told once");
        }
        let later = health.again_at.expect("a pause");
        assert!(later > first + Duration::from_secs(30) && later <= Instant::now() + LONGEST_PAUSE);
        assert!(health.put_aside(Reason::Behind { head: 1, best: 9 }, Duration::from_secs(1), 1.0));
        assert!(health.is_due(Instant::now()), "who is behind is looked at again at once");
        health.recover();
        assert_eq!((health.failures, health.aside(0)), (0, None));
    }
}
