//! A base rate that keeps to a budget of spans, shared among queues.
//!
//! Every [`INTERVAL`] each queue's traffic is averaged with what it was before (an exponential
//! moving average of weight one half). The budget is shared by the logarithm of the traffic, so
//! that a busy queue gets more than a quiet one but not all, weighed by how urgent its jobs are and
//! how many of them fail. What a queue has no use for, others get. A burst ends an interval early.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use longshore_core::{Clock, Priority, QueueName};

use super::Threshold;

/// How often shares are made anew.
const INTERVAL: Duration = Duration::from_secs(15);
/// The least time between two times that they are.
const LEAST: Duration = Duration::from_secs(1);
/// What the latest interval counts in the average.
const WEIGHT: f64 = 0.5;
/// So many times the expected traffic ends an interval early.
const BURST: f64 = 2.0;
/// Spans of a job that does what most do: enqueue, wait, attempt, handler, settle.
const SPANS_PER_JOB: f64 = 5.0;
/// What such a job asks the store for in requests of its own: to be stored, claimed and settled.
const REQUESTS_PER_JOB: f64 = 3.0;
/// What a queue all of whose attempts fail weighs more than one without failures.
const FAILURES_WEIGH: f64 = 4.0;
/// Most queues that have a rate of their own; the others share one.
const MAX_QUEUES: usize = 1000;
/// A queue with less traffic than this, in jobs a second, is forgotten.
const FORGOTTEN: f64 = 1e-3;

/// Traffic since shares were last made, and the rate in force.
#[derive(Debug)]
struct Queue {
    jobs: AtomicU64,
    /// The sum of the jobs' urgencies.
    urgency: AtomicU64,
    attempts: AtomicU64,
    failures: AtomicU64,
    /// A [`Threshold`].
    rejected: AtomicU64,
    learned: Mutex<Option<Learned>>,
}

/// Averages over past intervals.
#[derive(Clone, Copy, Debug, Default)]
struct Learned {
    /// Jobs a second.
    rate: f64,
    /// Of a job, from 1 to 4.
    urgency: f64,
    /// The share of attempts that fail.
    failures: f64,
}

impl Queue {
    fn new(start: Threshold) -> Self {
        Self {
            jobs: AtomicU64::new(0),
            urgency: AtomicU64::new(0),
            attempts: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            rejected: AtomicU64::new(start.rejected()),
            learned: Mutex::default(),
        }
    }

    fn threshold(&self) -> Threshold {
        Threshold(self.rejected.load(Ordering::Relaxed))
    }

    /// Averages what was counted within `seconds`.
    fn learn(&self, seconds: f64) -> Learned {
        let taken = |counter: &AtomicU64| counter.swap(0, Ordering::Relaxed) as f64;
        let (jobs, urgency) = (taken(&self.jobs), taken(&self.urgency));
        let (attempts, failures) = (taken(&self.attempts), taken(&self.failures));
        let mut learned = self.learned.lock().unwrap_or_else(PoisonError::into_inner);
        let share = |part: f64, whole: f64| (whole > 0.0).then(|| part / whole);
        let now = match *learned {
            None => Learned {
                rate: jobs / seconds,
                urgency: share(urgency, jobs).unwrap_or(1.0),
                failures: share(failures, attempts).unwrap_or(0.0),
            },
            Some(before) => Learned {
                rate: average(before.rate, jobs / seconds),
                urgency: average(
                    before.urgency,
                    share(urgency, jobs).unwrap_or(before.urgency),
                ),
                failures: average(
                    before.failures,
                    share(failures, attempts).unwrap_or(before.failures),
                ),
            },
        };
        *learned = Some(now);
        now
    }
}

/// The most spans of a usual job. Jobs that are stored or settled together share requests, so that
/// they stay below the budget.
const fn spans_per_job(takes_storage_spans: bool) -> f64 {
    if takes_storage_spans {
        SPANS_PER_JOB + REQUESTS_PER_JOB
    } else {
        SPANS_PER_JOB
    }
}

fn average(before: f64, now: f64) -> f64 {
    WEIGHT * now + (1.0 - WEIGHT) * before
}

impl Learned {
    /// What the queue counts when the budget is shared.
    fn weight(&self) -> f64 {
        let traffic = (self.rate * INTERVAL.as_secs_f64()).ln_1p();
        traffic * self.urgency * (1.0 + FAILURES_WEIGH * self.failures)
    }
}

/// The base rate of each queue, such that all together make about so many spans a second.
#[derive(Debug)]
pub(crate) struct Budget {
    /// Jobs a second that may be sampled.
    jobs: f64,
    /// What holds for a queue nothing is known of.
    start: Threshold,
    clock: Arc<dyn Clock>,
    queues: RwLock<HashMap<QueueName, Arc<Queue>>>,
    /// All queues beyond [`MAX_QUEUES`].
    others: Arc<Queue>,
    /// When shares were last made.
    shared_at: Mutex<Duration>,
    /// When they are to be made next, in milliseconds.
    due: AtomicU64,
    /// Jobs since they were last made.
    arrived: AtomicU64,
    /// As many jobs as make a burst.
    burst: AtomicU64,
}

