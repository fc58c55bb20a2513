//! Which rows of a chart are shown.

use std::collections::BTreeSet;

use longshore_core::Timestamp;
use longshore_instrument::Span;
use longshore_trace::fold::fold;
use longshore_trace::view::Shown;
use longshore_trace::{Chart, ChartView};
use proptest::prelude::*;

use crate::properties::any_spans;
use crate::shop::{import, retried_order, span};

fn chart(spans: &[Span]) -> Chart {
    Chart::of(spans, &[], Timestamp::UNIX_EPOCH)
}

/// The name of each line; of a group with how many it stands for.
fn show(chart: &Chart, view: &ChartView) -> Vec<String> {
    let name = |row: usize| chart.row(row).map_or("", |row| chart.name(row));
    let lines = view.lines(0, usize::MAX).map(|shown| match shown {
        Shown::Row(row) => name(row).to_owned(),
        Shown::Group(group) => format!("{} ×{}", name(group.first), group.count),
    });
    lines.collect()
}

#[test]
fn siblings_that_look_alike_stand_in_one_line_until_it_is_opened() {
    let chart = chart(&import());
    let mut view = ChartView::new(&chart);
    assert_eq!(view.len(), 7);
    assert_eq!(show(&chart, &view)[5], "INSERT items ×12");
    assert!(view.unfold(&chart, 5));
    assert_eq!((view.len(), view.line_of(8)), (18, 8));
    assert!(!view.unfold(&chart, 5), "nothing hangs under one of them");
    assert!(view.close_group(&chart, 9));
    assert!(!view.close_group(&chart, 9));
    assert_eq!((view.len(), view.line_of(9)), (7, 5));
    assert_eq!(view.reveal(&chart, 9), 9);
}

#[test]
fn what_hangs_under_a_row_is_hidden_and_found_again() {
    let chart = chart(&retried_order());
    let mut view = ChartView::new(&chart);
    let all = chart.rows().len();
    assert_eq!(view.len(), all);
    assert!(!view.fold(&chart, 2), "it has nothing beneath it");
    assert!(view.fold(&chart, 3) && !view.fold(&chart, 3));
    assert!(view.is_folded(3));
    assert_eq!(view.len(), all - 4);
    assert_eq!((view.line_of(5), view.line_of(8)), (3, 4));
    assert!(view.fold(&chart, 1));
    assert_eq!(show(&chart, &view), ["POST /orders", "queue.enqueue"]);
    assert_eq!(view.reveal(&chart, 5), 5);
    assert!(!view.is_folded(1) && !view.is_folded(3));
    view.fold_all(&chart);
    assert_eq!(view.len(), 2);
    assert!(view.unfold(&chart, 1));
    assert_eq!(
        view.len(),
        2 + chart.children(1).count(),
        "each child is folded still"
    );
    view.unfold_all(&chart);
    assert_eq!(view.len(), all);
    assert_eq!(view.get(all), None);
}

#[test]
fn folds_follow_their_rows() {
    let mut spans = retried_order();
    let before = chart(&spans);
    let mut view = ChartView::new(&before);
    view.fold(&before, 3);
    spans.push(span(0x99, None, "earlier", -10, -5));
    let after = chart(&spans);
    let moved = view.moved(&after, |row| Some(row + 1));
    assert!(moved.is_folded(4) && !moved.is_folded(3));
    assert_eq!(moved.len(), view.len() + 1);
}

/// What is shown, found by looking at every row.
fn naive(chart: &Chart, view: &ChartView, opened: impl Fn(usize) -> bool) -> Vec<usize> {
    let mut hidden = BTreeSet::new();
    for (at, row) in chart.rows().iter().enumerate() {
        if view.is_folded(at) {
            hidden.extend(at + 1..row.subtree_end as usize);
        }
        let siblings: Vec<usize> = match row.depth {
            0 => chart.roots().collect(),
            _ => chart.children(row.parent as usize).collect(),
        };
        let before = siblings.into_iter().rfind(|sibling| *sibling < at);
        let run = before.and_then(|before| fold(chart, before));
        let continues = run.is_some_and(|run| run.end > at);
        let group = fold(chart, at).filter(|_| !continues && !opened(at));
        hidden.extend(group.into_iter().flat_map(|group| at + 1..group.end));
    }
    let all = 0..chart.rows().len();
    all.filter(|at| !hidden.contains(at)).collect()
}

proptest! {
    #[test]
    fn lines_are_what_looking_at_every_row_gives(
        spans in any_spans(),
        alike in 0..9_u64,
        folded in proptest::collection::vec(0..60_usize, 0..12),
    ) {
        let mut spans = spans;
        for id in 0..alike {
            let parent = spans.first().map(|span| span.span_id.to_u64());
            let mut sibling = span(100 + id, parent, "alike", 100, 200);
            sibling.trace_id = spans.first().map_or(sibling.trace_id, |span| span.trace_id);
            spans.push(sibling);
        }
        let chart = chart(&spans);
        let mut view = ChartView::new(&chart);
        let mut opened = Vec::new();
        for (nth, at) in folded.into_iter().enumerate() {
            match nth % 3 {
                0 => drop(view.fold(&chart, at)),
                1 => {
                    if let Some(Shown::Group(group)) = view.get(at) {
                        opened.push(group.first);
                    }
                    view.unfold(&chart, at);
                }
                _ => drop(view.fold(&chart, at / 2)),
            }
        }
        let shown: Vec<usize> = view.lines(0, usize::MAX).map(Shown::first).collect();
        prop_assert_eq!(&shown, &naive(&chart, &view, |at| opened.contains(&at)));
        prop_assert_eq!(view.len(), shown.len());
        for (line, row) in shown.iter().enumerate() {
            prop_assert_eq!(view.line_of(*row), line);
        }
        for row in 0..chart.rows().len() {
            let line = view.clone().reveal(&chart, row);
            let mut revealed = view.clone();
            revealed.reveal(&chart, row);
            prop_assert_eq!(revealed.get(line).map(Shown::first), Some(row));
        }
    }
}

#[test]
fn the_rows_of_a_service_are_hidden_and_shown_again() {
    let mut spans = retried_order();
    let of = std::sync::Arc::new(longshore_instrument::Resource {
        attributes: vec![longshore_instrument::Attribute::new("service.name", "web")],
    });
    spans[0].resource = Some(of);
    let chart = chart(&spans);
    let mut view = ChartView::new(&chart);
    let all = view.len();
    view.hide_service(&chart, "web");
    view.hide_service(&chart, "web");
    assert_eq!((view.len(), view.hidden_services()), (all - 1, vec!["web"]));
    assert!(view.hides("web") && !view.hides(""));
    // What else changes what is shown keeps it hidden.
    view.fold_all(&chart);
    view.unfold_all(&chart);
    assert_eq!(view.len(), all - 1);
    assert_eq!(view.moved(&chart, Some).len(), all - 1);
    assert!(view.show_service(&chart, "web") && !view.show_services(&chart));
    assert_eq!(view.len(), all);
}
