//! The store: each method of the contract, as a call to the writer or a read.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use longshore_core::round_trip::{self, Request, Server, Target};
use longshore_core::{
    Beat, BeatAnswer, ClaimRequest, Claimed, Clock, Document, DocumentEntry, Enqueued, Job,
    JobFilter, JobId, JobPage, JobState, NewJob, Place, PruneRequest, QueueName, QueueStats,
    Random, Rescued, Settled, Settlement, StopRequest, Store, StoreError, StoreInfo, Timestamp,
};

use crate::counts::Counts;
use crate::error::{about, named};
use crate::examination::{self, Examination};
use crate::identity::{Identity, refuse_orphaned_log};
use crate::options::SqliteOptions;
use crate::readers::Readers;
use crate::wake::Wake;
use crate::writer::Writer;
use crate::{
    admin, claim, connection, document, enqueue, filesystem, heartbeat, listing, query, settle,
};

const SYSTEM: &str = "sqlite";
pub(crate) const JOB: &str = "longshore_job";
const QUEUE: &str = "longshore_queue";
const DOCUMENT: &str = "longshore_document";

/// The embedded store. A clone is another handle on the same connections; the last one to go
/// closes them.
#[derive(Clone)]
pub struct SqliteStore {
    shared: Arc<Shared>,
}

struct Shared {
    path: PathBuf,
    /// As which storage spans name it.
    server: Arc<Server>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    writer: Writer,
    readers: Arc<Readers>,
    wake: Arc<Wake>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.wake.close();
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SqliteStore")
            .field(&self.shared.path)
            .finish()
    }
}

impl SqliteStore {
    /// Opens the store, making the file and bringing its schema up to date as needed. Blocks for
    /// as long as that takes.
    ///
    /// # Errors
    /// `Invalid` if the file is not ours, is newer than this program, may not be written or lies
    /// on a network file system; `Unavailable` if it is busy or the disk is full; `Corrupt` if it
    /// is damaged or was altered by hand. Nothing is written to a file that is refused.
    pub fn open(options: SqliteOptions) -> Result<Self, StoreError> {
        filesystem::refuse_network(&options.path)?;
        let path = options.path.clone();
        Self::start(options).map_err(|error| named(&path, &error))
    }

    fn start(options: SqliteOptions) -> Result<Self, StoreError> {
        refuse_orphaned_log(&options.path)?;
        let conn = connection::writer(&options)?;
        let identity = Identity::of(&options.path);
        let wake = Wake::start(&options.path)?;
        let readers = Arc::new(Readers::new(&options, identity.clone()));
        let writer = Writer::start(conn, &options, identity, Arc::clone(&wake))?;
        let name = options.path.file_name();
        let server = Arc::new(Server {
            system: SYSTEM,
            namespace: name.map(|name| name.to_string_lossy().into_owned()),
            ..Server::default()
        });
        Ok(Self {
            shared: Arc::new(Shared {
                path: options.path,
                server,
                clock: options.clock,
                random: options.random,
                writer,
                readers,
                wake,
            }),
        })
    }

    /// Looks at the whole file: whether it is sound, and how large its log has grown. Reads every
    /// page, so takes seconds per gigabyte; others can go on meanwhile.
    ///
    /// # Errors
    /// `Unavailable` if the file cannot be read; `Invalid` if it was deleted or replaced.
    pub async fn examine(&self) -> Result<Examination, StoreError> {
        let path = self.shared.path.clone();
        self.shared
            .readers
            .read(self.request("SELECT", JOB), move |conn| {
                examination::examine(conn, &path)
            })
            .await
    }

    /// A request begins that does this to a table.
    pub(crate) fn request(&self, operation: &'static str, table: &'static str) -> Request {
        let table = || Target::Collection(table);
        round_trip::begin(&self.shared.server, operation, table)
    }

    pub(crate) fn writer(&self) -> &Writer {
        &self.shared.writer
    }

    async fn stop(
        &self,
        ids: &[JobId],
        stop: StopRequest,
    ) -> Result<Vec<Result<JobState, StoreError>>, StoreError> {
        let request = self.request("UPDATE", JOB).of(ids.len());
        let ids = ids.to_vec();
        self.shared
            .writer
            .call(request, move |write| {
                admin::stop(write.conn, &ids, stop, write.now, &mut write.counts)
            })
            .await
    }

