//! One side of a comparison.

use std::collections::HashMap;
use std::time::Duration;

use longshore_instrument::table::name;

use super::{DiffRow, Figures};
use crate::chart::{Chart, Content, Marks, Row};
use crate::critical::{CriticalPath, is_attempt, is_wait, self_times, subject};
use crate::fold::template;

/// Deepest place; what hangs deeper counts there.
const DEEPEST: u16 = 64;

/// Most places of a side; what stands elsewhere counts at the place above it.
const MOST_PLACES: usize = 100_000;

/// The traces of one side, summed up place by place. A place is what stands at the same names of the
/// same services from the root down; how often something stands there is counted.
#[derive(Clone, Debug, Default)]
pub struct Side {
    pub(super) traces: u64,
    pub(super) total: Duration,
    /// How long each trace took, in nanoseconds.
    pub(super) totals: Vec<(u32, i64)>,
    /// How long the jobs took that the traces are about, and of how many traces that is known.
    jobs: (Duration, u64),
    /// What these jobs are called; nothing as soon as they are called differently.
    pub(super) kind: Kind,
    pub(super) steps: Vec<String>,
    known_steps: HashMap<String, u32>,
    /// Every place after the one above it.
    pub(super) places: Vec<Place>,
    known_places: HashMap<(Option<u32>, u32), u32>,
}

/// The kind that all jobs of a side have.
#[derive(Clone, Debug, Default)]
pub(super) enum Kind {
    #[default]
    Unknown,
    Same(String),
    Mixed,
}

/// What is known of a place of one side.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) above: Option<u32>,
    pub(super) step: u32,
    pub(super) spent: Spent,
    /// How long the critical path of each trace ran through it, in nanoseconds, if it did.
    pub(super) critical: Vec<(u32, i64)>,
}

