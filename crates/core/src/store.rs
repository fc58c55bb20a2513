//! The contract that every store holds. `docs/store-contract.md` numbers its clauses; the doc
//! line of each method names those that bind it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use crate::attempt::{AttemptError, AttemptRecord};
use crate::claim::ClaimRequest;
use crate::envelope::Keep;
use crate::error::{ErrorKind, StoreError};
use crate::id::{JobId, SpanId, TraceId};
use crate::job::Job;
use crate::lease::{Beat, BeatAnswer, Lease, LeaseToken};
use crate::name::QueueName;
use crate::new_job::{NewJob, Place};
use crate::page::{JobFilter, JobPage, QueueStats};
use crate::prune::PruneRequest;
use crate::requests::RequestCounts;
use crate::state::JobState;
use crate::time::Timestamp;
use crate::trace_context::SpanContext;

/// What a store is and where, for messages and for the attributes of storage spans.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreInfo {
    /// `db.system.name` or the like: `sqlite`, `postgresql`, `memory`.
    pub system: &'static str,
    /// The database or file, without secrets.
    pub location: String,
    /// By how much [`Store::now`] may be off.
    pub clock_error: Duration,
    /// How long jobs that are over stay, whatever [`Store::prune`] is asked for; zero where they may
    /// go at once.
    pub keeps_over_for: Duration,
}

/// What became of a new job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Enqueued {
    /// It is stored and durable; `at` is its `enqueued_at`.
    Created {
        /// Its id.
        id: JobId,
        /// The store's time.
        at: Timestamp,
    },
    /// A job with this id or unique key is there already, and stays as it is.
    Hit {
        /// The id of the job that is there.
        id: JobId,
        /// The enqueue span of that job, if it has one and was not pruned.
        span: Option<SpanContext>,
    },
    /// A job with this unique key waited, and has the new args now.
    Replaced {
        /// The id of the job that is there.
        id: JobId,
        /// The enqueue span of that job, if it has one.
        span: Option<SpanContext>,
    },
}

impl Enqueued {
    /// The enqueue span of the job that was there already, if there was one and it is known.
    #[must_use]
    pub const fn met_span(&self) -> Option<&SpanContext> {
        match self {
            Self::Created { .. } => None,
            Self::Hit { span, .. } | Self::Replaced { span, .. } => span.as_ref(),
        }
    }

    /// What became of the job as a word: `created`, `hit` or `replaced`.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Created { .. } => "created",
            Self::Hit { .. } => "hit",
            Self::Replaced { .. } => "replaced",
        }
    }

    /// The id of the job that is there now.
    #[must_use]
    pub const fn id(&self) -> &JobId {
        match self {
            Self::Created { id, .. } | Self::Hit { id, .. } | Self::Replaced { id, .. } => id,
        }
    }
}

/// A claimed job and the lease on it.
#[derive(Clone, Debug)]
pub struct Claimed {
    /// The job as it is now: running, its attempt and claim counted up.
    pub job: Job,
    /// The hold on it.
    pub lease: Lease,
}

/// How a worker wants an attempt to end.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// It succeeded.
    Complete {
        /// What the handler gave back, at most [`Job::MAX_RESULT_BYTES`].
        result: Option<Bytes>,
    },
    /// It failed; run it again at `available_at`.
    Retry {
        /// When.
        available_at: Timestamp,
        /// Why it failed.
        error: AttemptError,
    },
    /// What it needs is not there yet; run it again at `available_at`. The attempt counts, and is
    /// not a failure.
    NotYet {
        /// When.
        available_at: Timestamp,
        /// What it waits for.
        error: AttemptError,
    },
    /// Run it again at `available_at`, without counting the attempt.
    Snooze {
        /// When.
        available_at: Timestamp,
    },
    /// Give it up.
    Cancel {
        /// Why, if there is more to say than that someone asked.
        error: Option<AttemptError>,
    },
    /// It failed for good.
    Discard {
        /// Why.
        error: AttemptError,
    },
    /// Unfinished: let another worker have it at once, without counting the attempt.
    HandBack,
}

