//! Foreign jobs, judged by the spans that they leave.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::task::{Context, Waker};
use std::time::Duration;

use longshore_core::{AttemptOutcome, SpanContext, Timestamp};

use super::*;
use crate::buffer::SpanBuffer;
use crate::span::{AttributeValue, Span};
use crate::table::{key, name};

const NEVER: u64 = 1 << 56;

/// One second passes with every look at it.
#[derive(Debug, Default)]
struct Ticking(AtomicI64);

impl Clock for Ticking {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_millis(1000 * self.0.fetch_add(1, Ordering::Relaxed))
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }
}

type Headers = BTreeMap<String, String>;

fn queue(spans: &Arc<SpanBuffer>) -> ForeignQueue {
    let recorder = Arc::<SpanBuffer>::clone(spans);
    ForeignQueue::new("pgmq", recorder)
        .with_sources(Arc::new(Ticking::default()), Arc::new(SystemRandom))
}

fn push(queue: &ForeignQueue) -> Headers {
    let mut headers = Headers::new();
    let enqueue = queue.enqueue(ForeignJob::new("mail", "send"));
    enqueue.inject(|key, value| {
        let before = headers.insert(key.to_owned(), value.to_owned());
        assert_eq!(before, None, "{key} comes twice");
    });
    enqueue.end(None);
    headers
}

fn start(queue: &ForeignQueue, headers: &Headers, delivery: &Delivery) -> ForeignAttempt {
    let job = ForeignJob::new("mail", "send").with_id("7");
    queue.attempt(job, delivery, |key| headers.get(key).map(String::as_str))
}

/// Runs what never waits to its end.
fn now<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    match future
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
    {
        std::task::Poll::Ready(done) => done,
        std::task::Poll::Pending => panic!("it waits"),
    }
}

fn names(spans: &[Span]) -> Vec<&str> {
    spans.iter().map(|span| span.name.as_ref()).collect()
}

fn one<'a>(spans: &'a [Span], name: &str) -> &'a Span {
    let mut found = spans.iter().filter(|span| span.name == name);
    let first = found.next().unwrap();
    assert!(found.next().is_none(), "{name} comes twice");
    first
}

const FAILED: Ending<'static> =
    Ending::failed(AttemptOutcome::Retried, "smtp").with_message("no answer");

#[test]
fn a_sampled_job_is_one_trace() {
    let spans = Arc::new(SpanBuffer::default());
    let queue = queue(&spans);
    let headers = push(&queue);
    now(start(&queue, &headers, &Delivery::first()).end(Ending::completed())).settled(None);
    let spans = spans.spans();
    let expected = [
        name::ENQUEUE,
        name::DEQUEUE,
        name::HANDLER,
        name::PROCESS,
        name::SETTLE,
    ];
    assert_eq!(names(&spans), expected);
    let (enqueue, process) = (&spans[0], &spans[3]);
    assert!(spans.iter().all(|span| span.trace_id == enqueue.trace_id));
    let beneath = |span: &Span| span.parent_span_id == Some(process.span_id);
    assert!(beneath(&spans[2]) && beneath(&spans[4]));
    assert_eq!(process.parent_span_id, Some(enqueue.span_id));
    assert_eq!(process.links[0].context, enqueue.context());
    assert_eq!(process.end, spans[4].end);
    assert_eq!(
        spans[1].start, enqueue.start,
        "the wait begins with the enqueueing"
    );
    assert_eq!(spans[1].end, process.start);
    let system = Some(&AttributeValue::from("pgmq"));
    for span in spans.iter().filter(|span| span.name != name::HANDLER) {
        assert_eq!(span.attribute(key::SYSTEM), system, "{}", span.name);
    }
}

#[test]
fn a_retry_links_to_the_attempt_before() {
    for relation in [Relation::Parent, Relation::Link] {
        let spans = Arc::new(SpanBuffer::default());
        let queue = queue(&spans).with_relation(relation);
        let headers = push(&queue);
        drop(now(start(&queue, &headers, &Delivery::first()).end(FAILED)));
        drop(now(
            start(&queue, &headers, &Delivery::nth(2)).end(Ending::completed())
        ));
        let spans = spans.spans();
        let of_name = |span: &&Span| span.name == name::PROCESS;
        let attempts: Vec<&Span> = spans.iter().filter(of_name).collect();
        let [first, second] = attempts[..] else {
            panic!("{} attempts", attempts.len());
        };
        assert_ne!(first.span_id, second.span_id);
        assert_eq!(second.links[1].context, first.context());
        assert_eq!(
            first.trace_id == second.trace_id,
            relation == Relation::Parent
        );
        assert!(first.status.is_error() && !second.status.is_error());
        let message = first.events[0].attributes.last().map(|last| &last.value);
        assert_eq!(message, Some(&AttributeValue::from("no answer")));
        assert!(second.events.is_empty());
    }
}

#[test]
fn a_failed_job_that_was_not_sampled_leaves_whole_and_once() {
    let spans = Arc::new(
        SpanBuffer::default()
            .with_threshold(NEVER)
            .keeping_failures(),
    );
    let queue = queue(&spans);
    let mut headers = push(&queue);
    let ended = now(start(&queue, &headers, &Delivery::first()).end(FAILED));
    assert!(ended.is_kept());
    ended.inject_keep(|key, value| drop(headers.insert(key.to_owned(), value.to_owned())));
    ended.settled(None);
    drop(now(
        start(&queue, &headers, &Delivery::nth(2)).end(Ending::completed())
    ));
    let spans = spans.spans();
    assert_eq!(spans.len(), 5 + 2, "{:?}", names(&spans));
    assert!(spans.iter().all(|span| span.flags.is_sampled()));
    let enqueue = one(&spans, name::ENQUEUE);
    assert_eq!(
        enqueue.attribute(key::REBUILT),
        Some(&AttributeValue::Bool(true))
    );
    assert!(spans.iter().all(|span| span.trace_id == enqueue.trace_id));
    assert!(
        spans
            .iter()
            .all(|span| span.trace_state.get("ot") == Some("th:0"))
    );
}

