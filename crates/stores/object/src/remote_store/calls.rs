//! Every call is one of the store's, once that is open.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use longshore_core::requests::RequestCounts;
use longshore_core::{
    Beat, BeatAnswer, ClaimRequest, Claimed, Document, DocumentEntry, Enqueued, Import, Imported,
    Job, JobFilter, JobId, JobPage, JobState, NewJob, Place, PruneRequest, QueueName, QueueStats,
    Rescued, Settled, Settlement, Store, StoreError, StoreInfo, Timestamp,
};

use super::RemoteStore;
use crate::objects::Objects as _;
use crate::prune::MIN_RETENTION;

#[async_trait]
impl Import for RemoteStore {
    async fn import(
        &self,
        jobs: Vec<Job>,
    ) -> Result<Vec<Result<Imported, StoreError>>, StoreError> {
        self.opened().await?.import(jobs).await
    }
}

#[async_trait]
impl Store for RemoteStore {
    fn info(&self) -> StoreInfo {
        StoreInfo {
            system: self.remote.system(),
            location: self.remote.location(),
            clock_error: self.remote.bounds().error(),
            keeps_over_for: MIN_RETENTION,
        }
    }

    fn request_counts(&self) -> Option<Arc<RequestCounts>> {
        Some(Arc::clone(self.remote.request_counts()))
    }

    async fn now(&self) -> Result<Timestamp, StoreError> {
        self.opened().await?.now().await
    }

    async fn mint(&self, places: &[Place]) -> Result<Vec<JobId>, StoreError> {
        self.opened().await?.mint(places).await
    }

    async fn enqueue(
        &self,
        jobs: Vec<NewJob>,
    ) -> Result<Vec<Result<Enqueued, StoreError>>, StoreError> {
        self.opened().await?.enqueue(jobs).await
    }

    async fn claim(&self, request: &ClaimRequest) -> Result<Vec<Claimed>, StoreError> {
        self.opened().await?.claim(request).await
    }

    async fn heartbeat(&self, beats: &[Beat]) -> Result<Vec<BeatAnswer>, StoreError> {
        self.opened().await?.heartbeat(beats).await
    }

    async fn settle(
        &self,
        settlements: Vec<Settlement>,
    ) -> Result<Vec<Result<Settled, StoreError>>, StoreError> {
        self.opened().await?.settle(settlements).await
    }

    async fn promote(&self, limit: usize) -> Result<usize, StoreError> {
        self.opened().await?.promote(limit).await
    }

    async fn rescue(&self, limit: usize) -> Result<Vec<Rescued>, StoreError> {
        self.opened().await?.rescue(limit).await
    }

    async fn get(&self, id: &JobId) -> Result<Option<Job>, StoreError> {
        self.opened().await?.get(id).await
    }

    async fn list(
        &self,
        filter: &JobFilter,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<JobPage, StoreError> {
        self.opened().await?.list(filter, cursor, limit).await
    }

    async fn queue_stats(&self) -> Result<Vec<QueueStats>, StoreError> {
        self.opened().await?.queue_stats().await
    }

    async fn cancel(&self, ids: &[JobId]) -> Result<Vec<Result<JobState, StoreError>>, StoreError> {
        self.opened().await?.cancel(ids).await
    }

    async fn discard(
        &self,
        ids: &[JobId],
    ) -> Result<Vec<Result<JobState, StoreError>>, StoreError> {
        self.opened().await?.discard(ids).await
    }

    async fn retry_now(
        &self,
        ids: &[JobId],
    ) -> Result<Vec<Result<JobState, StoreError>>, StoreError> {
        self.opened().await?.retry_now(ids).await
    }

    async fn pause(&self, queue: &QueueName) -> Result<(), StoreError> {
        self.opened().await?.pause(queue).await
    }

    async fn resume(&self, queue: &QueueName) -> Result<(), StoreError> {
        self.opened().await?.resume(queue).await
    }

    async fn prune(&self, request: &PruneRequest) -> Result<usize, StoreError> {
        self.opened().await?.prune(request).await
    }

    async fn wait(&self, queues: &[QueueName], timeout: Duration) {
        match self.opened().await {
            Ok(store) => store.wait(queues, timeout).await,
            // The claim after it says what is wrong.
            Err(_) => tokio::time::sleep(timeout).await,
        }
    }

    async fn read_document(&self, name: &str) -> Result<Option<Document>, StoreError> {
        self.opened().await?.read_document(name).await
    }

    async fn write_document(
        &self,
        name: &str,
        expected: u64,
        body: Bytes,
    ) -> Result<u64, StoreError> {
        self.opened()
            .await?
            .write_document(name, expected, body)
            .await
    }

    async fn delete_document(&self, name: &str, expected: u64) -> Result<(), StoreError> {
        self.opened().await?.delete_document(name, expected).await
    }

    async fn list_documents(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<DocumentEntry>, StoreError> {
        self.opened()
            .await?
            .list_documents(prefix, after, limit)
            .await
    }
}
