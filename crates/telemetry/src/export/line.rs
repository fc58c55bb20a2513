//! Spans as readable lines, log records as lines of OTLP in JSON: readable lines of those are on
//! standard error already.

use std::fmt::Write as _;
use std::io::Write;

use longshore_core::Timestamp;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::AnyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{Span, Status};
use prost::Message;

use super::{Failure, Sent};
use crate::counters::DropReason;
use crate::signal::Signal;

/// Writes what is in an export request.
pub(super) fn write_all(writer: &mut dyn Write, signal: Signal, request: &[u8]) -> Sent {
    let failed = |reason, what| {
        Sent::Failed(Failure {
            reason,
            what,
            again: None,
        })
    };
    let text = match signal {
        Signal::Traces => readable(request),
        Signal::Logs => signal.json_line(request),
    };
    let text = match text {
        Ok(text) => text,
        Err(what) => return failed(DropReason::Refused, what),
    };
    match writer.write_all(&text).and_then(|()| writer.flush()) {
        Ok(()) => Sent::Taken {
            rejected: 0,
            said: None,
        },
        Err(error) => failed(
            DropReason::Unavailable,
            format!("cannot write {}: {error}", signal.items()),
        ),
    }
}

/// The spans of an export request, one line each.
fn readable(request: &[u8]) -> Result<Vec<u8>, String> {
    let request = ExportTraceServiceRequest::decode(request)
        // Only a damaged span log can hold such.
        .map_err(|error| format!("not spans: {error}"))?;
    let spans = request
        .resource_spans
        .iter()
        .flat_map(|resource| &resource.scope_spans)
        .flat_map(|scope| &scope.spans);
    Ok(spans.map(line).collect::<String>().into_bytes())
}

/// `time trace span parent name KIND 1.234ms error key=value …`.
fn line(span: &Span) -> String {
    let parent = if span.parent_span_id.is_empty() {
        "-".to_owned()
    } else {
        hex(&span.parent_span_id)
    };
    let start = i64::try_from(span.start_time_unix_nano).unwrap_or(i64::MAX);
    let nanos = span
        .end_time_unix_nano
        .saturating_sub(span.start_time_unix_nano);
    let mut line = format!(
        "{} {} {} {parent} {} {} {:.3}ms{}",
        Timestamp::from_unix_nanos(start),
        hex(&span.trace_id),
        hex(&span.span_id),
        span.name,
        kind(span),
        nanos as f64 / 1e6,
        status(span.status.as_ref()),
    );
    for attribute in &span.attributes {
        let value = value(attribute.value.as_ref());
        let _infallible = write!(line, " {}={value}", attribute.key);
    }
    for link in &span.links {
        let (trace, span) = (hex(&link.trace_id), hex(&link.span_id));
        let _infallible = write!(line, " link={trace}/{span}");
    }
    line.push('\n');
    line
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn kind(span: &Span) -> &'static str {
    let name = span.kind().as_str_name();
    match span.kind() {
        SpanKind::Unspecified => "-",
        _ => name.strip_prefix("SPAN_KIND_").unwrap_or(name),
    }
}

fn status(status: Option<&Status>) -> &'static str {
    match status.map(Status::code) {
        None | Some(StatusCode::Unset) => "",
        Some(StatusCode::Ok) => " ok",
        Some(StatusCode::Error) => " error",
    }
}

/// Text is quoted where it would break the line or hide where it ends.
fn value(value: Option<&AnyValue>) -> String {
    match value.and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) if text.contains([' ', '"', '\n', '=']) => {
            format!("{text:?}")
        }
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::DoubleValue(number)) => number.to_string(),
        Some(Value::BoolValue(yes)) => yes.to_string(),
        Some(Value::ArrayValue(list)) => {
            let values = list.values.iter().map(|one| self::value(Some(one)));
            format!("[{}]", values.collect::<Vec<_>>().join(","))
        }
        _ => String::new(),
    }
}
