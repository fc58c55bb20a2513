//! When a failed attempt runs again.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::attempt::AttemptError;
use crate::clock::Random;

/// How long to wait after a failed attempt.
#[derive(Clone)]
pub enum Backoff {
    /// `base * 2^(attempt - 1)`, at most `cap`, then a random share of it between half and whole,
    /// so that jobs that failed together do not come back together.
    Exponential {
        /// The wait after the first failure, before jitter.
        base: Duration,
        /// The longest wait.
        cap: Duration,
    },
    /// The same wait each time.
    Fixed(Duration),
    /// Whatever a function of the failed attempt's number and error says; `None` discards.
    Custom(CustomBackoff),
}

/// A function from the failed attempt's number (from 1) and its error to the wait, or `None` to
/// discard the job.
pub type CustomBackoff = Arc<dyn Fn(u32, &AttemptError) -> Option<Duration> + Send + Sync>;

impl fmt::Debug for Backoff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exponential { base, cap } => write!(f, "Exponential({base:?}, {cap:?})"),
            Self::Fixed(wait) => write!(f, "Fixed({wait:?})"),
            Self::Custom(_) => f.write_str("Custom"),
        }
    }
}

/// Decides what follows a failed attempt.
///
/// ```
/// use std::time::Duration;
/// use longshore_core::{AttemptError, RetryPolicy, SystemRandom};
/// let policy = RetryPolicy::fixed(Duration::from_secs(5));
/// let error = AttemptError::new("io", "connection refused");
/// assert_eq!(policy.wait(1, 3, &error, &SystemRandom), Some(Duration::from_secs(5)));
/// assert_eq!(policy.wait(3, 3, &error, &SystemRandom), None);
/// ```
#[derive(Clone, Debug)]
pub struct RetryPolicy {
    /// How long to wait.
    pub backoff: Backoff,
}

impl Default for RetryPolicy {
    /// Exponential from 1 s to 1 h: 20 attempts span about nine hours.
    fn default() -> Self {
        Self::exponential(Duration::from_secs(1), Duration::from_secs(3600))
    }
}

impl RetryPolicy {
    /// Exponential with jitter.
    #[must_use]
    pub const fn exponential(base: Duration, cap: Duration) -> Self {
        Self {
            backoff: Backoff::Exponential { base, cap },
        }
    }

    /// The same wait each time.
    #[must_use]
    pub const fn fixed(wait: Duration) -> Self {
        Self {
            backoff: Backoff::Fixed(wait),
        }
    }

    /// A function of the caller's; see [`CustomBackoff`].
    #[must_use]
    pub fn custom(
        function: impl Fn(u32, &AttemptError) -> Option<Duration> + Send + Sync + 'static,
    ) -> Self {
        Self {
            backoff: Backoff::Custom(Arc::new(function)),
        }
    }

    /// How long to wait after the failure of `attempt` (from 1), or `None` to discard the job.
    #[must_use]
    pub fn wait(
        &self,
        attempt: u32,
        max_attempts: u32,
        error: &AttemptError,
        random: &dyn Random,
    ) -> Option<Duration> {
        if attempt >= max_attempts {
            return None;
        }
        match &self.backoff {
            Backoff::Exponential { base, cap } => {
                let doublings = attempt.saturating_sub(1).min(31);
                let full = base.saturating_mul(1 << doublings).min(*cap);
                let jittered = full.as_secs_f64() * (0.5 + 0.5 * random.unit());
                // Rounding may lead beyond what a duration holds.
                Some(Duration::try_from_secs_f64(jittered).map_or(full, |wait| wait.min(full)))
            }
            Backoff::Fixed(wait) => Some(*wait),
            Backoff::Custom(function) => function(attempt, error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemRandom;

    #[test]
    fn exponential_waits_grow_within_their_jitter_and_cap() {
        let policy = RetryPolicy::exponential(Duration::from_secs(1), Duration::from_secs(60));
        let error = AttemptError::new("x", "");
        for (attempt, full) in [(1, 1), (2, 2), (3, 4), (7, 60), (4_000, 60)] {
            let wait = policy.wait(attempt, 10_000, &error, &SystemRandom).unwrap();
            let full = Duration::from_secs(full);
            assert!(wait >= full / 2 && wait <= full, "{attempt}: {wait:?}");
        }
    }

    #[test]
    fn a_custom_policy_may_discard_early() {
        let policy =
            RetryPolicy::custom(|attempt, _| (attempt < 2).then_some(Duration::from_secs(9)));
        let error = AttemptError::new("x", "");
        assert!(policy.wait(1, 9, &error, &SystemRandom).is_some());
        assert!(policy.wait(2, 9, &error, &SystemRandom).is_none());
    }
}
