use longshore_core::{SpanId, Timestamp, TraceId, TraceState};
use longshore_instrument::span::Dropped;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, InstrumentationScope, KeyValue,
};
use opentelemetry_proto::tonic::trace::v1 as proto;
use prost::Message;

use super::*;

fn context(id: u64) -> SpanContext {
    SpanContext {
        trace_id: TraceId::from_u128(u128::MAX - u128::from(id)),
        span_id: SpanId::from_u64(id),
        flags: TraceFlags::SAMPLED,
        trace_state: TraceState::parse("ot=th:0").0,
    }
}

/// A span with something in every field, texts of `length` bytes among it.
fn full(length: usize) -> Span {
    let text = "é".repeat(length / 2);
    Span {
        trace_id: TraceId::from_u128(7),
        span_id: SpanId::from_u64(u64::MAX),
        parent_span_id: Some(SpanId::from_u64(300)),
        parent_is_remote: true,
        flags: TraceFlags::SAMPLED,
        trace_state: TraceState::parse("ot=th:8,x=1").0,
        name: "job.process".into(),
        kind: SpanKind::Consumer,
        start: Timestamp::from_unix_nanos(1),
        end: Timestamp::from_unix_nanos(i64::MAX),
        attributes: vec![
            Attribute::new("text", text.clone()),
            Attribute::new("empty", ""),
            Attribute::new("zero", 0_i64),
            Attribute::new("negative", -1_i64),
            Attribute::new("number", 1.5),
            Attribute::new("no", false),
            Attribute {
                key: "texts".into(),
                value: AttributeValue::Strings(vec![text.clone().into(), "".into()]),
            },
        ],
        events: vec![SpanEvent {
            name: "long_wait".into(),
            at: Timestamp::from_unix_nanos(2),
            attributes: vec![Attribute::new("yes", true)],
        }],
        links: vec![SpanLink {
            context: context(9),
            attributes: vec![Attribute::new("why", "enqueue")],
        }],
        status: SpanStatus::Error(text.into()),
        scope: Span::ENGINE_SCOPE.into(),
        dropped: Dropped {
            attributes: 1,
            events: 2,
            links: 300,
        },
        resource: None,
    }
}

fn value(value: Value) -> AnyValue {
    AnyValue { value: Some(value) }
}

fn pair(key: &str, value: Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(self::value(value)),
        ..KeyValue::default()
    }
}

/// What [`full`] is to be read as.
fn expected(length: usize) -> proto::Span {
    let text = "é".repeat(length / 2);
    proto::Span {
        trace_id: 7_u128.to_be_bytes().to_vec(),
        span_id: vec![0xff; 8],
        trace_state: "ot=th:8,x=1".to_owned(),
        parent_span_id: 300_u64.to_be_bytes().to_vec(),
        flags: 0x301,
        name: "job.process".to_owned(),
        kind: proto::span::SpanKind::Consumer.into(),
        start_time_unix_nano: 1,
        end_time_unix_nano: i64::MAX.unsigned_abs(),
        attributes: vec![
            pair("text", Value::StringValue(text.clone())),
            pair("empty", Value::StringValue(String::new())),
            pair("zero", Value::IntValue(0)),
            pair("negative", Value::IntValue(-1)),
            pair("number", Value::DoubleValue(1.5)),
            pair("no", Value::BoolValue(false)),
            pair(
                "texts",
                Value::ArrayValue(ArrayValue {
                    values: vec![
                        value(Value::StringValue(text.clone())),
                        value(Value::StringValue(String::new())),
                    ],
                }),
            ),
        ],
        dropped_attributes_count: 1,
        events: vec![proto::span::Event {
            time_unix_nano: 2,
            name: "long_wait".to_owned(),
            attributes: vec![pair("yes", Value::BoolValue(true))],
            dropped_attributes_count: 0,
        }],
        dropped_events_count: 2,
        links: vec![proto::span::Link {
            trace_id: context(9).trace_id.to_bytes().to_vec(),
            span_id: 9_u64.to_be_bytes().to_vec(),
            trace_state: "ot=th:0".to_owned(),
            attributes: vec![pair("why", Value::StringValue("enqueue".to_owned()))],
            dropped_attributes_count: 0,
            flags: 1,
        }],
        dropped_links_count: 300,
        status: Some(proto::Status {
            message: text,
            code: proto::status::StatusCode::Error.into(),
        }),
    }
}

