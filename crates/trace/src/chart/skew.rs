//! Clocks of different machines disagree. What was stored is never changed; a chart shows it as if the
//! clocks agreed, and says by how much each was corrected.
//!
//! What caused something began before it, and a call lasts for as long as its answer takes: such pairs
//! on two clocks bound how far the one may be ahead of the other. If a bound is broken, the clocks are
//! moved until none is, one after the other and each by as little as the bounds allow; the clock of the
//! store, by which attempts are timed, stands still. What breaks no bound moves nothing.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use longshore_core::Timestamp;
use longshore_instrument::table::{key, name};
use longshore_instrument::{Resource, Span, SpanKind};
use serde::{Deserialize, Serialize};

use super::{Chart, Content, Marks};
use crate::duration;
use crate::story::text;
use crate::text::printable;
use crate::tree::{Forest, Key, Node};

/// How far a bound may be broken without any clock being wrong: they are read one after the other.
const SLACK: Duration = Duration::from_millis(1);
/// Most clocks that are looked at; those of further machines stay as they are.
const MOST: usize = 64;
/// What tells one machine from another, what says most first.
const MACHINE: [&str; 4] = [
    "k8s.node.name",
    "host.name",
    "host.id",
    "service.instance.id",
];
/// What a machine is called that nobody named: many are.
const NAMELESS: [&str; 3] = ["localhost", "localhost.localdomain", "(none)"];

/// By how much a clock was corrected in a [`Chart`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Correction {
    /// Whose clock: the machine as the resource of its spans names it, else their service.
    pub clock: String,
    /// By how many nanoseconds its rows were moved: later if positive.
    pub by_nanos: i64,
}

impl Correction {
    /// Such as `the clock of worker-2 corrected by +41.0 ms`.
    #[must_use]
    pub fn words(&self) -> String {
        let clock = printable(&self.clock, true);
        let by = duration::format(Duration::from_nanos(self.by_nanos.unsigned_abs()));
        let sign = if self.by_nanos < 0 { '-' } else { '+' };
        format!("the clock of {clock} corrected by {sign}{by}")
    }
}

impl Chart {
    /// The clocks that were corrected, the one that was moved most first: rows that stand
    /// elsewhere than they were recorded have [`Marks::CORRECTED`](super::Marks::CORRECTED).
    #[must_use]
    pub fn corrections(&self) -> &[Correction] {
        &self.corrections
    }

    /// The same rows in the same order, each where its clock said.
    #[must_use]
    pub fn uncorrected(mut self) -> Self {
        for Moved { from, to, by_nanos } in std::mem::take(&mut self.moved) {
            let back = |at: Timestamp| {
                Timestamp::from_unix_nanos(at.unix_nanos().saturating_sub(by_nanos))
            };
            for row in self
                .rows
                .get_mut(from as usize..to as usize)
                .into_iter()
                .flatten()
            {
                row.start = back(row.start);
                // What is open lasts until the look, whatever its clock says.
                if !row.marks.has(Marks::OPEN) {
                    row.end = back(row.end);
                }
                row.marks = row.marks.without(Marks::CORRECTED);
            }
        }
        self.corrections.clear();
        for at in (0..self.rows.len()).rev() {
            self.stretch_ghost(at);
        }
        for row in &mut self.rows {
            row.marks = row.marks.without(Marks::OUTSIDE);
        }
        self.link();
        self
    }

    /// A parent that is not there lasts from its first child to its last.
    fn stretch_ghost(&mut self, at: usize) {
        let is_ghost = self
            .row(at)
            .is_some_and(|row| row.content == Content::Ghost);
        let times = self.children(at).filter_map(|child| self.row(child));
        let times = times.map(|child| (child.start, child.end));
        let whole = times.reduce(|one, other| (one.0.min(other.0), one.1.max(other.1)));
        if let (true, Some((start, end)), Some(row)) = (is_ghost, whole, self.rows.get_mut(at)) {
            (row.start, row.end) = (start, end);
        }
    }

