//! What differs between two traces, or two groups of them: place by place, and what of the difference
//! in latency each place explains.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use longshore_instrument::table::name;

use crate::chart::{Chart, Content, Marks, Row};
use crate::critical::{CriticalPath, is_attempt, is_wait, self_times};
use crate::fold::template;

/// The traces of one side, summed up place by place. A place is what stands at the same names of the
/// same services from the root down; how often something stands there is counted.
#[derive(Clone, Debug, Default)]
pub struct Side {
    traces: u64,
    total: Duration,
    places: BTreeMap<Vec<String>, Place>,
}

/// What is known of a place of one side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Place {
    count: u64,
    errors: u64,
    own: Duration,
    critical: Duration,
}

/// A comparison of two sides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diff {
    /// How many traces stand on the first side.
    pub before: u64,
    /// How many on the second.
    pub after: u64,
    /// How much longer a trace of the second side takes, on average; less than nothing if it is
    /// shorter. Of a job that is its latency: from the first moment it was due to the end of its last
    /// attempt. In nanoseconds.
    pub delta_nanos: i64,
    /// Place by place, what explains most of the difference first; no more than [`Diff::MOST`].
    pub rows: Vec<DiffRow>,
}

/// A place that stands in both sides or one, by trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiffRow {
    /// Its services and names from the root down, each as `service name`, or the name alone.
    pub path: Vec<String>,
    /// The first side.
    pub before: Figures,
    /// The second side.
    pub after: Figures,
    /// How much more of the critical path runs through this place on the second side. In nanoseconds.
    /// These sum up to the whole difference.
    pub critical_delta_nanos: i64,
    /// Which share of the difference that is, in percent; may be less than nothing or more than a
    /// hundred. 0 if there is no difference.
    pub explains_percent: i32,
}

/// What is known of a place, by trace of its side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Rows there, times 100.
    pub count_percent: u64,
    /// Rows there that failed, times 100.
    pub errors_percent: u64,
    /// Time spent there and not in children.
    pub own: Duration,
}

impl Side {
    /// A side without traces.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a trace, or the traces of a job joined.
    pub fn add(&mut self, chart: &Chart) {
        let critical = CriticalPath::of(chart);
        self.traces += 1;
        self.total = self.total.saturating_add(critical.total());
        let by_row: HashMap<u32, Duration> = critical.by_row().into_iter().collect();
        let mut on_path = Duration::ZERO;
        let mut templates: HashMap<u32, String> = HashMap::new();
        let mut path: Vec<String> = Vec::new();
        let rows = (0_u32..).zip(chart.rows()).zip(self_times(chart));
        for ((index, row), own) in rows {
            let known = templates.entry(row.name);
            let called = known.or_insert_with(|| template(chart.name(row)));
            path.truncate(row.depth.into());
            path.push(step(chart, row, called));
            let place = match self.places.get_mut(&path) {
                Some(place) => place,
                None => self.places.entry(path.clone()).or_default(),
            };
            let is_pause = matches!(row.content, Content::Ghost);
            place.count += 1;
            place.errors += u64::from(row.marks.has(Marks::ERROR));
            place.own = place
                .own
                .saturating_add(if is_pause { Duration::ZERO } else { own });
            let spent = by_row.get(&index).copied().unwrap_or_default();
            place.critical = place.critical.saturating_add(spent);
            on_path = on_path.saturating_add(spent);
        }
        let unknown = critical.total().saturating_sub(on_path);
        if !unknown.is_zero() {
            let place = self.places.entry(vec!["not known".to_owned()]).or_default();
            place.critical = place.critical.saturating_add(unknown);
        }
    }

    /// How many traces it has.
    #[must_use]
    pub const fn traces(&self) -> u64 {
        self.traces
    }

    fn figures(&self, path: &Vec<String>) -> (Figures, i128) {
        let place = self.places.get(path).copied().unwrap_or_default();
        let traces = self.traces.max(1);
        let figures = Figures {
            count_percent: place.count.saturating_mul(100) / traces,
            errors_percent: place.errors.saturating_mul(100) / traces,
            own: self.by_trace(place.own),
        };
        (figures, self.mean(place.critical))
    }

    fn by_trace(&self, time: Duration) -> Duration {
        let mean = time.as_nanos() / u128::from(self.traces.max(1));
        Duration::from_nanos(u64::try_from(mean).unwrap_or(u64::MAX))
    }

    fn mean(&self, time: Duration) -> i128 {
        let nanos = i128::try_from(time.as_nanos()).unwrap_or(i128::MAX);
        nanos / i128::from(self.traces.max(1))
    }
}

/// A step of a path. What the records of jobs say stands where the spans would.
fn step(chart: &Chart, row: &Row, called: &str) -> String {
    let called = match row.content {
        _ if is_wait(chart, row) => name::DEQUEUE,
        _ if is_attempt(chart, row) => name::PROCESS,
        Content::Ghost if called.is_empty() => "parent not received",
        _ => called,
    };
    match chart.service(row) {
        "" => called.to_owned(),
        service => format!("{service} {called}"),
    }
}

impl Diff {
    /// Most rows of a comparison; those that are left out explain the least.
    pub const MOST: usize = 1_000;

    /// Compares `before`, what is taken as usual, with `after`, what is asked about.
    #[must_use]
    pub fn of(before: &Side, after: &Side) -> Self {
        let delta = after.mean(after.total) - before.mean(before.total);
        let paths = before.places.keys().chain(after.places.keys());
        let mut paths: Vec<&Vec<String>> = paths.collect();
        paths.sort_unstable();
        paths.dedup();
        let row = |path: &Vec<String>| {
            let (one, critical_before) = before.figures(path);
            let (other, critical_after) = after.figures(path);
            let critical = critical_after - critical_before;
            let percent = (critical * 100).checked_div(delta).unwrap_or(0);
            DiffRow {
                path: path.clone(),
                before: one,
                after: other,
                critical_delta_nanos: narrow(critical),
                explains_percent: i32::try_from(percent).unwrap_or(i32::MAX),
            }
        };
        let mut rows: Vec<DiffRow> = paths.into_iter().map(row).collect();
        rows.sort_by_key(|row| {
            let own = row.before.own.abs_diff(row.after.own);
            (
                Reverse(row.critical_delta_nanos.unsigned_abs()),
                Reverse(own),
            )
        });
        rows.truncate(Self::MOST);
        Self {
            before: before.traces,
            after: after.traces,
            delta_nanos: narrow(delta),
            rows,
        }
    }
}

fn narrow(nanos: i128) -> i64 {
    i64::try_from(nanos).unwrap_or(if nanos < 0 { i64::MIN } else { i64::MAX })
}
