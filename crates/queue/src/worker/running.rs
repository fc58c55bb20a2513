//! The attempts that run now.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use longshore_core::{Beat, Job, JobId, LeaseToken};

use crate::attempt::{Attempt, StopReason};

/// The attempts between claim and settle, for heartbeats and shutdown. In the order of their ids, so
/// that a simulation is the same at every run. By claim too, since a job may be claimed again while
/// the settle of its last attempt is still on its way back.
#[derive(Debug, Default)]
pub(crate) struct Running {
    attempts: Mutex<BTreeMap<(JobId, u32), Attempt>>,
}

impl Running {
    pub(crate) fn insert(&self, attempt: Attempt) {
        self.lock().insert(key_of(attempt.job()), attempt);
    }

    /// Removes the attempt of the job's claim, and no other of the job.
    pub(crate) fn remove(&self, job: &Job) {
        self.lock().remove(&key_of(job));
    }

    /// The attempt that holds, or held, this lease.
    pub(crate) fn get(&self, id: &JobId, token: LeaseToken) -> Option<Attempt> {
        let attempts = self.lock();
        let of_the_job = attempts.range((id.clone(), 0)..=(id.clone(), u32::MAX));
        let mut of_the_job = of_the_job.map(|(_, attempt)| attempt);
        of_the_job.find(|attempt| attempt.holds(token)).cloned()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    /// A beat for every attempt.
    pub(crate) fn beats(&self, lease: Duration) -> Vec<Beat> {
        let attempts = self.lock();
        attempts
            .values()
            .filter(|attempt| attempt.stop_reason() != Some(StopReason::LeaseLost))
            .map(|attempt| attempt.beat(lease))
            .collect()
    }

    /// Asks every handler to stop.
    pub(crate) fn stop_all(&self, reason: StopReason) {
        for attempt in self.lock().values() {
            attempt.stop(reason);
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<(JobId, u32), Attempt>> {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key_of(job: &Job) -> (JobId, u32) {
    (job.id.clone(), job.claim)
}
