//! Traces in columns, with what the records of jobs add.

use std::fmt::Write;

use longshore_core::id::SpanPart;
use longshore_core::{
    AttemptError, AttemptOutcome, AttemptRecord, Job, JobId, JobState, Kind, NewJob, QueueName,
    SpanContext, SpanId, Timestamp, TraceFlags, TraceId, WorkerId,
};
use longshore_instrument::Span;
use longshore_instrument::table::name;
use longshore_trace::chart::{Content, Marks};
use longshore_trace::critical::subject;
use longshore_trace::diff::Side;
use longshore_trace::{Chart, CriticalPath, DrawOptions, TraceSummary, Waterfall, findings};
use proptest::prelude::*;

use crate::properties::any_spans;
use crate::shop::{MAIL, ORDER, at, backing_off, import, retried_order, span};

/// One line for each row.
fn show(chart: &Chart) -> String {
    let mut out = "\n".to_owned();
    for row in chart.rows() {
        let (from, to) = (row.start.since(at(0)), row.end.since(at(0)));
        let marks = [
            (Marks::ERROR, '✗'),
            (Marks::OPEN, '▸'),
            (Marks::LINKED, '⇢'),
            (Marks::OUTSIDE, '!'),
            (Marks::REBUILT, 'r'),
        ];
        let marks = marks.iter().filter(|(mark, _)| row.marks.has(*mark));
        let marks: String = marks.map(|(_, sign)| *sign).collect();
        let content = match row.content {
            Content::Span => String::new(),
            other => format!(" [{other:?}]"),
        };
        let words = [chart.name(row), chart.detail(row), chart.error(row), &marks];
        let words = words.into_iter().filter(|word| !word.is_empty());
        let words: Vec<&str> = words.collect();
        let indent = "  ".repeat(row.depth.into());
        let times = format!("{}..{}", from.as_micros(), to.as_micros());
        let _ = writeln!(out, "{indent}{}{content} {times}", words.join(" "));
    }
    out
}

fn now() -> Timestamp {
    at(20_000_000)
}

/// The record of the order, enqueued in the trace of the shop.
fn record(state: JobState) -> Job {
    let mut new = NewJob::new(
        JobId::lossy(ORDER.id),
        QueueName::lossy(ORDER.queue),
        Kind::lossy(ORDER.kind),
        "",
    );
    let trace = TraceId::from_u128(0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736);
    let flags = TraceFlags::default();
    new.trace.traceparent =
        Some(SpanContext::new(trace, SpanId::from_u64(0xa1), flags).traceparent());
    let mut job = Job::from_new(new, at(8_000));
    job.state = state;
    job
}

fn ended(claim: u32, (due, from, to): (i64, i64, i64), outcome: AttemptOutcome) -> AttemptRecord {
    let error = outcome
        .is_failure()
        .then(|| AttemptError::new("timeout", ""));
    AttemptRecord {
        attempt: claim,
        claim,
        worker: WorkerId::new("w"),
        due_at: at(due),
        claimed_at: at(from),
        ended_at: at(to),
        outcome,
        error,
        trace_id: None,
        span_id: None,
    }
}

fn span_of(claim: u32, part: SpanPart) -> u64 {
    JobId::lossy(ORDER.id).derive_span_id(claim, part).to_u64()
}

#[test]
fn back_off_is_told_by_the_spans_alone() {
    let chart = Chart::of(&backing_off()[..5], &[], now());
    let expected = "
queue.enqueue order.process 0..900
  queue.dequeue 900..4900
  job.process #1 payment_timeout ✗ 4900..124900
  back-off [BackOff] 124900..3124900
  queue.dequeue 3124900..3128900
  job.process #2 payment_timeout ✗ 3128900..3248900
";
    assert_eq!(show(&chart), expected);
}

#[test]
fn a_ghost_and_repeated_siblings_are_rows() {
    let chart = Chart::of(&import(), &[], now());
    assert_eq!(chart.rows()[0].content, Content::Ghost);
    let handler = chart
        .rows()
        .iter()
        .position(|row| chart.name(row) == name::HANDLER)
        .unwrap();
    assert_eq!(chart.children(handler).count(), 12);
    assert_eq!(chart.roots().collect::<Vec<_>>(), [0]);
    assert_eq!(chart.job(&chart.rows()[1]), Some("imp"));
    let trace = chart.traces()[0];
    assert_eq!(chart.find(trace, SpanId::from_u64(4)), Some(handler));
}

