//! The two things a program cannot compute: what time it is, and what nobody can guess.
//!
//! Everything else takes them as arguments; `clippy.toml` forbids reaching for them elsewhere, so that a test can
//! move the clock and a reader can find every draw of randomness.

use std::fmt::Debug;
use std::sync::Arc;

use time::OffsetDateTime;

/// Tells the wall-clock time, UTC.
pub trait Clock: Debug + Send + Sync {
    /// The current time. May go backwards: nothing may rely on it for order.
    fn now(&self) -> OffsetDateTime;
}

/// The operating system's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the system clock")]
    fn now(&self) -> OffsetDateTime {
        OffsetDateTime::now_utc()
    }
}

/// Draws unpredictable bytes.
pub trait Entropy: Debug + Send + Sync {
    /// Fills `bytes` with bytes nobody else can predict.
    fn fill(&self, bytes: &mut [u8]);
}

/// The operating system's random source.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    /// # Panics
    /// When the operating system cannot supply randomness: a salt or a secret made without it would be worse than
    /// stopping.
    #[expect(clippy::disallowed_methods, reason = "the one place that draws randomness")]
    fn fill(&self, bytes: &mut [u8]) {
        getrandom::fill(bytes).expect("the operating system supplies randomness");
    }
}

/// Clock and entropy as they are passed around.
#[derive(Debug, Clone)]
pub struct Ports {
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Draws randomness.
    pub entropy: Arc<dyn Entropy>,
}

impl Ports {
    /// The operating system's clock and randomness.
    #[must_use]
    pub fn system() -> Self {
        Self { clock: Arc::new(SystemClock), entropy: Arc::new(SystemEntropy) }
    }
}
