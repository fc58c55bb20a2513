//! When a back end that failed is asked again.

use std::time::Duration;

/// The pause after the first failure; it doubles with each.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause, also if the back end asks for a longer one: it may be wrong, and is asked
/// with one request only.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Failures in a row after which the breaker opens.
const PATIENCE: u32 = 5;

/// Whether exports go through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BreakerState {
    /// They do.
    #[default]
    Closed,
    /// They do not: the back end failed several times in a row, and is asked from time to time.
    Open,
}

impl BreakerState {
    /// The state as a word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
        }
    }
}

/// Counts failures in a row.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Breaker {
    failures: u32,
}

impl Breaker {
    pub(crate) const fn state(self) -> BreakerState {
        if self.failures >= PATIENCE {
            BreakerState::Open
        } else {
            BreakerState::Closed
        }
    }

    pub(crate) fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// Notes a failure. Gives back how long to wait before the next try: what the back end asked
    /// for, else a pause that doubles, of which up to a half is taken away at random so that many
    /// processes do not come back at the same moment. `random` lies between 0 and 1.
    pub(crate) fn failed(&mut self, asked: Option<Duration>, random: f64) -> Duration {
        let doubled = FIRST_PAUSE.saturating_mul(1 << self.failures.min(16));
        self.failures = self.failures.saturating_add(1);
        let pause = doubled
            .min(LONGEST_PAUSE)
            .mul_f64(1.0 - random.clamp(0.0, 1.0) / 2.0);
        asked.map_or(pause, |asked| asked.min(LONGEST_PAUSE).max(pause))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_minute() {
        let mut breaker = Breaker::default();
        let pauses: Vec<u128> = (0..12)
            .map(|_| breaker.failed(None, 0.0).as_millis())
            .collect();
        assert_eq!(
            pauses,
            [
                100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 51_200, 60_000, 60_000
            ]
        );
        breaker.succeeded();
        assert_eq!(breaker.failed(None, 1.0), FIRST_PAUSE / 2);
    }

    #[test]
    fn the_back_end_may_ask_for_more_but_not_for_ever() {
        let mut breaker = Breaker::default();
        let asked = |breaker: &mut Breaker, seconds| {
            breaker
                .failed(Some(Duration::from_secs(seconds)), 0.0)
                .as_millis()
        };
        assert_eq!(asked(&mut breaker, 7), 7000);
        assert_eq!(asked(&mut breaker, 0), 200);
        assert_eq!(asked(&mut breaker, 86_400), 60_000);
    }

    #[test]
    fn it_opens_after_failures_in_a_row_and_closes_with_a_success() {
        let mut breaker = Breaker::default();
        for _ in 0..PATIENCE {
            assert_eq!(breaker.state(), BreakerState::Closed);
            breaker.failed(None, 0.5);
        }
        assert_eq!(breaker.state(), BreakerState::Open);
        breaker.succeeded();
        assert_eq!(breaker.state(), BreakerState::Closed);
    }
}
