//! Looking at many jobs: filters, pages, counts.

use crate::attempt::{AttemptError, AttemptRecord};
use crate::job::Job;
use crate::name::{Kind, QueueName};
use crate::state::JobState;
use crate::time::Timestamp;

/// Which jobs a listing shows. Every field that is set must match.
#[derive(Clone, Debug, Default)]
pub struct JobFilter {
    /// In one of these states; any if empty.
    pub states: Vec<JobState>,
    /// In this queue.
    pub queue: Option<QueueName>,
    /// Of this kind.
    pub kind: Option<Kind>,
    /// With this tag.
    pub tag: Option<String>,
    /// With this metadata pair.
    pub metadata: Option<(String, String)>,
    /// Of this tenant.
    pub tenant_id: Option<String>,
    /// Of this namespace.
    pub namespace: Option<String>,
    /// With this correlation id.
    pub correlation_id: Option<String>,
    /// Enqueued at this time or later.
    pub enqueued_after: Option<Timestamp>,
    /// Enqueued before this time.
    pub enqueued_before: Option<Timestamp>,
    /// Whose last attempt ended with an error of this class.
    pub error_class: Option<String>,
    /// Whose last attempt ended with an error whose message contains this, as it is stored: before
    /// it is redacted.
    pub error_text: Option<String>,
}

impl JobFilter {
    /// Whether a job matches.
    #[must_use]
    pub fn matches(&self, job: &Job) -> bool {
        let same = |wanted: &Option<String>, has: Option<&str>| {
            wanted.is_none() || wanted.as_deref() == has
        };
        (self.states.is_empty() || self.states.contains(&job.state))
            && self.queue.as_ref().is_none_or(|queue| *queue == job.queue)
            && self.kind.as_ref().is_none_or(|kind| *kind == job.kind)
            && self.tag.as_ref().is_none_or(|tag| job.tags.contains(tag))
            && self
                .metadata
                .as_ref()
                .is_none_or(|(key, value)| job.metadata.get(key) == Some(value))
            && same(&self.tenant_id, job.tenant_id.as_deref())
            && same(&self.namespace, job.namespace.as_deref())
            && same(&self.correlation_id, Some(&job.correlation_id))
            && self.enqueued_after.is_none_or(|at| at <= job.enqueued_at)
            && self.enqueued_before.is_none_or(|at| job.enqueued_at < at)
            && self.matches_error(job.last_attempt())
    }

    fn matches_error(&self, last: Option<&AttemptRecord>) -> bool {
        let error = last.and_then(|record| record.error.as_ref());
        let has = |wanted: &Option<String>, of: fn(&AttemptError, &str) -> bool| {
            let found = |wanted: &String| error.is_some_and(|error| of(error, wanted));
            wanted.as_ref().is_none_or(found)
        };
        has(&self.error_class, |error, class| error.class == class)
            && has(&self.error_text, |error, text| error.message.contains(text))
    }
}

/// A page of a listing, newest jobs first. Where few of very many jobs match, a page may have few
/// jobs or none and still not be the last one, so that no call takes long.
#[derive(Clone, Debug)]
pub struct JobPage {
    /// The jobs of this page. Their args may be left out: look one up by id for all of it.
    pub jobs: Vec<Job>,
    /// Give it to the next call to go on; `None` at the end.
    pub next_cursor: Option<String>,
    /// The store's time for which the listing is true.
    pub as_of: Timestamp,
}

impl JobPage {
    /// Most jobs in a page.
    pub const MAX_JOBS: usize = 1000;
}

/// How a queue stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueStats {
    /// The queue.
    pub queue: QueueName,
    /// Whether nobody may claim from it.
    pub paused: bool,
    /// Jobs that wait for their time.
    pub scheduled: u64,
    /// Jobs that can run now.
    pub available: u64,
    /// Jobs that run.
    pub running: u64,
    /// Jobs that wait for their back-off.
    pub retryable: u64,
    /// Jobs that succeeded and were not yet pruned.
    pub completed: u64,
    /// Jobs that were cancelled and not yet pruned.
    pub cancelled: u64,
    /// Jobs that failed for good and were not yet pruned.
    pub discarded: u64,
    /// Since when the job that waits longest could have run.
    pub oldest_available_at: Option<Timestamp>,
    /// The store's time for which the counts are true.
    pub as_of: Timestamp,
}

impl QueueStats {
    /// The stats of a queue without jobs.
    #[must_use]
    pub const fn empty(queue: QueueName, as_of: Timestamp) -> Self {
        Self {
            queue,
            paused: false,
            scheduled: 0,
            available: 0,
            running: 0,
            retryable: 0,
            completed: 0,
            cancelled: 0,
            discarded: 0,
            oldest_available_at: None,
            as_of,
        }
    }

    /// The count of a state.
    pub const fn count_mut(&mut self, state: JobState) -> &mut u64 {
        match state {
            JobState::Scheduled => &mut self.scheduled,
            JobState::Available => &mut self.available,
            JobState::Running => &mut self.running,
            JobState::Retryable => &mut self.retryable,
            JobState::Completed => &mut self.completed,
            JobState::Cancelled => &mut self.cancelled,
            JobState::Discarded => &mut self.discarded,
        }
    }

    /// Jobs that are not over.
    #[must_use]
    pub const fn unfinished(&self) -> u64 {
        // Counts come from a store, which may be damaged.
        self.scheduled
            .saturating_add(self.available)
            .saturating_add(self.running)
            .saturating_add(self.retryable)
    }
}
