//! The reference store of Longshore, in memory: the contract in its plainest form, for tests and
//! for jobs that need not outlive their process.
//!
//! Rows are the [`Job`]s of the core, changed by the core's own transitions; `rows` holds them
//! with their indexes. Other stores are compared with this one by `longshore-testkit`.

mod documents;
mod keys;
mod rows;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use longshore_core::{
    Beat, BeatAnswer, ClaimRequest, Claimed, Clock, Document, DocumentEntry, Enqueued, Import,
    Imported, Job, JobFilter, JobId, JobPage, JobState, NewJob, Place, PruneRequest, QueueName,
    QueueStats, Random, Rescued, Settled, Settlement, StopRequest, Store, StoreError, StoreInfo,
    SystemClock, SystemRandom, Timestamp,
};
use tokio::sync::Notify;

use crate::documents::Documents;
use crate::rows::Rows;

/// A store in this process's memory. Everything is gone when the last handle is.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use longshore_core::{NewJob, Place, Store};
/// use longshore_memory::MemoryStore;
///
/// let store = MemoryStore::new();
/// let place = Place::new("mail".try_into()?);
/// let id = store.mint(&[place]).await?.remove(0);
/// let job = NewJob::new(id.clone(), "mail".try_into()?, "send_mail".try_into()?, "{}");
/// store.enqueue(vec![job]).await?;
/// assert!(store.get(&id).await?.is_some());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct MemoryStore {
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    rows: Mutex<Rows>,
    documents: Mutex<Documents>,
    changed: Notify,
}

impl MemoryStore {
    /// An empty store on the machine's clock.
    #[must_use]
    pub fn new() -> Self {
        Self::with(Arc::new(SystemClock::new()), Arc::new(SystemRandom))
    }

