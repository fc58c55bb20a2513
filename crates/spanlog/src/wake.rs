//! A hint, within a process, that something was appended.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Counts appends, and wakes those who wait for one. Readers in other processes poll instead.
#[derive(Clone, Debug, Default)]
pub struct Wake {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    appends: Mutex<u64>,
    appended: Condvar,
}

impl Wake {
    /// How many appends there were. Take it before reading, and hand it to [`Wake::wait`] after:
    /// so no append between the two is slept through.
    #[must_use]
    pub fn appends(&self) -> u64 {
        *self.lock()
    }

    /// Waits until there were more appends than `seen`, at most for `timeout`. Gives back how many
    /// there were.
    #[must_use]
    pub fn wait(&self, seen: u64, timeout: Duration) -> u64 {
        let woken = self
            .shared
            .appended
            .wait_timeout_while(self.lock(), timeout, |appends| *appends == seen);
        *woken.unwrap_or_else(PoisonError::into_inner).0
    }

    pub(crate) fn wake(&self) {
        let mut appends = self.lock();
        *appends = appends.wrapping_add(1);
        self.shared.appended.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, u64> {
        self.shared
            .appends
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
