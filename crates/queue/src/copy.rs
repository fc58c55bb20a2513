//! Copying a store into another one, of whatever kind.
//!
//! Jobs go page by page, the oldest first, so that jobs which became due at one time keep their order;
//! then the documents. What was copied is found out by reading both stores anew. While a copy goes on,
//! and after one that was interrupted, a document of the target says where it came from: the same copy
//! may be repeated and goes on, and any other is refused.

mod contents;
mod documents;
mod pages;

use std::sync::Arc;

use bytes::Bytes;
use longshore_core::{
    ErrorKind, Import, Imported, Job, JobFilter, JobState, Store, StoreError, StoreInfo,
};
use serde::{Deserialize, Serialize};

use crate::Workers;
pub use contents::Contents;
use pages::Pages;

/// The document that says that a copy into the store has begun, and from where.
const MARK: &str = "store-copy";

/// Most jobs that one call brings.
const MAX_JOBS: usize = 500;
/// As many bytes of jobs are enough for one call.
const MAX_BYTES: usize = 8 << 20;

/// What a copy does at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyStep {
    /// It looks for the pages of the source.
    Looking,
    /// It copies jobs.
    Copying,
    /// It reads both stores and compares them.
    Comparing,
}

/// How far a copy is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CopyProgress {
    /// What it does.
    pub step: CopyStep,
    /// How many jobs were dealt with.
    pub done: u64,
    /// Of how many, if that is known.
    pub of: Option<u64>,
}

/// Who is told how far a copy is.
pub type CopyWatch<'a> = &'a mut (dyn FnMut(CopyProgress) + Send);

/// What a copy did, and what both stores have now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copied {
    /// Jobs that were stored.
    pub stored: u64,
    /// Jobs that were there from a copy before.
    pub present: u64,
    /// What the source has.
    pub source: Contents,
    /// What the target has.
    pub target: Contents,
}

impl Copied {
    /// Whether the target has what the source has.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.source == self.target
    }
}

/// A copy of a store.
#[derive(Debug)]
pub struct StoreCopy {
    from: Arc<dyn Store>,
    to: Arc<dyn Import>,
}

/// What a target says of the copy that is made into it.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Mark {
    system: String,
    location: String,
}

impl Mark {
    fn of(info: StoreInfo) -> Self {
        Self {
            system: info.system.to_owned(),
            location: info.location,
        }
    }

    fn read(body: &[u8]) -> Result<Self, StoreError> {
        serde_json::from_slice(body).map_err(|error| {
            StoreError::new(
                ErrorKind::Corrupt,
                format!("the document `{MARK}` of the target cannot be read: {error}"),
            )
        })
    }
}

impl StoreCopy {
    /// A copy of what `from` has into `to`.
    #[must_use]
    pub const fn new(from: Arc<dyn Store>, to: Arc<dyn Import>) -> Self {
        Self { from, to }
    }

    /// From where a copy into this store began that is not whole yet: what there is may be a part of
    /// it, and none of it should run.
    ///
    /// # Errors
    /// The store could not be asked, or `Corrupt`: what it says of the copy cannot be read.
    pub async fn unfinished(store: &dyn Store) -> Result<Option<String>, StoreError> {
        let Some(document) = store.read_document(MARK).await? else {
            return Ok(None);
        };
        let Mark { system, location } = Mark::read(&document.body)?;
        Ok(Some(format!("the {system} store at {location}")))
    }

    /// How many jobs run at the source, as its counts say.
    ///
    /// # Errors
    /// The source could not be asked.
    pub async fn running(&self) -> Result<u64, StoreError> {
        let stats = self.from.queue_stats().await?;
        Ok(stats.iter().map(|stats| stats.running).sum())
    }

    /// Looks whether the copy can be made, and changes nothing: the target is another store than the
    /// source, has nothing but what the same copy has left, and no worker there would run at once what
    /// comes.
    ///
    /// # Errors
    /// `Invalid` with what is in the way, and what either store says.
    pub async fn check(&self) -> Result<(), StoreError> {
        let (from, to) = (Mark::of(self.from.info()), Mark::of(self.to.info()));
        let refuse = |problem: String| Err(StoreError::new(ErrorKind::Invalid, problem));
        // Stores in memory have no place that tells them apart.
        if from == to && from.system != "memory" {
            return refuse(format!(
                "both are the store at {}: name another one to copy to",
                to.location
            ));
        }
        let workers = Workers::list(&*self.to).await?;
        let mut alive = workers.entries.iter();
        if let Some(worker) = alive.find(|worker| worker.unseen_for(workers.as_of).is_none()) {
            return refuse(format!(
                "worker {} on {} works at the target and would run jobs while they come: stop it first",
                worker.id, worker.host
            ));
        }
        if let Some(document) = self.to.read_document(MARK).await? {
            let mark = Mark::read(&document.body)?;
            if mark == from {
                return Ok(());
            }
            return refuse(format!(
                "the target has what a copy of the {} store at {} left: repeat that copy, or \
                 copy to a store that is empty",
                mark.system, mark.location
            ));
        }
        let stats = self.to.queue_stats().await?;
        let mut documents = documents::Names::of(&*self.to);
        if !stats.is_empty() || documents.next().await?.is_some() || has_jobs(&*self.to).await? {
            return refuse(format!(
                "the target at {} is not empty: copy to a store that no job was ever in",
                to.location
            ));
        }
        Ok(())
    }

