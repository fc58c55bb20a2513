//! How often an address may ask.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use longshore_core::Clock;

/// Most addresses that are remembered; of more, those that asked least are forgotten.
const ADDRESSES: usize = 4096;

/// What a wrong token costs, in requests.
const WRONG_TOKEN: f64 = 200.0;

/// How often one address may ask.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RateLimit {
    /// Requests per second in the long run. 2,000.
    pub per_second: f64,
    /// Requests at once after a pause. 4,000.
    pub burst: f64,
}

impl Default for RateLimit {
    fn default() -> Self {
        Self {
            per_second: 2000.0,
            burst: 4000.0,
        }
    }
}

/// What each address has left.
#[derive(Debug)]
pub(super) struct Rates {
    limit: RateLimit,
    clock: Arc<dyn Clock>,
    spent: Mutex<HashMap<IpAddr, Spent>>,
}

/// What an address has spent, as of a reading of the clock.
#[derive(Clone, Copy, Debug)]
struct Spent {
    requests: f64,
    at: Duration,
}

impl Spent {
    fn now(self, limit: RateLimit, now: Duration) -> f64 {
        let regained = now.saturating_sub(self.at).as_secs_f64() * limit.per_second;
        (self.requests - regained).max(0.0)
    }
}

impl Rates {
    pub(super) fn new(limit: RateLimit, clock: Arc<dyn Clock>) -> Self {
        Self {
            limit,
            clock,
            spent: Mutex::default(),
        }
    }

    /// Whether an address may ask now; then it has.
    pub(super) fn admit(&self, address: IpAddr) -> bool {
        self.spend(address, 1.0)
    }

    /// An address sent a wrong token.
    pub(super) fn punish(&self, address: IpAddr) {
        self.spend(address, WRONG_TOKEN);
    }

    fn spend(&self, address: IpAddr, requests: f64) -> bool {
        let now = self.clock.monotonic();
        let mut all = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= ADDRESSES && !all.contains_key(&address) {
            forget(&mut all, self.limit, now);
        }
        let spent = all.entry(address).or_insert(Spent {
            requests: 0.0,
            at: now,
        });
        let before = spent.now(self.limit, now);
        let is_admitted = before < self.limit.burst;
        if is_admitted {
            *spent = Spent {
                requests: before + requests,
                at: now,
            };
        }
        is_admitted
    }
}

/// Makes room: first of those who have all left again, else of the half that has most left.
fn forget(all: &mut HashMap<IpAddr, Spent>, limit: RateLimit, now: Duration) {
    all.retain(|_, spent| spent.now(limit, now) > 0.0);
    if all.len() < ADDRESSES {
        return;
    }
    let mut spent: Vec<f64> = all.values().map(|spent| spent.now(limit, now)).collect();
    spent.sort_by(f64::total_cmp);
    let middle = spent.get(spent.len() / 2).copied().unwrap_or(0.0);
    all.retain(|_, spent| spent.now(limit, now) > middle);
}

#[cfg(test)]
mod tests {
    use super::*;
    use longshore_core::Timestamp;

    /// A clock that stands still until it is moved.
    #[derive(Debug, Default)]
    struct Still(Mutex<Duration>);

    impl Clock for Still {
        fn now(&self) -> Timestamp {
            Timestamp::UNIX_EPOCH
        }

        fn monotonic(&self) -> Duration {
            *self.0.lock().unwrap()
        }
    }

    fn rates() -> (Rates, Arc<Still>) {
        let clock = Arc::new(Still::default());
        let limit = RateLimit {
            per_second: 10.0,
            burst: 5.0,
        };
        (Rates::new(limit, clock.clone()), clock)
    }

    fn address(number: u16) -> IpAddr {
        let [high, low] = number.to_be_bytes();
        IpAddr::from([10, 0, high, low])
    }

    #[test]
    fn an_address_that_asks_too_often_waits_and_others_do_not() {
        let (rates, clock) = rates();
        let admitted = (0..8).filter(|_| rates.admit(address(1))).count();
        assert_eq!(admitted, 5);
        assert!(rates.admit(address(2)));
        *clock.0.lock().unwrap() += Duration::from_millis(200);
        let admitted = (0..8).filter(|_| rates.admit(address(1))).count();
        assert_eq!(admitted, 2);
    }

    #[test]
    fn a_wrong_token_costs_many_requests() {
        let (rates, _clock) = rates();
        rates.punish(address(1));
        assert!(!rates.admit(address(1)));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (rates, _clock) = rates();
        for number in 0..10_000 {
            rates.admit(address(number));
            assert!(rates.spent.lock().unwrap().len() <= ADDRESSES);
        }
    }
}
