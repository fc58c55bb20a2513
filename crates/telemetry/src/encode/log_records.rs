//! Log records as OTLP bytes.

use std::borrow::Cow;

use bytes::Bytes;
use longshore_instrument::AttributeValue;

use super::wire::Wire;
use super::{Resource, attributes, dropped, flags, write_value};
use crate::logs::record::LogRecord;

/// Bytes to make room for at first, for each record.
const USUAL_RECORD: usize = 256;

/// An OTLP export request of these log records, grouped by where in the program they were made.
pub(crate) fn request(resource: &Resource, records: &[LogRecord]) -> Bytes {
    let mut scopes: Vec<(&Cow<'static, str>, Wire)> = Vec::new();
    for record in records {
        let at = scopes.iter().position(|(name, _)| *name == &record.target);
        let at = at.unwrap_or_else(|| {
            let room = Wire::with_capacity(records.len() * USUAL_RECORD);
            scopes.push((&record.target, room));
            scopes.len() - 1
        });
        if let Some((_, wire)) = scopes.get_mut(at) {
            wire.message(2, |wire| write(wire, record));
        }
    }
    let mut of_resource = Wire::default();
    of_resource.head(1, resource.0.len());
    of_resource.append(&resource.0);
    for (name, records) in &scopes {
        let mut scope = Wire::default();
        scope.message(1, |wire| wire.text(1, name));
        of_resource.head(2, scope.len() + records.len());
        of_resource.append(&scope);
        of_resource.append(records);
    }
    let mut request = Wire::with_capacity(of_resource.len() + 16);
    request.head(1, of_resource.len());
    request.append(&of_resource);
    request.into_bytes().into()
}

fn write(wire: &mut Wire, record: &LogRecord) {
    let at = record.at.unix_nanos_unsigned();
    wire.fixed64(1, at);
    wire.number(2, record.severity.number());
    wire.text(3, record.severity.text());
    if !record.body.is_empty() {
        let body = AttributeValue::String(record.body.clone());
        wire.message(5, |wire| write_value(wire, &body));
    }
    attributes(wire, 6, &record.attributes);
    dropped(wire, 7, record.dropped);
    if let Some(span) = &record.span {
        wire.fixed32(8, flags(span.flags));
        wire.bytes(9, &span.trace_id.to_bytes());
        wire.bytes(10, &span.span_id.to_bytes());
    }
    // Events are seen where they happen.
    wire.fixed64(11, at);
}

#[cfg(test)]
mod tests {
    use longshore_core::{SpanContext, SpanId, Timestamp, TraceFlags, TraceId};
    use longshore_instrument::Attribute;
    use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
    use opentelemetry_proto::tonic::common::v1::any_value::Value;
    use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
    use opentelemetry_proto::tonic::logs::v1 as proto;
    use prost::Message;

    use super::*;
    use crate::logs::record::Severity;

    fn record(target: &'static str, body: &str) -> LogRecord {
        LogRecord {
            at: Timestamp::from_unix_nanos(7),
            severity: Severity::Warn,
            target: target.into(),
            body: body.to_owned().into(),
            attributes: vec![Attribute::new("order", 7_i64)],
            dropped: 2,
            span: Some(SpanContext::new(
                TraceId::from_u128(u128::MAX),
                SpanId::from_u64(9),
                TraceFlags::SAMPLED,
            )),
        }
    }

    fn any(value: Value) -> Option<AnyValue> {
        Some(AnyValue { value: Some(value) })
    }

    fn expected(body: &str) -> proto::LogRecord {
        proto::LogRecord {
            time_unix_nano: 7,
            observed_time_unix_nano: 7,
            severity_number: proto::SeverityNumber::Warn.into(),
            severity_text: "WARN".to_owned(),
            body: any(Value::StringValue(body.to_owned())),
            attributes: vec![KeyValue {
                key: "order".to_owned(),
                value: any(Value::IntValue(7)),
                ..KeyValue::default()
            }],
            dropped_attributes_count: 2,
            flags: 1,
            trace_id: vec![0xff; 16],
            span_id: 9_u64.to_be_bytes().to_vec(),
            ..proto::LogRecord::default()
        }
    }

    #[test]
    fn records_are_read_back_with_the_types_generated_from_the_definition() {
        let resource = Resource::new([("service.name".to_owned(), "shop".to_owned())]);
        let long = "x".repeat(40_000);
        let plain = LogRecord {
            body: "".into(),
            attributes: Vec::new(),
            dropped: 0,
            span: None,
            ..record("shop", "")
        };
        let records = [
            record("shop", "mail sent"),
            record("till", &long),
            plain.clone(),
        ];
        // Requests are merged by putting one behind the other.
        let bytes = [request(&resource, &records), request(&resource, &[plain])].concat();
        let read = ExportLogsServiceRequest::decode(&*bytes).unwrap();
        let [first, second] = <[_; 2]>::try_from(read.resource_logs).unwrap();
        assert_eq!(first.resource.unwrap().attributes[0].key, "service.name");
        let scopes: Vec<_> = first
            .scope_logs
            .into_iter()
            .map(|scope| (scope.scope.unwrap().name, scope.log_records))
            .collect();
        let bare = proto::LogRecord {
            time_unix_nano: 7,
            observed_time_unix_nano: 7,
            severity_number: proto::SeverityNumber::Warn.into(),
            severity_text: "WARN".to_owned(),
            ..proto::LogRecord::default()
        };
        assert_eq!(
            scopes,
            [
                ("shop".to_owned(), vec![expected("mail sent"), bare.clone()]),
                ("till".to_owned(), vec![expected(&long)]),
            ]
        );
        assert_eq!(second.scope_logs[0].log_records, [bare]);
    }
}
