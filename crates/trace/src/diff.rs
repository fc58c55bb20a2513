//! What differs between two traces, or two groups of them: place by place, and what of the difference
//! in latency each place explains, and how much of that may be chance.

mod chance;
mod naming;

use std::cmp::Reverse;
use std::collections::HashMap;
use std::time::Duration;

use longshore_instrument::table::name;

use crate::chart::{Chart, Content, Marks, Row};
use crate::critical::{CriticalPath, is_attempt, is_wait, self_times};
use crate::fold::template;
use chance::{Draws, Samples};

pub use naming::PlaceName;

/// Deepest place; what hangs deeper counts there.
const DEEPEST: u16 = 64;

/// Most places of a side; what stands elsewhere counts at the place above it.
const MOST_PLACES: usize = 100_000;

/// The traces of one side, summed up place by place. A place is what stands at the same names of the
/// same services from the root down; how often something stands there is counted.
#[derive(Clone, Debug, Default)]
pub struct Side {
    traces: u64,
    total: Duration,
    /// How long each trace took, in nanoseconds.
    totals: Vec<(u32, i64)>,
    steps: Vec<String>,
    known_steps: HashMap<String, u32>,
    /// Every place after the one above it.
    places: Vec<Place>,
    known_places: HashMap<(Option<u32>, u32), u32>,
}

/// What is known of a place of one side.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Place {
    above: Option<u32>,
    step: u32,
    spent: Spent,
    /// How long the critical path of each trace ran through it, in nanoseconds, if it did.
    critical: Vec<(u32, i64)>,
}

/// What was seen at a place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Spent {
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
    /// Between which differences 95 of a hundred comparisons of such groups would lie; if 0 is among
    /// them, the difference may be chance. `None` if a side has fewer than [`Diff::FEWEST`] traces.
    pub delta_range_nanos: Option<(i64, i64)>,
    /// Place by place, what explains most of the difference first; no more than [`Diff::MOST`].
    pub rows: Vec<DiffRow>,
}

