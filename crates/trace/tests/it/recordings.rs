//! Traces of real runs of the program, as `tests/recordings/record.py` recorded them.

use std::time::Duration;

use longshore_core::Timestamp;
use longshore_instrument::Span;
use longshore_trace::chart::{Content, Marks};
use longshore_trace::critical::{is_attempt, self_times, subject};
use longshore_trace::diff::{Diff, PlaceName, Side};
use longshore_trace::otlp::Decoder;
use longshore_trace::query::parse;
use longshore_trace::{Chart, CriticalPath, Story, TraceSummary, findings};

const RECORDINGS: [(&str, &[u8]); 5] = [
    ("waited", include_bytes!("../recordings/waited.binpb")),
    ("retried", include_bytes!("../recordings/retried.binpb")),
    ("linked", include_bytes!("../recordings/linked.binpb")),
    ("killed", include_bytes!("../recordings/killed.binpb")),
    ("shop", include_bytes!("../recordings/shop.binpb")),
];

pub(crate) fn spans(of: &str) -> Vec<Span> {
    let found = RECORDINGS.iter().find(|(name, _)| *name == of);
    let bytes = found.map_or(&[][..], |(_, bytes)| bytes);
    let decoded = Decoder::default().decode(bytes);
    assert_eq!(decoded.errors.len(), 0);
    decoded.spans
}

fn chart(of: &str) -> Chart {
    Chart::of(&spans(of), &[], Timestamp::MAX)
}

fn kinds(of: &str) -> Vec<&'static str> {
    let chart = chart(of);
    let found = findings(&chart, &CriticalPath::of(&chart));
    found.into_iter().map(|finding| finding.what).collect()
}

#[test]
fn every_job_of_every_recording_has_a_whole_path() {
    for (recording, _) in RECORDINGS {
        let chart = chart(recording);
        let jobs = u32::try_from(chart.jobs().len()).unwrap();
        assert!(jobs > 1, "{recording}");
        for job in 1..jobs {
            let rows = || {
                chart
                    .rows()
                    .iter()
                    .filter(|row| row.job == job && is_attempt(&chart, row))
            };
            let path = CriticalPath::of_job(&chart, job);
            let spent = path.spent(&chart);
            let parts = spent.wait + spent.run + spent.back_off + spent.settle;
            assert_eq!(parts, spent.total, "{recording}: some of it is not known");
            let last = rows().map(|row| row.end).max();
            assert_eq!(
                path.segments().last().map(|segment| segment.to),
                last,
                "{recording}"
            );
            let ran = rows().fold(Duration::ZERO, |sum, row| sum + row.end.since(row.start));
            assert_eq!(
                spent.run + spent.settle,
                ran,
                "{recording}: attempts are on it whole"
            );
        }
        for (row, own) in chart.rows().iter().zip(self_times(&chart)) {
            assert!(own <= row.end.since(row.start));
        }
        let mut rows = chart.rows().iter();
        let outside = rows.any(|row| row.marks.has(Marks::OUTSIDE));
        assert!(!outside, "{recording}: one machine has one clock");
        assert_eq!(chart.corrections(), []);
    }
}

#[test]
fn a_job_that_waited_says_so() {
    assert_eq!(kinds("waited"), ["waited", "missing_parents"]);
    let chart = chart("waited");
    let spent = CriticalPath::of_job(&chart, subject(&chart).unwrap()).spent(&chart);
    assert!(spent.wait > Duration::from_secs(1) && spent.run > Duration::from_millis(100));
    assert_eq!(spent.back_off, Duration::ZERO);
    let services: Vec<&str> = chart.rows().iter().map(|row| chart.service(row)).collect();
    assert_eq!(
        services,
        ["", "shop", "worker", "worker", "worker", "worker", "worker"]
    );
}

#[test]
fn failures_and_the_time_between_them_are_on_the_path() {
    for (recording, failures) in [("retried", 2), ("linked", 1)] {
        let chart = chart(recording);
        let attempts = || chart.rows().iter().filter(|row| is_attempt(&chart, row));
        assert_eq!(
            attempts().filter(|row| row.marks.has(Marks::ERROR)).count(),
            failures
        );
        let pauses = chart
            .rows()
            .iter()
            .filter(|row| row.content == Content::BackOff);
        assert_eq!(pauses.count(), failures, "{recording}");
        let spent = CriticalPath::of(&chart).spent(&chart);
        assert!(spent.back_off > spent.run, "{recording}: {spent:?}");
        let linked = attempts()
            .filter(|row| row.marks.has(Marks::LINKED))
            .count();
        assert_eq!(linked, if recording == "linked" { 2 } else { 0 });
    }
    assert!(kinds("retried").starts_with(&["retries", "backed_off"]));
}

#[test]
fn a_worker_that_was_killed_is_found() {
    assert_eq!(kinds("killed")[0], "lost_lease");
    let chart = chart("killed");
    let rebuilt = chart
        .rows()
        .iter()
        .filter(|row| row.marks.has(Marks::REBUILT));
    let lost = rebuilt.clone().find(|row| is_attempt(&chart, row)).unwrap();
    assert!(lost.marks.has(Marks::ERROR));
    assert_eq!(chart.error(lost), "lease_expired");
}

