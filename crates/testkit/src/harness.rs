//! What a check works with: a fresh store, the clock and randomness it was given, and the moves
//! that most checks make.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use longshore_core::{
    AttemptError, ClaimRequest, Claimed, Clock, Enqueued, ErrorKind, Job, JobId, JobState, NewJob,
    Outcome, Place, QueueName, Random, Settled, Settlement, Store, StoreError, Timestamp, WorkerId,
};

use tokio::runtime::Runtime;

use crate::clock::{ManualClock, SeededRandom};

/// A store under test, and what must live as long as it does, such as its folder.
pub struct Subject {
    store: Arc<dyn Store>,
    guard: Box<dyn Any + Send>,
}

impl Subject {
    /// The store.
    #[must_use]
    pub fn store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.store)
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Subject").field(&self.store).finish()
    }
}

impl From<Arc<dyn Store>> for Subject {
    fn from(store: Arc<dyn Store>) -> Self {
        let guard = Box::new(());
        Self { store, guard }
    }
}

impl<G: Any + Send> From<(Arc<dyn Store>, G)> for Subject {
    fn from((store, guard): (Arc<dyn Store>, G)) -> Self {
        let guard = Box::new(guard);
        Self { store, guard }
    }
}

/// A fresh, empty store with the clock and the randomness it was built with.
pub struct Harness {
    /// The store.
    pub store: Arc<dyn Store>,
    /// Its clock: time passes only when a check says so.
    pub clock: Arc<ManualClock>,
    _guard: Box<dyn Any + Send>,
}

impl fmt::Debug for Harness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Harness")
            .field("store", &self.store)
            .field("clock", &self.clock)
            .finish_non_exhaustive()
    }
}

impl Harness {
    /// For how long the harness leases jobs.
    pub const LEASE: Duration = Duration::from_secs(30);

    /// The longest time for which a store may keep a job that is over though it is to prune it.
    pub const RETENTION: Duration = Duration::from_secs(2 * 3600);

    /// A harness around the store that `factory` builds.
    pub async fn new<F, Fut, S>(factory: F) -> Self
    where
        F: FnOnce(Arc<dyn Clock>, Arc<dyn Random>) -> Fut,
        Fut: Future<Output = S>,
        S: Into<Subject>,
    {
        let clock = Arc::new(ManualClock::default());
        let random = Arc::new(SeededRandom::new(1));
        let Subject { store, guard } = factory(clock.clone(), random).await.into();
        Self {
            store,
            clock,
            _guard: guard,
        }
    }

    /// A harness around a store that was built with this clock.
    pub(crate) const fn around(
        store: Arc<dyn Store>,
        clock: Arc<ManualClock>,
        guard: Box<dyn Any + Send>,
    ) -> Self {
        Self {
            store,
            clock,
            _guard: guard,
        }
    }

