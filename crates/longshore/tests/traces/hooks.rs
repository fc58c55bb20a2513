//! Hooks on state changes: told once a change is durable, and never in the way of a worker.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use longshore::{
    Attempt, AttemptOutcome, JobError, JobRequest, JobState, RawArgs, RawResult, StateChange,
    Worker, WorkerBuilder, WorkerReport,
};
use tokio::time::sleep;

use crate::world::World;

type Raw = Result<RawResult, JobError>;
type Changes = Arc<Mutex<Vec<StateChange>>>;

async fn succeed(_args: RawArgs, _attempt: Attempt) -> Raw {
    Ok(RawResult(None))
}

fn order() -> JobRequest {
    JobRequest::new("orders", "place_order").args(&7)
}

async fn drain(worker: WorkerBuilder) -> WorkerReport {
    let worker = worker.drain(true).build().unwrap();
    worker.run(std::future::pending()).await.unwrap()
}

/// A hook that keeps what it hears.
fn keeping(changes: &Changes) -> impl Fn(StateChange) -> std::future::Ready<()> + use<> {
    let changes = Arc::clone(changes);
    move |change| {
        changes.lock().unwrap().push(change);
        std::future::ready(())
    }
}

fn told(changes: &Changes) -> Vec<String> {
    let one = |change: &StateChange| {
        let (from, to) = (change.from.as_str(), change.to.as_str());
        let outcome = change.outcome.map_or("", AttemptOutcome::as_str);
        let class = change.error.as_ref().map_or("", |error| &error.class);
        let told = format!("{} {from} {to} {outcome} {class}", change.attempt);
        told.trim_end().to_owned()
    };
    changes.lock().unwrap().iter().map(one).collect()
}

#[tokio::test(start_paused = true)]
async fn every_change_of_a_job_is_told_in_its_order() {
    let world = World::new();
    let changes = Changes::default();
    let id = world.enqueue(order()).await;
    let ends = |_args: RawArgs, attempt: Attempt| async move {
        match attempt.number() {
            1 => Err(JobError::retry("bank_closed", "it is Sunday")),
            2 => Err(JobError::not_yet("queue_long", "wait")),
            _ => Raw::Ok(RawResult(None)),
        }
    };
    let report = drain(
        world
            .worker()
            .fallback(ends)
            .on_state_change(keeping(&changes)),
    )
    .await;
    assert_eq!((report.hooks_missed, report.hook_panics), (0, 0));
    let expected = [
        "1 available running",
        "1 running retryable retried bank_closed",
        "2 available running",
        "2 running retryable not_yet queue_long",
        "3 available running",
        "3 running completed completed",
    ];
    assert_eq!(told(&changes), expected);
    let changes = changes.lock().unwrap();
    assert!(changes.iter().all(|change| change.job.id == id));
    assert!(changes.is_sorted_by_key(|change| change.at));
}

#[tokio::test(start_paused = true)]
async fn a_change_is_durable_when_it_is_told() {
    let world = World::new();
    world.enqueue(order()).await;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (store, states) = (world.store.clone(), Arc::clone(&seen));
    let hook = move |change: StateChange| {
        let (store, states) = (store.clone(), Arc::clone(&states));
        async move {
            let job = store.get(&change.job.id).await.unwrap().unwrap();
            states.lock().unwrap().push((change.to, job.state));
        }
    };
    let slow = |_args: RawArgs, _attempt: Attempt| async {
        sleep(Duration::from_millis(50)).await;
        Raw::Ok(RawResult(None))
    };
    drain(world.worker().fallback(slow).on_state_change(hook)).await;
    let expected = [JobState::Running, JobState::Completed].map(|state| (state, state));
    assert_eq!(*seen.lock().unwrap(), expected);
}

#[tokio::test(start_paused = true)]
async fn jobs_of_vanished_workers_are_told_by_whoever_takes_them_back() {
    let world = World::new();
    let changes = Changes::default();
    world.enqueue(order().max_attempts(1)).await;
    let gone = world
        .worker()
        .id("gone")
        .fallback(|_args: RawArgs, _attempt: Attempt| async {
            sleep(Duration::from_secs(3600)).await;
            Raw::Ok(RawResult(None))
        });
    let gone = gone.build().unwrap().run(std::future::pending());
    let _dropped = tokio::time::timeout(Duration::from_secs(1), gone).await;
    let worker = world.worker().fallback(succeed);
    let report = drain(worker.on_state_change(keeping(&changes))).await;
    assert_eq!(report.rescued, 1);
    assert_eq!(told(&changes), ["1 running discarded lost lease_expired"]);
}

#[tokio::test(start_paused = true)]
async fn a_hook_that_never_ends_holds_up_nobody_and_what_it_misses_is_counted() {
    let world = World::new();
    let changes = Changes::default();
    for _ in 0..1_000 {
        world.enqueue(order()).await;
    }
    let stuck = |_change| std::future::pending::<()>();
    let worker = world
        .worker()
        .fallback(succeed)
        .on_state_change(stuck)
        .on_state_change(keeping(&changes));
    let report = drain(worker).await;
    assert_eq!(report.completed, 1_000);
    assert_eq!(report.hooks_missed, 2_000);
    assert_eq!(told(&changes).len(), 2_000);
}

#[tokio::test(start_paused = true)]
async fn a_hook_may_panic_and_is_called_again() {
    let world = World::new();
    let calls = Arc::new(AtomicUsize::new(0));
    for _ in 0..3 {
        world.enqueue(order()).await;
    }
    let counted = Arc::clone(&calls);
    let at_once = move |_change: StateChange| -> std::future::Ready<()> {
        counted.fetch_add(1, Ordering::Relaxed);
        panic!("the hook broke");
    };
    let later = |_change: StateChange| async {
        tokio::task::yield_now().await;
        panic!("the hook broke later");
    };
    let worker = world
        .worker()
        .fallback(succeed)
        .on_state_change(at_once)
        .on_state_change(later);
    let report = drain(worker).await;
    assert_eq!(report.completed, 3);
    assert_eq!(report.hook_panics, 12);
    assert_eq!(calls.load(Ordering::Relaxed), 6);
}

#[tokio::test(start_paused = true)]
async fn hooks_end_with_a_worker_that_is_dropped() {
    let world = World::new();
    world.enqueue(order()).await;
    let alive = Arc::new(());
    let held = Arc::clone(&alive);
    let hook = move |_change: StateChange| {
        let held = Arc::clone(&held);
        async move {
            std::future::pending::<()>().await;
            drop(held);
        }
    };
    let worker: Worker = (world.worker().fallback(succeed).on_state_change(hook))
        .build()
        .unwrap();
    let run = worker.run(std::future::pending());
    let _dropped = tokio::time::timeout(Duration::from_secs(2), run).await;
    sleep(Duration::from_millis(1)).await;
    assert_eq!(Arc::strong_count(&alive), 1);
}
