//! Critical paths, self time, folds, findings and differences.

use std::time::Duration;

use longshore_core::Timestamp;
use longshore_instrument::table::{key, name};
use longshore_instrument::{Attribute, Span, SpanEvent, SpanKind, SpanStatus};
use longshore_trace::chart::Content;
use longshore_trace::critical::{Spent, self_times, subject};
use longshore_trace::diff::{Diff, DiffRow, Side};
use longshore_trace::fold::{fold, many_for_one};
use longshore_trace::{Chart, CriticalPath, findings};
use proptest::prelude::*;

use crate::properties::any_spans;
use crate::shop::{ORDER, at, backing_off, failed, import, in_trace, link, retried_order, span};

pub(crate) fn chart(spans: &[Span]) -> Chart {
    Chart::of(spans, &[], at(100_000_000))
}

/// The stretches of a path: the row's name and the microseconds spent there.
fn show(chart: &Chart, path: &CriticalPath) -> Vec<(String, u128)> {
    let segments = path.segments().iter().map(|segment| {
        let row = segment.row.and_then(|row| chart.row(row as usize));
        let name = row.map_or("?", |row| chart.name(row)).to_owned();
        (name, segment.to.since(segment.from).as_micros())
    });
    segments.collect()
}

fn of_subject(chart: &Chart) -> CriticalPath {
    let job = subject(chart);
    job.map_or_else(CriticalPath::default, |job| {
        CriticalPath::of_job(chart, job)
    })
}

fn names(shown: &[(&str, u128)]) -> Vec<(String, u128)> {
    let owned = shown.iter().map(|(name, time)| ((*name).to_owned(), *time));
    owned.collect()
}

#[test]
fn the_path_of_a_job_crosses_the_queue() {
    let chart = chart(&retried_order());
    let path = of_subject(&chart);
    let expected = names(&[
        (name::DEQUEUE, 52_200),
        (name::PROCESS, 200),
        (name::HANDLER, 600),
        ("SELECT orders", 4_700),
        (name::HANDLER, 200),
        ("POST payments/charge", 300_100),
        (name::HANDLER, 100),
        (name::PROCESS, 100),
        (name::SETTLE, 4_200),
        ("back-off", 15_000_000),
        (name::DEQUEUE, 31_200),
        (name::PROCESS, 200),
        (name::HANDLER, 600),
        ("SELECT orders", 3_700),
        (name::HANDLER, 200),
        ("POST payments/charge", 181_600),
        (name::HANDLER, 1_000),
        (name::ENQUEUE, 1_200),
        (name::HANDLER, 60_200),
        (name::PROCESS, 100),
        (name::SETTLE, 3_400),
    ]);
    assert_eq!(show(&chart, &path), expected);
    let micros = Duration::from_micros;
    let spent = Spent {
        total: micros(15_645_800),
        wait: micros(83_400),
        run: micros(554_800),
        back_off: micros(15_000_000),
        settle: micros(7_600),
    };
    assert_eq!(path.spent(&chart), spent);
    let on_path: Duration = path.by_row().iter().map(|(_, time)| *time).sum();
    assert_eq!(on_path, path.total());
}

#[test]
fn an_attempt_whose_end_was_heard_of_late_is_on_the_path() {
    let chart = chart(&[
        ORDER.span(1, None, name::ENQUEUE, 0, 10),
        ORDER.span(2, Some(1), name::DEQUEUE, 10, 20),
        failed(ORDER.attempt(3, Some(1), 1, 20, 100), "no_stock"),
        ORDER.span(4, Some(3), name::SETTLE, 60, 100),
        // The store has had the outcome since 80.
        ORDER.span(5, Some(1), name::DEQUEUE, 80, 150),
        ORDER.attempt(6, Some(1), 2, 150, 200),
    ]);
    let expected = names(&[
        (name::DEQUEUE, 10),
        (name::PROCESS, 40),
        (name::SETTLE, 20),
        (name::DEQUEUE, 70),
        (name::PROCESS, 50),
    ]);
    assert_eq!(show(&chart, &of_subject(&chart)), expected);
    let mut whole = names(&[(name::ENQUEUE, 10)]);
    whole.extend(expected);
    assert_eq!(show(&chart, &CriticalPath::of(&chart)), whole);
}

