//! What may lie between a caller and a store: the shape that a [faulty](crate::faulty) and an
//! [audited](crate::audited) store share, so that each says only what it does to a call.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use longshore_core::requests::RequestCounts;
use longshore_core::{
    Beat, BeatAnswer, ClaimRequest, Claimed, Document, DocumentEntry, Enqueued, Job, JobFilter,
    JobId, JobPage, JobState, NewJob, Place, PruneRequest, QueueName, QueueStats, Rescued, Settled,
    Settlement, Store, StoreError, StoreInfo, Timestamp,
};

/// What a call does at the store, and its answer.
pub type Effect<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// What was asked of a store and what it said, where that matters to leases and jobs.
#[derive(Debug)]
pub enum Traffic<'a> {
    /// The answers to an enqueue.
    Enqueue(&'a [Result<Enqueued, StoreError>]),
    /// The jobs that a claim leased.
    Claim(&'a [Claimed]),
    /// Beats and their answers.
    Heartbeat(&'a [Beat], &'a [BeatAnswer]),
    /// Settles and their answers.
    Settle(&'a [Settlement], &'a [Result<Settled, StoreError>]),
    /// The jobs that a rescue took back.
    Rescue(&'a [Rescued]),
}

/// What happens to calls between a caller and a store.
pub trait Way: fmt::Debug + Send + Sync {
    /// Brings a call to the store, and its answer back to the caller. `method` is the name of the
    /// [`Store`]'s method.
    fn carry<T: Send + 'static>(
        &self,
        method: &'static str,
        effect: Effect<'_, T>,
    ) -> impl Future<Output = Result<T, StoreError>> + Send;

    /// Hears of settles before they are sent.
    fn hear(&self, _settlements: &[Settlement]) {}

    /// Lets a caller wait for jobs, at most for `timeout`; `hint` is the store's own wait.
    fn rest(
        &self,
        hint: impl Future<Output = ()> + Send,
        _timeout: Duration,
    ) -> impl Future<Output = ()> + Send {
        hint
    }

    /// Looks at what was done, as part of the effect: whether or not the answer will arrive.
    fn look(
        &self,
        _store: &Arc<dyn Store>,
        _traffic: Traffic<'_>,
    ) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }
}

/// A store that is reached by a [`Way`].
pub struct Around<W> {
    inner: Arc<dyn Store>,
    way: W,
}

impl<W: Way> Around<W> {
    /// The way `way` to the store `inner`.
    #[must_use]
    pub fn through(inner: Arc<dyn Store>, way: W) -> Self {
        Self { inner, way }
    }

    /// The way.
    #[must_use]
    pub const fn way(&self) -> &W {
        &self.way
    }

    async fn seen<T: Send>(
        &self,
        effect: impl Future<Output = Result<T, StoreError>> + Send,
        traffic: impl FnOnce(&T) -> Traffic<'_> + Send,
    ) -> Result<T, StoreError> {
        let answer = effect.await?;
        self.way.look(&self.inner, traffic(&answer)).await;
        Ok(answer)
    }
}

impl<W: fmt::Debug> fmt::Debug for Around<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (way, inner) = (&self.way, &self.inner);
        f.debug_tuple("Around").field(way).field(inner).finish()
    }
}

#[async_trait]
impl<W: Way> Store for Around<W> {
    fn info(&self) -> StoreInfo {
        self.inner.info()
    }

    fn request_counts(&self) -> Option<Arc<RequestCounts>> {
        self.inner.request_counts()
    }

    async fn now(&self) -> Result<Timestamp, StoreError> {
        self.way.carry("now", self.inner.now()).await
    }

    async fn mint(&self, places: &[Place]) -> Result<Vec<JobId>, StoreError> {
        self.way.carry("mint", self.inner.mint(places)).await
    }

    async fn enqueue(
        &self,
        jobs: Vec<NewJob>,
    ) -> Result<Vec<Result<Enqueued, StoreError>>, StoreError> {
        let effect = self.seen(self.inner.enqueue(jobs), |answers| {
            Traffic::Enqueue(answers)
        });
        self.way.carry("enqueue", Box::pin(effect)).await
    }

