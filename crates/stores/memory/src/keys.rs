//! Who has which unique key.

use std::collections::HashMap;

use longshore_core::unique::Met;
use longshore_core::{Enqueued, ErrorKind, Job, JobId, NewJob, QueueName, StoreError, Timestamp};

use crate::rows::RowNumber;

/// A key belongs to its queue.
type Key = (QueueName, String);

/// Who has a key.
#[derive(Debug)]
pub(crate) enum Holder {
    Row(RowNumber),
    /// A job that was pruned before its window was over.
    Pruned(Reserved),
}

/// What is left of a pruned job while its window lasts.
#[derive(Clone, Debug)]
pub(crate) struct Reserved {
    pub(crate) id: JobId,
    hash: u64,
    until: Timestamp,
}

impl Reserved {
    /// What becomes of a new job whose key this is.
    pub(crate) fn met_by(self, new: &NewJob) -> Result<Enqueued, StoreError> {
        let same = new.unique_key.as_ref().map(|unique| unique.hash) == Some(self.hash);
        match new.on_conflict.meets(same, false) {
            Met::Refused => Err(key_taken(&self.id)),
            Met::Hit | Met::Replace => Ok(Enqueued::Hit {
                id: self.id,
                span: None,
            }),
        }
    }
}

/// Every key that a job has. A key whose window is over stays until somebody asks for it.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    rows: HashMap<Key, RowNumber>,
    reserved: HashMap<Key, Reserved>,
}

impl Keys {
    /// The row that has this key, unless its window is over.
    pub(crate) fn row(&self, key: &Key) -> Option<RowNumber> {
        self.rows.get(key).copied()
    }

    /// The pruned job that has this key.
    pub(crate) fn reserved(&self, key: &Key, now: Timestamp) -> Option<&Reserved> {
        let reserved = self.reserved.get(key);
        reserved.filter(|reserved| now < reserved.until)
    }

    /// The window of whoever had this key is over.
    pub(crate) fn forget(&mut self, key: &Key) {
        self.rows.remove(key);
    }

    pub(crate) fn forget_lapsed(&mut self, now: Timestamp) {
        self.reserved.retain(|_, reserved| now < reserved.until);
    }

    /// Keeps the key of a job that goes, for as long as its window lasts.
    pub(crate) fn reserve(&mut self, job: &Job, now: Timestamp) {
        let Some(unique) = &job.unique_key else {
            return;
        };
        let Some(until) = unique.scope.ends_at(job.enqueued_at) else {
            return;
        };
        let key = (job.queue.clone(), unique.key.clone());
        if job.holds_unique_key(now) {
            let (id, hash) = (job.id.clone(), unique.hash);
            self.reserved.insert(key, Reserved { id, hash, until });
        }
    }

    pub(crate) fn index(&mut self, number: RowNumber, job: &Job) {
        if let Some(key) = wanted(job) {
            // A row whose window is over does not take its key back from a later one.
            self.rows.entry(key).or_insert(number);
        }
    }

    pub(crate) fn unindex(&mut self, number: RowNumber, job: &Job) {
        if let Some(key) = wanted(job)
            && self.rows.get(&key) == Some(&number)
        {
            self.rows.remove(&key);
        }
    }
}

/// The key that a job has unless its window is over.
fn wanted(job: &Job) -> Option<Key> {
    let unique = job.unique_key.as_ref()?;
    job.holds_unique_key(job.enqueued_at)
        .then(|| (job.queue.clone(), unique.key.clone()))
}

pub(crate) fn key_taken(holder: &JobId) -> StoreError {
    StoreError::new(
        ErrorKind::Conflict,
        format!("the unique key is held by job {holder}"),
    )
}
