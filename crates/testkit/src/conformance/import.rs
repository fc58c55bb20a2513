//! Clauses I: jobs that come from another store.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use longshore_core::{
    Beat, Clock, ErrorKind, Import, Imported, Job, JobFilter, JobState, Keep, Outcome, Priority,
    PruneRequest, Random, Relation, Settlement, SpanId, Store, StoreError, Timestamp, TraceId,
    UniqueKey, UniqueScope, WorkerId,
};

use crate::clock::{ManualClock, SeededRandom};
use crate::harness::{Harness, assert_refused, complete, failure, retry_at, runtime, settlement};

/// A store that jobs can be brought to, and what must live as long as it does.
pub struct Target {
    store: Arc<dyn Import>,
    guard: Box<dyn Any + Send>,
}

impl Target {
    /// The store.
    #[must_use]
    pub fn store(&self) -> Arc<dyn Import> {
        Arc::clone(&self.store)
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Target").field(&self.store).finish()
    }
}

impl From<Arc<dyn Import>> for Target {
    fn from(store: Arc<dyn Import>) -> Self {
        let guard = Box::new(());
        Self { store, guard }
    }
}

impl<G: Any + Send> From<(Arc<dyn Import>, G)> for Target {
    fn from((store, guard): (Arc<dyn Import>, G)) -> Self {
        let guard = Box::new(guard);
        Self { store, guard }
    }
}

/// A harness around a store that jobs can be brought to.
#[derive(Debug)]
pub struct Importing {
    harness: Harness,
    target: Arc<dyn Import>,
}

impl Deref for Importing {
    type Target = Harness;

    fn deref(&self) -> &Harness {
        &self.harness
    }
}

impl Importing {
    /// Brings jobs; gives back the answer for each.
    async fn import(&self, jobs: Vec<Job>) -> Vec<Result<Imported, StoreError>> {
        let count = jobs.len();
        let answers = self.target.import(jobs).await.unwrap();
        assert_eq!(answers.len(), count, "one answer per job");
        answers
    }

    /// Brings one job; gives back the answer for it.
    async fn bring(&self, job: Job) -> Result<Imported, StoreError> {
        self.import(vec![job]).await.remove(0)
    }

    /// Brings a job that must be new.
    async fn stored(&self, job: &Job) {
        assert_eq!(self.bring(job.clone()).await.unwrap(), Imported::Stored);
    }
}

/// Runs one check against a fresh store.
///
/// # Panics
/// If the store breaks the promise.
pub fn run<F, Fut, T>(factory: F, check: impl AsyncFnOnce(&Importing))
where
    F: FnOnce(Arc<dyn Clock>, Arc<dyn Random>) -> Fut,
    Fut: Future<Output = T>,
    T: Into<Target>,
{
    runtime().block_on(async {
        let clock = Arc::new(ManualClock::default());
        let random = Arc::new(SeededRandom::new(1));
        let target: Target = factory(clock.clone(), random).await.into();
        let store: Arc<dyn Store> = target.store();
        let importing = Importing {
            harness: Harness::around(store, clock, target.guard),
            target: target.store,
        };
        check(&importing).await;
    });
}

/// A job as another store had it, due now, enqueued an hour ago, with all that a producer can say.
fn job(h: &Importing, id: &str) -> Job {
    let new = longshore_core::NewJob::new(
        id.parse().unwrap(),
        "q".parse().unwrap(),
        "check".parse().unwrap(),
        "{\"to\":\"ann\"}",
    );
    let mut job = Job::from_new(new, h.now().before(Duration::from_secs(3600)));
    job.priority = Priority::try_from(3).unwrap();
    job.timeout = Some(Duration::from_millis(2500));
    job.tags = vec!["b".to_owned(), "a".to_owned()];
    job.metadata = [("k".to_owned(), "v \u{1f6a2}".to_owned())].into();
    job.correlation_id = "correlation".to_owned();
    job.parent_correlation_id = Some("parent".to_owned());
    job.tenant_id = Some("tenant".to_owned());
    job.namespace = Some("namespace".to_owned());
    let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    job.trace.traceparent = Some(traceparent.to_owned());
    job.trace.relation = Relation::Link;
    job.trace.batch_size = 7;
    job.trace.keep = Some(Keep {
        reason: "pinned".to_owned(),
        at: h.now().before(Duration::from_secs(60)),
    });
    job
}

