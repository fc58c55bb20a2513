//! Which traces make one story, and what it comes down to.

use std::time::Duration;

use longshore_core::JobId;
use longshore_instrument::Span;
use longshore_instrument::table::name;
use longshore_trace::{Forest, Story, outline};

use crate::shop::{MAIL, ORDER, failed, in_trace, link, retried_order, span};

fn one(spans: &[Span]) -> Story<'_> {
    let mut stories = Story::stitch(spans);
    assert_eq!(stories.len(), 1);
    stories.remove(0)
}

/// Attempts in traces of their own, each with its wait, as `relation = link` makes them.
fn linked_order() -> Vec<Span> {
    let enqueue = ORDER.span(1, None, name::ENQUEUE, 0, 100);
    let first = failed(ORDER.attempt(2, None, 1, 500, 900), "panic");
    let mut first = in_trace(first, 7);
    first.links.push(link(&enqueue, "enqueue"));
    let mut second = in_trace(ORDER.attempt(4, None, 2, 5_000, 6_000), 8);
    second.links.push(link(&enqueue, "enqueue"));
    second.links.push(link(&first, "previous_attempt"));
    vec![
        second,
        in_trace(ORDER.span(5, Some(4), name::DEQUEUE, 4_000, 5_000), 8),
        first,
        in_trace(ORDER.span(3, Some(2), name::DEQUEUE, 100, 500), 7),
        enqueue,
    ]
}

#[test]
fn attempts_in_traces_of_their_own_hang_under_the_enqueue_span() {
    let spans = linked_order();
    let story = one(&spans);
    let expected = "\
queue.enqueue order.process  100 µs
  job.process #1 (linked)  400 µs  ✗ panic
    queue.dequeue  400 µs
  job.process #2 (linked)  1.00 ms
    queue.dequeue  1.00 ms
";
    assert_eq!(outline::outline(story.forest()), expected);
    let summary = story.summary();
    assert_eq!((summary.attempts, summary.outcome), (2, Some("completed")));
    assert_eq!(summary.backed_off, Duration::from_micros(3_100));
}

#[test]
fn attempts_whose_enqueue_span_is_missing_stay_together() {
    let mut spans = linked_order();
    spans.pop();
    let story = one(&spans);
    let text = outline::outline(story.forest());
    assert!(text.starts_with("parent not received 0000000000000001\n  job.process #1"));
    assert_eq!(story.summary().kind, "order.process");
}

#[test]
fn a_claim_of_several_jobs_does_not_join_their_stories() {
    let order = ORDER.attempt(1, None, 1, 10, 20);
    let mail = in_trace(MAIL.attempt(2, None, 1, 10, 20), 9);
    let mut claim = in_trace(span(3, None, name::CLAIM, 5, 10), 10);
    claim.links = vec![link(&order, "claimed"), link(&mail, "claimed")];
    let spans = [order, mail, claim];
    assert_eq!(Story::stitch(&spans).len(), 3);
}

#[test]
fn the_summary_says_where_the_time_went() {
    let spans = retried_order();
    let story = one(&spans);
    let summary = story.summary();
    assert_eq!(summary.queue, Some("orders"));
    assert_eq!(summary.waited, Duration::from_micros(83_400));
    assert_eq!(summary.ran, Duration::from_micros(562_400));
    assert_eq!(summary.backed_off, Duration::from_secs(15));
    assert!(!summary.failed);
}

#[test]
fn a_story_can_be_told_about_any_job_in_it() {
    let spans = retried_order();
    let mail: JobId = MAIL.id.parse().unwrap();
    let story = Story::of_job(&spans, &mail).unwrap();
    assert_eq!(story.summary().kind, "email.send");
    assert_eq!(story.summary().attempts, 1);
    let nobody: JobId = "nobody".parse().unwrap();
    assert!(Story::of_job(&spans, &nobody).is_none());
}

#[test]
fn a_story_about_one_job_of_a_batch_leaves_the_others_out() {
    let spans = [
        span(1, None, name::ENQUEUE, 0, 10),
        ORDER.span(2, Some(1), name::DEQUEUE, 10, 20),
        MAIL.span(3, Some(1), name::DEQUEUE, 10, 30),
        ORDER.attempt(4, Some(1), 1, 20, 60),
        MAIL.attempt(5, Some(1), 1, 30, 50),
        MAIL.span(6, Some(5), name::HANDLER, 31, 49),
        MAIL.span(7, Some(4), name::ENQUEUE, 50, 55),
    ];
    let order: JobId = ORDER.id.parse().unwrap();
    let story = Story::of_job(&spans, &order).unwrap();
    let expected = "\
queue.enqueue  10.0 µs
  queue.dequeue  10.0 µs
  job.process #1  40.0 µs
    queue.enqueue email.send  5.00 µs
";
    assert_eq!(outline::outline(story.forest()), expected);
}

#[test]
fn circles_are_cut_at_the_earliest_span_and_doubles_count_once() {
    let spans = [
        span(1, Some(3), "a", 5, 9),
        span(2, Some(1), "b", 3, 4),
        span(3, Some(2), "c", 7, 8),
        span(4, Some(4), "self", 1, 2),
        span(2, Some(1), "b", 3, 4),
    ];
    let expected = "\
self (parents go in a circle)  1.00 µs
b (parents go in a circle)  1.00 µs
  c  1.00 µs
    a  4.00 µs
";
    assert_eq!(outline::outline(&Forest::new(&spans)), expected);
}

#[test]
fn a_chain_of_a_hundred_thousand_spans_is_a_tree() {
    let chain: Vec<Span> = (1..=100_000_u64)
        .map(|id| span(id, (id > 1).then(|| id - 1), "step", 0, 1))
        .collect();
    let forest = Forest::new(&chain);
    assert_eq!(forest.nodes().len(), 100_000);
    assert_eq!(forest.get(99_999).map(|node| node.depth), Some(99_999));
    assert_eq!(forest.subtree(0), 0..100_000);
}

#[test]
fn no_spans_tell_no_story() {
    assert!(Story::stitch(&[]).is_empty());
}
