//! Telemetry that samples and builds spans as in earnest, and then throws them away.

use std::sync::atomic::{AtomicU64, Ordering};

use longshore_core::SpanContext;
use longshore_instrument::span::Span;
use longshore_instrument::{
    HandlerScope, HandlerStart, PropagationFailure, Recorder, RootDecision, RootRequest,
};

#[derive(Debug)]
pub struct Discarding {
    ratio: f64,
    pub spans: AtomicU64,
}

impl Discarding {
    pub fn new(ratio: f64) -> Self {
        Self {
            ratio,
            spans: AtomicU64::new(0),
        }
    }
}

impl Recorder for Discarding {
    fn decide_root(&self, request: &RootRequest<'_>) -> RootDecision {
        let low = request.trace_id.randomness();
        RootDecision {
            sampled: (low as f64) < self.ratio * (1_u64 << 56) as f64,
            ot: (self.ratio < 1.0).then(|| "th:fd70a4".to_owned()),
        }
    }

    fn current(&self) -> Option<SpanContext> {
        None
    }

    fn current_baggage(&self) -> String {
        String::new()
    }

    fn baggage_keys(&self) -> &[String] {
        &[]
    }

    fn service_name(&self) -> &str {
        "bench"
    }

    fn record(&self, spans: Vec<Span>) {
        self.spans.fetch_add(spans.len() as u64, Ordering::Relaxed);
    }

    fn open_handler(&self, _start: HandlerStart) -> Option<Box<dyn HandlerScope>> {
        None
    }

    fn propagation_failed(&self, _failure: PropagationFailure) {}
}