/// A place that stands in both sides or one, by trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiffRow {
    /// Its services and names from the root down, each as `service name`, or the name alone; at most
    /// 65.
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
    /// Between which percentages 95 of a hundred comparisons of such groups would lie. `None` if the
    /// difference itself may be chance, and for places after the first [`Diff::WEIGHED`].
    pub explains_range_percent: Option<(i32, i32)>,
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
        let number = u32::try_from(self.traces).unwrap_or(u32::MAX);
        self.traces += 1;
        self.totals.push((number, whole_nanos(critical.total())));
        self.total = self.total.saturating_add(critical.total());
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
            path.truncate(row.depth.min(DEEPEST).into());
            let at = match row.depth > DEEPEST {
                true => path.last().copied().unwrap_or(0),
                false => self.place(path.last().copied(), called),
            };
            if row.depth <= DEEPEST {
                path.push(at);
            }
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
            let called = self.step("not known".to_owned());
            let at = self.place(None, called);
            let seen = Spent {
                critical: unknown,
                ..Spent::default()
            };
            self.spend(at, &seen, number);
        }
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

    fn figures(&self, spent: &Spent) -> Figures {
        let traces = self.traces.max(1);
        Figures {
            count_percent: spent.count.saturating_mul(100) / traces,
            errors_percent: spent.errors.saturating_mul(100) / traces,
            own: self.by_trace(spent.own),
        }
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

impl Diff {
    /// Most rows of a comparison; those that are left out explain the least.
    pub const MOST: usize = 1_000;

    /// Fewest traces of a side from which follows how much is chance.
    pub const FEWEST: u64 = 10;

    /// Of how many places it is said how much is chance: those that explain most.
    pub const WEIGHED: usize = 50;

    /// Compares `before`, what is taken as usual, with `after`, what is asked about. How much is chance
    /// is found by drawing (a percentile bootstrap); the same `seed` draws the same.
    #[must_use]
    pub fn of(before: &Side, after: &Side, seed: u64) -> Self {
        let delta = after.mean(after.total) - before.mean(before.total);
        let mut merged = Merged::default();
        merged.add(before, |place| {
            (&mut place.before, &mut place.before_critical)
        });
        merged.add(after, |place| (&mut place.after, &mut place.after_critical));
        let critical = |place: &Both<'_>| {
            after.mean(place.after.critical) - before.mean(place.before.critical)
        };
        let mut order: Vec<(usize, &Both<'_>)> = merged.places.iter().enumerate().collect();
        order.sort_by_cached_key(|(_, place)| {
            let (one, other) = (
                before.by_trace(place.before.own),
                after.by_trace(place.after.own),
            );
            (
                Reverse(critical(place).unsigned_abs()),
                Reverse(one.abs_diff(other)),
            )
        });
        let chance = Chance::of(before, after, seed);
        let order = order.into_iter().take(Self::MOST).enumerate();
        let rows = order.map(|(rank, (at, place))| {
            let weighed = chance.as_ref().filter(|_| rank < Self::WEIGHED);
            let critical = critical(place);
            let percent = (critical * 100).checked_div(delta).unwrap_or(0);
            DiffRow {
                path: merged.path(at),
                before: before.figures(&place.before),
                after: after.figures(&place.after),
                critical_delta_nanos: narrow(critical),
                explains_percent: i32::try_from(percent).unwrap_or(i32::MAX),
                explains_range_percent: weighed.and_then(|chance| chance.explains(place)),
            }
        });
        Self {
            before: before.traces,
            after: after.traces,
            delta_nanos: narrow(delta),
            delta_range_nanos: chance.as_ref().map(|chance| chance.range),
            rows: rows.collect(),
        }
    }
}

/// What the draws of two sides say.
struct Chance {
    draws: Draws,
    differences: Vec<f64>,
    range: (i64, i64),
}

impl Chance {
    fn of(before: &Side, after: &Side, seed: u64) -> Option<Self> {
        let draws = Draws::of(before.traces, after.traces, seed)?;
        let differences = draws.differences(&before.totals, &after.totals);
        let (least, most) = chance::bounds(differences.clone())?;
        Some(Self {
            draws,
            differences,
            range: (least.round() as i64, most.round() as i64),
        })
    }

    /// Which share of the difference a place explains.
    fn explains(&self, place: &Both<'_>) -> Option<(i32, i32)> {
        let (least, most) = self.range;
        if least <= 0 && most >= 0 {
            return None;
        }
        let own = self
            .draws
            .differences(place.before_critical, place.after_critical);
        let shares = own.iter().zip(&self.differences);
        let shares = shares.map(|(own, all)| own * 100.0 / all);
        let (least, most) = chance::bounds(shares.filter(|share| share.is_finite()).collect())?;
        Some((least.round() as i32, most.round() as i32))
    }
}

/// The places of both sides.
#[derive(Default)]
struct Merged<'s> {
    places: Vec<Both<'s>>,
    known: HashMap<(Option<usize>, &'s str), usize>,
}

/// A place with what was seen there on both sides.
struct Both<'s> {
    above: Option<usize>,
    step: &'s str,
    before: Spent,
    after: Spent,
    before_critical: &'s Samples,
    after_critical: &'s Samples,
}

/// What a place keeps of one side.
type Kept<'p, 's> = (&'p mut Spent, &'p mut &'s Samples);

impl<'s> Merged<'s> {
    fn add(&mut self, side: &'s Side, of: impl for<'p> Fn(&'p mut Both<'s>) -> Kept<'p, 's>) {
        let mut merged: Vec<usize> = Vec::with_capacity(side.places.len());
        for place in &side.places {
            let above = place.above.and_then(|at| merged.get(at as usize)).copied();
            let step = side.steps.get(place.step as usize);
            let step = step.map_or("", String::as_str);
            let at = *self.known.entry((above, step)).or_insert_with(|| {
                let (before, after) = (Spent::default(), Spent::default());
                self.places.push(Both {
                    above,
                    step,
                    before,
                    after,
                    before_critical: &[],
                    after_critical: &[],
                });
                self.places.len() - 1
            });
            merged.push(at);
            if let Some(both) = self.places.get_mut(at) {
                let (spent, critical) = of(both);
                (*spent, *critical) = (place.spent, &place.critical);
            }
        }
    }

    /// The steps from the root down to a place.
    fn path(&self, at: usize) -> Vec<String> {
        let up = std::iter::successors(self.places.get(at), |place| self.places.get(place.above?));
        let mut path: Vec<String> = up.map(|place| place.step.to_owned()).collect();
        path.reverse();
        path
    }
}

fn whole_nanos(time: Duration) -> i64 {
    i64::try_from(time.as_nanos()).unwrap_or(i64::MAX)
}

fn narrow(nanos: i128) -> i64 {
    i64::try_from(nanos).unwrap_or(if nanos < 0 { i64::MIN } else { i64::MAX })
}
