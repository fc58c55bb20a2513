//! Jobs that come from another store, with all that became of them there.
//!
//! A store that implements [`Import`] can be moved to. What is to be held is in the clauses I of
//! `docs/store-contract.md`.

use async_trait::async_trait;

use crate::attempt::AttemptRecord;
use crate::error::{ErrorKind, StoreError};
use crate::job::Job;
use crate::new_job::NewJob;
use crate::state::JobState;
use crate::store::Store;
use crate::time::Timestamp;
use crate::unique::OnConflict;

/// What became of a job that was brought from another store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Imported {
    /// It is stored and durable, as it was given.
    Stored,
    /// A job with this id is there already, and stays as it is.
    Present,
}

/// A store that takes jobs as they are in another one, of whatever kind.
#[async_trait]
pub trait Import: Store {
    /// Stores jobs that do not run, with ids, times, attempts and all: as if what became of them
    /// had been done here, in the order of the call. The caller bounds the call: it is one
    /// transaction where the store has those. (I-1 to I-5)
    async fn import(&self, jobs: Vec<Job>)
    -> Result<Vec<Result<Imported, StoreError>>, StoreError>;
}

impl Job {
    /// The call that would have enqueued this job as it is now: for stores that write what a new
    /// job brings in one form.
    #[must_use]
    pub fn as_new(&self) -> NewJob {
        let is_own = self.correlation_id == self.id.as_str();
        NewJob {
            id: self.id.clone(),
            queue: self.queue.clone(),
            kind: self.kind.clone(),
            args: self.args.clone(),
            priority: self.priority,
            scheduled_at: Some(self.first_available_at),
            max_attempts: self.max_attempts,
            timeout: self.timeout,
            unique_key: self.unique_key.clone(),
            on_conflict: OnConflict::default(),
            tags: self.tags.clone(),
            metadata: self.metadata.clone(),
            correlation_id: (!is_own).then(|| self.correlation_id.clone()),
            parent_correlation_id: self.parent_correlation_id.clone(),
            tenant_id: self.tenant_id.clone(),
            namespace: self.namespace.clone(),
            trace: self.trace.clone(),
        }
    }

    /// Checks that a job can be brought from another store: it does not run, says of itself what
    /// its state asks for, and is within every bound. Gives back [`Job::as_new`]. (I-4)
    ///
    /// # Errors
    /// `Conflict` if it runs, else `Invalid`, with what is wrong.
    pub fn check_import(&self) -> Result<NewJob, StoreError> {
        let id = &self.id;
        let refuse = |kind, problem: String| {
            Err(StoreError::new(
                kind,
                format!("job {id} cannot be brought here: {problem}"),
            ))
        };
        if self.state == JobState::Running {
            let problem = "it runs; let it end, or wait for its lease to expire".to_owned();
            return refuse(ErrorKind::Conflict, problem);
        }
        if self.finished_at.is_some() != self.state.is_final() {
            let state = self.state.as_str();
            let problem = format!("it is {state}, which its end does not fit");
            return refuse(ErrorKind::Invalid, problem);
        }
        let leased = self.worker.is_some() || self.lease_expires_at.is_some();
        if leased || self.claimed_at.is_some() || self.progress.is_some() {
            let problem = "it has parts of a lease, though it does not run".to_owned();
            return refuse(ErrorKind::Invalid, problem);
        }
        let result = self.result.as_ref().map_or(0, |result| result.len());
        if self.history.len() > AttemptRecord::MAX_KEPT || result > Self::MAX_RESULT_BYTES {
            let (kept, most) = (AttemptRecord::MAX_KEPT, Self::MAX_RESULT_BYTES);
            let problem =
                format!("more than {kept} attempts or {most} bytes of a result are not kept");
            return refuse(ErrorKind::Invalid, problem);
        }
        let new = self.as_new();
        // A manual retry gives one attempt more, whatever could be asked for at first.
        let bounded = NewJob {
            max_attempts: new.max_attempts.clamp(1, NewJob::MAX_ATTEMPTS),
            ..new.clone()
        };
        match bounded.validate() {
            Ok(()) => Ok(new),
            Err(problem) => refuse(ErrorKind::Invalid, problem.to_string()),
        }
    }

    /// The state in which a store writes a job that it is brought: one that was due where it comes
    /// from, and by the clock of this store is not, waits for its time. (I-1)
    #[must_use]
    pub fn state_when_imported(&self, now: Timestamp) -> JobState {
        match self.state {
            JobState::Available if self.available_at > now && self.attempt == 0 => {
                JobState::Scheduled
            }
            JobState::Available if self.available_at > now => JobState::Retryable,
            state => state,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn job() -> Job {
        let (queue, kind) = ("mail".parse().unwrap(), "send".parse().unwrap());
        let new = NewJob::new("a-job".parse().unwrap(), queue, kind, "{}");
        Job::from_new(new, Timestamp::from_unix_millis(1000))
    }

    fn kind_of(change: impl FnOnce(&mut Job)) -> Option<ErrorKind> {
        let mut job = job();
        change(&mut job);
        job.check_import().err().map(|error| error.kind())
    }

    #[test]
    fn what_runs_or_contradicts_itself_is_refused() {
        assert_eq!(kind_of(|_| {}), None);
        let now = Timestamp::from_unix_millis(2000);
        let (invalid, conflict) = (Some(ErrorKind::Invalid), Some(ErrorKind::Conflict));
        let claim = |job: &mut Job| job.apply_claim(&crate::WorkerId::new("w"), now, now);
        assert_eq!(kind_of(claim), conflict);
        assert_eq!(kind_of(|job| job.finished_at = Some(now)), invalid);
        assert_eq!(kind_of(|job| job.state = JobState::Completed), invalid);
        assert_eq!(kind_of(|job| job.lease_expires_at = Some(now)), invalid);
        assert_eq!(kind_of(|job| job.progress = Some(1)), invalid);
        assert_eq!(kind_of(|job| job.tags = vec![String::new()]), invalid);
        let long = vec![0; Job::MAX_RESULT_BYTES + 1];
        assert_eq!(kind_of(|job| job.result = Some(long.into())), invalid);
        // A retry of a job with most attempts has one more.
        assert_eq!(kind_of(|job| job.max_attempts = 10_001), None);
    }

    #[test]
    fn a_job_is_the_one_that_its_call_would_make() {
        let job = job();
        assert_eq!(Job::from_new(job.as_new(), job.enqueued_at), job);
    }

    #[test]
    fn what_is_not_due_by_this_clock_waits() {
        let mut job = job();
        let early = job.available_at.before(Duration::from_millis(1));
        assert_eq!(
            job.state_when_imported(job.available_at),
            JobState::Available
        );
        assert_eq!(job.state_when_imported(early), JobState::Scheduled);
        job.attempt = 1;
        assert_eq!(job.state_when_imported(early), JobState::Retryable);
    }
}
