//! Jobs that were over, run again, and are over again: what was remembered of them is not what they
//! are.

use std::time::Duration;

use longshore_core::{JobId, JobState, PruneRequest, Store};
use longshore_object::ObjectStore;

use crate::costs::Bench;
use crate::script::{complete, new_job, place, wish};

const HOUR: Duration = Duration::from_secs(3600);

/// How many jobs have completed and how many were cancelled.
async fn over(store: &ObjectStore) -> (u64, u64) {
    let stats = store.queue_stats().await.unwrap();
    let [of] = stats.as_slice() else {
        panic!("{stats:?}");
    };
    (of.completed, of.cancelled)
}

/// Enqueues a job.
async fn enqueue(bench: &Bench, store: &ObjectStore) -> Vec<JobId> {
    let ids = store.mint(&[place()]).await.unwrap();
    let new = ids.iter().cloned().map(new_job).collect();
    assert!(store.enqueue(new).await.unwrap()[0].is_ok());
    bench.pass(Duration::from_secs(1));
    ids
}

async fn work(store: &ObjectStore) {
    let claimed = store.claim(&wish("worker-1", 1)).await.unwrap();
    let settled = store.settle(vec![complete(&claimed[0])]).await.unwrap();
    assert!(settled[0].is_ok());
}

#[tokio::test]
async fn a_job_is_counted_as_it_ended_last_whoever_did_it() {
    for others in [false, true] {
        let bench = Bench::new();
        let (store, other) = (bench.process(1).await, bench.process(2).await);
        let ids = enqueue(&bench, &store).await;
        work(&store).await;
        assert_eq!(over(&store).await, (1, 0));
        let who = if others { &other } else { &store };
        let retried = who.retry_now(&ids).await.unwrap();
        assert_eq!(*retried[0].as_ref().unwrap(), JobState::Available);
        assert_eq!(over(&store).await, (0, 0));
        let cancelled = who.cancel(&ids).await.unwrap();
        assert_eq!(*cancelled[0].as_ref().unwrap(), JobState::Cancelled);
        assert_eq!(over(&store).await, (0, 1), "others: {others}");
    }
}

#[tokio::test]
async fn a_job_is_kept_since_it_ended_last() {
    let bench = Bench::new();
    let store = bench.process(1).await;
    let ids = enqueue(&bench, &store).await;
    work(&store).await;
    let ended_first = store.now().await.unwrap();
    bench.pass(2 * HOUR);
    // Too early to delete anything, but it is remembered that the job is over.
    let early = PruneRequest::before(ended_first.before(Duration::from_millis(1)), 10);
    assert_eq!(store.prune(&early).await.unwrap(), 0);
    store.retry_now(&ids).await.unwrap();
    work(&store).await;
    bench.pass(2 * HOUR);
    let between = PruneRequest::before(ended_first.after(HOUR), 10);
    assert_eq!(store.prune(&between).await.unwrap(), 0);
    assert!(store.get(&ids[0]).await.unwrap().is_some());
    let late = PruneRequest::before(ended_first.after(3 * HOUR), 10);
    assert_eq!(store.prune(&late).await.unwrap(), 1);
}
