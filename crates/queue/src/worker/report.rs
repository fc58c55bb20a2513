//! What a worker did.

use std::sync::atomic::{AtomicU64, Ordering};

use longshore_core::AttemptOutcome;
use longshore_instrument::HookMiss;

/// How many attempts ended how, in one run of a worker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WorkerReport {
    /// The handler succeeded.
    pub completed: u64,
    /// The handler failed and the job runs again.
    pub retried: u64,
    /// What the handler needs was not there yet; the job runs again.
    pub not_yet: u64,
    /// The handler asked to run later.
    pub snoozed: u64,
    /// The job was given up.
    pub cancelled: u64,
    /// The job failed for good.
    pub discarded: u64,
    /// Given back unfinished at shutdown, or claimed [ahead](crate::WorkerOptions::claim_ahead) and not
    /// begun within 250 ms.
    pub handed_back: u64,
    /// The lease was lost while the handler ran; nothing was settled.
    pub leases_lost: u64,
    /// Leases of vanished workers that this one took back.
    pub rescued: u64,
    /// Attempts whose outcome could not be stored before the worker had to stop; their jobs run
    /// again once their leases expire.
    pub unsettled: u64,
    /// Claimed and given back at once, since a [limit](crate::LimitControl) had no room. Not
    /// counted as attempts.
    pub over_limit: u64,
    /// State changes that a [hook](crate::WorkerBuilder::on_state_change) missed, since it was too
    /// far behind or the worker had ended.
    pub hooks_missed: u64,
    /// Calls of hooks that panicked.
    pub hook_panics: u64,
}

/// The counts while the worker runs.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    completed: AtomicU64,
    retried: AtomicU64,
    not_yet: AtomicU64,
    snoozed: AtomicU64,
    cancelled: AtomicU64,
    discarded: AtomicU64,
    handed_back: AtomicU64,
    pub(crate) leases_lost: AtomicU64,
    pub(crate) rescued: AtomicU64,
    pub(crate) unsettled: AtomicU64,
    pub(crate) over_limit: AtomicU64,
    hooks_missed: AtomicU64,
    hook_panics: AtomicU64,
}

impl Counters {
    pub(crate) fn count(&self, outcome: AttemptOutcome) {
        let counter = match outcome {
            AttemptOutcome::Completed => &self.completed,
            AttemptOutcome::Retried => &self.retried,
            AttemptOutcome::NotYet => &self.not_yet,
            AttemptOutcome::Snoozed => &self.snoozed,
            AttemptOutcome::Cancelled => &self.cancelled,
            AttemptOutcome::Discarded => &self.discarded,
            AttemptOutcome::HandedBack => &self.handed_back,
            AttemptOutcome::Lost => &self.leases_lost,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_hook_miss(&self, reason: HookMiss, changes: u64) {
        let counter = match reason {
            HookMiss::Backlog | HookMiss::Shutdown => &self.hooks_missed,
            HookMiss::Panic => &self.hook_panics,
        };
        counter.fetch_add(changes, Ordering::Relaxed);
    }

    pub(crate) fn report(&self) -> WorkerReport {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        WorkerReport {
            completed: read(&self.completed),
            retried: read(&self.retried),
            not_yet: read(&self.not_yet),
            snoozed: read(&self.snoozed),
            cancelled: read(&self.cancelled),
            discarded: read(&self.discarded),
            handed_back: read(&self.handed_back),
            leases_lost: read(&self.leases_lost),
            rescued: read(&self.rescued),
            unsettled: read(&self.unsettled),
            over_limit: read(&self.over_limit),
            hooks_missed: read(&self.hooks_missed),
            hook_panics: read(&self.hook_panics),
        }
    }
}
