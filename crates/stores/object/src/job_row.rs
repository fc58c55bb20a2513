//! What a ledger says of one job: everything about it that has changed since it was enqueued.

use bytes::Bytes;
use longshore_core::{
    AttemptRecord, Job, JobState, Keep, LeaseToken, Priority, StopRequest, Timestamp, WorkerId,
};

use crate::batch::StoredJob;

/// A lease on a job.
#[derive(Clone, Debug, PartialEq)]
pub struct Hold {
    /// What fences the holder.
    pub token: LeaseToken,
    /// Who it is.
    pub worker: WorkerId,
    /// Since when.
    pub claimed_at: Timestamp,
    /// Until when.
    pub expires_at: Timestamp,
}

/// What a later job of the same unique key gave to one that waited. (E-4c)
#[derive(Clone, Debug, PartialEq)]
pub struct Replaced {
    /// The args, unless they lie in an object of their own.
    pub args: Bytes,
    /// The token of that object.
    pub args_token: Option<u64>,
    /// The hash of kind and args.
    pub hash: u64,
    /// How urgent it is now.
    pub priority: Priority,
    /// When it can first run now.
    pub first_available_at: Timestamp,
}

/// How a job stands that is not as it was enqueued.
#[derive(Clone, Debug, PartialEq)]
pub struct JobRow {
    /// Its state.
    pub state: JobState,
    /// See [`Job::attempt`].
    pub attempt: u32,
    /// See [`Job::claim`].
    pub claim: u32,
    /// Most attempts, if no longer those it was enqueued with.
    pub max_attempts: Option<u32>,
    /// When it can next run, if no longer when it was enqueued for.
    pub available_at: Option<Timestamp>,
    /// When it was over.
    pub finished_at: Option<Timestamp>,
    /// What someone asked of it while it ran.
    pub stop_requested: Option<StopRequest>,
    /// The lease, while it runs.
    pub hold: Option<Hold>,
    /// How far its handler is.
    pub progress: Option<u8>,
    /// What the next attempt resumes from.
    pub checkpoint: Option<Bytes>,
    /// What its handler gave back, unless that lies in an object of its own.
    pub result: Option<Bytes>,
    /// The token of that object.
    pub result_token: Option<u64>,
    /// Set once its trace is to be kept.
    pub keep: Option<Keep>,
    /// Its ended attempts.
    pub history: Vec<AttemptRecord>,
    /// What replaced the args it came with.
    pub replaced: Option<Replaced>,
}

impl JobRow {
    /// The row of a job at its first claim, which may be written before its batch is read.
    #[must_use]
    pub const fn first_claim(hold: Hold) -> Self {
        Self {
            state: JobState::Running,
            attempt: 1,
            claim: 1,
            max_attempts: None,
            available_at: None,
            finished_at: None,
            stop_requested: None,
            hold: Some(hold),
            progress: None,
            checkpoint: None,
            result: None,
            result_token: None,
            keep: None,
            history: Vec::new(),
            replaced: None,
        }
    }

    /// The row of a job that is now so and was enqueued so. `hold` is its lease, if it runs.
    #[must_use]
    pub fn of(job: &Job, was: &StoredJob, token: Option<LeaseToken>) -> Self {
        let was = &was.job;
        let hash = |job: &Job| job.unique_key.as_ref().map(|unique| unique.hash);
        let same = job.args == was.args
            && hash(job) == hash(was)
            && job.priority == was.priority
            && job.first_available_at == was.first_available_at;
        let replaced = || Replaced {
            args: job.args.clone(),
            args_token: None,
            hash: hash(job).unwrap_or_default(),
            priority: job.priority,
            first_available_at: job.first_available_at,
        };
        let hold = || {
            Some(Hold {
                token: token?,
                worker: job.worker.clone()?,
                claimed_at: job.claimed_at?,
                expires_at: job.lease_expires_at?,
            })
        };
        Self {
            state: job.state,
            attempt: job.attempt,
            claim: job.claim,
            max_attempts: Some(job.max_attempts).filter(|most| *most != was.max_attempts),
            available_at: Some(job.available_at).filter(|due| *due != was.available_at),
            finished_at: job.finished_at,
            stop_requested: job.stop_requested,
            hold: hold(),
            progress: job.progress,
            checkpoint: job.checkpoint.clone(),
            result: job.result.clone(),
            result_token: None,
            keep: job.trace.keep.clone(),
            history: job.history.clone(),
            replaced: (!same).then(replaced),
        }
    }

    /// The job as it now is.
    #[must_use]
    pub fn on(&self, was: &StoredJob) -> Job {
        let mut job = was.job.clone();
        job.state = self.state;
        job.attempt = self.attempt;
        job.claim = self.claim;
        job.max_attempts = self.max_attempts.unwrap_or(job.max_attempts);
        job.available_at = self.available_at.unwrap_or(job.available_at);
        job.finished_at = self.finished_at;
        job.stop_requested = self.stop_requested;
        if let Some(hold) = &self.hold {
            job.worker = Some(hold.worker.clone());
            job.claimed_at = Some(hold.claimed_at);
            job.lease_expires_at = Some(hold.expires_at);
        }
        job.progress = self.progress;
        job.checkpoint.clone_from(&self.checkpoint);
        job.result.clone_from(&self.result);
        job.trace.keep.clone_from(&self.keep);
        job.history.clone_from(&self.history);
        if let Some(replaced) = &self.replaced {
            job.args = replaced.args.clone();
            job.priority = replaced.priority;
            job.first_available_at = replaced.first_available_at;
            if let Some(unique) = &mut job.unique_key {
                unique.hash = replaced.hash;
            }
        }
        job
    }

    /// Whether its lease has surely ended, `now` being the least that the server's time can be.
    #[must_use]
    pub fn is_lost(&self, now: Timestamp) -> bool {
        let hold = self.hold.as_ref();
        hold.is_some_and(|hold| hold.expires_at < now)
    }
}