    /// Enqueues jobs within a transaction of the caller's own, on a connection to the store's
    /// file: they are there once the caller commits, and never if it rolls back. `now` is the
    /// time by the store's clock.
    ///
    /// # Errors
    /// As [`Store::enqueue`]; after an error of the whole call the caller must roll back.
    pub fn enqueue_in(
        transaction: &rusqlite::Transaction<'_>,
        jobs: &[NewJob],
        now: Timestamp,
    ) -> Result<Vec<Result<Enqueued, StoreError>>, StoreError> {
        let enqueue = || {
            let mut counts = Counts::default();
            let jobs = enqueue::Checked::new(jobs.to_vec());
            let enqueued = enqueue::enqueue(transaction, &jobs, now, &mut counts)?;
            counts.flush(transaction)?;
            Ok(enqueued)
        };
        let path = transaction.path().unwrap_or_default();
        enqueue().map_err(|error| about(path.as_ref(), error))
    }
}

#[async_trait]
impl Store for SqliteStore {
    fn info(&self) -> StoreInfo {
        StoreInfo {
            system: SYSTEM,
            location: self.shared.path.display().to_string(),
            clock_error: Duration::ZERO,
            keeps_over_for: Duration::ZERO,
        }
    }

    async fn now(&self) -> Result<Timestamp, StoreError> {
        Ok(self.shared.clock.now())
    }

    async fn mint(&self, places: &[Place]) -> Result<Vec<JobId>, StoreError> {
        let (clock, random) = (&self.shared.clock, &self.shared.random);
        let now = clock.now();
        Ok(places
            .iter()
            .map(|_| JobId::generate(now, &**random))
            .collect())
    }

    async fn enqueue(
        &self,
        jobs: Vec<NewJob>,
    ) -> Result<Vec<Result<Enqueued, StoreError>>, StoreError> {
        let request = self.request("INSERT", JOB).of(jobs.len());
        let jobs = enqueue::Checked::new(jobs);
        self.shared
            .writer
            .call(request, move |write| {
                write.wakes = true;
                enqueue::enqueue(write.conn, &jobs, write.now, &mut write.counts)
            })
            .await
    }

    async fn claim(&self, request: &ClaimRequest) -> Result<Vec<Claimed>, StoreError> {
        let request = request.clone();
        self.shared
            .writer
            .call(self.request("UPDATE", JOB), move |write| {
                claim::claim(
                    write.conn,
                    &request,
                    write.random,
                    write.now,
                    &mut write.counts,
                )
            })
            .await
    }

    async fn heartbeat(&self, beats: &[Beat]) -> Result<Vec<BeatAnswer>, StoreError> {
        let request = self.request("UPDATE", JOB).of(beats.len());
        let beats = beats.to_vec();
        self.shared
            .writer
            .call(request, move |write| {
                heartbeat::heartbeat(write.conn, &beats, write.now)
            })
            .await
    }

    async fn settle(
        &self,
        settlements: Vec<Settlement>,
    ) -> Result<Vec<Result<Settled, StoreError>>, StoreError> {
        let request = self.request("UPDATE", JOB).of(settlements.len());
        let settlements = settle::Checked::new(settlements);
        self.shared
            .writer
            .call(request, move |write| {
                let settled =
                    settle::settle(write.conn, &settlements, write.now, &mut write.counts)?;
                let waits = |settled: &Settled| settled.state.is_waiting();
                write.wakes = settled.iter().flatten().any(waits) || settlements.bring_jobs();
                Ok(settled)
            })
            .await
    }

    async fn promote(&self, limit: usize) -> Result<usize, StoreError> {
        self.shared
            .writer
            .call(self.request("UPDATE", JOB), move |write| {
                admin::promote(write.conn, limit, write.now, &mut write.counts)
            })
            .await
    }

    async fn rescue(&self, limit: usize) -> Result<Vec<Rescued>, StoreError> {
        self.shared
            .writer
            .call(self.request("UPDATE", JOB), move |write| {
                let rescued = settle::rescue(write.conn, limit, write.now, &mut write.counts)?;
                write.wakes = !rescued.is_empty();
                Ok(rescued)
            })
            .await
    }

    async fn get(&self, id: &JobId) -> Result<Option<Job>, StoreError> {
        let (id, now) = (id.clone(), self.shared.clock.now());
        self.shared
            .readers
            .read(self.request("SELECT", JOB), move |conn| {
                query::get(conn, &id, now)
            })
            .await
    }

