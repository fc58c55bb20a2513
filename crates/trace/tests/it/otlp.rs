//! OTLP bytes, read beside the types that are generated from its definition.

use longshore_core::{SpanId, TraceId};
use longshore_instrument::{AttributeValue, SpanKind, SpanStatus};
use longshore_trace::otlp::{self, Decoder, MAX_DEPTH, Problem, SpanView, StatusView, Value};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1 as common;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Proto;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1 as proto;
use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message;

fn any(value: Option<Proto>) -> common::AnyValue {
    common::AnyValue { value }
}

fn pair(key: String, value: Option<common::AnyValue>) -> common::KeyValue {
    common::KeyValue {
        key,
        value,
        ..common::KeyValue::default()
    }
}

fn value() -> impl Strategy<Value = common::AnyValue> {
    let leaf = prop_oneof![
        Just(any(None)),
        ".{0,20}".prop_map(|text| any(Some(Proto::StringValue(text)))),
        any_of::<bool>().prop_map(|yes| any(Some(Proto::BoolValue(yes)))),
        any_of::<i64>().prop_map(|number| any(Some(Proto::IntValue(number)))),
        any_of::<f64>().prop_map(|number| any(Some(Proto::DoubleValue(number)))),
        vec(any_of::<u8>(), 0..9).prop_map(|bytes| any(Some(Proto::BytesValue(bytes)))),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        let list = vec(inner.clone(), 0..4)
            .prop_map(|values| any(Some(Proto::ArrayValue(common::ArrayValue { values }))));
        let map = vec((".{0,5}", inner), 0..4).prop_map(|pairs| {
            let values = pairs.into_iter().map(|(key, value)| pair(key, Some(value)));
            let values = values.collect();
            any(Some(Proto::KvlistValue(common::KeyValueList { values })))
        });
        prop_oneof![list, map]
    })
}

fn any_of<T: Arbitrary>() -> T::Strategy {
    proptest::prelude::any::<T>()
}

fn pairs() -> impl Strategy<Value = Vec<common::KeyValue>> {
    vec(
        (".{0,8}", proptest::option::weighted(0.9, value()))
            .prop_map(|(key, value)| pair(key, value)),
        0..5,
    )
}

fn id<const N: usize>() -> impl Strategy<Value = Vec<u8>> {
    any_of::<[u8; N]>().prop_map(|mut bytes| {
        bytes[0] |= 1;
        bytes.to_vec()
    })
}

fn event() -> impl Strategy<Value = proto::span::Event> {
    (
        0..=i64::MAX.unsigned_abs(),
        ".{0,9}",
        pairs(),
        any_of::<u32>(),
    )
        .prop_map(
            |(time_unix_nano, name, attributes, dropped_attributes_count)| proto::span::Event {
                time_unix_nano,
                name,
                attributes,
                dropped_attributes_count,
            },
        )
}

fn link() -> impl Strategy<Value = proto::span::Link> {
    let ids = (vec(0..3_u8, 15..=16), vec(0..3_u8, 7..=8));
    (ids, pairs(), any_of::<u32>()).prop_map(|((trace_id, span_id), attributes, flags)| {
        proto::span::Link {
            trace_id,
            span_id,
            trace_state: "ot=th:0".to_owned(),
            attributes,
            dropped_attributes_count: 3,
            flags,
        }
    })
}

fn span() -> impl Strategy<Value = proto::Span> {
    let ids = (
        id::<16>(),
        id::<8>(),
        prop_oneof![Just(Vec::new()), id::<8>()],
    );
    let times = (0..=i64::MAX.unsigned_abs(), 0..=i64::MAX.unsigned_abs());
    let inner = (pairs(), vec(event(), 0..3), vec(link(), 0..3));
    let status = proptest::option::of((0..4_i32, ".{0,9}"));
    let rest = (".{0,40}", 0..8_i32, any_of::<[u32; 4]>(), status);
    (ids, times, inner, rest).prop_map(|(ids, times, inner, rest)| {
        let (name, kind, counts, status) = rest;
        proto::Span {
            trace_id: ids.0,
            span_id: ids.1,
            parent_span_id: ids.2,
            trace_state: "a=b".to_owned(),
            flags: counts[0],
            name,
            kind,
            start_time_unix_nano: times.0,
            end_time_unix_nano: times.1,
            attributes: inner.0,
            dropped_attributes_count: counts[1],
            events: inner.1,
            dropped_events_count: counts[2],
            links: inner.2,
            dropped_links_count: counts[3],
            status: status.map(|(code, message)| proto::Status { message, code }),
        }
    })
}