/// The end of an attempt, fenced by its lease token.
#[derive(Clone, Debug)]
pub struct Settlement {
    /// The job.
    pub job_id: JobId,
    /// The holder's token.
    pub token: LeaseToken,
    /// How it ends.
    pub outcome: Outcome,
    /// Jobs that appear exactly once, under these ids, at or after this settle; none if its lease
    /// is lost.
    pub follow_ups: Vec<NewJob>,
    /// Written with the state change if the job has none yet.
    pub keep: Option<Keep>,
    /// The trace and `job.process` span of the attempt, for the attempt history.
    pub span: Option<(TraceId, SpanId)>,
}

impl Settlement {
    /// Checks every bound: for stores, before they write anything of it. (S-4)
    ///
    /// # Errors
    /// Invalid, if its result or a follow-up breaks a bound; says which.
    pub fn validate(&self) -> Result<(), StoreError> {
        for follow_up in &self.follow_ups {
            follow_up.validate()?;
        }
        let Outcome::Complete {
            result: Some(result),
        } = &self.outcome
        else {
            return Ok(());
        };
        match Job::problem_of_result(result.len()) {
            Some(problem) => {
                let problem = format!("the result of job {} {problem}", self.job_id);
                Err(StoreError::new(ErrorKind::Invalid, problem))
            }
            None => Ok(()),
        }
    }
}

/// What a settle made of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled {
    /// The state it is in now. A job that was to wait is cancelled instead if someone asked for
    /// that.
    pub state: JobState,
    /// The store's time of the change.
    pub at: Timestamp,
}

/// A job taken back from a worker that vanished.
#[derive(Clone, Debug)]
pub struct Rescued {
    /// The whole row as it is now, the lost attempt last in its history.
    pub job: Job,
    /// The record of the lost attempt.
    pub lost: AttemptRecord,
}

/// A small versioned value, on which schedules, limits and workflows are built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Counts up with every write, from 1.
    pub version: u64,
    /// At most [`Document::MAX_BYTES`].
    pub body: Bytes,
}

impl Document {
    /// Most bytes of a document: 256 KiB.
    pub const MAX_BYTES: usize = 256 << 10;
    /// Most documents of one listing.
    pub const MAX_LISTED: usize = 1000;
}

/// A document in a listing, without its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocumentEntry {
    /// Its name.
    pub name: String,
    /// The version it had when it was listed.
    pub version: u64,
}

impl DocumentEntry {
    /// The name at which a listing of `prefix` after `after` begins: for stores.
    #[must_use]
    pub fn listing_start(prefix: &str, after: Option<&str>) -> String {
        // The first name that comes after another is that one and a zero byte.
        let next = after.map(|after| format!("{after}\0")).unwrap_or_default();
        next.max(prefix.to_owned())
    }
}

/// Everything a store must do. It serves implementors and the engine: small, object-safe, batch
/// first, without default methods but [`Store::request_counts`]. Delivery is at least once.
///
/// Every method that takes a slice gives back one answer per item, in order, and an error of the
/// whole call only if it says nothing about any item. `Unavailable` on a write means that the
/// outcome is unknown; repeating the same call is safe.
#[async_trait]
pub trait Store: fmt::Debug + Send + Sync {
    /// What and where this store is.
    fn info(&self) -> StoreInfo;

    /// How many requests the store has sent since it was opened, by type; `None` if it sends none that
    /// are paid for, or does not count them. Whoever wraps a store hands its own on.
    fn request_counts(&self) -> Option<Arc<RequestCounts>> {
        None
    }

    /// The store's clock. Leases and due times compare against it alone. (T-1)
    async fn now(&self) -> Result<Timestamp, StoreError>;

    /// An id for each new job that will wait in one of these places, made before the first try to
    /// enqueue them; nothing is stored. All go into one call of [`Store::enqueue`], or into one
    /// settlement. (E-1)
    async fn mint(&self, places: &[Place]) -> Result<Vec<JobId>, StoreError>;

    /// Stores jobs durably. Repeating a call with the same ids is a hit for each in every state.
    /// A job whose unique key another has is a hit, replaces that one's args, or is a
    /// [`Conflict`](crate::ErrorKind::Conflict), as it says itself. (E-2 to E-6)
    async fn enqueue(
        &self,
        jobs: Vec<NewJob>,
    ) -> Result<Vec<Result<Enqueued, StoreError>>, StoreError>;

