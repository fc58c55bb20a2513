//! Settles that are late, lost or never answered: each attempt has its spans once.

use std::time::Duration;

use longshore::{
    Attempt, ErrorKind, JobError, RawArgs, RawResult, SpanBuffer, StoreError, WorkerReport,
};
use longshore_testkit::way::{Around, Effect, Way};
use tokio::sync::Notify;
use tokio::time::sleep;

use crate::world::{World, order, succeed};

type Raw = Result<RawResult, JobError>;

/// The answer to a settle takes a second; everything else is there at once.
#[derive(Debug)]
pub(crate) struct LateSettles;

impl Way for LateSettles {
    async fn carry<T: Send + 'static>(
        &self,
        method: &'static str,
        effect: Effect<'_, T>,
    ) -> Result<T, StoreError> {
        let answer = effect.await;
        if method == "settle" {
            sleep(Duration::from_secs(1)).await;
        }
        answer
    }
}

/// The store does what a settle asks for, or does not, and its answer never arrives; nor do, if so
/// wished, those to who looks for the row.
#[derive(Debug)]
struct SilentSettles {
    arrive: bool,
    rows_are_readable: bool,
    error: ErrorKind,
}

impl Way for SilentSettles {
    async fn carry<T: Send + 'static>(
        &self,
        method: &'static str,
        effect: Effect<'_, T>,
    ) -> Result<T, StoreError> {
        match method {
            "settle" if self.arrive => drop(effect.await),
            "settle" => {}
            "get" if !self.rows_are_readable => {}
            _ => return effect.await,
        }
        Err(StoreError::new(self.error, "cut off"))
    }
}

/// A worker that cannot settle and has to stop leaves the attempt's spans to whoever rescues the
/// job, unless the row says that it was settled: each span leaves once.
#[tokio::test(start_paused = true)]
async fn an_attempt_whose_settle_was_given_up() {
    for (arrive, rows_are_readable, error) in [
        (false, false, ErrorKind::Unavailable),
        (false, true, ErrorKind::Unavailable),
        (false, true, ErrorKind::Internal),
        (true, true, ErrorKind::Unavailable),
        (true, true, ErrorKind::Internal),
    ] {
        for spans in [
            SpanBuffer::default(),
            SpanBuffer::default().keeping_failures(),
        ] {
            let world = World::with_spans(spans);
            let id = world.enqueue(order()).await;
            let way = SilentSettles {
                arrive,
                rows_are_readable,
                error,
            };
            assert_eq!(fail_once(&world, way).await.unsettled, u64::from(!arrive));
            world.drain(succeed).await;
            assert_eq!(world.job(&id).await.claim, 2);
            world.assert_one_enqueue_span_each();
            let spans = world.spans.spans();
            let count = |name| spans.iter().filter(|span| span.name == name).count();
            assert_eq!(count("job.process"), 2);
            assert_eq!(count("job.settle"), 1 + usize::from(arrive));
        }
    }
}

/// Runs one attempt, which fails, by a worker that is asked to stop meanwhile and reaches the store
/// by `way`.
async fn fail_once(world: &World, way: impl Way + 'static) -> WorkerReport {
    let mut world = world.clone();
    world.store = std::sync::Arc::new(Around::through(world.store, way));
    let started = std::sync::Arc::new(Notify::new());
    let told = started.clone();
    let worker = world.worker().lease(Duration::from_secs(5)).fallback(
        move |_args: RawArgs, _attempt: Attempt| {
            told.notify_one();
            async { Raw::Err(JobError::retry("flaky", "")) }
        },
    );
    let report = worker.build().unwrap().run(started.notified()).await;
    report.unwrap()
}

/// Settles and questions for rows are never answered.
#[derive(Debug)]
struct HungSettles;

impl Way for HungSettles {
    async fn carry<T: Send + 'static>(
        &self,
        method: &'static str,
        effect: Effect<'_, T>,
    ) -> Result<T, StoreError> {
        match method {
            "settle" | "get" => std::future::pending().await,
            _ => effect.await,
        }
    }
}

/// What is held for a settle that is never answered is let go of before the worker stops.
#[tokio::test(start_paused = true)]
async fn an_attempt_whose_settle_is_never_answered() {
    let world = World::with_spans(SpanBuffer::default().keeping_failures());
    world.enqueue(order()).await;
    assert_eq!(fail_once(&world, HungSettles).await.unsettled, 1);
    world.drain(succeed).await;
    world.assert_one_enqueue_span_each();
}

/// A job may be claimed again before its worker hears that the last attempt is settled: the new
/// attempt is heart-beaten and waited for like any other.
#[tokio::test(start_paused = true)]
async fn a_job_claimed_again_before_its_settle_is_heard_of() {
    let mut world = World::new();
    world.enqueue(order()).await;
    world.store = std::sync::Arc::new(Around::through(world.store, LateSettles));
    let worker = world
        .worker()
        .drain(true)
        .lease(Duration::from_secs(5))
        .retry(longshore::RetryPolicy::fixed(Duration::ZERO))
        .fallback(|_args: RawArgs, attempt: Attempt| async move {
            sleep(Duration::from_secs(20)).await;
            match attempt.number() {
                2 => Ok(RawResult(None)),
                _ => Raw::Err(JobError::retry("flaky", "")),
            }
        });
    let report = worker.build().unwrap().run(std::future::pending()).await;
    let report = report.unwrap();
    assert_eq!((report.completed, report.retried), (1, 1));
    assert_eq!((report.leases_lost, report.rescued), (0, 0));
}
