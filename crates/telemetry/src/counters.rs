//! What telemetry did and failed to do, as numbers.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use longshore_instrument::build::is_storage;
use longshore_instrument::table::{SPANS, name};
use longshore_instrument::{KeepReason, PropagationFailure, Span};

use crate::export::BreakerState;
use crate::sampler::Pressure;

/// Why a span, or a log record, did not leave.
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
    /// Spans that waited for the back end in memory took as much of it as they may.
    BacklogFull,
    /// The span log deleted them before they were exported, since it has bounds.
    Retention,
    /// One span was larger than the span log takes.
    TooLarge,
    /// There was no room on the disk for the span log.
    DiskFull,
    /// The span log could not be written for another reason.
    LogError,
    /// A detail of a trace that is not kept by decision, while the way out was nearly full.
    Pressure,
    /// It is from a program that a job ran, and came so late, or says so little, that nobody knows
    /// whether its job is kept.
    Undecided,
}

impl DropReason {
    /// Every reason.
    pub const ALL: [Self; 15] = [
        Self::QueueFull,
        Self::Unavailable,
        Self::Timeout,
        Self::Refused,
        Self::Rejected,
        Self::Shutdown,
        Self::TraceFull,
        Self::BufferFull,
        Self::BacklogFull,
        Self::Retention,
        Self::TooLarge,
        Self::DiskFull,
        Self::LogError,
        Self::Pressure,
        Self::Undecided,
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
            Self::BacklogFull => "backlog_full",
            Self::Retention => "retention",
            Self::TooLarge => "too_large",
            Self::DiskFull => "disk_full",
            Self::LogError => "log_error",
            Self::Pressure => "pressure",
            Self::Undecided => "undecided",
        }
    }
}

/// Who made a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SpanOrigin {
    /// The engine; where the span stands in [`SPANS`].
    Engine(usize),
    /// The application.
    Application,
    /// Another program, which handed it in.
    Outside,
}

/// The counters of spans, or of log records, which are counted apart, as they stood at one moment.
///
/// Every span that was created or adopted is exported, dropped, or waits; and so is every log
/// record. What is about traces stays at nothing for log records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Those that were handed in to leave.
    pub created: u64,
    /// The same by who made them; only those who did. Log records are the application's.
    pub created_by: BTreeMap<SpanOrigin, u64>,
    /// Those that other processes had left in the span log and this one took over.
    pub adopted: u64,
    /// Those that were written to the span log as they leave. What is only held there in case the
    /// process dies counts once it is released.
    pub logged: u64,
    /// Those that the back end took.
    pub exported: u64,
    /// Those that were lost, by reason; only reasons that occurred.
    pub dropped: BTreeMap<DropReason, u64>,
    /// Requests that failed, by reason; most are repeated. Only reasons that occurred.
    pub export_errors: BTreeMap<DropReason, u64>,
    /// What the last request that failed met with, and what mends it.
    pub last_export_error: Option<String>,
    /// Whether exports go through.
    pub breaker: BreakerState,
    /// Attempts that gave a reason to keep their job's trace, by reason; only reasons that
    /// occurred.
    pub kept: BTreeMap<KeepReason, u64>,
    /// Kept attempts that were settled before their spans were safe, since that took too long.
    pub unsafe_settles: u64,
    /// New traces that would have been sampled had the way out not been filling up.
    pub shed_traces: u64,
    /// Trace contexts that were lost on the way, by direction and reason.
    pub propagation_failures: BTreeMap<(&'static str, &'static str), u64>,
}

impl Counters {
    /// Those lost for whatever reason.
    #[must_use]
    pub fn dropped_total(&self) -> u64 {
        self.dropped.values().sum()
    }

    /// Those that are neither exported nor lost yet.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        (self.created + self.adopted).saturating_sub(self.exported + self.dropped_total())
    }
}

/// The live counters.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// By their place in [`SPANS`].
    created_by_engine: [AtomicU64; SPANS.len()],
    created_by_application: AtomicU64,
    created_outside: AtomicU64,
    adopted: AtomicU64,
    logged: AtomicU64,
    exported: AtomicU64,
    dropped: [AtomicU64; DropReason::ALL.len()],
    export_errors: [AtomicU64; DropReason::ALL.len()],
    last_export_error: Mutex<Option<String>>,
    breaker_is_open: AtomicBool,
    kept: [AtomicU64; KeepReason::ALL.len()],
    unsafe_settles: AtomicU64,
    shed_traces: AtomicU64,
    /// How full the way out is.
    pub(crate) pressure: Pressure,
    propagation: Mutex<BTreeMap<(&'static str, &'static str), u64>>,
}

