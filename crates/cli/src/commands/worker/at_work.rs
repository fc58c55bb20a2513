//! The jobs whose programs run, for the words that a worker says when it is stopped.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use longshore_core::JobId;

use crate::text;

/// Most jobs that are named.
const NAMED: usize = 10;

/// The jobs that the workers of a process run now.
#[derive(Clone, Debug, Default)]
pub(crate) struct AtWork(Arc<Mutex<Vec<JobId>>>);

/// A job that runs, until this is dropped.
#[derive(Debug)]
pub(super) struct Running {
    job: JobId,
    all: AtWork,
}

impl AtWork {
    /// A job runs from now on.
    pub(super) fn begin(&self, job: JobId) -> Running {
        self.lock().push(job.clone());
        Running {
            job,
            all: self.clone(),
        }
    }

    /// What is waited for, for `grace` at most; `None` if nothing runs.
    pub(crate) fn waited_for(&self, grace: Duration) -> Option<String> {
        let most = grace.as_secs();
        let count = self.lock().len();
        match count {
            0 => None,
            1 => Some(format!(
                "stopping: waiting for 1 job that runs (at most {most} s; Ctrl-C again leaves it, and \
                 it runs again when its lease ends)"
            )),
            _ => Some(format!(
                "stopping: waiting for {count} jobs that run (at most {most} s; Ctrl-C again leaves \
                 them, and they run again when their leases end)"
            )),
        }
    }

    /// What is left by a process that ends at once; `None` if nothing runs.
    pub(crate) fn left(&self) -> Option<String> {
        let ids: Vec<String> = self.lock().iter().map(ToString::to_string).collect();
        let again = match ids.len() {
            0 => return None,
            1 => "it runs again when its lease ends",
            _ => "they run again when their leases end",
        };
        Some(format!(
            "left {} running: {}; {again}",
            text::counted(ids.len(), "job"),
            text::some(&ids, NAMED, ", ")
        ))
    }

    fn lock(&self) -> MutexGuard<'_, Vec<JobId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut jobs = self.all.lock();
        if let Some(at) = jobs.iter().position(|job| *job == self.job) {
            jobs.swap_remove(at);
        }
    }
}
