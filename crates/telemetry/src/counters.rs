//! What telemetry did and failed to do, as numbers.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use longshore_instrument::{KeepReason, PropagationFailure};

/// Why a span did not leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DropReason {
    /// The queue to the exporter was full.
    QueueFull,
    /// The back end could not be reached, or said for too long that it is not available.
    Unavailable,
    /// The back end did not answer in time.
    Timeout,
    /// The back end refused the request for good.
    Refused,
    /// The back end took the request but not this span.
    Rejected,
    /// The time given for shutting down was over, or telemetry was shut down already.
    Shutdown,
    /// The trace had as many spans as one may have.
    TraceFull,
    /// The spans held beneath running jobs took as much memory as they may.
    BufferFull,
}

impl DropReason {
    /// Every reason.
    pub const ALL: [Self; 8] = [
        Self::QueueFull,
        Self::Unavailable,
        Self::Timeout,
        Self::Refused,
        Self::Rejected,
        Self::Shutdown,
        Self::TraceFull,
        Self::BufferFull,
    ];

    /// The reason as a metric label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::Unavailable => "unavailable",
            Self::Timeout => "timeout",
            Self::Refused => "refused",
            Self::Rejected => "rejected",
            Self::Shutdown => "shutdown",
            Self::TraceFull => "trace_full",
            Self::BufferFull => "buffer_full",
        }
    }
}

/// The counters as they stood at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Sampled spans that were handed in.
    pub created: u64,
    /// Spans that the back end took.
    pub exported: u64,
    /// Spans that were lost, by reason; only reasons that occurred.
    pub dropped: BTreeMap<DropReason, u64>,
    /// Jobs whose traces were kept although, or whether or not, the head sampler chose them, by
    /// reason; only reasons that occurred. One job counts once for every attempt that gave one.
    pub kept: BTreeMap<KeepReason, u64>,
    /// Trace contexts that were lost on the way, by direction and reason.
    pub propagation_failures: BTreeMap<(&'static str, &'static str), u64>,
}

impl Counters {
    /// Spans lost for whatever reason.
    #[must_use]
    pub fn dropped_total(&self) -> u64 {
        self.dropped.values().sum()
    }
}

/// The live counters.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    created: AtomicU64,
    exported: AtomicU64,
    queue_full: AtomicU64,
    unavailable: AtomicU64,
    timeout: AtomicU64,
    refused: AtomicU64,
    rejected: AtomicU64,
    shutdown: AtomicU64,
    trace_full: AtomicU64,
    buffer_full: AtomicU64,
    kept: [AtomicU64; KeepReason::ALL.len()],
    propagation: Mutex<BTreeMap<(&'static str, &'static str), u64>>,
}

impl Tally {
    pub(crate) fn created(&self, spans: usize) {
        add(&self.created, spans);
    }

    pub(crate) fn exported(&self, spans: usize) {
        add(&self.exported, spans);
    }

    pub(crate) fn dropped(&self, reason: DropReason, spans: usize) {
        add(self.drops(reason), spans);
    }

    pub(crate) fn kept(&self, reason: KeepReason) {
        let counters = KeepReason::ALL.into_iter().zip(&self.kept);
        for (_, counter) in counters.filter(|(known, _)| *known == reason) {
            add(counter, 1);
        }
    }

    pub(crate) fn propagation_failed(&self, failure: PropagationFailure) {
        let mut failures = self
            .propagation
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *failures
            .entry((failure.direction, failure.reason))
            .or_default() += 1;
    }

    pub(crate) fn snapshot(&self) -> Counters {
        let dropped = DropReason::ALL
            .into_iter()
            .map(|reason| (reason, self.drops(reason).load(Ordering::Relaxed)))
            .filter(|(_, count)| *count > 0)
            .collect();
        Counters {
            created: self.created.load(Ordering::Relaxed),
            exported: self.exported.load(Ordering::Relaxed),
            dropped,
            kept: KeepReason::ALL
                .into_iter()
                .zip(&self.kept)
                .map(|(reason, counter)| (reason, counter.load(Ordering::Relaxed)))
                .filter(|(_, count)| *count > 0)
                .collect(),
            propagation_failures: self
                .propagation
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone(),
        }
    }

    fn drops(&self, reason: DropReason) -> &AtomicU64 {
        match reason {
            DropReason::QueueFull => &self.queue_full,
            DropReason::Unavailable => &self.unavailable,
            DropReason::Timeout => &self.timeout,
            DropReason::Refused => &self.refused,
            DropReason::Rejected => &self.rejected,
            DropReason::Shutdown => &self.shutdown,
            DropReason::TraceFull => &self.trace_full,
            DropReason::BufferFull => &self.buffer_full,
        }
    }
}

fn add(counter: &AtomicU64, spans: usize) {
    counter.fetch_add(u64::try_from(spans).unwrap_or(u64::MAX), Ordering::Relaxed);
}
