//! Everything that is measured, family by family.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use longshore_core::{AttemptOutcome, JobState, QueueName, QueueStats};
use longshore_instrument::{Example, Measured};

use super::family::Family;
use super::limited::Limited;
use super::requested::Requested;
use super::series::{Counter, Exemplar, Histogram, Series};
use super::table::{
    ATTEMPTS, DEPTH, HOOK_MISSES, LEASES_LOST, Metric, OLDEST, OPERATIONS, OVERFLOW, PAUSED,
    RECEIVED, RESCUED, RUN, SENT, STORE, WAIT,
};
use super::text::Text;
use crate::redact::Redactor;

/// Most queues whose depth is known.
const MOST_QUEUES: usize = 1000;

/// Attempts and how long their handlers ran have the same labels, and are found together.
#[derive(Debug)]
struct AttemptSeries {
    count: Counter,
    run: Histogram,
}

impl Series for AttemptSeries {
    fn new(_metric: &'static Metric) -> Self {
        Self {
            count: Counter::default(),
            run: Histogram::new(RUN),
        }
    }
}

/// Takes measurements. No method waits for anyone but for the making of a new series.
#[derive(Debug)]
pub(crate) struct Meters {
    is_on: AtomicBool,
    /// Whether traces leave, so that an exemplar leads somewhere.
    traces_leave: bool,
    redactor: Arc<Redactor>,
    sent: Family<Counter, 4>,
    operations: Family<Histogram, 4>,
    received: Family<Counter, 2>,
    attempts: Family<AttemptSeries, 5>,
    wait: Family<Histogram, 3>,
    leases_lost: Family<Counter, 1>,
    hook_misses: Family<Counter, 1>,
    rescued: Family<Counter, 1>,
    store: Family<Histogram, 2>,
    queues: Mutex<BTreeMap<QueueName, QueueStats>>,
    limited: Limited,
    requested: Requested,
}

impl Meters {
    /// Meters that measure nothing until [`Meters::switch_on`].
    pub(crate) fn new(traces_leave: bool, redactor: Arc<Redactor>) -> Self {
        Self {
            is_on: AtomicBool::new(false),
            traces_leave,
            redactor,
            sent: Family::new(SENT),
            operations: Family::new(OPERATIONS),
            received: Family::new(RECEIVED),
            attempts: Family::new(ATTEMPTS),
            wait: Family::new(WAIT),
            leases_lost: Family::new(LEASES_LOST),
            hook_misses: Family::new(HOOK_MISSES),
            rescued: Family::new(RESCUED),
            store: Family::new(STORE),
            queues: Mutex::default(),
            limited: Limited::new(),
            requested: Requested::default(),
        }
    }

