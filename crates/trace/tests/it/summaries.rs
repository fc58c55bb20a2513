//! What a trace comes down to.

use std::sync::Arc;
use std::time::Duration;

use longshore_core::{Timestamp, TraceId};
use longshore_instrument::table::{key, name};
use longshore_instrument::{Attribute, AttributeValue, Resource, Span};
use longshore_trace::TraceSummary;

use crate::shop::{ORDER, failed, in_trace, link, retried_order, span};

fn summary(spans: &[Span]) -> TraceSummary {
    let trace = TraceId::from_u128(0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736);
    TraceSummary::of(trace, spans)
}

fn from(mut span: Span, service: &'static str) -> Span {
    span.resource = Some(Arc::new(Resource {
        attributes: vec![Attribute::new("service.name", service)],
    }));
    span
}

#[test]
fn a_retried_order_in_one_line() {
    let mut spans = retried_order();
    let again = spans.clone();
    spans.extend(again);
    let summary = summary(&spans);
    assert_eq!(summary.name, "POST /orders");
    assert_eq!(summary.spans, 19);
    assert_eq!((summary.errors, summary.orphans, summary.open), (3, 0, 0));
    assert_eq!(summary.queue.as_deref(), Some("orders"));
    assert_eq!(summary.queues, ["orders", "mail"]);
    assert_eq!(summary.kinds, ["order.process", "email.send"]);
    assert_eq!(summary.job_ids, ["0196-order", "0196-mail"]);
    assert_eq!(summary.outcome.as_deref(), Some("completed"));
    assert!(!summary.failed, "its second attempt did what was asked");
    assert_eq!(summary.attempts, 2);
    assert_eq!(summary.wait, Duration::from_micros(83_400));
    assert_eq!(summary.run, Duration::from_micros(562_400));
    assert_eq!(summary.duration(), Duration::from_micros(15_731_000));
}

#[test]
fn the_order_of_arrival_does_not_matter() {
    let spans = retried_order();
    let reversed: Vec<Span> = spans.iter().rev().cloned().collect();
    assert_eq!(summary(&spans), summary(&reversed));
}

#[test]
fn a_trace_without_jobs_failed_if_a_span_did() {
    let child = from(span(2, Some(1), "SELECT 1", 10, 20), "shop");
    let mut child = failed(child, "timeout");
    child
        .links
        .push(link(&in_trace(span(9, None, "x", 0, 0), 9), "cause"));
    let spans = [from(span(1, None, "GET /", 0, 100), "web"), child];
    let summary = summary(&spans);
    assert!(summary.failed);
    assert_eq!(summary.error_type.as_deref(), Some("timeout"));
    assert_eq!(summary.service, "web");
    assert_eq!(summary.services, ["shop", "web"]);
    assert_eq!(summary.linked, [TraceId::from_u128(9)]);
    assert_eq!(summary.job_ids, Vec::<String>::new());
}

#[test]
fn open_and_orphaned_spans_are_counted() {
    let mut open = ORDER.attempt(2, Some(77), 1, 50, 60);
    open.end = Timestamp::UNIX_EPOCH;
    open.attributes.push(Attribute {
        key: key::TAGS.into(),
        value: AttributeValue::Strings(vec!["vip".into(), "eu".into()]),
    });
    let spans = [ORDER.span(3, Some(77), name::DEQUEUE, 10, 50), open];
    let summary = summary(&spans);
    assert_eq!((summary.open, summary.orphans), (1, 2));
    assert_eq!(summary.tags, ["vip", "eu"]);
    assert_eq!(summary.end, spans[0].end);
    assert_eq!(
        summary.name,
        name::DEQUEUE,
        "the earliest, since no root is there"
    );
    assert_eq!(summary.run, Duration::ZERO);
}

#[test]
fn nothing_and_other_traces_come_down_to_nothing() {
    let other = TraceId::from_u128(5);
    assert_eq!(
        TraceSummary::of(other, &retried_order()),
        TraceSummary::unknown(other)
    );
}

#[test]
fn traces_that_belong_together_come_down_to_one_line() {
    let enqueue = ORDER.span(1, None, name::ENQUEUE, 0, 100);
    let mut attempt = in_trace(ORDER.attempt(1, None, 1, 500, 900), 7);
    attempt.links.push(link(&enqueue, "enqueue"));
    let orphan = in_trace(span(3, Some(8), "lost", 600, 700), 7);
    let spans = [attempt, enqueue, orphan];
    let summary = TraceSummary::of_story(&spans).unwrap();
    assert_eq!(summary.name, name::ENQUEUE);
    assert_eq!(
        summary.trace_id,
        TraceId::from_u128(0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736)
    );
    assert_eq!(
        (summary.spans, summary.orphans, summary.attempts),
        (3, 1, 1)
    );
    assert_eq!(summary.linked, Vec::new());
    assert_eq!(TraceSummary::of_story(&[]), None);
}

/// Lists leave out what says nothing about any one job, with what it asked of the database.
#[test]
fn a_claim_of_several_jobs_is_upkeep_with_its_requests_too() {
    let plain = |id, parent, name, from, to| {
        let mut span = span(id, parent, name, from, to);
        span.attributes.clear();
        span
    };
    let claim = plain(1, None, name::CLAIM, 0, 900);
    let request = plain(2, Some(1), "UPDATE longshore_job", 20, 880);
    assert!(summary(std::slice::from_ref(&claim)).is_upkeep());
    assert!(summary(&[request, claim]).is_upkeep());
    assert!(!summary(&retried_order()).is_upkeep());
}