#[test]
fn searches_find_the_recordings_that_they_mean() {
    let found = |search: &str| -> Vec<&str> {
        let query = parse(search, Timestamp::from_unix_millis(1_800_000_000_000)).unwrap();
        let matches = |of: &&(&str, &[u8])| {
            let spans = spans(of.0);
            let summary = TraceSummary::of_story(&spans).unwrap();
            query.matches(&summary, || spans)
        };
        RECORDINGS
            .iter()
            .filter(matches)
            .map(|(name, _)| *name)
            .collect()
    };
    assert_eq!(
        found("queue=orders tag=vip"),
        ["waited", "retried", "linked", "killed"]
    );
    assert_eq!(found("wait>1s meta.order=A-17 attempt=1"), ["waited"]);
    assert_eq!(found("attempt>2"), ["retried"]);
    assert_eq!(found("outcome=lost"), ["killed"]);
    assert_eq!(
        found("service=shop queue=orders attempt>1 -outcome=lost"),
        ["retried", "linked"]
    );
    assert_eq!(found("charge_card"), ["shop"]);
    assert_eq!(
        found("kind=pack_parcel OR exit_1"),
        ["retried", "linked", "shop"]
    );
}

#[test]
fn what_made_the_slow_one_slow_is_said() {
    let side = |of: &str| {
        let mut side = Side::new();
        side.add(&chart(of));
        side
    };
    let diff = Diff::of(&side("waited"), &side("retried"), 1);
    let explained: i128 = diff
        .rows
        .iter()
        .map(|row| i128::from(row.critical_delta_nanos))
        .sum();
    assert_eq!(explained, i128::from(diff.delta_nanos));
    let back_off = diff.rows.iter().find(|row| {
        row.path
            .last()
            .is_some_and(|step| step.ends_with("back-off"))
    });
    assert!(back_off.unwrap().critical_delta_nanos > 0);
}

/// The orders of the shop: each a job that enqueues others, whose cards are charged by a bank that
/// fails now and then.
fn orders() -> Vec<Chart> {
    let spans = spans("shop");
    let stories = Story::stitch(&spans);
    let charts = stories
        .iter()
        .map(|story| Chart::of(story.forest().spans(), &[], Timestamp::MAX));
    let is_order = |chart: &Chart| {
        let mut rows = chart.rows().iter();
        rows.any(|row| row.depth == 0 && chart.detail(row) == "place_order")
    };
    let orders: Vec<Chart> = charts.filter(is_order).collect();
    assert_eq!(orders.len(), 5);
    orders
}

fn side(chart: &Chart) -> Side {
    let mut side = Side::new();
    side.add(chart);
    side
}

fn length(chart: &Chart) -> Duration {
    chart.end().since(chart.start())
}

/// The pieces of a path are as long together as what lists and drawings show, and so are those of
/// the places of a comparison; its rows add up to the difference of what is shown.
#[test]
fn what_is_shown_is_explained_whole() {
    let mut charts = orders();
    charts.extend(RECORDINGS.map(|(of, _)| chart(of)));
    for one in &charts {
        let path = CriticalPath::of(one);
        assert_eq!(path.total(), length(one));
        for other in &charts {
            let diff = Diff::of(&side(one), &side(other), 1);
            assert_eq!(
                (diff.total_before, diff.total_after),
                (length(one), length(other))
            );
            let shown = |side: Duration| i128::try_from(side.as_nanos()).unwrap();
            let delta = shown(length(other)) - shown(length(one));
            assert_eq!(i128::from(diff.delta_nanos), delta);
            let rows = || diff.rows.iter();
            let explained: i128 = rows().map(|row| i128::from(row.critical_delta_nanos)).sum();
            assert_eq!(explained, delta);
            let before: Duration = rows().map(|row| row.before.critical).sum();
            let after: Duration = rows().map(|row| row.after.critical).sum();
            assert_eq!((before, after), (length(one), length(other)));
        }
    }
}

/// An order whose card was charged again after a back-off was slower for that, although the job of
/// the order itself was over long before.
#[test]
fn what_a_child_job_waited_for_is_what_made_the_trace_slow() {
    let verdicts = |before: &Chart, after: &Chart| {
        let diff = Diff::of(&side(before), &side(after), 1);
        assert_eq!(diff.kind.as_deref(), Some("place_order"));
        assert!(
            diff.job_before < Some(diff.total_before) && diff.job_after < Some(diff.total_after)
        );
        let names = PlaceName::of(diff.rows.iter().map(|row| row.path.as_slice()));
        let first = diff.rows.iter().zip(names).next();
        first.map(|(row, name)| (name.to_string(), row.explains_percent))
    };
    let is_last = |chart: &Chart, step: &str| {
        let path = CriticalPath::of(chart);
        let rows = path.by_row().into_iter();
        let mut rows = rows.filter_map(|(row, _)| chart.row(row as usize));
        rows.any(|row| chart.name(row) == step)
    };
    let orders = orders();
    let (slow, others): (Vec<&Chart>, Vec<&Chart>) =
        orders.iter().partition(|chart| is_last(chart, "back-off"));
    assert_eq!((slow.len(), others.len()), (1, 4));
    for other in others {
        let (place, percent) = verdicts(other, slow[0]).unwrap();
        assert_eq!(place, "back-off in charge_card");
        assert!(
            percent > 100,
            "{percent}: without it, mails would have come later"
        );
    }
}
