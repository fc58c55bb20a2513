//! Jobs that a worker claims beyond its free slots: only while handlers end quickly, and never for
//! long.

use std::sync::Arc;
use std::time::Duration;

use longshore::{
    Attempt, AttemptOutcome, JobError, JobState, QueueStats, StoreError, WorkerBuilder,
};
use longshore_instrument::span::AttributeValue;
use longshore_instrument::table::{key, name};
use longshore_testkit::way::{Around, Effect, Way};
use tokio::time::{Instant, sleep};

use crate::world::{World, order};

const JOBS: u64 = 400;
/// The first of those that take long.
const LONG: u64 = 250;

/// Takes a millisecond, or ten seconds.
async fn place(number: u64, _attempt: Attempt) -> Result<(), JobError> {
    let long = Duration::from_secs(10);
    sleep(if number < LONG {
        Duration::from_millis(1)
    } else {
        long
    })
    .await;
    Ok(())
}

async fn enqueue(world: &World) -> Vec<longshore::JobId> {
    let mut ids = Vec::new();
    for number in 0..JOBS {
        ids.push(world.enqueue(order().args(&number)).await);
    }
    ids
}

/// How many jobs each claim brought.
fn claims(world: &World) -> Vec<i64> {
    let spans = world.spans.spans();
    let claims = spans.iter().filter(|span| span.name == name::CLAIM);
    let count = claims.map(|span| {
        let count = span
            .attributes
            .iter()
            .find(|one| one.key == key::BATCH_COUNT);
        match count.unwrap().value {
            AttributeValue::Int(count) => count,
            _ => 0,
        }
    });
    count.collect()
}

async fn stats(world: &World) -> QueueStats {
    world.store.queue_stats().await.unwrap().remove(0)
}

/// Runs all jobs with a handler of a millisecond.
async fn run_quick(world: &World, worker: WorkerBuilder) {
    let worker = worker.handler("place_order", |_: u64, _: Attempt| async {
        sleep(Duration::from_millis(1)).await;
        Ok::<(), JobError>(())
    });
    let worker = worker.build().unwrap();
    worker.run(std::future::pending()).await.unwrap();
    assert_eq!(stats(world).await.completed, JOBS);
}

#[tokio::test(start_paused = true)]
async fn quick_handlers_get_many_jobs_by_one_claim() {
    let world = World::new();
    enqueue(&world).await;
    let worker = world.worker().concurrency(2).claim_ahead(30).drain(true);
    run_quick(&world, worker).await;
    let claims = claims(&world);
    assert_eq!(claims.iter().max(), Some(&32), "{claims:?}");
    assert_eq!(
        claims.first(),
        Some(&2),
        "nothing was known of the handlers"
    );
    assert!(claims.len() < 100, "{claims:?}");
    world.assert_one_enqueue_span_each();
}

