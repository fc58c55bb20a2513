use super::*;

fn span() -> Span {
    let at = Timestamp::from_unix_nanos;
    let context =
        SpanContext::from_traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
            .unwrap();
    Span {
        trace_id: context.trace_id,
        span_id: SpanId::from_u64(7),
        parent_span_id: Some(context.span_id),
        parent_is_remote: true,
        flags: context.flags,
        trace_state: TraceState::parse("ot=th:0").0,
        name: "GET /orders".into(),
        kind: SpanKind::Server,
        start: at(1_700_000_000_123_456_789),
        end: at(1_700_000_001_123_456_789),
        attributes: vec![
            Attribute::new("text", "ü"),
            Attribute::new("int", i64::MIN),
            Attribute::new("double", 0.5),
            Attribute::new("infinite", f64::NEG_INFINITY),
            Attribute::new("yes", true),
            Attribute {
                key: "list".into(),
                value: AttributeValue::Strings(vec!["a".into(), "b".into()]),
            },
        ],
        events: vec![SpanEvent {
            name: "retry".into(),
            at: at(1_700_000_000_500_000_000),
            attributes: vec![Attribute::new("n", 1_i64)],
        }],
        links: vec![SpanLink {
            context,
            attributes: vec![Attribute::new("why", "enqueue")],
        }],
        status: SpanStatus::Error("no room".into()),
        scope: "web".into(),
        dropped: Dropped {
            attributes: 1,
            events: 2,
            links: 3,
        },
        resource: Some(Arc::new(Resource {
            attributes: vec![Attribute::new("service.name", "shop")],
        })),
    }
}

#[test]
fn a_span_comes_back_as_it_went() {
    let spans = vec![
        span(),
        Span {
            resource: None,
            status: SpanStatus::Ok,
            ..span()
        },
    ];
    let text = serde_json::to_string(&TracesData::of(&spans)).unwrap();
    let back: TracesData = serde_json::from_str(&text).unwrap();
    assert_eq!(back.into_spans(), spans);
}

#[test]
fn one_by_one_the_same_is_written() {
    let elsewhere = Span {
        scope: "other".into(),
        ..span()
    };
    let spans = vec![span(), span(), elsewhere];
    let at_once = serde_json::to_string(&TracesData::of(&spans)).unwrap();
    let each = serde_json::to_string(&WrittenSpans::new(spans)).unwrap();
    assert_eq!(each, at_once);
}

#[test]
fn the_names_are_those_of_otlp() {
    let text = serde_json::to_string(&TracesData::of(&[span()])).unwrap();
    for part in [
        r#"{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}}]}"#,
        r#""scopeSpans":[{"scope":{"name":"web"}"#,
        r#""traceId":"0af7651916cd43dd8448eb211c80319c""#,
        r#""startTimeUnixNano":"1700000000123456789""#,
        r#""status":{"message":"no room","code":2}"#,
        r#""flags":769"#,
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
}
