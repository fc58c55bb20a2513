//! Requests for tests, with something in every place.

use longshore_spanlog::Kind;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList,
};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message as _;

pub(super) fn value(value: Value) -> AnyValue {
    AnyValue { value: Some(value) }
}

pub(super) fn pair(key: &str, of: Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(value(of)),
        ..KeyValue::default()
    }
}

fn words(text: &str) -> Value {
    Value::StringValue(text.to_owned())
}

/// Attributes of every kind, with `text` wherever a text can be.
fn attributes(text: &str) -> Vec<KeyValue> {
    let inner = KeyValueList {
        values: vec![
            pair("inner", words(text)),
            pair("count", Value::IntValue(-3)),
        ],
    };
    let mixed = ArrayValue {
        values: vec![
            value(words(text)),
            value(Value::IntValue(7)),
            value(Value::KvlistValue(inner.clone())),
        ],
    };
    let texts = ArrayValue {
        values: vec![value(words("run")), value(words(text))],
    };
    vec![
        pair("note", words(text)),
        pair(text, words("by its key")),
        pair("yes", Value::BoolValue(true)),
        pair("number", Value::IntValue(-1)),
        pair("share", Value::DoubleValue(0.25)),
        pair("mixed", Value::ArrayValue(mixed)),
        pair("texts", Value::ArrayValue(texts)),
        pair("pairs", Value::KvlistValue(inner)),
        pair("bytes", Value::BytesValue(text.as_bytes().to_vec())),
        KeyValue {
            key: "nothing".to_owned(),
            ..KeyValue::default()
        },
    ]
}

fn resource(text: &str) -> Option<Resource> {
    Some(Resource {
        attributes: attributes(text),
        dropped_attributes_count: 1,
        ..Resource::default()
    })
}

fn scope(text: &str) -> Option<InstrumentationScope> {
    Some(InstrumentationScope {
        name: text.to_owned(),
        version: text.to_owned(),
        attributes: attributes(text),
        dropped_attributes_count: 0,
    })
}

/// A span whose ids follow from `number`.
pub(super) fn span(number: u8, text: &str) -> Span {
    Span {
        trace_id: vec![number; 16],
        span_id: vec![number; 8],
        trace_state: "ot=th:8".to_owned(),
        parent_span_id: vec![9; 8],
        flags: 0x101,
        name: text.to_owned(),
        kind: 4,
        start_time_unix_nano: 1_700_000_000_000_000_000 + u64::from(number),
        end_time_unix_nano: 1_700_000_000_500_000_000 + u64::from(number),
        attributes: attributes(text),
        dropped_attributes_count: 2,
        events: vec![Event {
            time_unix_nano: 1_700_000_000_100_000_000,
            name: text.to_owned(),
            attributes: attributes(text),
            dropped_attributes_count: 0,
        }],
        dropped_events_count: 3,
        links: vec![Link {
            trace_id: vec![7; 16],
            span_id: vec![7; 8],
            trace_state: String::new(),
            attributes: attributes(text),
            dropped_attributes_count: 0,
            flags: 1,
        }],
        dropped_links_count: 4,
        status: Some(Status {
            message: text.to_owned(),
            code: 2,
        }),
    }
}

pub(super) fn request(spans: Vec<Span>, text: &str) -> ExportTraceServiceRequest {
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: resource(text),
            scope_spans: vec![ScopeSpans {
                scope: scope(text),
                spans,
                schema_url: "https://opentelemetry.io/schemas/1.30.0".to_owned(),
            }],
            schema_url: String::new(),
        }],
    }
}

/// Two spans with `text` in every place.
pub(super) fn traces(text: &str) -> ExportTraceServiceRequest {
    request(vec![span(1, text), span(2, text)], text)
}

/// A log record with `text` in every place.
pub(super) fn logs(text: &str) -> ExportLogsServiceRequest {
    let record = LogRecord {
        time_unix_nano: 1_700_000_000_000_000_000,
        observed_time_unix_nano: 1_700_000_000_000_000_001,
        severity_number: 17,
        severity_text: text.to_owned(),
        body: Some(value(Value::KvlistValue(KeyValueList {
            values: attributes(text),
        }))),
        attributes: attributes(text),
        dropped_attributes_count: 0,
        flags: 1,
        trace_id: vec![1; 16],
        span_id: vec![1; 8],
        event_name: text.to_owned(),
    };
    ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs {
            resource: resource(text),
            scope_logs: vec![ScopeLogs {
                scope: scope(text),
                log_records: vec![record],
                schema_url: String::new(),
            }],
            schema_url: String::new(),
        }],
    }
}

/// The same as bytes, each with what it is.
pub(super) fn all(text: &str) -> [(Kind, Vec<u8>); 2] {
    [
        (Kind::SPANS, traces(text).encode_to_vec()),
        (Kind::LOGS, logs(text).encode_to_vec()),
    ]
}
