//! The jobs of a store, page by page, and each as a whole.

use std::collections::BTreeMap;
use std::sync::Arc;

use longshore_core::{ErrorKind, Job, JobFilter, JobId, Store, StoreError};
use tokio::task::JoinSet;

use super::refuse_running;

/// Most jobs of a page.
const PAGE: usize = 1000;
/// How many jobs are asked for at a time: that many are in memory at most, besides those that wait
/// to be brought.
pub(super) const AT_ONCE: usize = 32;

/// Where the pages of a listing begin, the newest first.
#[derive(Debug)]
pub(super) struct Pages {
    cursors: Vec<Option<String>>,
    jobs: u64,
}

impl Pages {
    /// Goes through the listing once. It keeps a cursor for a thousand jobs.
    pub(super) async fn find(
        store: &dyn Store,
        tell: &mut (dyn FnMut(u64) + Send),
    ) -> Result<Self, StoreError> {
        let (mut cursors, mut jobs) = (vec![None], 0u64);
        loop {
            let cursor = cursors.last().and_then(Option::as_deref);
            let page = store.list(&JobFilter::default(), cursor, PAGE).await?;
            page.jobs.iter().try_for_each(refuse_running)?;
            jobs += page.jobs.len() as u64;
            tell(jobs);
            match page.next_cursor {
                Some(next) => cursors.push(Some(next)),
                None => return Ok(Self { cursors, jobs }),
            }
        }
    }

    pub(super) const fn jobs(&self) -> u64 {
        self.jobs
    }

    pub(super) fn oldest_first(&self) -> impl Iterator<Item = Option<&str>> {
        self.cursors.iter().rev().map(Option::as_deref)
    }
}

/// The jobs of the page that begins here, newest first, and where the next one begins.
pub(super) async fn ids_after(
    store: &dyn Store,
    cursor: Option<&str>,
) -> Result<(Vec<JobId>, Option<String>), StoreError> {
    let page = store.list(&JobFilter::default(), cursor, PAGE).await?;
    let ids = page.jobs.into_iter().map(|job| job.id).collect();
    Ok((ids, page.next_cursor))
}

/// Whole jobs, in the order of their ids; those that were deleted meanwhile are left out. A listing
/// may leave out large parts, so each job is asked for alone, all of them at a time.
pub(super) async fn load(store: &Arc<dyn Store>, ids: &[JobId]) -> Result<Vec<Job>, StoreError> {
    let mut asked = JoinSet::new();
    for (place, id) in ids.iter().cloned().enumerate() {
        let store = Arc::clone(store);
        asked.spawn(async move { (place, store.get(&id).await) });
    }
    let mut found: BTreeMap<usize, Job> = BTreeMap::new();
    while let Some(answer) = asked.join_next().await {
        let (place, job) = answer.map_err(|error| {
            let message = "reading a job ended in a panic: report this as a bug";
            StoreError::new(ErrorKind::Internal, message).with_source(error)
        })?;
        if let Some(job) = job? {
            refuse_running(&job)?;
            found.insert(place, job);
        }
    }
    Ok(found.into_values().collect())
}
