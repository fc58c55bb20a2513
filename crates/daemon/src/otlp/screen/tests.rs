use longshore_spanlog::Kind;
use longshore_telemetry::redact::{Action, RedactionPolicy, Rule};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::AnyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use proptest::prelude::*;
use prost::Message as _;

use super::*;
use crate::otlp::{LOGS, TRACES, sample};

const BOUNDS: Bounds = Bounds {
    items: 100,
    attributes: 64,
    depth: 40,
};

fn look(kind: Kind, message: Vec<u8>) -> Result<Screened, Malformed> {
    look_with(kind, message, &Redactor::default(), BOUNDS)
}

fn look_with(
    kind: Kind,
    message: Vec<u8>,
    redactor: &Redactor,
    bounds: Bounds,
) -> Result<Screened, Malformed> {
    let signal = if kind == Kind::LOGS { LOGS } else { TRACES };
    screen(message.into(), signal.schema, redactor, bounds)
}

fn decoded(body: &[u8]) -> ExportTraceServiceRequest {
    ExportTraceServiceRequest::decode(body).unwrap()
}

#[test]
fn what_holds_no_secret_stays_byte_for_byte() {
    for (kind, message) in sample::all("a harmless word") {
        let screened = look(kind, message.clone()).unwrap();
        assert!(screened.body == message, "{kind:?}");
        assert_eq!(screened.rejected.count(), 0);
        let (first, last) = screened.times;
        assert!(first.unix_nanos() >= 1_700_000_000_000_000_000);
        assert!(last > first);
    }
    let screened = look(Kind::SPANS, sample::traces("word").encode_to_vec()).unwrap();
    assert_eq!(screened.items, 2);
}

#[test]
fn a_secret_is_hidden_wherever_it_stands() {
    let secret = "ada@example.com";
    for (kind, message) in sample::all(secret) {
        let screened = look(kind, message).unwrap();
        let text = String::from_utf8_lossy(&screened.body);
        assert!(!text.contains(secret), "{kind:?}");
        assert!(text.contains("[REDACTED:email]"));
        // Whatever else was there is there still.
        match kind {
            Kind::LOGS => {
                let request = ExportLogsServiceRequest::decode(&*screened.body).unwrap();
                let expected = sample::logs("[REDACTED:email]");
                let record = |request: &ExportLogsServiceRequest| {
                    let mut record = request.resource_logs[0].scope_logs[0].log_records[0].clone();
                    record.body = None;
                    without_bytes(&mut record.attributes);
                    record
                };
                assert_eq!(record(&request), record(&expected));
            }
            _ => {
                let request = decoded(&screened.body);
                let span = |request: &ExportTraceServiceRequest| {
                    let mut span = request.resource_spans[0].scope_spans[0].spans[1].clone();
                    without_bytes(&mut span.attributes);
                    span.events[0].attributes.clear();
                    span.links[0].attributes.clear();
                    span
                };
                assert_eq!(span(&request), span(&sample::traces("[REDACTED:email]")));
            }
        }
    }
}

/// What hides bytes is a text.
fn without_bytes(attributes: &mut Vec<opentelemetry_proto::tonic::common::v1::KeyValue>) {
    attributes.retain(|pair| pair.key != "bytes");
}

#[test]
fn a_key_says_that_its_value_is_secret_whatever_it_is() {
    use opentelemetry_proto::tonic::common::v1::{ArrayValue, KeyValueList};
    let hidden = |value: Value| {
        let mut span = sample::span(1, "x");
        span.attributes = vec![sample::pair("db.password", value)];
        let request = sample::request(vec![span], "x");
        let screened = look(Kind::SPANS, request.encode_to_vec()).unwrap();
        let request = decoded(&screened.body);
        let attributes = &request.resource_spans[0].scope_spans[0].spans[0].attributes;
        format!("{:?}", attributes[0].value)
    };
    let inner = KeyValueList {
        values: vec![sample::pair("a", Value::StringValue("enigma42".to_owned()))],
    };
    let list = ArrayValue {
        values: vec![
            AnyValue::default(),
            sample::value(Value::StringValue("enigma42".to_owned())),
            sample::value(Value::IntValue(424_242)),
        ],
    };
    for value in [
        Value::StringValue("enigma42".to_owned()),
        Value::IntValue(424_242),
        Value::DoubleValue(424_242.0),
        Value::BytesValue(b"enigma42\xFF".to_vec()),
        Value::KvlistValue(inner),
        Value::ArrayValue(list),
    ] {
        let shown = hidden(value);
        assert!(shown.contains("[REDACTED:"), "{shown}");
        assert!(
            !shown.contains("enigma42") && !shown.contains("424242"),
            "{shown}"
        );
    }
}

#[test]
fn attributes_that_may_not_leave_are_dropped_and_counted() {
    let mut policy = RedactionPolicy::default();
    policy.allowed_attributes = Some(vec!["note".to_owned()]);
    let policy = policy.with_action(Rule::NotAllowed, Action::Drop);
    let (redactor, _) = Redactor::new(&policy);
    let message = sample::traces("word").encode_to_vec();
    let screened = look_with(Kind::SPANS, message, &redactor, BOUNDS).unwrap();
    let request = decoded(&screened.body);
    let span = &request.resource_spans[0].scope_spans[0].spans[0];
    let keys: Vec<&str> = span
        .attributes
        .iter()
        .map(|pair| pair.key.as_str())
        .collect();
    // One without a value has nothing to hide.
    assert_eq!(keys, ["note", "nothing"]);
    assert_eq!(span.dropped_attributes_count, 2 + 8);
    assert_eq!(span.events[0].dropped_attributes_count, 8);
    assert_eq!(span.links[0].attributes.len(), 2);
}

