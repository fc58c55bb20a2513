//! From OTLP messages back to log records.

use std::collections::BTreeMap;

use longshore_core::{SpanContext, SpanId, Timestamp, TraceId};
use longshore_instrument::{Attribute, AttributeValue};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::logs::v1 as proto;
use prost::Message;

use super::decode::{any, at, attributes, flags, text};

/// A log record as it arrived.
#[derive(Clone, Debug, PartialEq)]
pub struct LogRecord {
    /// When it was made.
    pub at: Timestamp,
    /// When it was first seen.
    pub observed: Timestamp,
    /// How grave it is, from 1 to 24.
    pub severity: i32,
    /// The same as the program has it.
    pub severity_text: String,
    /// Its message as text; empty if it has none.
    pub body: String,
    /// More about it.
    pub attributes: Vec<Attribute>,
    /// Attributes that it has lost.
    pub dropped: u32,
    /// The span it belongs to, without a trace state.
    pub span: Option<SpanContext>,
    /// The name of its instrumentation scope.
    pub scope: String,
}

impl LogRecord {
    /// The value of an attribute as text.
    #[must_use]
    pub fn attribute(&self, key: &str) -> Option<String> {
        let found = self.attributes.iter().find(|one| one.key == key)?;
        Some(text(&found.value))
    }
}

/// The log records of an export request and its resource attributes; `None` if it breaks the format.
pub(super) fn request(message: &[u8]) -> Option<(Vec<LogRecord>, BTreeMap<String, String>)> {
    let request = ExportLogsServiceRequest::decode(message).ok()?;
    let mut records = Vec::new();
    let mut resource = BTreeMap::new();
    for group in request.resource_logs {
        for KeyValue { key, value, .. } in group.resource.unwrap_or_default().attributes {
            resource.insert(key, text(&any(value)));
        }
        for scoped in group.scope_logs {
            let scope = scoped.scope.unwrap_or_default().name;
            for record in scoped.log_records {
                records.push(self::record(record, &scope)?);
            }
        }
    }
    Some((records, resource))
}

fn record(record: proto::LogRecord, scope: &str) -> Option<LogRecord> {
    let span = match (record.trace_id.as_slice(), record.span_id.as_slice()) {
        ([], []) => None,
        (trace, span) => Some(SpanContext::new(
            TraceId::from_bytes(trace.try_into().ok()?)?,
            SpanId::from_bytes(span.try_into().ok()?)?,
            flags(record.flags),
        )),
    };
    let body: Option<AttributeValue> = record.body.map(|body| any(Some(body)));
    Some(LogRecord {
        at: at(record.time_unix_nano)?,
        observed: at(record.observed_time_unix_nano)?,
        severity: record.severity_number,
        severity_text: record.severity_text,
        body: body.as_ref().map(text).unwrap_or_default(),
        attributes: attributes(record.attributes),
        dropped: record.dropped_attributes_count,
        span,
        scope: scope.to_owned(),
    })
}
