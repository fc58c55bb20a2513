//! Jobs that no sampler chose, and whose trace leaves all the same.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use longshore::{
    Attempt, JobError, JobRequest, Producer, RawArgs, RawResult, Relation, SpanBuffer,
};
use longshore_core::{SpanContext, WorkerId};
use longshore_instrument::{
    HandlerScope, HandlerStart, Keeper, PropagationFailure, Recorder, RootDecision, RootRequest,
    Span,
};
use tokio::time::sleep;

use crate::world::World;

/// More than the greatest randomness: nothing is sampled.
const NOTHING: u64 = 1 << 56;

fn unsampled() -> World {
    World::with_spans(
        SpanBuffer::default()
            .with_threshold(NOTHING)
            .keeping_failures(),
    )
}

fn order() -> JobRequest {
    JobRequest::new("orders", "place_order").args(&7)
}

/// Snoozes once, fails once, then succeeds.
async fn third_time(_args: RawArgs, attempt: Attempt) -> Result<RawResult, JobError> {
    sleep(Duration::from_millis(5)).await;
    match attempt.job().claim {
        1 => Err(JobError::snooze(Duration::from_secs(30))),
        2 => Err(JobError::retry("bank_error", "no answer")),
        _ => Ok(RawResult(None)),
    }
}

#[tokio::test(start_paused = true)]
async fn a_job_that_succeeds_leaves_nothing() {
    let world = unsampled();
    let id = world.enqueue(order()).await;
    world
        .drain(|_args: RawArgs, _attempt: Attempt| async { Ok::<_, JobError>(RawResult(None)) })
        .await;
    assert_eq!(world.spans.spans(), []);
    assert_eq!(world.job(&id).await.trace.keep, None);
}

#[tokio::test(start_paused = true)]
async fn a_failure_leaves_with_all_before_it_and_after() {
    for relation in [Relation::Parent, Relation::Link] {
        let world = unsampled();
        let id = world.enqueue(order().relation(relation)).await;
        world.drain(third_time).await;
        world.assert_tree(&format!("kept_{relation}"));
        let keep = world.job(&id).await.trace.keep.unwrap();
        assert_eq!(keep.reason, "error");
    }
}

#[tokio::test(start_paused = true)]
async fn every_span_of_a_kept_job_says_that_it_is_certain() {
    let world = unsampled();
    world.enqueue(order()).await;
    world.drain(third_time).await;
    let spans = world.spans.spans();
    assert!(!spans.is_empty());
    for span in spans {
        assert_eq!(span.trace_state.get("ot"), Some("th:0"), "{}", span.name);
        assert!(span.flags.is_sampled(), "{}", span.name);
    }
}

#[tokio::test(start_paused = true)]
async fn no_span_of_a_kept_job_leaves_twice() {
    let world = unsampled();
    world.enqueue(order()).await;
    world.drain(third_time).await;
    let mut ids: Vec<_> = world
        .spans
        .spans()
        .iter()
        .map(|span| span.span_id)
        .collect();
    let all = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), all);
}

#[tokio::test(start_paused = true)]
async fn a_job_whose_worker_vanished_is_kept() {
    let world = unsampled();
    let id = world.enqueue(order()).await;
    let worker = world
        .worker()
        .lease(Duration::from_secs(5))
        .fallback(|_args: RawArgs, attempt: Attempt| async move {
            if attempt.job().claim == 1 {
                return Err(JobError::snooze(Duration::from_secs(1)));
            }
            std::future::pending::<()>().await;
            Ok(RawResult(None))
        })
        .build()
        .unwrap();
    let vanished = tokio::time::timeout(Duration::from_secs(3), worker.run(std::future::pending()));
    assert!(vanished.await.is_err());
    world
        .drain(|_args: RawArgs, _attempt: Attempt| async { Ok::<_, JobError>(RawResult(None)) })
        .await;
    assert_eq!(
        world.job(&id).await.trace.keep.unwrap().reason,
        "lease_expired"
    );
    world.assert_tree("kept_lost_lease");
}

