//! Jobs, and the moves that most tests make.

use std::time::Duration;

use longshore_core::{
    ClaimRequest, Claimed, Enqueued, ErrorKind, JobId, NewJob, Outcome, Place, Settled, Settlement,
    Store, StoreError, WorkerId,
};

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

pub(crate) fn settlement(claimed: &Claimed, outcome: Outcome) -> Settlement {
    Settlement {
        job_id: claimed.job.id.clone(),
        token: claimed.lease.token,
        outcome,
        follow_ups: Vec::new(),
        keep: None,
        span: None,
    }
}

pub(crate) const fn complete() -> Outcome {
    Outcome::Complete { result: None }
}

pub(crate) async fn settle(store: &dyn Store, claimed: &Claimed) -> Result<Settled, StoreError> {
    let settlements = vec![settlement(claimed, complete())];
    store.settle(settlements).await?.remove(0)
}

/// Makes a call again for as long as the store is unavailable, as all who use it do.
pub(crate) async fn patiently<T>(mut call: impl AsyncFnMut() -> Result<T, StoreError>) -> T {
    for _ in 0..600 {
        match call().await {
            Ok(answer) => return answer,
            Err(error) => assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}"),
        }
        // A server that comes back tells nobody.
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    unreachable!("the store does not come back");
}
