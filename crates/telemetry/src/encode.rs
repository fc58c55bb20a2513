//! Spans as OTLP bytes, encoded once however often they are sent.
//!
//! They are written as they are: the types that are generated from OTLP's definition would have
//! each text and each list of a span allocated anew, only to be read once. The tests read with
//! those types what is written here.

pub(crate) mod log_records;
mod wire;

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use longshore_core::{SpanContext, TraceFlags};
use longshore_instrument::{
    Attribute, AttributeValue, Span, SpanEvent, SpanKind, SpanLink, SpanStatus,
};

use self::wire::{Wire, delimited_length, varint_length};

/// Whether it is known if the parent is remote, and whether it is.
const REMOTE_KNOWN: u32 = 0x100;
const REMOTE: u32 = 0x200;
/// Bytes to make room for at first, for each span.
const USUAL_SPAN: usize = 640;

/// The process as OTLP describes it, encoded.
#[derive(Debug)]
pub struct Resource(Wire);

impl Resource {
    /// From attributes such as `service.name`.
    pub fn new(pairs: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut wire = Wire::default();
        for (key, text) in pairs {
            pair(&mut wire, 1, &key, &AttributeValue::from(text));
        }
        Self(wire)
    }

    /// From any attributes.
    fn of(attributes: &[Attribute]) -> Self {
        let mut wire = Wire::default();
        self::attributes(&mut wire, 1, attributes);
        Self(wire)
    }

    /// The same with more attributes.
    pub(crate) fn with(&self, pairs: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut wire = Wire::default();
        wire.append(&self.0);
        wire.append(&Self::new(pairs).0);
        Self(wire)
    }

    /// The same with a number besides.
    pub(crate) fn with_count(&self, key: &str, count: usize) -> Self {
        let mut wire = Wire::default();
        wire.append(&self.0);
        pair(&mut wire, 1, key, &AttributeValue::from(count));
        Self(wire)
    }
}

/// The spans of one scope.
struct Scope<'a> {
    name: &'a str,
    spans: Wire,
}

/// An OTLP export request of these spans, grouped by their scope. `resource` is that of the spans
/// that have none of their own.
#[must_use]
pub fn request(resource: &Resource, spans: &[Span]) -> Bytes {
    let mut groups = spans.chunk_by(|one, next| same_resource(&one.resource, &next.resource));
    let of = |group: &[Span]| {
        let own = group.first().and_then(|span| span.resource.as_deref());
        match own {
            None => request_of(resource, group),
            Some(own) => request_of(&Resource::of(&own.attributes), group),
        }
    };
    let first = of(groups.next().unwrap_or_default());
    let mut rest = groups.peekable();
    if rest.peek().is_none() {
        return first;
    }
    // Requests one after the other are one request.
    let mut all = first.to_vec();
    rest.for_each(|group| all.extend_from_slice(&of(group)));
    all.into()
}

/// Whether spans share their resource: those of one request do.
pub(crate) fn same_resource(
    one: &Option<Arc<longshore_instrument::Resource>>,
    other: &Option<Arc<longshore_instrument::Resource>>,
) -> bool {
    match (one, other) {
        (None, None) => true,
        (Some(one), Some(other)) => Arc::ptr_eq(one, other),
        _ => false,
    }
}

fn request_of(resource: &Resource, spans: &[Span]) -> Bytes {
    let mut scopes: Vec<Scope<'_>> = Vec::new();
    for span in spans {
        let at = scopes.iter().position(|scope| scope.name == span.scope);
        let at = at.unwrap_or_else(|| {
            scopes.push(Scope {
                name: &span.scope,
                spans: Wire::with_capacity(spans.len() * USUAL_SPAN),
            });
            scopes.len() - 1
        });
        if let Some(scope) = scopes.get_mut(at) {
            scope.spans.message(2, |wire| write(wire, span));
        }
    }
    let mut resource_spans = Wire::default();
    resource_spans.head(1, resource.0.len());
    resource_spans.append(&resource.0);
    assemble(&resource_spans, &scopes)
}

/// Bytes that a span takes in a request.
pub(crate) fn length(span: &Span) -> usize {
    let mut wire = Wire::with_capacity(USUAL_SPAN);
    wire.message(2, |wire| write(wire, span));
    wire.len()
}

