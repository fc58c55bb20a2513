//! Enqueue spans that the jobs of a batch share: one leaves with the first job of the batch whose
//! trace does, if its producer has not exported it, and not again with the others.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use longshore_core::SpanId;
use longshore_instrument::Span;
use longshore_instrument::build::is_rebuilt_batch;

use super::recent::Recent;

/// Which of them this worker has written.
#[derive(Debug, Default)]
pub(crate) struct BatchSpans {
    written: Mutex<Recent<SpanId>>,
}

impl BatchSpans {
    /// Leaves out of `spans`, which are about to be held, the enqueue spans that were written, and
    /// those that are there already.
    pub(crate) fn leave_out(&self, spans: &mut Vec<Span>) {
        let written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let mut held = BTreeSet::new();
        spans.retain(|span| {
            !is_rebuilt_batch(span) || !written.has(&span.span_id) && held.insert(span.span_id)
        });
    }

    /// The same for spans that leave now: their enqueue spans are written from here on.
    pub(crate) fn leave_once(&self, spans: &mut Vec<Span>) {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        spans.retain(|span| !is_rebuilt_batch(span) || written.add(span.span_id));
    }
}

/// Takes the enqueue spans of batches out of `spans`: other jobs count on them, so they go where
/// those of kept jobs go.
pub(crate) fn take(spans: &mut Vec<Span>) -> Vec<Span> {
    if !spans.iter().any(is_rebuilt_batch) {
        return Vec::new();
    }
    let all = std::mem::take(spans);
    let (shared, others) = all.into_iter().partition(is_rebuilt_batch);
    *spans = others;
    shared
}