/// An order whose worker vanished in its second attempt and that runs again, with its record. Of the
/// second attempt there is no span, of the third not yet.
pub(crate) fn running_order() -> (Vec<Span>, Job) {
    let mut job = record(JobState::Running);
    job.history = vec![
        ended(1, (60_000, 100_000, 500_000), AttemptOutcome::Retried),
        ended(2, (900_000, 950_000, 1_500_000), AttemptOutcome::Lost),
    ];
    (job.claim, job.attempt) = (3, 3);
    (job.available_at, job.claimed_at) = (at(2_000_000), Some(at(2_100_000)));
    let handler = span_of(3, SpanPart::Handler);
    let mut open = span(
        handler,
        Some(span_of(3, SpanPart::Process)),
        name::HANDLER,
        2_100_100,
        0,
    );
    open.end = Timestamp::UNIX_EPOCH;
    let first = ORDER.attempt(
        span_of(1, SpanPart::Process),
        Some(0xa1),
        1,
        100_000,
        500_000,
    );
    let spans = vec![
        ORDER.span(0xa1, None, name::ENQUEUE, 7_900, 9_100),
        first,
        open,
        span(7, Some(handler), "SELECT orders", 2_100_200, 2_100_900),
    ];
    (spans, job)
}

#[test]
fn the_record_fills_in_what_no_span_says() {
    let (spans, job) = running_order();
    let chart = Chart::of(&spans, std::slice::from_ref(&job), now());
    let expected = "
queue.enqueue order.process 7900..9100
  scheduled [Delay] 8000..60000
  wait [Wait] 60000..100000
  job.process #1 100000..500000
  back-off [BackOff] 500000..900000
  wait [Wait] 900000..950000
  job.process #2 timeout ✗ [LostLease] 950000..1500000
  back-off [BackOff] 1500000..2000000
  wait [Wait] 2000000..2100000
  job.process #3 ▸ [Running] 2100000..20000000
    handler.execution ▸ 2100100..20000000
      SELECT orders 2100200..2100900
";
    assert_eq!(show(&chart), expected);
}

#[test]
fn a_job_shows_without_any_span() {
    let mut job = record(JobState::Retryable);
    job.history = vec![ended(1, (8_000, 9_000, 10_000), AttemptOutcome::Retried)];
    (job.claim, job.attempt) = (1, 1);
    job.available_at = at(15_000_000);
    let jobs = [job];
    let chart = Chart::of(&[], &jobs, at(12_000_000));
    let expected = "
queue.enqueue order.process [Ghost] 8000..12000000
  wait [Wait] 8000..9000
  job.process #1 timeout ✗ [Attempt] 9000..10000
  back-off ▸ [BackOff] 10000..12000000
";
    assert_eq!(show(&chart), expected);
    let later = Chart::of(&[], &jobs, now());
    let expected = "
queue.enqueue order.process [Ghost] 8000..20000000
  wait [Wait] 8000..9000
  job.process #1 timeout ✗ [Attempt] 9000..10000
  back-off [BackOff] 10000..15000000
  wait ▸ [Wait] 15000000..20000000
";
    assert_eq!(show(&later), expected);
    let untraced = Job::from_new(
        NewJob::new(
            JobId::lossy("x"),
            QueueName::lossy("q"),
            Kind::lossy("k"),
            "",
        ),
        at(0),
    );
    let chart = Chart::of(&[], &[untraced], at(5));
    assert_eq!(
        show(&chart),
        "\nqueue.enqueue k [Ghost] 0..5\n  wait ▸ [Wait] 0..5\n"
    );
}

