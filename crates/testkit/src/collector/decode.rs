//! From OTLP messages back to spans.

use std::borrow::Cow;
use std::collections::BTreeMap;

use longshore_core::{SpanContext, SpanId, Timestamp, TraceFlags, TraceId, TraceState};
use longshore_instrument::{
    Attribute, AttributeValue, Dropped, Span, SpanEvent, SpanKind, SpanLink, SpanStatus,
};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1 as proto;
use prost::Message;

/// The parent is in another process; only meaningful where the next bit is set.
const PARENT_IS_REMOTE: u32 = 0x200;

/// Spans, and the attributes of the process that they are from.
pub(super) type Decoded = (Vec<Span>, BTreeMap<String, String>);

/// The spans of an OTLP export request and its resource attributes; `None` if it breaks the format.
#[must_use]
pub fn request(message: &[u8]) -> Option<Decoded> {
    let request = ExportTraceServiceRequest::decode(message).ok()?;
    let mut spans = Vec::new();
    let mut resource = BTreeMap::new();
    for group in request.resource_spans {
        for KeyValue { key, value, .. } in group.resource.unwrap_or_default().attributes {
            resource.insert(key, text(&any(value)));
        }
        for scoped in group.scope_spans {
            let scope = scoped.scope.unwrap_or_default().name;
            for span in scoped.spans {
                spans.push(self::span(span, &scope)?);
            }
        }
    }
    Some((spans, resource))
}

fn span(span: proto::Span, scope: &str) -> Option<Span> {
    let parent_span_id = match span.parent_span_id.as_slice() {
        [] => None,
        bytes => Some(SpanId::from_bytes(bytes.try_into().ok()?)?),
    };
    Some(Span {
        trace_id: TraceId::from_bytes(span.trace_id.try_into().ok()?)?,
        span_id: SpanId::from_bytes(span.span_id.try_into().ok()?)?,
        parent_span_id,
        parent_is_remote: span.flags & PARENT_IS_REMOTE != 0,
        flags: flags(span.flags),
        trace_state: TraceState::parse(&span.trace_state).0,
        name: Cow::Owned(span.name),
        kind: kind(span.kind)?,
        start: at(span.start_time_unix_nano)?,
        end: at(span.end_time_unix_nano)?,
        attributes: attributes(span.attributes),
        events: span
            .events
            .into_iter()
            .map(|event| {
                Some(SpanEvent {
                    name: Cow::Owned(event.name),
                    at: at(event.time_unix_nano)?,
                    attributes: attributes(event.attributes),
                })
            })
            .collect::<Option<_>>()?,
        links: span.links.into_iter().map(link).collect::<Option<_>>()?,
        status: status(span.status.unwrap_or_default())?,
        scope: Cow::Owned(scope.to_owned()),
        dropped: Dropped {
            attributes: span.dropped_attributes_count,
            events: span.dropped_events_count,
            links: span.dropped_links_count,
        },
        resource: None,
    })
}

fn link(link: proto::span::Link) -> Option<SpanLink> {
    Some(SpanLink {
        context: SpanContext {
            trace_id: TraceId::from_bytes(link.trace_id.try_into().ok()?)?,
            span_id: SpanId::from_bytes(link.span_id.try_into().ok()?)?,
            flags: flags(link.flags),
            trace_state: TraceState::parse(&link.trace_state).0,
        },
        attributes: attributes(link.attributes),
    })
}

pub(super) fn flags(bits: u32) -> TraceFlags {
    let [low, ..] = bits.to_le_bytes();
    TraceFlags::new(low)
}

pub(super) fn at(nanos: u64) -> Option<Timestamp> {
    Some(Timestamp::from_unix_nanos(i64::try_from(nanos).ok()?))
}

fn kind(number: i32) -> Option<SpanKind> {
    use proto::span::SpanKind as Proto;
    Some(match Proto::try_from(number).ok()? {
        Proto::Unspecified | Proto::Internal => SpanKind::Internal,
        Proto::Server => SpanKind::Server,
        Proto::Client => SpanKind::Client,
        Proto::Producer => SpanKind::Producer,
        Proto::Consumer => SpanKind::Consumer,
    })
}

fn status(status: proto::Status) -> Option<SpanStatus> {
    use proto::status::StatusCode;
    Some(match StatusCode::try_from(status.code).ok()? {
        StatusCode::Unset => SpanStatus::Unset,
        StatusCode::Ok => SpanStatus::Ok,
        StatusCode::Error => SpanStatus::Error(Cow::Owned(status.message)),
    })
}

pub(super) fn attributes(pairs: Vec<KeyValue>) -> Vec<Attribute> {
    pairs
        .into_iter()
        .map(|pair| Attribute {
            key: Cow::Owned(pair.key),
            value: any(pair.value),
        })
        .collect()
}

/// Values that spans of ours never carry (maps, bytes) become their debug text.
pub(super) fn any(value: Option<AnyValue>) -> AttributeValue {
    match value.and_then(|any| any.value) {
        Some(Value::StringValue(text)) => AttributeValue::from(text),
        Some(Value::BoolValue(yes)) => AttributeValue::Bool(yes),
        Some(Value::IntValue(number)) => AttributeValue::Int(number),
        Some(Value::DoubleValue(number)) => AttributeValue::Double(number),
        Some(Value::ArrayValue(array)) => AttributeValue::Strings(
            array
                .values
                .into_iter()
                .map(|value| Cow::Owned(text(&any(Some(value)))))
                .collect(),
        ),
        other => AttributeValue::from(format!("{other:?}")),
    }
}

/// A value as a person would write it.
pub(super) fn text(value: &AttributeValue) -> String {
    match value {
        AttributeValue::String(text) => text.clone().into_owned(),
        AttributeValue::Int(number) => number.to_string(),
        AttributeValue::Double(number) => number.to_string(),
        AttributeValue::Bool(yes) => yes.to_string(),
        AttributeValue::Strings(texts) => format!("[{}]", texts.join(", ")),
    }
}