/// The mail that an order enqueued is over after it.
#[test]
fn the_path_of_a_trace_goes_through_the_jobs_of_jobs() {
    let chart = chart(&retried_order());
    let path = show(&chart, &CriticalPath::of(&chart));
    let before = names(&[("POST /orders", 7_900), (name::ENQUEUE, 1_200)]);
    assert_eq!(path[..2], before);
    assert_eq!(path[2..20], show(&chart, &of_subject(&chart))[..18]);
    let after = names(&[
        (name::DEQUEUE, 41_800),
        (name::PROCESS, 100),
        (name::HANDLER, 94_400),
        (name::PROCESS, 100),
        (name::SETTLE, 3_400),
    ]);
    assert_eq!(path[20..], after);
}

/// What a caller asked for later, a clock that is wrong, a root of its own, a call that nobody knows.
#[test]
fn time_of_which_no_span_tells_is_on_the_path_of_a_trace() {
    let late = |parent, from: i64| {
        vec![
            span(1, None, "GET /", 0, 10),
            span(2, parent, "later", from, from + 20),
        ]
    };
    let shown = |spans: &[Span]| {
        let chart = chart(spans);
        show(&chart, &CriticalPath::of(&chart))
    };
    let gap = names(&[("GET /", 10), ("?", 20), ("later", 20)]);
    assert_eq!(shown(&late(Some(1), 30)), gap);
    assert_eq!(shown(&late(None, 30)), gap);
    assert_eq!(shown(&late(None, 5)), names(&[("?", 5), ("later", 20)]));
    let ghost = [
        span(2, Some(1), "one", 0, 10),
        span(3, Some(1), "two", 30, 50),
    ];
    assert_eq!(shown(&ghost), names(&[("one", 10), ("", 20), ("two", 20)]));
}

/// The wait of an attempt in a trace of its own hangs under the attempt.
#[test]
fn the_path_of_a_trace_follows_links() {
    let enqueue = ORDER.span(1, None, name::ENQUEUE, 0, 10);
    let mut attempt = in_trace(ORDER.attempt(3, None, 1, 60, 100), 7);
    attempt.links.push(link(&enqueue, "enqueue"));
    let wait = in_trace(ORDER.span(2, Some(3), name::DEQUEUE, 10, 60), 7);
    let chart = chart(&[enqueue, attempt, wait]);
    let expected = names(&[
        (name::ENQUEUE, 10),
        (name::DEQUEUE, 50),
        (name::PROCESS, 40),
    ]);
    assert_eq!(show(&chart, &CriticalPath::of(&chart)), expected);
}

#[test]
fn the_path_of_a_call_is_what_it_waited_for() {
    let chart = chart(&[
        span(1, None, "GET /", 0, 100),
        span(2, Some(1), "first", 10, 40),
        span(3, Some(1), "beside it", 20, 35),
        span(4, Some(1), "right after", 40, 90),
        span(5, Some(4), "too long", 60, 200),
        ORDER.attempt(6, Some(1), 1, 5, 100),
    ]);
    let expected = names(&[
        ("GET /", 10),
        ("first", 30),
        ("right after", 20),
        ("too long", 30),
        ("GET /", 10),
    ]);
    assert_eq!(show(&chart, &CriticalPath::of_row(&chart, 0)), expected);
    let job = names(&[(name::PROCESS, 95)]);
    assert_eq!(show(&chart, &of_subject(&chart)), job);
    let whole = names(&[
        ("GET /", 10),
        ("first", 30),
        ("right after", 20),
        ("too long", 140),
    ]);
    assert_eq!(show(&chart, &CriticalPath::of(&chart)), whole);
    assert_eq!(CriticalPath::of_job(&chart, 77), CriticalPath::default());
    assert_eq!(CriticalPath::of_row(&chart, 77), CriticalPath::default());
}

#[test]
fn self_time_is_what_children_leave() {
    let spans = [
        span(1, None, "GET /", 0, 100),
        span(2, Some(1), "a", 10, 40),
        span(3, Some(1), "b", 20, 50),
        span(4, Some(1), "late", 90, 200),
        ORDER.attempt(6, Some(1), 1, 60, 80),
    ];
    let own: Vec<u128> = self_times(&chart(&spans))
        .iter()
        .map(Duration::as_micros)
        .collect();
    assert_eq!(own, [50, 30, 30, 20, 110]);
}

#[test]
fn siblings_that_look_alike_fold() {
    let chart = chart(&import());
    let handler = chart
        .rows()
        .iter()
        .position(|row| chart.name(row) == name::HANDLER)
        .unwrap();
    let found = fold(&chart, handler + 1).unwrap();
    assert_eq!(
        (found.first, found.end, found.count),
        (handler + 1, handler + 13, 12)
    );
    assert_eq!(
        (found.p50, found.max),
        (Duration::from_micros(2_600), Duration::from_micros(2_600))
    );
    assert_eq!(fold(&chart, handler + 9), None, "four are left");
    assert_eq!(fold(&chart, handler), None);
}

