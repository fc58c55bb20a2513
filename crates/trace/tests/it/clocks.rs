//! Clocks that disagree are corrected as far as what was recorded asks for, and no further.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a broken promise is a failed test"
)]

use std::sync::Arc;
use std::time::Duration;

use longshore_core::Timestamp;
use longshore_instrument::table::{key, name};
use longshore_instrument::{Attribute, Resource, Span, SpanKind};
use longshore_trace::chart::{Content, Marks};
use longshore_trace::{Chart, CriticalPath, findings};
use proptest::prelude::*;

use crate::recordings;
use crate::shop::{ORDER, at, link, span};

const MILLIS: i64 = 1_000;

fn chart(spans: &[Span]) -> Chart {
    Chart::of(spans, &[], at(100_000_000))
}

/// A span of a service on a machine.
fn on(mut span: Span, machine: &str, service: &'static str) -> Span {
    let mut attributes = vec![Attribute::new("service.name", service)];
    if !machine.is_empty() {
        attributes.push(Attribute::new("host.name", machine.to_owned()));
    }
    span.resource = Some(Arc::new(Resource { attributes }));
    span
}

fn kind(mut span: Span, kind: SpanKind) -> Span {
    span.kind = kind;
    span
}

/// A span of the engine whose times are the store's.
fn timed_by_the_store(mut span: Span) -> Span {
    span.attributes
        .push(Attribute::new(key::SYSTEM, "longshore"));
    span
}

/// Where a span stands, in microseconds, and whether it was moved.
fn place(chart: &Chart, id: u64) -> (i64, i64, bool) {
    let mut rows = chart.rows().iter();
    let row = rows.find(|row| row.span_id.to_u64() == id).unwrap();
    let micros = |time: Timestamp| (time.unix_nanos() - at(0).unix_nanos()) / 1_000;
    let is_moved = row.marks.has(Marks::CORRECTED);
    (micros(row.start), micros(row.end), is_moved)
}

fn words(chart: &Chart) -> Vec<String> {
    let all = chart.corrections().iter();
    all.map(|correction| correction.words()).collect()
}

/// A job whose producer and whose worker's own spans are on clocks of their own.
fn order(producer_ahead: i64, worker_behind: i64) -> Vec<Span> {
    let by = producer_ahead;
    let enqueue = ORDER.span(2, Some(1), name::ENQUEUE, 2 * MILLIS + by, 4 * MILLIS + by);
    let wait = ORDER.span(3, Some(2), name::DEQUEUE, 3 * MILLIS, 30 * MILLIS);
    let attempt = ORDER.attempt(4, Some(2), 1, 30 * MILLIS, 80 * MILLIS);
    let by = -worker_behind;
    vec![
        on(
            span(
                1,
                None,
                "POST /orders",
                MILLIS + producer_ahead,
                5 * MILLIS + producer_ahead,
            ),
            "web-1",
            "web",
        ),
        on(enqueue, "web-1", "web"),
        on(timed_by_the_store(wait), "worker-2", "worker"),
        on(timed_by_the_store(attempt), "worker-2", "worker"),
        on(
            span(5, Some(4), name::HANDLER, 31 * MILLIS, 79 * MILLIS),
            "worker-2",
            "worker",
        ),
        on(
            span(
                6,
                Some(5),
                "SELECT stock",
                40 * MILLIS + by,
                50 * MILLIS + by,
            ),
            "worker-2",
            "worker",
        ),
        on(
            span(7, Some(5), "charge", 51 * MILLIS + by, 70 * MILLIS + by),
            "worker-2",
            "worker",
        ),
    ]
}

#[test]
fn clocks_that_agree_stay() {
    let chart = chart(&order(0, 0));
    assert_eq!(chart.corrections(), []);
    assert_eq!(
        chart,
        Chart::as_recorded(&order(0, 0), &[], at(100_000_000))
    );
    // Ahead and behind, but by less than anyone could tell.
    for (ahead, behind) in [(28, 0), (-60_000, 0), (0, 9), (0, -600)] {
        let spans = order(ahead * MILLIS, behind * MILLIS);
        assert_eq!(words(&self::chart(&spans)), [""; 0], "{ahead} {behind}");
    }
}

