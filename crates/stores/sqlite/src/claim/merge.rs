//! Several lines as one.

use std::collections::BTreeMap;

use longshore_core::{Allowance, Priority, StoreError};

use crate::claim::choice::Ask;
use crate::claim::line::Line;

/// Most jobs of tenants who may have no more that are passed over one by one.
const MAX_SKIPPED: usize = 1000;

/// Priority, due time and seq of a job.
type Head = (Priority, i64, i64);

/// Lines whose jobs are taken by priority, then due time, then age.
pub(super) struct Merge<'q> {
    lines: Vec<Line<'q>>,
    /// The first job of each line, and which line it is.
    heads: BTreeMap<Head, usize>,
    /// The line whose first job was taken last: who comes next is looked at when it matters.
    behind: Option<usize>,
    /// How many jobs were passed over since their tenants may have no more.
    skipped: usize,
}

impl<'q> Merge<'q> {
    pub(super) fn new(lines: Vec<Line<'q>>) -> Self {
        let mut heads = BTreeMap::new();
        for (at, line) in lines.iter().enumerate() {
            if let Some(first) = line.jobs.front() {
                heads.insert((line.priority, first.due, first.seq), at);
            }
        }
        Self {
            lines,
            heads,
            behind: None,
            skipped: 0,
        }
    }

    /// Whether it stopped, since too many jobs were passed over whose tenants may have no more.
    pub(super) const fn gave_up(&self) -> bool {
        self.skipped > MAX_SKIPPED
    }

    /// The job for this slot of the claim; counts it.
    pub(super) fn take(
        &mut self,
        ask: &Ask<'_>,
        slot: usize,
        allowance: &mut Allowance<'_>,
    ) -> Result<Option<i64>, StoreError> {
        let favours_lower = ask.request.favours_lower(slot as u64);
        let left = ask.limit.saturating_sub(slot);
        if favours_lower {
            self.clear_front(ask, left, allowance)?;
        }
        while !self.gave_up() {
            let Some(at) = self.next(ask, left, favours_lower)? else {
                return Ok(None);
            };
            let Some(line) = self.lines.get_mut(at) else {
                return Ok(None);
            };
            if !line.is_allowed(allowance) {
                // What a group may not have now it may not have later: the line is left.
                continue;
            }
            let Some(job) = line.jobs.pop_front() else {
                continue;
            };
            self.behind = Some(at);
            let tenant = line.tenant_of(&job);
            if allowance.allows_tenant(tenant) {
                allowance.take(line.queue, &line.kind, tenant);
                return Ok(Some(job.seq));
            }
            self.skipped += 1;
        }
        Ok(None)
    }

    /// Has a job stand in front that may be taken: lower priorities are those below it.
    fn clear_front(
        &mut self,
        ask: &Ask<'_>,
        left: usize,
        allowance: &Allowance<'_>,
    ) -> Result<(), StoreError> {
        self.catch_up(ask, left)?;
        while let Some((_, at)) = self.heads.first_key_value()
            && !self.gave_up()
        {
            let at = *at;
            let line = self.lines.get_mut(at);
            let Some(line) = line.filter(|line| line.is_allowed(allowance)) else {
                self.heads.pop_first();
                continue;
            };
            let first = line.jobs.front();
            if first.is_some_and(|job| allowance.allows_tenant(line.tenant_of(job))) {
                return Ok(());
            }
            line.jobs.pop_front();
            self.heads.pop_first();
            self.skipped += 1;
            self.behind = Some(at);
            self.catch_up(ask, left)?;
        }
        Ok(())
    }

    /// Has the line whose first job was taken stand with its next one.
    fn catch_up(&mut self, ask: &Ask<'_>, left: usize) -> Result<(), StoreError> {
        if let Some((head, at)) = self.head_behind(ask, left)? {
            self.heads.insert(head, at);
        }
        Ok(())
    }

    /// The first job of the line whose first job was taken, and which line it is.
    fn head_behind(
        &mut self,
        ask: &Ask<'_>,
        left: usize,
    ) -> Result<Option<(Head, usize)>, StoreError> {
        let Some(at) = self.behind.take() else {
            return Ok(None);
        };
        let Some(line) = self.lines.get_mut(at) else {
            return Ok(None);
        };
        // The lines share what is left, as far as anyone can tell.
        let wanted = left / (self.heads.len() + 1);
        let priority = line.priority;
        let first = line.first(ask, wanted)?;
        Ok(first.map(|first| ((priority, first.due, first.seq), at)))
    }

    /// Takes the line out whose turn it is: the best one, or of those with a lower priority the one
    /// whose first job has been due the longest.
    fn next(
        &mut self,
        ask: &Ask<'_>,
        left: usize,
        favours_lower: bool,
    ) -> Result<Option<usize>, StoreError> {
        if let Some((head, at)) = self.head_behind(ask, left)? {
            let best = self.heads.first_key_value();
            if !favours_lower && best.is_none_or(|(best, _)| head < *best) {
                return Ok(Some(at));
            }
            self.heads.insert(head, at);
        }
        if let Some(oldest) = favours_lower.then(|| self.oldest_lower()).flatten() {
            return Ok(self.heads.remove(&oldest));
        }
        Ok(self.heads.pop_first().map(|(_, at)| at))
    }

    fn oldest_lower(&self) -> Option<Head> {
        let (best, ..) = *self.heads.first_key_value()?.0;
        let lower = Priority::ALL
            .into_iter()
            .filter(|priority| *priority > best);
        let first = |priority| self.heads.range((priority, i64::MIN, i64::MIN)..).next();
        lower
            .filter_map(first)
            .map(|(head, _)| *head)
            .min_by_key(|(_, due, seq)| (*due, *seq))
    }
}
