//! Jobs, and the moves that most tests make.

use std::time::Duration;

use longshore_core::{
    ClaimRequest, Claimed, Enqueued, JobId, NewJob, Place, Settled, Store, StoreError, WorkerId,
};
use longshore_testkit::harness::completion;
pub(crate) use longshore_testkit::harness::{complete, patiently, settlement};

pub(crate) const LEASE: Duration = Duration::from_secs(600);

/// So many new jobs of the queue `q`.
pub(crate) async fn new_jobs(store: &dyn Store, count: usize) -> Vec<NewJob> {
    let queue: longshore_core::QueueName = "q".parse().unwrap();
    // The store is not asked: it may be away.
    let ids = store
        .mint(&vec![Place::new(queue.clone()); count])
        .await
        .unwrap();
    let new = |id| NewJob::new(id, queue.clone(), "check".parse().unwrap(), "{}");
    ids.into_iter().map(new).collect()
}

/// Enqueues so many jobs, one after the other.
pub(crate) async fn enqueue(store: &dyn Store, count: usize) -> Vec<JobId> {
    let mut ids = Vec::new();
    for job in new_jobs(store, count).await {
        let id = job.id.clone();
        let answer = store.enqueue(vec![job]).await.unwrap().remove(0).unwrap();
        assert!(matches!(answer, Enqueued::Created { .. }), "{answer:?}");
        ids.push(id);
    }
    ids
}

pub(crate) fn wish(limit: usize) -> ClaimRequest {
    let worker = WorkerId::new("worker-1");
    ClaimRequest::new(worker, vec!["q".parse().unwrap()], limit, LEASE)
}

pub(crate) async fn settle(store: &dyn Store, claimed: &Claimed) -> Result<Settled, StoreError> {
    let settlements = vec![completion(claimed)];
    store.settle(settlements).await?.remove(0)
}