    /// Notes which rows were moved, and by how much.
    pub(super) fn note_moves(&mut self, moves: &HashMap<Key, i64>) {
        let mut moved: Vec<Moved> = Vec::new();
        for (row, at) in self.rows.iter().zip(0_u32..) {
            let trace = self.trace(row).filter(|_| row.marks.has(Marks::CORRECTED));
            let by = trace.and_then(|trace| moves.get(&(trace, row.span_id)));
            let Some(by_nanos) = by.copied() else {
                continue;
            };
            match moved.last_mut() {
                Some(last) if last.to == at && last.by_nanos == by_nanos => last.to = at + 1,
                _ => moved.push(Moved {
                    from: at,
                    to: at + 1,
                    by_nanos,
                }),
            }
        }
        self.moved = moved;
    }
}

/// Rows in a [`Chart`] that were moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) struct Moved {
    /// The first of them.
    from: u32,
    /// The one after the last.
    to: u32,
    /// By how many nanoseconds: later if positive.
    by_nanos: i64,
}

/// What is to be corrected.
#[derive(Debug, Default)]
pub(super) struct Skew {
    /// The clocks that are moved.
    pub(super) corrections: Vec<Correction>,
    /// By how many nanoseconds each span on them is.
    pub(super) moves: HashMap<Key, i64>,
}

impl Skew {
    /// What the bounds among these spans ask for.
    pub(super) fn of(forest: &Forest<'_>) -> Self {
        let mut clocks = Clocks::default();
        let read: Vec<usize> = read_by(forest, &mut clocks);
        if clocks.all.len() < 2 {
            return Self::default();
        }
        let bounds = Bounds::of(forest, &read, &clocks);
        let Some(moves) = bounds.moves(&clocks.order()) else {
            return Self::default();
        };
        let by = |clock: usize| moves.get(clock).copied().filter(|by| *by != 0);
        let spans = forest.nodes().iter().zip(&read);
        let spans = spans.filter_map(|(node, clock)| Some((node.span()?, by(*clock)?)));
        let moved = spans.map(|(span, by)| ((span.trace_id, span.span_id), by));
        let names = clocks.all.iter().enumerate();
        let corrected = names.filter_map(|(at, clock)| {
            Some(Correction {
                clock: clock.name.clone(),
                by_nanos: by(at)?,
            })
        });
        let mut corrections: Vec<Correction> = corrected.collect();
        corrections.sort_by_key(|one| std::cmp::Reverse(one.by_nanos.unsigned_abs()));
        Self {
            moves: moved.collect(),
            corrections,
        }
    }
}

/// Which clock each node was read by; that of a ghost is no clock.
fn read_by<'a>(forest: &Forest<'a>, clocks: &mut Clocks<'a>) -> Vec<usize> {
    let mut read: Vec<usize> = Vec::with_capacity(forest.nodes().len());
    let mut open: Vec<usize> = Vec::new();
    for (index, node) in forest.nodes().iter().enumerate() {
        open.truncate(node.depth);
        let parent = open.last().and_then(|parent| read.get(*parent)).copied();
        read.push(match node.span() {
            Some(span) => clocks.of(span, parent),
            None => usize::MAX,
        });
        open.push(index);
    }
    read
}

/// A clock that spans were read by.
#[derive(Debug, Default)]
struct Clock {
    name: String,
    /// Whether it is known whose clock it is; else there may be several under one name.
    is_known: bool,
    spans: usize,
}

/// The clocks of a chart; the store's is the first.
#[derive(Debug)]
struct Clocks<'a> {
    all: Vec<Clock>,
    by_name: HashMap<&'a str, usize>,
    by_resource: HashMap<*const Resource, usize>,
}

/// The store's.
const STORE: usize = 0;

impl Default for Clocks<'_> {
    fn default() -> Self {
        let store = Clock {
            name: "the store".to_owned(),
            is_known: true,
            spans: 0,
        };
        Self {
            all: vec![store],
            by_name: HashMap::new(),
            by_resource: HashMap::new(),
        }
    }
}

impl<'a> Clocks<'a> {
    /// The clock that a span was read by; `parent` is that of its parent.
    fn of(&mut self, span: &'a Span, parent: Option<usize>) -> usize {
        let clock = match span.name.as_ref() {
            // A worker carries on the time at which the store gave it the job.
            name::PROCESS | name::DEQUEUE if text(span, key::SYSTEM) == Some("longshore") => STORE,
            name::HANDLER | name::SETTLE if parent == Some(STORE) => STORE,
            _ => self.machine(span),
        };
        if let Some(clock) = self.all.get_mut(clock) {
            clock.spans += 1;
        }
        clock
    }

