//! What is slow: learned for each queue and kind from the attempts themselves.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use longshore_core::{Kind, QueueName};
use sketches_ddsketch::{Config, DDSketch};

/// The share of attempts that are slow by definition: one in a thousand.
const QUANTILE: f64 = 0.999;
/// Fewer attempts than this say nothing about one in a thousand.
const ENOUGH: usize = 1000;
/// After so many attempts the older half of what was learned is forgotten.
const WINDOW: usize = 10_000;
/// Most pairs of queue and kind that are learned about; the others need an objective.
const MAX_KINDS: usize = 512;
/// Bins of one sketch; with 1 % of relative error they span eight powers of ten.
const BINS: u32 = 1024;

/// Learns how long attempts run, and says which ran longer than 99.9 % of their kind.
///
/// A `DDSketch` for each queue and kind (Masson, Rim and Lee, VLDB 2019) answers within 1 % of the
/// true quantile. Two sketches take turns, so that the threshold follows a change of the handler
/// after at most 20,000 attempts.
#[derive(Debug, Default)]
pub struct Slowness {
    kinds: Mutex<HashMap<QueueName, HashMap<Kind, Learned>>>,
}

struct Learned {
    current: DDSketch,
    before: Option<DDSketch>,
    /// What is slow, in seconds; nothing before enough is known.
    threshold: f64,
}

impl fmt::Debug for Learned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Learned")
            .field("count", &self.current.count())
            .field("threshold", &self.threshold)
            .finish_non_exhaustive()
    }
}

impl Learned {
    fn new() -> Self {
        Self {
            current: empty(),
            before: None,
            threshold: f64::INFINITY,
        }
    }

    /// Whether this one is slow by what was known before it.
    fn observe(&mut self, seconds: f64) -> bool {
        let slow = seconds > self.threshold;
        self.current.add(seconds);
        let count = self.current.count();
        // The quantile moves slowly; asking it for every attempt would cost more than adding.
        if count.is_multiple_of(ENOUGH) {
            self.threshold = self.quantile().unwrap_or(f64::INFINITY);
        }
        if count >= WINDOW {
            self.before = Some(std::mem::replace(&mut self.current, empty()));
        }
        slow
    }

    fn quantile(&self) -> Option<f64> {
        let mut all = self.current.clone();
        if let Some(before) = &self.before {
            // Both have the same configuration, which is all that merging asks for.
            all.merge(before).ok()?;
        }
        all.quantile(QUANTILE).ok().flatten()
    }
}

fn empty() -> DDSketch {
    DDSketch::new(Config::new(0.01, BINS, 1e-6))
}

impl Slowness {
    /// Takes note of how long an attempt ran; true if that is slow for its queue and kind.
    pub fn observe(&self, queue: &QueueName, kind: &Kind, run: Duration) -> bool {
        let seconds = run.as_secs_f64();
        let mut queues = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(learned) = queues.get_mut(queue).and_then(|kinds| kinds.get_mut(kind)) {
            return learned.observe(seconds);
        }
        let known: usize = queues.values().map(HashMap::len).sum();
        if known < MAX_KINDS {
            let kinds = queues.entry(queue.clone()).or_default();
            let learned = kinds.entry(kind.clone()).or_insert_with(Learned::new);
            return learned.observe(seconds);
        }
        false
    }

    /// What is slow for a queue and kind now; `None` before enough is known.
    #[must_use]
    pub fn threshold(&self, queue: &QueueName, kind: &Kind) -> Option<Duration> {
        let queues = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        let seconds = queues.get(queue)?.get(kind)?.threshold;
        Duration::try_from_secs_f64(seconds).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> (QueueName, Kind) {
        ("q".parse().unwrap(), "k".parse().unwrap())
    }

    #[test]
    fn nothing_is_slow_before_enough_is_known() {
        let (queue, kind) = names();
        let slowness = Slowness::default();
        for nth in 0..ENOUGH as u64 {
            assert!(!slowness.observe(&queue, &kind, Duration::from_millis(nth)));
        }
        assert!(slowness.threshold(&queue, &kind).is_some());
    }

    #[test]
    fn about_one_in_a_thousand_is_slow() {
        let (queue, kind) = names();
        for seed in [1, 2, 3] {
            let slowness = Slowness::default();
            let mut random = fastrand::Rng::with_seed(seed);
            let total = 100_000;
            let slow = (0..total)
                .filter(|_| {
                    let exponential = -random.f64().max(1e-12).ln();
                    slowness.observe(&queue, &kind, Duration::from_secs_f64(exponential))
                })
                .count();
            // The threshold is an estimate from 1,000 to 20,000 attempts.
            assert!((40..=220).contains(&slow), "seed {seed}: {slow}");
        }
    }

    #[test]
    fn the_threshold_follows_a_change() {
        let (queue, kind) = names();
        let slowness = Slowness::default();
        let run = |millis, times| {
            for _ in 0..times {
                slowness.observe(&queue, &kind, Duration::from_millis(millis));
            }
        };
        run(1000, 2 * WINDOW);
        run(10, 3 * WINDOW);
        let threshold = slowness.threshold(&queue, &kind).unwrap();
        assert!(threshold < Duration::from_millis(20), "{threshold:?}");
    }

    #[test]
    fn what_is_learned_is_bounded() {
        let slowness = Slowness::default();
        let queue: QueueName = "q".parse().unwrap();
        for nth in 0..2 * MAX_KINDS {
            let kind = format!("k{nth}").parse::<Kind>().unwrap();
            slowness.observe(&queue, &kind, Duration::from_secs(1));
        }
        let known: usize = slowness
            .kinds
            .lock()
            .unwrap()
            .values()
            .map(HashMap::len)
            .sum();
        assert_eq!(known, MAX_KINDS);
    }
}
