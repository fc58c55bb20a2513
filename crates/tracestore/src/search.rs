//! Which traces are looked for, and a page of them.

use std::cmp::Reverse;

use longshore_core::{Timestamp, TraceId};
use longshore_instrument::Span;
use longshore_trace::TraceSummary;
use longshore_trace::query::{Key, Query, Sought};

use crate::error::TraceStoreError;
use crate::index::Rank;

/// Which traces are looked for.
pub trait Filter {
    /// The time before which no match has ended.
    fn since(&self) -> Option<Timestamp> {
        None
    }

    /// The time after which no match began.
    fn until(&self) -> Option<Timestamp> {
        None
    }

    /// The job that must occur in every match.
    fn job(&self) -> Option<&str> {
        None
    }

    /// What spans are found by: of each list every match has at least one, in some span. It spares
    /// looking at all other spans, in the log and in what is sealed.
    fn sought(&self) -> Vec<Vec<Sought<'_>>> {
        Vec::new()
    }

    /// A text that two filters share only if both say the same of the same spans, however much later,
    /// but for what ended before [`Filter::since`]. What was found out for one is remembered for
    /// the other then, so that those who page do not have it found out again.
    fn lasting(&self) -> Option<String> {
        None
    }

    /// Whether a trace matches, as far as its summary says; nothing if its spans are needed.
    fn decide(&self, summary: &TraceSummary) -> Option<bool>;

    /// Whether a trace matches. Asked where its summary does not say.
    fn matches(&self, summary: &TraceSummary, spans: &[Span]) -> bool {
        let _unread = spans;
        self.decide(summary).unwrap_or(false)
    }
}

impl<F: Fn(&TraceSummary) -> bool> Filter for F {
    fn decide(&self, summary: &TraceSummary) -> Option<bool> {
        Some(self(summary))
    }
}

impl Filter for Query {
    fn since(&self) -> Option<Timestamp> {
        Self::since(self)
    }

    fn until(&self) -> Option<Timestamp> {
        Self::until(self)
    }

    fn job(&self) -> Option<&str> {
        self.required_value(&Key::Job)
    }

    fn sought(&self) -> Vec<Vec<Sought<'_>>> {
        Self::sought(self)
    }

    fn lasting(&self) -> Option<String> {
        Self::lasting(self)
    }

    fn decide(&self, summary: &TraceSummary) -> Option<bool> {
        Self::decide(self, summary)
    }

    fn matches(&self, summary: &TraceSummary, spans: &[Span]) -> bool {
        Self::matches(self, summary, || spans)
    }
}

/// A page of traces.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// The traces, those that began last first. There may be few or none, and more on the next page.
    pub traces: Vec<TraceSummary>,
    /// Give it to the next call to go on; nothing at the end.
    pub next_cursor: Option<String>,
}

/// Traces that changed.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// The traces as they are now, the earliest change first.
    pub traces: Vec<TraceSummary>,
    /// Give it to the next call.
    pub cursor: String,
    /// Whether there are more already.
    pub more: bool,
    /// Whether changes were missed, since the cursor is none of this store's life: look at
    /// everything anew.
    pub missed: bool,
}

/// A place in the listing as text.
pub(crate) fn print((Reverse(start), trace): Rank) -> String {
    format!("{}-{trace}", start.unix_nanos())
}

/// The place that a text names.
pub(crate) fn parse(text: &str) -> Result<Rank, TraceStoreError> {
    let read = || {
        let (start, trace) = text.rsplit_once('-')?;
        let start = Timestamp::from_unix_nanos(start.parse().ok()?);
        Some((Reverse(start), TraceId::from_hex(trace)?))
    };
    read().ok_or_else(|| TraceStoreError::Cursor(text.chars().take(80).collect()))
}

/// The place in front of all traces that began at this moment or earlier.
pub(crate) fn before(until: Timestamp) -> Rank {
    let next = Timestamp::from_unix_nanos(until.unix_nanos().saturating_add(1));
    (Reverse(next), TraceId::from_u128(u128::MAX))
}
