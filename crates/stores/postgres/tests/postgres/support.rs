//! Jobs to put into a store, and moves that many tests make.

use std::time::Duration;

use longshore_core::{
    ClaimRequest, Claimed, ErrorKind, JobId, NewJob, Place, QueueName, Store, StoreError, WorkerId,
};
pub(crate) use longshore_testkit::harness::completion as complete;

pub(crate) fn queue() -> QueueName {
    "work".parse().unwrap()
}

pub(crate) fn job(id: JobId) -> NewJob {
    NewJob::new(id, queue(), "count".parse().unwrap(), "{}")
}

pub(crate) async fn jobs(store: &dyn Store, count: usize) -> Vec<NewJob> {
    let ids = store.mint(&vec![Place::new(queue()); count]).await.unwrap();
    ids.into_iter().map(job).collect()
}

pub(crate) async fn enqueue(store: &dyn Store, count: usize) -> Vec<JobId> {
    let answers = store.enqueue(jobs(store, count).await).await.unwrap();
    answers
        .into_iter()
        .map(|answer| answer.unwrap().id().clone())
        .collect()
}

pub(crate) async fn claim(
    store: &dyn Store,
    limit: usize,
    lease: Duration,
) -> Result<Vec<Claimed>, StoreError> {
    let worker = WorkerId::new("tester");
    store
        .claim(&ClaimRequest::new(worker, vec![queue()], limit, lease))
        .await
}

/// The answer of a call, or `None` if the store could not be used.
pub(crate) fn unless_away<T>(answer: Result<T, StoreError>) -> Option<T> {
    match answer {
        Ok(answer) => Some(answer),
        Err(error) if error.kind() == ErrorKind::Unavailable => None,
        Err(error) => panic!("{error}"),
    }
}
