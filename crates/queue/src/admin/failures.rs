//! What goes wrong with jobs: their failures, those that are alike as one.

use longshore_core::failure::Failures;
use longshore_core::{JobFilter, JobPage, JobState, StoreError};

use super::Admin;

impl Admin {
    /// Gathers the failed attempts of the jobs that match; without states those of the jobs that
    /// failed and run again, or do not. `tell` hears how many jobs were looked at so far.
    ///
    /// # Errors
    /// As the store says.
    pub async fn failures(
        &self,
        filter: &JobFilter,
        mut tell: impl FnMut(u64),
    ) -> Result<Failures, StoreError> {
        let mut filter = filter.clone();
        if filter.states.is_empty() {
            filter.states = vec![JobState::Retryable, JobState::Discarded];
        }
        let (mut failures, mut looked, mut cursor) = (Failures::default(), 0, None::<String>);
        loop {
            let page = self
                .store()
                .list(&filter, cursor.as_deref(), JobPage::MAX_JOBS)
                .await?;
            page.jobs.iter().for_each(|job| failures.add(job));
            looked += page.jobs.len() as u64;
            tell(looked);
            cursor = page.next_cursor;
            if cursor.is_none() {
                return Ok(failures);
            }
        }
    }
}
