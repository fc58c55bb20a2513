//! Jobs, and the moves that most tests make.

use std::time::Duration;

use longshore_core::{ClaimRequest, JobId, NewJob, Place, QueueName, Store, WorkerId};
pub(crate) use longshore_testkit::harness::{completion, patiently};

/// So many new jobs of the queue `q`, with ids of the store.
pub(crate) async fn new_jobs(store: &dyn Store, count: usize) -> Vec<NewJob> {
    let queue: QueueName = "q".parse().unwrap();
    let places = vec![Place::new(queue.clone()); count];
    let ids = patiently(async || store.mint(&places).await).await;
    let new = |id| NewJob::new(id, queue.clone(), "check".parse().unwrap(), "{}");
    ids.into_iter().map(new).collect()
}

/// Enqueues jobs, again and again with the same ids, until that is acknowledged.
pub(crate) async fn enqueue(store: &dyn Store, jobs: &[NewJob]) -> Vec<JobId> {
    let answers = patiently(async || {
        let answers = store.enqueue(jobs.to_vec()).await?;
        answers.into_iter().collect::<Result<Vec<_>, _>>()
    });
    let answers = answers.await;
    answers.iter().map(|answer| answer.id().clone()).collect()
}

pub(crate) fn wish(worker: &str, limit: usize, lease: Duration) -> ClaimRequest {
    let queues = vec!["q".parse().unwrap()];
    ClaimRequest::new(WorkerId::new(worker), queues, limit, lease)
}
