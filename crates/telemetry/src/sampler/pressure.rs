//! How full the way out is, and what gives way.

use std::sync::atomic::{AtomicU32, Ordering};

/// From this level on, spans of the application leave no more with base traces.
const WITHOUT_DETAIL: u32 = 5;

/// How full the queue and the backlog in memory are, as a level.
///
/// Nothing gives way below half. From there each further sixteenth is a level, and each level
/// halves the share of new traces that is sampled; from three quarters on, spans of the
/// application are dropped unless their trace is kept by decision. What is kept goes last: it has
/// a queue of its own, and the backlog drops it after all else. Levels fall as room comes back.
#[derive(Debug, Default)]
pub(crate) struct Pressure {
    queue: AtomicU32,
    backlog: AtomicU32,
}

impl Pressure {
    /// How many spans are in the queue, of how many.
    pub(crate) fn in_queue(&self, used: usize, capacity: usize) {
        self.queue.store(level(used, capacity), Ordering::Relaxed);
    }

    /// How many bytes are in the backlog, of how many.
    pub(crate) fn in_backlog(&self, used: usize, capacity: usize) {
        self.backlog.store(level(used, capacity), Ordering::Relaxed);
    }

    /// How often the share of new traces is halved.
    pub(crate) fn level(&self) -> u32 {
        let queue = self.queue.load(Ordering::Relaxed);
        queue.max(self.backlog.load(Ordering::Relaxed))
    }

    /// Whether spans of the application are to be dropped with base traces.
    pub(crate) fn drops_detail(&self) -> bool {
        self.level() >= WITHOUT_DETAIL
    }
}

fn level(used: usize, capacity: usize) -> u32 {
    let sixteenths = used.saturating_mul(16) / capacity.max(1);
    let level = sixteenths.min(16).saturating_sub(7);
    u32::try_from(level).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_rise_from_half_full_and_fall_again() {
        let pressure = Pressure::default();
        let of_queue = |used| {
            pressure.in_queue(used, 1600);
            (pressure.level(), pressure.drops_detail())
        };
        assert_eq!(of_queue(0), (0, false));
        assert_eq!(of_queue(799), (0, false));
        assert_eq!(of_queue(800), (1, false));
        assert_eq!(of_queue(900), (2, false));
        assert_eq!(of_queue(1200), (5, true));
        assert_eq!(of_queue(1600), (9, true));
        assert_eq!(of_queue(9999), (9, true));
        assert_eq!(of_queue(0), (0, false));
    }

    #[test]
    fn the_fuller_of_both_counts() {
        let pressure = Pressure::default();
        pressure.in_backlog(10, 16);
        pressure.in_queue(8, 16);
        assert_eq!(pressure.level(), 3);
        pressure.in_backlog(0, 16);
        assert_eq!(pressure.level(), 1);
        pressure.in_queue(0, 0);
        assert_eq!(pressure.level(), 0);
    }
}
