//! The store's time, carried on by this process's monotonic clock from a claim.

use std::time::Duration;

use longshore_core::{Clock, Timestamp};

/// Reads times that never go back and agree with the store's time of the claim, whatever this
/// machine's wall clock says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timeline {
    claimed_at: Timestamp,
    origin: Duration,
}

impl Timeline {
    /// A timeline from the store's time of a claim whose answer has just arrived.
    pub(crate) fn from_claim(claimed_at: Timestamp, clock: &dyn Clock) -> Self {
        Self {
            claimed_at,
            origin: clock.monotonic(),
        }
    }

    /// The store's time of the claim.
    pub(crate) fn claimed_at(&self) -> Timestamp {
        self.claimed_at
    }

    /// The time now.
    pub(crate) fn now(&self, clock: &dyn Clock) -> Timestamp {
        let passed = clock.monotonic().saturating_sub(self.origin);
        self.claimed_at.after(passed)
    }
}
