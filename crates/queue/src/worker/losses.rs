//! Attempts that were lost, and whose spans nobody may have written: who took the job back may have
//! died before they were safe.
//!
//! So whoever ends the next attempt of the job writes them again, under the same ids. They leave
//! once if that is the worker that wrote them, and otherwise twice, the same.

use std::sync::{Mutex, PoisonError};

use longshore_core::{AttemptOutcome, AttemptRecord, Job, JobId, Rescued};
use longshore_instrument::{Recorder, Span};

use super::Shared;
use super::recent::Recent;
use crate::maintenance::rescuer::lost_spans;

/// The lost attempts, by job and claim, whose spans this worker has written.
#[derive(Debug, Default)]
pub(crate) struct Losses {
    written: Mutex<Recent<(JobId, u32)>>,
}

impl Losses {
    /// The spans of these lost attempts, and of those before them that [`before`] gives, are where
    /// they survive this process.
    pub(crate) fn wrote(&self, rescued: &[Rescued]) {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        for one in rescued {
            for lost in latest(&one.job) {
                written.add((one.job.id.clone(), lost.claim));
            }
        }
    }

    fn has(&self, job: &Job, lost: &AttemptRecord) -> bool {
        let written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        written.has(&(job.id.clone(), lost.claim))
    }
}

/// The spans of the lost attempts right before the one that `job` is at, but for those that this
/// worker has written.
pub(crate) fn before(shared: &Shared, recorder: &dyn Recorder, job: &Job) -> Vec<Span> {
    latest(job)
        .filter(|lost| !shared.losses.has(job, lost))
        .flat_map(|lost| {
            let (job, lost) = (job.clone(), lost.clone());
            lost_spans(recorder, &Rescued { job, lost })
        })
        .collect()
}

/// The lost attempts after the last one whose own worker has written its spans.
fn latest(job: &Job) -> impl Iterator<Item = &AttemptRecord> {
    // The row names the span of every attempt that was settled by a worker with telemetry.
    let latest = job.history.iter().rev();
    let latest = latest.take_while(|record| record.span_id.is_none());
    latest.filter(|record| record.outcome == AttemptOutcome::Lost)
}
