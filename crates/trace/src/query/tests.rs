use longshore_core::{SpanId, TraceFlags, TraceState};
use longshore_instrument::table::{key, name};
use longshore_instrument::{Attribute, Dropped, Span, SpanEvent, SpanKind, SpanStatus};
use proptest::prelude::*;

use super::*;
use crate::TraceSummary;

mod sought;

fn now() -> Timestamp {
    "2026-05-01T08:30:00Z".parse().unwrap()
}

fn query(text: &str) -> Query {
    parse(text, now()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn span(id: u64, name: &'static str, attributes: Vec<Attribute>) -> Span {
    Span {
        trace_id: TraceId::from_u128(0xabc),
        span_id: SpanId::from_u64(id),
        parent_span_id: (id > 1).then(|| SpanId::from_u64(1)),
        parent_is_remote: false,
        flags: TraceFlags::default(),
        trace_state: TraceState::EMPTY,
        name: name.into(),
        kind: SpanKind::Internal,
        start: now().before(Duration::from_secs(600)),
        end: now().before(Duration::from_secs(597)),
        attributes,
        events: Vec::new(),
        links: Vec::new(),
        status: SpanStatus::Unset,
        scope: Span::ENGINE_SCOPE.into(),
        dropped: Dropped::default(),
        resource: None,
    }
}

/// An attempt at an order that failed, with a query beneath it.
fn order() -> Vec<Span> {
    let mut process = span(
        1,
        name::PROCESS,
        vec![
            Attribute::new(key::QUEUE, "orders"),
            Attribute::new(key::KIND, "order.process"),
            Attribute::new(key::JOB_ID, "0196-order"),
            Attribute::new(key::TENANT, "t-17"),
            Attribute::new(key::ATTEMPT, 2_u32),
            Attribute::new(key::OUTCOME, "discarded"),
            Attribute::new(key::ERROR_TYPE, "payment_declined"),
        ],
    );
    process.status = SpanStatus::Error("".into());
    process.events.push(SpanEvent {
        name: "job_failed".into(),
        at: process.end,
        attributes: vec![Attribute::new(key::EXCEPTION_MESSAGE, "card 42 refused")],
    });
    let database = span(
        2,
        "SELECT orders",
        vec![
            Attribute::new("http.response.status_code", 502_i64),
            Attribute::new("longshore.job.meta.order", "A-17"),
            Attribute::new("db.seconds", 1.5),
        ],
    );
    vec![process, database]
}

fn finds(text: &str) -> bool {
    let spans = order();
    let summary = TraceSummary::of(TraceId::from_u128(0xabc), &spans);
    query(text).matches(&summary, || spans)
}

#[test]
fn each_kind_of_condition_finds_what_it_says_and_nothing_else() {
    for text in [
        "",
        "ORDER",
        "orders error >2s tenant.id=t-17 since:1h",
        "select",
        "refused",
        "\"card 42\"",
        "A-17",
        "502",
        "queue=orders kind:order.process",
        "queue.name=orders job.type=order.process",
        "-queue=mail",
        "queue!=mail",
        "name~SELECT",
        "name=\"SELECT orders\"",
        "attempt>1 attempt<=2",
        "duration=3s",
        "has:tenant",
        "tenant:*",
        "has:meta.order",
        "meta.order=A-17",
        "http.response.status_code>=500",
        "http.response.status_code=502",
        "db.seconds>1s",
        "db.seconds=1.5",
        "status=error",
        "outcome=discarded",
        "error.type=payment_declined",
        "exception.message~refused",
        "mail OR orders",
        "(mail OR orders) error",
        "-(mail OR ok)",
        "until:5m",
        "until:2026-05-01",
        "job=0196-order",
        "spans=2 errors=1",
        "has:error.type",
        "kept=no",
        "trace~ABC",
    ] {
        assert!(finds(text), "{text}");
    }
    for text in [
        "mail",
        "\"card 43\"",
        "ok",
        "running",
        ">3s",
        "<3s",
        "since:5m",
        "until:1h",
        "queue=order",
        "-queue=orders",
        "tenant!=t-17",
        "has:http.route",
        "http.response.status_code<500",
        "error -select",
        "mail OR ok",
        "tag=vip",
        "kept=yes",
        "meta.order=a-17",
        "orphans>0",
    ] {
        assert!(!finds(text), "{text}");
    }
}

#[test]
fn spans_are_fetched_only_if_the_summary_does_not_say() {
    let spans = order();
    let summary = TraceSummary::of(TraceId::from_u128(0xabc), &spans);
    for text in [
        "orders error",
        "queue=mail",
        "ok select",
        "tenant=x",
        ">2s",
        "mail -error",
        "queue=orders OR select",
    ] {
        let decided = query(text).decide(&summary);
        assert!(decided.is_some(), "{text}");
        let asked = query(text).matches(&summary, || -> Vec<Span> { panic!("{text}") });
        assert_eq!(Some(asked), decided);
    }
    for text in ["mail", "select", "http.route=/", "-mail", "name=x"] {
        assert_eq!(query(text).decide(&summary), None, "{text}");
    }
}

#[test]
fn a_job_of_which_nothing_has_ended_is_not_ok() {
    let mut spans = order();
    let waits = TraceSummary::of(TraceId::from_u128(0xabc), &spans[..0]);
    let waits = TraceSummary {
        job_ids: vec!["0196-order".to_owned()],
        ..waits
    };
    assert!(!query("ok").matches(&waits, || &spans[..0]));
    spans[0].status = SpanStatus::Unset;
    spans[0].attributes[5] = Attribute::new(key::OUTCOME, "completed");
    let over = TraceSummary::of(TraceId::from_u128(0xabc), &spans[..1]);
    assert!(query("ok").matches(&over, || &spans[..1]));
}

#[test]
fn what_is_known_of_one_job_alone_decides_nothing_about_others() {
    let mut spans = order();
    let mut mail = span(3, name::PROCESS, Vec::new());
    mail.start = mail.start.after(Duration::from_secs(1));
    let tags = ["vip".into()].to_vec();
    mail.attributes = vec![
        Attribute::new(key::JOB_ID, "0196-mail"),
        Attribute::new(key::TENANT, "t-18"),
        Attribute {
            key: key::TAGS.into(),
            value: longshore_instrument::AttributeValue::Strings(tags),
        },
    ];
    spans.push(mail);
    let summary = TraceSummary::of(TraceId::from_u128(0xabc), &spans);
    for text in ["tag=vip", "tenant=t-18", "tag=vip tenant=t-17"] {
        assert!(query(text).matches(&summary, || &spans[..]), "{text}");
    }
    for text in ["tag=other", "tenant=t-19"] {
        assert!(!query(text).matches(&summary, || &spans[..]), "{text}");
    }
}

#[test]
fn the_spans_that_somebody_looked_for_are_found() {
    let spans = order();
    let found = |text: &str| -> Vec<u64> {
        let query = query(text);
        let found = spans.iter().filter(|span| query.finds(span));
        found.map(|span| span.span_id.to_u64()).collect()
    };
    assert_eq!(found("select"), [2]);
    assert_eq!(found("refused OR 502"), [1, 2]);
    assert_eq!(found("error"), [1]);
    assert_eq!(found("-select since:1h"), Vec::<u64>::new());
}

#[test]
fn what_is_printed_is_what_was_meant() {
    for (typed, printed) in [
        ("  orders   error ", "orders error"),
        ("\"error\"", "\"error\""),
        ("status:error", "error"),
        (">2s", "duration>2s"),
        ("queue:orders", "queue=orders"),
        ("queue!=orders", "-queue=orders"),
        ("--queue=orders", "queue=orders"),
        ("tenant:*", "has:tenant"),
        ("tenant=\"*\"", "tenant=\"*\""),
        ("a AND b OR c", "a b OR c"),
        ("a (b OR c)", "a (b OR c)"),
        ("(a (b c))", "a b c"),
        ("-(a b)", "-(a b)"),
        ("()", ""),
        ("name=\"GET /\"", "name=\"GET /\""),
        ("\"say \\\"hi\\\"\"", "\"say \\\"hi\\\"\""),
        ("until:2026-05-01", "until:2026-05-02T00:00:00Z"),
        ("http://shop/orders", "\"http://shop/orders\""),
        ("10:30", "\"10:30\""),
        ("OR.", "OR."),
        ("wait>90s", "wait>1m30s"),
    ] {
        assert_eq!(query(typed).to_string(), printed, "{typed}");
    }
}

#[test]
fn errors_say_where_and_how_to_mend_it() {
    for (text, at, what, nearest) in [
        ("orders queu=x", 7..11, "is no key", Some("queue")),
        ("tenan:*", 0..5, "is no key", Some("tenant")),
        ("has:sevrice", 4..11, "is no key", Some("service")),
        ("order=1", 0..5, "is no key", Some("meta.order")),
        ("foo=1", 0..3, "is no key", Some("meta.foo")),
        ("wait>60", 5..7, "with its unit", None),
        ("attempt>many", 8..12, "is a number", None),
        ("attempt~1", 8..9, "is no text", None),
        ("queue>1", 6..7, "is a text", None),
        ("http.route>x", 11..12, "neither a number", None),
        ("status=bad", 7..10, "`error`, `ok`, `running`", None),
        ("kept=maybe", 5..10, "`yes` or `no`", None),
        ("since:yesterday", 6..15, "how long ago", None),
        ("since>1h", 6..8, "how long ago", None),
        ("queue=", 0..6, "lacks a value", None),
        ("a >", 2..3, "a duration is missing", None),
        ("\"open", 0..5, "not closed", None),
        ("x=\"", 2..3, "not closed", None),
        ("(a", 0..1, "not closed", None),
        ("a)", 1..2, "closes nothing", None),
        ("a OR", 4..4, "stands between", None),
        ("OR a", 0..2, "stands between", None),
        ("a - b", 2..3, "right before", None),
        ("a -", 2..3, "right before", None),
        ("-)", 0..1, "right before", None),
    ] {
        let error = parse(text, now()).unwrap_err();
        assert_eq!(error.at, at, "{text}: {error}");
        assert!(error.what.contains(what), "{text}: {error}");
        assert_eq!(error.nearest.as_deref(), nearest, "{text}");
    }
    let many = "a ".repeat(65);
    assert!(parse(&many, now()).is_err());
    let deep = "(".repeat(17) + &")".repeat(17);
    assert!(parse(&deep, now()).is_err());
    assert!(parse(&"-".repeat(3_000), now()).is_err());
    assert!(parse(&"a".repeat(5_000), now()).is_err());
}

#[test]
fn ids_anywhere_are_places_to_go_to() {
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let id = TraceId::from_hex(trace).unwrap();
    let uuid = "019b2c00-0000-7000-8000-000000000001";
    let job = |id: &str| id.parse::<JobId>().unwrap();
    for (text, jump) in [
        (trace.to_owned(), Some(Jump::Trace(id, None))),
        (format!("orders {trace} error"), Some(Jump::Trace(id, None))),
        (format!("trace={trace}"), Some(Jump::Trace(id, None))),
        (format!("error {uuid}"), Some(Jump::Job(job(uuid)))),
        (
            "job.id=order-17 since:1h".to_owned(),
            Some(Jump::Job(job("order-17"))),
        ),
        ("order-17".to_owned(), Some(Jump::Perhaps(job("order-17")))),
        ("order-17 error".to_owned(), None),
        (format!("-{trace}"), None),
        (String::new(), None),
    ] {
        assert_eq!(query(&text).jump(), jump, "{text}");
    }
}

#[test]
fn what_an_index_may_start_from_is_told() {
    let query = query("queue=orders since:1h (a OR b) -queue=mail since:30m until:5m");
    assert_eq!(query.required_value(&Key::Queue), Some("orders"));
    assert_eq!(query.required().count(), 4);
    let ago = |minutes: u64| Some(now().before(Duration::from_secs(minutes * 60)));
    assert_eq!((query.since(), query.until()), (ago(30), ago(5)));
    assert_eq!(
        super::parse("queue=a OR queue=b", now())
            .unwrap()
            .required_value(&Key::Queue),
        None
    );
}

#[test]
fn completions_fit_where_the_cursor_is() {
    let values = |key: &str, prefix: &str| -> Vec<String> {
        let known: &[&str] = match key {
            "queue" => &["orders", "order mail", "mail"],
            "" => &["http.route", "http.method"],
            _ => &[],
        };
        let known = known.iter().filter(|value| value.starts_with(prefix));
        known.map(|value| (*value).to_owned()).collect()
    };
    let at_end = |text: &str| -> Vec<String> {
        let found = complete(text, text.len(), values);
        let put = |one: Completion| {
            let mut text = text.to_owned();
            text.replace_range(one.replaces, &one.text);
            text
        };
        found.into_iter().map(put).collect()
    };
    assert_eq!(at_end("queue=or"), ["queue=orders", "queue=\"order mail\""]);
    assert_eq!(at_end("x queue=\"order "), ["x queue=\"order mail\""]);
    assert_eq!(at_end("error -qu").first().unwrap(), "error -queue=");
    assert_eq!(at_end("(http.r"), ["(http.route="]);
    assert_eq!(at_end("status=r"), ["status=running"]);
    assert_eq!(
        at_end("job.type"),
        ["kind="],
        "other spellings lead to the key"
    );
    assert!(at_end("si").contains(&"since:".to_owned()));
    assert!(at_end("").len() > KEYS.len());
    assert!(at_end("\"que").is_empty());
    assert_eq!(
        complete("queue=orders", 8, values).len(),
        2,
        "in the middle of a word"
    );
    assert!(
        complete("ö", 1, values).is_empty(),
        "in the middle of a character"
    );
}

#[test]
fn the_page_of_the_search_language_is_the_table() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/search.md");
    if std::env::var_os("LONGSHORE_WRITE_PAGES").is_some() {
        std::fs::write(path, search_reference()).unwrap();
    }
    let page = std::fs::read_to_string(path).unwrap();
    assert!(
        page == search_reference(),
        "docs/search.md is not what the table makes; run this test with LONGSHORE_WRITE_PAGES=1"
    );
}

fn any_key() -> impl Strategy<Value = Key> {
    let table = (0..KEYS.len()).prop_map(|at| KEYS[at].key.clone());
    let attribute =
        "[a-z]{1,3}\\.[a-z_]{1,4}".prop_filter_map("an attribute", |name| match Key::find(&name) {
            Some(key @ Key::Attribute(_)) => Some(key),
            _ => None,
        });
    let meta = "meta\\.[a-z_./-]{1,4}".prop_filter_map("metadata", |name| Key::find(&name));
    prop_oneof![3 => table, 1 => attribute, 1 => meta]
}

fn any_op(ordered: bool) -> impl Strategy<Value = Op> {
    let ops: &[Op] = match ordered {
        true => &[Op::Is, Op::Above, Op::AtLeast, Op::Below, Op::AtMost],
        false => &[Op::Is, Op::Contains],
    };
    proptest::sample::select(ops)
}

fn any_compare() -> impl Strategy<Value = Term> {
    (
        any_key(),
        any_op(true),
        any_op(false),
        ".{1,8}",
        any::<f64>(),
        any::<u64>(),
        any::<bool>(),
    )
        .prop_filter_map(
            "status is a standing",
            |(key, order, contain, text, number, nanos, flag)| {
                let number = Value::Number(if number.is_finite() { number } else { 0.0 });
                let duration = Value::Duration(Duration::from_nanos(nanos));
                let (op, value) = match key.shape() {
                    Shape::Words(_) if key == Key::Status => return None,
                    Shape::Text if matches!(key, Key::Attribute(_)) && order != Op::Is => {
                        (order, if flag { number } else { duration })
                    }
                    Shape::Text | Shape::Words(_) => (contain, Value::Text(text)),
                    Shape::Number => (order, number),
                    Shape::Duration => (order, duration),
                    Shape::Flag => (Op::Is, Value::Flag(flag)),
                };
                Some(Term::Compare(key, op, value))
            },
        )
}

fn any_moment() -> impl Strategy<Value = Moment> {
    prop_oneof![
        any::<u32>().prop_map(|millis| {
            let ago = Duration::from_millis(millis.into());
            Moment {
                at: now().before(ago),
                ago: Some(ago),
            }
        }),
        any::<i64>().prop_map(|nanos| Moment {
            at: Timestamp::from_unix_nanos(nanos),
            ago: None
        }),
    ]
}

fn any_expr() -> impl Strategy<Value = Expr> {
    let term = prop_oneof![
        3 => ".{1,12}".prop_map(Term::Text),
        1 => proptest::sample::select(&["error", "OR", "AND", "-", "a:b", "ok"][..]).prop_map(|text| Term::Text(text.to_owned())),
        1 => proptest::sample::select(&[Standing::Error, Standing::Ok, Standing::Running][..]).prop_map(Term::Is),
        1 => any_key().prop_map(Term::Has),
        4 => any_compare(),
        1 => any_moment().prop_map(Term::Since),
        1 => any_moment().prop_map(Term::Until),
    ];
    term.prop_map(Expr::Term).prop_recursive(4, 20, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 1..4)
                .prop_map(|parts| Expr::all(parts).unwrap()),
            proptest::collection::vec(inner.clone(), 1..4)
                .prop_map(|parts| Expr::any(parts).unwrap()),
            inner.prop_map(Expr::negated),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_printed_is_read_as_the_same(expr in any_expr()) {
        let query = Query::of(Some(expr));
        let printed = query.to_string();
        if printed.len() <= Query::MAX_BYTES {
            prop_assert_eq!(parse(&printed, now()), Ok(query), "{}", printed);
        }
    }

    #[test]
    fn anything_typed_is_a_query_or_an_error_in_place(text in "[ a-z=:<>~!()\"\\\\*.-]{0,24}|.{0,40}") {
        match parse(&text, now()) {
            Ok(query) => prop_assert_eq!(parse(&query.to_string(), now()), Ok(query)),
            Err(error) => prop_assert!(text.get(error.at.clone()).is_some(), "{:?}", error),
        }
        for cursor in 0..=text.len() {
            for one in complete(&text, cursor, |_, prefix| vec![format!("{prefix}x y")]) {
                prop_assert!(text.get(one.replaces).is_some());
            }
        }
    }
}
