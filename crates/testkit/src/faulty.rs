//! A store between which and its caller things go wrong, by seed.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use longshore_core::{
    Beat, BeatAnswer, ClaimRequest, Claimed, Document, Enqueued, ErrorKind, Job, JobFilter, JobId,
    JobPage, JobState, NewJob, QueueName, QueueStats, Random, Rescued, Settled, Settlement, Store,
    StoreError, StoreInfo, Timestamp,
};

/// How often what goes wrong, in calls of a hundred, and how slow calls are.
#[derive(Clone, Copy, Debug)]
pub struct Faults {
    /// Calls that fail and have done nothing.
    pub refused_percent: u64,
    /// Calls that are done and whose answer is lost.
    pub lost_answer_percent: u64,
    /// The longest time a call takes on each way.
    pub latency_max: Duration,
}

/// Puts [`Faults`] between a caller and a store. Sits above whatever audits the store, so that an
/// auditor sees what was really done.
pub struct FaultyStore {
    inner: Arc<dyn Store>,
    random: Arc<dyn Random>,
    faults: Faults,
    healed: AtomicBool,
}

impl FaultyStore {
    /// A faulty way to `inner`; the same `random` makes the same faults.
    #[must_use]
    pub fn new(inner: Arc<dyn Store>, random: Arc<dyn Random>, faults: Faults) -> Self {
        Self {
            inner,
            random,
            faults,
            healed: AtomicBool::new(false),
        }
    }

    /// From now on nothing goes wrong.
    pub fn heal(&self) {
        self.healed.store(true, Ordering::SeqCst);
    }

    async fn call<T>(
        &self,
        effect: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        if self.healed.load(Ordering::SeqCst) {
            return effect.await;
        }
        self.travel().await;
        let roll = self.random.next_u64() % 100;
        if roll < self.faults.refused_percent {
            return Err(unavailable("the call was lost on its way there"));
        }
        let answer = effect.await;
        self.travel().await;
        if roll < self.faults.refused_percent + self.faults.lost_answer_percent {
            return Err(unavailable("the answer was lost on its way back"));
        }
        answer
    }

    async fn travel(&self) {
        let nanos = u64::try_from(self.faults.latency_max.as_nanos()).unwrap_or(u64::MAX);
        let taken = self.random.next_u64() % nanos.max(1);
        tokio::time::sleep(Duration::from_nanos(taken)).await;
    }
}

fn unavailable(why: &str) -> StoreError {
    StoreError::new(ErrorKind::Unavailable, why)
}

impl fmt::Debug for FaultyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FaultyStore({:?})", self.inner)
    }
}

#[async_trait]
impl Store for FaultyStore {
    fn info(&self) -> StoreInfo {
        self.inner.info()
    }

    async fn now(&self) -> Result<Timestamp, StoreError> {
        self.call(self.inner.now()).await
    }

    async fn mint(&self, count: usize) -> Result<Vec<JobId>, StoreError> {
        self.call(self.inner.mint(count)).await
    }

    async fn enqueue(
        &self,
        jobs: Vec<NewJob>,
    ) -> Result<Vec<Result<Enqueued, StoreError>>, StoreError> {
        self.call(self.inner.enqueue(jobs)).await
    }

    async fn claim(&self, request: &ClaimRequest) -> Result<Vec<Claimed>, StoreError> {
        self.call(self.inner.claim(request)).await
    }

    async fn heartbeat(&self, beats: &[Beat]) -> Result<Vec<BeatAnswer>, StoreError> {
        self.call(self.inner.heartbeat(beats)).await
    }

    async fn settle(
        &self,
        settlements: Vec<Settlement>,
    ) -> Result<Vec<Result<Settled, StoreError>>, StoreError> {
        self.call(self.inner.settle(settlements)).await
    }

    async fn promote(&self, limit: usize) -> Result<usize, StoreError> {
        self.call(self.inner.promote(limit)).await
    }

    async fn rescue(&self, limit: usize) -> Result<Vec<Rescued>, StoreError> {
        self.call(self.inner.rescue(limit)).await
    }

    async fn get(&self, id: &JobId) -> Result<Option<Job>, StoreError> {
        self.call(self.inner.get(id)).await
    }

    async fn list(
        &self,
        filter: &JobFilter,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<JobPage, StoreError> {
        self.call(self.inner.list(filter, cursor, limit)).await
    }

    async fn queue_stats(&self) -> Result<Vec<QueueStats>, StoreError> {
        self.call(self.inner.queue_stats()).await
    }

    async fn cancel(&self, id: &JobId) -> Result<JobState, StoreError> {
        self.call(self.inner.cancel(id)).await
    }

    async fn retry_now(&self, id: &JobId) -> Result<JobState, StoreError> {
        self.call(self.inner.retry_now(id)).await
    }

    async fn pause(&self, queue: &QueueName) -> Result<(), StoreError> {
        self.call(self.inner.pause(queue)).await
    }

    async fn resume(&self, queue: &QueueName) -> Result<(), StoreError> {
        self.call(self.inner.resume(queue)).await
    }

    async fn prune(&self, before: Timestamp, limit: usize) -> Result<usize, StoreError> {
        self.call(self.inner.prune(before, limit)).await
    }

    async fn wait(&self, queues: &[QueueName], timeout: Duration) {
        self.inner.wait(queues, timeout).await;
    }

    async fn read_document(&self, name: &str) -> Result<Option<Document>, StoreError> {
        self.call(self.inner.read_document(name)).await
    }

    async fn write_document(
        &self,
        name: &str,
        expected: u64,
        body: Bytes,
    ) -> Result<u64, StoreError> {
        self.call(self.inner.write_document(name, expected, body))
            .await
    }
}
