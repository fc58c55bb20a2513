//! The time of a simulation: the virtual time of the runtime, which goes on from one process to
//! the next, and how far someone has moved the wall clock from it.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use longshore::Timestamp;
use longshore_core::Clock;
use tokio::runtime::{Handle, Id};
use tokio::time::Instant;

#[derive(Debug, Default)]
pub(crate) struct SimulatedClock {
    /// Which runtime is simulated, and when it began, by its own time and by that of the simulation.
    entered: Mutex<Option<(Id, Instant, Duration)>>,
    /// The time when someone last looked, in nanoseconds: threads outside the runtime see this.
    seen: AtomicU64,
    moved_by: AtomicI64,
}

impl SimulatedClock {
    /// Goes on in the runtime of the caller, if there is one; else it stands still.
    pub(crate) fn enter(&self) {
        let seen = Duration::from_nanos(self.seen.load(Ordering::SeqCst));
        let mut entered = self.entered.lock().unwrap_or_else(PoisonError::into_inner);
        *entered = Handle::try_current()
            .ok()
            .map(|here| (here.id(), Instant::now(), seen));
    }

    /// Moves the wall clock, as an administrator would.
    pub(crate) fn jump(&self, nanos: i64) {
        self.moved_by.fetch_add(nanos, Ordering::SeqCst);
    }
}

impl Clock for SimulatedClock {
    fn now(&self) -> Timestamp {
        let moved = self.moved_by.load(Ordering::SeqCst);
        let start = Timestamp::from_unix_millis(1_767_225_600_000);
        Timestamp::from_unix_nanos(start.after(self.monotonic()).unix_nanos() + moved)
    }

    fn monotonic(&self) -> Duration {
        let entered = *self.entered.lock().unwrap_or_else(PoisonError::into_inner);
        // A store that asks a server has a runtime of its own, whose time is not the simulation's.
        if let Some((simulated, origin, before)) = entered
            && Handle::try_current().is_ok_and(|here| here.id() == simulated)
        {
            let nanos = (before + origin.elapsed()).as_nanos();
            self.seen
                .store(u64::try_from(nanos).unwrap(), Ordering::SeqCst);
        }
        Duration::from_nanos(self.seen.load(Ordering::SeqCst))
    }
}
