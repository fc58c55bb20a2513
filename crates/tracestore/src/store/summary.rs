//! What a trace comes down to, wherever its spans lie.

use std::cmp::Reverse;
use std::collections::HashSet;
use std::sync::Arc;

use longshore_core::TraceId;
use longshore_instrument::Span;
use longshore_instrument::table::links_join;
use longshore_spanlog::Class;
use longshore_trace::TraceSummary;

use super::TraceStore;
use crate::hot::lock;
use crate::index::{Index, Source};
use crate::sealed::SealedFile;

/// A trace as the tiers know it.
#[derive(Debug, Default)]
pub(super) struct Known {
    spans: Vec<(Source, Span)>,
    linked: Vec<TraceId>,
    /// Whether some of the spans have no more than what a summary is made of.
    has_outlines: bool,
    /// Sealed files that were read for it.
    pub(super) files_read: usize,
}

/// What a sealed file knows of a trace.
pub(super) enum Part {
    /// The outlines of all its spans, which are in memory.
    Outlines(Arc<Index>),
    /// The spans of the trace.
    Spans(Vec<Span>),
}

impl TraceStore {
    /// What a trace comes down to.
    #[must_use]
    pub fn summary(&self, trace: TraceId) -> Option<TraceSummary> {
        self.known(trace).summary(trace)
    }

    /// What all tiers know of a trace.
    pub(super) fn known(&self, trace: TraceId) -> Known {
        let mut known = Known::default();
        let mut from = Vec::new();
        {
            let index = lock(&self.index);
            known.take(&index, trace);
            from.extend_from_slice(index.linked_from(trace));
        }
        for (class, part) in self.parts(trace) {
            match part {
                Part::Outlines(outlines) => known.take(&outlines, trace),
                Part::Spans(spans) => known.take_spans(class, spans),
            }
        }
        from.extend(lock(&self.tier).linked_from(trace));
        known.link(&from);
        known
    }

    /// What the sealed files in which a trace is know of it, without reading more than that.
    pub(super) fn parts(&self, trace: TraceId) -> Vec<(Class, Part)> {
        let files = lock(&self.tier).with(trace).into_iter();
        let part = |file: Arc<SealedFile>| Some((file.name.class, self.part(&file, trace)?));
        files.filter_map(part).collect()
    }

    fn part(&self, file: &SealedFile, trace: TraceId) -> Option<Part> {
        if let Some(outlines) = lock(&self.tier).remembered(file) {
            return Some(Part::Outlines(outlines));
        }
        match file.spans(trace, usize::MAX) {
            Ok(spans) => Some(Part::Spans(spans)),
            Err(_) => {
                lock(&self.tier).give_up(&file.path);
                None
            }
        }
    }
}

/// The traces that a span joins its own to.
pub(super) fn joined(span: &Span) -> impl Iterator<Item = TraceId> {
    let links = span.links.iter().filter(|_| links_join(&span.name));
    let others = links.map(|link| link.context.trace_id);
    others.filter(|other| *other != span.trace_id)
}

impl Known {
    /// What is known of a trace from a sealed file alone.
    pub(super) fn of_file(class: Class, spans: Vec<Span>) -> Self {
        let mut known = Self::default();
        known.take_spans(class, spans);
        known
    }

    fn take(&mut self, index: &Index, trace: TraceId) {
        let before = self.spans.len();
        self.spans.extend(index.outlines(trace));
        self.has_outlines |= self.spans.len() > before;
        self.link(index.links_of(trace));
    }

    fn take_spans(&mut self, class: Class, spans: Vec<Span>) {
        self.files_read += 1;
        for span in spans {
            let linked: Vec<TraceId> = joined(&span).collect();
            self.link(&linked);
            self.spans.push((Source::Ended(class), span));
        }
    }

    fn link(&mut self, others: &[TraceId]) {
        for other in others {
            if !self.linked.contains(other) {
                self.linked.push(*other);
            }
        }
    }

    pub(super) fn summary(&mut self, trace: TraceId) -> Option<TraceSummary> {
        // What counts before what it stands in for.
        self.spans.sort_by_key(|(source, _)| Reverse(*source));
        let is_kept = |(source, _): &(Source, Span)| *source > Source::Ended(Class::Base);
        let kept = self.spans.first().map(is_kept)?;
        let mut summary = TraceSummary::of(trace, self.spans.iter().map(|(_, span)| span));
        summary.kept = kept;
        summary.linked = self.linked.clone();
        summary.linked.truncate(TraceSummary::MOST);
        Some(summary)
    }

    /// Its spans, each once, if all that is known of them is here. [`Known::summary`] is to come
    /// before.
    pub(super) fn spans(&self) -> Option<Vec<Span>> {
        if self.has_outlines {
            return None;
        }
        let mut met = HashSet::new();
        let spans = self.spans.iter().map(|(_, span)| span);
        let spans = spans.filter(|span| met.insert(span.span_id));
        Some(spans.cloned().collect())
    }
}
