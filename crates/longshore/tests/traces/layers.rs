//! Layers around handlers: `tower`'s own, and some that misbehave.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use longshore::{
    Attempt, AttemptOutcome, AttemptRecord, HandlerCall, HandlerService, Job, JobError, JobRequest,
    JobState, RawArgs, RawResult,
};
use tokio::time::sleep;
use tower::limit::ConcurrencyLimitLayer;
use tower::timeout::TimeoutLayer;
use tower_layer::layer_fn;
use tower_service::Service;

use crate::world::World;

type Raw = Result<RawResult, JobError>;
type Answer = Pin<Box<dyn Future<Output = Raw> + Send>>;

async fn echo(args: RawArgs, _attempt: Attempt) -> Raw {
    Ok(RawResult(Some(args.0)))
}

async fn sleepy(_args: RawArgs, _attempt: Attempt) -> Raw {
    sleep(Duration::from_secs(20)).await;
    Ok(RawResult(None))
}

fn order() -> JobRequest {
    JobRequest::new("orders", "place_order").args(&7)
}

/// Runs one job that has one attempt.
async fn only_attempt(world: &World, worker: longshore::WorkerBuilder) -> (Job, AttemptRecord) {
    let id = world.enqueue(order().max_attempts(1)).await;
    let worker = worker.drain(true).build().unwrap();
    worker.run(std::future::pending()).await.unwrap();
    let job = world.job(&id).await;
    let attempt = job.last_attempt().unwrap().clone();
    (job, attempt)
}

fn class(attempt: &AttemptRecord) -> &str {
    attempt.error.as_ref().map_or("", |error| &error.class)
}

