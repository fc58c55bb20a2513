//! Jobs that are taken back while requests fail: whoever takes one back hears of it, since nobody
//! else can tell what became of its last attempt.

use std::sync::Arc;
use std::time::Duration;

use longshore_core::{ClaimRequest, NewJob, Place, QueueName, Store, WorkerId};
use longshore_object::{ObjectStore, Tuning};
use longshore_testkit::{ManualClock, SeededRandom};

use crate::server::{Actor, Fate, Gate, Server};

/// Jobs of two queues whose leases have ended, a process that is to take them back, and another.
async fn lost() -> (ObjectStore, Arc<Gate>, ObjectStore) {
    let clock = Arc::new(ManualClock::default());
    let server = Arc::new(Server::new(clock.clone()));
    let gate = Arc::new(Gate::default());
    let open = |actor, seed| {
        let random = Arc::new(SeededRandom::new(seed));
        ObjectStore::open_with(Arc::new(actor), random, Tuning::AT_ONCE)
    };
    let worker = open(Actor::of(&server), 1).await.unwrap();
    let rescuer = open(Actor::gated(&server, Arc::clone(&gate)), 2);
    let queues: Vec<QueueName> = vec!["q".parse().unwrap(), "r".parse().unwrap()];
    let places: Vec<Place> = queues.iter().cloned().map(Place::new).collect();
    let ids = worker.mint(&places).await.unwrap();
    let jobs = ids.into_iter().zip(&queues);
    let jobs = jobs.map(|(id, queue)| {
        // So long that they lie in an object of their own, which is read too.
        let args = vec![b'x'; 70_000];
        NewJob::new(id, queue.clone(), "k".parse().unwrap(), args)
    });
    worker.enqueue(jobs.collect()).await.unwrap();
    let lease = Duration::from_secs(30);
    let wish = ClaimRequest::new(WorkerId::new("worker-1"), queues, 2, lease);
    assert_eq!(worker.claim(&wish).await.unwrap().len(), 2);
    clock.advance(2 * lease);
    let other = open(Actor::of(&server), 3).await.unwrap();
    (rescuer.await.unwrap(), gate, other)
}

/// The first write that takes a job back lands, and its answer is lost; before the rescuer looks,
/// another worker has claimed the job again.
#[tokio::test]
async fn whoever_takes_a_job_back_hears_of_it_though_another_writes_after() {
    let (store, gate, other) = lost().await;
    gate.close();
    let mut rescue = std::pin::pin!(store.rescue(10));
    let (mut is_lost, mut is_claimed) = (false, false);
    let rescued = loop {
        tokio::select! {
            biased;
            rescued = &mut rescue => break rescued.unwrap(),
            () = tokio::task::yield_now() => {}
        }
        match gate.waiting() {
            Some(true) if !is_lost => {
                gate.open(Fate::Unanswered);
                is_lost = true;
            }
            Some(_) if is_lost && !is_claimed => {
                let queues = vec!["q".parse().unwrap(), "r".parse().unwrap()];
                let lease = Duration::from_secs(30);
                let wish = ClaimRequest::new(WorkerId::new("worker-2"), queues, 1, lease);
                is_claimed = other.claim(&wish).await.unwrap().len() == 1;
                assert!(is_claimed);
                gate.open(Fate::Answered);
            }
            Some(_) => gate.open(Fate::Answered),
            None => {}
        }
    };
    assert_eq!(rescued.len(), 2, "{rescued:?}");
    assert!(rescued.iter().all(|rescued| rescued.lost.claim == 1));
}

/// Rescues, while of its requests the one with this number is not answered; how many jobs that gave,
/// and whether there was such a request.
async fn rescue_without(
    store: &ObjectStore,
    gate: &Gate,
    unanswered: usize,
    fate: Fate,
) -> (usize, bool) {
    let mut rescue = std::pin::pin!(store.rescue(10));
    let mut sent = 0;
    let rescued = loop {
        tokio::select! {
            biased;
            rescued = &mut rescue => break rescued,
            () = tokio::task::yield_now() => {}
        }
        if gate.waiting().is_some() {
            gate.open(if sent == unanswered {
                fate
            } else {
                Fate::Answered
            });
            sent += 1;
        }
    };
    (
        rescued.map_or(0, |rescued| rescued.len()),
        sent > unanswered,
    )
}

#[tokio::test]
async fn whoever_takes_a_job_back_hears_of_it_whatever_fails_after() {
    for fate in [Fate::Swallowed, Fate::Unanswered] {
        for unanswered in 0.. {
            let (store, gate, _) = lost().await;
            gate.close();
            let (first, is_met) = rescue_without(&store, &gate, unanswered, fate).await;
            let (then, _) = rescue_without(&store, &gate, usize::MAX, fate).await;
            assert_eq!(first + then, 2, "{fate:?} of request {unanswered}");
            if !is_met {
                assert!(unanswered > 4 && first == 2);
                break;
            }
        }
    }
}
