//! The list of traces.

use std::collections::{HashMap, VecDeque};

use longshore_api::job::Job;
use longshore_api::trace::DiffSide;
use longshore_core::{Timestamp, TraceId};
use longshore_trace::TraceSummary;

use super::Slot;

/// Most traces of the list; the oldest go first.
const MOST: usize = 100_000;

/// Most changes that wait while the list stands still; then the list is read anew when it goes on.
const MOST_WAITING: usize = 10_000;

/// The traces that were found, newest first.
#[derive(Debug, Default)]
pub(crate) struct Traces {
    pub(crate) slot: Slot,
    /// What the page that is awaited is for.
    pub(crate) awaited: Page,
    /// Oldest first, so that what comes in goes to the end and nothing moves.
    list: VecDeque<TraceSummary>,
    /// Where each one is, counted from the first that ever was in `list`.
    places: HashMap<TraceId, i64>,
    first: i64,
    /// Those of `list`, the longest first, if they are shown so.
    longest: Option<Vec<TraceId>>,
    pub(crate) selected: Option<TraceId>,
    /// The trace that was gone into, or to as a failure: the next failure is another one.
    pub(crate) looked_at: Option<TraceId>,
    pub(crate) top: usize,
    pub(crate) search: String,
    /// Whether what is searched for was changed, and no answer came since.
    pub(crate) is_new_search: bool,
    pub(crate) jobs_slot: Slot,
    /// Which jobs say what no trace does.
    pub(crate) jobs: Option<SayingJobs>,
    /// Why the search cannot be done.
    pub(crate) problem: Option<String>,
    /// Whether anything was answered yet.
    pub(crate) known: bool,
    pub(crate) next_cursor: Option<String>,
    pub(crate) as_of: Option<String>,
    /// Whether there is more, written down before, that is still being read.
    pub(crate) reading: bool,
    /// What changed while the list stands still.
    pub(crate) waiting: Vec<TraceSummary>,
    /// Show this trace and those it is linked to alone.
    pub(crate) only: Option<TraceId>,
    /// Marked for a comparison, at most two.
    pub(crate) marked: Vec<DiffSide>,
    /// When to open the trace that was selected.
    pub(crate) open_at: Option<Timestamp>,
}

/// Jobs that say what was looked for.
#[derive(Clone, Debug)]
pub(crate) struct SayingJobs {
    pub(crate) count: usize,
    /// Whether there may be more.
    pub(crate) more: bool,
    /// The job, if it is one alone; what holds it back is known a moment later.
    pub(crate) only: Option<Box<Job>>,
}

/// What a page of traces is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Page {
    /// The first one of a search.
    #[default]
    First,
    /// Older ones.
    More,
    /// What changed.
    Changes,
}

impl Traces {
    pub(crate) fn len(&self) -> usize {
        match self.only {
            Some(only) => self.linked_to(only).count(),
            None => self.list.len(),
        }
    }

    /// Whether there is no room for more.
    pub(crate) fn is_full(&self) -> bool {
        self.list.len() >= MOST
    }

    /// Whether the longest come first, not the newest.
    pub(crate) const fn longest_first(&self) -> bool {
        self.longest.is_some()
    }

    /// Changes between the newest and the longest first; the cursor goes to the top.
    pub(crate) fn turn_order(&mut self) {
        self.longest = match self.longest {
            Some(_) => None,
            None => Some(Vec::new()),
        };
        self.sort();
        self.top = 0;
        self.select(0);
    }

    /// Puts the longest first again, if they are.
    fn sort(&mut self) {
        if let Some(longest) = &mut self.longest {
            let mut all: Vec<&TraceSummary> = self.list.iter().rev().collect();
            all.sort_by_key(|trace| std::cmp::Reverse(trace.duration()));
            *longest = all.into_iter().map(|trace| trace.trace_id).collect();
        }
    }

    /// The trace in a line of the list.
    pub(crate) fn get(&self, line: usize) -> Option<&TraceSummary> {
        match (self.only, &self.longest) {
            (Some(only), _) => self.linked_to(only).nth(line),
            (None, Some(longest)) => self.find(*longest.get(line)?),
            (None, None) => {
                let back = self.list.len().checked_sub(line + 1)?;
                self.list.get(back)
            }
        }
    }

