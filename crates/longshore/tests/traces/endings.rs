//! One tree for every way an attempt may end.

use std::time::Duration;

use longshore::{
    Attempt, ErrorKind, JobError, JobRequest, JobState, RawArgs, RawResult, SpanBuffer, StoreError,
    WorkerReport,
};
use longshore_testkit::SeededRandom;
use longshore_testkit::faulty::{Faults, FaultyStore};
use longshore_testkit::way::{Around, Effect, Way};
use tokio::sync::Notify;
use tokio::time::sleep;

use crate::world::World;

type Raw = Result<RawResult, JobError>;

async fn succeed(_args: RawArgs, _attempt: Attempt) -> Raw {
    sleep(Duration::from_millis(5)).await;
    Ok(RawResult(None))
}

fn order() -> JobRequest {
    JobRequest::new("orders", "place_order").args(&7)
}

#[tokio::test(start_paused = true)]
async fn submit() {
    let world = World::new();
    world.enqueue(order()).await;
    world.assert_tree("submit");
}

#[tokio::test(start_paused = true)]
async fn queue_full() {
    let world = World::new();
    world.limit(r#"{"length":2}"#).await;
    let orders = (0..3).map(|_| order()).collect();
    let answers = world.producer().enqueue_many(orders).await.unwrap();
    assert_eq!(answers.iter().filter(|answer| answer.is_err()).count(), 1);
    world.assert_tree("queue_full");
}

#[tokio::test(start_paused = true)]
async fn rate_limited() {
    let world = World::new();
    let rate = r#"{"enqueue_rate":{"count":1,"period_ms":1000,"burst":1}}"#;
    world.limit(rate).await;
    world.enqueue(order()).await;
    let refused = world.producer().enqueue(order()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Limited);
    world.assert_tree("rate_limited");
}

/// A limit shows in nothing but the time at which jobs start; one that is handed back leaves no
/// span.
#[tokio::test(start_paused = true)]
async fn limited() {
    let world = World::new();
    world.limit(r#"{"concurrency":1}"#).await;
    world.enqueue(order()).await;
    world.enqueue(order()).await;
    world.drain(succeed).await;
    world.assert_tree("limited");
}

#[tokio::test(start_paused = true)]
async fn success() {
    let world = World::new();
    world.enqueue(order()).await;
    world.drain(succeed).await;
    world.assert_tree("success");
}

#[tokio::test(start_paused = true)]
async fn retry() {
    let world = World::new();
    let id = world.enqueue(order()).await;
    world
        .drain(|_args: RawArgs, attempt: Attempt| async move {
            sleep(Duration::from_millis(5)).await;
            match attempt.number() {
                3 => Ok(RawResult(None)),
                _ => Err(JobError::retry(
                    "payment_timeout",
                    "the card 4111 did not answer",
                )),
            }
        })
        .await;
    assert_eq!(world.job(&id).await.attempt, 3);
    world.assert_tree("retry");
}

#[tokio::test(start_paused = true)]
async fn discard() {
    let world = World::new();
    world.enqueue(order().max_attempts(2)).await;
    world
        .drain(|_args: RawArgs, _attempt: Attempt| async move {
            Raw::Err(JobError::retry("broken", "always"))
        })
        .await;
    world.assert_tree("discard");
}

#[tokio::test(start_paused = true)]
async fn panic() {
    let world = World::new();
    world.enqueue(order().max_attempts(1)).await;
    world
        .drain(|_args: RawArgs, attempt: Attempt| async move {
            sleep(Duration::from_millis(1)).await;
            assert_eq!(attempt.number(), 0, "boom");
            Raw::Ok(RawResult(None))
        })
        .await;
    world.assert_tree("panic");
}

#[tokio::test(start_paused = true)]
async fn timeout() {
    let world = World::new();
    world
        .enqueue(order().max_attempts(1).timeout(Duration::from_secs(1)))
        .await;
    world
        .drain(|_args: RawArgs, _attempt: Attempt| async move {
            std::future::pending::<()>().await;
            Raw::Ok(RawResult(None))
        })
        .await;
    world.assert_tree("timeout");
}

#[tokio::test(start_paused = true)]
async fn cancel_while_running() {
    let world = World::new();
    let id = world.enqueue(order()).await;
    let store = world.store.clone();
    world
        .drain(move |_args: RawArgs, attempt: Attempt| {
            let store = store.clone();
            async move {
                let id = attempt.job().id.clone();
                store.cancel(&[id]).await.unwrap();
                attempt.cancelled().await;
                Raw::Err(JobError::cancel("as asked"))
            }
        })
        .await;
    assert_eq!(world.job(&id).await.state, JobState::Cancelled);
    world.assert_tree("cancel");
}

/// What waits for something is retried without an error, until its attempts are used up.
#[tokio::test(start_paused = true)]
async fn not_yet() {
    let world = World::new();
    let id = world.enqueue(order().max_attempts(2)).await;
    world
        .drain(|_args: RawArgs, _attempt: Attempt| async move {
            sleep(Duration::from_millis(5)).await;
            Raw::Err(JobError::not_yet("stock_missing", "shelf 4111 is empty"))
        })
        .await;
    let job = world.job(&id).await;
    assert_eq!((job.state, job.attempt), (JobState::Discarded, 2));
    let waits = job.history[1].due_at.since(job.history[0].ended_at);
    assert!(waits >= Duration::from_millis(500), "it backs off");
    world.assert_tree("not_yet");
}

#[tokio::test(start_paused = true)]
async fn snooze() {
    let world = World::new();
    let id = world.enqueue(order()).await;
    world
        .drain(|_args: RawArgs, attempt: Attempt| async move {
            match attempt.job().claim {
                1 => Err(JobError::snooze(Duration::from_secs(30))),
                _ => Ok(RawResult(None)),
            }
        })
        .await;
    let job = world.job(&id).await;
    assert_eq!((job.attempt, job.claim), (1, 2));
    world.assert_tree("snooze");
}

#[tokio::test(start_paused = true)]
async fn hand_back() {
    let world = World::new();
    let id = world.enqueue(order()).await;
    let started = std::sync::Arc::new(Notify::new());
    let told = started.clone();
    let worker = world
        .worker()
        .shutdown_grace(Duration::from_secs(1))
        .fallback(move |_args: RawArgs, attempt: Attempt| {
            let told = told.clone();
            async move {
                told.notify_one();
                attempt.cancelled().await;
                Raw::Err(JobError::retry("interrupted", "stopped half-way"))
            }
        })
        .build()
        .unwrap();
    let report = worker.run(started.notified()).await.unwrap();
    assert_eq!(report.handed_back, 1);
    let job = world.job(&id).await;
    assert_eq!((job.state, job.attempt), (JobState::Available, 0));
    world.drain(succeed).await;
    world.assert_tree("hand_back");
}

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

#[tokio::test(start_paused = true)]
async fn child_job() {
    let world = World::new();
    world.enqueue(order().tenant_id("acme")).await;
    world
        .drain(|_args: RawArgs, attempt: Attempt| async move {
            if attempt.job().kind.as_str() == "place_order" {
                let charge = JobRequest::new("orders", "charge");
                attempt.enqueue(charge).await?;
                attempt.enqueue_on_success(JobRequest::new("orders", "receipt"))?;
            }
            sleep(Duration::from_millis(5)).await;
            assert_eq!(attempt.job().tenant_id.as_deref(), Some("acme"));
            Raw::Ok(RawResult(None))
        })
        .await;
    world.assert_tree("child_job");
}

/// Jobs for the caller's own transaction: whoever runs one first writes its enqueue span, once.
#[tokio::test(start_paused = true)]
async fn prepared_jobs() {
    let world = World::new();
    let caller = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let requests = vec![order().traceparent(caller, "", ""), order()];
    let jobs = world.producer().prepare(requests).unwrap();
    let stub = jobs[0].trace.enqueue_stub.as_ref().unwrap();
    assert!(serde_json::to_string(stub).unwrap().len() <= 160);
    world.store.enqueue(jobs).await.unwrap();
    assert_eq!(world.spans.spans(), [], "who prepares exports nothing");
    world
        .drain(|_args: RawArgs, attempt: Attempt| async move {
            match attempt.number() {
                1 => Err(JobError::retry("flaky", "")),
                _ => Ok(RawResult(None)),
            }
        })
        .await;
    world.assert_tree("prepared_jobs");
    world.assert_one_enqueue_span_each();
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

/// The answer to a settle takes a second; everything else is there at once.
#[derive(Debug)]
struct LateSettles;

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

/// However calls fail and settles are sent again: every job has its enqueue span, and no call that
/// enqueues an id again has the ids of another.
#[tokio::test(start_paused = true)]
async fn every_job_has_one_enqueue_span() {
    let mut world = World::new();
    for _ in 0..20 {
        world.enqueue(order()).await;
    }
    let faults = Faults {
        refused_percent: 10,
        lost_answer_percent: 20,
        repeated_settle_percent: 10,
        latency_max: Duration::from_millis(20),
    };
    let random = std::sync::Arc::new(SeededRandom::new(3));
    world.store = std::sync::Arc::new(FaultyStore::new(world.store, random, faults));
    world
        .drain(|_args: RawArgs, attempt: Attempt| async move {
            if attempt.job().kind.as_str() == "place_order" {
                let receipt = JobRequest::new("orders", "receipt");
                attempt.enqueue_on_success(receipt.clone())?;
                attempt.enqueue_on_success(receipt.clone().id("the-one"))?;
                attempt.enqueue(receipt.id("the-other")).await?;
            }
            Raw::Ok(RawResult(None))
        })
        .await;
    world.assert_one_enqueue_span_each();
}

#[tokio::test(start_paused = true)]
async fn delayed_job() {
    let world = World::new();
    world.enqueue(order().delay(Duration::from_secs(60))).await;
    world.drain(succeed).await;
    world.assert_tree("delayed_job");
}

#[tokio::test(start_paused = true)]
async fn batch() {
    let world = World::new();
    let requests = (0..3).map(|_| order()).collect();
    let answers = world.producer().enqueue_many(requests).await.unwrap();
    assert!(answers.iter().all(Result::is_ok));
    world.drain(succeed).await;
    world.assert_tree("batch");
}

/// Args that no handler can read fail for good, with a class that says so and no stack overflow.
#[tokio::test(start_paused = true)]
async fn hostile_args() {
    let deep = "[".repeat(1_000_000);
    for args in [deep.as_bytes(), b"\xff\xfe", b"", b"{\"a\":1}"] {
        let world = World::new();
        let request = JobRequest::new("orders", "place_order").raw_args(args.to_vec());
        let id = world.enqueue(request).await;
        world
            .drain(|_args: Vec<u32>, _attempt: Attempt| async { Ok::<(), JobError>(()) })
            .await;
        let job = world.job(&id).await;
        assert_eq!(job.state, JobState::Discarded);
        assert_eq!(job.args, args);
        let error = job.history[0].error.clone().unwrap();
        assert_eq!(error.class, "invalid_args");
        world.assert_tree("hostile_args");
    }
}