#[test]
fn what_a_worker_notes_by_its_own_clock_lies_within_its_attempt() {
    let spans = order(0, 50 * MILLIS);
    let chart = chart(&spans);
    assert_eq!(
        words(&chart),
        ["the clock of worker-2 corrected by +41.0 ms"]
    );
    assert_eq!(place(&chart, 6), (31 * MILLIS, 41 * MILLIS, true));
    assert_eq!(
        place(&chart, 7),
        (42 * MILLIS, 61 * MILLIS, true),
        "with the other"
    );
    assert_eq!(
        place(&chart, 5),
        (31 * MILLIS, 79 * MILLIS, false),
        "the store's time stands still"
    );
    let recorded = Chart::as_recorded(&spans, &[], at(100_000_000));
    assert_eq!(place(&recorded, 6), (-10 * MILLIS, 0, false));
    let found = findings(&chart, &CriticalPath::of(&chart));
    let [found] = &found[..] else {
        panic!("{found:?}");
    };
    assert_eq!(found.what, "clock");
    assert!(
        found
            .text
            .starts_with("the clock of worker-2 corrected by +41.0 ms: "),
        "{}",
        found.text
    );
    let row = chart.row(found.row.unwrap() as usize).unwrap();
    assert_eq!(row.span_id.to_u64(), 6);
}

#[test]
fn a_job_is_enqueued_before_it_is_claimed() {
    let chart = chart(&order(60_000 * MILLIS, 0));
    assert_eq!(words(&chart), ["the clock of web-1 corrected by -1m 00s"]);
    assert_eq!(place(&chart, 2).0, 30 * MILLIS, "as late as can be");
    assert_eq!(place(&chart, 1).0, 29 * MILLIS, "with what it is called in");
}

/// Attempts in traces of their own hang by links, which say the same.
#[test]
fn a_link_bounds_clocks_too() {
    let mut spans = order(60_000 * MILLIS, 0);
    let enqueue = spans[1].clone();
    spans[3].parent_span_id = None;
    spans[3].links = vec![link(&enqueue, "enqueue")];
    assert_eq!(
        words(&chart(&spans)),
        ["the clock of web-1 corrected by -1m 00s"]
    );
}

/// Two calls of another machine, whose clock is behind: what the one asks for is what the other
/// allows.
#[test]
fn a_call_lasts_as_long_as_its_answer_takes() {
    let calls = |machine: &'static str, by: i64| {
        let server = |id, parent, from: i64, to: i64| {
            let span = span(
                id,
                Some(parent),
                "serve",
                from * MILLIS + by,
                to * MILLIS + by,
            );
            on(kind(span, SpanKind::Server), machine, "shop")
        };
        let client = |id, from: i64, to: i64| {
            let span = span(id, Some(1), "call", from * MILLIS, to * MILLIS);
            on(kind(span, SpanKind::Client), "web-1", "web")
        };
        let root = on(span(1, None, "GET /", 0, 100 * MILLIS), "web-1", "web");
        [
            root,
            client(2, 10, 20),
            server(3, 2, 11, 19),
            client(4, 30, 40),
            server(5, 4, 32, 39),
        ]
    };
    let behind = chart(&calls("shop-1", -500 * MILLIS));
    assert_eq!(words(&behind), ["the clock of shop-1 corrected by +499 ms"]);
    assert_eq!(place(&behind, 3).0, 10 * MILLIS);
    let ahead = chart(&calls("shop-1", 500 * MILLIS));
    assert_eq!(words(&ahead), ["the clock of shop-1 corrected by -499 ms"]);
    assert_eq!(place(&ahead, 3).1, 20 * MILLIS);
    // Where no machine is named, a service may be on several: only causes count.
    assert_eq!(chart(&calls("", 500 * MILLIS)).corrections(), []);
    // On one machine one clock.
    assert_eq!(chart(&calls("web-1", 500 * MILLIS)).corrections(), []);
}