    /// Makes the copy, or goes on with it, and compares both stores.
    ///
    /// What happens at the source meanwhile is missed, and found out at the end: then the two differ,
    /// and repeating the copy brings what is new.
    ///
    /// # Errors
    /// As [`StoreCopy::check`]; `Conflict` if a job runs at the source, and what either store says.
    pub async fn run(&self, watch: CopyWatch<'_>) -> Result<Copied, StoreError> {
        self.check().await?;
        let pages = self.look(watch).await?;
        self.mark().await?;
        contents::copy_pauses(&*self.from, &*self.to).await?;
        let (stored, present) = self.copy_jobs(&pages, watch).await?;
        documents::copy(&*self.from, &*self.to).await?;
        let mut tell = comparing(watch, pages.jobs().saturating_mul(2));
        let to: Arc<dyn Store> = Arc::<dyn Import>::clone(&self.to);
        let copied = Copied {
            stored,
            present,
            source: Contents::read(&self.from, &mut tell).await?,
            target: Contents::read(&to, &mut tell).await?,
        };
        if copied.is_whole()
            && let Some(mark) = self.to.read_document(MARK).await?
        {
            self.to.delete_document(MARK, mark.version).await?;
        }
        Ok(copied)
    }

    /// What the source has.
    ///
    /// # Errors
    /// As [`StoreCopy::run`] of the source.
    pub async fn survey(&self, watch: CopyWatch<'_>) -> Result<Contents, StoreError> {
        let total = self.look(watch).await?.jobs();
        let mut tell = comparing(watch, total);
        Contents::read(&self.from, &mut tell).await
    }

    /// Where the pages of the source begin; no job may run.
    async fn look(&self, watch: CopyWatch<'_>) -> Result<Pages, StoreError> {
        let mut tell = |done| {
            watch(CopyProgress {
                step: CopyStep::Looking,
                done,
                of: None,
            });
        };
        Pages::find(&*self.from, &mut tell).await
    }

    async fn mark(&self) -> Result<(), StoreError> {
        if self.to.read_document(MARK).await?.is_some() {
            return Ok(());
        }
        let mark = serde_json::to_vec(&Mark::of(self.from.info())).map_err(|error| {
            StoreError::new(
                ErrorKind::Internal,
                "the mark of a copy could not be written",
            )
            .with_source(error)
        })?;
        let written = self.to.write_document(MARK, 0, Bytes::from(mark)).await;
        written.map(drop)
    }

    /// Brings all jobs, oldest first; gives back how many were stored, and how many were there.
    async fn copy_jobs(
        &self,
        pages: &Pages,
        watch: CopyWatch<'_>,
    ) -> Result<(u64, u64), StoreError> {
        let mut batch = Batch::default();
        for cursor in pages.oldest_first() {
            let (mut ids, _next) = pages::ids_after(&*self.from, cursor).await?;
            ids.reverse();
            for ids in ids.chunks(pages::AT_ONCE) {
                let jobs = pages::load(&self.from, ids).await?;
                batch.take(jobs, &*self.to).await?;
                watch(CopyProgress {
                    step: CopyStep::Copying,
                    done: batch.stored + batch.present,
                    of: Some(pages.jobs()),
                });
            }
        }
        batch.bring(&*self.to).await?;
        Ok((batch.stored, batch.present))
    }
}

/// Tells of jobs that were read to be compared, of so many.
fn comparing(watch: CopyWatch<'_>, of: u64) -> impl FnMut(u64) + Send {
    let mut done = 0;
    move |more| {
        done += more;
        watch(CopyProgress {
            step: CopyStep::Comparing,
            done,
            of: Some(of),
        });
    }
}

/// Jobs that are brought by one call, and what became of those before them.
#[derive(Debug, Default)]
struct Batch {
    jobs: Vec<Job>,
    bytes: usize,
    stored: u64,
    present: u64,
}

impl Batch {
    fn add(&mut self, job: Job) {
        let parts = [
            Some(&job.args),
            job.checkpoint.as_ref(),
            job.result.as_ref(),
        ];
        self.bytes += parts.into_iter().flatten().map(Bytes::len).sum::<usize>();
        self.jobs.push(job);
    }

    /// Adds jobs, and brings those that are enough for a call.
    async fn take(&mut self, jobs: Vec<Job>, to: &dyn Import) -> Result<(), StoreError> {
        for job in jobs {
            self.add(job);
            if self.jobs.len() >= MAX_JOBS || self.bytes >= MAX_BYTES {
                self.bring(to).await?;
            }
        }
        Ok(())
    }

    async fn bring(&mut self, to: &dyn Import) -> Result<(), StoreError> {
        self.bytes = 0;
        for answer in to.import(std::mem::take(&mut self.jobs)).await? {
            match answer? {
                Imported::Stored => self.stored += 1,
                Imported::Present => self.present += 1,
            }
        }
        Ok(())
    }
}

async fn has_jobs(store: &dyn Store) -> Result<bool, StoreError> {
    let mut cursor: Option<String> = None;
    loop {
        let page = store
            .list(&JobFilter::default(), cursor.as_deref(), 1)
            .await?;
        if !page.jobs.is_empty() {
            return Ok(true);
        }
        match page.next_cursor {
            Some(next) => cursor = Some(next),
            None => return Ok(false),
        }
    }
}

/// The error of a source at which a job runs.
fn refuse_running(job: &Job) -> Result<(), StoreError> {
    if job.state != JobState::Running {
        return Ok(());
    }
    let worker = job
        .worker
        .as_ref()
        .map_or("nobody", |worker| worker.as_str());
    Err(StoreError::new(
        ErrorKind::Conflict,
        format!(
            "job {} of queue {} runs at the source, by {worker}: stop the workers there, or pause the \
             queue, and wait until nothing runs",
            job.id, job.queue
        ),
    ))
}
