//! The server's time, as far as its answers tell.
//!
//! Every answer of an object store has a date, in whole seconds. From when a request was sent and
//! its answer came, by a clock of this process that never jumps, follow bounds for the difference
//! between the two clocks; many answers make them narrow. A lease that is thought to have ended too
//! early would cost a second execution, so whoever judges takes the bound that errs on the safe side.

use std::time::Duration;

use longshore_core::Timestamp;

/// Bounds for the server's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The least that it can be.
    pub least: Timestamp,
    /// The most that it can be.
    pub most: Timestamp,
}

impl Bounds {
    /// Bounds that are exact.
    #[must_use]
    pub const fn exactly(now: Timestamp) -> Self {
        Self {
            least: now,
            most: now,
        }
    }

    /// What it most likely is.
    #[must_use]
    pub fn middle(&self) -> Timestamp {
        self.least.after(self.error())
    }

    /// By how much [`Bounds::middle`] may be off.
    #[must_use]
    pub fn error(&self) -> Duration {
        self.most.since(self.least) / 2
    }
}

/// What is known of the difference between the server's clock and this process's.
#[derive(Clone, Copy, Debug, Default)]
pub struct ServerClock {
    known: Option<Known>,
}

/// Bounds in nanoseconds for (server's time − monotonic time), true at a monotonic time.
#[derive(Clone, Copy, Debug)]
struct Known {
    least: i64,
    most: i64,
    at: Duration,
}

impl Known {
    /// The bounds later: the two clocks may have drifted apart.
    fn drifted(self, to: Duration) -> Self {
        let since = to.saturating_sub(self.at);
        let drift = nanos(since) / ServerClock::DRIFT;
        Self {
            least: self.least.saturating_sub(drift),
            most: self.most.saturating_add(drift),
            at: to.max(self.at),
        }
    }
}

impl ServerClock {
    /// Clocks are taken to part by at most one second in this many.
    pub const DRIFT: i64 = 5_000;
    /// The step in which servers date their answers.
    pub const STEP: Duration = Duration::from_secs(1);

    /// Learns from an answer with this date to a request that was sent and answered at these
    /// monotonic times. An answer that contradicts what was known, since a server's clock was set,
    /// makes that void.
    pub fn observe(&mut self, sent: Duration, received: Duration, date: Timestamp) {
        let date = date.unix_nanos();
        let fresh = Known {
            least: date.saturating_sub(nanos(received)),
            most: date
                .saturating_add(nanos(Self::STEP))
                .saturating_sub(nanos(sent)),
            at: received,
        };
        let both = self.known.map(|known| {
            let known = known.drifted(received);
            Known {
                least: known.least.max(fresh.least),
                most: known.most.min(fresh.most),
                at: received,
            }
        });
        let agreed = both.filter(|both| both.least <= both.most);
        self.known = Some(agreed.unwrap_or(fresh));
    }

    /// The server's time at this monotonic time; `None` before the first answer.
    #[must_use]
    pub fn bounds(&self, monotonic: Duration) -> Option<Bounds> {
        let known = self.known?.drifted(monotonic);
        let at = |offset: i64| Timestamp::from_unix_nanos(offset).after(monotonic);
        Some(Bounds {
            least: at(known.least),
            most: at(known.most),
        })
    }
}

fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// When the server was asked: how long since the answer before, how long the request took to get
    /// there and the answer to come back, in milliseconds.
    fn requests() -> impl Strategy<Value = Vec<(u64, u64, u64)>> {
        prop::collection::vec((0..90_000u64, 0..3000u64, 0..3000u64), 1..40)
    }

    proptest! {
        #[test]
        fn the_servers_time_is_within_the_bounds(offset in 0..2_000_000_000_000u64, requests in requests()) {
            let mut clock = ServerClock::default();
            let mut now = Duration::ZERO;
            let server = |now: Duration| Timestamp::from_unix_nanos(nanos(Duration::from_millis(offset) + now));
            for (pause, there, back) in requests {
                let sent = now + Duration::from_millis(pause);
                let asked = sent + Duration::from_millis(there);
                now = asked + Duration::from_millis(back);
                let second = server(asked).unix_nanos() / 1_000_000_000 * 1_000_000_000;
                clock.observe(sent, now, Timestamp::from_unix_nanos(second));
                let bounds = clock.bounds(now).unwrap();
                prop_assert!(bounds.least <= server(now) && server(now) <= bounds.most);
                prop_assert!(bounds.error() <= Duration::from_millis(1000 + there + back));
                let later = now + Duration::from_secs(3600);
                let bounds = clock.bounds(later).unwrap();
                prop_assert!(bounds.least <= server(later) && server(later) <= bounds.most);
                let off = bounds.middle().since(server(later)).max(server(later).since(bounds.middle()));
                prop_assert!(off <= bounds.error() + Duration::from_nanos(1));
            }
        }
    }

    #[test]
    fn many_answers_make_the_bounds_narrow() {
        let mut clock = ServerClock::default();
        assert_eq!(clock.bounds(Duration::ZERO), None);
        for millis in (0..3000).step_by(70) {
            let now = Duration::from_millis(millis);
            let date = Timestamp::from_unix_millis(
                1_000_000 + i64::try_from(millis).unwrap() / 1000 * 1000,
            );
            clock.observe(now, now, date);
        }
        let bounds = clock.bounds(Duration::from_millis(3000)).unwrap();
        assert!(bounds.error() < Duration::from_millis(60), "{bounds:?}");
    }

    #[test]
    fn a_clock_that_was_set_is_believed() {
        let mut clock = ServerClock::default();
        let (early, late) = (
            Timestamp::from_unix_millis(0),
            Timestamp::from_unix_millis(90_000),
        );
        let second = Duration::from_secs(1);
        clock.observe(Duration::ZERO, Duration::ZERO, late);
        clock.observe(second, second, early);
        let bounds = clock.bounds(second).unwrap();
        assert_eq!(
            (bounds.least, bounds.most),
            (early, early.after(ServerClock::STEP))
        );
    }
}
