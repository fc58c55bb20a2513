//! A recorder that keeps spans in memory: for tests, and for programs that draw their own trace.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use longshore_core::{SpanContext, TraceId};

use crate::keep::{HoldToken, Holding, KeepFacts, KeepReason, Keeper};
use crate::recorder::{
    HandlerScope, HandlerStart, PropagationFailure, Recorder, RootDecision, RootRequest,
};
use crate::span::Span;

/// Keeps up to a bounded number of spans; those beyond it are counted and dropped.
///
/// New traces are sampled if their randomness is at or above a threshold (OTEP 235); the default
/// samples every one.
#[derive(Debug)]
pub struct SpanBuffer {
    threshold: u64,
    limit: usize,
    current: Option<SpanContext>,
    keeps_failures: bool,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    spans: Vec<Span>,
    dropped: u64,
    failures: BTreeMap<(&'static str, &'static str), u64>,
}

impl Default for SpanBuffer {
    fn default() -> Self {
        Self::new(100_000)
    }
}

impl SpanBuffer {
    /// A buffer of at most `limit` spans that samples every trace.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            threshold: 0,
            limit,
            current: None,
            keeps_failures: false,
            kept: Mutex::default(),
        }
    }

    /// Samples the traces whose 56 random bits are at least `threshold`; `1 << 56` samples none.
    #[must_use]
    pub const fn with_threshold(mut self, threshold: u64) -> Self {
        self.threshold = threshold;
        self
    }

    /// With a span that is current wherever the producer stands.
    #[must_use]
    pub fn with_current(mut self, current: SpanContext) -> Self {
        self.current = Some(current);
        self
    }

    /// Keeps the traces of jobs whose attempts fail, whatever the threshold.
    #[must_use]
    pub const fn keeping_failures(mut self) -> Self {
        self.keeps_failures = true;
        self
    }

    /// The spans so far, in the order they were recorded.
    #[must_use]
    pub fn spans(&self) -> Vec<Span> {
        self.lock().spans.clone()
    }

    /// The spans of one trace.
    #[must_use]
    pub fn trace(&self, trace_id: TraceId) -> Vec<Span> {
        let kept = self.lock();
        let of_trace = kept.spans.iter().filter(|span| span.trace_id == trace_id);
        of_trace.cloned().collect()
    }

    /// How many spans were dropped since the buffer was full.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.lock().dropped
    }

    /// How often a context was lost, by direction and reason.
    #[must_use]
    pub fn propagation_failures(&self) -> BTreeMap<(&'static str, &'static str), u64> {
        self.lock().failures.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Recorder for SpanBuffer {
    fn decide_root(&self, request: &RootRequest<'_>) -> RootDecision {
        RootDecision {
            sampled: request.trace_id.randomness() >= self.threshold,
            threshold: Some(self.threshold),
        }
    }

    fn current(&self) -> Option<SpanContext> {
        self.current.clone()
    }

    fn current_baggage(&self) -> String {
        String::new()
    }

    fn baggage_keys(&self) -> &[String] {
        &[]
    }

    fn service_name(&self) -> &str {
        ""
    }

    fn record(&self, mut spans: Vec<Span>) {
        let mut kept = self.lock();
        let room = self.limit.saturating_sub(kept.spans.len());
        let excess = spans.len().saturating_sub(room);
        spans.truncate(room);
        kept.spans.append(&mut spans);
        kept.dropped += excess as u64;
    }

    fn open_handler(&self, _start: HandlerStart) -> Option<Box<dyn HandlerScope>> {
        None
    }

    fn keeper(&self) -> Option<&dyn Keeper> {
        self.keeps_failures.then_some(self)
    }

    fn propagation_failed(&self, failure: PropagationFailure) {
        let key = (failure.direction, failure.reason);
        *self.lock().failures.entry(key).or_default() += 1;
    }
}

impl Keeper for SpanBuffer {
    fn decide(&self, facts: &KeepFacts<'_>) -> Option<KeepReason> {
        facts.outcome.is_failure().then_some(KeepReason::Error)
    }

    fn hold(&self, _spans: Vec<Span>) -> Holding<'_> {
        // Nothing here outlives the process.
        Box::pin(std::future::ready(HoldToken(0)))
    }

    fn release(&self, _token: HoldToken, spans: Vec<Span>) {
        self.record(spans);
    }
}
