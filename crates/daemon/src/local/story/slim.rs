//! Spans with no more than a story shows of them: of a million, what they say besides takes most of
//! the memory, and is asked for span by span.

use std::collections::HashSet;
use std::sync::LazyLock;

use longshore_core::TraceState;
use longshore_instrument::table::{ATTRIBUTES, key};
use longshore_instrument::{Attribute, AttributeValue, Span, SpanEvent, SpanStatus};

/// The words of the engine, among them all that says what became of a job.
static WORDS: LazyLock<HashSet<&'static str>> =
    LazyLock::new(|| ATTRIBUTES.iter().map(|known| known.key).collect());

/// The span as charts and summaries need it.
pub(super) fn slim(span: &Span) -> Span {
    let failed = span.status.is_error();
    Span {
        trace_id: span.trace_id,
        span_id: span.span_id,
        parent_span_id: span.parent_span_id,
        parent_is_remote: span.parent_is_remote,
        flags: span.flags,
        trace_state: TraceState::EMPTY,
        name: span.name.clone(),
        kind: span.kind,
        start: span.start,
        end: span.end,
        attributes: span.attributes.iter().filter_map(needed).collect(),
        events: match failed {
            true => span.events.iter().filter_map(exception).collect(),
            false => Vec::new(),
        },
        links: span.links.clone(),
        status: match failed {
            true => SpanStatus::Error("".into()),
            false => span.status.clone(),
        },
        scope: "".into(),
        dropped: span.dropped,
        resource: span.resource.clone(),
    }
}

/// What is known of a job; that a database was asked, and not what.
fn needed(attribute: &Attribute) -> Option<Attribute> {
    let key = attribute.key.as_ref();
    if key.starts_with("db.") {
        let key = attribute.key.clone();
        let value = AttributeValue::from("");
        return Some(Attribute { key, value });
    }
    WORDS.contains(key).then(|| attribute.clone())
}

/// What an exception is called.
fn exception(event: &SpanEvent) -> Option<SpanEvent> {
    let attributes = event.attributes.iter();
    let class = attributes.filter(|said| said.key == key::EXCEPTION_TYPE);
    let attributes: Vec<Attribute> = class.cloned().collect();
    (!attributes.is_empty()).then(|| SpanEvent {
        name: "".into(),
        at: event.at,
        attributes,
    })
}

#[cfg(test)]
mod tests;
