//! One tree for every way an attempt may end.

use std::time::Duration;

use longshore::{Attempt, JobError, JobRequest, JobState, RawArgs, RawResult};
use tokio::sync::Notify;
use tokio::time::sleep;

use crate::world::{World, order, succeed};

type Raw = Result<RawResult, JobError>;

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