fn request() -> impl Strategy<Value = ExportTraceServiceRequest> {
    let scope = (".{0,9}", ".{0,5}", pairs(), vec(span(), 0..4)).prop_map(
        |(name, version, attributes, spans)| proto::ScopeSpans {
            scope: Some(common::InstrumentationScope {
                name,
                version,
                attributes,
                dropped_attributes_count: 0,
            }),
            spans,
            schema_url: "https://x".to_owned(),
        },
    );
    let resource = (pairs(), vec(scope, 0..3)).prop_map(|(attributes, scope_spans)| {
        let resource = Resource {
            attributes,
            ..Resource::default()
        };
        proto::ResourceSpans {
            resource: Some(resource),
            scope_spans,
            schema_url: String::new(),
        }
    });
    vec(resource, 0..3).prop_map(|resource_spans| ExportTraceServiceRequest { resource_spans })
}

fn same_value(read: Value<'_>, wanted: Option<&common::AnyValue>) -> bool {
    match (read, wanted.and_then(|value| value.value.as_ref())) {
        (Value::Empty, None) => true,
        (Value::Text(read), Some(Proto::StringValue(wanted))) => read == wanted,
        (Value::Bool(read), Some(Proto::BoolValue(wanted))) => read == *wanted,
        (Value::Int(read), Some(Proto::IntValue(wanted))) => read == *wanted,
        (Value::Double(read), Some(Proto::DoubleValue(wanted))) => {
            read.to_bits() == wanted.to_bits()
        }
        (Value::Bytes(read), Some(Proto::BytesValue(wanted))) => read == wanted,
        (Value::List(read), Some(Proto::ArrayValue(wanted))) => {
            let read: Vec<_> = read.collect();
            read.len() == wanted.values.len()
                && read
                    .iter()
                    .zip(&wanted.values)
                    .all(|(read, wanted)| same_value(*read, Some(wanted)))
        }
        (Value::Map(read), Some(Proto::KvlistValue(wanted))) => same_pairs(read, &wanted.values),
        _ => false,
    }
}

fn same_pairs<'a>(
    read: impl Iterator<Item = (&'a str, Value<'a>)>,
    wanted: &[common::KeyValue],
) -> bool {
    let read: Vec<_> = read.collect();
    read.len() == wanted.len()
        && read.iter().zip(wanted).all(|((key, value), wanted)| {
            *key == wanted.key && same_value(*value, wanted.value.as_ref())
        })
}

fn same_span(read: &SpanView<'_>, wanted: &proto::Span) {
    assert_eq!(read.trace_id.to_bytes(), wanted.trace_id[..]);
    assert_eq!(read.span_id.to_bytes(), wanted.span_id[..]);
    let parent = read.parent_span_id.map(SpanId::to_bytes);
    assert_eq!(
        parent.map(Vec::from).unwrap_or_default(),
        wanted.parent_span_id
    );
    assert_eq!(read.trace_state, wanted.trace_state);
    assert_eq!(u32::from(read.flags.bits()), wanted.flags & 3);
    assert_eq!(read.parent_is_remote, wanted.flags & 0x300 == 0x300);
    assert_eq!(read.name, wanted.name);
    let kind = match wanted.kind {
        2 => SpanKind::Server,
        3 => SpanKind::Client,
        4 => SpanKind::Producer,
        5 => SpanKind::Consumer,
        _ => SpanKind::Internal,
    };
    assert_eq!(read.kind, kind);
    assert_eq!(
        read.start.unix_nanos_unsigned(),
        wanted.start_time_unix_nano
    );
    assert_eq!(read.end.unix_nanos_unsigned(), wanted.end_time_unix_nano);
    let status = match &wanted.status {
        Some(status) if status.code == 1 => StatusView::Ok,
        Some(status) if status.code == 2 => StatusView::Error(&status.message),
        _ => StatusView::Unset,
    };
    assert_eq!(read.status, status);
    assert_eq!(read.dropped.attributes, wanted.dropped_attributes_count);
    assert_eq!(read.dropped.events, wanted.dropped_events_count);
    assert_eq!(read.dropped.links, wanted.dropped_links_count);
    assert!(same_pairs(read.attributes(), &wanted.attributes));
    let events: Vec<_> = read.events().collect();
    assert_eq!(events.len(), wanted.events.len());
    for (read, wanted) in events.iter().zip(&wanted.events) {
        assert_eq!(read.name, wanted.name);
        assert_eq!(read.at.unix_nanos_unsigned(), wanted.time_unix_nano);
        assert_eq!(read.dropped_attributes, wanted.dropped_attributes_count);
        assert!(same_pairs(read.attributes(), &wanted.attributes));
    }
    let links: Vec<_> = read.links().collect();
    assert_eq!(links.len(), wanted.links.len());
    for (read, wanted) in links.iter().zip(&wanted.links) {
        let trace = <[u8; 16]>::try_from(&wanted.trace_id[..])
            .ok()
            .and_then(TraceId::from_bytes);
        let span = <[u8; 8]>::try_from(&wanted.span_id[..])
            .ok()
            .and_then(SpanId::from_bytes);
        assert_eq!(read.to, trace.zip(span));
        assert_eq!(u32::from(read.flags.bits()), wanted.flags & 3);
        assert_eq!(read.trace_state, wanted.trace_state);
        assert_eq!(read.dropped_attributes, wanted.dropped_attributes_count);
        assert!(same_pairs(read.attributes(), &wanted.attributes));
    }
}