    fn linked_to(&self, only: TraceId) -> impl Iterator<Item = &TraceSummary> {
        let belongs =
            move |trace: &&TraceSummary| trace.trace_id == only || trace.linked.contains(&only);
        self.list.iter().rev().filter(belongs)
    }

    pub(crate) fn find(&self, trace: TraceId) -> Option<&TraceSummary> {
        self.list.get(self.at(trace)?)
    }

    fn at(&self, trace: TraceId) -> Option<usize> {
        let place = *self.places.get(&trace)?;
        usize::try_from(place - self.first).ok()
    }

    /// The line of the selected trace; 0 if there is none.
    pub(crate) fn line(&self) -> usize {
        let Some(selected) = self.selected else {
            return 0;
        };
        match (self.only, &self.longest) {
            (Some(only), _) => {
                let mut shown = self.linked_to(only);
                let at = shown.position(|trace| trace.trace_id == selected);
                at.unwrap_or(0)
            }
            (None, Some(longest)) => {
                let at = longest.iter().position(|trace| *trace == selected);
                at.unwrap_or(0)
            }
            (None, None) => {
                let at = self.at(selected);
                at.map_or(0, |at| self.list.len().saturating_sub(at + 1))
            }
        }
    }

    pub(crate) fn select(&mut self, line: usize) {
        let last = self.len().saturating_sub(1);
        self.selected = self.get(line.min(last)).map(|trace| trace.trace_id);
    }

    /// Forgets all that was found.
    pub(crate) fn clear(&mut self) {
        self.list.clear();
        self.places.clear();
        self.waiting.clear();
        self.longest = self.longest.as_ref().map(|_| Vec::new());
        self.first = 0;
        self.known = false;
        self.next_cursor = None;
        self.as_of = None;
        self.top = 0;
    }

    /// Appends older traces, newest first.
    pub(crate) fn extend(&mut self, traces: Vec<TraceSummary>) {
        for trace in traces {
            if self.list.len() >= MOST {
                self.next_cursor = None;
                break;
            }
            if let Some(at) = self.at(trace.trace_id) {
                if let Some(old) = self.list.get_mut(at) {
                    *old = trace;
                }
                continue;
            }
            self.first -= 1;
            self.places.insert(trace.trace_id, self.first);
            self.list.push_front(trace);
        }
        self.sort();
    }

    /// Takes changes in: what is known is brought up to date, what is new comes first.
    pub(crate) fn merge(&mut self, mut changes: Vec<TraceSummary>) {
        changes.sort_by_key(|trace| trace.start);
        for trace in changes {
            if let Some(old) = self.at(trace.trace_id).and_then(|at| self.list.get_mut(at)) {
                *old = trace;
                continue;
            }
            let place = self.first + i64::try_from(self.list.len()).unwrap_or(i64::MAX);
            self.places.insert(trace.trace_id, place);
            self.list.push_back(trace);
        }
        while self.list.len() > MOST {
            if let Some(oldest) = self.list.pop_front() {
                self.places.remove(&oldest.trace_id);
                self.first += 1;
            }
        }
        self.sort();
    }

    /// Keeps changes for later.
    pub(crate) fn hold(&mut self, changes: Vec<TraceSummary>) {
        for trace in changes {
            let known = self
                .waiting
                .iter()
                .position(|held| held.trace_id == trace.trace_id);
            if let Some(held) = known.and_then(|at| self.waiting.get_mut(at)) {
                *held = trace;
            } else if self.waiting.len() < MOST_WAITING {
                self.waiting.push(trace);
            } else {
                // The list will be read anew.
                self.as_of = None;
            }
        }
    }

    /// How many traces that the list does not show yet came while it stands still.
    pub(crate) fn fresh(&self) -> usize {
        let new = |trace: &&TraceSummary| !self.places.contains_key(&trace.trace_id);
        self.waiting.iter().filter(new).count()
    }

    /// The next line from `line` on, up or down, whose trace failed.
    pub(crate) fn next_failed(&self, line: usize, down: bool) -> Option<usize> {
        let failed = |line: &usize| self.get(*line).is_some_and(|trace| trace.failed);
        if down {
            (line..self.len()).find(failed)
        } else {
            (0..line).rev().find(failed)
        }
    }
}
