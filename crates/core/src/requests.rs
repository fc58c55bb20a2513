//! How many requests a store has sent to what has its jobs: for stores that are paid by the request.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What came of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RequestOutcome {
    /// It was done.
    Done,
    /// It did nothing, as the store allows for: somebody was first, or nothing is there.
    Refused,
    /// It failed, or nobody knows.
    Failed,
}

impl RequestOutcome {
    /// The outcome as a metric label: `done`, `refused` or `failed`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

/// The requests of one open store, from its opening on. They only ever grow.
#[derive(Debug)]
pub struct RequestCounts {
    system: &'static str,
    counts: Mutex<BTreeMap<(&'static str, RequestOutcome), u64>>,
}

impl RequestCounts {
    /// Of a store that has sent none. `system` is that of [`StoreInfo`](crate::StoreInfo).
    #[must_use]
    pub const fn new(system: &'static str) -> Self {
        let counts = Mutex::new(BTreeMap::new());
        Self { system, counts }
    }

    /// What they were sent to, as [`StoreInfo::system`](crate::StoreInfo::system) has it.
    #[must_use]
    pub const fn system(&self) -> &'static str {
        self.system
    }

    /// Counts a request that has ended. `operation` is one of few: what is on a bill.
    pub fn count(&self, operation: &'static str, outcome: RequestOutcome) {
        *self.lock().entry((operation, outcome)).or_default() += 1;
    }

    /// How many there were of an operation, whatever came of them.
    #[must_use]
    pub fn of(&self, operation: &str) -> u64 {
        let counts = self.lock();
        let of = counts.iter().filter(|((of, _), _)| *of == operation);
        of.map(|(_, count)| count).sum()
    }

    /// All counts, by operation and outcome.
    #[must_use]
    pub fn all(&self) -> Vec<(&'static str, RequestOutcome, u64)> {
        let counts = self.lock();
        let all = counts.iter();
        all.map(|((operation, outcome), count)| (*operation, *outcome, *count))
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<(&'static str, RequestOutcome), u64>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_by_operation_and_outcome() {
        let counts = RequestCounts::new("aws.s3");
        for outcome in [
            RequestOutcome::Done,
            RequestOutcome::Refused,
            RequestOutcome::Done,
        ] {
            counts.count("put", outcome);
        }
        counts.count("get", RequestOutcome::Failed);
        assert_eq!((counts.of("put"), counts.of("list")), (3, 0));
        let told = [
            ("get", RequestOutcome::Failed, 1),
            ("put", RequestOutcome::Done, 2),
            ("put", RequestOutcome::Refused, 1),
        ];
        assert_eq!(counts.all(), told);
    }
}
