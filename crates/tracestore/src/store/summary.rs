//! What a trace comes down to, wherever its spans lie.

use std::cmp::Reverse;
use std::collections::HashSet;
use std::sync::{Arc, MutexGuard};

use longshore_core::TraceId;
use longshore_instrument::Span;
use longshore_instrument::table::links_join;
use longshore_spanlog::Class;
use longshore_trace::TraceSummary;

use super::TraceStore;
use crate::hot::lock;
use crate::index::{Index, Source};
use crate::sealed::SealedFile;

/// Traces of more spans than this are looked at one at a time, by all who look: of one of a million
/// they take some 350 MB as outlines, and 1 GB where they have to be read.
const LARGE: usize = 4 << 10;

/// A trace as the tiers know it.
#[derive(Debug, Default)]
pub(super) struct Known<'a> {
    /// The turn of a large one.
    _turn: Option<MutexGuard<'a, ()>>,
    spans: Vec<(Source, Span)>,
    linked: Vec<TraceId>,
    /// Whether some of the spans have no more than what a summary is made of.
    has_outlines: bool,
    /// Sealed files that were read for it.
    pub(super) files_read: usize,
}

/// What a sealed file knows of a trace.
enum Part {
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
    pub(super) fn known(&self, trace: TraceId) -> Known<'_> {
        let files = lock(&self.tier).with(trace);
        let mut known = Known {
            _turn: self.turn(trace, &files),
            ..Known::default()
        };
        let mut from = Vec::new();
        {
            let index = lock(&self.index);
            known.take(&index, trace);
            from.extend_from_slice(index.linked_from(trace));
        }
        for file in files {
            match self.part(&file, trace) {
                Some(Part::Outlines(outlines)) => known.take(&outlines, trace),
                Some(Part::Spans(spans)) => known.take_spans(file.name.class, spans),
                None => {}
            }
        }
        from.extend(lock(&self.tier).linked_from(trace));
        known.link(&from);
        known
    }

    /// How many spans there are of a trace; one that is there twice counts twice.
    pub(super) fn count_of(&self, trace: TraceId) -> usize {
        let files = lock(&self.tier).with(trace);
        self.count_with(trace, &files)
    }

    fn count_with(&self, trace: TraceId, files: &[Arc<SealedFile>]) -> usize {
        let rows = files.iter().map(|file| file.rows_of(trace));
        let sealed: usize = rows.flatten().map(|rows| rows.len()).sum();
        sealed + lock(&self.index).count_of(trace)
    }

    /// The turn to look at a trace, if it is a large one.
    pub(super) fn turn_of(&self, trace: TraceId) -> Option<MutexGuard<'_, ()>> {
        let files = lock(&self.tier).with(trace);
        self.turn(trace, &files)
    }

    fn turn(&self, trace: TraceId, files: &[Arc<SealedFile>]) -> Option<MutexGuard<'_, ()>> {
        (self.count_with(trace, files) > LARGE).then(|| lock(&self.large))
    }

    /// What a sealed file knows of a trace, without reading more than that unless it has much of it.
    fn part(&self, file: &SealedFile, trace: TraceId) -> Option<Part> {
        let mut tier = lock(&self.tier);
        if let Some(outlines) = tier.remembered(file) {
            return Some(Part::Outlines(outlines));
        }
        if file.rows_of(trace).is_some_and(|rows| rows.len() > LARGE) {
            return tier.outlines(file).map(Part::Outlines);
        }
        drop(tier);
        match file.spans(trace) {
            Ok(spans) => Some(Part::Spans(spans)),
            Err(_) => {
                lock(&self.tier).give_up(&file.path);
                None
            }
        }
    }
}

/// The traces that a span joins its own to.
fn joined(span: &Span) -> impl Iterator<Item = TraceId> {
    let links = span.links.iter().filter(|_| links_join(&span.name));
    let others = links.map(|link| link.context.trace_id);
    others.filter(|other| *other != span.trace_id)
}

impl Known<'_> {
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