#[test]
fn the_same_query_again_and_again_is_found() {
    let mut spans = vec![span(1, None, "GET /orders", 0, 100_000)];
    for nth in 0_i64..8 {
        let from = 1_000 + nth * 10_000;
        let id = 10 + nth.unsigned_abs();
        let mut query = span(id, Some(1), "SELECT items 4711", from, from + 9_000);
        query.name = format!("SELECT items {nth}").into();
        spans.push(query);
    }
    let found = many_for_one(&chart(&spans));
    assert_eq!(found.len(), 1);
    assert_eq!(
        (found[0].count, found[0].total),
        (8, Duration::from_millis(72))
    );
    let said = findings(&chart(&spans), &CriticalPath::default());
    assert_eq!(said[0].what, "n_plus_one");
    assert!(
        said[0].text.starts_with("8 times `SELECT items 0`"),
        "{}",
        said[0].text
    );
    for query in &mut spans[1..] {
        (query.start, query.end) = (at(1_000), at(60_000));
    }
    assert_eq!(many_for_one(&chart(&spans)), [], "at once is no fault");
    for query in &mut spans[1..] {
        query.name = "GET /items".into();
    }
    assert_eq!(many_for_one(&chart(&spans)), []);
    for query in &mut spans[1..] {
        let from = query.span_id.to_u64().cast_signed() * 10_000;
        (query.start, query.end) = (at(from), at(from + 9_000));
        query.kind = SpanKind::Client;
        query
            .attributes
            .push(Attribute::new("db.system.name", "postgresql"));
    }
    assert_eq!(
        many_for_one(&chart(&spans)).len(),
        1,
        "whatever they are called"
    );
}

/// Attempts that ask the same again and again say so once; an exception says what went wrong where
/// no `error.type` does.
#[test]
fn what_programs_leave_is_said_in_their_words() {
    let mut spans = vec![ORDER.span(1, None, name::ENQUEUE, 0, 10)];
    for attempt in 0..3_i64 {
        let id = u64::try_from(attempt).unwrap() * 100 + 100;
        let from = attempt * 1_000_000;
        let number = u32::try_from(attempt).unwrap() + 1;
        spans.push(ORDER.attempt(id, Some(1), number, from, from + 500_000));
        for (query, later) in (1..=10).zip((0_i64..).step_by(10_000)) {
            let (from, to) = (from + later, from + later + 9_000);
            spans.push(span(
                id + query,
                Some(id),
                "SELECT items WHERE id = 7",
                from,
                to,
            ));
        }
    }
    let mut lost = span(900, Some(300), "POST bank", 2_200_000, 2_300_000);
    lost.status = SpanStatus::Error("it takes too long".into());
    lost.events = ["ValueError", "TimeoutError"]
        .map(|class| SpanEvent {
            name: "exception".into(),
            at: lost.end,
            attributes: vec![Attribute::new(key::EXCEPTION_TYPE, class)],
        })
        .to_vec();
    spans.push(lost);
    let chart = chart(&spans);
    let found = findings(&chart, &CriticalPath::of(&chart));
    let said = found.iter().filter(|found| found.what == "n_plus_one");
    let said: Vec<&str> = said.map(|found| found.text.as_str()).collect();
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(
        said[0].contains("90.0 ms, and likewise in 2 other places: "),
        "{}",
        said[0]
    );
    let mut rows = chart.rows().iter();
    let row = rows.find(|row| chart.name(row) == "POST bank").unwrap();
    assert_eq!(chart.error(row), "TimeoutError");
}

#[test]
fn what_stands_out_is_said() {
    let kinds = |chart: &Chart| -> Vec<&str> {
        let found = findings(chart, &CriticalPath::of(chart));
        found.iter().map(|finding| finding.what).collect()
    };
    assert_eq!(kinds(&chart(&retried_order())), ["backed_off"]);
    assert_eq!(kinds(&chart(&backing_off())), ["retries", "backed_off"]);
    assert_eq!(kinds(&chart(&import())), ["n_plus_one", "missing_parents"]);
    let slow = [
        ORDER.span(2, Some(1), name::DEQUEUE, 0, 60_000_000),
        failed(
            ORDER.attempt(3, Some(1), 1, 60_000_000, 60_100_000),
            "lease_expired",
        ),
    ];
    let slow = chart(&slow);
    assert_eq!(kinds(&slow), ["lost_lease", "waited", "missing_parents"]);
    let waited = &findings(&slow, &CriticalPath::of(&slow))[1];
    assert!(
        waited.text.contains("1m 00s") && waited.text.contains("100 %"),
        "{}",
        waited.text
    );
    assert_eq!(
        slow.rows()[waited.row.unwrap() as usize].span_id.to_u64(),
        2
    );
    let early = [
        span(1, None, "GET /", 3_000, 4_000),
        span(2, Some(1), "x", 500, 3_500),
    ];
    assert_eq!(kinds(&chart(&early)), ["clock"]);
}