fn read(resource: &Resource, spans: &[Span]) -> proto::ResourceSpans {
    let bytes = request(resource, spans);
    let request = ExportTraceServiceRequest::decode(&*bytes).unwrap();
    let [resource_spans] = <[_; 1]>::try_from(request.resource_spans).unwrap();
    resource_spans
}

#[test]
fn every_field_is_read_back_with_the_types_generated_from_the_definition() {
    let resource = Resource::new([("service.name".to_owned(), "shop".to_owned())]);
    // Around the lengths at which a length takes a byte more.
    for length in [
        0, 20, 100, 118, 120, 122, 124, 126, 128, 130, 16_300, 16_400, 40_000,
    ] {
        let read = read(&resource, &[full(length)]);
        let pairs = read.resource.unwrap().attributes;
        let shop = pair("service.name", Value::StringValue("shop".to_owned()));
        assert_eq!(pairs, [shop]);
        let [scope] = <[_; 1]>::try_from(read.scope_spans).unwrap();
        assert_eq!(scope.spans, [expected(length)], "{length}");
    }
}

#[test]
fn spans_are_grouped_by_scope_in_their_order() {
    let named = |scope: &'static str, id| Span {
        span_id: SpanId::from_u64(id),
        scope: scope.into(),
        ..full(10)
    };
    let spans = [
        named("shop", 1),
        named(Span::ENGINE_SCOPE, 2),
        named("shop", 3),
    ];
    let read = read(&Resource::new([]), &spans);
    let scope = |name: &str, version: &str| InstrumentationScope {
        name: name.to_owned(),
        version: version.to_owned(),
        ..InstrumentationScope::default()
    };
    let seen: Vec<_> = read
        .scope_spans
        .into_iter()
        .map(|group| {
            let last_byte = |span: &proto::Span| *span.span_id.last().unwrap();
            let ids: Vec<u8> = group.spans.iter().map(last_byte).collect();
            (group.scope.unwrap(), ids)
        })
        .collect();
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(
        seen,
        [
            (scope("shop", ""), vec![1, 3]),
            (scope(Span::ENGINE_SCOPE, version), vec![2])
        ]
    );
}

#[test]
fn spans_of_other_programs_stand_under_their_own_resource() {
    let resource = |name: &str| {
        let attributes = vec![Attribute::new("service.name", name.to_owned())];
        Some(Arc::new(longshore_instrument::Resource { attributes }))
    };
    let (till, shop) = (resource("till"), resource("shop"));
    let of = |resource: &Option<_>, id| Span {
        span_id: SpanId::from_u64(id),
        resource: resource.clone(),
        ..full(10)
    };
    let spans = [of(&None, 1), of(&till, 2), of(&till, 3), of(&shop, 4)];
    let own = Resource::new([("service.name".to_owned(), "longshore".to_owned())]);
    let request = ExportTraceServiceRequest::decode(&*request(&own, &spans)).unwrap();
    let groups = request.resource_spans.into_iter().map(|group| {
        let spans = group.scope_spans.iter().map(|scope| scope.spans.len());
        (group.resource.unwrap().attributes, spans.sum::<usize>())
    });
    let service = |name: &str| vec![pair("service.name", Value::StringValue(name.into()))];
    let expected = [
        (service("longshore"), 1),
        (service("till"), 2),
        (service("shop"), 1),
    ];
    assert_eq!(groups.collect::<Vec<_>>(), expected);
}

#[test]
fn a_plain_span_leaves_out_what_it_does_not_have() {
    let plain = Span {
        parent_span_id: None,
        parent_is_remote: false,
        trace_state: TraceState::EMPTY,
        attributes: Vec::new(),
        events: Vec::new(),
        links: Vec::new(),
        status: SpanStatus::Unset,
        dropped: Dropped::default(),
        ..full(0)
    };
    let read = read(&Resource::new([]), &[plain]);
    let span = read.scope_spans.first().unwrap().spans.first().unwrap();
    assert_eq!(
        *span,
        proto::Span {
            trace_id: 7_u128.to_be_bytes().to_vec(),
            span_id: vec![0xff; 8],
            flags: 0x101,
            name: "job.process".to_owned(),
            kind: proto::span::SpanKind::Consumer.into(),
            start_time_unix_nano: 1,
            end_time_unix_nano: i64::MAX.unsigned_abs(),
            status: Some(proto::Status::default()),
            ..proto::Span::default()
        }
    );
}
