//! Measuring: how long calls to the store take, and the recorder that hears of it if anyone looks.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use longshore_core::{Clock, Store, StoreError, Timestamp};
use longshore_instrument::{Measured, Recorder, StoreCall};

/// Who takes measurements, and the clock they are taken by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Meter<'a> {
    recorder: &'a dyn Recorder,
    clock: &'a dyn Clock,
}

impl<'a> Meter<'a> {
    /// The meter of a recorder; `None` if nobody looks at what it measures.
    pub(crate) fn of(
        recorder: Option<&'a Arc<dyn Recorder>>,
        clock: &'a dyn Clock,
    ) -> Option<Self> {
        let recorder = &**recorder?;
        recorder.measures().then_some(Self { recorder, clock })
    }

    pub(crate) fn measure(&self, measured: &Measured<'_>) {
        self.recorder.measure(measured);
    }

    /// Says where a store counts its requests, if it does.
    pub(crate) fn note_requests(&self, store: &dyn Store) {
        if let Some(counts) = store.request_counts() {
            self.measure(&Measured::Requests(&counts));
        }
    }

    /// The reading of the clock that [`Meter::since`] takes.
    pub(crate) fn reading(&self) -> Duration {
        self.clock.monotonic()
    }

    pub(crate) fn since(&self, reading: Duration) -> Duration {
        self.clock.monotonic().saturating_sub(reading)
    }

    /// The wall-clock time.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

/// Asks a store, and measures how long it takes to answer.
pub(crate) async fn timed<T>(
    meter: Option<Meter<'_>>,
    call: StoreCall,
    asked: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    let Some(meter) = meter else {
        return asked.await;
    };
    let began = meter.reading();
    let answer = asked.await;
    meter.measure(&Measured::Store {
        call,
        took: meter.since(began),
        error_class: class_of(&answer),
    });
    answer
}

/// `error.type` of an answer, if it is an error.
pub(crate) fn class_of<T>(answer: &Result<T, StoreError>) -> Option<&'static str> {
    answer.as_ref().err().map(|error| error.kind().as_str())
}

/// Groups neighbours that have the same key: one call mostly concerns one queue. Nothing is
/// allocated for the first.
#[derive(Debug)]
pub(crate) struct Runs<K> {
    first: Option<(K, u64)>,
    more: Vec<(K, u64)>,
}

impl<K: PartialEq> FromIterator<K> for Runs<K> {
    fn from_iter<I: IntoIterator<Item = K>>(keys: I) -> Self {
        let mut runs = Self {
            first: None,
            more: Vec::new(),
        };
        for key in keys {
            let last = runs.more.last_mut().or(runs.first.as_mut());
            match last {
                Some((present, count)) if *present == key => *count += 1,
                Some(_) => runs.more.push((key, 1)),
                None => runs.first = Some((key, 1)),
            }
        }
        runs
    }
}

impl<K> Runs<K> {
    pub(crate) fn iter(&self) -> impl Iterator<Item = &(K, u64)> {
        self.first.iter().chain(&self.more)
    }

    /// The key, if all have the same.
    pub(crate) fn only(&self) -> Option<&K> {
        let only = self.first.as_ref().filter(|_| self.more.is_empty());
        only.map(|(key, _)| key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_with_one_key_are_a_run() {
        let runs: Runs<char> = "aabba".chars().collect();
        let all: Vec<_> = runs.iter().copied().collect();
        assert_eq!(all, [('a', 2), ('b', 2), ('a', 1)]);
        assert_eq!(runs.only(), None);
        assert_eq!("aaa".chars().collect::<Runs<_>>().only(), Some(&'a'));
        assert_eq!("".chars().collect::<Runs<_>>().only(), None);
    }
}
