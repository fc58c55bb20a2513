//! Writes the spans of lost attempts that no other attempt followed, where who took the job back may
//! have died before it wrote them.
//!
//! Such a job was discarded or cancelled, so that no worker has it again. But who took it back was a
//! worker itself, and its entry in the register says until when it lived.

use std::time::Duration;

use longshore_core::register::WorkerEntry;
use longshore_core::transition::LEASE_EXPIRED;
use longshore_core::{JobFilter, JobPage, JobState, Rescued, StoreError, Timestamp};

use super::rescuer;
use crate::worker::Shared;

/// How much earlier than a worker's last sign of life it may have taken back what it did not write.
const EARLIER: Duration = WorkerEntry::EVERY;
/// How much later.
const LATER: Duration = WorkerEntry::UNSEEN_AFTER;
/// Most pages of lost jobs that are looked through, the newest jobs first.
const PAGES: usize = 20;

/// Writes what workers that are gone may have left unwritten. What they had written leaves twice,
/// the same.
///
/// # Errors
/// The store could not be asked.
pub(crate) async fn write(shared: &Shared, gone: &[WorkerEntry]) -> Result<(), StoreError> {
    let Some(recorder) = shared.recorder.as_deref() else {
        return Ok(());
    };
    let filter = JobFilter {
        states: vec![JobState::Discarded, JobState::Cancelled],
        error_class: Some(LEASE_EXPIRED.to_owned()),
        ..JobFilter::default()
    };
    let mut cursor: Option<String> = None;
    for _ in 0..PAGES {
        let listed = shared
            .store
            .list(&filter, cursor.as_deref(), JobPage::MAX_JOBS);
        let page = listed.await?;
        let mut rescued = Vec::new();
        for job in &page.jobs {
            let ended_at = job.last_attempt().map(|lost| lost.ended_at);
            if !ended_at.is_some_and(|at| gone.iter().any(|entry| may_be_of(entry, at))) {
                continue;
            }
            // A listing may leave out args, and lag.
            let Some(job) = shared.store.get(&job.id).await? else {
                continue;
            };
            if let Some(lost) = job.last_attempt().cloned().filter(|_| filter.matches(&job)) {
                rescued.push(Rescued { job, lost });
            }
        }
        rescuer::write_down(shared, recorder, &rescued).await;
        match page.next_cursor {
            Some(next) => cursor = Some(next),
            None => break,
        }
    }
    Ok(())
}

/// Whether a worker that is gone may have taken a job back then, and died of it.
fn may_be_of(entry: &WorkerEntry, ended_at: Timestamp) -> bool {
    let seen_at = entry.seen_at;
    seen_at <= ended_at.after(EARLIER) && ended_at <= seen_at.after(LATER)
}