    /// The store's time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Lets time pass.
    pub fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }

    /// Lets so much time pass that no store keeps what is over for its own sake.
    pub fn outlive_retention(&self) {
        self.advance(Self::RETENTION);
    }

    /// A new job with a minted id and every default.
    pub async fn new_job(&self, queue: &str) -> NewJob {
        self.new_jobs(queue, 1).await.remove(0)
    }

    /// So many new jobs, their ids minted in one call.
    pub async fn new_jobs(&self, queue: &str, count: usize) -> Vec<NewJob> {
        let places = vec![Place::new(name(queue)); count];
        let ids = self.store.mint(&places).await.unwrap();
        assert_eq!(ids.len(), count, "one id per place");
        let new = |id| NewJob::new(id, name(queue), "check".try_into().unwrap(), "{}");
        ids.into_iter().map(new).collect()
    }

    /// An id for a job of this queue that nobody enqueues.
    pub async fn unused_id(&self, queue: &str) -> JobId {
        self.new_job(queue).await.id
    }

    /// The job with an id for the place it is now to have.
    pub async fn placed(&self, mut job: NewJob) -> NewJob {
        job.id = self.store.mint(&[job.place()]).await.unwrap().remove(0);
        job
    }

    /// Stores a job that must be new; then a millisecond passes, so that jobs enqueued one after
    /// the other are due one after the other.
    pub async fn enqueue(&self, job: NewJob) -> JobId {
        let id = job.id.clone();
        let answer = self.offer(job).await.unwrap();
        let at = self.now();
        assert_eq!(answer, Enqueued::Created { id: id.clone(), at });
        self.advance(Duration::from_millis(1));
        id
    }

    /// Offers one job; gives back the answer for it.
    ///
    /// # Errors
    /// As the store says of this job.
    pub async fn offer(&self, job: NewJob) -> Result<Enqueued, StoreError> {
        let mut answers = self.store.enqueue(vec![job]).await.unwrap();
        assert_eq!(answers.len(), 1, "one answer per job");
        answers.remove(0)
    }

    /// Enqueues a plain job.
    pub async fn enqueue_plain(&self, queue: &str) -> JobId {
        let job = self.new_job(queue).await;
        self.enqueue(job).await
    }

    /// Enqueues so many plain jobs in one call.
    pub async fn enqueue_together(&self, queue: &str, count: usize) {
        let jobs = self.new_jobs(queue, count).await;
        let answers = self.store.enqueue(jobs).await.unwrap();
        assert_eq!(answers.iter().flatten().count(), count);
    }

    /// The harness's wish for jobs of a queue.
    #[must_use]
    pub fn request(queue: &str, limit: usize) -> ClaimRequest {
        let worker = WorkerId::new("worker-1");
        ClaimRequest::new(worker, vec![name(queue)], limit, Self::LEASE)
    }

    /// Claims up to `limit` jobs of a queue.
    pub async fn claim(&self, queue: &str, limit: usize) -> Vec<Claimed> {
        self.store
            .claim(&Self::request(queue, limit))
            .await
            .unwrap()
    }

    /// Claims the one job that must be due.
    pub async fn claim_one(&self, queue: &str) -> Claimed {
        let mut claimed = self.claim(queue, 1).await;
        assert_eq!(claimed.len(), 1, "a job of queue `{queue}` must be due");
        claimed.remove(0)
    }

    /// Enqueues a plain job and claims it.
    pub async fn running(&self, queue: &str) -> Claimed {
        let id = self.enqueue_plain(queue).await;
        let claimed = self.claim_one(queue).await;
        assert_eq!(claimed.job.id, id);
        claimed
    }

    /// Offers a settle; gives back the answer for it.
    ///
    /// # Errors
    /// As the store says of this settle.
    pub async fn try_settle(&self, settlement: Settlement) -> Result<Settled, StoreError> {
        let mut answers = self.store.settle(vec![settlement]).await.unwrap();
        assert_eq!(answers.len(), 1, "one answer per settle");
        answers.remove(0)
    }

    /// Settles a claimed job, which must be accepted.
    pub async fn settle(&self, claimed: &Claimed, outcome: Outcome) -> Settled {
        self.try_settle(settlement(claimed, outcome)).await.unwrap()
    }

    /// Cancels one job; gives back the answer for it.
    ///
    /// # Errors
    /// As the store says of this job.
    pub async fn cancel(&self, id: &JobId) -> Result<JobState, StoreError> {
        let ids = std::slice::from_ref(id);
        self.store.cancel(ids).await.unwrap().remove(0)
    }

    /// Discards one job; gives back the answer for it.
    ///
    /// # Errors
    /// As the store says of this job.
    pub async fn discard(&self, id: &JobId) -> Result<JobState, StoreError> {
        let ids = std::slice::from_ref(id);
        self.store.discard(ids).await.unwrap().remove(0)
    }

    /// Makes one job run again now; gives back the answer for it.
    ///
    /// # Errors
    /// As the store says of this job.
    pub async fn retry_now(&self, id: &JobId) -> Result<JobState, StoreError> {
        let ids = std::slice::from_ref(id);
        self.store.retry_now(ids).await.unwrap().remove(0)
    }

    /// The job's row, which must be there.
    pub async fn row(&self, id: &JobId) -> Job {
        self.store.get(id).await.unwrap().unwrap()
    }

    /// Brings a fresh job of the queue `state`'s name into that state; gives back its id.
    pub async fn job_in(&self, state: JobState) -> JobId {
        let queue = state.as_str();
        let mut job = self.new_job(queue).await;
        if state == JobState::Scheduled {
            job.scheduled_at = Some(self.now().after(Duration::from_secs(3600)));
            job = self.placed(job).await;
        }
        let id = self.enqueue(job).await;
        if matches!(state, JobState::Scheduled | JobState::Available) {
            return id;
        }
        let claimed = self.claim_one(queue).await;
        let outcome = match state {
            JobState::Completed => complete(),
            JobState::Retryable => retry_at(self.now().after(Duration::from_secs(3600))),
            JobState::Cancelled => Outcome::Cancel { error: None },
            JobState::Discarded => Outcome::Discard { error: failure() },
            JobState::Scheduled | JobState::Available | JobState::Running => return id,
        };
        self.settle(&claimed, outcome).await;
        id
    }
}

/// A queue's name.
#[must_use]
pub fn name(queue: &str) -> QueueName {
    queue.try_into().unwrap()
}

/// The settle of a claimed job with nothing beside the outcome.
#[must_use]
pub fn settlement(claimed: &Claimed, outcome: Outcome) -> Settlement {
    Settlement {
        job_id: claimed.job.id.clone(),
        token: claimed.lease.token,
        outcome,
        follow_ups: Vec::new(),
        keep: None,
        span: None,
    }
}

/// The settle of a claimed job that has succeeded without a result.
#[must_use]
pub fn completion(claimed: &Claimed) -> Settlement {
    settlement(claimed, complete())
}

/// Success without a result.
#[must_use]
pub const fn complete() -> Outcome {
    Outcome::Complete { result: None }
}

/// A failure that runs again at `available_at`.
#[must_use]
pub fn retry_at(available_at: Timestamp) -> Outcome {
    Outcome::Retry {
        available_at,
        error: failure(),
    }
}

/// Why checks fail their attempts.
#[must_use]
pub fn failure() -> AttemptError {
    AttemptError::new("check", "the check wanted this attempt to fail")
}

/// The answer for a job that was met by this one, which has no span.
#[must_use]
pub fn hit(id: &JobId) -> Enqueued {
    Enqueued::Hit {
        id: id.clone(),
        span: None,
    }
}

/// Asserts that `answer` is an error of this kind.
pub fn assert_refused<T: fmt::Debug>(answer: Result<T, StoreError>, kind: ErrorKind) -> StoreError {
    let error = answer.unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    error
}

/// Makes a call again for as long as the store is unavailable, as all who use it do.
///
/// # Panics
/// On any other error, and if the store is away for more than a minute.
pub async fn patiently<T>(mut call: impl AsyncFnMut() -> Result<T, StoreError>) -> T {
    for _ in 0..3000 {
        match call().await {
            Ok(answer) => return answer,
            Err(error) => assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}"),
        }
        // A server that comes back tells nobody.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the store does not come back");
}

/// What a check against a store runs on.
pub(crate) fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap()
}