/// Puts the scopes behind the resource, the request's own head in front of all. The spans, nearly
/// all of it, are copied once.
fn assemble(resource: &Wire, scopes: &[Scope<'_>]) -> Bytes {
    let heads: Vec<Wire> = scopes.iter().map(head).collect();
    let of_scopes: usize = heads
        .iter()
        .zip(scopes)
        .map(|(head, scope)| head.len() + scope.spans.len())
        .sum();
    let mut request = Wire::with_capacity(resource.len() + of_scopes + 16);
    request.head(1, resource.len() + of_scopes);
    request.append(resource);
    for (head, scope) in heads.iter().zip(scopes) {
        request.append(head);
        request.append(&scope.spans);
    }
    request.into_bytes().into()
}

/// `ScopeSpans` up to its spans.
fn head(scope: &Scope<'_>) -> Wire {
    let mut inner = Wire::default();
    inner.message(1, |wire| {
        wire.text(1, scope.name);
        if scope.name == Span::ENGINE_SCOPE {
            wire.text(2, env!("CARGO_PKG_VERSION"));
        }
    });
    let mut head = Wire::default();
    head.head(2, inner.len() + scope.spans.len());
    head.append(&inner);
    head
}

fn write(wire: &mut Wire, span: &Span) {
    wire.bytes(1, &span.trace_id.to_bytes());
    wire.bytes(2, &span.span_id.to_bytes());
    if !span.trace_state.is_empty() {
        wire.text(3, span.trace_state.as_str());
    }
    if let Some(parent) = span.parent_span_id {
        wire.bytes(4, &parent.to_bytes());
    }
    wire.text(5, &span.name);
    wire.number(6, kind(span.kind));
    wire.fixed64(7, span.start.unix_nanos_unsigned());
    wire.fixed64(8, span.end.unix_nanos_unsigned());
    attributes(wire, 9, &span.attributes);
    dropped(wire, 10, span.dropped.attributes);
    for event in &span.events {
        wire.message(11, |wire| write_event(wire, event));
    }
    dropped(wire, 12, span.dropped.events);
    for link in &span.links {
        wire.message(13, |wire| write_link(wire, link));
    }
    dropped(wire, 14, span.dropped.links);
    wire.message(15, |wire| write_status(wire, &span.status));
    let remote = if span.parent_is_remote { REMOTE } else { 0 };
    wire.fixed32(16, flags(span.flags) | REMOTE_KNOWN | remote);
}

fn write_event(wire: &mut Wire, event: &SpanEvent) {
    wire.fixed64(1, event.at.unix_nanos_unsigned());
    wire.text(2, &event.name);
    attributes(wire, 3, &event.attributes);
}

fn write_link(wire: &mut Wire, link: &SpanLink) {
    let SpanContext {
        trace_id,
        span_id,
        flags,
        trace_state,
    } = &link.context;
    wire.bytes(1, &trace_id.to_bytes());
    wire.bytes(2, &span_id.to_bytes());
    if !trace_state.is_empty() {
        wire.text(3, trace_state.as_str());
    }
    attributes(wire, 4, &link.attributes);
    wire.fixed32(6, self::flags(*flags));
}

fn write_status(wire: &mut Wire, status: &SpanStatus) {
    match status {
        SpanStatus::Unset => {}
        SpanStatus::Ok => wire.number(3, 1),
        SpanStatus::Error(text) => {
            if !text.is_empty() {
                wire.text(2, text);
            }
            wire.number(3, 2);
        }
    }
}

fn attributes(wire: &mut Wire, field: u64, attributes: &[Attribute]) {
    for attribute in attributes {
        pair(wire, field, &attribute.key, &attribute.value);
    }
}

/// A `KeyValue`.
fn pair(wire: &mut Wire, field: u64, key: &str, value: &AttributeValue) {
    let value_length = value_length(value);
    let length = delimited_length(key.len()) + delimited_length(value_length);
    wire.reserve(2 + delimited_length(length));
    wire.head(field, length);
    wire.text(1, key);
    wire.head(2, value_length);
    write_value(wire, value);
}

/// An `AnyValue`, whose field says of which kind it is, so that none is left out.
#[inline]
fn write_value(wire: &mut Wire, value: &AttributeValue) {
    match value {
        AttributeValue::String(text) => wire.text(1, text),
        AttributeValue::Bool(yes) => wire.number(2, u64::from(*yes)),
        AttributeValue::Int(number) => wire.number(3, number.cast_unsigned()),
        AttributeValue::Double(number) => wire.fixed64(4, number.to_bits()),
        AttributeValue::Strings(texts) => {
            wire.head(5, list_length(texts));
            for text in texts {
                wire.head(1, delimited_length(text.len()));
                wire.text(1, text);
            }
        }
    }
}

/// Bytes that [`write_value`] writes.
#[inline]
fn value_length(value: &AttributeValue) -> usize {
    match value {
        AttributeValue::String(text) => delimited_length(text.len()),
        AttributeValue::Bool(_) => 2,
        AttributeValue::Int(number) => 1 + varint_length(number.cast_unsigned()),
        AttributeValue::Double(_) => 9,
        AttributeValue::Strings(texts) => delimited_length(list_length(texts)),
    }
}

/// An `ArrayValue` of texts.
fn list_length(texts: &[Cow<'static, str>]) -> usize {
    let lengths = texts.iter().map(|text| delimited_length(text.len()));
    lengths.map(delimited_length).sum()
}

fn dropped(wire: &mut Wire, field: u64, count: u32) {
    if count > 0 {
        wire.number(field, count.into());
    }
}

fn flags(flags: TraceFlags) -> u32 {
    u32::from(flags.bits())
}

const fn kind(kind: SpanKind) -> u64 {
    match kind {
        SpanKind::Internal => 1,
        SpanKind::Server => 2,
        SpanKind::Client => 3,
        SpanKind::Producer => 4,
        SpanKind::Consumer => 5,
    }
}

#[cfg(test)]
mod tests;
