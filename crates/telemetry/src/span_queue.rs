//! The bounded queue between those who finish spans and the exporter.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use longshore_instrument::Span;
use tokio::sync::Notify;

use crate::counters::{DropReason, Tally};

/// Takes spans without ever waiting; what does not fit is dropped and counted.
#[derive(Debug)]
pub(crate) struct SpanQueue {
    inner: Mutex<Inner>,
    capacity: usize,
    batch: usize,
    /// Fires when the first span arrives, and when a batch is full.
    pub(crate) arrived: Notify,
    pub(crate) tally: Arc<Tally>,
}

#[derive(Debug, Default)]
struct Inner {
    spans: VecDeque<Span>,
    closed: bool,
}

impl SpanQueue {
    pub(crate) fn new(capacity: usize, batch: usize, tally: Arc<Tally>) -> Self {
        Self {
            inner: Mutex::default(),
            capacity,
            batch,
            arrived: Notify::new(),
            tally,
        }
    }

    pub(crate) fn push(&self, spans: Vec<Span>) {
        let offered = spans.len();
        self.tally.created(offered);
        let (before, after, closed) = {
            let mut inner = self.inner();
            let before = inner.spans.len();
            if !inner.closed {
                let room = self.capacity.saturating_sub(before);
                inner.spans.extend(spans.into_iter().take(room));
            }
            (before, inner.spans.len(), inner.closed)
        };
        let dropped = offered - (after - before);
        if dropped > 0 {
            let reason = if closed {
                DropReason::Shutdown
            } else {
                DropReason::QueueFull
            };
            self.tally.dropped(reason, dropped);
        }
        if (before == 0 && after > 0) || (before < self.batch && after >= self.batch) {
            self.arrived.notify_one();
        }
    }

    /// The oldest spans, at most one batch of them.
    pub(crate) fn take_batch(&self) -> Vec<Span> {
        let mut inner = self.inner();
        let count = inner.spans.len().min(self.batch);
        inner.spans.drain(..count).collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.inner().spans.len()
    }

    pub(crate) fn holds_a_batch(&self) -> bool {
        self.len() >= self.batch
    }

    /// Takes no more spans.
    pub(crate) fn close(&self) {
        self.inner().closed = true;
    }

    /// Drops what is left, counting it as lost to the shutdown.
    pub(crate) fn abandon(&self) {
        let left = std::mem::take(&mut self.inner().spans).len();
        self.tally.dropped(DropReason::Shutdown, left);
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
