//! How many requests are under way at once, and how long to wait before another try: fewer and
//! longer while the server says that it has too much to do.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use longshore_core::Random;
use tokio::sync::{Semaphore, SemaphorePermit};

/// The pace of one process.
#[derive(Debug)]
pub(super) struct Pace {
    turns: Semaphore,
    /// How many turns there are.
    limit: Mutex<usize>,
    /// Requests that went well since the limit last grew.
    well: AtomicUsize,
    random: Arc<dyn Random>,
}

impl Pace {
    /// Most requests at once.
    const MOST: usize = 64;
    /// After how many requests that went well there may be one more at once.
    const GROWS_AFTER: usize = 16;
    /// The longest pause before a second try; each further one may take twice as long.
    const FIRST: Duration = Duration::from_millis(100);
    /// The longest pause of all.
    const LONGEST: Duration = Duration::from_secs(3);

    pub(super) fn new(random: Arc<dyn Random>) -> Self {
        Self {
            turns: Semaphore::new(Self::MOST),
            limit: Mutex::new(Self::MOST),
            well: AtomicUsize::new(0),
            random,
        }
    }

    /// Waits for a turn. `None` never comes, since turns are never closed.
    pub(super) async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        self.turns.acquire().await.ok()
    }

    /// A request was answered: there may be more at once.
    pub(super) fn went_well(&self) {
        let mut limit = self.limit();
        let is_enough = || self.well.fetch_add(1, Ordering::Relaxed) + 1 >= Self::GROWS_AFTER;
        if *limit >= Self::MOST || !is_enough() {
            return;
        }
        self.well.store(0, Ordering::Relaxed);
        *limit += 1;
        self.turns.add_permits(1);
    }

    /// A request was not answered; if the server is `busy`, half as many are sent at once.
    pub(super) fn went_ill(&self, busy: bool) {
        self.well.store(0, Ordering::Relaxed);
        if busy {
            let mut limit = self.limit();
            // Those that are under way keep their turns; what is taken away is free now.
            let less = *limit / 2;
            *limit -= self.turns.forget_permits(less);
        }
    }

    /// How many requests may be under way at once.
    fn limit(&self) -> MutexGuard<'_, usize> {
        self.limit.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits before the next try of a request that was `tried` this often: a random part of a time
    /// that doubles.
    pub(super) async fn pause(&self, tried: u32) {
        let longest = Self::FIRST.saturating_mul(1 << tried.saturating_sub(1).min(10));
        let longest = longest.min(Self::LONGEST);
        tokio::time::sleep(longest.mul_f64(self.random.unit())).await;
    }
}

#[cfg(test)]
mod tests {
    use longshore_core::SystemRandom;

    use super::*;

    #[tokio::test]
    async fn a_busy_server_gets_fewer_requests_at_once_and_later_more_again() {
        let pace = Pace::new(Arc::new(SystemRandom));
        assert_eq!(*pace.limit(), 64);
        pace.went_ill(false);
        assert_eq!(*pace.limit(), 64);
        for _ in 0..20 {
            pace.went_ill(true);
        }
        assert_eq!((*pace.limit(), pace.turns.available_permits()), (1, 1));
        // The last turn is never taken away.
        let turn = pace.turn().await.unwrap();
        pace.went_ill(true);
        drop(turn);
        assert_eq!((*pace.limit(), pace.turns.available_permits()), (1, 1));
        for _ in 0..16 * 70 {
            pace.went_well();
        }
        assert_eq!((*pace.limit(), pace.turns.available_permits()), (64, 64));
    }
}
