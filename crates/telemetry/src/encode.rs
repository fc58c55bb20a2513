//! Spans as OTLP bytes, encoded once however often they are sent.
//!
//! They are written as they are: the types that are generated from OTLP's definition would have
//! each text and each list of a span allocated anew, only to be read once. The tests read with
//! those types what is written here.

pub(crate) mod log_records;
mod wire;

use std::borrow::Cow;

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

/// An OTLP export request of these spans, grouped by their scope.
#[must_use]
pub fn request(resource: &Resource, spans: &[Span]) -> Bytes {
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
mod tests {
    use longshore_core::{SpanId, Timestamp, TraceId, TraceState};
    use longshore_instrument::span::Dropped;
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use opentelemetry_proto::tonic::common::v1::any_value::Value;
    use opentelemetry_proto::tonic::common::v1::{
        AnyValue, ArrayValue, InstrumentationScope, KeyValue,
    };
    use opentelemetry_proto::tonic::trace::v1 as proto;
    use prost::Message;

    use super::*;

    fn context(id: u64) -> SpanContext {
        SpanContext {
            trace_id: TraceId::from_u128(u128::MAX - u128::from(id)),
            span_id: SpanId::from_u64(id),
            flags: TraceFlags::SAMPLED,
            trace_state: TraceState::parse("ot=th:0").0,
        }
    }

    /// A span with something in every field, texts of `length` bytes among it.
    fn full(length: usize) -> Span {
        let text = "é".repeat(length / 2);
        Span {
            trace_id: TraceId::from_u128(7),
            span_id: SpanId::from_u64(u64::MAX),
            parent_span_id: Some(SpanId::from_u64(300)),
            parent_is_remote: true,
            flags: TraceFlags::SAMPLED,
            trace_state: TraceState::parse("ot=th:8,x=1").0,
            name: "job.process".into(),
            kind: SpanKind::Consumer,
            start: Timestamp::from_unix_nanos(1),
            end: Timestamp::from_unix_nanos(i64::MAX),
            attributes: vec![
                Attribute::new("text", text.clone()),
                Attribute::new("empty", ""),
                Attribute::new("zero", 0_i64),
                Attribute::new("negative", -1_i64),
                Attribute::new("number", 1.5),
                Attribute::new("no", false),
                Attribute {
                    key: "texts".into(),
                    value: AttributeValue::Strings(vec![text.clone().into(), "".into()]),
                },
            ],
            events: vec![SpanEvent {
                name: "long_wait".into(),
                at: Timestamp::from_unix_nanos(2),
                attributes: vec![Attribute::new("yes", true)],
            }],
            links: vec![SpanLink {
                context: context(9),
                attributes: vec![Attribute::new("why", "enqueue")],
            }],
            status: SpanStatus::Error(text.into()),
            scope: Span::ENGINE_SCOPE.into(),
            dropped: Dropped {
                attributes: 1,
                events: 2,
                links: 300,
            },
            resource: None,
        }
    }

    fn value(value: Value) -> AnyValue {
        AnyValue { value: Some(value) }
    }

    fn pair(key: &str, value: Value) -> KeyValue {
        KeyValue {
            key: key.to_owned(),
            value: Some(self::value(value)),
            ..KeyValue::default()
        }
    }

    /// What [`full`] is to be read as.
    fn expected(length: usize) -> proto::Span {
        let text = "é".repeat(length / 2);
        proto::Span {
            trace_id: 7_u128.to_be_bytes().to_vec(),
            span_id: vec![0xff; 8],
            trace_state: "ot=th:8,x=1".to_owned(),
            parent_span_id: 300_u64.to_be_bytes().to_vec(),
            flags: 0x301,
            name: "job.process".to_owned(),
            kind: proto::span::SpanKind::Consumer.into(),
            start_time_unix_nano: 1,
            end_time_unix_nano: i64::MAX.unsigned_abs(),
            attributes: vec![
                pair("text", Value::StringValue(text.clone())),
                pair("empty", Value::StringValue(String::new())),
                pair("zero", Value::IntValue(0)),
                pair("negative", Value::IntValue(-1)),
                pair("number", Value::DoubleValue(1.5)),
                pair("no", Value::BoolValue(false)),
                pair(
                    "texts",
                    Value::ArrayValue(ArrayValue {
                        values: vec![
                            value(Value::StringValue(text.clone())),
                            value(Value::StringValue(String::new())),
                        ],
                    }),
                ),
            ],
            dropped_attributes_count: 1,
            events: vec![proto::span::Event {
                time_unix_nano: 2,
                name: "long_wait".to_owned(),
                attributes: vec![pair("yes", Value::BoolValue(true))],
                dropped_attributes_count: 0,
            }],
            dropped_events_count: 2,
            links: vec![proto::span::Link {
                trace_id: context(9).trace_id.to_bytes().to_vec(),
                span_id: 9_u64.to_be_bytes().to_vec(),
                trace_state: "ot=th:0".to_owned(),
                attributes: vec![pair("why", Value::StringValue("enqueue".to_owned()))],
                dropped_attributes_count: 0,
                flags: 1,
            }],
            dropped_links_count: 300,
            status: Some(proto::Status {
                message: text,
                code: proto::status::StatusCode::Error.into(),
            }),
        }
    }

    fn read(resource: &Resource, spans: &[Span]) -> proto::ResourceSpans {
        let bytes = request(resource, spans);
        let request = ExportTraceServiceRequest::decode(&*bytes).unwrap();
        let [resource_spans] = <[_; 1]>::try_from(request.resource_spans).unwrap();
        resource_spans
    }

    #[test]
    fn every_field_is_read_back_with_the_types_generated_from_the_definition() {
        let resource = Resource::new([("service.name".to_owned(), "shop".to_owned())]);
        // Around the lengths at which a length takes a byte more.
        for length in [
            0, 20, 100, 118, 120, 122, 124, 126, 128, 130, 16_300, 16_400, 40_000,
        ] {
            let read = read(&resource, &[full(length)]);
            let pairs = read.resource.unwrap().attributes;
            let shop = pair("service.name", Value::StringValue("shop".to_owned()));
            assert_eq!(pairs, [shop]);
            let [scope] = <[_; 1]>::try_from(read.scope_spans).unwrap();
            assert_eq!(scope.spans, [expected(length)], "{length}");
        }
    }

    #[test]
    fn spans_are_grouped_by_scope_in_their_order() {
        let named = |scope: &'static str, id| Span {
            span_id: SpanId::from_u64(id),
            scope: scope.into(),
            ..full(10)
        };
        let spans = [
            named("shop", 1),
            named(Span::ENGINE_SCOPE, 2),
            named("shop", 3),
        ];
        let read = read(&Resource::new([]), &spans);
        let scope = |name: &str, version: &str| InstrumentationScope {
            name: name.to_owned(),
            version: version.to_owned(),
            ..InstrumentationScope::default()
        };
        let seen: Vec<_> = read
            .scope_spans
            .into_iter()
            .map(|group| {
                let last_byte = |span: &proto::Span| *span.span_id.last().unwrap();
                let ids: Vec<u8> = group.spans.iter().map(last_byte).collect();
                (group.scope.unwrap(), ids)
            })
            .collect();
        let version = env!("CARGO_PKG_VERSION");
        assert_eq!(
            seen,
            [
                (scope("shop", ""), vec![1, 3]),
                (scope(Span::ENGINE_SCOPE, version), vec![2])
            ]
        );
    }

    #[test]
    fn a_plain_span_leaves_out_what_it_does_not_have() {
        let plain = Span {
            parent_span_id: None,
            parent_is_remote: false,
            trace_state: TraceState::EMPTY,
            attributes: Vec::new(),
            events: Vec::new(),
            links: Vec::new(),
            status: SpanStatus::Unset,
            dropped: Dropped::default(),
            ..full(0)
        };
        let read = read(&Resource::new([]), &[plain]);
        let span = read.scope_spans.first().unwrap().spans.first().unwrap();
        assert_eq!(
            *span,
            proto::Span {
                trace_id: 7_u128.to_be_bytes().to_vec(),
                span_id: vec![0xff; 8],
                flags: 0x101,
                name: "job.process".to_owned(),
                kind: proto::span::SpanKind::Consumer.into(),
                start_time_unix_nano: 1,
                end_time_unix_nano: i64::MAX.unsigned_abs(),
                status: Some(proto::Status::default()),
                ..proto::Span::default()
            }
        );
    }
}
