//! What spans that end pass on their way out, and those that have not ended are noted in.

use std::sync::Arc;

use longshore_core::Clock;
use longshore_instrument::Span;

use crate::open_spans::OpenSpans;
use crate::processor::Gate;
use crate::queue::Queue;

/// Shared by all that make spans.
#[derive(Debug)]
pub(crate) struct WayOut {
    pub(crate) open: Arc<OpenSpans>,
    pub(crate) gate: Arc<Gate>,
    pub(crate) queue: Arc<Queue<Span>>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl WayOut {
    /// A span that leaves as it has ended.
    pub(crate) fn leave(&self, mut span: Span) {
        // Before anything keeps it, be it for a moment.
        self.gate.pass(&mut span);
        self.queue.push([span]);
    }
}
