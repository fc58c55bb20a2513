//! Between OpenTelemetry's types and ours. With [`crate::user_spans`] the only code that touches
//! the SDK's span types.

use std::borrow::Cow;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use longshore_core::{SpanContext, SpanId, Timestamp, TraceFlags, TraceId, TraceState};
use longshore_instrument::{
    Attribute, AttributeValue, Dropped, Span, SpanEvent, SpanKind, SpanLink, SpanStatus,
};
use opentelemetry::{KeyValue, Value, trace as otel};
use opentelemetry_sdk::trace::SpanData;

pub(crate) fn to_otel(context: &SpanContext, remote: bool) -> otel::SpanContext {
    otel::SpanContext::new(
        opentelemetry::TraceId::from_bytes(context.trace_id.to_bytes()),
        opentelemetry::SpanId::from_bytes(context.span_id.to_bytes()),
        opentelemetry::TraceFlags::new(context.flags.bits()),
        remote,
        otel::TraceState::from_str(context.trace_state.as_str()).unwrap_or_default(),
    )
}

/// Our form of a context; `None` if it is not valid.
pub(crate) fn from_otel(context: &otel::SpanContext) -> Option<SpanContext> {
    Some(SpanContext {
        trace_id: TraceId::from_bytes(context.trace_id().to_bytes())?,
        span_id: SpanId::from_bytes(context.span_id().to_bytes())?,
        flags: TraceFlags::new(context.trace_flags().to_u8()),
        trace_state: TraceState::parse(&context.trace_state().header()).0,
    })
}

/// Our form of an SDK span, as it ended: nothing of it is redacted yet.
pub(crate) fn span(data: SpanData) -> Option<Span> {
    let context = from_otel(&data.span_context)?;
    Some(Span {
        trace_id: context.trace_id,
        span_id: context.span_id,
        parent_span_id: SpanId::from_bytes(data.parent_span_id.to_bytes()),
        parent_is_remote: data.parent_span_is_remote,
        flags: context.flags,
        trace_state: context.trace_state,
        name: data.name,
        kind: match data.span_kind {
            otel::SpanKind::Client => SpanKind::Client,
            otel::SpanKind::Server => SpanKind::Server,
            otel::SpanKind::Producer => SpanKind::Producer,
            otel::SpanKind::Consumer => SpanKind::Consumer,
            otel::SpanKind::Internal => SpanKind::Internal,
        },
        start: timestamp(data.start_time),
        end: timestamp(data.end_time),
        attributes: attributes(data.attributes),
        dropped: Dropped {
            attributes: data.dropped_attributes_count,
            events: data.events.dropped_count,
            links: data.links.dropped_count,
        },
        resource: None,
        events: (data.events.events.into_iter())
            .map(|one| event(one.name, one.timestamp, one.attributes))
            .collect(),
        links: (data.links.links.into_iter())
            .filter_map(|one| link(&one.span_context, one.attributes))
            .collect(),
        status: match data.status {
            otel::Status::Unset => SpanStatus::Unset,
            otel::Status::Ok => SpanStatus::Ok,
            otel::Status::Error { description } => SpanStatus::Error(description),
        },
        scope: Cow::Owned(data.instrumentation_scope.name().to_owned()),
    })
}

pub(crate) fn system_time(at: Timestamp) -> SystemTime {
    UNIX_EPOCH + Duration::from_nanos(at.unix_nanos_unsigned())
}

pub(crate) fn timestamp(at: SystemTime) -> Timestamp {
    Timestamp::UNIX_EPOCH.after(at.duration_since(UNIX_EPOCH).unwrap_or_default())
}

pub(crate) fn event(
    name: Cow<'static, str>,
    at: SystemTime,
    attributes: Vec<KeyValue>,
) -> SpanEvent {
    SpanEvent {
        name,
        at: timestamp(at),
        attributes: self::attributes(attributes),
    }
}

pub(crate) fn link(context: &otel::SpanContext, attributes: Vec<KeyValue>) -> Option<SpanLink> {
    Some(SpanLink {
        context: from_otel(context)?,
        attributes: self::attributes(attributes),
    })
}

fn attributes(pairs: Vec<KeyValue>) -> Vec<Attribute> {
    pairs.into_iter().map(attribute).collect()
}

pub(crate) fn attribute(pair: KeyValue) -> Attribute {
    Attribute {
        key: Cow::Owned(pair.key.into()),
        value: match pair.value {
            Value::Bool(yes) => AttributeValue::Bool(yes),
            Value::I64(number) => AttributeValue::Int(number),
            Value::F64(number) => AttributeValue::Double(number),
            Value::String(text) => AttributeValue::from(String::from(text)),
            Value::Array(opentelemetry::Array::String(texts)) => AttributeValue::Strings(
                texts
                    .into_iter()
                    .map(|text| Cow::Owned(text.into()))
                    .collect(),
            ),
            // Arrays of numbers, and kinds of values yet to come.
            other => AttributeValue::from(other.to_string()),
        },
    }
}
