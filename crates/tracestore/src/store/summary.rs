//! What a trace comes down to, wherever its spans lie.

use std::cmp::Reverse;
use std::sync::Arc;

use longshore_core::TraceId;
use longshore_instrument::Span;
use longshore_spanlog::Class;
use longshore_trace::TraceSummary;

use super::TraceStore;
use crate::hot::lock;
use crate::index::{Index, Rank, Source};

/// A trace as the tiers know it.
pub(super) struct Known {
    outlines: Vec<(Source, Span)>,
    linked: Vec<TraceId>,
    /// Where it stands in the listing of each tier and file.
    pub(super) ranks: Vec<Rank>,
}

impl TraceStore {
    /// What a trace comes down to.
    #[must_use]
    pub fn summary(&self, trace: TraceId) -> Option<TraceSummary> {
        self.known(trace).summary(trace)
    }

    /// What all tiers know of a trace.
    pub(super) fn known(&self, trace: TraceId) -> Known {
        let mut known = Known {
            outlines: Vec::new(),
            linked: Vec::new(),
            ranks: Vec::new(),
        };
        let mut from = Vec::new();
        {
            let index = lock(&self.index);
            known.take(&index, trace);
            from.extend_from_slice(index.linked_from(trace));
        }
        for outlines in self.sealed_with(trace) {
            known.take(&outlines, trace);
        }
        from.extend(lock(&self.tier).linked_from(trace));
        for other in from {
            if !known.linked.contains(&other) {
                known.linked.push(other);
            }
        }
        known
    }

    /// The outlines of the sealed files in which a trace is.
    pub(super) fn sealed_with(&self, trace: TraceId) -> Vec<Arc<Index>> {
        let mut tier = lock(&self.tier);
        let files = tier.with(trace).into_iter();
        files.filter_map(|file| tier.outlines(&file)).collect()
    }
}

impl Known {
    fn take(&mut self, index: &Index, trace: TraceId) {
        self.outlines.extend(index.outlines(trace));
        self.ranks.extend(index.rank(trace));
        for other in index.links_of(trace) {
            if !self.linked.contains(other) {
                self.linked.push(*other);
            }
        }
    }

    pub(super) fn summary(mut self, trace: TraceId) -> Option<TraceSummary> {
        // What counts before what it stands in for.
        self.outlines.sort_by_key(|(source, _)| Reverse(*source));
        let is_kept = |(source, _): &(Source, Span)| *source > Source::Ended(Class::Base);
        let kept = self.outlines.first().map(is_kept)?;
        let mut summary = TraceSummary::of(trace, self.outlines.iter().map(|(_, span)| span));
        summary.kept = kept;
        summary.linked = self.linked;
        summary.linked.truncate(TraceSummary::MOST);
        Some(summary)
    }
}