impl Budget {
    /// A budget of `spans_per_second`, of which requests to the store are part if
    /// `takes_storage_spans`.
    pub(crate) fn new(
        spans_per_second: f64,
        takes_storage_spans: bool,
        start: Threshold,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let jobs = spans_per_second / spans_per_job(takes_storage_spans);
        let now = clock.monotonic();
        Self {
            jobs,
            start,
            clock,
            queues: RwLock::default(),
            others: Arc::new(Queue::new(start)),
            shared_at: Mutex::new(now),
            due: AtomicU64::new(millis(now + INTERVAL)),
            arrived: AtomicU64::new(0),
            // Before anything is known, one that uses up what is meant for seconds.
            burst: AtomicU64::new(burst_of(jobs)),
        }
    }

    /// Takes note of jobs that ask for a new trace; says what holds for it.
    pub(crate) fn asked(&self, queue: &QueueName, priority: Priority, jobs: usize) -> Threshold {
        let jobs = u64::try_from(jobs).unwrap_or(u64::MAX);
        let threshold = self.with(queue, |queue| {
            queue.jobs.fetch_add(jobs, Ordering::Relaxed);
            let urgency = jobs.saturating_mul(urgency(priority));
            queue.urgency.fetch_add(urgency, Ordering::Relaxed);
            queue.threshold()
        });
        let arrived = self.arrived.fetch_add(jobs, Ordering::Relaxed) + jobs;
        let now = self.clock.monotonic();
        let is_burst = arrived >= self.burst.load(Ordering::Relaxed);
        if is_burst || millis(now) >= self.due.load(Ordering::Relaxed) {
            self.share(now);
        }
        threshold
    }

    /// Takes note of an attempt that has ended.
    pub(crate) fn ended(&self, queue: &QueueName, failed: bool) {
        // A queue that nobody enqueues into here takes no part.
        if let Some(queue) = self.read().get(queue) {
            queue.attempts.fetch_add(1, Ordering::Relaxed);
            queue
                .failures
                .fetch_add(u64::from(failed), Ordering::Relaxed);
        }
    }

    /// What holds for a queue now.
    pub(crate) fn threshold(&self, queue: &str) -> Threshold {
        let queue = queue.parse::<QueueName>().ok();
        let queues = self.read();
        let known = queue.and_then(|queue| queues.get(&queue));
        known.map_or(self.start, |queue| queue.threshold())
    }

    /// The queues that are known.
    pub(crate) fn queues(&self) -> Vec<QueueName> {
        self.read().keys().cloned().collect()
    }

    fn with<T>(&self, name: &QueueName, then: impl FnOnce(&Queue) -> T) -> T {
        if let Some(queue) = self.read().get(name) {
            return then(queue);
        }
        let mut queues = self.write();
        if queues.len() >= MAX_QUEUES && !queues.contains_key(name) {
            return then(&self.others);
        }
        let queue = queues.entry(name.clone());
        then(queue.or_insert_with(|| Arc::new(Queue::new(self.start))))
    }

    /// Shares the budget anew. If another thread is about it, or it was done just now, nothing.
    fn share(&self, now: Duration) {
        let Ok(mut shared_at) = self.shared_at.try_lock() else {
            return;
        };
        let elapsed = now.saturating_sub(*shared_at);
        if elapsed < LEAST {
            return;
        }
        *shared_at = now;
        self.due.store(millis(now + INTERVAL), Ordering::Relaxed);
        self.arrived.store(0, Ordering::Relaxed);
        let seconds = elapsed.as_secs_f64();
        let queues: Vec<_> = self.read().values().cloned().collect();
        let all = queues.iter().chain([&self.others]);
        let learned: Vec<_> = all.map(|queue| (queue, queue.learn(seconds))).collect();
        let total: f64 = learned.iter().map(|(_, learned)| learned.rate).sum();
        let expected = BURST * total * INTERVAL.as_secs_f64();
        let burst = burst_of(expected.max(self.jobs));
        self.burst.store(burst, Ordering::Relaxed);
        hand_out(self.jobs, learned);
        self.write().retain(|_name, queue| {
            let learned = queue.learned.lock().unwrap_or_else(PoisonError::into_inner);
            learned.is_none_or(|learned| learned.rate >= FORGOTTEN)
        });
    }

    fn read(&self) -> RwLockReadGuard<'_, HashMap<QueueName, Arc<Queue>>> {
        self.queues.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, HashMap<QueueName, Arc<Queue>>> {
        self.queues.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Gives each queue its share of `jobs` a second. Those that need least for what they weigh come
/// first: what they leave over is shared by the others.
fn hand_out(mut jobs: f64, mut queues: Vec<(&Arc<Queue>, Learned)>) {
    let need = |learned: &Learned| learned.rate / learned.weight();
    queues.retain(|(_, learned)| learned.rate > 0.0);
    queues.sort_by(|(_, left), (_, right)| need(left).total_cmp(&need(right)));
    let mut weights: f64 = queues.iter().map(|(_, learned)| learned.weight()).sum();
    for (queue, learned) in queues {
        let share = jobs * learned.weight() / weights;
        let ratio = (share / learned.rate).min(1.0);
        let threshold = Threshold::from_ratio(ratio);
        queue
            .rejected
            .store(threshold.rejected(), Ordering::Relaxed);
        jobs -= ratio * learned.rate;
        weights -= learned.weight();
    }
}

/// The first of four priorities is the most urgent.
fn urgency(priority: Priority) -> u64 {
    u64::from(5_u8.saturating_sub(priority.get()).max(1))
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// A number of jobs that is at least one.
fn burst_of(jobs: f64) -> u64 {
    // A float beyond the range of the integer becomes its end.
    jobs.max(1.0) as u64
}

#[cfg(test)]
mod tests;