/// The end of its first attempt, which began and ended in the past.
fn attempted(h: &Importing, job: &mut Job, outcome: Outcome) {
    let at = |seconds| h.now().before(Duration::from_secs(seconds));
    job.apply_claim(&WorkerId::new("elsewhere \"1\""), at(0), at(1000));
    let settlement = Settlement {
        job_id: job.id.clone(),
        token: longshore_core::LeaseToken::from_bits(2),
        outcome,
        follow_ups: Vec::new(),
        keep: None,
        span: Some((TraceId::from_u128(3), SpanId::from_u64(4))),
    };
    job.apply_settlement(&settlement, at(900));
}

/// A job in each state in which it does not run.
fn job_in(h: &Importing, state: JobState) -> Job {
    let mut job = job(h, state.as_str());
    let later = h.now().after(Duration::from_secs(60));
    match state {
        JobState::Scheduled => {
            job.state = state;
            (job.first_available_at, job.available_at) = (later, later);
        }
        JobState::Retryable => {
            attempted(h, &mut job, retry_at(later));
            job.checkpoint = Some(Bytes::from_static(b"half\0way"));
        }
        JobState::Completed => {
            let result = Some(Bytes::from(vec![7; 5000]));
            attempted(h, &mut job, Outcome::Complete { result });
        }
        JobState::Cancelled => attempted(h, &mut job, Outcome::Cancel { error: None }),
        JobState::Discarded => attempted(h, &mut job, Outcome::Discard { error: failure() }),
        JobState::Available | JobState::Running => {}
    }
    assert_eq!(job.state, state);
    job
}

const AT_REST: [JobState; 6] = [
    JobState::Scheduled,
    JobState::Available,
    JobState::Retryable,
    JobState::Completed,
    JobState::Cancelled,
    JobState::Discarded,
];

/// I-1: a job comes with every field, in every state in which it does not run; it is found by its
/// state, and counted in it.
pub async fn a_job_comes_whole(h: &Importing) {
    for state in AT_REST {
        let mut job = job_in(h, state);
        if state == JobState::Discarded {
            job.args = Bytes::from(vec![0; 100_000]);
        }
        h.stored(&job).await;
        assert_eq!(h.row(&job.id).await, job, "{state}");
        let filter = JobFilter {
            states: vec![state],
            ..JobFilter::default()
        };
        let page = h.store.list(&filter, None, 10).await.unwrap();
        let ids: Vec<_> = page.jobs.into_iter().map(|job| job.id).collect();
        assert_eq!(ids, [job.id], "{state}");
    }
    let mut stats = h.store.queue_stats().await.unwrap().remove(0);
    for state in AT_REST {
        assert_eq!(*stats.count_mut(state), 1, "{state}");
    }
    assert_eq!(stats.running, 0);
}

/// I-1: what was made of a job elsewhere goes on here: attempts and claims count on, the history
/// grows, the checkpoint is there.
pub async fn a_job_goes_on_where_it_was(h: &Importing) {
    let mut waits = job_in(h, JobState::Retryable);
    waits.available_at = h.now().after(Duration::from_millis(500));
    h.stored(&waits).await;
    assert!(h.claim("q", 1).await.is_empty());
    h.advance(Duration::from_millis(500));
    let claimed = h.claim_one("q").await;
    assert_eq!((claimed.job.attempt, claimed.job.claim), (2, 2));
    assert_eq!(claimed.job.checkpoint, waits.checkpoint);
    assert_eq!(claimed.job.trace, waits.trace);
    let beat = Beat {
        job_id: waits.id.clone(),
        token: claimed.lease.token,
        extend_by: Harness::LEASE,
        progress: None,
        checkpoint: Some(Bytes::from_static(b"more")),
    };
    h.store.heartbeat(&[beat]).await.unwrap();
    let mut settlement = settlement(&claimed, complete());
    settlement.span = Some((TraceId::from_u128(3), SpanId::from_u64(5)));
    h.try_settle(settlement).await.unwrap();
    let row = h.row(&waits.id).await;
    assert_eq!(row.state, JobState::Completed);
    assert_eq!((row.history.len(), row.checkpoint), (2, None));
    assert_eq!(row.history[0], waits.history[0]);
    assert_eq!(row.history[1].claim, 2);
}