    pub(crate) fn switch_on(&self) {
        self.is_on.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_on(&self) -> bool {
        self.is_on.load(Ordering::Relaxed)
    }

    pub(crate) const fn redactor(&self) -> &Arc<Redactor> {
        &self.redactor
    }

    pub(crate) fn measure(&self, measured: &Measured<'_>) {
        if !self.is_on() {
            return;
        }
        match measured {
            Measured::Foreign { system, measured } => self.measure_of(system, measured),
            Measured::HookMissed { reason, changes } => {
                let labels = [reason.as_str()];
                (self.hook_misses).with(labels, &self.redactor, |all| all.add(*changes, None));
            }
            own => self.measure_of("", own),
        }
    }

    /// Takes what was measured of a queueing system; ours has no name.
    fn measure_of(&self, system: &str, measured: &Measured<'_>) {
        let redactor = &*self.redactor;
        let seen = |example: &Option<Example<'_>>| self.exemplar(example.as_ref());
        match measured {
            Measured::Sent {
                queue,
                kind,
                jobs,
                error_class,
                example,
            } => {
                let error = error_class.unwrap_or("");
                let labels = [queue.as_str(), kind.as_str(), error, system];
                let exemplar = seen(example);
                (self.sent).with(labels, redactor, |sent| sent.add(*jobs, exemplar));
            }
            Measured::Operation {
                operation,
                queue,
                took,
                error_class,
                example,
            } => {
                let queue = queue.map_or("", QueueName::as_str);
                let labels = [operation.as_str(), queue, error_class.unwrap_or(""), system];
                let exemplar = seen(example);
                (self.operations).with(labels, redactor, |all| all.observe(*took, exemplar));
            }
            Measured::Store {
                call,
                took,
                error_class,
            } => {
                let labels = [call.as_str(), error_class.unwrap_or("")];
                (self.store).with(labels, redactor, |all| all.observe(*took, None));
            }
            Measured::Received { queue, jobs } => {
                let labels = [queue.as_str(), system];
                (self.received).with(labels, redactor, |received| received.add(*jobs, None));
            }
            Measured::Attempt {
                queue,
                kind,
                outcome,
                error_class,
                wait,
                run,
                example,
            } => {
                let job = [queue.as_str(), kind.as_str()];
                let end = [outcome.as_str(), error_class.unwrap_or(""), system];
                self.attempt(job, end, (*wait, *run), seen(example));
            }
            Measured::LeaseLost { queue } => {
                let labels = [queue.as_str()];
                (self.leases_lost).with(labels, redactor, |lost| lost.add(1, None));
            }
            Measured::Rescued {
                queue,
                kind,
                error_class,
                example,
            } => {
                let job = [queue.as_str(), kind.as_str()];
                self.rescued(job, error_class, seen(example));
            }
            Measured::Requests(counts) => self.requested.note(counts),
            Measured::Queues(stats) => self.stand(stats),
            _ => self.limited.measure(measured, redactor),
        }
    }

    fn attempt(
        &self,
        [queue, kind]: [&str; 2],
        [outcome, error, system]: [&str; 3],
        (wait, run): (Duration, Duration),
        exemplar: Option<Exemplar>,
    ) {
        let redactor = &*self.redactor;
        let labels = [queue, kind, outcome, error, system];
        self.attempts.with(labels, redactor, |attempt| {
            attempt.count.add(1, exemplar);
            attempt.run.observe(run, exemplar);
        });
        let labels = [queue, kind, system];
        (self.wait).with(labels, redactor, |all| all.observe(wait, exemplar));
    }

    fn rescued(&self, [queue, kind]: [&str; 2], error: &str, exemplar: Option<Exemplar>) {
        let redactor = &*self.redactor;
        let labels = [queue];
        (self.rescued).with(labels, redactor, |rescued| rescued.add(1, exemplar));
        let labels = [queue, kind, AttemptOutcome::Lost.as_str(), error, ""];
        (self.attempts).with(labels, redactor, |lost| lost.count.add(1, exemplar));
    }

    /// Takes how the queues stand; those that are gone are forgotten.
    fn stand(&self, stats: &[QueueStats]) {
        let known = stats.iter().take(MOST_QUEUES);
        for stats in known.clone() {
            // From the start there, at zero: Prometheus sees no increase where a series begins.
            let labels = [stats.queue.as_str()];
            self.leases_lost.with(labels, &self.redactor, |_| {});
            self.rescued.with(labels, &self.redactor, |_| {});
        }
        *self.queues() = known
            .map(|stats| (stats.queue.clone(), stats.clone()))
            .collect();
    }

    fn exemplar(&self, example: Option<&Example<'_>>) -> Option<Exemplar> {
        let example = example.filter(|example| example.context.flags.is_sampled())?;
        self.traces_leave.then_some(Exemplar {
            trace_id: example.context.trace_id,
            span_id: example.context.span_id,
            value: 1.0,
            at: example.at,
        })
    }

    pub(crate) fn write(&self, text: &mut Text) {
        counters(text, &self.sent);
        histograms(text, &self.operations);
        counters(text, &self.received);
        let mut samples = text.metric(RUN);
        self.attempts
            .each(|labels, attempt| samples.histogram(labels, &attempt.run));
        histograms(text, &self.wait);
        let mut samples = text.metric(ATTEMPTS);
        self.attempts
            .each(|labels, attempt| samples.counter(labels, &attempt.count));
        counters(text, &self.leases_lost);
        counters(text, &self.rescued);
        histograms(text, &self.store);
        self.requested.write(text);
        self.write_queues(text);
        self.limited.write(text, &self.redactor);
        counters(text, &self.hook_misses);
        let mut samples = text.metric(OVERFLOW);
        for (metric, count) in self.overflowed() {
            if count > 0 {
                samples.number(&[metric.name], count);
            }
        }
    }

    fn write_queues(&self, text: &mut Text) {
        let queues = self.queues().clone();
        // Two whose names look the same cannot be told apart, so one of them has to do.
        let standing = queues.into_values();
        let mut standing: BTreeMap<String, QueueStats> = standing
            .map(|stats| (self.shown(&stats.queue), stats))
            .collect();
        let mut samples = text.metric(DEPTH);
        for (queue, stats) in &mut standing {
            for state in JobState::ALL {
                samples.number(&[queue, state.as_str()], *stats.count_mut(state));
            }
        }
        let mut samples = text.metric(OLDEST);
        for (queue, stats) in &standing {
            let age = stats.oldest_available_at.map(|at| stats.as_of.since(at));
            samples.number(&[queue], age.unwrap_or_default().as_secs_f64());
        }
        let mut samples = text.metric(PAUSED);
        for (queue, stats) in &standing {
            samples.number(&[queue], u8::from(stats.paused));
        }
    }

    /// The name of a queue as it may be shown.
    fn shown(&self, queue: &QueueName) -> String {
        let attribute = longshore_instrument::table::key::QUEUE;
        let shown = self.redactor.pair(attribute, queue.as_str());
        shown.map(String::from).unwrap_or_default()
    }

    /// Every queue that was heard of, as it may be shown.
    pub(crate) fn queue_names(&self) -> BTreeSet<String> {
        let mut names: BTreeSet<String> = self.queues().keys().map(|q| self.shown(q)).collect();
        let mut add = |labels: &[&str]| names.extend(labels.first().map(ToString::to_string));
        self.sent.each(|labels, _| add(labels));
        self.received.each(|labels, _| add(labels));
        names
    }

    fn overflowed(&self) -> [(&'static Metric, u64); 11] {
        let [hand_backs, refusals] = self.limited.overflowed();
        [
            (SENT, self.sent.overflowed()),
            (OPERATIONS, self.operations.overflowed()),
            (RECEIVED, self.received.overflowed()),
            (ATTEMPTS, self.attempts.overflowed()),
            (WAIT, self.wait.overflowed()),
            (LEASES_LOST, self.leases_lost.overflowed()),
            (RESCUED, self.rescued.overflowed()),
            (STORE, self.store.overflowed()),
            hand_backs,
            refusals,
            (HOOK_MISSES, self.hook_misses.overflowed()),
        ]
    }

    fn queues(&self) -> MutexGuard<'_, BTreeMap<QueueName, QueueStats>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) fn counters<const N: usize>(text: &mut Text, family: &Family<Counter, N>) {
    let mut samples = text.metric(family.metric);
    family.each(|labels, counter| samples.counter(labels, counter));
}

fn histograms<const N: usize>(text: &mut Text, family: &Family<Histogram, N>) {
    let mut samples = text.metric(family.metric);
    family.each(|labels, histogram| samples.histogram(labels, histogram));
}