#[test]
fn attributes_beyond_the_bound_are_dropped_and_counted() {
    let bounds = Bounds {
        attributes: 3,
        ..BOUNDS
    };
    let message = sample::traces("word").encode_to_vec();
    let screened = look_with(Kind::SPANS, message, &Redactor::default(), bounds).unwrap();
    let request = decoded(&screened.body);
    let span = &request.resource_spans[0].scope_spans[0].spans[0];
    assert_eq!(span.attributes.len(), 3);
    assert_eq!(span.dropped_attributes_count, 2 + 7);
    assert_eq!(
        request.resource_spans[0]
            .resource
            .as_ref()
            .unwrap()
            .dropped_attributes_count,
        8
    );
}

#[test]
fn spans_without_ids_and_beyond_the_bound_are_rejected_alone() {
    let mut spans: Vec<_> = (1..=6)
        .map(|number| sample::span(number, "ada@example.com"))
        .collect();
    spans[0].trace_id = vec![0; 16];
    spans[1].span_id.clear();
    spans[2].parent_span_id = vec![1; 7];
    spans[3].links[0].trace_id = vec![1; 3];
    let bounds = Bounds { items: 1, ..BOUNDS };
    let message = sample::request(spans, "x").encode_to_vec();
    let screened = look_with(Kind::SPANS, message, &Redactor::default(), bounds).unwrap();
    assert_eq!((screened.items, screened.rejected.count()), (1, 5));
    assert_eq!(
        screened.rejected.why(),
        "a span has no trace id or no span id"
    );
    let request = decoded(&screened.body);
    let kept = &request.resource_spans[0].scope_spans[0].spans;
    assert_eq!(kept.len(), 1);
    assert_eq!(
        (kept[0].trace_id[0], kept[0].name.as_str()),
        (5, "[REDACTED:email]")
    );
}

#[test]
fn spans_that_go_another_way_are_taken_out_and_not_counted_as_rejected() {
    let message = sample::traces("word").encode_to_vec();
    let taken = std::collections::HashSet::from([[2; 24]]);
    let redactor = Redactor::default();
    let screened =
        screen_without(&taken, message.into(), TRACES.schema, &redactor, BOUNDS).unwrap();
    assert_eq!((screened.items, screened.rejected.count()), (1, 0));
    let request = decoded(&screened.body);
    let kept = &request.resource_spans[0].scope_spans[0].spans;
    assert_eq!((kept.len(), kept[0].trace_id[0]), (1, 1));
}

#[test]
fn fields_that_nobody_knows_are_not_kept() {
    let mut message = sample::traces("word").encode_to_vec();
    wire::put_bytes(&mut message, 99, b"who knows: hunter2");
    let screened = look(Kind::SPANS, message).unwrap();
    assert_eq!(decoded(&screened.body), sample::traces("word"));
    assert!(!String::from_utf8_lossy(&screened.body).contains("hunter2"));
}

#[test]
fn a_value_of_two_kinds_is_refused_since_readers_differ_in_which_they_take() {
    let mut value = Vec::new();
    wire::put_bytes(&mut value, 1, b"one");
    wire::put_bytes(&mut value, 1, b"two");
    let nested = [value, b"attribute".to_vec()];
    let mut pair = Vec::new();
    wire::put_bytes(&mut pair, 1, &nested[1]);
    wire::put_bytes(&mut pair, 2, &nested[0]);
    let mut resource = Vec::new();
    wire::put_bytes(&mut resource, 1, &pair);
    let mut spans = Vec::new();
    wire::put_bytes(&mut spans, 1, &resource);
    let mut message = Vec::new();
    wire::put_bytes(&mut message, 1, &spans);
    assert!(matches!(
        look(Kind::SPANS, message),
        Err(Malformed::Broken(_))
    ));
}

#[test]
fn a_value_that_is_too_deep_is_refused() {
    let mut value = sample::value(Value::BoolValue(true));
    for _ in 0..60 {
        let values = vec![value];
        let list = opentelemetry_proto::tonic::common::v1::ArrayValue { values };
        value = sample::value(Value::ArrayValue(list));
    }
    let mut span = sample::span(1, "x");
    span.attributes[0].value = Some(value);
    let message = sample::request(vec![span], "x").encode_to_vec();
    assert_eq!(look(Kind::SPANS, message).unwrap_err(), Malformed::Deep(40));
}

#[test]
fn every_cut_is_refused_or_read_and_never_more_than_was_there() {
    for (kind, message) in sample::all("ada@example.com") {
        for end in 0..message.len() {
            if let Ok(screened) = look(kind, message[..end].to_vec()) {
                assert!(screened.items <= 2);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whatever is changed in a message, it is refused, or what is kept can be read and is clean.
    #[test]
    fn what_is_kept_can_be_read(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut message = sample::traces("ada@example.com").encode_to_vec();
        for (place, byte) in changes {
            let place = place.index(message.len());
            message[place] = byte;
        }
        if let Ok(screened) = look(Kind::SPANS, message) {
            let kept = ExportTraceServiceRequest::decode(&*screened.body);
            prop_assert!(kept.is_ok());
            let spans = kept.unwrap().resource_spans;
            let spans = spans.iter().flat_map(|of| &of.scope_spans);
            let spans: usize = spans.map(|of| of.spans.len()).sum();
            prop_assert_eq!(spans, screened.items);
            let again = look(Kind::SPANS, screened.body.to_vec()).unwrap();
            prop_assert_eq!(again.body, screened.body);
        }
    }
}
