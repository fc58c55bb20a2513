//! The attempts that run now.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use longshore_core::limit::Scope;
use longshore_core::{Beat, Job, JobId, LeaseToken};

use crate::attempt::{Attempt, StopReason};
use crate::limits::holdings::Permits;

/// The attempts between claim and settle, for heartbeats and shutdown. In the order of their ids, so
/// that a simulation is the same at every run. By claim too, since a job may be claimed again while
/// the settle of its last attempt is still on its way back.
#[derive(Debug, Default)]
pub(crate) struct Running {
    attempts: Mutex<BTreeMap<(JobId, u32), Entry>>,
}

/// An attempt, and the permits that it has until it is settled.
#[derive(Debug)]
struct Entry {
    attempt: Attempt,
    permits: Permits,
}

impl Running {
    pub(crate) fn insert(&self, attempt: Attempt, permits: Permits) {
        let key = key_of(attempt.job());
        self.lock().insert(key, Entry { attempt, permits });
    }

    /// Removes the attempt of the job's claim, and no other of the job.
    pub(crate) fn remove(&self, job: &Job) {
        let removed = self.lock().remove(&key_of(job));
        drop(removed);
    }

    /// Removes an attempt that the store may hold for running until `until`: so long nobody else
    /// gets its permits.
    pub(crate) fn remove_unsettled(&self, job: &Job, until: Duration) {
        let removed = self.lock().remove(&key_of(job));
        if let Some(entry) = removed {
            entry.permits.doubt(until);
        }
    }

    /// The attempt that holds, or held, this lease.
    pub(crate) fn get(&self, id: &JobId, token: LeaseToken) -> Option<Attempt> {
        let attempts = self.lock();
        let of_the_job = attempts.range((id.clone(), 0)..=(id.clone(), u32::MAX));
        let mut of_the_job = of_the_job.map(|(_, entry)| &entry.attempt);
        of_the_job.find(|attempt| attempt.holds(token)).cloned()
    }

    /// The attempts that were there at the last call already.
    pub(crate) fn still(&self) -> Vec<Attempt> {
        let attempts = self.lock();
        let all = attempts.values().map(|entry| &entry.attempt);
        all.filter(|attempt| attempt.is_seen_again())
            .cloned()
            .collect()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    /// The jobs of the first attempts.
    pub(crate) fn jobs(&self, most: usize) -> Vec<JobId> {
        let attempts = self.lock();
        attempts
            .keys()
            .take(most)
            .map(|(id, _)| id.clone())
            .collect()
    }

    /// A beat for every attempt whose permits last until `until`: no lease may outlive them.
    pub(crate) fn beats(&self, lease: Duration, until: Duration) -> Vec<Beat> {
        let attempts = self.lock();
        attempts
            .values()
            .filter(|entry| entry.attempt.stop_reason() != Some(StopReason::LeaseLost))
            .filter(|entry| entry.permits.last_until(until))
            .map(|entry| entry.attempt.beat(lease))
            .collect()
    }

    /// Asks every handler to stop.
    pub(crate) fn stop_all(&self, reason: StopReason) {
        for entry in self.lock().values() {
            entry.attempt.stop(reason);
        }
    }

    /// Stops so many attempts that have a permit of this scope, the latest first, as if their
    /// leases were lost.
    pub(crate) fn stop_over(&self, scope: &Scope, most: u32) -> usize {
        let attempts = self.lock();
        let of_scope = attempts
            .values()
            .filter(|entry| entry.permits.are_of(scope));
        let mut of_scope: Vec<&Attempt> = of_scope.map(|entry| &entry.attempt).collect();
        of_scope.sort_by_key(|attempt| std::cmp::Reverse(attempt.job().claimed_at));
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        // Those that were stopped before are on their way out.
        let runs = |attempt: &&Attempt| attempt.stop_reason() != Some(StopReason::LeaseLost);
        let stopped = of_scope.into_iter().take(most).filter(runs);
        stopped
            .map(|attempt| attempt.stop(StopReason::LeaseLost))
            .count()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<(JobId, u32), Entry>> {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key_of(job: &Job) -> (JobId, u32) {
    (job.id.clone(), job.claim)
}
