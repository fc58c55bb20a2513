//! A batch, as a member of it sees it.

use longshore_core::batch::{METADATA_ENDED, Membership};
use longshore_core::{BatchId, StoreError};

use super::request::Drafts;
use crate::attempt::Attempt;
use crate::request::JobRequest;

/// The batch that a running job is a member of.
#[derive(Clone, Debug)]
pub struct BatchHandle {
    id: BatchId,
    attempt: Attempt,
}

impl BatchHandle {
    /// The id of the batch.
    #[must_use]
    pub const fn id(&self) -> &BatchId {
        &self.id
    }

    /// Adds members to the batch, which is over only once these are too. They carry this attempt's
    /// trace, tenant and namespace on. Up to 1,000 calls can do this for one batch: add many jobs in
    /// one call. A retried attempt adds them again, unless they have ids. How many were added.
    ///
    /// # Errors
    /// `Invalid` if a value is not allowed or there would be too many members; `Conflict` if the
    /// batch is over, which cannot be while the job holds its lease.
    pub async fn add(&self, requests: Vec<JobRequest>) -> Result<usize, StoreError> {
        let producer = self.attempt.producer();
        let child = |request| self.attempt.child(request);
        let requests = requests.into_iter().map(child).collect();
        let drafts = Drafts::of(producer, &self.id, requests)?;
        producer.add_to_batch(&self.id, drafts).await
    }
}

impl Attempt {
    /// The batch that the job is a member of, if it is one.
    #[must_use]
    pub fn batch(&self) -> Option<BatchHandle> {
        let member = Membership::of(self.job())?;
        Some(BatchHandle {
            id: member.batch,
            attempt: self.clone(),
        })
    }

    /// The batch that the job follows, if it is the callback of one.
    #[must_use]
    pub fn ended_batch(&self) -> Option<BatchId> {
        self.job().metadata.get(METADATA_ENDED)?.parse().ok()
    }
}