/// What was seen at a place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Spent {
    pub(super) count: u64,
    pub(super) errors: u64,
    pub(super) own: Duration,
    pub(super) critical: Duration,
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
        let number = u32::try_from(self.traces).unwrap_or(u32::MAX);
        self.traces += 1;
        self.totals.push((number, whole_nanos(critical.total())));
        self.total = self.total.saturating_add(critical.total());
        self.add_job(chart);
        let mut by_row = critical.by_row().into_iter().peekable();
        let mut on_path = Duration::ZERO;
        let mut steps: HashMap<(u32, u32, u32, Content, bool), u32> = HashMap::new();
        let mut path: Vec<u32> = Vec::new();
        // How deep the outermost attempt lies that rows are within.
        let mut attempt: Option<u16> = None;
        let rows = (0_u32..).zip(chart.rows()).zip(self_times(chart));
        for ((index, row), own) in rows {
            attempt = attempt.filter(|depth| row.depth > *depth);
            let inner = attempt.is_some();
            if !inner && is_attempt(chart, row) {
                attempt = Some(row.depth);
            }
            let look = (row.name, row.detail, row.service, row.content, inner);
            let known = steps.get(&look).copied();
            let called = known.unwrap_or_else(|| self.step(step(chart, row, inner)));
            steps.insert(look, called);
            let at = self.below(&mut path, row.depth, called);
            let on_row = by_row.next_if(|(critical, _)| *critical == index);
            let critical = on_row.map_or(Duration::ZERO, |(_, time)| time);
            on_path = on_path.saturating_add(critical);
            let seen = Spent {
                count: 1,
                errors: u64::from(row.marks.has(Marks::ERROR)),
                own: match row.content {
                    Content::Ghost => Duration::ZERO,
                    _ => own,
                },
                critical,
            };
            self.spend(at, &seen, number);
        }
        let unknown = critical.total().saturating_sub(on_path);
        if !unknown.is_zero() {
            let called = self.step(DiffRow::NO_SPAN.to_owned());
            let at = self.place(None, called);
            let seen = Spent {
                critical: unknown,
                ..Spent::default()
            };
            self.spend(at, &seen, number);
        }
    }

    /// What the job takes that a trace is about.
    fn add_job(&mut self, chart: &Chart) {
        let Some(job) = subject(chart) else {
            return;
        };
        let (sum, count) = &mut self.jobs;
        *sum = sum.saturating_add(CriticalPath::of_job(chart, job).total());
        *count += 1;
        let mut rows = chart.rows().iter();
        let enqueue = rows.find(|row| row.job == job && chart.name(row) == name::ENQUEUE);
        let kind = enqueue.map_or("", |row| chart.detail(row));
        match &self.kind {
            Kind::Unknown if !kind.is_empty() => self.kind = Kind::Same(kind.to_owned()),
            Kind::Same(known) if known != kind => self.kind = Kind::Mixed,
            Kind::Unknown => self.kind = Kind::Mixed,
            Kind::Same(_) | Kind::Mixed => {}
        }
    }

    /// The place of a row that is called so, where `path` leads to the row before it.
    fn below(&mut self, path: &mut Vec<u32>, depth: u16, called: u32) -> u32 {
        path.truncate(depth.min(DEEPEST).into());
        if depth > DEEPEST {
            return path.last().copied().unwrap_or(0);
        }
        let at = self.place(path.last().copied(), called);
        path.push(at);
        at
    }

    fn step(&mut self, step: String) -> u32 {
        let next = u32::try_from(self.steps.len()).unwrap_or(u32::MAX);
        *self.known_steps.entry(step).or_insert_with_key(|step| {
            self.steps.push(step.clone());
            next
        })
    }

    fn place(&mut self, above: Option<u32>, step: u32) -> u32 {
        let next = self.places.len();
        if let (Some(above), true) = (above, next >= MOST_PLACES) {
            let known = self.known_places.get(&(Some(above), step));
            return known.copied().unwrap_or(above);
        }
        *self.known_places.entry((above, step)).or_insert_with(|| {
            self.places.push(Place {
                above,
                step,
                ..Place::default()
            });
            u32::try_from(next).unwrap_or(u32::MAX)
        })
    }

    fn spend(&mut self, at: u32, seen: &Spent, trace: u32) {
        let Some(place) = self.places.get_mut(at as usize) else {
            return;
        };
        let spent = &mut place.spent;
        spent.count += seen.count;
        spent.errors += seen.errors;
        spent.own = spent.own.saturating_add(seen.own);
        spent.critical = spent.critical.saturating_add(seen.critical);
        let nanos = whole_nanos(seen.critical);
        match place.critical.last_mut() {
            Some((last, sum)) if *last == trace => *sum = sum.saturating_add(nanos),
            _ if nanos > 0 => place.critical.push((trace, nanos)),
            _ => {}
        }
    }

    /// How many traces it has.
    #[must_use]
    pub const fn traces(&self) -> u64 {
        self.traces
    }

    pub(super) fn figures(&self, spent: &Spent) -> Figures {
        let traces = self.traces.max(1);
        Figures {
            count_percent: spent.count.saturating_mul(100) / traces,
            errors_percent: spent.errors.saturating_mul(100) / traces,
            own: self.by_trace(spent.own),
            critical: self.by_trace(spent.critical),
        }
    }

    pub(super) fn job(&self) -> Option<Duration> {
        let (sum, count) = self.jobs;
        (count > 0).then(|| by(sum, count))
    }

    pub(super) fn by_trace(&self, time: Duration) -> Duration {
        by(time, self.traces)
    }

    pub(super) fn mean(&self, time: Duration) -> i128 {
        let nanos = i128::try_from(time.as_nanos()).unwrap_or(i128::MAX);
        nanos / i128::from(self.traces.max(1))
    }
}

/// A step of a path. What the records of jobs say stands where the spans would. Calls by which an
/// attempt enqueues jobs are told apart by the kind of the job; `inner` says that there is one above.
fn step(chart: &Chart, row: &Row, inner: bool) -> String {
    let mut called = template(chart.name(row));
    let kind = chart.detail(row);
    if inner && chart.name(row) == name::ENQUEUE && !kind.is_empty() {
        called = format!("{called} {kind}");
    }
    let called = match row.content {
        _ if is_wait(chart, row) => name::DEQUEUE,
        _ if is_attempt(chart, row) => name::PROCESS,
        Content::Ghost if called.is_empty() => "parent not received",
        _ => called.as_str(),
    };
    match chart.service(row) {
        "" => called.to_owned(),
        service => format!("{service} {called}"),
    }
}

impl Kind {
    /// What the jobs of both sides are called.
    pub(super) fn shared_with(&self, other: &Self) -> Option<String> {
        match (self, other) {
            (Self::Same(one), Self::Same(other)) => (one == other).then(|| one.clone()),
            _ => None,
        }
    }
}

impl Spent {
    pub(super) const fn with(self, other: Self) -> Self {
        Self {
            count: self.count.saturating_add(other.count),
            errors: self.errors.saturating_add(other.errors),
            own: self.own.saturating_add(other.own),
            critical: self.critical.saturating_add(other.critical),
        }
    }
}

fn by(time: Duration, count: u64) -> Duration {
    let mean = time.as_nanos() / u128::from(count.max(1));
    Duration::from_nanos(u64::try_from(mean).unwrap_or(u64::MAX))
}

fn whole_nanos(time: Duration) -> i64 {
    i64::try_from(time.as_nanos()).unwrap_or(i64::MAX)
}
