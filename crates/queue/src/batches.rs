//! Batches: jobs that belong together, and the jobs that follow once they are over.

pub(crate) mod enqueue;
pub(crate) mod finish;
pub(crate) mod handle;
pub(crate) mod mark;
pub(crate) mod marks;
pub(crate) mod papers;
pub(crate) mod request;

use std::sync::Arc;

use longshore_core::batch::{
    Batch as Record, CallbackKind, Counts, End, Membership, PREFIX, State,
};
use longshore_core::{BatchId, Document, Job, JobId, Kind, Store, StoreError, Timestamp};

use self::papers::Papers;
use crate::producer::Producer;

pub use self::enqueue::EnqueuedBatch;
pub use self::handle::BatchHandle;
pub use self::request::Batch;

/// The batches of a store. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Batches {
    producer: Producer,
}

/// How a batch stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchStatus {
    /// Its id.
    pub id: BatchId,
    /// Where it is in its life.
    pub state: State,
    /// When it was made.
    pub created_at: Timestamp,
    /// When all of its members were over.
    pub over_at: Option<Timestamp>,
    /// How many members it has.
    pub members: u32,
    /// How many of them are over, and how.
    pub counts: Counts,
    /// What follows.
    pub callbacks: Vec<BatchCallback>,
}

/// A job that follows a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchCallback {
    /// When it follows.
    pub when: CallbackKind,
    /// Which handler runs it.
    pub kind: Kind,
    /// Its id, from when on it is there.
    pub id: JobId,
}

impl Batches {
    /// The batches of the producer's store.
    #[must_use]
    pub const fn new(producer: Producer) -> Self {
        Self { producer }
    }

    fn store(&self) -> &Arc<dyn Store> {
        self.producer.store()
    }

    /// How a batch stands. The pages of its members that are not all over are read, so that the
    /// counts are those of now; a worker that died may have left up to a minute's ends unnoted.
    ///
    /// # Errors
    /// The store could not be asked.
    pub async fn get(&self, id: &BatchId) -> Result<Option<BatchStatus>, StoreError> {
        let papers = Papers::new(&**self.store(), id);
        let Some((batch, _)) = papers.batch().await? else {
            return Ok(None);
        };
        let mut counts = batch.counts();
        for page in unended(&batch) {
            if let Some((ends, _)) = papers.ends(page).await? {
                counts = counts.plus(ends.counts());
            }
        }
        Ok(Some(status(id, &batch, counts)))
    }

    /// A part of the batches, in the order of their ids: at most `limit` of those that come after
    /// `after`. Of batches that run only pages that are over wholly are counted;
    /// [`Batches::get`] looks closer.
    ///
    /// # Errors
    /// The store could not be asked.
    pub async fn list(
        &self,
        after: Option<&BatchId>,
        limit: usize,
    ) -> Result<Vec<BatchStatus>, StoreError> {
        let after = after.map(BatchId::document);
        let limit = limit.min(Document::MAX_LISTED);
        let named = self.store().list_documents(PREFIX, after.as_deref(), limit);
        let mut all = Vec::new();
        for entry in named.await? {
            let Some(id) = id_of(&entry.name, PREFIX) else {
                continue;
            };
            if let Some((batch, _)) = Papers::new(&**self.store(), &id).batch().await? {
                all.push(status(&id, &batch, batch.counts()));
            }
        }
        Ok(all)
    }

    /// The members that were over without success, or are not over: at most `limit` ids, with how
    /// each was over.
    ///
    /// # Errors
    /// The store could not be asked.
    pub async fn unsuccessful(
        &self,
        id: &BatchId,
        limit: usize,
    ) -> Result<Vec<(JobId, Option<End>)>, StoreError> {
        let papers = Papers::new(&**self.store(), id);
        let mut found = Vec::new();
        let Some((batch, _)) = papers.batch().await? else {
            return Ok(found);
        };
        let clean = |page: &longshore_core::batch::Page| {
            page.ended.is_some_and(|counts| counts.unsuccessful() == 0)
        };
        for (number, _) in (0u16..).zip(batch.pages()).filter(|(_, page)| !clean(page)) {
            let (members, ends) = (papers.members(number).await?, papers.ends(number).await?);
            let (Some((members, _)), Some((ends, _))) = (members, ends) else {
                continue;
            };
            for (slot, member) in (0u16..).zip(members.0) {
                let end = ends.get(slot);
                if !matches!(end, Some(End::Completed | End::Absent)) {
                    found.push((member, end));
                }
                if found.len() >= limit {
                    return Ok(found);
                }
            }
        }
        Ok(found)
    }

    /// Notes that a job is over, if it is and is a member of a batch: for whoever cancelled or
    /// discarded it. Without this, a worker finds out within a minute.
    ///
    /// # Errors
    /// The store could not be asked.
    pub async fn note(&self, job: &Job) -> Result<(), StoreError> {
        let (Some(end), Some(member)) = (End::of(job.state), Membership::of(job)) else {
            return Ok(());
        };
        let marks = [(member.slot, end)];
        mark::mark(&self.producer, &member.batch, member.page, &marks).await
    }
}

/// The pages whose members are not all over.
fn unended(batch: &Record) -> impl Iterator<Item = u16> {
    let pages = (0u16..).zip(batch.pages());
    pages
        .filter(|(_, page)| page.ended.is_none())
        .map(|(number, _)| number)
}

/// The batch that a document is of, by its name.
pub(crate) fn id_of(name: &str, prefix: &str) -> Option<BatchId> {
    name.strip_prefix(prefix)?.parse().ok()
}

fn status(id: &BatchId, batch: &Record, counts: Counts) -> BatchStatus {
    let callback = |(when, callback): (CallbackKind, &longshore_core::batch::Callback)| {
        let (kind, id) = (callback.kind().clone(), when.job_id(id));
        BatchCallback { when, kind, id }
    };
    BatchStatus {
        id: id.clone(),
        state: batch.state(),
        created_at: batch.created_at,
        over_at: batch.over_at(),
        members: batch.members(),
        counts,
        callbacks: batch.callbacks().map(callback).collect(),
    }
}