/// Nobody waited for what outlasts its caller; only its start says something.
#[test]
fn what_nobody_waited_for_may_last() {
    let web = |span| on(kind(span, SpanKind::Client), "web-1", "web");
    let shop = |span| on(kind(span, SpanKind::Server), "shop-1", "shop");
    let long = [
        web(span(1, None, "call", 0, 10 * MILLIS)),
        shop(span(2, Some(1), "serve", 5 * MILLIS, 30 * MILLIS)),
    ];
    assert_eq!(chart(&long).corrections(), []);
    let consumer = [
        web(span(1, None, "call", 0, 10 * MILLIS)),
        on(
            kind(
                span(2, Some(1), "consume", 90 * MILLIS, 91 * MILLIS),
                SpanKind::Consumer,
            ),
            "shop-1",
            "shop",
        ),
    ];
    assert_eq!(chart(&consumer).corrections(), []);
}

/// Two machines under one name: no correction fits, and none is made up.
#[test]
fn what_contradicts_itself_stays() {
    let spans = [
        on(span(1, None, "one", 0, 10 * MILLIS), "web-1", "web"),
        on(
            span(2, Some(1), "early", -50 * MILLIS, -40 * MILLIS),
            "shop-1",
            "shop",
        ),
        on(
            span(3, Some(2), "earlier", -90 * MILLIS, -80 * MILLIS),
            "web-1",
            "web",
        ),
    ];
    let chart = chart(&spans);
    assert_eq!(chart.corrections(), []);
    let found = findings(&chart, &CriticalPath::of(&chart));
    assert!(
        found
            .iter()
            .any(|found| found.what == "clock" && found.text.contains("contradict"))
    );
}

/// A recorded run whose producer had a clock that was five seconds ahead.
#[test]
fn a_recorded_run_is_mended() {
    let mut spans = recordings::spans("waited");
    let right = Chart::of(&spans, &[], Timestamp::MAX);
    assert_eq!(right.corrections(), []);
    for span in &mut spans {
        if span.service() == Some("shop") {
            let ahead = Duration::from_secs(5);
            (span.start, span.end) = (span.start.after(ahead), span.end.after(ahead));
        }
    }
    let wrong = Chart::as_recorded(&spans, &[], Timestamp::MAX);
    let mended = Chart::of(&spans, &[], Timestamp::MAX);
    let enqueue = |chart: &Chart| {
        let mut rows = chart.rows().iter();
        let row = rows.find(|row| chart.name(row) == name::ENQUEUE).copied();
        row.unwrap().start
    };
    let attempt = |chart: &Chart| {
        let mut rows = chart.rows().iter();
        rows.find(|row| chart.name(row) == name::PROCESS)
            .unwrap()
            .start
    };
    assert!(enqueue(&wrong) > attempt(&wrong));
    assert_eq!(enqueue(&mended), attempt(&mended));
    assert_eq!(attempt(&mended), attempt(&right));
    assert_eq!(mended.corrections().len(), 1);
    assert_eq!(mended.corrections()[0].clock, "shop");
}

/// What really happened, and by how much each clock was wrong.
#[derive(Clone, Debug)]
struct Truth {
    spans: Vec<(Span, usize)>,
    wrong: Vec<i64>,
}

impl Truth {
    fn recorded(&self) -> Vec<Span> {
        let moved = |(span, clock): &(Span, usize)| {
            let mut span = span.clone();
            let by =
                |at: Timestamp| Timestamp::from_unix_nanos(at.unix_nanos() + self.wrong[*clock]);
            (span.start, span.end) = (by(span.start), by(span.end));
            span
        };
        self.spans.iter().map(moved).collect()
    }
}

