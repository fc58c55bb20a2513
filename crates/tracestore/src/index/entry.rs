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

impl Source {
    const fn number(self) -> u8 {
        match self {
            Self::Open => 0,
            Self::Ended(Class::Base) => 1,
            Self::Ended(Class::Kept) => 2,
            Self::Ended(Class::Pinned) => 3,
        }
    }
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
    pub(super) const fn of_view(
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
            source: source.number(),
        }
    }

    pub(super) const fn of_outline(
        source: Source,
        shape: Arc<Shape>,
        job: Option<Arc<JobName>>,
        outline: &Span,
    ) -> Self {
        Self {
            id: outline.span_id,
            parent: outline.parent_span_id,
            start: outline.start,
            end: outline.end,
            shape,
            job,
            frame: FrameId::NONE,
            source: source.number(),
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

    /// Whether it is known of this span.
    pub(super) fn is_of(&self, span: SpanId) -> bool {
        self.id == span
    }

    /// The job that it is about.
    pub(super) fn job_id(&self) -> Option<&str> {
        self.job.as_deref().map(|job| &*job.id)
    }

    pub(super) fn into_job(self) -> Option<Arc<JobName>> {
        self.job
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

    /// The spans, as far as a summary needs them, each with what it is worth.
    pub(super) fn spans(&self, trace_id: TraceId) -> impl Iterator<Item = (Source, Span)> {
        let span = move |fact: &Fact| (fact.source(), fact.span(trace_id));
        self.facts.iter().map(span)
    }
}
