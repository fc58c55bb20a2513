//! Deleting jobs that are over: how long they are kept, and how many of them.

use std::time::Duration;

use longshore_core::{JobFilter, JobPage, JobState, PruneRequest, Store, StoreError, Timestamp};
use longshore_instrument::facts::AdminSubject;

use super::{About, Admin};

/// Jobs of one call to the store.
pub(crate) const PAGE: usize = 500;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// How long the jobs of one state are kept. What is not set keeps them all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PruneRule {
    /// So long after they were over.
    pub after: Option<Duration>,
    /// So many, those that were over last.
    pub keep: Option<u64>,
}

/// How long jobs are kept once they are over. By default completed ones for 7 days, cancelled and
/// discarded ones for 30, and at most 100,000 of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrunePolicy {
    /// Jobs that succeeded.
    pub completed: PruneRule,
    /// Jobs that were cancelled.
    pub cancelled: PruneRule,
    /// Jobs that failed for good.
    pub discarded: PruneRule,
}

impl Default for PrunePolicy {
    fn default() -> Self {
        let rule = |after| PruneRule {
            after: Some(after),
            keep: Some(100_000),
        };
        Self {
            completed: rule(7 * DAY),
            cancelled: rule(30 * DAY),
            discarded: rule(30 * DAY),
        }
    }
}

impl PrunePolicy {
    /// Deletes nothing.
    #[must_use]
    pub const fn keep_all() -> Self {
        let all = PruneRule {
            after: None,
            keep: None,
        };
        Self {
            completed: all,
            cancelled: all,
            discarded: all,
        }
    }

    /// What may be deleted at `now`, a request per state of which something may be.
    #[must_use]
    pub fn requests(&self, now: Timestamp) -> Vec<PruneRequest> {
        let rules = [
            (JobState::Completed, self.completed),
            (JobState::Cancelled, self.cancelled),
            (JobState::Discarded, self.discarded),
        ];
        let says_something =
            |(_, rule): &(JobState, PruneRule)| rule.after.is_some() || rule.keep.is_some();
        let request = |(state, rule): (JobState, PruneRule)| PruneRequest {
            states: vec![state],
            before: rule.after.map(|after| now.before(after)),
            keep_newest: rule.keep,
            limit: PAGE,
        };
        let rules = rules.into_iter().filter(says_something);
        rules.map(request).collect()
    }
}

impl Admin {
    /// Deletes what the policy lets go, a page at a time, so that nobody waits long for one; gives
    /// back how many. `tell` hears how many were deleted so far.
    ///
    /// # Errors
    /// As the store says; `tell` has heard what was done before.
    pub async fn prune(
        &self,
        policy: &PrunePolicy,
        tell: impl FnMut(u64),
    ) -> Result<u64, StoreError> {
        self.watched(self.prune_all(policy, tell)).await
    }

    async fn prune_all(
        &self,
        policy: &PrunePolicy,
        mut tell: impl FnMut(u64),
    ) -> Result<u64, StoreError> {
        let started_at = self.now();
        let mut pruned = 0;
        let mut ended = Ok(());
        let now = self.store().now().await?;
        'all: for request in policy.requests(now) {
            loop {
                match self.store().prune(&request).await {
                    Ok(0) => break,
                    Ok(count) => pruned += count as u64,
                    Err(error) => {
                        ended = Err(error);
                        break 'all;
                    }
                }
                tell(pruned);
            }
        }
        self.record_pruned(pruned, started_at);
        ended.map(|()| pruned)
    }

    /// Records a sweep; one that deleted nothing leaves no span.
    pub(crate) fn record_pruned(&self, count: u64, started_at: Timestamp) {
        if count > 0 {
            let subject = AdminSubject::Jobs {
                count,
                queue: None,
                enqueued: &[],
                unlinked: 0,
            };
            self.record("prune", About::Store, subject, started_at);
        }
    }

    /// Counts what [`Admin::prune`] would delete, by state. `tell` hears how many jobs were looked
    /// at so far.
    ///
    /// # Errors
    /// As the store says.
    pub async fn prunable(
        &self,
        policy: &PrunePolicy,
        mut tell: impl FnMut(u64),
    ) -> Result<Vec<(JobState, u64)>, StoreError> {
        let now = self.store().now().await?;
        let keeps = self.store().info().keeps_over_for;
        let least = now.before(keeps);
        let mut all = self.store().queue_stats().await?;
        let (mut counts, mut looked) = (Vec::new(), 0);
        let mut tell = |page| {
            looked += page;
            tell(looked);
        };
        for request in policy.requests(now) {
            let state = request.states.first().copied();
            let state = state.unwrap_or(JobState::Completed);
            let total: u64 = all.iter_mut().map(|stats| *stats.count_mut(state)).sum();
            let keep = request.keep_newest.unwrap_or(u64::MAX);
            let too_many = total.saturating_sub(keep);
            // If all of them are too many, none need be looked at.
            let too_old = match request.before.filter(|_| too_many < total) {
                Some(before) => {
                    let before = before.min(least);
                    count_over(&**self.store(), state, before, &mut tell).await?
                }
                None => 0,
            };
            let mut jobs = too_many.max(too_old);
            if jobs > too_old && !keeps.is_zero() {
                jobs = jobs.min(count_over(&**self.store(), state, least, &mut tell).await?);
            }
            counts.push((state, jobs));
        }
        Ok(counts)
    }
}

/// How many jobs in a state were over before a time.
async fn count_over(
    store: &dyn Store,
    state: JobState,
    before: Timestamp,
    tell: &mut impl FnMut(u64),
) -> Result<u64, StoreError> {
    let filter = JobFilter {
        states: vec![state],
        ..JobFilter::default()
    };
    let (mut count, mut cursor) = (0, None::<String>);
    loop {
        let page = store
            .list(&filter, cursor.as_deref(), JobPage::MAX_JOBS)
            .await?;
        let is_old = |at: Option<Timestamp>| at.is_some_and(|at| at < before);
        let old = page.jobs.iter().filter(|job| is_old(job.finished_at));
        count += old.count() as u64;
        tell(page.jobs.len() as u64);
        cursor = page.next_cursor;
        if cursor.is_none() {
            return Ok(count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_that_says_nothing_asks_for_nothing() {
        let now = Timestamp::from_unix_millis(1_000_000_000_000);
        assert_eq!(PrunePolicy::keep_all().requests(now), []);
        let mut policy = PrunePolicy::keep_all();
        policy.discarded.keep = Some(0);
        let requests = policy.requests(now);
        assert_eq!(requests.len(), 1);
        assert_eq!(requests[0].states, [JobState::Discarded]);
        assert_eq!(
            (requests[0].before, requests[0].keep_newest),
            (None, Some(0))
        );
        let usual = PrunePolicy::default().requests(now);
        assert_eq!(
            usual[0].before,
            Some(now.before(Duration::from_secs(604_800)))
        );
        assert_eq!(usual.len(), 3);
    }
}