#[test]
fn back_off_begins_where_the_span_of_the_attempt_ends() {
    let mut job = record(JobState::Retryable);
    job.history = vec![ended(1, (9_100, 10_000, 23_000), AttemptOutcome::Retried)];
    job.claim = 1;
    job.available_at = at(90_000_000);
    let spans = [
        ORDER.span(0xa1, None, name::ENQUEUE, 7_900, 9_100),
        ORDER.attempt(span_of(1, SpanPart::Process), Some(0xa1), 1, 10_000, 20_000),
    ];
    let chart = Chart::of(&spans, &[job], now());
    let last = chart.rows().last().unwrap();
    assert_eq!((last.content, last.start), (Content::BackOff, at(20_000)));
    let path = CriticalPath::of(&chart);
    assert!(path.segments().iter().all(|segment| segment.row.is_some()));
    let found = findings(&chart, &path);
    assert_eq!(found[0].what, "backed_off");
    assert!(
        found[0].text.ends_with("waits to be tried again"),
        "{}",
        found[0].text
    );
    let waiting = [record(JobState::Available)];
    let chart = Chart::of(&[], &waiting, now());
    let found = findings(&chart, &CriticalPath::of(&chart));
    assert!(
        found[0].text.starts_with("it has been waiting 20.0 s"),
        "{}",
        found[0].text
    );
}

#[test]
fn what_ends_a_deeper_tree_stands_before_what_goes_on_above_it() {
    let mut order = record(JobState::Retryable);
    order.history = vec![ended(1, (9_100, 10_000, 20_000), AttemptOutcome::Retried)];
    order.claim = 1;
    order.available_at = at(90_000_000);
    let mut mail = NewJob::new(
        JobId::lossy(MAIL.id),
        QueueName::lossy(MAIL.queue),
        Kind::lossy(MAIL.kind),
        "",
    );
    let trace = TraceId::from_u128(0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736);
    let context = SpanContext::new(trace, SpanId::from_u64(0xc1), TraceFlags::default());
    mail.trace.traceparent = Some(context.traceparent());
    let process = span_of(1, SpanPart::Process);
    let spans = [
        ORDER.span(0xa1, None, name::ENQUEUE, 7_900, 9_100),
        ORDER.attempt(process, Some(0xa1), 1, 10_000, 20_000),
        MAIL.span(0xc1, Some(process), name::ENQUEUE, 15_000, 16_000),
    ];
    let jobs = [order, Job::from_new(mail, at(16_000))];
    let chart = Chart::of(&spans, &jobs, now());
    let expected = "
queue.enqueue order.process 7900..9100
  scheduled [Delay] 8000..9100
  wait [Wait] 9100..10000
  job.process #1 10000..20000
    queue.enqueue email.send 15000..16000
      wait ▸ [Wait] 16000..20000000
  back-off ▸ [BackOff] 20000..20000000
";
    assert_eq!(show(&chart), expected);
}

#[test]
fn the_record_of_a_job_with_all_its_spans_adds_only_what_lies_between() {
    let mut job = record(JobState::Completed);
    job.history = vec![
        ended(1, (9_100, 61_300, 371_500), AttemptOutcome::Retried),
        ended(
            2,
            (15_371_500, 15_402_700, 15_654_900),
            AttemptOutcome::Completed,
        ),
    ];
    job.claim = 2;
    let ids = [
        (0xa2, 1, SpanPart::Dequeue),
        (0xa3, 1, SpanPart::Process),
        (0xb2, 2, SpanPart::Dequeue),
        (0xb3, 2, SpanPart::Process),
    ];
    let real = |id: SpanId| {
        let known = ids
            .iter()
            .find(|(typed, ..)| SpanId::from_u64(*typed) == id);
        known.map_or(id, |(_, claim, part)| {
            SpanId::from_u64(span_of(*claim, *part))
        })
    };
    let mut spans = retried_order();
    for span in &mut spans {
        span.span_id = real(span.span_id);
        span.parent_span_id = span.parent_span_id.map(real);
    }
    let alone = show(&Chart::of(&spans, &[], now()));
    let with_record = show(&Chart::of(&spans, &[job], now()));
    let first = "  scheduled [Delay] 8000..9100\n";
    assert_eq!(with_record.replace(&format!("  {first}"), ""), alone);
}