/// Counts how often the sampler is asked, how often contexts are missed, and how often it is said
/// which attempts run.
#[derive(Debug, Default)]
struct Asked {
    spans: SpanBuffer,
    about_roots: AtomicU64,
    running: Mutex<Vec<usize>>,
}

impl Recorder for Asked {
    fn decide_root(&self, request: &RootRequest<'_>) -> RootDecision {
        self.about_roots.fetch_add(1, Ordering::Relaxed);
        self.spans.decide_root(request)
    }

    fn recall_root(&self, request: &RootRequest<'_>) -> RootDecision {
        self.spans.decide_root(request)
    }

    fn current(&self) -> Option<SpanContext> {
        self.spans.current()
    }

    fn current_baggage(&self) -> String {
        self.spans.current_baggage()
    }

    fn baggage_keys(&self) -> &[String] {
        self.spans.baggage_keys()
    }

    fn service_name(&self) -> &str {
        self.spans.service_name()
    }

    fn record(&self, spans: Vec<Span>) {
        self.spans.record(spans);
    }

    fn open_handler(&self, start: HandlerStart) -> Option<Box<dyn HandlerScope>> {
        self.spans.open_handler(start)
    }

    fn keeper(&self) -> Option<&dyn Keeper> {
        self.spans.keeper()
    }

    fn propagation_failed(&self, failure: PropagationFailure) {
        self.spans.propagation_failed(failure);
    }

    fn watches(&self) -> bool {
        true
    }

    fn running(&self, _worker: &WorkerId, spans: Vec<Span>) {
        self.running.lock().unwrap().push(spans.len());
    }
}

/// Attempts that run on and on are said to run once, however long nothing changes.
#[tokio::test(start_paused = true)]
async fn what_runs_is_said_when_it_changes() {
    let world = World::new();
    let recorder = Arc::new(Asked::default());
    for seconds in [10, 60] {
        world.enqueue(order().args(&seconds)).await;
    }
    let takes_long = |args: RawArgs, _attempt: Attempt| async move {
        let seconds = std::str::from_utf8(&args.0).unwrap().parse().unwrap();
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        Ok::<_, JobError>(RawResult(None))
    };
    let worker = world.worker().recorder(recorder.clone()).drain(true);
    let worker = worker.fallback(takes_long).build().unwrap();
    worker.run(std::future::pending()).await.unwrap();
    let said = recorder.running.lock().unwrap().clone();
    assert_eq!(said, [0, 4, 2, 0], "at first, both, one, at last");
}

/// A job that came without a context begins a trace with each attempt. The sampler decides once
/// about each, also if the spans of some are made later, or by whoever rescues the job: it counts
/// what it decides.
#[tokio::test(start_paused = true)]
async fn the_sampler_decides_once_about_each_attempt_without_a_context() {
    let world = unsampled();
    let recorder = Arc::new(Asked {
        spans: SpanBuffer::default()
            .with_threshold(NOTHING)
            .keeping_failures(),
        ..Asked::default()
    });
    let untraced = Producer::new(world.store.clone());
    untraced.enqueue(order()).await.unwrap();
    let worker = || {
        let worker = world.worker().lease(Duration::from_secs(5));
        worker.recorder(recorder.clone())
    };
    let hangs_the_second_time = |_args: RawArgs, attempt: Attempt| async move {
        if attempt.job().claim == 1 {
            return Err(JobError::snooze(Duration::from_secs(1)));
        }
        std::future::pending::<()>().await;
        Ok(RawResult(None))
    };
    let vanishes = worker().fallback(hangs_the_second_time).build().unwrap();
    let vanished =
        tokio::time::timeout(Duration::from_secs(3), vanishes.run(std::future::pending()));
    assert!(vanished.await.is_err());
    let rescuer = worker().drain(true).fallback(third_time).build().unwrap();
    rescuer.run(std::future::pending()).await.unwrap();
    assert_eq!(recorder.about_roots.load(Ordering::Relaxed), 3);
    let missed = recorder.spans.propagation_failures();
    assert_eq!(missed[&("extract", "missing")], 3);
    let spans = recorder.spans.spans();
    let attempts = spans.iter().filter(|span| span.name == "job.process");
    assert_eq!(attempts.count(), 3, "with all of its past");
}
