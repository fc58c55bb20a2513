//! Batches: jobs that belong together, and what is to be enqueued once they are over.
//!
//! Everything is decided here, from values; `longshore-queue` reads and writes the documents. A
//! [`Batch`] says of how many jobs, in pages, it consists and what follows; the ids of a page's
//! members lie in a document that does not change ([`Members`]), and who of them is over in a small
//! one that does ([`Ends`]). A page whose members are all over is noted in the batch, and once all
//! pages are, the batch is over and its callbacks are enqueued, under ids that belong to it.
//!
//! Ends only ever grow ([`End`] says in which order), so that it does not matter who marks them,
//! in which order and how often.

mod callback;
mod ends;
mod members;
mod standing;

pub use callback::{Callback, CallbackKind};
pub use ends::{Counts, End, Ends};
pub use members::Members;
pub use standing::{Batch, Page, State};

use crate::error::{ErrorKind, StoreError};
use crate::job::Job;
use crate::name::BatchId;

/// The metadata of a job that names the batch it is a member of.
pub const METADATA_BATCH: &str = "longshore.batch";
/// The metadata of a member that says which one it is, from 0.
pub const METADATA_MEMBER: &str = "longshore.batch.member";
/// The metadata of a callback that names the batch it follows.
pub const METADATA_ENDED: &str = "longshore.batch.ended";

/// What the names of the documents of batches that are not finished begin with: workers look at
/// these alone.
pub const OPEN_PREFIX: &str = "batches-open/";
/// What the names of the documents of all batches begin with.
pub const PREFIX: &str = "batches/";

/// Names of the documents of a batch.
impl BatchId {
    /// The batch itself.
    #[must_use]
    pub fn document(&self) -> String {
        format!("{PREFIX}{self}")
    }

    /// Says that the batch is not finished.
    #[must_use]
    pub fn open_document(&self) -> String {
        format!("{OPEN_PREFIX}{self}")
    }

    /// The ids of the members of a page.
    #[must_use]
    pub fn members_document(&self, page: u16) -> String {
        format!("batch-members/{self}/{page:05}")
    }

    /// Which members of a page are over.
    #[must_use]
    pub fn ends_document(&self, page: u16) -> String {
        format!("batch-ends/{self}/{page:05}")
    }
}

/// Where in a batch a job is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// The batch.
    pub batch: BatchId,
    /// The page.
    pub page: u16,
    /// Its place in the page, from 0.
    pub slot: u16,
}

impl Membership {
    /// That of a job, if it is a member of a batch.
    #[must_use]
    pub fn of(job: &Job) -> Option<Self> {
        let number = job.metadata.get(METADATA_MEMBER)?.parse::<u32>().ok()?;
        let batch = job.metadata.get(METADATA_BATCH)?.parse().ok()?;
        let page_size = u32::from(Batch::PAGE);
        Some(Self {
            batch,
            page: u16::try_from(number / page_size).ok()?,
            slot: u16::try_from(number % page_size).ok()?,
        })
    }

    /// The number of the member, as its metadata says it.
    #[must_use]
    pub fn number(&self) -> u32 {
        u32::from(self.page) * u32::from(Batch::PAGE) + u32::from(self.slot)
    }
}

fn corrupt(what: &str, problem: impl std::fmt::Display) -> StoreError {
    StoreError::new(
        ErrorKind::Corrupt,
        format!("the {what} of a batch cannot be read: {problem}"),
    )
}

fn invalid(problem: impl Into<String>) -> StoreError {
    StoreError::new(ErrorKind::Invalid, problem)
}

#[cfg(test)]
mod tests;
