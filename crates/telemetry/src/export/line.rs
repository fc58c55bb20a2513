//! Spans as readable lines.

use std::io::Write;

use longshore_instrument::{AttributeValue, Span, SpanStatus};

use super::Sent;
use crate::counters::DropReason;

pub(super) fn write_all(writer: &mut dyn Write, spans: &[Span]) -> Sent {
    let text: String = spans.iter().map(line).collect();
    match writer
        .write_all(text.as_bytes())
        .and_then(|()| writer.flush())
    {
        Ok(()) => Sent::Taken { rejected: 0 },
        Err(error) => Sent::Failed {
            reason: DropReason::Unavailable,
            what: format!("cannot write spans: {error}"),
        },
    }
}

/// `time trace span parent name KIND 1.234ms error key=value …`.
fn line(span: &Span) -> String {
    let parent = span
        .parent_span_id
        .map_or_else(|| "-".to_owned(), |parent| parent.to_string());
    let took = span.end.since(span.start).as_secs_f64() * 1e3;
    let status = match span.status {
        SpanStatus::Unset => "",
        SpanStatus::Ok => " ok",
        SpanStatus::Error(_) => " error",
    };
    let mut line = format!(
        "{} {} {} {parent} {} {} {took:.3}ms{status}",
        span.start,
        span.trace_id,
        span.span_id,
        span.name,
        span.kind.as_str(),
    );
    for attribute in &span.attributes {
        line.push_str(&format!(" {}={}", attribute.key, value(&attribute.value)));
    }
    for link in &span.links {
        line.push_str(&format!(
            " link={}/{}",
            link.context.trace_id, link.context.span_id
        ));
    }
    line.push('\n');
    line
}

/// Text is quoted where it would break the line or hide where it ends.
fn value(value: &AttributeValue) -> String {
    match value {
        AttributeValue::String(text) if text.contains([' ', '"', '\n', '=']) => format!("{text:?}"),
        AttributeValue::String(text) => text.clone().into_owned(),
        AttributeValue::Int(number) => number.to_string(),
        AttributeValue::Double(number) => number.to_string(),
        AttributeValue::Bool(yes) => yes.to_string(),
        AttributeValue::Strings(texts) => format!("{texts:?}"),
    }
}
