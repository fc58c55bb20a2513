use std::sync::Arc;
use std::time::Duration;

use longshore_core::{TraceFlags, TraceState};
use longshore_instrument::Resource;

use super::super::job_spans::tests::{NOW, drops, id, job_spans, span};
use super::*;

const TRACE: u128 = 7;
const ROOM: usize = 1 << 20;

/// The context of a handler whose job is not sampled.
fn handler(number: u64) -> SpanContext {
    SpanContext {
        trace_id: TraceId::from_u128(TRACE),
        span_id: id(number),
        flags: TraceFlags::RANDOM,
        trace_state: TraceState::parse("vendor=1").0,
    }
}

/// A span of a program that was handed this context.
fn made(number: u64, parent: u64, context: &SpanContext) -> Span {
    Span {
        parent_span_id: Some(id(parent)),
        flags: context.flags,
        trace_state: context.trace_state.clone(),
        resource: Some(Arc::new(Resource {
            attributes: Vec::new(),
        })),
        ..span(number, "")
    }
}

/// One of a program that handed on no `tracestate`.
fn unmarked(number: u64, parent: u64) -> Span {
    let lent = relation::lent(&handler(1));
    Span {
        trace_state: TraceState::EMPTY,
        ..made(number, parent, &lent)
    }
}

fn begun(numbers: &[u64]) -> JobSpans {
    let spans = job_spans(10, ROOM);
    for number in numbers {
        spans.begin(id(*number));
        assert!(spans.lend(&handler(*number)));
    }
    spans
}

fn ids(spans: &[Span]) -> Vec<SpanId> {
    spans.iter().map(|span| span.span_id).collect()
}

#[test]
fn they_follow_their_job_and_lose_the_mark() {
    for kept in [true, false] {
        let spans = begun(&[1]);
        let lent = relation::lent(&handler(1));
        assert!(lent.flags.is_sampled());
        let sorted = spans.adopt(vec![made(3, 2, &lent), made(2, 1, &lent)]);
        assert!(sorted.leaving.is_empty() && sorted.dropped.is_empty());
        let decided = spans.decide(id(1), kept, NOW);
        let expected = if kept { vec![id(3), id(2)] } else { Vec::new() };
        assert_eq!(ids(&decided), expected);
        // Those that come later follow it too, however few spans were open in this process.
        let late = spans.adopt(vec![made(4, 1, &lent), unmarked(5, 4)]);
        let expected = if kept { vec![id(4), id(5)] } else { Vec::new() };
        assert_eq!(ids(&late.leaving), expected);
        for span in decided.iter().chain(&late.leaving) {
            assert!(span.flags.is_sampled());
            assert_eq!(span.trace_state.get("ot"), Some("th:0"));
            assert_eq!(span.trace_state.get("longshore"), None);
        }
        assert_eq!(drops(&spans), 0);
    }
}

#[test]
fn what_was_lent_never_leaves_by_its_flag() {
    let spans = begun(&[1]);
    let lent = relation::lent(&handler(1));
    spans.decide(id(1), true, NOW);
    spans.forget(NOW + Duration::from_secs(3600));
    assert!(spans.lent().is_empty());
    let sorted = spans.adopt(vec![made(2, 1, &lent)]);
    assert!(sorted.leaving.is_empty());
    assert_eq!(sorted.dropped[&DropReason::Undecided], 1);
    assert_eq!(drops(&spans), 1);
    // Nor in a process that has never heard of the job.
    let elsewhere = job_spans(10, ROOM).adopt(vec![made(2, 1, &lent)]);
    assert!(elsewhere.leaving.is_empty());
}

#[test]
fn attempts_of_one_trace_are_told_apart() {
    let spans = begun(&[1, 2]);
    let marked = made(10, 99, &relation::lent(&handler(2)));
    // Children end, and come, before their parents.
    let of_first = vec![unmarked(12, 11), unmarked(11, 1)];
    let lost = unmarked(13, 98);
    let sorted = spans.adopt([vec![marked], of_first, vec![lost]].concat());
    assert_eq!(sorted.dropped, BTreeMap::from([(DropReason::Undecided, 1)]));
    assert_eq!(ids(&spans.decide(id(1), true, NOW)), [id(12), id(11)]);
    assert_eq!(ids(&spans.decide(id(2), true, NOW)), [id(10)]);
}

#[test]
fn what_is_beneath_no_attempt_leaves_by_its_flag() {
    let spans = begun(&[]);
    let mut unsampled = unmarked(3, 9);
    unsampled.flags = TraceFlags::RANDOM;
    let sorted = spans.adopt(vec![unmarked(2, 9), unsampled]);
    assert_eq!(ids(&sorted.leaving), [id(2)]);
    assert_eq!(drops(&spans), 0);
}

/// A service that the handler called, and that samples as it likes.
#[test]
fn a_child_of_a_handler_is_its_jobs_whoever_made_it() {
    let spans = job_spans(10, ROOM);
    spans.begin(id(1));
    spans.started(id(2), id(1));
    let sorted = spans.adopt(vec![unmarked(3, 1), unmarked(4, 2)]);
    assert!(sorted.leaving.is_empty());
    assert_eq!(ids(&spans.decide(id(1), true, NOW)), [id(3), id(4)]);
}

#[test]
fn they_share_the_bounds_of_the_applications_own() {
    let spans = job_spans(2, ROOM);
    spans.begin(id(1));
    spans.lend(&handler(1));
    let batch = (2..6).map(|number| unmarked(number, 1)).collect();
    let sorted = spans.adopt(batch);
    assert_eq!(sorted.dropped, BTreeMap::from([(DropReason::TraceFull, 2)]));
    let tight = job_spans(10, 100);
    tight.begin(id(1));
    tight.lend(&handler(1));
    let sorted = tight.adopt(vec![unmarked(2, 1)]);
    assert_eq!(
        sorted.dropped,
        BTreeMap::from([(DropReason::BufferFull, 1)])
    );
    assert_eq!(tight.tally.snapshot().waiting(), 0);
}

#[test]
fn nothing_is_lent_of_a_job_that_cannot_be_kept() {
    let spans = job_spans(10, ROOM);
    assert!(
        !spans.lend(&handler(1)),
        "no handler, or one that is sampled"
    );
    spans.begin(id(1));
    spans.decide(id(1), false, NOW);
    assert!(!spans.lend(&handler(1)));
    assert!(spans.lent().is_empty());
}

#[test]
fn only_what_an_attempt_may_own_is_awaited() {
    let spans = job_spans(10, ROOM);
    let awaits = |trace: u128, parent, state: &str| {
        spans.awaits(TraceId::from_u128(trace), Some(id(parent)), state)
    };
    let mark = relation::lent(&handler(1)).trace_state;
    assert!(!awaits(TRACE, 1, "vendor=1"));
    assert!(awaits(TRACE, 1, mark.as_str()), "of a process that is gone");
    spans.begin(id(1));
    assert!(awaits(TRACE, 1, ""), "a child of a handler");
    assert!(!awaits(TRACE, 2, ""));
    spans.lend(&handler(1));
    assert!(awaits(TRACE, 2, ""), "somewhere in the trace");
    assert!(!awaits(TRACE + 1, 2, ""));
}
