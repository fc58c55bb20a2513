//! What the engine measures of every job, sampled or not.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use longshore::{Attempt, JobError, JobRequest, RawArgs, RawResult, SpanBuffer};
use longshore_core::{ErrorKind, SpanContext, StoreError};
use longshore_instrument::{
    Example, HandlerScope, HandlerStart, Measured, PropagationFailure, Recorder, RootDecision,
    RootRequest, Span,
};
use longshore_testkit::way::{Around, Effect, Way};
use tokio::sync::Notify;
use tokio::time::sleep;

use crate::world::World;

type Raw = Result<RawResult, JobError>;

/// Notes every measurement as a line, and takes nothing else.
#[derive(Debug, Default)]
struct Notes {
    lines: Mutex<Vec<String>>,
    looks_away: bool,
}

impl Notes {
    /// The lines that begin with a word, and which no earlier call gave.
    fn take(&self, word: &str) -> Vec<String> {
        let mut lines = self.lines.lock().unwrap();
        let begins = |line: &mut String| line.split(' ').next() == Some(word);
        lines.extract_if(.., begins).collect()
    }
}

impl Recorder for Notes {
    fn measures(&self) -> bool {
        !self.looks_away
    }

    fn measure(&self, measured: &Measured<'_>) {
        assert!(!self.looks_away);
        self.lines.lock().unwrap().push(line(measured));
    }

    fn decide_root(&self, _request: &RootRequest<'_>) -> RootDecision {
        unreachable!("what measures is asked for nothing else")
    }

    fn current(&self) -> Option<SpanContext> {
        unreachable!("what measures is asked for nothing else")
    }

    fn current_baggage(&self) -> String {
        unreachable!("what measures is asked for nothing else")
    }

    fn baggage_keys(&self) -> &[String] {
        unreachable!("what measures is asked for nothing else")
    }

    fn service_name(&self) -> &str {
        unreachable!("what measures is asked for nothing else")
    }

    fn record(&self, _spans: Vec<Span>) {
        unreachable!("what measures is asked for nothing else")
    }

    fn open_handler(&self, _start: HandlerStart) -> Option<Box<dyn HandlerScope>> {
        unreachable!("what measures is asked for nothing else")
    }

    fn propagation_failed(&self, _failure: PropagationFailure) {
        unreachable!("what measures is asked for nothing else")
    }
}