/// I-1: a job that ended elsewhere may be run again here, and is pruned by when it ended.
pub async fn what_is_over_is_retried_and_pruned(h: &Importing) {
    for state in [JobState::Completed, JobState::Discarded] {
        h.stored(&job_in(h, state)).await;
    }
    let discarded = job_in(h, JobState::Discarded).id;
    assert_eq!(h.retry_now(&discarded).await.unwrap(), JobState::Available);
    assert_eq!(h.claim_one("q").await.job.id, discarded);
    h.outlive_retention();
    let completed = job_in(h, JobState::Completed);
    let mut request = PruneRequest {
        states: vec![JobState::Completed],
        before: completed.finished_at,
        keep_newest: None,
        limit: 10,
    };
    request.before = Some(Timestamp::UNIX_EPOCH);
    assert_eq!(h.store.prune(&request).await.unwrap(), 0);
    request.before = Some(h.now());
    assert_eq!(h.store.prune(&request).await.unwrap(), 1);
    assert_eq!(h.store.get(&completed.id).await.unwrap(), None);
}

/// I-1: a job that was due by another clock and is not by this one waits for its time.
pub async fn a_job_is_due_by_this_clock(h: &Importing) {
    let mut job = job(h, "early");
    job.available_at = h.now().after(Duration::from_secs(1));
    h.stored(&job).await;
    assert!(h.claim("q", 1).await.is_empty());
    assert_eq!(h.row(&job.id).await.state, JobState::Scheduled);
    h.advance(Duration::from_secs(1));
    assert_eq!(h.claim_one("q").await.job.id, job.id);
}

/// I-2: a job that is there already stays as it is, whatever comes, also within one call.
pub async fn a_job_that_is_there_stays(h: &Importing) {
    for state in AT_REST {
        let job = job_in(h, state);
        let mut other = job.clone();
        other.args = Bytes::from_static(b"other");
        other.queue = "elsewhere".parse().unwrap();
        let answers = h.import(vec![job.clone(), other.clone()]).await;
        let answers: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
        assert_eq!(answers, [Imported::Stored, Imported::Present], "{state}");
        assert_eq!(h.bring(other).await.unwrap(), Imported::Present, "{state}");
        assert_eq!(h.row(&job.id).await, job, "{state}");
    }
    let stats = h.store.queue_stats().await.unwrap();
    assert_eq!(stats.len(), 1, "{stats:?}");
    // One that was enqueued here is there as well.
    let id = h.enqueue_plain("q").await;
    let mut again = job(h, id.as_str());
    again.id = id.clone();
    let before = h.row(&id).await;
    assert_eq!(h.bring(again).await.unwrap(), Imported::Present);
    assert_eq!(h.row(&id).await, before);
}

/// I-3: a job that has its unique key takes it along, and does not come while another has it.
pub async fn a_unique_key_comes_along(h: &Importing) {
    let window = Duration::from_secs(2 * 3600);
    for scope in [
        UniqueScope::Unfinished,
        UniqueScope::Waiting,
        UniqueScope::Window(window),
    ] {
        let name = scope.as_str();
        let keyed = |id: &str| {
            let mut job = job(h, &format!("{name}-{id}"));
            let unique = UniqueKey::new(name, &job.kind, &job.args);
            job.unique_key = Some(unique.with_scope(scope));
            job
        };
        let (first, second) = (keyed("1"), keyed("2"));
        let mut answers = h.import(vec![first.clone(), second.clone()]).await;
        let refused = answers.remove(1);
        assert_eq!(answers.remove(0).unwrap(), Imported::Stored);
        let error = assert_refused(refused, ErrorKind::Conflict);
        assert!(error.to_string().contains(first.id.as_str()), "{error}");
        assert_eq!(h.store.get(&second.id).await.unwrap(), None);
        let mut new = h.new_job("q").await;
        new.unique_key = Some(UniqueKey::new(name, &new.kind, b"other"));
        assert_refused(h.offer(new).await, ErrorKind::Conflict);
        h.cancel(&first.id).await.unwrap();
        h.stored(&second).await;
        h.cancel(&second.id).await.unwrap();
    }
}

