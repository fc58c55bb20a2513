//! Spans as OTLP writes them in JSON: ids as hex digits, 64-bit numbers as text.
//!
//! What is read back is what was written here; of what others write, values that a [`Span`] does
//! not know become text.

mod written;

use std::borrow::Cow;
use std::sync::Arc;

use longshore_core::{SpanContext, SpanId, Timestamp, TraceFlags, TraceId, TraceState};
use longshore_instrument::span::{Dropped, Resource};
use longshore_instrument::{
    Attribute, AttributeValue, Span, SpanEvent, SpanKind, SpanLink, SpanStatus,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use self::written::WrittenSpans;

/// Whether the next bit says something.
const KNOWS_REMOTE: u32 = 1 << 8;
/// The parent is in another process.
const IS_REMOTE: u32 = 1 << 9;

/// Spans by what made them: `TracesData` of OTLP.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct TracesData {
    resource_spans: Vec<ResourceSpans>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ResourceSpans {
    resource: WireResource,
    scope_spans: Vec<ScopeSpans>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct WireResource {
    attributes: Vec<KeyValue>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct ScopeSpans {
    scope: Scope,
    spans: Vec<WireSpan>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Scope {
    name: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireSpan {
    trace_id: TraceId,
    span_id: SpanId,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    trace_state: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    parent_span_id: String,
    #[serde(default)]
    flags: u32,
    name: String,
    kind: u8,
    start_time_unix_nano: Number,
    end_time_unix_nano: Number,
    #[serde(default)]
    attributes: Vec<KeyValue>,
    #[serde(default)]
    dropped_attributes_count: u32,
    #[serde(default)]
    events: Vec<WireEvent>,
    #[serde(default)]
    dropped_events_count: u32,
    #[serde(default)]
    links: Vec<WireLink>,
    #[serde(default)]
    dropped_links_count: u32,
    #[serde(default)]
    status: WireStatus,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireEvent {
    time_unix_nano: Number,
    name: String,
    #[serde(default)]
    attributes: Vec<KeyValue>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireLink {
    trace_id: TraceId,
    span_id: SpanId,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    trace_state: String,
    #[serde(default)]
    attributes: Vec<KeyValue>,
    #[serde(default)]
    flags: u32,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct WireStatus {
    #[serde(skip_serializing_if = "String::is_empty")]
    message: String,
    code: u8,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct KeyValue {
    key: String,
    value: Value,
}

/// A whole number as text, read as a number too.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Number {
    Text(String),
    Plain(u64),
}

impl Number {
    fn of(at: Timestamp) -> Self {
        Self::Text(at.unix_nanos_unsigned().to_string())
    }

    fn time(&self) -> Timestamp {
        let nanos = match self {
            Self::Text(text) => text.parse().unwrap_or(0),
            Self::Plain(number) => i64::try_from(*number).unwrap_or(i64::MAX),
        };
        Timestamp::from_unix_nanos(nanos)
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for TracesData {
    fn schema_name() -> Cow<'static, str> {
        "TracesData".into()
    }

    fn json_schema(_generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "Spans as OTLP writes them in JSON: `TracesData` of its protocol.",
            "type": "object",
            "required": ["resourceSpans"],
            "properties": {
                "resourceSpans": { "type": "array", "items": { "type": "object" } },
            },
        })
    }
}

impl TracesData {
    /// These spans, those of one resource and scope together where they follow each other.
    #[must_use]
    pub fn of(spans: &[Span]) -> Self {
        let group = |group: &[Span]| ResourceSpans {
            resource: WireResource::of(group),
            scope_spans: vec![ScopeSpans {
                scope: Scope::of(group),
                spans: group.iter().map(WireSpan::of).collect(),
            }],
        };
        Self {
            resource_spans: spans.chunk_by(alike).map(group).collect(),
        }
    }

    /// The spans.
    #[must_use]
    pub fn into_spans(self) -> Vec<Span> {
        let mut spans = Vec::new();
        for of_resource in self.resource_spans {
            let attributes = attributes(of_resource.resource.attributes);
            let resource = (!attributes.is_empty()).then(|| Arc::new(Resource { attributes }));
            for of_scope in of_resource.scope_spans {
                let scope = of_scope.scope.name;
                let span = |wire: WireSpan| wire.into_span(&scope, resource.as_ref());
                spans.extend(of_scope.spans.into_iter().map(span));
            }
        }
        spans
    }
}

/// Whether two spans come from one resource and scope.
fn alike(one: &Span, other: &Span) -> bool {
    one.resource == other.resource && one.scope == other.scope
}

impl WireResource {
    /// That of the first span.
    fn of(spans: &[Span]) -> Self {
        let first = spans.first().and_then(|span| span.resource.as_deref());
        Self {
            attributes: first.map_or_else(Vec::new, |resource| pairs(&resource.attributes)),
        }
    }
}

impl Scope {
    /// That of the first span.
    fn of(spans: &[Span]) -> Self {
        let name = spans.first().map(|span| span.scope.to_string());
        Self {
            name: name.unwrap_or_default(),
        }
    }
}

impl WireSpan {
    fn of(span: &Span) -> Self {
        let remote = match (span.parent_span_id, span.parent_is_remote) {
            (None, _) => 0,
            (Some(_), false) => KNOWS_REMOTE,
            (Some(_), true) => KNOWS_REMOTE | IS_REMOTE,
        };
        let (code, message) = match &span.status {
            SpanStatus::Unset => (0, String::new()),
            SpanStatus::Ok => (1, String::new()),
            SpanStatus::Error(message) => (2, message.to_string()),
        };
        let parent = span.parent_span_id.as_ref().map(ToString::to_string);
        Self {
            trace_id: span.trace_id,
            span_id: span.span_id,
            trace_state: span.trace_state.as_str().to_owned(),
            parent_span_id: parent.unwrap_or_default(),
            flags: u32::from(span.flags.bits()) | remote,
            name: span.name.to_string(),
            kind: kind_number(span.kind),
            start_time_unix_nano: Number::of(span.start),
            end_time_unix_nano: Number::of(span.end),
            attributes: pairs(&span.attributes),
            dropped_attributes_count: span.dropped.attributes,
            events: span.events.iter().map(WireEvent::of).collect(),
            dropped_events_count: span.dropped.events,
            links: span.links.iter().map(WireLink::of).collect(),
            dropped_links_count: span.dropped.links,
            status: WireStatus { message, code },
        }
    }

    fn into_span(self, scope: &str, resource: Option<&Arc<Resource>>) -> Span {
        Span {
            trace_id: self.trace_id,
            span_id: self.span_id,
            parent_span_id: SpanId::from_hex(&self.parent_span_id),
            parent_is_remote: self.flags & IS_REMOTE != 0,
            flags: flags(self.flags),
            trace_state: TraceState::parse(&self.trace_state).0,
            name: Cow::Owned(self.name),
            kind: kind_of(self.kind),
            start: self.start_time_unix_nano.time(),
            end: self.end_time_unix_nano.time(),
            attributes: attributes(self.attributes),
            events: self.events.into_iter().map(WireEvent::into_event).collect(),
            links: self.links.into_iter().map(WireLink::into_link).collect(),
            status: match self.status.code {
                1 => SpanStatus::Ok,
                2 => SpanStatus::Error(Cow::Owned(self.status.message)),
                _ => SpanStatus::Unset,
            },
            scope: Cow::Owned(scope.to_owned()),
            dropped: Dropped {
                attributes: self.dropped_attributes_count,
                events: self.dropped_events_count,
                links: self.dropped_links_count,
            },
            resource: resource.cloned(),
        }
    }
}

impl WireEvent {
    fn of(event: &SpanEvent) -> Self {
        Self {
            time_unix_nano: Number::of(event.at),
            name: event.name.to_string(),
            attributes: pairs(&event.attributes),
        }
    }

    fn into_event(self) -> SpanEvent {
        SpanEvent {
            name: Cow::Owned(self.name),
            at: self.time_unix_nano.time(),
            attributes: attributes(self.attributes),
        }
    }
}

impl WireLink {
    fn of(link: &SpanLink) -> Self {
        Self {
            trace_id: link.context.trace_id,
            span_id: link.context.span_id,
            trace_state: link.context.trace_state.as_str().to_owned(),
            attributes: pairs(&link.attributes),
            flags: u32::from(link.context.flags.bits()),
        }
    }

    fn into_link(self) -> SpanLink {
        SpanLink {
            context: SpanContext {
                trace_id: self.trace_id,
                span_id: self.span_id,
                flags: flags(self.flags),
                trace_state: TraceState::parse(&self.trace_state).0,
            },
            attributes: attributes(self.attributes),
        }
    }
}

fn flags(bits: u32) -> TraceFlags {
    TraceFlags::new(bits.to_le_bytes()[0])
}

const fn kind_number(kind: SpanKind) -> u8 {
    match kind {
        SpanKind::Internal => 1,
        SpanKind::Server => 2,
        SpanKind::Client => 3,
        SpanKind::Producer => 4,
        SpanKind::Consumer => 5,
    }
}

const fn kind_of(number: u8) -> SpanKind {
    match number {
        2 => SpanKind::Server,
        3 => SpanKind::Client,
        4 => SpanKind::Producer,
        5 => SpanKind::Consumer,
        _ => SpanKind::Internal,
    }
}

fn pairs(attributes: &[Attribute]) -> Vec<KeyValue> {
    let pair = |attribute: &Attribute| KeyValue {
        key: attribute.key.to_string(),
        value: written(&attribute.value),
    };
    attributes.iter().map(pair).collect()
}

fn attributes(pairs: Vec<KeyValue>) -> Vec<Attribute> {
    let attribute = |pair: KeyValue| Attribute {
        key: Cow::Owned(pair.key),
        value: read(&pair.value),
    };
    pairs.into_iter().map(attribute).collect()
}

fn written(value: &AttributeValue) -> Value {
    let one =
        |name: &str, value: Value| Value::Object([(name.to_owned(), value)].into_iter().collect());
    match value {
        AttributeValue::String(text) => one("stringValue", text.as_ref().into()),
        AttributeValue::Int(number) => one("intValue", number.to_string().into()),
        AttributeValue::Double(number) if number.is_finite() => {
            one("doubleValue", (*number).into())
        }
        AttributeValue::Double(number) if number.is_nan() => one("doubleValue", "NaN".into()),
        AttributeValue::Double(number) if *number > 0.0 => one("doubleValue", "Infinity".into()),
        AttributeValue::Double(_) => one("doubleValue", "-Infinity".into()),
        AttributeValue::Bool(yes) => one("boolValue", (*yes).into()),
        AttributeValue::Strings(texts) => {
            let texts = texts
                .iter()
                .map(|text| one("stringValue", text.as_ref().into()));
            let values = Value::Array(texts.collect());
            one("arrayValue", one("values", values))
        }
    }
}

fn read(value: &Value) -> AttributeValue {
    let known = value.as_object().and_then(|object| {
        let (name, value) = object.iter().next()?;
        match name.as_str() {
            "stringValue" => Some(AttributeValue::from(value.as_str()?.to_owned())),
            "intValue" => {
                let number = value.as_i64().or_else(|| value.as_str()?.parse().ok())?;
                Some(AttributeValue::Int(number))
            }
            "doubleValue" => {
                let number = value.as_f64().or_else(|| value.as_str()?.parse().ok())?;
                Some(AttributeValue::Double(number))
            }
            "boolValue" => Some(AttributeValue::Bool(value.as_bool()?)),
            "arrayValue" => {
                let values = value.get("values")?.as_array()?.iter();
                let text = |value: &Value| {
                    let text = value.get("stringValue")?.as_str()?;
                    Some(Cow::Owned(text.to_owned()))
                };
                Some(AttributeValue::Strings(
                    values.map(text).collect::<Option<_>>()?,
                ))
            }
            _ => None,
        }
    });
    known.unwrap_or_else(|| AttributeValue::from(value.to_string()))
}

#[cfg(test)]
mod tests;
