//! What differs between two orders of the shop, or two groups of them.

use std::time::Duration;

use longshore_api::trace::{Diff, DiffQuery, DiffRow, DiffSide};

const ORDER: [&str; 3] = [
    "worker queue.enqueue",
    "worker job.process",
    "worker handler.execution",
];
const CHARGE: [&str; 3] = [
    "worker queue.enqueue charge_card",
    "worker job.process",
    "worker handler.execution",
];

/// A place: its path, how many spans it has on each side, and for how many milliseconds of them the end waited; how many
/// fail, and how much it explains.
type Place<'p> = (Vec<&'p str>, (u64, u64), (u64, u64), u64, i32);

fn row((path, counts, times, errors, explains): Place<'_>) -> DiffRow {
    DiffRow {
        path: path.into_iter().map(str::to_owned).collect(),
        count_before: counts.0 * 100,
        count_after: counts.1 * 100,
        // What is beside the path that decided the end explains nothing.
        self_before: Duration::from_millis(times.0 + 400),
        self_after: Duration::from_millis(times.1 + 700),
        errors_before: 0,
        errors_after: errors * 100,
        critical_before: Duration::from_millis(times.0),
        critical_after: Duration::from_millis(times.1),
        delta_nanos: i64::from(explains) * 4_100_000,
        explains_percent: explains,
        explains_range_percent: None,
    }
}

/// The places in which they differ, and as many `more`.
pub(crate) fn differences(more: u64, query: &DiffQuery) -> Diff {
    let own = |steps: &[&'static str]| [&ORDER[..], steps].concat();
    let charge = |steps: &[&'static str]| [&ORDER[..], &CHARGE[..], steps].concat();
    let attempt = [&ORDER[..], &CHARGE[..2]].concat();
    let mail = [&ORDER[..], &["worker queue.enqueue send_mail"]].concat();
    let settled =
        |above: &[&'static str]| [above, &["worker job.process", "worker job.settle"]].concat();
    let one = (1, 1);
    let places: Vec<Place<'_>> = vec![
        (
            charge(&["worker SELECT order_items"]),
            (1, 24),
            (3, 380),
            0,
            92,
        ),
        (
            charge(&["payments POST payments/charges"]),
            one,
            (70, 102),
            1,
            8,
        ),
        (
            [&mail[..], &["worker queue.dequeue"]].concat(),
            one,
            (31, 38),
            0,
            2,
        ),
        (charge(&[]), one, (4, 4), 1, 0),
        (own(&[]), one, (6, 5), 0, 0),
        (attempt, (1, 2), (1, 1), 1, 0),
        (settled(&ORDER[..1]), one, (8, 8), 0, 0),
        (
            settled(&[&ORDER[..], &CHARGE[..1]].concat()),
            one,
            (5, 1),
            0,
            0,
        ),
        (settled(&mail), one, (2, 3), 0, 0),
        // All rows together are as long as the traces.
        (vec!["time without a span"], one, (455, 453), 0, 0),
    ];
    let steps: Vec<String> = (0..more)
        .map(|number| format!("shop step {number}"))
        .collect();
    let steps = steps
        .iter()
        .map(|step| row(([&ORDER[..], &[step]].concat(), one, (2, 1), 0, 0)));
    let is_group = |side: &DiffSide| matches!(side, DiffSide::Search(_));
    let groups = is_group(&query.before) || is_group(&query.after);
    let mut rows: Vec<DiffRow> = places.into_iter().map(row).chain(steps).collect();
    if groups {
        rows[0].explains_range_percent = Some((85, 97));
    }
    Diff {
        before: if is_group(&query.before) { 40 } else { 1 },
        after: if is_group(&query.after) { 12 } else { 1 },
        duration_before: Duration::from_millis(585),
        duration_after: Duration::from_millis(995),
        job_before: Some(Duration::from_millis(120)),
        job_after: Some(Duration::from_millis(124)),
        kind: Some("place_order".to_owned()),
        delta_nanos: 410_000_000,
        delta_range_nanos: groups.then_some((350_000_000, 470_000_000)),
        rows,
    }
}