/// I-3: a job that has let go of its key comes beside the one that has it now.
pub async fn a_key_that_is_let_go_is_free(h: &Importing) {
    let window = UniqueScope::Window(Duration::from_secs(60));
    let keyed = |id: &str, scope| {
        let mut job = job(h, id);
        job.unique_key = Some(UniqueKey::new("k", &job.kind, &job.args).with_scope(scope));
        job
    };
    let mut done = keyed("done", UniqueScope::Unfinished);
    attempted(h, &mut done, complete());
    let mut started = keyed("started", UniqueScope::Waiting);
    attempted(h, &mut started, retry_at(h.now()));
    let lapsed = keyed("lapsed", window);
    let mut gave_up = keyed("gave-up", UniqueScope::Window(Duration::from_secs(7200)));
    attempted(h, &mut gave_up, Outcome::Cancel { error: None });
    let holder = keyed("holder", UniqueScope::Unfinished);
    let jobs = [done, started, lapsed, gave_up, holder];
    for answer in h.import(jobs.to_vec()).await {
        assert_eq!(answer.unwrap(), Imported::Stored);
    }
    for job in &jobs {
        let shown = job.clone().shown_at(h.now());
        assert_eq!(h.row(&job.id).await, shown, "{}", job.id);
    }
    let [.., gave_up, holder] = &jobs;
    assert_refused(h.retry_now(&gave_up.id).await, ErrorKind::Conflict);
    h.cancel(&holder.id).await.unwrap();
    h.retry_now(&gave_up.id).await.unwrap();
    assert_refused(h.retry_now(&holder.id).await, ErrorKind::Conflict);
}

/// I-4: what runs is a conflict and what breaks a bound is refused, each for itself.
pub async fn what_cannot_come_is_refused_alone(h: &Importing) {
    let mut runs = job(h, "runs");
    runs.apply_claim(&WorkerId::new("w"), h.now(), h.now());
    let mut endless = job(h, "endless");
    endless.state = JobState::Completed;
    let mut large = job(h, "large");
    large.args = Bytes::from(vec![0; longshore_core::NewJob::MAX_ARGS_BYTES + 1]);
    let good = job(h, "good");
    let mut answers = h.import(vec![runs, endless, large, good.clone()]).await;
    assert_eq!(answers.pop().unwrap().unwrap(), Imported::Stored);
    let kinds: Vec<_> = answers
        .into_iter()
        .map(|answer| answer.unwrap_err().kind())
        .collect();
    assert_eq!(
        kinds,
        [ErrorKind::Conflict, ErrorKind::Invalid, ErrorKind::Invalid]
    );
    assert_eq!(h.row(&good.id).await, good);
    assert_eq!(h.store.queue_stats().await.unwrap()[0].available, 1);
    assert!(h.import(Vec::new()).await.is_empty());
}

/// I-5: where neither priority nor time decides, the order is that of the call, for claims and for
/// listings.
pub async fn the_order_of_the_call_stays(h: &Importing) {
    let names = ["c", "a", "d", "b", "e"];
    let mut jobs: Vec<Job> = names.iter().map(|name| job(h, name)).collect();
    jobs[3].priority = Priority::FIRST;
    jobs[4].available_at = jobs[4].available_at.before(Duration::from_secs(1));
    // One that is over stands between them.
    jobs.insert(2, job_in(h, JobState::Completed));
    h.import(jobs).await;
    let page = h.store.list(&JobFilter::default(), None, 10).await.unwrap();
    let listed: Vec<_> = page.jobs.iter().map(|job| job.id.as_str()).collect();
    assert_eq!(listed, ["e", "b", "d", "completed", "a", "c"]);
    let claimed = h.claim("q", 10).await;
    let claimed: Vec<_> = claimed.iter().map(|one| one.job.id.as_str()).collect();
    assert_eq!(claimed, ["b", "e", "c", "a", "d"]);
}
