//! A bucket of tokens, as the one time at which it is full again.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::rate::Rate;
use crate::time::Timestamp;

/// A bucket that fills at a [`Rate`] up to its burst. Each start of a job takes a token.
///
/// All of it is one time, at which it is full: so nothing has to be written while it fills.
///
/// ```
/// use longshore_core::Timestamp;
/// use longshore_core::limit::{Bucket, Rate};
/// let rate: Rate = "2/s".parse()?;
/// let now = Timestamp::from_unix_millis(1_000);
/// let mut bucket = Bucket::default();
/// assert_eq!(bucket.take(&rate, now, 5), 2);
/// assert_eq!(bucket.next_at(&rate, now), Timestamp::from_unix_millis(1_500));
/// # Ok::<(), longshore_core::limit::InvalidRate>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Bucket {
    full_at: Timestamp,
}

impl Bucket {
    /// Whether it is full, so that nothing needs to be remembered of it.
    #[must_use]
    pub fn is_full(&self, now: Timestamp) -> bool {
        self.full_at <= now
    }

    /// How many tokens there are.
    #[must_use]
    pub fn tokens(&self, rate: &Rate, now: Timestamp) -> u32 {
        let filled = rate.refill().saturating_sub(self.missing(rate, now));
        let tokens = filled.as_nanos() / rate.interval().as_nanos().max(1);
        u32::try_from(tokens).unwrap_or(u32::MAX).min(rate.burst())
    }

    /// Takes at most `wanted` tokens; gives back how many it took.
    pub fn take(&mut self, rate: &Rate, now: Timestamp, wanted: u32) -> u32 {
        let taken = self.tokens(rate, now).min(wanted);
        let missing = self.missing(rate, now);
        // Also if there is none: it must begin to fill after the clock was set back.
        let missing = missing + rate.interval().saturating_mul(taken);
        self.full_at = match missing.is_zero() {
            true => self.full_at,
            false => now.after(missing),
        };
        taken
    }

    /// Puts tokens back that were taken and not used; more than the burst never fit.
    pub fn give_back(&mut self, rate: &Rate, now: Timestamp, tokens: u32) {
        let back = rate.interval().saturating_mul(tokens);
        let missing = self.missing(rate, now).saturating_sub(back);
        self.full_at = now.after(missing);
    }

    /// When there is a token: now, if there is one.
    #[must_use]
    pub fn next_at(&self, rate: &Rate, now: Timestamp) -> Timestamp {
        let almost_full = rate.refill().saturating_sub(rate.interval());
        now.after(self.missing(rate, now).saturating_sub(almost_full))
    }

    /// How long until it is full. A clock that was set back makes it empty at worst, and a rate
    /// that was changed counts from what is missing.
    fn missing(&self, rate: &Rate, now: Timestamp) -> Duration {
        self.full_at.since(now).min(rate.refill())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rates() -> impl Strategy<Value = Rate> {
        (1..50u32, 1..5_000u64, 1..60u32).prop_map(|(count, period, burst)| {
            let rate = Rate::new(count, Duration::from_millis(period)).unwrap();
            rate.with_burst(burst).unwrap()
        })
    }

    #[test]
    fn a_bucket_fills_one_token_at_a_time() {
        let rate: Rate = "10/s".parse().unwrap();
        let at = Timestamp::from_unix_millis;
        let mut bucket = Bucket::default();
        assert_eq!(bucket.take(&rate, at(0), 100), 10);
        assert_eq!(bucket.take(&rate, at(99), 1), 0);
        assert_eq!(bucket.next_at(&rate, at(99)), at(100));
        assert_eq!(bucket.take(&rate, at(250), 100), 2);
        assert!(!bucket.is_full(at(1_100)));
        assert!(bucket.is_full(at(1_200)));
    }

    proptest! {
        #[test]
        fn never_more_than_the_rate_and_the_burst_are_out(
            rate in rates(),
            steps in prop::collection::vec((0..2_000u64, 0..80u32, 0..20u32), 1..60),
        ) {
            let start = Timestamp::from_unix_millis(1_000_000);
            let (mut now, mut bucket, mut out) = (start, Bucket::default(), 0u32);
            for (passed, wanted, back) in steps {
                now = now.after(Duration::from_millis(passed));
                prop_assert!(bucket.tokens(&rate, now) <= rate.burst());
                let back = back.min(out);
                bucket.give_back(&rate, now, back);
                out -= back;
                out += bucket.take(&rate, now, wanted);
                let filled = now.since(start).as_nanos() / rate.interval().as_nanos();
                prop_assert!(u128::from(out) <= filled + u128::from(rate.burst()));
            }
        }

        #[test]
        fn a_clock_that_jumps_grants_at_most_a_burst_each_time_and_never_blocks_for_good(
            rate in rates(),
            jumps in prop::collection::vec((-10_000_000i64..10_000_000, 0..80u32), 1..40),
        ) {
            let mut now = Timestamp::from_unix_millis(1_000_000_000);
            let mut bucket = Bucket::default();
            for (jump, wanted) in jumps {
                now = match u64::try_from(jump) {
                    Ok(forward) => now.after(Duration::from_millis(forward)),
                    Err(_) => now.before(Duration::from_millis(jump.unsigned_abs())),
                };
                let taken = bucket.take(&rate, now, wanted);
                prop_assert!(taken <= rate.burst());
                prop_assert!(bucket.next_at(&rate, now).since(now) <= rate.interval());
                prop_assert!(bucket.is_full(now.after(rate.refill())) || bucket.take(&rate, now.after(rate.refill()), 1) == 1);
            }
        }

        #[test]
        fn a_lowered_rate_never_leaves_more_than_its_burst(
            before in rates(), after in rates(), wanted in 0..100u32,
        ) {
            let now = Timestamp::from_unix_millis(5_000_000);
            let mut bucket = Bucket::default();
            bucket.take(&before, now, wanted);
            prop_assert!(bucket.take(&after, now, u32::MAX) <= after.burst());
            prop_assert_eq!(bucket.tokens(&after, now), 0);
        }
    }
}
