//! Events, links and resources as JSON text, both ways.

use std::borrow::Cow;
use std::sync::Arc;

use longshore_core::{SpanContext, SpanId, Timestamp, TraceFlags, TraceId, TraceState};
use longshore_instrument::{Attribute, AttributeValue, Resource, SpanEvent, SpanLink};
use longshore_trace::otlp::{Attributes, SpanView};
use parquet::data_type::ByteArray;
use serde_json::{Map, Number, Value, json};

/// A number that JSON has no form for.
const DOUBLE: &str = "$double";

/// The events of a span; nothing if there are none.
pub(super) fn events(span: &SpanView<'_>) -> String {
    let events = span.events().map(|event| {
        let mut json = Map::new();
        json.insert("name".into(), event.name.into());
        json.insert("time_unix_nano".into(), event.at.unix_nanos().into());
        insert_attributes(&mut json, event.attributes());
        Value::Object(json)
    });
    list(events.collect())
}

/// The links of a span that are any; nothing if there are none. The trace is left out where it is
/// the span's own.
pub(super) fn links(span: &SpanView<'_>) -> String {
    let links = span.links().filter_map(|link| {
        let (trace, id) = link.to?;
        let mut json = Map::new();
        if trace != span.trace_id {
            json.insert("trace_id".into(), trace.to_string().into());
        }
        json.insert("span_id".into(), id.to_string().into());
        if link.flags != TraceFlags::default() {
            json.insert("flags".into(), link.flags.bits().into());
        }
        if !link.trace_state.is_empty() {
            json.insert("trace_state".into(), link.trace_state.into());
        }
        insert_attributes(&mut json, link.attributes());
        Some(Value::Object(json))
    });
    list(links.collect())
}

fn list(values: Vec<Value>) -> String {
    match values.as_slice() {
        [] => String::new(),
        _ => Value::Array(values).to_string(),
    }
}

/// Attributes as an object; of a key that is there twice the last one.
pub(super) fn attributes(attributes: Attributes<'_>) -> String {
    of_attributes(attributes).to_string()
}

pub(super) fn texts(texts: &[Cow<'static, str>]) -> String {
    let texts = texts.iter().map(|text| Value::from(text.as_ref()));
    Value::Array(texts.collect()).to_string()
}

fn insert_attributes(json: &mut Map<String, Value>, attributes: Attributes<'_>) {
    let mut first = attributes;
    if first.next().is_some() {
        json.insert("attributes".into(), of_attributes(attributes));
    }
}

fn of_attributes(attributes: Attributes<'_>) -> Value {
    let pairs = attributes.map(|(key, value)| (key.to_owned(), of_value(&value.to_attribute())));
    Value::Object(pairs.collect())
}

fn of_value(value: &AttributeValue) -> Value {
    match value {
        AttributeValue::String(text) => text.as_ref().into(),
        AttributeValue::Int(number) => (*number).into(),
        AttributeValue::Bool(yes) => (*yes).into(),
        AttributeValue::Strings(texts) => texts.iter().map(|text| text.as_ref()).collect(),
        AttributeValue::Double(number) => match Number::from_f64(*number) {
            Some(number) => Value::Number(number),
            None => json!({ DOUBLE: number.to_string() }),
        },
    }
}

fn to_value(json: Value) -> AttributeValue {
    match json {
        Value::String(text) => text.into(),
        Value::Bool(yes) => yes.into(),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => whole.into(),
            None => number.as_f64().unwrap_or(f64::NAN).into(),
        },
        Value::Array(values) => {
            let texts = values.into_iter().map(|value| match value {
                Value::String(text) => Cow::Owned(text),
                other => Cow::Owned(other.to_string()),
            });
            AttributeValue::Strings(texts.collect())
        }
        Value::Object(object) => {
            let text = object.get(DOUBLE).and_then(Value::as_str);
            text.and_then(|text| text.parse().ok())
                .unwrap_or(f64::NAN)
                .into()
        }
        Value::Null => "".into(),
    }
}

fn to_attributes(json: Option<&mut Value>) -> Vec<Attribute> {
    let Some(Value::Object(pairs)) = json.map(Value::take) else {
        return Vec::new();
    };
    let pairs = pairs.into_iter().map(|(key, value)| Attribute {
        key: key.into(),
        value: to_value(value),
    });
    pairs.collect()
}

fn objects(text: &str) -> Vec<Map<String, Value>> {
    let Ok(Value::Array(values)) = serde_json::from_str(text) else {
        return Vec::new();
    };
    let object = |value| match value {
        Value::Object(object) => Some(object),
        _ => None,
    };
    values.into_iter().filter_map(object).collect()
}

fn text_of<'a>(object: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    object.get(key)?.as_str()
}

pub(super) fn read_events(text: &str) -> Vec<SpanEvent> {
    let read = |mut object: Map<String, Value>| {
        let at = object.get("time_unix_nano").and_then(Value::as_i64);
        SpanEvent {
            name: text_of(&object, "name")
                .unwrap_or_default()
                .to_owned()
                .into(),
            at: Timestamp::from_unix_nanos(at.unwrap_or_default()),
            attributes: to_attributes(object.get_mut("attributes")),
        }
    };
    objects(text).into_iter().map(read).collect()
}

pub(super) fn read_links(own: TraceId, text: &str) -> Vec<SpanLink> {
    let read = |mut object: Map<String, Value>| {
        let trace_id = match text_of(&object, "trace_id") {
            Some(text) => TraceId::from_hex(text)?,
            None => own,
        };
        let bits = object.get("flags").and_then(Value::as_u64);
        let bits = bits.and_then(|bits| u8::try_from(bits).ok());
        let state = text_of(&object, "trace_state").unwrap_or_default();
        Some(SpanLink {
            context: SpanContext {
                trace_id,
                span_id: SpanId::from_hex(text_of(&object, "span_id")?)?,
                flags: TraceFlags::new(bits.unwrap_or_default()),
                trace_state: TraceState::from(state.to_owned()),
            },
            attributes: to_attributes(object.get_mut("attributes")),
        })
    };
    objects(text).into_iter().filter_map(read).collect()
}

pub(super) fn read_attributes(text: &str) -> Vec<Attribute> {
    let mut json = serde_json::from_str(text).unwrap_or_default();
    to_attributes(Some(&mut json))
}

/// The stores that resources name, in their order.
pub(super) fn read_stores(resources: Vec<Option<ByteArray>>) -> Vec<Option<Arc<str>>> {
    let mut last: Option<(ByteArray, Option<Arc<str>>)> = None;
    let mut store = |text: ByteArray| {
        if let Some((known, store)) = &last
            && known.data() == text.data()
        {
            return store.clone();
        }
        let attributes = read_attributes(text.as_utf8().ok()?);
        let store = Resource { attributes }.store().map(Arc::from);
        last = Some((text, store.clone()));
        store
    };
    let resources = resources.into_iter();
    resources.map(|text| text.and_then(&mut store)).collect()
}

/// The texts of a list.
pub(super) fn read_texts(text: &str) -> Vec<Cow<'static, str>> {
    let texts: Vec<String> = serde_json::from_str(text).unwrap_or_default();
    texts.into_iter().map(Cow::Owned).collect()
}
