//! Two traces compared.

use std::time::Duration;

use longshore_instrument::Span;
use longshore_instrument::table::name;
use longshore_trace::diff::{Diff, Side};

use crate::analysis::chart;
use crate::shop::{ORDER, span};

#[test]
fn a_difference_is_explained_place_by_place() {
    let side = |slow: i64| {
        let mut side = Side::new();
        side.add(&chart(&[
            ORDER.span(1, None, name::ENQUEUE, 0, 100),
            ORDER.span(2, Some(1), name::DEQUEUE, 100, 1_100),
            ORDER.attempt(3, Some(1), 1, 1_100, 5_100 + slow),
            span(4, Some(3), "SELECT 17", 2_000, 3_000 + slow),
        ]));
        side
    };
    let diff = Diff::of(&side(0), &side(7_000), 1);
    assert_eq!(
        (diff.before, diff.after, diff.delta_nanos),
        (1, 1, 7_000_000)
    );
    let first = &diff.rows[0];
    assert_eq!(first.path, [name::ENQUEUE, name::PROCESS, "SELECT ?"]);
    assert_eq!(first.explains_percent, 100);
    assert_eq!(first.before.own, Duration::from_millis(1));
    assert_eq!(first.after.own, Duration::from_millis(8));
    assert_eq!(Diff::of(&side(0), &side(0), 1).delta_nanos, 0);
    assert_eq!(Diff::of(&Side::new(), &side(0), 1).rows.len(), 4);
    assert_eq!(Diff::of(&Side::new(), &Side::new(), 1), Diff::default());
}

#[test]
fn deep_chains_are_compared_at_their_first_places() {
    let chain = |slow: i64| {
        let spans = (1..2_000_u64).map(|id| {
            let parent = (id > 1).then(|| id - 1);
            let letter = char::from(b'a' + u8::try_from(id % 26).unwrap_or(0));
            let mut span = span(
                id,
                parent,
                "x",
                id.cast_signed(),
                4_000 + slow - id.cast_signed(),
            );
            span.name = format!("step {letter}").into();
            span
        });
        let spans: Vec<Span> = spans.collect();
        let mut side = Side::new();
        side.add(&chart(&spans));
        side
    };
    let diff = Diff::of(&chain(0), &chain(1_000), 1);
    assert_eq!(diff.delta_nanos, 1_000_000);
    assert_eq!(diff.rows.len(), 65);
    let explained: i64 = diff.rows.iter().map(|row| row.critical_delta_nanos).sum();
    assert_eq!(explained, diff.delta_nanos);
    assert!(diff.rows.iter().all(|row| row.path.len() <= 65));
}
