//! A recorder that keeps every span in memory, and hands them on too.

use std::sync::{Arc, Mutex, PoisonError};

use longshore_core::SpanContext;
use longshore_instrument::{
    HandlerScope, HandlerStart, PropagationFailure, Recorder, RootDecision, RootRequest, Span,
};

/// Most spans that are kept: those of some 10,000 orders.
const MAX_SPANS: usize = 500_000;

/// Keeps the spans of the demo.
#[derive(Debug)]
pub(super) struct DemoRecorder {
    next: Option<Arc<dyn Recorder>>,
    spans: Mutex<Vec<Span>>,
}

impl DemoRecorder {
    /// A recorder that also hands every span to `next`.
    pub(super) fn new(next: Option<Arc<dyn Recorder>>) -> Self {
        Self {
            next,
            spans: Mutex::new(Vec::new()),
        }
    }

    /// The spans so far.
    pub(super) fn spans(&self) -> Vec<Span> {
        let spans = self.spans.lock();
        spans.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Recorder for DemoRecorder {
    /// Everything is sampled: the demo is to be looked at.
    fn decide_root(&self, _request: &RootRequest<'_>) -> RootDecision {
        RootDecision {
            sampled: true,
            threshold: Some(0),
        }
    }

    fn current(&self) -> Option<SpanContext> {
        self.next.as_ref().and_then(|next| next.current())
    }

    fn current_baggage(&self) -> String {
        self.next
            .as_ref()
            .map(|next| next.current_baggage())
            .unwrap_or_default()
    }

    fn baggage_keys(&self) -> &[String] {
        self.next
            .as_ref()
            .map(|next| next.baggage_keys())
            .unwrap_or_default()
    }

    fn service_name(&self) -> &str {
        "longshore-demo"
    }

    fn record(&self, spans: Vec<Span>) {
        if let Some(next) = &self.next {
            next.record(spans.clone());
        }
        let mut kept = self.spans.lock().unwrap_or_else(PoisonError::into_inner);
        let room = MAX_SPANS.saturating_sub(kept.len());
        kept.extend(spans.into_iter().take(room));
    }

    fn open_handler(&self, _start: HandlerStart) -> Option<Box<dyn HandlerScope>> {
        None
    }

    /// The story of an order is told first: what the store asked its file for is left out of it.
    fn takes_storage_spans(&self) -> bool {
        false
    }

    fn propagation_failed(&self, failure: PropagationFailure) {
        if let Some(next) = &self.next {
            next.propagation_failed(failure);
        }
    }
}