    async fn claim(&self, request: &ClaimRequest) -> Result<Vec<Claimed>, StoreError> {
        let effect = self.seen(self.inner.claim(request), |claimed| Traffic::Claim(claimed));
        self.way.carry("claim", Box::pin(effect)).await
    }

    async fn heartbeat(&self, beats: &[Beat]) -> Result<Vec<BeatAnswer>, StoreError> {
        let effect = async {
            let answers = self.inner.heartbeat(beats).await?;
            let traffic = Traffic::Heartbeat(beats, &answers);
            self.way.look(&self.inner, traffic).await;
            Ok(answers)
        };
        self.way.carry("heartbeat", Box::pin(effect)).await
    }

    async fn settle(
        &self,
        settlements: Vec<Settlement>,
    ) -> Result<Vec<Result<Settled, StoreError>>, StoreError> {
        self.way.hear(&settlements);
        let effect = async {
            let answers = self.inner.settle(settlements.clone()).await?;
            let traffic = Traffic::Settle(&settlements, &answers);
            self.way.look(&self.inner, traffic).await;
            Ok(answers)
        };
        self.way.carry("settle", Box::pin(effect)).await
    }

    async fn promote(&self, limit: usize) -> Result<usize, StoreError> {
        self.way.carry("promote", self.inner.promote(limit)).await
    }

    async fn rescue(&self, limit: usize) -> Result<Vec<Rescued>, StoreError> {
        let effect = self.seen(self.inner.rescue(limit), |rescued| Traffic::Rescue(rescued));
        self.way.carry("rescue", Box::pin(effect)).await
    }

    async fn get(&self, id: &JobId) -> Result<Option<Job>, StoreError> {
        self.way.carry("get", self.inner.get(id)).await
    }

    async fn list(
        &self,
        filter: &JobFilter,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<JobPage, StoreError> {
        let effect = self.inner.list(filter, cursor, limit);
        self.way.carry("list", effect).await
    }

    async fn queue_stats(&self) -> Result<Vec<QueueStats>, StoreError> {
        let effect = self.inner.queue_stats();
        self.way.carry("queue_stats", effect).await
    }

    async fn cancel(&self, ids: &[JobId]) -> Result<Vec<Result<JobState, StoreError>>, StoreError> {
        self.way.carry("cancel", self.inner.cancel(ids)).await
    }

    async fn discard(
        &self,
        ids: &[JobId],
    ) -> Result<Vec<Result<JobState, StoreError>>, StoreError> {
        self.way.carry("discard", self.inner.discard(ids)).await
    }

    async fn retry_now(
        &self,
        ids: &[JobId],
    ) -> Result<Vec<Result<JobState, StoreError>>, StoreError> {
        self.way.carry("retry_now", self.inner.retry_now(ids)).await
    }

    async fn pause(&self, queue: &QueueName) -> Result<(), StoreError> {
        self.way.carry("pause", self.inner.pause(queue)).await
    }

    async fn resume(&self, queue: &QueueName) -> Result<(), StoreError> {
        self.way.carry("resume", self.inner.resume(queue)).await
    }

    async fn prune(&self, request: &PruneRequest) -> Result<usize, StoreError> {
        let effect = self.inner.prune(request);
        self.way.carry("prune", effect).await
    }

    async fn wait(&self, queues: &[QueueName], timeout: Duration) {
        let hint = self.inner.wait(queues, timeout);
        self.way.rest(hint, timeout).await;
    }

    async fn read_document(&self, name: &str) -> Result<Option<Document>, StoreError> {
        let effect = self.inner.read_document(name);
        self.way.carry("read_document", effect).await
    }

    async fn write_document(
        &self,
        name: &str,
        expected: u64,
        body: Bytes,
    ) -> Result<u64, StoreError> {
        let effect = self.inner.write_document(name, expected, body);
        self.way.carry("write_document", effect).await
    }

    async fn delete_document(&self, name: &str, expected: u64) -> Result<(), StoreError> {
        let effect = self.inner.delete_document(name, expected);
        self.way.carry("delete_document", effect).await
    }

    async fn list_documents(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<DocumentEntry>, StoreError> {
        let effect = self.inner.list_documents(prefix, after, limit);
        self.way.carry("list_documents", effect).await
    }
}