fn line(measured: &Measured<'_>) -> String {
    let or_fine = |class: &Option<&str>| class.unwrap_or("fine").to_owned();
    let example = |example: &Option<Example<'_>>| match example {
        Some(example) if example.context.flags.is_sampled() => " sampled",
        _ => "",
    };
    match measured {
        Measured::Sent {
            queue,
            kind,
            jobs,
            error_class,
            example: seen,
        } => {
            let (class, seen) = (or_fine(error_class), example(seen));
            format!("sent {queue} {kind} {jobs} {class}{seen}")
        }
        Measured::Operation {
            operation,
            queue,
            took,
            error_class,
            example: seen,
        } => {
            let queue = queue.map_or("-", |queue| queue.as_str());
            let (class, seen) = (or_fine(error_class), example(seen));
            format!("{} {queue} {took:?} {class}{seen}", operation.as_str())
        }
        Measured::Store {
            call, error_class, ..
        } => format!("store {} {}", call.as_str(), or_fine(error_class)),
        Measured::Received { queue, jobs } => format!("received {queue} {jobs}"),
        Measured::Attempt {
            queue,
            kind,
            outcome,
            error_class,
            wait,
            run,
            example: seen,
        } => {
            let (class, seen) = (or_fine(error_class), example(seen));
            let outcome = outcome.as_str();
            format!("attempt {queue} {kind} {outcome} {class} waited {wait:?} ran {run:?}{seen}")
        }
        Measured::LeaseLost { queue } => format!("lost {queue}"),
        Measured::HookMissed { reason, changes } => {
            format!("hook {} {changes}", reason.as_str())
        }
        Measured::OverLimit { queue, jobs } => format!("over_limit {queue} {jobs}"),
        Measured::Refused {
            queue,
            reason,
            jobs,
        } => format!("refused {queue} {reason} {jobs}"),
        Measured::Permits { in_force, held, .. } => format!("permits {in_force} {held:?}"),
        Measured::Rescued {
            queue,
            kind,
            error_class,
            example: seen,
        } => format!("rescued {queue} {kind} {error_class}{}", example(seen)),
        Measured::Requests(counts) => format!("requests {}", counts.system()),
        Measured::Queues(stats) => {
            let queues = stats.iter();
            let told = queues.map(|stats| format!(" {} {}", stats.queue, stats.unfinished()));
            format!("queues{}", told.collect::<String>())
        }
        Measured::Foreign { system, measured } => format!("{system} {}", self::line(measured)),
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_is_measured_by_queue_kind_and_answer() {
    let world = World::new();
    let notes = Arc::new(Notes::default());
    let producer = world.producer().with_meters(notes.clone());
    let unique = |args: u32| {
        let request = JobRequest::new("bills", "send");
        request.args(&args).unique_key("one")
    };
    let requests = vec![
        JobRequest::new("orders", "ship"),
        JobRequest::new("orders", "ship"),
        unique(1),
        unique(2),
        JobRequest::new("orders", "ship"),
    ];
    producer.enqueue_many(requests).await.unwrap();
    assert_eq!(
        notes.take("sent"),
        [
            "sent orders ship 2 fine sampled",
            "sent bills send 1 conflict sampled",
            "sent bills send 1 fine sampled",
            "sent orders ship 1 fine sampled",
        ]
    );
    assert_eq!(notes.take("enqueue"), ["enqueue - 0ns conflict sampled"]);
    assert_eq!(
        notes.take("store"),
        ["store mint fine", "store enqueue fine"]
    );

    producer
        .enqueue(JobRequest::new("orders", "ship"))
        .await
        .unwrap();
    assert_eq!(notes.take("enqueue"), ["enqueue orders 0ns fine sampled"]);
}

async fn fail_once(_args: RawArgs, attempt: Attempt) -> Raw {
    sleep(Duration::from_millis(300)).await;
    if attempt.job().kind.as_str() == "flaky" && attempt.number() == 1 {
        return Err(JobError::retry("bank_timeout", "try again"));
    }
    if attempt.job().kind.as_str() == "place" {
        attempt.enqueue_on_success(JobRequest::new("orders", "receipt"))?;
    }
    Raw::Ok(RawResult(None))
}

#[tokio::test(start_paused = true)]
async fn every_attempt_is_measured_and_only_kept_ones_are_examples() {
    let world = World::with_spans(
        SpanBuffer::new(1000)
            .with_threshold(1 << 56)
            .keeping_failures(),
    );
    let notes = Arc::new(Notes::default());
    for kind in ["place", "flaky"] {
        world.enqueue(JobRequest::new("orders", kind)).await;
    }
    sleep(Duration::from_secs(2)).await;
    let worker = world.worker().meters(notes.clone()).drain(true);
    let worker = worker.concurrency(4).fallback(fail_once).build().unwrap();
    worker.run(std::future::pending()).await.unwrap();

    let attempts = notes.take("attempt");
    let starts = |start: &str| {
        attempts
            .iter()
            .filter(|line| line.starts_with(start))
            .count()
    };
    assert_eq!(attempts.len(), 4, "{attempts:?}");
    assert_eq!(
        starts("attempt orders place completed fine waited 2s ran 300ms"),
        1
    );
    let failed = "attempt orders flaky retried bank_timeout waited 2s ran 300ms sampled";
    assert_eq!(starts(failed), 1, "{attempts:?}");
    assert_eq!(starts("attempt orders flaky completed fine waited "), 1);
    assert_eq!(starts("attempt orders receipt completed fine"), 1);
    let kept = attempts.iter().filter(|line| line.ends_with("sampled"));
    assert_eq!(
        kept.count(),
        2,
        "the attempt that failed and the one after it: {attempts:?}"
    );
    assert_eq!(
        notes.take("sent"),
        ["sent orders receipt 1 fine"],
        "the child"
    );
    let received = notes.take("received");
    let received = received
        .iter()
        .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok());
    assert_eq!(received.sum::<u64>(), 4);
    let settles = notes.take("settle");
    assert!(
        settles.iter().any(|line| line.ends_with("fine sampled")),
        "{settles:?}"
    );
    assert!(!notes.take("claim").is_empty());
    let calls = notes.take("store");
    for call in [
        "mint",
        "claim",
        "settle",
        "promote",
        "rescue",
        "queue_stats",
    ] {
        assert!(
            calls.contains(&format!("store {call} fine")),
            "{call}: {calls:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn the_job_of_a_worker_that_vanished_is_measured() {
    let world = World::new();
    let notes = Arc::new(Notes::default());
    world.enqueue(JobRequest::new("orders", "ship")).await;
    let started = Arc::new(Notify::new());
    let told = started.clone();
    let vanishing = world.worker().lease(Duration::from_secs(5)).concurrency(1);
    let vanishing = vanishing.fallback(move |_args: RawArgs, _attempt: Attempt| {
        told.notify_one();
        std::future::pending::<Raw>()
    });
    let running = tokio::spawn(vanishing.build().unwrap().run(std::future::pending()));
    started.notified().await;
    running.abort();
    let worker = world.worker().meters(notes.clone()).drain(true);
    let worker = worker.fallback(fail_once).build().unwrap();
    worker.run(std::future::pending()).await.unwrap();
    let rescued = notes.take("rescued");
    assert_eq!(rescued, ["rescued orders ship lease_expired sampled"]);
    assert_eq!(notes.take("lost"), [""; 0]);
}

/// A way on which no heartbeat arrives.
#[derive(Debug)]
struct Unheard;

impl Way for Unheard {
    async fn carry<T: Send + 'static>(
        &self,
        method: &'static str,
        effect: Effect<'_, T>,
    ) -> Result<T, StoreError> {
        if method == "heartbeat" {
            let kind = ErrorKind::Unavailable;
            return Err(StoreError::new(kind, "the line is cut"));
        }
        effect.await
    }
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_lost_its_lease_is_measured_and_its_attempt_is_not() {
    let mut world = World::new();
    world.store = Arc::new(Around::through(world.store.clone(), Unheard));
    let notes = Arc::new(Notes::default());
    world.enqueue(JobRequest::new("orders", "ship")).await;
    let worker = world.worker().meters(notes.clone()).drain(true);
    let worker = worker.lease(Duration::from_secs(5)).concurrency(2);
    let worker = worker.fallback(|_args: RawArgs, attempt: Attempt| async move {
        if attempt.job().claim == 1 {
            sleep(Duration::from_secs(20)).await;
        }
        Raw::Ok(RawResult(None))
    });
    let worker = worker.build().unwrap();
    worker.run(std::future::pending()).await.unwrap();
    assert_eq!(notes.take("rescued").len(), 1);
    assert_eq!(notes.take("lost"), ["lost orders"]);
    assert_eq!(notes.take("attempt").len(), 1, "the second");
    let calls = notes.take("store");
    assert!(calls.contains(&"store heartbeat unavailable".to_owned()));
}

/// Not at every claim: a store may have to count for it.
#[tokio::test(start_paused = true)]
async fn queues_are_looked_at_every_few_seconds() {
    let world = World::new();
    let notes = Arc::new(Notes::default());
    for _ in 0..60 {
        world.enqueue(JobRequest::new("orders", "ship")).await;
    }
    let worker = world.worker().meters(notes.clone()).concurrency(1);
    let worker = worker.drain(true).fallback(fail_once).build().unwrap();
    worker.run(std::future::pending()).await.unwrap();
    // Sixty jobs of 300 ms are 18 s.
    let looks = notes.take("queues");
    assert_eq!(looks.len(), 4, "{looks:?}");
    assert_eq!(looks[0], "queues orders 60");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_measured_if_nobody_looks() {
    let world = World::new();
    let notes = Arc::new(Notes {
        looks_away: true,
        ..Notes::default()
    });
    let producer = world.producer().with_meters(notes.clone());
    producer
        .enqueue(JobRequest::new("orders", "ship"))
        .await
        .unwrap();
    let worker = world.worker().meters(notes.clone()).drain(true);
    let worker = worker.fallback(fail_once).build().unwrap();
    worker.run(std::future::pending()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_limits_hold_and_refuse_is_measured() {
    let world = World::new();
    world.limit(r#"{"concurrency":1,"length":2}"#).await;
    let notes = Arc::new(Notes::default());
    let producer = world.producer().with_meters(notes.clone());
    let orders = (0..5).map(|_| JobRequest::new("orders", "order"));
    producer.enqueue_many(orders.collect()).await.unwrap();
    assert_eq!(notes.take("refused"), ["refused orders queue_full 3"]);
    let worker = world.worker().meters(notes.clone()).drain(true);
    let worker = worker.fallback(|_args: RawArgs, _attempt: Attempt| async {
        sleep(Duration::from_millis(1500)).await;
        Raw::Ok(RawResult(None))
    });
    worker
        .build()
        .unwrap()
        .run(std::future::pending())
        .await
        .unwrap();
    let permits = notes.take("permits");
    assert!(
        permits.contains(&r#"permits 1 [("queue:orders", 1)]"#.to_owned()),
        "{permits:?}"
    );
    assert_eq!(permits.last().unwrap(), "permits 0 []");
    assert!(notes.take("over_limit").is_empty());
}
