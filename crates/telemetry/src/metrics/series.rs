//! The numbers of one series, and the traces that are examples of them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

use longshore_core::{SpanId, Timestamp, TraceId};

use super::table::{Metric, Shape};

/// A span that a number is an example of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Exemplar {
    pub(crate) trace_id: TraceId,
    pub(crate) span_id: SpanId,
    /// What was measured.
    pub(crate) value: f64,
    pub(crate) at: Timestamp,
}

/// What a family has one of for each set of labels.
pub(crate) trait Series {
    /// One for a metric, at zero.
    fn new(metric: &'static Metric) -> Self;
}

/// The latest exemplar. Prometheus refuses one that is older than what it has, so it never goes
/// back in time.
#[derive(Debug, Default)]
pub(crate) struct Slot(Mutex<Option<Exemplar>>);

impl Slot {
    fn offer(&self, exemplar: Exemplar) {
        // Whoever is in it now puts in one that is as good, or reads it.
        let mut slot = match self.0.try_lock() {
            Ok(slot) => slot,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return,
        };
        if slot.is_none_or(|present| present.at <= exemplar.at) {
            *slot = Some(exemplar);
        }
    }

    pub(crate) fn read(&self) -> Option<Exemplar> {
        let slot: MutexGuard<'_, _> = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *slot
    }
}

/// A count that only rises.
#[derive(Debug, Default)]
pub(crate) struct Counter {
    count: AtomicU64,
    exemplar: Slot,
}

impl Counter {
    pub(crate) fn add(&self, count: u64, exemplar: Option<Exemplar>) {
        self.count.fetch_add(count, Ordering::Relaxed);
        if let Some(exemplar) = exemplar {
            self.exemplar.offer(exemplar);
        }
    }

    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    pub(crate) fn exemplar(&self) -> Option<Exemplar> {
        self.exemplar.read()
    }
}

impl Series for Counter {
    fn new(_metric: &'static Metric) -> Self {
        Self::default()
    }
}

/// Durations by size.
#[derive(Debug)]
pub(crate) struct Histogram {
    bounds: &'static [f64],
    /// One more than there are bounds.
    buckets: Box<[Counter]>,
    sum_nanos: AtomicU64,
}

/// A histogram as it stood at one moment.
#[derive(Debug)]
pub(crate) struct Reading {
    /// Upper bound, how many durations were no longer, and one that is in this bucket alone.
    pub(crate) buckets: Vec<(f64, u64, Option<Exemplar>)>,
    /// How many durations there were.
    pub(crate) count: u64,
    /// Their sum in seconds.
    pub(crate) sum: f64,
}

impl Histogram {
    pub(crate) fn observe(&self, duration: Duration, exemplar: Option<Exemplar>) {
        let value = duration.as_secs_f64();
        let place = self.bounds.partition_point(|bound| *bound < value);
        let Some(bucket) = self.buckets.get(place) else {
            return;
        };
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.sum_nanos.fetch_add(nanos, Ordering::Relaxed);
        bucket.add(1, exemplar.map(|exemplar| Exemplar { value, ..exemplar }));
    }

    pub(crate) fn read(&self) -> Reading {
        let sum = Duration::from_nanos(self.sum_nanos.load(Ordering::Relaxed)).as_secs_f64();
        let bounds = self.bounds.iter().copied().chain([f64::INFINITY]);
        let mut count = 0;
        let buckets = bounds.zip(&self.buckets).map(|(bound, bucket)| {
            count += bucket.count();
            (bound, count, bucket.exemplar())
        });
        Reading {
            buckets: buckets.collect(),
            count,
            sum,
        }
    }
}

impl Series for Histogram {
    fn new(metric: &'static Metric) -> Self {
        let bounds = match metric.shape {
            Shape::Histogram(bounds) => bounds,
            Shape::Counter | Shape::Gauge => &[],
        };
        Self {
            bounds,
            buckets: (0..=bounds.len()).map(|_| Counter::default()).collect(),
            sum_nanos: AtomicU64::new(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::table::WAIT;

    fn exemplar(at: i64) -> Exemplar {
        Exemplar {
            trace_id: TraceId::from_u128(1),
            span_id: SpanId::from_u64(2),
            value: 1.0,
            at: Timestamp::from_unix_millis(at),
        }
    }

    #[test]
    fn a_bound_belongs_to_the_bucket_below_it() {
        let histogram = Histogram::new(WAIT);
        histogram.observe(Duration::from_millis(5), None);
        histogram.observe(Duration::from_nanos(5_000_001), Some(exemplar(1)));
        histogram.observe(Duration::from_secs(100_000), Some(exemplar(1)));
        let reading = histogram.read();
        let (bound, count, example) = reading.buckets[0];
        assert_eq!((bound, count, example), (0.005, 1, None));
        assert_eq!(reading.buckets[1].1, 2);
        let example = reading.buckets[1].2.unwrap();
        assert!(example.value > 0.005 && example.value <= 0.01);
        assert_eq!(reading.buckets.last().unwrap().0, f64::INFINITY);
        assert_eq!(reading.buckets.last().unwrap().1, 3);
        assert_eq!(reading.count, 3);
        assert!((reading.sum - 100_000.010_000_001).abs() < 1e-6);
    }

    #[test]
    fn exemplars_never_go_back_in_time() {
        let counter = Counter::default();
        counter.add(1, Some(exemplar(5)));
        counter.add(1, Some(exemplar(4)));
        counter.add(1, None);
        assert_eq!(counter.exemplar(), Some(exemplar(5)));
        counter.add(1, Some(exemplar(6)));
        assert_eq!(counter.exemplar(), Some(exemplar(6)));
        assert_eq!(counter.count(), 4);
    }
}
