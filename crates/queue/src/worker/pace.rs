//! How quickly a worker's handlers end lately, and what follows from that: how many jobs it asks for
//! beyond its free slots, and for how many ends a settle waits.
//!
//! Calls to a store cost much the same for one job as for a hundred. A worker whose handlers take
//! milliseconds would make a call for each few slots that happen to be free. So it asks for as many
//! jobs more as it has just run in a [`WINDOW`], which start within about that time. It expects
//! nothing of handlers that still run, however quick others were: only what ended counts.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use longshore_core::ClaimRequest;
use tokio::time::Instant;

/// The time for which is looked ahead. A lease is twenty times that, at least.
const WINDOW: Duration = Duration::from_millis(50);
/// How long claimed jobs may wait for a slot, should handlers take longer all at once: a quarter of
/// the shortest lease.
pub(super) const LONGEST_WAIT: Duration = Duration::from_millis(250);
/// The longest time for which a settle waits for more.
pub(super) const GATHER: Duration = Duration::from_millis(10);
/// With fewer ends in a window there is nothing to be saved.
const FEWEST: usize = 8;

/// Counts ends of handlers, window by window.
#[derive(Debug, Default)]
pub(crate) struct Pace(Mutex<Windows>);

#[derive(Debug, Default)]
struct Windows {
    began: Option<Instant>,
    ended: usize,
    /// How many ended in the window before that.
    before: usize,
}

impl Pace {
    /// A handler ended.
    pub(super) fn ended(&self, now: Instant) {
        let mut windows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        windows.roll(now);
        windows.ended += 1;
    }

    /// How many ended in the last whole window.
    fn recent(&self, now: Instant) -> usize {
        let mut windows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        windows.roll(now);
        windows.before
    }

    /// How many jobs are to wait for a slot, at most so many.
    pub(super) fn ahead(&self, now: Instant, most: usize) -> usize {
        ahead(self.recent(now), most)
    }

    /// How many handlers are expected to end within [`GATHER`].
    pub(super) fn soon(&self, now: Instant) -> usize {
        soon(self.recent(now))
    }
}

impl Windows {
    fn roll(&mut self, now: Instant) {
        let began = *self.began.get_or_insert(now);
        let passed = now.saturating_duration_since(began);
        if passed < WINDOW {
            return;
        }
        // Of a longer time, as many as belong to a window.
        self.before = of_window(self.ended, passed);
        self.ended = 0;
        self.began = Some(now);
    }
}

fn of_window(ended: usize, passed: Duration) -> usize {
    let scaled = ended as u128 * WINDOW.as_nanos() / passed.as_nanos().max(1);
    usize::try_from(scaled).unwrap_or(usize::MAX)
}

fn ahead(recent: usize, most: usize) -> usize {
    let ahead = if recent < FEWEST { 0 } else { recent };
    ahead.min(most)
}

/// How many jobs to ask for with so many free slots, where `ahead` are to wait and `waiting` do.
pub(super) fn wanted(free: usize, ahead: usize, waiting: usize) -> usize {
    free.saturating_add(ahead.saturating_sub(waiting))
        .clamp(1, ClaimRequest::MAX_LIMIT)
}

fn soon(recent: usize) -> usize {
    let share = WINDOW.as_millis() / GATHER.as_millis();
    recent / usize::try_from(share).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MOST: usize = 100;

    fn after(ended: usize, passed: Duration) -> (Pace, Instant) {
        let (pace, began) = (Pace::default(), Instant::now());
        for _ in 0..ended {
            pace.ended(began);
        }
        (pace, began + passed)
    }

    #[test]
    fn a_worker_asks_for_no_more_than_its_slots_until_it_knows_how_quick_it_is() {
        let (pace, now) = after(500, WINDOW / 2);
        assert_eq!(pace.ahead(now, MOST), 0);
        assert_eq!(pace.ahead(now + WINDOW, MOST), MOST);
    }

    #[test]
    fn handlers_that_still_run_are_not_expected_to_end() {
        let (pace, now) = after(FEWEST - 1, WINDOW);
        assert_eq!(pace.ahead(now, MOST), 0);
        assert_eq!(pace.soon(now), 1);
        let (pace, now) = after(500, WINDOW * 1000);
        assert_eq!(pace.ahead(now, MOST), 0);
        assert_eq!(pace.soon(now), 0);
    }

    proptest! {
        #[test]
        fn free_slots_are_always_asked_for_and_what_is_more_is_bounded(
            recent in 0_usize..10_000, free in 1_usize..1000, most in 0_usize..2000,
            waiting in 0_usize..2000,
        ) {
            let ahead = ahead(recent, most);
            let wanted = wanted(free, ahead, waiting);
            prop_assert!(wanted >= free.min(ClaimRequest::MAX_LIMIT));
            prop_assert!(wanted <= ClaimRequest::MAX_LIMIT);
            prop_assert!(wanted - free <= most.min(recent));
            prop_assert!(wanted - free + waiting <= ahead.max(waiting));
        }

        #[test]
        fn what_waits_for_a_slot_is_bounded(recent in 0_usize..10_000, most in 0_usize..2000) {
            prop_assert!(ahead(recent, most) <= most.min(recent));
            prop_assert!(soon(recent) <= recent);
        }

        #[test]
        fn no_more_is_expected_of_a_window_than_ended_in_any(
            gaps in prop::collection::vec(0_u64..200, 1..300),
        ) {
            let (pace, mut now, mut most) = (Pace::default(), Instant::now(), 0);
            let mut ends: Vec<Instant> = Vec::new();
            for gap in gaps {
                now += Duration::from_millis(gap);
                // Two windows, since one may begin in the midst of what happens at once.
                ends.push(now);
                ends.retain(|end| *end + 2 * WINDOW >= now);
                most = most.max(ends.len());
                pace.ended(now);
                prop_assert!(pace.recent(now) <= most);
            }
        }
    }
}
