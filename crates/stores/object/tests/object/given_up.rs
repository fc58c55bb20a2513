//! Calls that are given up half-way.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use longshore_core::{Beat, JobState, Outcome, Store};
use longshore_object::{ObjectStore, Tuning};
use longshore_testkit::given_up::{check, steps};
use longshore_testkit::harness::{completion, failure, settlement};
use longshore_testkit::{ManualClock, SeededRandom};

use crate::script::{new_job, place, wish};
use crate::server::{Actor, Server};

async fn open(server: &Arc<Server>, seed: u64) -> ObjectStore {
    let actor = Arc::new(Actor::of(server).with_pauses());
    let random = Arc::new(SeededRandom::new(seed));
    let opened = ObjectStore::open_with(actor, random, Tuning::AT_ONCE);
    opened.await.unwrap()
}

#[tokio::test]
async fn what_comes_after_a_call_that_was_given_up_is_stored() {
    let clock = Arc::new(ManualClock::default());
    let server = Arc::new(Server::new(clock.clone()));
    let (store, other) = (open(&server, 1).await, open(&server, 2).await);
    check(&store, &other, || clock.advance(Duration::from_secs(7200))).await;
}

/// A call that was given up while another one wrote the batch is not made hours later.
#[tokio::test]
async fn a_call_that_was_given_up_is_not_made_with_a_later_one() {
    let clock = Arc::new(ManualClock::default());
    let server = Arc::new(Server::new(clock.clone()));
    let (store, other) = (open(&server, 1).await, open(&server, 2).await);
    let ids = store.mint(&[place(), place()]).await.unwrap();
    let jobs = ids.iter().cloned().map(new_job).collect();
    store.enqueue(jobs).await.unwrap();
    clock.advance(Duration::from_secs(1));
    let claimed = store.claim(&wish("worker-1", 2)).await.unwrap();
    let error = failure();
    let discarded = settlement(&claimed[1], Outcome::Discard { error });
    store
        .settle(vec![discarded])
        .await
        .unwrap()
        .remove(0)
        .unwrap();
    let retried = [claimed[1].job.id.clone()];
    let beats = [Beat {
        job_id: claimed[0].job.id.clone(),
        token: claimed[0].lease.token,
        extend_by: Duration::from_secs(3600),
        progress: None,
        checkpoint: None,
    }];
    {
        let mut beat = std::pin::pin!(store.heartbeat(&beats));
        assert!(steps(beat.as_mut(), 1).await.is_none());
        let mut retry = store.retry_now(&retried);
        // Until it waits for the other.
        for _ in 0..20 {
            let polled = poll_fn(|context| Poll::Ready(retry.as_mut().poll(context))).await;
            assert!(polled.is_pending());
        }
        drop(retry);
        beat.await.unwrap();
    }
    other.retry_now(&retried).await.unwrap().remove(0).unwrap();
    let again = other.claim(&wish("worker-2", 1)).await.unwrap();
    assert_eq!(again[0].job.id, retried[0]);
    other.settle(vec![completion(&again[0])]).await.unwrap();
    store.heartbeat(&beats).await.unwrap();
    let row = other.get(&retried[0]).await.unwrap().unwrap();
    assert_eq!(row.state, JobState::Completed);
}