#[test]
fn what_lies_outside_of_its_parent_is_marked_unless_nobody_waited_for_it() {
    let spans = [
        span(1, None, "GET /", 100, 200),
        span(2, Some(1), "early", 50, 150),
        span(3, Some(1), "inside", 110, 120),
        ORDER.attempt(4, Some(1), 1, 300, 400),
    ];
    let chart = Chart::of(&spans, &[], now());
    let outside = chart
        .rows()
        .iter()
        .filter(|row| row.marks.has(Marks::OUTSIDE));
    let outside: Vec<&str> = outside.map(|row| chart.name(row)).collect();
    assert_eq!(outside, ["early"]);
}

#[test]
fn a_row_takes_no_more_than_it_must() {
    assert!(std::mem::size_of::<longshore_trace::chart::Row>() <= 72);
}

#[test]
fn a_chain_deeper_than_a_row_can_say_is_cut_there() {
    let spans: Vec<Span> = (1..70_000_u64)
        .map(|id| span(id, (id > 1).then(|| id - 1), "x", 0, 10))
        .collect();
    let chart = Chart::of(&spans, &[], now());
    assert_eq!(chart.rows().len(), spans.len());
    assert_eq!(chart.rows().last().unwrap().depth, u16::MAX);
}

proptest! {
    #[test]
    fn rows_are_a_tree_in_reading_order(spans in any_spans()) {
        let chart = Chart::of(&spans, &[], now());
        let rows = chart.rows();
        for (index, row) in rows.iter().enumerate() {
            prop_assert!(row.end >= row.start);
            prop_assert!(row.subtree_end as usize > index);
            let parent = row.parent as usize;
            if row.depth == 0 {
                prop_assert_eq!(parent, index);
            } else {
                prop_assert!(parent < index);
                prop_assert_eq!(rows[parent].depth + 1, row.depth);
                prop_assert!(rows[parent].subtree_end >= row.subtree_end);
            }
        }
        let mut seen: Vec<usize> = chart.roots().collect();
        for index in 0..rows.len() {
            seen.extend(chart.children(index));
        }
        seen.sort_unstable();
        prop_assert_eq!(seen, (0..rows.len()).collect::<Vec<_>>());
    }
}

#[test]
fn a_chart_that_somebody_sent_is_not_trusted() {
    let chart = Chart::of(&retried_order(), &[], now());
    let mut json = serde_json::to_value(&chart).unwrap();
    assert_eq!(
        serde_json::from_value::<Chart>(json.clone()).unwrap(),
        chart
    );
    for row in json["rows"].as_array_mut().unwrap() {
        for number in [
            "subtree_end",
            "parent",
            "name",
            "trace",
            "error",
            "service",
            "job",
        ] {
            row[number] = 3.into();
        }
    }
    let chart: Chart = serde_json::from_value(json).unwrap();
    let path = CriticalPath::of(&chart);
    let _spent = path.spent(&chart);
    let _found = findings(&chart, &path);
    let summary = TraceSummary::unknown(TraceId::from_u128(1));
    let drawn = Waterfall::of_chart(&chart, &summary).draw(&DrawOptions::default());
    assert!(drawn.lines().count() > 10);
    assert!(chart.roots().count() <= chart.rows().len());
    let mut side = Side::new();
    side.add(&chart);
}

#[test]
fn a_job_that_was_over_before_it_ran_again_was_not_backed_off() {
    let mut job = record(JobState::Available);
    job.history = vec![ended(1, (9_100, 10_000, 23_000), AttemptOutcome::Discarded)];
    job.claim = 1;
    job.available_at = at(15_000_000);
    let spans = [
        ORDER.span(0xa1, None, name::ENQUEUE, 7_900, 9_100),
        ORDER.attempt(span_of(1, SpanPart::Process), Some(0xa1), 1, 10_000, 23_000),
    ];
    let chart = Chart::of(&spans, &[job], now());
    let names: Vec<&str> = chart.rows().iter().map(|row| chart.name(row)).collect();
    assert!(names.contains(&"was over"), "{names:?}");
    let path = CriticalPath::of_job(&chart, subject(&chart).unwrap());
    let spent = path.spent(&chart);
    assert!(
        spent.back_off.is_zero() && spent.run < spent.wait,
        "{spent:?}"
    );
    let found = findings(&chart, &path);
    let what: Vec<&str> = found.iter().map(|finding| finding.what).collect();
    assert!(!what.contains(&"backed_off"), "{what:?}");
}
