//! What people ask of jobs: to stop, or to run again.

use longshore_core::{Job, JobId, JobState, StopRequest, StoreError};

use super::ObjectStore;
use super::change::{Haste, Try};
use super::enqueue::job_of;
use crate::draft::Draft;

impl ObjectStore {
    pub(super) async fn stop_jobs(
        &self,
        ids: &[JobId],
        stop: StopRequest,
    ) -> Result<Vec<Result<JobState, StoreError>>, StoreError> {
        let named = ids.to_vec();
        let apply = move |draft: &mut Draft, item: usize, index: u16, tried: Try| {
            draft
                .job(index)
                .filter(|job| named.get(item) == Some(&job.id))?;
            draft.stop(index, stop, tried.now.middle())
        };
        let answers = self.change_jobs(ids, Haste::Now, apply).await;
        let answers = answers.into_iter().zip(ids);
        let answers = answers.map(|(answer, id)| answer?.ok_or_else(|| StoreError::not_found(id)));
        Ok(answers.collect())
    }

    pub(super) async fn retry_jobs(
        &self,
        ids: &[JobId],
    ) -> Result<Vec<Result<JobState, StoreError>>, StoreError> {
        let mut answers = Vec::new();
        for id in ids {
            answers.push(self.retry_job(id).await);
        }
        Ok(answers)
    }

    async fn retry_job(&self, id: &JobId) -> Result<JobState, StoreError> {
        let place = self.place_of(id).await?;
        let (at, index) = place.ok_or_else(|| StoreError::not_found(id))?;
        let state = self
            .load(at)
            .await?
            .ok_or_else(|| StoreError::not_found(id))?;
        let job = job_of(&state, index).ok_or_else(|| StoreError::not_found(id))?;
        if self.wants_key_again(&job)? {
            self.retake_key(&job, state.batch().key).await?;
        }
        let apply = move |draft: &mut Draft, tried: Try| draft.retry_now(index, tried.now.middle());
        let answer = self.change(at, Haste::Now, apply).await?.flatten();
        answer.unwrap_or_else(|| Err(StoreError::not_found(id)))
    }

    /// Whether a manual retry gives a job a unique key that it let go of.
    fn wants_key_again(&self, job: &Job) -> Result<bool, StoreError> {
        let now = self.bounds().middle();
        let mut after = job.clone();
        after.apply_retry_now(now)?;
        Ok(after.holds_unique_key(now) && !job.holds_unique_key(now))
    }
}
