//! Spans as OTLP bytes, encoded once however often they are sent.

use std::borrow::Cow;

use bytes::Bytes;
use longshore_core::TraceFlags;
use longshore_instrument::{Attribute, AttributeValue, Span, SpanKind, SpanLink, SpanStatus};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, InstrumentationScope, KeyValue,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1 as proto;
use prost::Message;

/// Whether it is known if the parent is remote, and whether it is.
const REMOTE_KNOWN: u32 = 0x100;
const REMOTE: u32 = 0x200;

/// An export request of these spans, grouped by their scope.
pub(crate) fn request(resource: &Resource, spans: Vec<Span>) -> Bytes {
    let mut scopes: Vec<proto::ScopeSpans> = Vec::new();
    for span in spans {
        let of_scope = |group: &&mut proto::ScopeSpans| {
            group
                .scope
                .as_ref()
                .is_some_and(|scope| scope.name == span.scope)
        };
        if let Some(group) = scopes.iter_mut().find(of_scope) {
            group.spans.push(self::span(span));
            continue;
        }
        let version = match span.scope.as_ref() {
            Span::ENGINE_SCOPE => env!("CARGO_PKG_VERSION").to_owned(),
            _ => String::new(),
        };
        scopes.push(proto::ScopeSpans {
            scope: Some(InstrumentationScope {
                name: span.scope.clone().into_owned(),
                version,
                ..InstrumentationScope::default()
            }),
            spans: vec![self::span(span)],
            schema_url: String::new(),
        });
    }
    let request = ExportTraceServiceRequest {
        resource_spans: vec![proto::ResourceSpans {
            resource: Some(resource.clone()),
            scope_spans: scopes,
            schema_url: String::new(),
        }],
    };
    request.encode_to_vec().into()
}

/// The process as OTLP describes it.
pub(crate) fn resource(pairs: impl IntoIterator<Item = (String, String)>) -> Resource {
    Resource {
        attributes: pairs
            .into_iter()
            .map(|(key, text)| key_value(key, Value::StringValue(text)))
            .collect(),
        ..Resource::default()
    }
}

fn span(span: Span) -> proto::Span {
    let remote = if span.parent_is_remote { REMOTE } else { 0 };
    let (code, message) = match span.status {
        SpanStatus::Unset => (proto::status::StatusCode::Unset, Cow::Borrowed("")),
        SpanStatus::Ok => (proto::status::StatusCode::Ok, Cow::Borrowed("")),
        SpanStatus::Error(text) => (proto::status::StatusCode::Error, text),
    };
    proto::Span {
        trace_id: span.trace_id.to_bytes().to_vec(),
        span_id: span.span_id.to_bytes().to_vec(),
        trace_state: span.trace_state.as_str().to_owned(),
        parent_span_id: span
            .parent_span_id
            .map(|id| id.to_bytes().to_vec())
            .unwrap_or_default(),
        flags: flags(span.flags) | REMOTE_KNOWN | remote,
        name: span.name.into_owned(),
        kind: kind(span.kind).into(),
        start_time_unix_nano: span.start.unix_nanos_unsigned(),
        end_time_unix_nano: span.end.unix_nanos_unsigned(),
        attributes: attributes(span.attributes),
        dropped_attributes_count: span.dropped.attributes,
        events: span
            .events
            .into_iter()
            .map(|event| proto::span::Event {
                time_unix_nano: event.at.unix_nanos_unsigned(),
                name: event.name.into_owned(),
                attributes: attributes(event.attributes),
                dropped_attributes_count: 0,
            })
            .collect(),
        dropped_events_count: span.dropped.events,
        links: span.links.into_iter().map(link).collect(),
        dropped_links_count: span.dropped.links,
        status: Some(proto::Status {
            message: message.into_owned(),
            code: code.into(),
        }),
    }
}

fn link(link: SpanLink) -> proto::span::Link {
    proto::span::Link {
        trace_id: link.context.trace_id.to_bytes().to_vec(),
        span_id: link.context.span_id.to_bytes().to_vec(),
        trace_state: link.context.trace_state.as_str().to_owned(),
        attributes: attributes(link.attributes),
        dropped_attributes_count: 0,
        flags: flags(link.context.flags),
    }
}

fn flags(flags: TraceFlags) -> u32 {
    u32::from(flags.bits())
}

fn kind(kind: SpanKind) -> proto::span::SpanKind {
    match kind {
        SpanKind::Internal => proto::span::SpanKind::Internal,
        SpanKind::Server => proto::span::SpanKind::Server,
        SpanKind::Client => proto::span::SpanKind::Client,
        SpanKind::Producer => proto::span::SpanKind::Producer,
        SpanKind::Consumer => proto::span::SpanKind::Consumer,
    }
}

fn attributes(attributes: Vec<Attribute>) -> Vec<KeyValue> {
    let one = |attribute: Attribute| {
        let value = match attribute.value {
            AttributeValue::String(text) => Value::StringValue(text.into_owned()),
            AttributeValue::Int(number) => Value::IntValue(number),
            AttributeValue::Double(number) => Value::DoubleValue(number),
            AttributeValue::Bool(yes) => Value::BoolValue(yes),
            AttributeValue::Strings(texts) => Value::ArrayValue(ArrayValue {
                values: texts
                    .into_iter()
                    .map(|text| AnyValue {
                        value: Some(Value::StringValue(text.into_owned())),
                    })
                    .collect(),
            }),
        };
        key_value(attribute.key.into_owned(), value)
    };
    attributes.into_iter().map(one).collect()
}

fn key_value(key: String, value: Value) -> KeyValue {
    KeyValue {
        key,
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}
