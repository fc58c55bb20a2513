//! Traces as Jaeger's query API writes them.

use longshore_core::{SpanId, Timestamp, TraceId};
use longshore_instrument::{Attribute, AttributeValue, Span, SpanEvent, SpanStatus};
use serde::ser::{Serialize, SerializeStruct as _, Serializer};
use serde_json::{Map, Value, json};

/// What a span comes from that does not say what it comes from.
const UNKNOWN: &str = "unknown_service";

/// A trace, whose spans are written one by one: as values they would take many times their size.
pub(super) struct Trace(pub(super) Vec<Span>);

impl Serialize for Trace {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut processes = Processes::default();
        let named: Vec<(&Span, usize)> = self
            .0
            .iter()
            .map(|span| (span, processes.number(span)))
            .collect();
        let trace_id = self.0.first().map(|span| span.trace_id.to_string());
        let mut trace = to.serialize_struct("Trace", 4)?;
        trace.serialize_field("traceID", &trace_id)?;
        trace.serialize_field("spans", &Spans(&named))?;
        trace.serialize_field("processes", &processes.shown)?;
        trace.serialize_field("warnings", &Value::Null)?;
        trace.end()
    }
}

struct Spans<'a>(&'a [(&'a Span, usize)]);

impl Serialize for Spans<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let spans = self.0.iter();
        to.collect_seq(spans.map(|(span, process)| shown(span, &format!("p{process}"))))
    }
}

/// What the spans of a trace come from.
#[derive(Default)]
struct Processes {
    known: Vec<Vec<Attribute>>,
    shown: Map<String, Value>,
}

impl Processes {
    /// The number of what a span comes from, within this trace.
    fn number(&mut self, span: &Span) -> usize {
        let attributes = span.resource.as_deref();
        let attributes = attributes.map_or(&[][..], |resource| &resource.attributes);
        let is_same = |known: &Vec<Attribute>| known.as_slice() == attributes;
        if let Some(place) = self.known.iter().position(is_same) {
            return place + 1;
        }
        let others = attributes
            .iter()
            .filter(|attribute| attribute.key != "service.name");
        let process = json!({
            "serviceName": span.service().unwrap_or(UNKNOWN),
            "tags": others.map(tag).collect::<Vec<Value>>(),
        });
        self.known.push(attributes.to_vec());
        self.shown.insert(format!("p{}", self.known.len()), process);
        self.known.len()
    }
}

fn shown(span: &Span, process: &str) -> Value {
    let parent = span.parent_span_id.map(|parent| (span.trace_id, parent));
    let parent = parent.map(|parent| reference("CHILD_OF", parent));
    let links = span.links.iter().map(|link| {
        let target = (link.context.trace_id, link.context.span_id);
        reference("FOLLOWS_FROM", target)
    });
    let duration = span.end.since(span.start).as_micros();
    json!({
        "traceID": span.trace_id.to_string(),
        "spanID": span.span_id.to_string(),
        "flags": span.flags.bits(),
        "operationName": span.name,
        "references": parent.into_iter().chain(links).collect::<Vec<Value>>(),
        "startTime": micros(span.start),
        "duration": u64::try_from(duration).unwrap_or(u64::MAX),
        "tags": tags(span),
        "logs": span.events.iter().map(log).collect::<Vec<Value>>(),
        "processID": process,
        "warnings": warnings(span),
    })
}

fn reference(kind: &str, (trace_id, span_id): (TraceId, SpanId)) -> Value {
    json!({
        "refType": kind,
        "traceID": trace_id.to_string(),
        "spanID": span_id.to_string(),
    })
}

/// The attributes of a span, and as tags what Jaeger has no field for.
fn tags(span: &Span) -> Vec<Value> {
    let mut tags: Vec<Value> = span.attributes.iter().map(tag).collect();
    let mut add = |key: &str, value: Value| {
        let kind = if value.is_boolean() { "bool" } else { "string" };
        tags.push(json!({ "key": key, "type": kind, "value": value }));
    };
    add("span.kind", span.kind.as_str().to_ascii_lowercase().into());
    match &span.status {
        SpanStatus::Unset => {}
        SpanStatus::Ok => add("otel.status_code", "OK".into()),
        SpanStatus::Error(message) => {
            add("otel.status_code", "ERROR".into());
            add("error", true.into());
            if !message.is_empty() {
                add("otel.status_description", message.as_ref().into());
            }
        }
    }
    if !span.scope.is_empty() {
        add("otel.scope.name", span.scope.as_ref().into());
    }
    if !span.trace_state.is_empty() {
        add("w3c.tracestate", span.trace_state.as_str().into());
    }
    tags
}

fn tag(attribute: &Attribute) -> Value {
    let (kind, value) = match &attribute.value {
        AttributeValue::String(text) => ("string", text.as_ref().into()),
        AttributeValue::Int(number) => ("int64", (*number).into()),
        // JSON has no number for what is not finite.
        AttributeValue::Double(number) if !number.is_finite() => {
            ("string", number.to_string().into())
        }
        AttributeValue::Double(number) => ("float64", (*number).into()),
        AttributeValue::Bool(yes) => ("bool", (*yes).into()),
        AttributeValue::Strings(texts) => {
            let texts: Vec<&str> = texts.iter().map(AsRef::as_ref).collect();
            ("string", Value::from(json!(texts).to_string()))
        }
    };
    json!({ "key": attribute.key, "type": kind, "value": value })
}

fn log(event: &SpanEvent) -> Value {
    let name = json!({ "key": "event", "type": "string", "value": event.name });
    let others = event.attributes.iter().map(tag);
    json!({
        "timestamp": micros(event.at),
        "fields": std::iter::once(name).chain(others).collect::<Vec<Value>>(),
    })
}

/// What was dropped of a span.
fn warnings(span: &Span) -> Value {
    let dropped = span.dropped;
    let parts = [
        ("attributes", dropped.attributes),
        ("events", dropped.events),
        ("links", dropped.links),
    ];
    let said: Vec<String> = parts
        .iter()
        .filter(|(_, count)| *count > 0)
        .map(|(what, count)| format!("{count} {what} were dropped at a limit"))
        .collect();
    if said.is_empty() {
        Value::Null
    } else {
        json!(said)
    }
}

const fn micros(at: Timestamp) -> i64 {
    at.unix_nanos().div_euclid(1000)
}