    fn machine(&mut self, span: &'a Span) -> usize {
        let resource = span.resource.as_ref();
        let at = resource.map_or(std::ptr::null(), Arc::as_ptr);
        if let Some(known) = self.by_resource.get(&at) {
            return *known;
        }
        let machine = resource.and_then(|resource| machine(resource));
        let name = machine.or_else(|| span.service()).unwrap_or_default();
        let next = self.all.len();
        let clock = *self.by_name.entry(name).or_insert(next);
        if clock == next {
            self.all.push(Clock {
                name: name.to_owned(),
                is_known: machine.is_some(),
                spans: 0,
            });
        }
        self.by_resource.insert(at, clock);
        clock
    }

    /// In which order they are fixed: the store's, and then those that most was read by. If nothing
    /// was read by the store's, the next stands still instead.
    fn order(&self) -> Vec<usize> {
        let spans = |at: &usize| self.all.get(*at).map_or(0, |clock| clock.spans);
        let mut order: Vec<usize> = (1..self.all.len()).collect();
        order.sort_by_key(|at| std::cmp::Reverse(spans(at)));
        order.insert(0, STORE);
        order.truncate(MOST);
        order
    }
}

/// The name of the machine that a resource is of.
fn machine(resource: &Resource) -> Option<&str> {
    use longshore_instrument::AttributeValue;
    let attributes = &resource.attributes;
    let value = |key: &str| {
        let found = attributes.iter().find(|attribute| attribute.key == key);
        match &found?.value {
            AttributeValue::String(name) if !name.is_empty() => Some(&**name),
            _ => None,
        }
        .filter(|name| !NAMELESS.contains(name))
    };
    MACHINE.into_iter().find_map(value)
}

/// What is known of clocks: the second has to be moved by at least so many nanoseconds more than the
/// first.
#[derive(Debug, Default)]
struct Bounds {
    /// Of causes, which begin first.
    causes: HashMap<(usize, usize), i64>,
    /// Of calls, which end after what they called. Not everything that looks like one is.
    calls: HashMap<(usize, usize), i64>,
}

impl Bounds {
    fn of(forest: &Forest<'_>, read: &[usize], clocks: &Clocks<'_>) -> Self {
        let mut bounds = Self::default();
        let mut open: Vec<usize> = Vec::new();
        for (index, node) in forest.nodes().iter().enumerate() {
            open.truncate(node.depth);
            if let Some(above) = open.last().copied() {
                bounds.add((forest, read), clocks, (above, index));
            }
            open.push(index);
        }
        bounds
    }