    async fn list(
        &self,
        filter: &JobFilter,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<JobPage, StoreError> {
        let (filter, cursor) = (filter.clone(), cursor.map(str::to_owned));
        let now = self.shared.clock.now();
        self.shared
            .readers
            .read(self.request("SELECT", JOB), move |conn| {
                listing::list(conn, &filter, cursor.as_deref(), limit, now)
            })
            .await
    }

    async fn queue_stats(&self) -> Result<Vec<QueueStats>, StoreError> {
        let now = self.shared.clock.now();
        self.shared
            .readers
            .read(self.request("SELECT", QUEUE), move |conn| {
                query::queue_stats(conn, now)
            })
            .await
    }

    async fn cancel(&self, ids: &[JobId]) -> Result<Vec<Result<JobState, StoreError>>, StoreError> {
        self.stop(ids, StopRequest::Cancel).await
    }

    async fn discard(
        &self,
        ids: &[JobId],
    ) -> Result<Vec<Result<JobState, StoreError>>, StoreError> {
        self.stop(ids, StopRequest::Discard).await
    }

    async fn retry_now(
        &self,
        ids: &[JobId],
    ) -> Result<Vec<Result<JobState, StoreError>>, StoreError> {
        let request = self.request("UPDATE", JOB).of(ids.len());
        let ids = ids.to_vec();
        self.shared
            .writer
            .call(request, move |write| {
                write.wakes = true;
                admin::retry_now(write.conn, &ids, write.now, &mut write.counts)
            })
            .await
    }

    async fn pause(&self, queue: &QueueName) -> Result<(), StoreError> {
        let queue = queue.clone();
        self.shared
            .writer
            .call(self.request("UPDATE", QUEUE), move |write| {
                admin::set_paused(write.conn, &queue, true)
            })
            .await
    }

    async fn resume(&self, queue: &QueueName) -> Result<(), StoreError> {
        let queue = queue.clone();
        self.shared
            .writer
            .call(self.request("UPDATE", QUEUE), move |write| {
                write.wakes = true;
                admin::set_paused(write.conn, &queue, false)
            })
            .await
    }

    async fn prune(&self, request: &PruneRequest) -> Result<usize, StoreError> {
        let request = request.clone();
        self.shared
            .writer
            .call(self.request("DELETE", JOB), move |write| {
                admin::prune(write.conn, &request, write.now, &mut write.counts)
            })
            .await
    }

    async fn wait(&self, queues: &[QueueName], timeout: Duration) {
        // Listening starts before looking, so that nothing falls between the two.
        let listener = self.shared.wake.listen();
        let queues = queues.to_vec();
        let next = self
            .shared
            .readers
            .read(self.request("SELECT", JOB), move |conn| {
                query::next_claimable(conn, &queues)
            })
            .await;
        let due_in = match next {
            Ok(Some(due)) => due.since(self.shared.clock.now()),
            Ok(None) | Err(_) => timeout,
        };
        if !due_in.is_zero() {
            listener.heard(timeout.min(due_in)).await;
        }
    }

    async fn read_document(&self, name: &str) -> Result<Option<Document>, StoreError> {
        let name = name.to_owned();
        self.shared
            .readers
            .read(self.request("SELECT", DOCUMENT), move |conn| {
                document::read(conn, &name)
            })
            .await
    }

    async fn write_document(
        &self,
        name: &str,
        expected: u64,
        body: Bytes,
    ) -> Result<u64, StoreError> {
        let name = name.to_owned();
        self.shared
            .writer
            .call(self.request("UPDATE", DOCUMENT), move |write| {
                document::write(write.conn, &name, expected, &body)
            })
            .await
    }

    async fn delete_document(&self, name: &str, expected: u64) -> Result<(), StoreError> {
        let name = name.to_owned();
        self.shared
            .writer
            .call(self.request("DELETE", DOCUMENT), move |write| {
                document::delete(write.conn, &name, expected)
            })
            .await
    }

    async fn list_documents(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<DocumentEntry>, StoreError> {
        let (prefix, after) = (prefix.to_owned(), after.map(str::to_owned));
        self.shared
            .readers
            .read(self.request("SELECT", DOCUMENT), move |conn| {
                document::list(conn, &prefix, after.as_deref(), limit)
            })
            .await
    }
}