/// Adds its name to the args on the way in, and to the result on the way out.
#[derive(Clone)]
struct Signed(HandlerService, &'static str);

impl Service<HandlerCall> for Signed {
    type Response = RawResult;
    type Error = JobError;
    type Future = Answer;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), JobError>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, call: HandlerCall) -> Answer {
        let signed = |bytes: &[u8], name: &str| [bytes, name.as_bytes()].concat();
        let args = signed(call.args(), self.1);
        let answer = self.0.call(call.with_args(args));
        let name = self.1;
        Box::pin(async move {
            let result = answer.await?.0.unwrap_or_default();
            Ok(RawResult(Some(signed(&result, name).into())))
        })
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_layer_is_the_outermost_and_layers_see_args_and_result() {
    let world = World::new();
    let worker = world
        .worker()
        .handler("place_order", echo)
        .layer(layer_fn(|inner| Signed(inner, "<a>")))
        .layer(layer_fn(|inner| Signed(inner, "<b>")));
    let (job, _) = only_attempt(&world, worker).await;
    assert_eq!(job.result.as_deref(), Some(&b"7<a><b><b><a>"[..]));
    assert_eq!(&*job.args, b"7");
}

#[tokio::test(start_paused = true)]
async fn a_timeout_of_tower_is_a_failed_attempt() {
    let world = World::new();
    let layer = TimeoutLayer::new(Duration::from_secs(2));
    let worker = world.worker().fallback(sleepy).layer(layer);
    let (job, attempt) = only_attempt(&world, worker).await;
    assert_eq!(job.state, JobState::Discarded);
    assert_eq!(class(&attempt), "layer_error");
    assert_eq!(attempt.error.unwrap().message, "request timed out");
    world.assert_tree("layer_timeout");
}

#[tokio::test(start_paused = true)]
async fn what_a_handler_says_passes_through_boxed_errors() {
    let world = World::new();
    let layer = || TimeoutLayer::new(Duration::from_secs(2));
    let worker = world
        .worker()
        .fallback(|_args: RawArgs, _attempt: Attempt| async {
            Raw::Err(JobError::cancel("nobody needs it"))
        })
        .layer(layer())
        .layer(layer());
    let (job, attempt) = only_attempt(&world, worker).await;
    assert_eq!(job.state, JobState::Cancelled);
    assert_eq!(attempt.outcome, AttemptOutcome::Cancelled);
    assert_eq!(attempt.error.unwrap().message, "nobody needs it");
}

#[tokio::test(start_paused = true)]
async fn a_concurrency_limit_of_tower_is_one_of_the_worker() {
    let world = World::new();
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let seen = Arc::clone(&most);
    let handler = move |_args: RawArgs, _attempt: Attempt| {
        let (running, most) = (Arc::clone(&running), Arc::clone(&most));
        async move {
            let now = running.fetch_add(1, Ordering::Relaxed) + 1;
            most.fetch_max(now, Ordering::Relaxed);
            sleep(Duration::from_millis(10)).await;
            running.fetch_sub(1, Ordering::Relaxed);
            Raw::Ok(RawResult(None))
        }
    };
    for number in 0..12 {
        let kind = format!("kind-{}", number % 3);
        world.enqueue(JobRequest::new("orders", kind)).await;
    }
    let worker = world
        .worker()
        .concurrency(8)
        .handler("kind-0", handler.clone())
        .handler("kind-1", handler.clone())
        .fallback(handler)
        .layer(ConcurrencyLimitLayer::new(2))
        .drain(true);
    let worker = worker.build().unwrap();
    let report = worker.run(std::future::pending()).await.unwrap();
    assert_eq!(report.completed, 12);
    assert_eq!(seen.load(Ordering::Relaxed), 2);
}

/// Where a layer panics.
#[derive(Clone, Copy, Debug, PartialEq)]
enum At {
    Clone,
    Ready,
    Call,
    Answer,
    Drop,
}

struct Panicking(HandlerService, At);

impl Panicking {
    fn pass(&self, place: At) {
        assert!(self.1 != place, "the layer broke at {place:?}");
    }
}

impl Clone for Panicking {
    fn clone(&self) -> Self {
        self.pass(At::Clone);
        Self(self.0.clone(), self.1)
    }
}

impl Service<HandlerCall> for Panicking {
    type Response = RawResult;
    type Error = JobError;
    type Future = Answer;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), JobError>> {
        self.pass(At::Ready);
        self.0.poll_ready(context)
    }

    fn call(&mut self, call: HandlerCall) -> Answer {
        self.pass(At::Call);
        let own = Self(self.0.clone(), self.1);
        let answer = self.0.call(call);
        Box::pin(async move {
            own.pass(At::Answer);
            let answer = answer.await;
            own.pass(At::Drop);
            answer
        })
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_a_layer_is_a_failed_attempt_and_the_worker_goes_on() {
    for place in [At::Clone, At::Ready, At::Call, At::Answer, At::Drop] {
        let world = World::new();
        let worker = world
            .worker()
            .concurrency(1)
            .fallback(echo)
            .layer(layer_fn(move |inner| Panicking(inner, place)));
        world.enqueue(order().max_attempts(1)).await;
        let (job, attempt) = only_attempt(&world, worker).await;
        assert_eq!(job.state, JobState::Discarded, "{place:?}");
        assert_eq!(class(&attempt), "panic", "{place:?}");
        let message = attempt.error.unwrap().message;
        assert_eq!(message, format!("the layer broke at {place:?}"));
    }
}

/// Hands the call on until it is answered well.
#[derive(Clone)]
struct Insisting(HandlerService);

impl Service<HandlerCall> for Insisting {
    type Response = RawResult;
    type Error = TooOften;
    type Future = Pin<Box<dyn Future<Output = Result<RawResult, TooOften>> + Send>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), TooOften>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: HandlerCall) -> Self::Future {
        let mut inner = self.0.clone();
        Box::pin(async move {
            for _ in 0..3 {
                std::future::poll_fn(|context| inner.poll_ready(context))
                    .await
                    .map_err(|_broken| TooOften)?;
                if let Ok(result) = inner.call(call.clone()).await {
                    return Ok(result);
                }
            }
            Err(TooOften)
        })
    }
}

#[derive(Debug)]
struct TooOften;

impl std::fmt::Display for TooOften {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("three times in vain")
    }
}

impl std::error::Error for TooOften {}

#[tokio::test(start_paused = true)]
async fn a_layer_may_call_again_and_its_own_error_has_its_own_class() {
    let calls = Arc::new(Mutex::new(Vec::new()));
    for (works_at, class_of_end) in [(2, ""), (9, "TooOften")] {
        let world = World::new();
        calls.lock().unwrap().clear();
        let seen = Arc::clone(&calls);
        let handler = move |_args: RawArgs, attempt: Attempt| {
            let mut calls = seen.lock().unwrap();
            calls.push(attempt.number());
            let answer = match calls.len() >= works_at {
                true => Ok(RawResult(None)),
                false => Err(JobError::retry("not_now", "later")),
            };
            async move { answer }
        };
        let worker = world.worker().fallback(handler).layer(layer_fn(Insisting));
        let (_, attempt) = only_attempt(&world, worker).await;
        assert_eq!(class(&attempt), class_of_end);
        let calls = calls.lock().unwrap();
        assert_eq!(*calls, vec![1; works_at.min(3)]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_kind_without_a_handler_passes_no_layer() {
    let world = World::new();
    let worker = world
        .worker()
        .handler("other", echo)
        .layer(layer_fn(|inner| Panicking(inner, At::Call)));
    let (_, attempt) = only_attempt(&world, worker).await;
    assert_eq!(class(&attempt), "unknown_kind");
}
