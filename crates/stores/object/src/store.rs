//! The store: the contract on objects.

mod admin;
mod attempts;
mod change;
mod claim;
mod documents;
mod enqueue;
mod follow_up;
mod index;
mod listing;
mod load;
mod prune;
mod registry;
mod reserve;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use longshore_core::{
    Beat, BeatAnswer, ClaimRequest, Claimed, Document, DocumentEntry, Enqueued, ErrorKind, Job,
    JobFilter, JobId, JobPage, JobState, NewJob, Place, PruneRequest, QueueName, QueueStats,
    Random, Rescued, Settled, Settlement, StopRequest, Store, StoreError, StoreInfo, Timestamp,
};
use tokio::sync::Notify;

use crate::batch_key::{BatchKey, BatchName};
use crate::format::FormatError;
use crate::key::Key;
use crate::minted_id::StoreMark;
use crate::objects::{Landing, Objects};
use crate::root::Root;
use crate::server_clock::Bounds;
use crate::store::load::State;
use crate::store::registry::Registry;

/// What this process last saw of a batch; locked while it changes it.
type Cell = Arc<tokio::sync::Mutex<Option<State>>>;

/// A store of jobs on object storage. Any number of processes may use one bucket and prefix.
#[derive(Debug)]
pub struct ObjectStore {
    objects: Arc<dyn Objects>,
    random: Arc<dyn Random>,
    mark: StoreMark,
    registry: Registry,
    /// Hints only: what is written is conditional on the version that was read.
    cells: Mutex<HashMap<BatchName, Cell>>,
    /// Where jobs lie whose ids do not say it.
    places: Mutex<HashMap<JobId, BatchKey>>,
    /// The last name that was given here: those of one moment are in the order they were given.
    last_name: Mutex<Option<BatchName>>,
    /// Batches that were named here, and not put.
    fresh: Mutex<HashSet<BatchName>>,
    changed: Notify,
}

impl ObjectStore {
    /// Most batches and ids of which a process remembers what it saw.
    const MAX_REMEMBERED: usize = 20_000;
    /// How often a request that was refused, or had no answer, is followed by a look and another.
    const TRIES: usize = 20;
    /// How often a waiting worker looks at the index.
    const POLL: Duration = Duration::from_millis(250);

    /// Opens the store that lies there, or makes one where none is.
    ///
    /// # Errors
    /// `Unavailable`: the storage does not answer. `Invalid`: it refuses, or a newer program made the
    /// store. `Corrupt`: the root cannot be read.
    pub async fn open(
        objects: Arc<dyn Objects>,
        random: Arc<dyn Random>,
    ) -> Result<Self, StoreError> {
        let root = Self::root(&*objects, &*random).await?;
        Ok(Self {
            objects,
            random,
            mark: root.mark,
            registry: Registry::default(),
            cells: Mutex::default(),
            places: Mutex::default(),
            last_name: Mutex::default(),
            fresh: Mutex::default(),
            changed: Notify::new(),
        })
    }

    async fn root(objects: &dyn Objects, random: &dyn Random) -> Result<Root, StoreError> {
        let unreadable = |error: FormatError| error.of(&Key::Root);
        let key = Key::Root.to_string();
        for _ in 0..Self::TRIES {
            if let Some(object) = objects.get(&key).await? {
                return Root::decode(&object.bytes).map_err(unreadable);
            }
            let root = Root::new(random);
            let bytes = root.encode().map_err(unreadable)?;
            if let Landing::Landed(_) = objects.create(&key, bytes).await? {
                return Ok(root);
            }
        }
        Err(restless(&Key::Root))
    }

    fn bounds(&self) -> Bounds {
        self.objects.bounds()
    }

    fn token(&self) -> u64 {
        self.random.next_u64()
    }

    fn cell(&self, name: BatchName) -> Cell {
        let mut cells = self.cells.lock().unwrap_or_else(PoisonError::into_inner);
        if cells.len() >= Self::MAX_REMEMBERED {
            // Whoever holds one goes on with it.
            cells.retain(|_, cell| Arc::strong_count(cell) > 1);
        }
        Arc::clone(cells.entry(name).or_default())
    }

    /// A new name for a batch.
    fn new_name(&self, jobs: u16) -> BatchName {
        let now = self.bounds().middle();
        let mut last = self
            .last_name
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let name = BatchName::mint(now, jobs, &*self.random);
        let name = match *last {
            Some(last) if last.stamp() == name.stamp() => last.next(jobs, &*self.random),
            _ => name,
        };
        *last = Some(name);
        name
    }

    fn note_fresh(&self, name: BatchName) {
        let mut fresh = self.fresh.lock().unwrap_or_else(PoisonError::into_inner);
        if fresh.len() >= Self::MAX_REMEMBERED {
            fresh.clear();
        }
        fresh.insert(name);
    }

