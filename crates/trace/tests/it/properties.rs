//! What holds for drawings of any spans at all.

use std::collections::BTreeSet;

use longshore_core::{SpanId, Timestamp, TraceId};
use longshore_instrument::table::name;
use longshore_instrument::{Span, SpanStatus};
use longshore_trace::{Chart, Colour, CriticalPath, DrawOptions, Forest, Story, TraceSummary};
use longshore_trace::{Waterfall, outline};
use proptest::prelude::*;
use unicode_width::UnicodeWidthStr;

use crate::shop::{ORDER, link, span};

const NAMES: [&str; 8] = [
    name::ENQUEUE,
    name::DEQUEUE,
    name::PROCESS,
    name::HANDLER,
    "SELECT 1",
    "支払い処理\u{200d}👩‍👧",
    "line\nbreak\x1b[31m\u{202e}",
    "",
];

fn moments() -> impl Strategy<Value = i64> {
    prop_oneof![
        8 => 0..5_000_i64,
        2 => 0..100_000_000_000_i64,
        1 => prop_oneof![Just(i64::MIN), Just(i64::MAX), Just(-1), any::<i64>()],
    ]
}

prop_compose! {
    fn any_span()(
        id in 1..12_u64,
        trace in 1..4_u128,
        parent in proptest::option::of(1..14_u64),
        linked in proptest::option::of((1..14_u64, 1..5_u128)),
        name in proptest::sample::select(&NAMES[..]),
        start in moments(),
        end in moments(),
        fails in proptest::bool::weighted(0.2),
    ) -> Span {
        let mut made = ORDER.attempt(id, parent, 1, 0, 0);
        made.trace_id = TraceId::from_u128(trace);
        made.name = name.into();
        made.start = Timestamp::from_unix_nanos(start);
        made.end = Timestamp::from_unix_nanos(end);
        if let Some((id, trace)) = linked {
            let mut other = span(id, None, "other", 0, 0);
            other.trace_id = TraceId::from_u128(trace);
            made.links.push(link(&other, "enqueue"));
        }
        if fails {
            made.status = SpanStatus::Error("".into());
        }
        made
    }
}

pub(crate) fn any_spans() -> impl Strategy<Value = Vec<Span>> {
    proptest::collection::vec(any_span(), 0..40)
}

fn ids<'a>(spans: impl Iterator<Item = &'a Span>) -> Vec<(TraceId, SpanId)> {
    spans.map(|span| (span.trace_id, span.span_id)).collect()
}

/// The text without colours.
fn bare(drawn: &str) -> String {
    let mut bare = String::new();
    let mut parts = drawn.split("\x1b[");
    bare.extend(parts.next());
    for part in parts {
        bare.push_str(part.split_once('m').map_or("", |(_, rest)| rest));
    }
    bare
}

proptest! {
    #[test]
    fn every_span_stands_in_the_forest_once(spans in any_spans()) {
        let forest = Forest::new(&spans);
        let shown = ids(forest.spans());
        let distinct: BTreeSet<_> = ids(spans.iter()).into_iter().collect();
        prop_assert_eq!(shown.len(), distinct.len());
        prop_assert_eq!(shown.into_iter().collect::<BTreeSet<_>>(), distinct);
    }

    #[test]
    fn the_order_of_arrival_does_not_matter(spans in any_spans()) {
        let mut distinct = spans;
        distinct.sort_by_key(|span| (span.trace_id, span.span_id));
        distinct.dedup_by_key(|span| (span.trace_id, span.span_id));
        let reversed: Vec<Span> = distinct.iter().rev().cloned().collect();
        let (one, other) = (Forest::new(&distinct), Forest::new(&reversed));
        prop_assert_eq!(outline::outline(&one), outline::outline(&other));
    }

    #[test]
    fn every_row_of_the_chart_is_drawn_once(spans in any_spans()) {
        let mut shown = 0;
        for story in &Story::stitch(&spans) {
            let chart = Chart::of(story.forest().spans(), &[], story.end());
            let mut next = 0;
            for row in Waterfall::new(story).rows() {
                prop_assert_eq!(row.rows.start, next);
                next = row.rows.end;
            }
            prop_assert_eq!(next, chart.rows().len());
            shown += story.forest().spans().count();
        }
        let distinct: BTreeSet<_> = ids(spans.iter()).into_iter().collect();
        prop_assert_eq!(shown, distinct.len());
    }

    #[test]
    fn no_line_is_wider_than_asked(
        spans in any_spans(),
        width in 0..150_usize,
        unicode in any::<bool>(),
        colour in prop_oneof![Just(Colour::None), Just(Colour::Ansi)],
    ) {
        for story in Story::stitch(&spans) {
            let options = DrawOptions { width, colour, unicode };
            let spans = || story.forest().spans();
            let chart = Chart::of(spans(), &[], story.end());
            let Some(summary) = TraceSummary::of_story(spans()) else { continue };
            let path = CriticalPath::of(&chart);
            let marked = Waterfall::of_chart(&chart, &summary).with_path(&path);
            let drawn = bare(&(Waterfall::new(&story).draw(&options) + &marked.draw(&options)));
            for line in drawn.lines() {
                prop_assert!(line.width() <= width, "{} > {width}: {line:?}", line.width());
                prop_assert!(unicode || line.is_ascii(), "{line:?}");
                prop_assert!(!line.contains(|c: char| c.is_control()), "{line:?}");
            }
        }
    }

    #[test]
    fn every_failure_is_marked(spans in any_spans()) {
        for story in Story::stitch(&spans) {
            let options = DrawOptions { width: 100, colour: Colour::Ansi, unicode: true };
            let drawn = Waterfall::new(&story).draw(&options);
            let fails = story.forest().spans().any(|span| span.status.is_error());
            prop_assert!(!fails || drawn.contains("\x1b[31m"));
        }
    }
}
