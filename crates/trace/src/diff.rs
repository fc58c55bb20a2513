//! What differs between two traces, or two groups of them: place by place, and what of the difference
//! each place explains, and how much of that may be chance. What is compared is the whole trace, from
//! the beginning of its first span to the end of its last, as lists and drawings show it, so that what
//! a job waited for that another one enqueued is explained as well.

mod chance;
mod naming;
mod side;

use std::cmp::Reverse;
use std::collections::HashMap;
use std::time::Duration;

use chance::{Draws, Samples};
use side::Spent;

pub use naming::PlaceName;
pub use side::Side;

/// A comparison of two sides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diff {
    /// How many traces stand on the first side.
    pub before: u64,
    /// How many on the second.
    pub after: u64,
    /// How long a trace of the first side takes, on average: from the beginning of its first span to
    /// the end of its last.
    pub total_before: Duration,
    /// How long one of the second side takes.
    pub total_after: Duration,
    /// How long the job takes that a trace of the first side is about, on average, from the first moment
    /// it was due to the end of its last attempt: other jobs of the trace may go on. Nothing if the
    /// traces are about none.
    pub job_before: Option<Duration>,
    /// How long that of the second side takes.
    pub job_after: Option<Duration>,
    /// The kind of the jobs that the traces are about; nothing if they are of several kinds or not known.
    pub kind: Option<String>,
    /// How much longer a trace of the second side takes, on average; less than nothing if it is
    /// shorter. In nanoseconds.
    pub delta_nanos: i64,
    /// Between which differences 95 of a hundred comparisons of such groups would lie; if 0 is among
    /// them, the difference may be chance. `None` if a side has fewer than [`Diff::FEWEST`] traces.
    pub delta_range_nanos: Option<(i64, i64)>,
    /// Place by place, what explains most of the difference first. Together they explain all of it.
    pub rows: Vec<DiffRow>,
}

/// A place that stands in both sides or one, by trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiffRow {
    /// Its services and names from the root down, each as `service name`, or the name alone; at most
    /// 65. [`DiffRow::NO_SPAN`] alone for time of which no span says what it was spent with.
    pub path: Vec<String>,
    /// The first side.
    pub before: Figures,
    /// The second side.
    pub after: Figures,
    /// How much more of the critical path runs through this place on the second side. In nanoseconds.
    /// These sum up to the whole difference, of groups but for a nanosecond each.
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
    /// How much of the critical path ran through it: these sum up to how long a trace takes.
    pub critical: Duration,
}

impl DiffRow {
    /// What time is called of which no span says what it was spent with.
    pub const NO_SPAN: &str = "time without a span";

    /// What places are called together that are beyond [`Diff::MOST`].
    pub const OTHERS: &str = "all other places";
}

impl Diff {
    /// Most rows of a comparison, besides one for all other places, which explain the least.
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
        let row = |path, [one, other]: [&Spent; 2], critical: i128, range| DiffRow {
            path,
            before: before.figures(one),
            after: after.figures(other),
            critical_delta_nanos: narrow(critical),
            explains_percent: percent(critical, delta),
            explains_range_percent: range,
        };
        let beyond = order.split_off(order.len().min(Self::MOST));
        let ranked = order.into_iter().enumerate();
        let mut rows: Vec<DiffRow> = ranked
            .map(|(rank, (at, place))| {
                let weighed = chance.as_ref().filter(|_| rank < Self::WEIGHED);
                let range = weighed.and_then(|chance| chance.explains(place));
                let both = [&place.before, &place.after];
                row(merged.path(at), both, critical(place), range)
            })
            .collect();
        if !beyond.is_empty() {
            let sum = |of: fn(&Both<'_>) -> Spent| {
                let places = beyond.iter().map(|(_, place)| of(place));
                places.fold(Spent::default(), Spent::with)
            };
            let both = [&sum(|place| place.before), &sum(|place| place.after)];
            let rest = beyond.iter().map(|(_, place)| critical(place)).sum();
            rows.push(row(vec![DiffRow::OTHERS.to_owned()], both, rest, None));
        }
        Self {
            before: before.traces,
            after: after.traces,
            total_before: before.by_trace(before.total),
            total_after: after.by_trace(after.total),
            job_before: before.job(),
            job_after: after.job(),
            kind: before.kind.shared_with(&after.kind),
            delta_nanos: narrow(delta),
            delta_range_nanos: chance.as_ref().map(|chance| chance.range),
            rows,
        }
    }
}

/// A share of a difference, to the nearest percent.
fn percent(part: i128, whole: i128) -> i32 {
    let doubled = (part * 200).checked_div(whole).unwrap_or(0);
    let nearest = (doubled + doubled.signum()) / 2;
    i32::try_from(nearest).unwrap_or(if nearest < 0 { i32::MIN } else { i32::MAX })
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

fn narrow(nanos: i128) -> i64 {
    i64::try_from(nanos).unwrap_or(if nanos < 0 { i64::MIN } else { i64::MAX })
}
