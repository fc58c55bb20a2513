//! Queues, and how long their jobs wait and run.

use longshore_api::queue::{Bar, Histogram, Latency, Queue};

use super::{Listing, Slot};

/// The queues.
#[derive(Debug, Default)]
pub(crate) struct Queues {
    pub(crate) list: Listing<Queue>,
    pub(crate) latency_slot: Slot,
    /// The queue that was asked about.
    pub(crate) asked: Option<String>,
    /// How long jobs took, and of which queue.
    pub(crate) latency: Option<(String, Latency)>,
    pub(crate) problem: Option<String>,
    /// The bar with the cursor, if the cursor is among the bars.
    pub(crate) bars: Option<Bars>,
}

/// The cursor among bars.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bars {
    pub(crate) run: bool,
    pub(crate) at: usize,
}

impl Queues {
    /// How long jobs of the selected queue took.
    pub(crate) fn latency(&self) -> Option<&Latency> {
        let queue = self.list.selected()?;
        let (of, latency) = self.latency.as_ref()?;
        (*of == queue.queue).then_some(latency)
    }

    pub(crate) fn histogram(&self, run: bool) -> Option<&Histogram> {
        let latency = self.latency()?;
        Some(if run { &latency.run } else { &latency.wait })
    }

    /// The bar with the cursor.
    pub(crate) fn bar(&self) -> Option<&Bar> {
        let bars = self.bars?;
        self.histogram(bars.run)?.bars.get(bars.at)
    }
}