#[tokio::test(start_paused = true)]
async fn nothing_is_claimed_ahead_of_what_a_limit_allows() {
    let world = World::new();
    world.limit(r#"{"concurrency":100}"#).await;
    enqueue(&world).await;
    let worker = world.worker().concurrency(2).drain(true);
    run_quick(&world, worker).await;
    let claims = claims(&world);
    assert!(claims.iter().all(|jobs| *jobs <= 2), "{claims:?}");
}

#[tokio::test(start_paused = true)]
async fn what_finds_no_slot_goes_back_to_others() {
    let world = World::new();
    let ids = enqueue(&world).await;
    let began = Instant::now();
    let busy = world.worker().concurrency(2).drain(true);
    let busy = busy.handler("place_order", place).build().unwrap();
    let idle = world.worker().id("w2").concurrency(500).drain(true);
    let idle = idle.handler("place_order", place).build().unwrap();
    let idle = async {
        while stats(&world).await.completed < LONG {
            sleep(Duration::from_millis(1)).await;
        }
        idle.run(std::future::pending()).await
    };
    let (busy, idle) = tokio::join!(busy.run(std::future::pending()), idle);
    let (busy, idle) = (busy.unwrap(), idle.unwrap());
    assert!(
        began.elapsed() < Duration::from_secs(12),
        "{:?}",
        began.elapsed()
    );
    assert!(busy.handed_back > 0, "{busy:?}");
    assert_eq!(busy.completed + idle.completed, JOBS);
    let mut back = 0;
    for id in &ids {
        let job = world.job(id).await;
        assert_eq!((job.state, job.attempt), (JobState::Completed, 1));
        let outcomes = job.history.iter().map(|record| record.outcome);
        back += outcomes
            .filter(|one| *one == AttemptOutcome::HandedBack)
            .count();
    }
    assert_eq!(back as u64, busy.handed_back);
    world.assert_one_enqueue_span_each();
    // An attempt whose handler never began has no span that says so.
    let spans = world.spans.spans();
    let handlers = spans.iter().filter(|span| span.name == name::HANDLER);
    assert_eq!(handlers.count() as u64, JOBS);
    let attempts = spans.iter().filter(|span| span.name == name::PROCESS);
    assert_eq!(attempts.count() as u64, JOBS + busy.handed_back);
}

#[tokio::test(start_paused = true)]
async fn a_stop_gives_back_what_has_not_begun() {
    let world = World::new();
    enqueue(&world).await;
    let worker = world.worker().concurrency(2);
    let worker = worker.handler("place_order", place).build().unwrap();
    let stop = async {
        // The slots are taken by long jobs, and more are here.
        while stats(&world).await.running < 3 || stats(&world).await.completed < LONG {
            sleep(Duration::from_millis(1)).await;
        }
    };
    let began = Instant::now();
    let report = worker.run(stop).await.unwrap();
    assert!(report.handed_back > 0, "{report:?}");
    assert_eq!(report.completed, LONG + 2);
    assert!(
        began.elapsed() < Duration::from_secs(12),
        "{:?}",
        began.elapsed()
    );
    let stats = stats(&world).await;
    assert_eq!((stats.running, stats.available), (0, JOBS - LONG - 2));
}

#[tokio::test(start_paused = true)]
async fn a_stop_lets_begin_what_was_claimed_ahead() {
    let world = World::new();
    enqueue(&world).await;
    let worker = world.worker().concurrency(2).claim_ahead(30);
    let worker = worker.handler("place_order", place).build().unwrap();
    // Some of a claim of 32 have begun.
    let stop = async {
        while claims(&world).last() != Some(&32) || stats(&world).await.running < 12 {
            sleep(Duration::from_millis(1)).await;
        }
    };
    let report = worker.run(stop).await.unwrap();
    assert_eq!(report.handed_back, 0, "{report:?}");
    let stats = stats(&world).await;
    assert_eq!((stats.running, stats.completed), (0, report.completed));
    assert!(report.completed < LONG, "{report:?}");
}

/// A store that takes its time for a claim.
#[derive(Debug)]
struct Far(Duration);

impl Way for Far {
    async fn carry<T: Send + 'static>(
        &self,
        method: &'static str,
        effect: Effect<'_, T>,
    ) -> Result<T, StoreError> {
        if method == "claim" {
            sleep(self.0).await;
        }
        effect.await
    }
}

#[tokio::test(start_paused = true)]
async fn slots_are_busy_while_more_jobs_are_claimed() {
    let mut world = World::new();
    for _ in 0..5 {
        enqueue(&world).await;
    }
    let claim = Duration::from_millis(5);
    world.store = Arc::new(Around::through(Arc::clone(&world.store), Far(claim)));
    let worker = world.worker().concurrency(10).drain(true);
    let worker = worker.handler("place_order", |_: u64, _: Attempt| async {
        sleep(Duration::from_millis(1)).await;
        Ok::<(), JobError>(())
    });
    let began = Instant::now();
    let worker = worker.build().unwrap();
    worker.run(std::future::pending()).await.unwrap();
    assert_eq!(stats(&world).await.completed, 5 * JOBS);
    // 200 ms of work, and 54 until it is known how quick the handlers are. The claims after that take
    // 5 ms each, most of which cost nobody's time: it was 292 ms when slots waited for them.
    let took = began.elapsed();
    assert!(took < Duration::from_millis(280), "{took:?}");
}