/// Every span of a request as the generated types have it, with what it stands in.
fn all(
    request: &ExportTraceServiceRequest,
) -> Vec<(&proto::ResourceSpans, &proto::ScopeSpans, &proto::Span)> {
    let mut all = Vec::new();
    for resource in &request.resource_spans {
        for scope in &resource.scope_spans {
            all.extend(scope.spans.iter().map(|span| (resource, scope, span)));
        }
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn spans_are_read_as_the_generated_types_read_them(request in request()) {
        let bytes = request.encode_to_vec();
        let read: Vec<_> = otlp::spans(&bytes).map(Result::unwrap).collect();
        let wanted = all(&request);
        prop_assert_eq!(read.len(), wanted.len());
        for (read, (resource, scope, span)) in read.iter().zip(&wanted) {
            let known = &resource.resource.as_ref().unwrap().attributes;
            prop_assert!(same_pairs(read.resource.attributes(), known));
            let library = scope.scope.as_ref().unwrap();
            prop_assert_eq!(read.scope.name, &library.name);
            prop_assert_eq!(read.scope.version, &library.version);
            prop_assert!(same_pairs(read.scope.attributes(), &library.attributes));
            same_span(read, span);
        }
        let decoded = Decoder::default().decode(&bytes);
        prop_assert!(decoded.errors.is_empty());
        for (decoded, view) in decoded.spans.iter().zip(&read) {
            prop_assert_eq!(&*decoded.name, view.name);
            prop_assert_eq!(decoded.attributes.len(), view.attributes().count());
            prop_assert_eq!(decoded.status.is_error(), matches!(view.status, StatusView::Error(_)));
            let lost = decoded.dropped.links.saturating_sub(view.dropped.links);
            if view.dropped.links < u32::MAX - 9 {
                prop_assert_eq!(decoded.links.len() + lost as usize, view.links().count());
            }
        }
    }

    #[test]
    fn what_is_read_of_damaged_bytes_is_what_the_generated_types_read(
        request in request(),
        changes in vec((any_of::<prop::sample::Index>(), any_of::<u8>(), 0..3_u8), 1..4),
    ) {
        let mut bytes = request.encode_to_vec();
        for (at, byte, how) in changes {
            let at = at.index(bytes.len() + 1);
            match how {
                0 => bytes.truncate(at),
                1 => bytes.insert(at, byte),
                _ => if let Some(slot) = bytes.get_mut(at) { *slot = byte },
            }
        }
        let read: Vec<_> = otlp::spans(&bytes).collect();
        for error in read.iter().filter_map(|item| item.as_ref().err()) {
            prop_assert!(error.at <= bytes.len());
        }
        let fatal = read.iter().position(|item| item.as_ref().is_err_and(|error| !error.one_span));
        prop_assert!(fatal.is_none_or(|at| at + 1 == read.len()));
        if read.iter().all(Result::is_ok) {
            // What is not read is not checked here, and refused there.
            if let Ok(taken) = ExportTraceServiceRequest::decode(&bytes[..]) {
                prop_assert_eq!(all(&taken).len(), read.len());
            }
        }
        let decoded = Decoder::default().decode(&bytes);
        prop_assert_eq!(decoded.spans.len() + decoded.refused, read.len());
    }
}

fn one(span: proto::Span) -> ExportTraceServiceRequest {
    ExportTraceServiceRequest {
        resource_spans: vec![proto::ResourceSpans {
            scope_spans: vec![proto::ScopeSpans {
                spans: vec![span],
                ..proto::ScopeSpans::default()
            }],
            ..proto::ResourceSpans::default()
        }],
    }
}

fn plain() -> proto::Span {
    proto::Span {
        trace_id: vec![7; 16],
        span_id: vec![9; 8],
        name: "work".to_owned(),
        ..proto::Span::default()
    }
}

fn with_value(value: common::AnyValue) -> Vec<u8> {
    let span = proto::Span {
        attributes: vec![pair("x".to_owned(), Some(value))],
        ..plain()
    };
    one(span).encode_to_vec()
}

#[test]
fn damage_in_one_span_leaves_the_others() {
    let mut request = one(plain());
    let spans = &mut request.resource_spans[0].scope_spans[0].spans;
    for (trace_id, span_id) in [
        (vec![0; 16], vec![9; 8]),
        (vec![7; 16], vec![9; 7]),
        (vec![], vec![]),
    ] {
        spans.push(proto::Span {
            trace_id,
            span_id,
            ..plain()
        });
    }
    spans.push(plain());
    let bytes = request.encode_to_vec();
    let problems: Vec<_> = otlp::spans(&bytes)
        .map(|item| item.err().map(|error| error.problem))
        .collect();
    let (trace, span) = (Some(Problem::TraceId), Some(Problem::SpanId));
    assert_eq!(problems, [None, trace, span, trace, None]);
    let decoded = Decoder::default().decode(&bytes);
    assert_eq!((decoded.spans.len(), decoded.refused), (2, 3));
    // Three heads, two of them with a length of two bytes; then the first span and the second's head.
    let first = 8 + plain().encoded_len() + 2;
    assert_eq!(
        decoded.errors[0].to_string(),
        format!("not OTLP at byte {first}, in span: a trace id is not 16 bytes, or zero")
    );
}

#[test]
fn nesting_has_an_end() {
    let nested = |depth: usize| {
        let list = |value| {
            any(Some(Proto::ArrayValue(common::ArrayValue {
                values: vec![value],
            })))
        };
        (0..depth).fold(any(Some(Proto::BoolValue(true))), |value, _| list(value))
    };
    let deepest = with_value(nested(MAX_DEPTH));
    assert!(otlp::spans(&deepest).all(|item| item.is_ok()));
    let json = Decoder::default().decode(&deepest);
    let wanted = format!("{}true{}", "[".repeat(MAX_DEPTH), "]".repeat(MAX_DEPTH));
    assert_eq!(
        json.spans[0].attributes[0].value,
        AttributeValue::from(wanted)
    );
    let deeper = with_value(nested(MAX_DEPTH + 1));
    let error = otlp::spans(&deeper).next().unwrap().unwrap_err();
    assert_eq!((error.problem, error.one_span), (Problem::Depth, true));
}

#[test]
fn what_attributes_cannot_hold_becomes_text() {
    let text = |text: &str| any(Some(Proto::StringValue(text.to_owned())));
    let list = |values| any(Some(Proto::ArrayValue(common::ArrayValue { values })));
    let map = common::KeyValueList {
        values: vec![
            pair(
                "a\"\u{1}\n".to_owned(),
                Some(list(vec![any(Some(Proto::DoubleValue(f64::NAN)))])),
            ),
            pair("b".to_owned(), None),
        ],
    };
    for (value, wanted) in [
        (
            list(vec![text("x"), text("")]),
            AttributeValue::Strings(vec!["x".into(), "".into()]),
        ),
        (
            list(vec![text("x"), any(Some(Proto::IntValue(-1)))]),
            "[\"x\",-1]".into(),
        ),
        (
            any(Some(Proto::KvlistValue(map))),
            r#"{"a\"\u0001\n":["NaN"],"b":null}"#.into(),
        ),
        (any(Some(Proto::BytesValue(b"Ma".to_vec()))), "TWE=".into()),
        (
            any(Some(Proto::BytesValue(b"Many".to_vec()))),
            "TWFueQ==".into(),
        ),
        (any(Some(Proto::BytesValue(b"Man".to_vec()))), "TWFu".into()),
        (any(None), "".into()),
    ] {
        let decoded = Decoder::default().decode(&with_value(value));
        assert_eq!(decoded.spans[0].attributes[0].value, wanted);
    }
}

#[test]
fn a_resource_behind_its_spans_counts_and_is_shared() {
    // Parts may come in any order: here the resource is last.
    let mut resource_spans = one(plain()).resource_spans[0].encode_to_vec();
    let shop = pair(
        "service.name".to_owned(),
        Some(any(Some(Proto::StringValue("shop".to_owned())))),
    );
    let resource = Resource {
        attributes: vec![shop],
        ..Resource::default()
    }
    .encode_to_vec();
    resource_spans.extend([0x0a, u8::try_from(resource.len()).unwrap()]);
    resource_spans.extend(&resource);
    let mut bytes = vec![0x0a, u8::try_from(resource_spans.len()).unwrap()];
    bytes.extend(&resource_spans);
    let view = otlp::spans(&bytes).next().unwrap().unwrap();
    assert_eq!(view.resource.service(), Some("shop"));
    let mut decoder = Decoder::default();
    let (one, other) = (decoder.decode(&bytes), decoder.decode(&bytes));
    assert_eq!(one.spans[0].service(), Some("shop"));
    let resource = |decoded: &otlp::Decoded| decoded.spans[0].resource.clone().unwrap();
    assert!(std::sync::Arc::ptr_eq(&resource(&one), &resource(&other)));
    assert_eq!(one.spans[0].status, SpanStatus::Unset);
}