#[test]
fn a_job_that_neither_fails_nor_is_sampled_leaves_nothing() {
    let spans = Arc::new(
        SpanBuffer::default()
            .with_threshold(NEVER)
            .keeping_failures(),
    );
    let queue = queue(&spans);
    let headers = push(&queue);
    let ended = now(start(&queue, &headers, &Delivery::first()).end(Ending::completed()));
    assert!(!ended.is_kept());
    ended.inject_keep(|key, _value| panic!("{key}"));
    ended.settled(None);
    assert_eq!(names(&spans.spans()), Vec::<&str>::new());
}

#[test]
fn broken_headers_begin_a_trace_and_are_counted() {
    for (header, reason) in [(None, "missing"), (Some("00-zz"), "malformed")] {
        let spans = Arc::new(SpanBuffer::default());
        let queue = queue(&spans);
        let headers = header.map(|text| ("traceparent".to_owned(), text.to_owned()));
        let headers: Headers = headers.into_iter().collect();
        drop(now(
            start(&queue, &headers, &Delivery::first()).end(Ending::completed())
        ));
        let failures = spans.propagation_failures();
        assert_eq!(failures.get(&("extract", reason)), Some(&1));
        let spans = spans.spans();
        let process = one(&spans, name::PROCESS);
        assert_eq!(process.parent_span_id, None);
        assert!(process.links.is_empty());
    }
}

#[test]
fn jobs_without_context_never_share_a_trace() {
    let spans = Arc::new(SpanBuffer::default());
    let queue = queue(&spans);
    let context = || -> SpanContext {
        let attempt = start(&queue, &Headers::new(), &Delivery::first());
        attempt.context().clone()
    };
    assert_ne!(context().trace_id, context().trace_id);
}

#[test]
fn what_is_dropped_on_the_way_is_said() {
    let spans = Arc::new(SpanBuffer::default());
    let queue = queue(&spans);
    let mut headers = Headers::new();
    let enqueue = queue.enqueue(ForeignJob::new("mail", "send"));
    enqueue.inject(|key, value| drop(headers.insert(key.to_owned(), value.to_owned())));
    drop(enqueue);
    drop(start(&queue, &headers, &Delivery::first()));
    let spans = spans.spans();
    let abandoned = Some(AttributeValue::from("abandoned"));
    for name in [name::ENQUEUE, name::PROCESS] {
        assert_eq!(
            one(&spans, name).attribute(key::ERROR_TYPE),
            abandoned.as_ref()
        );
    }
}

#[test]
fn the_handler_runs_to_its_end() {
    let spans = Arc::new(SpanBuffer::default());
    let queue = queue(&spans);
    let attempt = start(&queue, &Headers::new(), &Delivery::first());
    assert_eq!(now(attempt.run(async { 7 })), 7);
}

#[test]
fn calls_of_the_handler_stand_beneath_it() {
    let spans = Arc::new(SpanBuffer::default());
    let queue = queue(&spans);
    let attempt = start(&queue, &push(&queue), &Delivery::first());
    let mut headers = Headers::new();
    attempt.inject(|key, value| drop(headers.insert(key.to_owned(), value.to_owned())));
    drop(now(attempt.end(Ending::completed())));
    let handler = one(&spans.spans(), name::HANDLER).context().traceparent();
    assert_eq!(headers["traceparent"], handler);
}

#[test]
fn a_handler_that_panics_leaves_its_attempt() {
    let spans = Arc::new(SpanBuffer::default());
    let queue = queue(&spans);
    let headers = push(&queue);
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let attempt = start(&queue, &headers, &Delivery::first());
        now(attempt.run(async { panic!("a bug") }))
    }));
    assert!(caught.is_err());
    let spans = spans.spans();
    let process = one(&spans, name::PROCESS);
    assert_eq!(
        process.attribute(key::ERROR_TYPE),
        Some(&AttributeValue::from("panic"))
    );
}

/// One call that puts in many jobs is one span, which each of their messages carries.
#[test]
fn many_jobs_of_one_call_share_a_span() {
    let spans = Arc::new(SpanBuffer::default());
    let queue = queue(&spans);
    let mut headers = Headers::new();
    let enqueue = queue.enqueue_many(ForeignJob::new("mail", "send"), 3);
    enqueue.inject(|key, value| drop(headers.insert(key.to_owned(), value.to_owned())));
    enqueue.end(None);
    for id in ["7", "8", "9"] {
        let job = ForeignJob::new("mail", "send").with_id(id);
        let get = |key: &str| headers.get(key).map(String::as_str);
        let attempt = queue.attempt(job, &Delivery::first(), get);
        now(attempt.end(Ending::completed())).settled(None);
    }
    let spans = spans.spans();
    let enqueue = one(&spans, name::ENQUEUE);
    assert_eq!(
        enqueue.attribute(key::BATCH_COUNT),
        Some(&AttributeValue::Int(3))
    );
    let attempts = spans.iter().filter(|span| span.name == name::PROCESS);
    let ids: std::collections::BTreeSet<_> = attempts.map(|span| span.span_id).collect();
    assert_eq!(ids.len(), 3);
    let beneath = |span: &&Span| span.parent_span_id == Some(enqueue.span_id);
    assert_eq!(
        spans.iter().filter(beneath).count(),
        6,
        "waits and attempts"
    );
}
