//! A trace in the index.

use std::sync::Arc;

use longshore_core::{SpanId, Timestamp, TraceId};
use longshore_instrument::table::key;
use longshore_instrument::{Attribute, Span};
use longshore_spanlog::Class;
use longshore_trace::otlp::SpanView;

use super::MAX_LINKS;
use super::frames::FrameId;
use super::shape::{JobName, Shape};

/// What a frame is worth where a span stands in several: what counts more is greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Source {
    /// Spans that were still open when it was written.
    Open,
    /// Spans that have ended, of this class.
    Ended(Class),
}

/// What is known of a span.
#[derive(Clone, Debug)]
pub(super) struct Fact {
    id: SpanId,
    parent: Option<SpanId>,
    start: Timestamp,
    end: Timestamp,
    shape: Arc<Shape>,
    job: Option<Arc<JobName>>,
    pub(super) frame: FrameId,
    source: u8,
}

impl Fact {
    pub(super) fn new(
        frame: FrameId,
        source: Source,
        shape: Arc<Shape>,
        job: Option<Arc<JobName>>,
        span: &SpanView<'_>,
    ) -> Self {
        Self {
            id: span.span_id,
            parent: span.parent_span_id,
            start: span.start,
            end: span.end,
            shape,
            job,
            frame,
            source: match source {
                Source::Open => 0,
                Source::Ended(Class::Base) => 1,
                Source::Ended(Class::Kept) => 2,
                Source::Ended(Class::Pinned) => 3,
            },
        }
    }

    pub(super) const fn source(&self) -> Source {
        match self.source {
            0 => Source::Open,
            1 => Source::Ended(Class::Base),
            2 => Source::Ended(Class::Kept),
            _ => Source::Ended(Class::Pinned),
        }
    }

    pub(super) const fn class(&self) -> Class {
        match self.source() {
            Source::Open => Class::Base,
            Source::Ended(class) => class,
        }
    }

    /// The span, as far as a summary needs it.
    fn span(&self, trace_id: TraceId) -> Span {
        let mut span = Span {
            trace_id,
            span_id: self.id,
            parent_span_id: self.parent,
            start: self.start,
            end: self.end,
            ..self.shape.template.clone()
        };
        if let Some(job) = &self.job {
            let attributes = &mut span.attributes;
            attributes.push(Attribute::new(key::JOB_ID, String::from(&*job.id)));
            if let Some(correlation) = &job.correlation {
                attributes.push(Attribute::new(
                    key::CORRELATION_ID,
                    String::from(&**correlation),
                ));
            }
        }
        span
    }
}

/// A trace.
#[derive(Debug, Default)]
pub(super) struct Entry {
    pub(super) facts: Vec<Fact>,
    /// The traces that it links to.
    pub(super) linked: Vec<TraceId>,
    /// Under which time it stands in the listing.
    pub(super) listed_at: Option<Timestamp>,
    /// The number of its last change.
    pub(super) change: u64,
}

impl Entry {
    /// Notes a link; whether it is new.
    pub(super) fn link(&mut self, other: TraceId) -> bool {
        let is_new = self.linked.len() < MAX_LINKS && !self.linked.contains(&other);
        if is_new {
            self.linked.push(other);
        }
        is_new
    }

    pub(super) fn start(&self) -> Timestamp {
        let starts = self.facts.iter().map(|fact| fact.start);
        starts.min().unwrap_or_default()
    }

    /// When the last span ended; that of a span that is open is not known.
    pub(super) fn end(&self) -> Timestamp {
        let is_open = self.facts.iter().any(|fact| fact.source() == Source::Open);
        if is_open {
            return Timestamp::MAX;
        }
        let ends = self.facts.iter().map(|fact| fact.end.max(fact.start));
        ends.max().unwrap_or_default()
    }

    /// The spans, as far as a summary needs them: what counts before what it stands in for.
    pub(super) fn spans(&self, trace_id: TraceId) -> Vec<Span> {
        let mut facts: Vec<&Fact> = self.facts.iter().collect();
        facts.sort_by_key(|fact| std::cmp::Reverse(fact.source));
        facts.into_iter().map(|fact| fact.span(trace_id)).collect()
    }
}