    /// An empty store that takes time and randomness from here.
    #[must_use]
    pub fn with(clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Self {
        Self {
            clock,
            random,
            rows: Mutex::default(),
            documents: Mutex::default(),
            changed: Notify::new(),
        }
    }

    // A panic while the lock is held can only come from a bug; going on with the rows as they are
    // is then better than to fail every later call.
    fn rows(&self) -> MutexGuard<'_, Rows> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn documents(&self) -> MutexGuard<'_, Documents> {
        self.documents
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn stop(&self, ids: &[JobId], stop: StopRequest) -> Vec<Result<JobState, StoreError>> {
        let now = self.clock.now();
        let mut rows = self.rows();
        ids.iter().map(|id| rows.stop(id, stop, now)).collect()
    }

    async fn wait_until_due(&self, queues: &BTreeSet<&QueueName>) {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            // Registered before the look, so that no change slips between look and wait.
            changed.as_mut().enable();
            let now = self.clock.now();
            let next_due = self.rows().next_due(queues);
            match next_due {
                Some(due) if due <= now => return,
                Some(due) => {
                    if tokio::time::timeout(due.since(now), changed).await.is_err() {
                        return;
                    }
                }
                None => changed.await,
            }
        }
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Store for MemoryStore {
    fn info(&self) -> StoreInfo {
        StoreInfo {
            system: "memory",
            location: "this process".to_owned(),
            clock_error: Duration::ZERO,
            keeps_over_for: Duration::ZERO,
        }
    }

    async fn now(&self) -> Result<Timestamp, StoreError> {
        Ok(self.clock.now())
    }

    async fn mint(&self, places: &[Place]) -> Result<Vec<JobId>, StoreError> {
        let now = self.clock.now();
        Ok(places
            .iter()
            .map(|_| JobId::generate(now, &*self.random))
            .collect())
    }

    async fn enqueue(
        &self,
        jobs: Vec<NewJob>,
    ) -> Result<Vec<Result<Enqueued, StoreError>>, StoreError> {
        let now = self.clock.now();
        let answers = {
            let mut rows = self.rows();
            jobs.into_iter().map(|job| rows.enqueue(job, now)).collect()
        };
        self.changed.notify_waiters();
        Ok(answers)
    }

    async fn claim(&self, request: &ClaimRequest) -> Result<Vec<Claimed>, StoreError> {
        let now = self.clock.now();
        Ok(self.rows().claim(request, &*self.random, now))
    }

    async fn heartbeat(&self, beats: &[Beat]) -> Result<Vec<BeatAnswer>, StoreError> {
        let now = self.clock.now();
        let mut rows = self.rows();
        Ok(beats.iter().map(|beat| rows.beat(beat, now)).collect())
    }

    async fn settle(
        &self,
        settlements: Vec<Settlement>,
    ) -> Result<Vec<Result<Settled, StoreError>>, StoreError> {
        let now = self.clock.now();
        let answers = {
            let mut rows = self.rows();
            settlements
                .into_iter()
                .map(|settlement| rows.settle(settlement, now))
                .collect()
        };
        self.changed.notify_waiters();
        Ok(answers)
    }

    async fn promote(&self, _limit: usize) -> Result<usize, StoreError> {
        // A row whose time has come is shown and claimed as available without being rewritten.
        Ok(0)
    }

    async fn rescue(&self, limit: usize) -> Result<Vec<Rescued>, StoreError> {
        let now = self.clock.now();
        let rescued = self.rows().rescue(limit, now);
        self.changed.notify_waiters();
        Ok(rescued)
    }

    async fn get(&self, id: &JobId) -> Result<Option<Job>, StoreError> {
        let now = self.clock.now();
        Ok(self.rows().get(id).map(|job| job.shown_at(now)))
    }

    async fn list(
        &self,
        filter: &JobFilter,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<JobPage, StoreError> {
        let now = self.clock.now();
        self.rows().list(filter, cursor, limit, now)
    }

    async fn queue_stats(&self) -> Result<Vec<QueueStats>, StoreError> {
        let now = self.clock.now();
        Ok(self.rows().queue_stats(now))
    }

    async fn cancel(&self, ids: &[JobId]) -> Result<Vec<Result<JobState, StoreError>>, StoreError> {
        Ok(self.stop(ids, StopRequest::Cancel))
    }

    async fn discard(
        &self,
        ids: &[JobId],
    ) -> Result<Vec<Result<JobState, StoreError>>, StoreError> {
        Ok(self.stop(ids, StopRequest::Discard))
    }

    async fn retry_now(
        &self,
        ids: &[JobId],
    ) -> Result<Vec<Result<JobState, StoreError>>, StoreError> {
        let now = self.clock.now();
        let answers = {
            let mut rows = self.rows();
            ids.iter().map(|id| rows.retry_now(id, now)).collect()
        };
        self.changed.notify_waiters();
        Ok(answers)
    }

    async fn pause(&self, queue: &QueueName) -> Result<(), StoreError> {
        self.rows().pause(queue);
        Ok(())
    }

    async fn resume(&self, queue: &QueueName) -> Result<(), StoreError> {
        self.rows().resume(queue);
        self.changed.notify_waiters();
        Ok(())
    }

    async fn prune(&self, request: &PruneRequest) -> Result<usize, StoreError> {
        let now = self.clock.now();
        self.rows().prune(request, now)
    }

    async fn wait(&self, queues: &[QueueName], timeout: Duration) {
        let queues = queues.iter().collect();
        // Running out of time is an ordinary end of a wait.
        let _elapsed = tokio::time::timeout(timeout, self.wait_until_due(&queues)).await;
    }

    async fn read_document(&self, name: &str) -> Result<Option<Document>, StoreError> {
        Ok(self.documents().read(name))
    }

    async fn write_document(
        &self,
        name: &str,
        expected: u64,
        body: Bytes,
    ) -> Result<u64, StoreError> {
        self.documents().write(name, expected, body)
    }

    async fn delete_document(&self, name: &str, expected: u64) -> Result<(), StoreError> {
        self.documents().delete(name, expected)
    }

    async fn list_documents(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<DocumentEntry>, StoreError> {
        Ok(self.documents().list(prefix, after, limit))
    }
}

#[async_trait]
impl Import for MemoryStore {
    async fn import(
        &self,
        jobs: Vec<Job>,
    ) -> Result<Vec<Result<Imported, StoreError>>, StoreError> {
        let now = self.clock.now();
        let answers = {
            let mut rows = self.rows();
            jobs.into_iter().map(|job| rows.import(job, now)).collect()
        };
        self.changed.notify_waiters();
        Ok(answers)
    }
}