impl Tally {
    pub(crate) fn created(&self, spans: &[Span]) {
        for span in spans {
            if span.resource.is_some() {
                add(&self.created_outside, 1);
                continue;
            }
            let named = |name| SPANS.iter().position(|known| known.name == name);
            let storage = || is_storage(span).then(|| named(name::STORAGE)).flatten();
            let place = named(span.name.as_ref()).or_else(storage);
            let place = place.filter(|_| span.scope == Span::ENGINE_SCOPE);
            let counter = place.and_then(|place| self.created_by_engine.get(place));
            add(counter.unwrap_or(&self.created_by_application), 1);
        }
    }

    pub(crate) fn created_by_application(&self, spans: usize) {
        add(&self.created_by_application, spans);
    }

    pub(crate) fn adopted(&self, spans: usize) {
        add(&self.adopted, spans);
    }

    pub(crate) fn logged(&self, spans: usize) {
        add(&self.logged, spans);
    }

    pub(crate) fn exported(&self, spans: usize) {
        add(&self.exported, spans);
    }

    pub(crate) fn dropped(&self, reason: DropReason, spans: usize) {
        add_to(&self.dropped, &DropReason::ALL, reason, spans);
    }

    pub(crate) fn export_failed(&self, reason: DropReason, what: &str) {
        add_to(&self.export_errors, &DropReason::ALL, reason, 1);
        let last = self.last_export_error.lock();
        *last.unwrap_or_else(PoisonError::into_inner) = Some(what.to_owned());
    }

    pub(crate) fn breaker(&self, state: BreakerState) {
        let open = state == BreakerState::Open;
        self.breaker_is_open.store(open, Ordering::Relaxed);
    }

    pub(crate) fn kept(&self, reason: KeepReason) {
        add_to(&self.kept, &KeepReason::ALL, reason, 1);
    }

    pub(crate) fn unsafe_settle(&self) {
        add(&self.unsafe_settles, 1);
    }

    pub(crate) fn trace_shed(&self) {
        add(&self.shed_traces, 1);
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

    /// Spans that are neither exported nor lost yet.
    pub(crate) fn waiting(&self) -> u64 {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let sum = |counters: &[AtomicU64]| counters.iter().map(read).sum::<u64>();
        let others = read(&self.created_by_application) + read(&self.created_outside);
        let created = sum(&self.created_by_engine) + others;
        let gone = read(&self.exported) + sum(&self.dropped);
        (created + read(&self.adopted)).saturating_sub(gone)
    }

    pub(crate) fn snapshot(&self) -> Counters {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let engine = self.created_by_engine.iter().map(read).enumerate();
        let engine = engine.map(|(place, count)| (SpanOrigin::Engine(place), count));
        let application = (SpanOrigin::Application, read(&self.created_by_application));
        let outside = (SpanOrigin::Outside, read(&self.created_outside));
        let created_by: BTreeMap<_, _> = engine
            .chain([application, outside])
            .filter(|(_, count)| *count > 0)
            .collect();
        Counters {
            created: created_by.values().sum(),
            created_by,
            adopted: read(&self.adopted),
            logged: read(&self.logged),
            exported: read(&self.exported),
            dropped: occurred(&self.dropped, &DropReason::ALL),
            export_errors: occurred(&self.export_errors, &DropReason::ALL),
            last_export_error: self
                .last_export_error
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone(),
            breaker: if self.breaker_is_open.load(Ordering::Relaxed) {
                BreakerState::Open
            } else {
                BreakerState::Closed
            },
            kept: occurred(&self.kept, &KeepReason::ALL),
            unsafe_settles: read(&self.unsafe_settles),
            shed_traces: read(&self.shed_traces),
            propagation_failures: self
                .propagation
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone(),
        }
    }
}

fn add(counter: &AtomicU64, spans: usize) {
    counter.fetch_add(u64::try_from(spans).unwrap_or(u64::MAX), Ordering::Relaxed);
}

/// Adds to the counter that stands where `label` stands among the labels.
fn add_to<L: Copy + PartialEq>(counters: &[AtomicU64], labels: &[L], label: L, spans: usize) {
    if spans == 0 {
        return;
    }
    let index = labels.iter().position(|known| *known == label);
    if let Some(counter) = index.and_then(|index| counters.get(index)) {
        add(counter, spans);
    }
}

fn occurred<L: Copy + Ord>(counters: &[AtomicU64], labels: &[L]) -> BTreeMap<L, u64> {
    let all = labels.iter().copied().zip(counters);
    all.map(|(label, counter)| (label, counter.load(Ordering::Relaxed)))
        .filter(|(_, count)| *count > 0)
        .collect()
}
