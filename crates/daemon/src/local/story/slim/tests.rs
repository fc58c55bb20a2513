use longshore_core::{SpanContext, SpanId, Timestamp, TraceFlags, TraceId};
use longshore_instrument::table::name;
use longshore_instrument::{SpanKind, SpanLink};
use longshore_trace::{Chart, TraceSummary};

use super::*;

fn span(id: u64, parent: Option<u64>, name: &'static str) -> Span {
    let trace = TraceId::from_u128(1);
    let number = i64::try_from(id).unwrap();
    Span {
        parent_span_id: parent.map(SpanId::from_u64),
        name: name.into(),
        start: Timestamp::from_unix_millis(1_000 + number),
        end: Timestamp::from_unix_millis(2_000 - number),
        scope: "some library".into(),
        ..Span::unknown(trace, SpanId::from_u64(id))
    }
}

fn said(key: &'static str, value: &str) -> Attribute {
    Attribute::new(key, value.to_owned())
}

/// A call that enqueues a job, which fails in a request to a database of which an exception tells,
/// and a linked attempt after it.
fn story() -> Vec<Span> {
    let mut enqueue = span(1, None, name::ENQUEUE);
    let mut attempt = span(2, Some(1), name::PROCESS);
    let mut again = span(5, None, name::PROCESS);
    for of_job in [&mut enqueue, &mut attempt, &mut again] {
        of_job.attributes = vec![
            said(key::JOB_ID, "j-1"),
            said(key::KIND, "charge"),
            said(key::QUEUE, "orders"),
            said(key::CORRELATION_ID, "c-1"),
            said(key::TENANT, "t-1"),
            said(key::OUTCOME, "retried"),
            Attribute::new(key::ATTEMPT, 2_i64),
            Attribute::new(key::REBUILT, true),
            said("user.note", "nothing that is shown"),
        ];
    }
    let context = SpanContext {
        trace_id: enqueue.trace_id,
        span_id: enqueue.span_id,
        flags: TraceFlags::default(),
        trace_state: TraceState::EMPTY,
    };
    again.links.push(SpanLink {
        context,
        attributes: vec![said(key::LINK, "enqueue")],
    });
    attempt.status = SpanStatus::Error("in words".into());
    attempt.attributes.push(said(key::ERROR_TYPE, "timeout"));
    let mut request = span(3, Some(2), "SELECT orders");
    request.kind = SpanKind::Client;
    request.status = SpanStatus::Error("no".into());
    request.attributes = vec![said("db.query.text", "SELECT 1"), said("peer", "db-1")];
    request.events.push(SpanEvent {
        name: "exception".into(),
        at: request.start,
        attributes: vec![
            said(key::EXCEPTION_TYPE, "Gone"),
            said(key::EXCEPTION_MESSAGE, "a long text"),
        ],
    });
    let mut other = span(4, Some(2), "render");
    other.attributes = vec![said("http.url", "https://shop.example/1")];
    vec![enqueue, attempt, request, other, again]
}

#[test]
fn what_is_left_out_is_nothing_that_a_story_shows() {
    let whole = story();
    let slim: Vec<Span> = whole.iter().map(slim).collect();
    let now = Timestamp::from_unix_millis(3_000);
    assert_eq!(Chart::of(&slim, &[], now), Chart::of(&whole, &[], now));
    assert_eq!(
        TraceSummary::of_story(&slim),
        TraceSummary::of_story(&whole)
    );
    let printed = format!("{slim:?}");
    for left_out in [
        "nothing that is shown",
        "SELECT 1",
        "a long text",
        "shop.example",
    ] {
        assert!(!printed.contains(left_out), "{printed}");
    }
}
