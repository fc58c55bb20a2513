//! The store: the contract on objects.

mod admin;
mod attempts;
mod candidates;
mod cell;
mod change;
mod claim;
mod counting;
mod documents;
mod enqueue;
mod follow_up;
mod import;
mod index;
mod lines;
mod listing;
mod load;
mod names;
mod parallel;
mod prune;
mod registry;
mod rescue;
mod reserve;
mod survey;
mod sweep;
mod turns;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use longshore_core::{
    Beat, BeatAnswer, ClaimRequest, Claimed, Document, DocumentEntry, Enqueued, ErrorKind, Import,
    Imported, Job, JobFilter, JobId, JobPage, JobState, NewJob, Place, PruneRequest, QueueName,
    QueueStats, Random, Rescued, Settled, Settlement, StopRequest, Store, StoreError, StoreInfo,
    Timestamp, WorkerId,
};
use tokio::sync::Notify;

use crate::batch_key::{BatchKey, BatchName};
use crate::format::FormatError;
use crate::key::Key;
use crate::minted_id::StoreMark;
use crate::objects::{Landing, Objects};
use crate::prune::MIN_RETENTION;
use crate::root::Root;
use crate::server_clock::Bounds;
use crate::store::cell::{Cells, Remembered};
use crate::store::lines::Lines;
use crate::store::names::Listed;
use crate::store::prune::Cursors;
use crate::store::registry::Registry;
use crate::store::rescue::Leases;
use crate::store::survey::Summaries;
pub use crate::store::sweep::Swept;
use crate::store::turns::Register;
use crate::tuning::Tuning;

/// A store of jobs on object storage. Any number of processes may use one bucket and prefix.
#[derive(Debug)]
pub struct ObjectStore {
    objects: Arc<dyn Objects>,
    random: Arc<dyn Random>,
    mark: StoreMark,
    tuning: Tuning,
    registry: Registry,
    /// Hints only: what is written is conditional on the version that was read.
    cells: Cells,
    lines: Lines,
    register: Register,
    /// When the leases of batches were looked at, and what that found.
    looked: Remembered<BatchName, (Timestamp, Leases)>,
    /// The versions of documents by their names, with the ETags under which they were read.
    versions: Remembered<String, (String, u64)>,
    summaries: Summaries,
    listed: Listed,
    cursors: Cursors,
    /// When to look whether it is time for a sweep.
    next_look: Mutex<Option<Timestamp>>,
    /// Where jobs lie whose ids do not say it.
    places: Remembered<JobId, (BatchKey, u16)>,
    /// Batches that were named here, and not put.
    fresh: Remembered<BatchName, ()>,
    /// The last name that was given here: those of one moment are in the order they were given.
    last_name: Mutex<Option<BatchName>>,
    /// Who claimed last.
    worker: Mutex<Option<WorkerId>>,
    changed: Notify,
}

impl ObjectStore {
    /// How often a request that was refused, or had no answer, is followed by a look and another.
    const TRIES: usize = 20;

    /// Opens the store that lies there, or makes one where none is.
    ///
    /// # Errors
    /// `Unavailable`: the storage does not answer. `Invalid`: it refuses, or a newer program made the
    /// store. `Corrupt`: the root cannot be read.
    pub async fn open(
        objects: Arc<dyn Objects>,
        random: Arc<dyn Random>,
    ) -> Result<Self, StoreError> {
        Self::open_with(objects, random, Tuning::default()).await
    }

    /// The same, with other times and sizes than the usual ones.
    ///
    /// # Errors
    /// As [`ObjectStore::open`].
    pub async fn open_with(
        objects: Arc<dyn Objects>,
        random: Arc<dyn Random>,
        tuning: Tuning,
    ) -> Result<Self, StoreError> {
        let root = Self::root(&*objects, &*random).await?;
        Ok(Self {
            objects,
            random,
            mark: root.mark,
            tuning,
            registry: Registry::default(),
            cells: Cells::default(),
            lines: Lines::default(),
            register: Register::default(),
            looked: Remembered::default(),
            versions: Remembered::default(),
            summaries: Summaries::default(),
            listed: Listed::default(),
            cursors: Cursors::default(),
            next_look: Mutex::default(),
            places: Remembered::default(),
            fresh: Remembered::default(),
            last_name: Mutex::default(),
            worker: Mutex::default(),
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

    /// Puts in order what crashes and late requests have left, if nobody has for six hours and this
    /// process has claimed jobs. Every [`Store::prune`] does it too.
    ///
    /// # Errors
    /// As any call; what was put in order until then stays so.
    pub async fn sweep(&self) -> Result<Swept, StoreError> {
        self.sweep_in_turn().await
    }

    fn bounds(&self) -> Bounds {
        self.objects.bounds()
    }

    fn token(&self) -> u64 {
        self.random.next_u64()
    }

    /// A new name for a batch, stamped with `now`.
    fn new_name(&self, now: Timestamp, jobs: u16) -> BatchName {
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
        self.fresh.put(name, ());
    }

    /// Whether nobody can have put this batch before.
    fn is_fresh(&self, name: BatchName) -> bool {
        self.fresh.get(&name).is_some()
    }

    /// The same, asked once only.
    fn take_fresh(&self, name: BatchName) -> bool {
        self.fresh.take(&name).is_some()
    }

    fn remember_place(&self, id: &JobId, key: BatchKey, index: u16) {
        self.places.put(id.clone(), (key, index));
    }

    fn remembered_place(&self, id: &JobId) -> Option<(BatchKey, u16)> {
        self.places.get(id)
    }

    fn note_worker(&self, worker: &WorkerId) {
        let mut last = self.worker.lock().unwrap_or_else(PoisonError::into_inner);
        if last.as_ref() != Some(worker) {
            *last = Some(worker.clone());
        }
    }

    fn last_worker(&self) -> Option<WorkerId> {
        let last = self.worker.lock().unwrap_or_else(PoisonError::into_inner);
        last.clone()
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
impl Import for ObjectStore {
    async fn import(
        &self,
        jobs: Vec<Job>,
    ) -> Result<Vec<Result<Imported, StoreError>>, StoreError> {
        let answers = self.import_jobs(jobs).await;
        self.changed.notify_waiters();
        answers
    }
}

#[async_trait]
impl Store for ObjectStore {
    fn info(&self) -> StoreInfo {
        StoreInfo {
            system: self.objects.system(),
            location: self.objects.location(),
            clock_error: self.bounds().error(),
            keeps_over_for: MIN_RETENTION,
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
        let pruned = self.prune_jobs(request).await?;
        // Nothing waits for the sweep: what it could not do, the next one does.
        if self.tuning.sweeps {
            let _ = self.sweep_in_turn().await;
        }
        Ok(pruned)
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