/// An attempt that enqueues two kinds of jobs has two places for them; the job that a trace begins
/// with is compared with that of another kind.
#[test]
fn jobs_within_a_job_are_told_apart_by_kind() {
    let with_kind = |mut span: Span, kind: &'static str| {
        span.attributes.push(Attribute::new(key::KIND, kind));
        span
    };
    let enqueue = |id, parent, from: i64, kind| {
        with_kind(span(id, parent, name::ENQUEUE, from, from + 5), kind)
    };
    let spans = [
        enqueue(1, None, 0, "order"),
        ORDER.attempt(2, Some(1), 1, 100, 900),
        enqueue(3, Some(2), 200, "pay"),
        enqueue(4, Some(2), 300, "pack"),
    ];
    let mut side = Side::new();
    side.add(&chart(&spans));
    let diff = Diff::of(&side, &side, 1);
    let mut last: Vec<&str> = diff
        .rows
        .iter()
        .filter_map(|row| row.path.last().map(String::as_str))
        .collect();
    last.sort_unstable();
    let (pack, pay) = ("queue.enqueue pack", "queue.enqueue pay");
    let gap = DiffRow::NO_SPAN;
    assert_eq!(last, [name::PROCESS, name::ENQUEUE, pack, pay, gap]);
}

proptest! {
    #[test]
    fn a_path_is_without_gaps_and_sums_up(spans in any_spans()) {
        let spans: Vec<Span> = spans
            .into_iter()
            .map(|mut span| {
                let bound = |at: Timestamp| Timestamp::from_unix_nanos(at.unix_nanos().clamp(0, 1 << 60));
                (span.start, span.end) = (bound(span.start), bound(span.end));
                span
            })
            .collect();
        let chart = Chart::of(&spans, &[], Timestamp::UNIX_EPOCH);
        let mut paths = vec![CriticalPath::of(&chart)];
        prop_assert_eq!(paths[0].total(), chart.end().since(chart.start()));
        paths.extend((0..3).map(|row| CriticalPath::of_row(&chart, row)));
        paths.extend((0..3).map(|job| CriticalPath::of_job(&chart, job)));
        for path in paths {
            for pair in path.segments().windows(2) {
                prop_assert_eq!(pair[0].to, pair[1].from);
                prop_assert_ne!(pair[0].row, pair[1].row);
            }
            let sum: Duration = path.segments().iter().map(|segment| segment.to.since(segment.from)).sum();
            prop_assert_eq!(sum, path.total());
            for segment in path.segments() {
                if let Some(row) = segment.row.and_then(|row| chart.row(row as usize)) {
                    prop_assert!(row.start <= segment.from && segment.to <= row.end);
                }
            }
            let spent = path.spent(&chart);
            prop_assert!(spent.wait + spent.run + spent.back_off + spent.settle <= spent.total);
        }
        let latency = CriticalPath::of_row(&chart, 0).total();
        let first = chart.row(0).map_or(Duration::ZERO, |row| row.end.since(row.start));
        prop_assert_eq!(latency, first);
        for (row, own) in chart.rows().iter().zip(self_times(&chart)) {
            prop_assert!(own <= row.end.since(row.start));
        }
    }

    #[test]
    fn analysis_bears_anything(spans in any_spans()) {
        let chart = chart(&spans);
        let path = CriticalPath::of(&chart);
        for finding in findings(&chart, &path) {
            prop_assert!(finding.row.is_none_or(|row| chart.row(row as usize).is_some()));
            prop_assert!(!finding.text.contains(|c: char| c.is_control()));
        }
        let recorded = Chart::as_recorded(&spans, &[], at(100_000_000));
        let ghosts = |chart: &Chart| chart.rows().iter().filter(|row| row.content == Content::Ghost).count();
        prop_assert_eq!(ghosts(&recorded), ghosts(&chart));
        let mut side = Side::new();
        side.add(&chart);
        let diff = Diff::of(&Side::new(), &side, 1);
        let explained: i128 = diff.rows.iter().map(|row| i128::from(row.critical_delta_nanos)).sum();
        let total = i128::from(diff.delta_nanos);
        // What saturates cannot sum up.
        prop_assert!(explained == total || total > 1 << 60);
    }
}
