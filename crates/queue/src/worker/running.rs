//! The attempts that run now.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use longshore_core::{Beat, JobId};

use crate::attempt::{Attempt, StopReason};

/// The attempts between claim and settle, for heartbeats and shutdown. In the order of their ids, so
/// that a simulation is the same at every run.
#[derive(Debug, Default)]
pub(crate) struct Running {
    attempts: Mutex<BTreeMap<JobId, Attempt>>,
}

impl Running {
    pub(crate) fn insert(&self, attempt: Attempt) {
        let id = attempt.job().id.clone();
        self.lock().insert(id, attempt);
    }

    pub(crate) fn remove(&self, id: &JobId) {
        self.lock().remove(id);
    }

    pub(crate) fn get(&self, id: &JobId) -> Option<Attempt> {
        self.lock().get(id).cloned()
    }

    pub(crate) fn claim_of(&self, id: &JobId) -> Option<u32> {
        self.lock().get(id).map(|attempt| attempt.job().claim)
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

    fn lock(&self) -> MutexGuard<'_, BTreeMap<JobId, Attempt>> {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
