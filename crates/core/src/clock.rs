//! Where time and randomness come from. Everything that needs either takes it as a parameter, so
//! that tests and simulations decide what they see.

use std::fmt;
use std::time::Duration;

use crate::time::Timestamp;

/// A source of time: wall-clock time, and a monotonic reading for durations.
pub trait Clock: fmt::Debug + Send + Sync {
    /// The wall-clock time. May jump.
    fn now(&self) -> Timestamp;

    /// Time since some fixed point of this process. Never goes back.
    fn monotonic(&self) -> Duration;
}

/// The machine's own clock.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    origin: std::time::Instant,
}

impl SystemClock {
    /// The machine's clock, its monotonic reading starting at zero now.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the clock"
    )]
    pub fn new() -> Self {
        Self {
            origin: std::time::Instant::now(),
        }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the clock"
    )]
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default();
        Timestamp::UNIX_EPOCH.after(since)
    }

    fn monotonic(&self) -> Duration {
        self.origin.elapsed()
    }
}

/// A source of random numbers: job ids, lease tokens, jitter and the randomness of new traces.
pub trait Random: fmt::Debug + Send + Sync {
    /// 64 random bits.
    fn next_u64(&self) -> u64;

    /// A number in `0.0 ..= 1.0`.
    fn unit(&self) -> f64 {
        // 53 bits are what an f64 holds exactly.
        (self.next_u64() >> 11) as f64 / ((1u64 << 53) - 1) as f64
    }
}

/// Fast randomness, seeded by the operating system once per thread. Not for secrets.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemRandom;

impl Random for SystemRandom {
    fn next_u64(&self) -> u64 {
        fastrand::u64(..)
    }
}