    /// Whether nobody can have put this batch before. Asked once only.
    fn take_fresh(&self, name: BatchName) -> bool {
        let mut fresh = self.fresh.lock().unwrap_or_else(PoisonError::into_inner);
        fresh.remove(&name)
    }

    fn remember_place(&self, id: &JobId, key: BatchKey) {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        if places.len() >= Self::MAX_REMEMBERED {
            places.clear();
        }
        places.insert(id.clone(), key);
    }

    fn remembered_place(&self, id: &JobId) -> Option<BatchKey> {
        let places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        places.get(id).copied()
    }
}

/// The error of an object that changes faster than it can be changed here.
fn restless(key: &Key) -> StoreError {
    StoreError::new(
        ErrorKind::Unavailable,
        format!(
            "the object `{key}` could not be written: others keep changing it, or answers are lost"
        ),
    )
}

#[async_trait]
impl Store for ObjectStore {
    fn info(&self) -> StoreInfo {
        StoreInfo {
            system: self.objects.system(),
            location: self.objects.location(),
            clock_error: self.bounds().error(),
        }
    }

    async fn now(&self) -> Result<Timestamp, StoreError> {
        Ok(self.bounds().middle())
    }

    async fn mint(&self, places: &[Place]) -> Result<Vec<JobId>, StoreError> {
        self.mint_ids(places).await
    }

    async fn enqueue(
        &self,
        jobs: Vec<NewJob>,
    ) -> Result<Vec<Result<Enqueued, StoreError>>, StoreError> {
        let answers = self.enqueue_jobs(jobs).await;
        self.changed.notify_waiters();
        answers
    }

    async fn claim(&self, request: &ClaimRequest) -> Result<Vec<Claimed>, StoreError> {
        self.claim_jobs(request).await
    }

    async fn heartbeat(&self, beats: &[Beat]) -> Result<Vec<BeatAnswer>, StoreError> {
        self.beat_leases(beats).await
    }

    async fn settle(
        &self,
        settlements: Vec<Settlement>,
    ) -> Result<Vec<Result<Settled, StoreError>>, StoreError> {
        let answers = self.settle_attempts(settlements).await;
        self.changed.notify_waiters();
        answers
    }

    async fn promote(&self, _limit: usize) -> Result<usize, StoreError> {
        // A job whose time has come is told from its due time.
        Ok(0)
    }

    async fn rescue(&self, limit: usize) -> Result<Vec<Rescued>, StoreError> {
        let rescued = self.rescue_jobs(limit).await;
        self.changed.notify_waiters();
        rescued
    }

    async fn get(&self, id: &JobId) -> Result<Option<Job>, StoreError> {
        self.get_job(id).await
    }

    async fn list(
        &self,
        filter: &JobFilter,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<JobPage, StoreError> {
        self.list_jobs(filter, cursor, limit).await
    }

    async fn queue_stats(&self) -> Result<Vec<QueueStats>, StoreError> {
        self.count_jobs().await
    }

    async fn cancel(&self, ids: &[JobId]) -> Result<Vec<Result<JobState, StoreError>>, StoreError> {
        self.stop_jobs(ids, StopRequest::Cancel).await
    }

    async fn discard(
        &self,
        ids: &[JobId],
    ) -> Result<Vec<Result<JobState, StoreError>>, StoreError> {
        self.stop_jobs(ids, StopRequest::Discard).await
    }

    async fn retry_now(
        &self,
        ids: &[JobId],
    ) -> Result<Vec<Result<JobState, StoreError>>, StoreError> {
        let answers = self.retry_jobs(ids).await;
        self.changed.notify_waiters();
        answers
    }

    async fn pause(&self, queue: &QueueName) -> Result<(), StoreError> {
        self.set_paused(queue, true).await
    }

    async fn resume(&self, queue: &QueueName) -> Result<(), StoreError> {
        let answer = self.set_paused(queue, false).await;
        self.changed.notify_waiters();
        answer
    }

    async fn prune(&self, request: &PruneRequest) -> Result<usize, StoreError> {
        self.prune_jobs(request).await
    }

    async fn wait(&self, queues: &[QueueName], timeout: Duration) {
        // Running out of time is an ordinary end of a wait.
        let _elapsed = tokio::time::timeout(timeout, self.wait_until_due(queues)).await;
    }

    async fn read_document(&self, name: &str) -> Result<Option<Document>, StoreError> {
        self.document(name).await
    }

    async fn write_document(
        &self,
        name: &str,
        expected: u64,
        body: Bytes,
    ) -> Result<u64, StoreError> {
        self.put_document(name, expected, Some(body)).await
    }

    async fn delete_document(&self, name: &str, expected: u64) -> Result<(), StoreError> {
        self.put_document(name, expected, None).await?;
        Ok(())
    }

    async fn list_documents(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<DocumentEntry>, StoreError> {
        self.documents(prefix, after, limit).await
    }
}