    fn add(
        &mut self,
        (forest, read): (&Forest<'_>, &[usize]),
        clocks: &Clocks<'_>,
        (above, below): (usize, usize),
    ) {
        let at = |index: usize| Some((forest.get(index)?, *read.get(index)?));
        let (Some((above, cause)), Some((below, effect))) = (at(above), at(below)) else {
            return;
        };
        let (Some(caller), Some(called)) = (above.span(), below.span()) else {
            return;
        };
        // A wait begins when its job is due, whatever it hangs under.
        if cause == effect || called.name == name::DEQUEUE || called.name == name::CLAIM {
            return;
        }
        let put = |bounds: &mut HashMap<_, i64>, pair, least: i64| {
            let known = bounds.entry(pair).or_insert(least);
            *known = least.max(*known);
        };
        let (began, begins) = (above.start.unix_nanos(), below.start.unix_nanos());
        put(
            &mut self.causes,
            (cause, effect),
            began.saturating_sub(begins),
        );
        let known = |clock: usize| clocks.all.get(clock).is_some_and(|clock| clock.is_known);
        if known(cause) && known(effect) && waits_for(caller, called) && fits(above, below) {
            let (ends, ended) = (above.end.unix_nanos(), below.end.unix_nanos());
            put(&mut self.calls, (effect, cause), ended.saturating_sub(ends));
        }
    }

    /// By how many nanoseconds each clock is moved, if any has to be. Where calls contradict the rest,
    /// nobody waited for some of them; clocks whose causes contradict each other stay as they are,
    /// since there are several under one name, or they were set meanwhile.
    fn moves(&self, order: &[usize]) -> Option<Vec<i64>> {
        let all = || self.causes.iter().chain(&self.calls);
        let broken = all().map(|(_, least)| *least).max().unwrap_or(0);
        if u128::try_from(broken).is_ok_and(|broken| broken <= SLACK.as_nanos()) || broken <= 0 {
            return None;
        }
        let mut system = System::of(order, all());
        if !system.contradicted().is_empty() {
            system = System::of(order, self.causes.iter());
            let left_out = system.contradicted();
            if !left_out.is_empty() {
                let stays = |at: &usize| left_out.contains(at);
                let rest = self.causes.iter();
                let rest = rest.filter(|((one, other), _)| !stays(one) && !stays(other));
                system = System::of(order, rest);
            }
        }
        Some(system.solve(order))
    }
}

/// Whether a span lasts until another is over.
fn waits_for(caller: &Span, called: &Span) -> bool {
    let over = !caller.is_open() && !called.is_open() && !caller.status.is_error();
    let call = (caller.kind, called.kind) == (SpanKind::Client, SpanKind::Server);
    // A handler waits for the program that it runs.
    let runs = caller.name == name::HANDLER && caller.service() != called.service();
    over && (call || runs && called.kind != SpanKind::Consumer)
}

/// Whether the one is not too long to lie within the other.
fn fits(above: &Node<'_>, below: &Node<'_>) -> bool {
    below.end.since(below.start) <= above.end.since(above.start)
}

/// Bounds, and what follows from them, of the clocks in an order.
#[derive(Debug)]
struct System {
    /// Of each pair, by how much the second has to be moved more than the first at least.
    least: Vec<Vec<Option<i128>>>,
    order: Vec<usize>,
}

impl System {
    fn of<'b>(
        order: &[usize],
        bounds: impl Iterator<Item = (&'b (usize, usize), &'b i64)>,
    ) -> Self {
        let many = order.len();
        let mut system = Self {
            least: vec![vec![None; many]; many],
            order: order.to_vec(),
        };
        let place = |clock: usize| order.iter().position(|other| *other == clock);
        for ((one, other), least) in bounds {
            if let (Some(one), Some(other)) = (place(*one), place(*other)) {
                system.raise(one, other, Some(i128::from(*least)));
            }
        }
        for via in 0..many {
            for one in 0..many {
                let Some(first) = system.get(one, via) else {
                    continue;
                };
                for other in 0..many {
                    let sum = system.get(via, other).map(|second| first + second);
                    system.raise(one, other, sum);
                }
            }
        }
        system
    }

    fn get(&self, one: usize, other: usize) -> Option<i128> {
        *self.least.get(one)?.get(other)?
    }

    fn raise(&mut self, one: usize, other: usize, least: Option<i128>) {
        let row = self.least.get_mut(one);
        if let Some(known) = row.and_then(|row| row.get_mut(other)) {
            // What grows without end is contradicted long before.
            *known = (*known).max(least).map(|least| least.min(1 << 100));
        }
    }

    /// The clocks that would have to be moved further than themselves.
    fn contradicted(&self) -> Vec<usize> {
        let places = self.order.iter().enumerate();
        let beyond = |at: usize| self.get(at, at).is_some_and(|least| least > 0);
        let found = places.filter(|(at, _)| beyond(*at));
        found.map(|(_, clock)| *clock).collect()
    }

    /// Fixes one clock after the other where those before allow it, next to where it is.
    fn solve(&self, order: &[usize]) -> Vec<i64> {
        let mut fixed: Vec<i128> = Vec::with_capacity(order.len());
        for place in 0..order.len() {
            let before = || fixed.iter().enumerate();
            let least = before().filter_map(|(at, by)| Some(by + self.get(at, place)?));
            let most = before().filter_map(|(at, by)| Some(by - self.get(place, at)?));
            let (least, most) = (least.max(), most.min());
            let by = 0.max(least.unwrap_or(0));
            fixed.push(most.map_or(by, |most| by.min(most)));
        }
        let last = order.iter().max().copied().unwrap_or(0);
        let mut moves = vec![0; last + 1];
        for (clock, by) in order.iter().zip(fixed) {
            if let Some(place) = moves.get_mut(*clock) {
                *place = i64::try_from(by).unwrap_or(0);
            }
        }
        moves
    }
}
