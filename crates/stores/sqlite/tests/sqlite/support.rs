//! A folder of its own for each test, and jobs to put in.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use longshore_core::{
    ClaimRequest, Claimed, JobId, NewJob, Place, QueueName, Store, StoreError, WorkerId,
};
use longshore_sqlite::rusqlite::Connection;
use longshore_sqlite::{SqliteOptions, SqliteStore};
pub(crate) use longshore_testkit::harness::completion as complete;

/// A folder that goes when it is dropped.
#[derive(Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("longshore-sqlite-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.0.join("jobs.db")
    }

    /// A path beside the folder, in a directory that everybody may reach.
    pub(crate) fn outside(&self, name: &str) -> PathBuf {
        let folder = self.0.with_extension("outside");
        std::fs::create_dir_all(&folder).unwrap();
        folder.join(name)
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.0.join("jobs.db-wal")
    }

    /// Copies everything in the log back into the file.
    pub(crate) fn checkpoint(&self) {
        let conn = Connection::open(self.file()).unwrap();
        let busy: i64 = conn
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))
            .unwrap();
        assert_eq!(busy, 0);
    }

    pub(crate) fn store(&self) -> SqliteStore {
        open(&self.file())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _gone = std::fs::remove_dir_all(&self.0);
        let _gone = std::fs::remove_dir_all(self.0.with_extension("outside"));
    }
}

pub(crate) fn open(file: &Path) -> SqliteStore {
    SqliteStore::open(SqliteOptions::at(file)).unwrap()
}

pub(crate) fn queue() -> QueueName {
    "work".parse().unwrap()
}

pub(crate) fn job(id: JobId, args: impl Into<bytes::Bytes>) -> NewJob {
    NewJob::new(id, queue(), "count".parse().unwrap(), args)
}

pub(crate) async fn jobs(store: &dyn Store, count: usize) -> Vec<NewJob> {
    let ids = store.mint(&vec![Place::new(queue()); count]).await.unwrap();
    ids.into_iter().map(|id| job(id, "{}")).collect()
}

pub(crate) async fn claim(store: &dyn Store, limit: usize) -> Vec<Claimed> {
    try_claim(store, limit).await.unwrap()
}

pub(crate) async fn claim_of(store: &dyn Store, queue: &QueueName) -> Vec<Claimed> {
    store.claim(&request(queue.clone(), 1)).await.unwrap()
}

pub(crate) async fn try_claim(store: &dyn Store, limit: usize) -> Result<Vec<Claimed>, StoreError> {
    store.claim(&request(queue(), limit)).await
}

fn request(queue: QueueName, limit: usize) -> ClaimRequest {
    let worker = WorkerId::new("tester");
    ClaimRequest::new(worker, vec![queue], limit, Duration::from_secs(30))
}
