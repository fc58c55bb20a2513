//! Attempts that are lost: whoever takes the job back writes their spans, and nobody else.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use longshore::{
    Attempt, AttemptOutcome, ErrorKind, JobError, JobRequest, JobState, RawArgs, RawResult, Store,
    StoreError, WorkerBuilder,
};
use longshore_testkit::way::{Around, Effect, Way};
use tokio::sync::Notify;
use tokio::time::sleep;

use crate::world::{World, order, succeed};

type Raw = Result<RawResult, JobError>;

/// The worker dies in the middle of an attempt; a second one takes the job back and writes the
/// spans that the first could not, with the ids that the first had given to its children.
#[tokio::test(start_paused = true)]
async fn lost_lease() {
    let world = World::new();
    let id = world.enqueue(order()).await;
    let started = std::sync::Arc::new(Notify::new());
    let told = started.clone();
    let worker = world
        .worker()
        .lease(Duration::from_secs(5))
        .fallback(move |_args: RawArgs, attempt: Attempt| {
            let told = told.clone();
            async move {
                let child = JobRequest::new("orders", "charge");
                attempt.enqueue(child).await.unwrap();
                told.notify_one();
                std::future::pending::<()>().await;
                Raw::Ok(RawResult(None))
            }
        })
        .concurrency(1)
        .build()
        .unwrap();
    let running = tokio::spawn(worker.run(std::future::pending()));
    started.notified().await;
    running.abort();
    assert!(running.await.unwrap_err().is_cancelled());
    world.drain(succeed).await;
    assert_eq!(world.job(&id).await.attempt, 2);
    world.assert_tree("lost_lease");
}

/// A prepared job whose first worker dies: the one who rescues it writes the enqueue span.
#[tokio::test(start_paused = true)]
async fn prepared_job_of_a_lost_worker() {
    let world = World::new();
    let jobs = world.producer().prepare(vec![order()]).unwrap();
    world.store.enqueue(jobs).await.unwrap();
    let started = std::sync::Arc::new(Notify::new());
    let told = started.clone();
    let worker = world
        .worker()
        .fallback(move |_args: RawArgs, _attempt: Attempt| {
            told.notify_one();
            std::future::pending::<Raw>()
        });
    let running = tokio::spawn(worker.build().unwrap().run(std::future::pending()));
    started.notified().await;
    running.abort();
    assert!(running.await.unwrap_err().is_cancelled());
    world.drain(succeed).await;
    world.assert_one_enqueue_span_each();
}

/// The way of a worker that cannot reach its store while it is cut.
#[derive(Clone, Debug, Default)]
struct Line {
    is_cut: Arc<AtomicBool>,
}

impl Line {
    fn cut(&self, is_cut: bool) {
        self.is_cut.store(is_cut, Ordering::SeqCst);
    }
}

impl Way for Line {
    async fn carry<T: Send + 'static>(
        &self,
        _method: &'static str,
        effect: Effect<'_, T>,
    ) -> Result<T, StoreError> {
        match self.is_cut.load(Ordering::SeqCst) {
            true => Err(StoreError::new(ErrorKind::Unavailable, "the line is cut")),
            false => effect.await,
        }
    }
}

/// Its outcome cannot be stored, and another worker discards the job meanwhile, since that was its
/// last attempt: what the history says of the claim is not what became of the settle.
#[tokio::test(start_paused = true)]
async fn a_settle_that_came_too_late_is_not_taken_for_one_that_worked() {
    let world = World::new();
    let line = Line::default();
    let cut = line.clone();
    let completes = move |_: RawArgs, _: Attempt| {
        cut.cut(true);
        std::future::ready(Ok::<_, JobError>(RawResult(None)))
    };
    let id = world
        .enqueue(JobRequest::new("orders", "place_order").max_attempts(1))
        .await;
    let short = |worker: WorkerBuilder| worker.lease(Duration::from_secs(1));
    let store: Arc<dyn Store> = Arc::new(Around::through(world.store.clone(), line.clone()));
    let late = short(world.worker_of(store)).id("late").fallback(completes);
    let late = late.build().unwrap();
    let seconds = |seconds| sleep(Duration::from_secs(seconds));
    let running = tokio::spawn(async move { late.run(seconds(10)).await.unwrap() });
    seconds(3).await;
    let other = short(world.worker()).id("other").drain(true);
    let other =
        other.fallback(|_: RawArgs, _: Attempt| async { Ok::<_, JobError>(RawResult(None)) });
    let rescued = other.build().unwrap().run(std::future::pending()).await;
    assert_eq!(rescued.unwrap().rescued, 1);
    line.cut(false);
    let report = running.await.unwrap();
    assert_eq!(
        (report.leases_lost, report.completed, report.discarded),
        (1, 0, 0)
    );
    let job = world.job(&id).await;
    assert_eq!(job.state, JobState::Discarded);
    assert_eq!(job.history[0].outcome, AttemptOutcome::Lost);
    let spans = world.spans.spans();
    let attempts = spans.iter().filter(|span| span.name == "job.process");
    assert_eq!(attempts.count(), 1);
}