    /// Leases due jobs of unpaused queues: by priority, then due time, one slot in eight going to
    /// the oldest of a lower priority; within the quotas of the request, and by turns of tenants
    /// if it asks for that. (C-1 to C-8)
    async fn claim(&self, request: &ClaimRequest) -> Result<Vec<Claimed>, StoreError>;

    /// Extends leases, and stores progress and checkpoints. (L-1 to L-4)
    async fn heartbeat(&self, beats: &[Beat]) -> Result<Vec<BeatAnswer>, StoreError>;

    /// Ends attempts. A lost lease is refused and writes nothing; an expired one that nobody
    /// rescued is accepted. (S-1 to S-8)
    async fn settle(
        &self,
        settlements: Vec<Settlement>,
    ) -> Result<Vec<Result<Settled, StoreError>>, StoreError>;

    /// Makes due jobs available, at most `limit`; gives back how many. A store that tells states
    /// from due times has nothing to do. (P-1)
    async fn promote(&self, limit: usize) -> Result<usize, StoreError>;

    /// Takes back at most `limit` expired leases: the job runs again at once, or is discarded if
    /// its attempts are used up, or cancelled if that was asked for.
    async fn rescue(&self, limit: usize) -> Result<Vec<Rescued>, StoreError>;

    /// The job with this id, exactly as it is.
    async fn get(&self, id: &JobId) -> Result<Option<Job>, StoreError>;

    /// A page of jobs, newest first; may lag.
    async fn list(
        &self,
        filter: &JobFilter,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<JobPage, StoreError>;

    /// How every queue stands; may lag.
    async fn queue_stats(&self) -> Result<Vec<QueueStats>, StoreError>;

    /// Cancels waiting jobs, and asks the holders of running ones to stop; a final job stays as
    /// it is. Gives back the state of each after that.
    async fn cancel(&self, ids: &[JobId]) -> Result<Vec<Result<JobState, StoreError>>, StoreError>;

    /// As [`Store::cancel`], but the jobs end as discarded.
    async fn discard(&self, ids: &[JobId])
    -> Result<Vec<Result<JobState, StoreError>>, StoreError>;

    /// Makes waiting or final jobs available now, each with at least one attempt left; a running
    /// one is a [`Conflict`](crate::ErrorKind::Conflict).
    async fn retry_now(
        &self,
        ids: &[JobId],
    ) -> Result<Vec<Result<JobState, StoreError>>, StoreError>;

    /// Stops claims from a queue; jobs that run go on.
    async fn pause(&self, queue: &QueueName) -> Result<(), StoreError>;

    /// Allows claims from a queue again.
    async fn resume(&self, queue: &QueueName) -> Result<(), StoreError>;

    /// Deletes jobs that are over, the longest over first; gives back how many.
    async fn prune(&self, request: &PruneRequest) -> Result<usize, StoreError>;

    /// Returns when a job of these queues may have become due, or after `timeout`. A hint: it may
    /// come late, early or never. (W-1)
    async fn wait(&self, queues: &[QueueName], timeout: Duration);

    /// A versioned document. (D-1)
    async fn read_document(&self, name: &str) -> Result<Option<Document>, StoreError>;

    /// Writes a document if its version is still `expected` (0: it must not exist); gives back
    /// the new version, or a [`Conflict`](crate::ErrorKind::Conflict). (D-2)
    async fn write_document(
        &self,
        name: &str,
        expected: u64,
        body: Bytes,
    ) -> Result<u64, StoreError>;

    /// Deletes a document if its version is still `expected`, else it is a
    /// [`Conflict`](crate::ErrorKind::Conflict). One that is not there is deleted already. (D-3)
    async fn delete_document(&self, name: &str, expected: u64) -> Result<(), StoreError>;

    /// The documents whose names begin with `prefix`, in the order of the names' bytes; the first
    /// `limit` of those that come after the name `after`. (D-4)
    async fn list_documents(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<DocumentEntry>, StoreError>;
}