prop_compose! {
    fn truths()(
        places in proptest::collection::vec((any::<prop::sample::Index>(), 0..4_usize, 0..50_000_i64, 0..100_i64, 0..100_i64, any::<bool>()), 1..20),
        wrong in proptest::collection::vec(prop_oneof![Just(0), -400_000_i64..400_000, -5_000_000_000_i64..5_000_000_000], 4),
    ) -> Truth {
        let root = on(span(1, None, "root", 0, 10_000_000), "host-0", "s");
        let mut spans = vec![(root, 0)];
        for (id, (parent, clock, later, from, to, calls)) in (2..).zip(places) {
            let (above, on_clock) = spans[parent.index(spans.len())].clone();
            let long = i64::try_from(above.end.since(above.start).as_micros()).unwrap();
            let start = (above.start.unix_nanos() - at(0).unix_nanos()) / 1_000;
            let calls = calls && clock != on_clock;
            let (from, to) = match calls {
                true => (start + long * from.min(to) / 100, start + long * from.max(to) / 100),
                false => (start + later, start + later + to * 1_000),
            };
            let mut made = span(id, Some(above.span_id.to_u64()), "x", from, to);
            if calls {
                made.kind = SpanKind::Server;
                for (span, _) in &mut spans {
                    if span.span_id == above.span_id {
                        span.kind = SpanKind::Client;
                    }
                }
            }
            let machine = format!("host-{clock}");
            spans.push((on(made, &machine, "s"), clock));
        }
        Truth { spans, wrong }
    }
}

/// By how much what is shown breaks the bounds that were known, in nanoseconds.
fn broken(chart: &Chart, truth: &Truth) -> i64 {
    let known = |id: u64| {
        truth
            .spans
            .iter()
            .find(|(span, _)| span.span_id.to_u64() == id)
    };
    let rows = chart
        .rows()
        .iter()
        .filter(|row| row.content == Content::Span);
    let worst = rows.flat_map(|row| {
        let above = chart.rows()[row.parent as usize];
        let (span, clock) = known(row.span_id.to_u64()).unwrap();
        let (caller, caller_clock) = known(above.span_id.to_u64()).unwrap();
        if clock == caller_clock {
            return [0, 0];
        }
        let early = above.start.unix_nanos() - row.start.unix_nanos();
        let calls = (caller.kind, span.kind) == (SpanKind::Client, SpanKind::Server);
        let fits = row.end.since(row.start) <= above.end.since(above.start);
        let late = row.end.unix_nanos() - above.end.unix_nanos();
        [early, if calls && fits { late } else { 0 }]
    });
    worst.max().unwrap_or(0).max(0)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn a_corrected_chart_breaks_no_bound(truth in truths()) {
        let recorded = truth.recorded();
        let raw = Chart::as_recorded(&recorded, &[], at(100_000_000));
        let shown = chart(&recorded);
        let was_broken = broken(&raw, &truth) > 1_000_000;
        prop_assert_eq!(!shown.corrections().is_empty(), was_broken);
        match was_broken {
            true => prop_assert_eq!(broken(&shown, &truth), 0, "{:?}", words(&shown)),
            false => prop_assert_eq!(shown, raw),
        }
    }

    /// Whoever doubts a correction sees what was recorded.
    #[test]
    fn a_correction_can_be_taken_back(truth in truths()) {
        let recorded = truth.recorded();
        let raw = Chart::as_recorded(&recorded, &[], at(100_000_000));
        let back = chart(&recorded).uncorrected();
        prop_assert_eq!(back.corrections(), []);
        let rows = |chart: &Chart| {
            let rows = chart.rows().iter();
            let mut rows: Vec<_> = rows.map(|row| (row.span_id, row.start, row.end, row.marks)).collect();
            rows.sort_by_key(|row| row.0);
            rows
        };
        prop_assert_eq!(rows(&back), rows(&raw));
    }

    /// Each clock as a whole: what one machine did keeps its distances.
    #[test]
    fn a_clock_is_moved_as_a_whole(truth in truths()) {
        let recorded = truth.recorded();
        let shown = chart(&recorded);
        for (span, clock) in recorded.iter().zip(truth.spans.iter().map(|(_, clock)| clock)) {
            let name = format!("host-{clock}");
            let correction = shown.corrections().iter().find(|one| one.clock == name);
            let by = correction.map_or(0, |one| one.by_nanos);
            let mut rows = shown.rows().iter();
            let row = rows.find(|row| row.span_id == span.span_id).unwrap();
            prop_assert_eq!(row.start.unix_nanos() - span.start.unix_nanos(), by);
            prop_assert_eq!(row.marks.has(Marks::CORRECTED), by != 0);
        }
    }
}
