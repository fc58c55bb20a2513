//! The jobs that wait, and which of them a claim takes: for stores that know all that wait, or the
//! first of them, by themselves.

use std::collections::{BTreeMap, BTreeSet, VecDeque, btree_set};

use crate::claim::{Allowance, ClaimRequest, Spread};
use crate::name::{Kind, QueueName};
use crate::new_job::Priority;
use crate::time::Timestamp;

/// What the jobs of one line have in common. The tenant is empty if they have none.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Line {
    /// The queue.
    pub queue: QueueName,
    /// On whose behalf they run.
    pub tenant: String,
    /// Which handler runs them.
    pub kind: Kind,
    /// How urgent they are.
    pub priority: Priority,
}

impl Line {
    fn is_allowed(&self, allowance: &Allowance<'_>) -> bool {
        allowance.allows(&self.queue, &self.kind, &self.tenant)
    }
}

/// Waiting jobs in lines, so that a group that may not be claimed from is passed over at once. `N` is
/// by what the store finds a job again; jobs of one due time go in its order.
#[derive(Debug)]
pub struct Waiting<N> {
    /// None of them empty.
    lines: BTreeMap<Line, BTreeSet<(Timestamp, N)>>,
}

impl<N> Default for Waiting<N> {
    fn default() -> Self {
        Self {
            lines: BTreeMap::new(),
        }
    }
}

impl<N: Copy + Ord> Waiting<N> {
    /// Adds a job that is due at `due`.
    pub fn insert(&mut self, line: Line, due: Timestamp, number: N) {
        self.lines.entry(line).or_default().insert((due, number));
    }

    /// Takes one out that was added so.
    pub fn remove(&mut self, line: &Line, due: Timestamp, number: N) {
        if let Some(jobs) = self.lines.get_mut(line) {
            jobs.remove(&(due, number));
            if jobs.is_empty() {
                self.lines.remove(line);
            }
        }
    }

    /// When the next job of the queues that are `open` is due.
    #[must_use]
    pub fn next_due(&self, open: impl Fn(&QueueName) -> bool) -> Option<Timestamp> {
        let lines = self.lines.iter().filter(|(line, _)| open(&line.queue));
        lines
            .filter_map(|(_, jobs)| jobs.first())
            .map(|(due, _)| *due)
            .min()
    }

    /// The jobs that fill the slots of a claim, in the order of the slots. (C-1 to C-4, C-7, C-8)
    #[must_use]
    pub fn choose(
        &self,
        request: &ClaimRequest,
        paused: &BTreeSet<QueueName>,
        now: Timestamp,
    ) -> Vec<N> {
        let limit = request.limit.min(ClaimRequest::MAX_LIMIT);
        let each = request.spread.as_ref().map(|spread| spread.each.max(1));
        let mut allowance = Allowance::new(&request.quotas);
        let mut turns = self.turns(request, paused, now);
        let mut chosen = Vec::new();
        let mut served = 0;
        while chosen.len() < limit
            && let Some(front) = turns.front_mut()
        {
            let favours_lower = request.favours_lower(chosen.len() as u64);
            let Some((line, number)) = front.take(favours_lower) else {
                turns.pop_front();
                served = 0;
                continue;
            };
            chosen.push(number);
            served += 1;
            if allowance.take(&line.queue, &line.kind, &line.tenant) {
                for due in &mut turns {
                    due.keep_allowed(&allowance);
                }
            }
            if Some(served) == each {
                turns.rotate_left(1);
                served = 0;
            }
        }
        chosen
    }

    /// What each tenant has due, in the order of their turns; without a spread, what all have.
    fn turns(
        &self,
        request: &ClaimRequest,
        paused: &BTreeSet<QueueName>,
        now: Timestamp,
    ) -> VecDeque<Due<'_, N>> {
        let allowance = Allowance::new(&request.quotas);
        let mut by_tenant: BTreeMap<&str, Due<'_, N>> = BTreeMap::new();
        for (line, jobs) in &self.lines {
            let asked = request.queues.contains(&line.queue) && !paused.contains(&line.queue);
            if asked && line.is_allowed(&allowance) {
                let spread = request.spread.as_ref();
                let whose = spread.map_or("", |_| &line.tenant);
                let due = by_tenant.entry(whose).or_insert_with(|| Due::new(now));
                due.queue_up(line, jobs.iter());
            }
        }
        let begins = |tenant: &str| match &request.spread {
            Some(Spread {
                after: Some(last), ..
            }) => tenant > last.as_str(),
            _ => true,
        };
        let (first, then): (Vec<_>, Vec<_>) = by_tenant
            .into_iter()
            .partition(|(tenant, _)| begins(tenant));
        first.into_iter().chain(then).map(|(_, due)| due).collect()
    }
}

/// Due jobs: the first of each line, in the order of claims, and what comes after it.
#[derive(Debug)]
struct Due<'w, N> {
    now: Timestamp,
    heads: BTreeMap<Head<N>, (&'w Line, Jobs<'w, N>)>,
}

/// The jobs of a line, in the order of claims.
type Jobs<'w, N> = btree_set::Iter<'w, (Timestamp, N)>;

/// Priority, due time and number of the first job of a line.
type Head<N> = (Priority, Timestamp, N);

impl<'w, N: Copy + Ord> Due<'w, N> {
    const fn new(now: Timestamp) -> Self {
        let heads = BTreeMap::new();
        Self { now, heads }
    }

    /// Has a line stand with its next job, if that is due.
    fn queue_up(&mut self, line: &'w Line, mut jobs: Jobs<'w, N>) {
        if let Some((due, number)) = jobs.next().filter(|(due, _)| *due <= self.now) {
            let head = (line.priority, *due, *number);
            self.heads.insert(head, (line, jobs));
        }
    }

    /// Takes the first job, or the one due longest of the priorities below it.
    fn take(&mut self, favours_lower: bool) -> Option<(&'w Line, N)> {
        let best = *self.heads.keys().next()?;
        let lower = self
            .heads
            .keys()
            .filter(|(priority, ..)| favours_lower && *priority > best.0)
            .min_by_key(|(_, due, number)| (*due, *number));
        let next = lower.copied().unwrap_or(best);
        let (line, rest) = self.heads.remove(&next)?;
        self.queue_up(line, rest);
        Some((line, next.2))
    }

    fn keep_allowed(&mut self, allowance: &Allowance<'_>) {
        self.heads.retain(|_, (line, _)| line.is_allowed(allowance));
    }
}
