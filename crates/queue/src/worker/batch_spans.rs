//! Enqueue spans that the jobs of a batch share: one leaves with the first job of the batch whose
//! trace does, if its producer has not exported it, and not again with the others.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Mutex, PoisonError};

use longshore_core::SpanId;
use longshore_instrument::Span;
use longshore_instrument::build::is_rebuilt_batch;

/// Most batches that are remembered. The span of an older one leaves again, and whoever stores
/// traces counts identical spans once; so it is with what another process has written.
const MAX_REMEMBERED: usize = 1024;

/// Which of them this worker has written.
#[derive(Debug, Default)]
pub(crate) struct BatchSpans {
    written: Mutex<Written>,
}

#[derive(Debug, Default)]
struct Written {
    ids: BTreeSet<SpanId>,
    /// The oldest first.
    order: VecDeque<SpanId>,
}

impl Written {
    fn add(&mut self, id: SpanId) -> bool {
        if !self.ids.insert(id) {
            return false;
        }
        self.order.push_back(id);
        if self.order.len() > MAX_REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.ids.remove(&oldest);
        }
        true
    }
}

impl BatchSpans {
    /// Leaves out of `spans`, which are about to be held, the enqueue spans that were written, and
    /// those that are there already.
    pub(crate) fn leave_out(&self, spans: &mut Vec<Span>) {
        let written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let mut held = BTreeSet::new();
        spans.retain(|span| {
            !is_rebuilt_batch(span)
                || !written.ids.contains(&span.span_id) && held.insert(span.span_id)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut written = Written::default();
        let id = |number: usize| SpanId::from_u64(number as u64 + 1);
        assert!((0..MAX_REMEMBERED).all(|number| written.add(id(number))));
        assert!(!written.add(id(0)));
        assert!(written.add(id(MAX_REMEMBERED)));
        assert!(written.add(id(0)), "the oldest is forgotten");
        assert_eq!(
            (written.ids.len(), written.order.len()),
            (MAX_REMEMBERED, MAX_REMEMBERED)
        );
    }
}
