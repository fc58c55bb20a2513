//! Spans of programs that jobs of this process run: they go with their job, through its telemetry,
//! and not straight into the log.

use std::collections::HashSet;

use bytes::Bytes;
use longshore_instrument::Span;
use longshore_telemetry::Telemetry;
use longshore_trace::otlp::{self, Decoder, SpanView};

use super::screen::Ids;

/// The spans of a request that go through telemetry.
#[derive(Debug, Default)]
pub(super) struct Adoption {
    pub(super) spans: Vec<Span>,
    /// Theirs, so that they can be taken out of the request.
    pub(super) ids: HashSet<Ids>,
}

impl Adoption {
    /// Those that telemetry awaits, or all.
    pub(super) fn of(request: &Bytes, telemetry: &Telemetry, all: bool) -> Self {
        let mut adoption = Self::default();
        let mut decoder = Decoder::default();
        for view in otlp::spans(request).flatten() {
            let is_awaited =
                || telemetry.awaits(view.trace_id, view.parent_span_id, view.trace_state);
            if all || is_awaited() {
                adoption.ids.insert(ids(&view));
                let span = decoder.span(&view);
                // Programs send what they sampled, and some SDKs leave the flag out.
                let flags = span.flags.with_sampled(true);
                adoption.spans.push(Span { flags, ..span });
            }
        }
        adoption
    }
}

fn ids(view: &SpanView<'_>) -> Ids {
    let mut ids = Ids::default();
    let own = view
        .trace_id
        .to_bytes()
        .into_iter()
        .chain(view.span_id.to_bytes());
    for (to, from) in ids.iter_mut().zip(own) {
        *to = from;
    }
    ids
}
