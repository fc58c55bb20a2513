//! When a ledger, which is all that is left of a batch, may be deleted.
//!
//! Ledger last, and only once nothing can come that would need it: a listing that is late, a
//! request that lingered in the network, a parent that has yet to see that its follow-ups were
//! made. What is looked at, and in which order, is part of the rule.

use std::time::Duration;

use longshore_core::{JobState, Timestamp};

use crate::batch_key::{BatchKey, CLOCK_TOLERANCE, VOID_AFTER};
use crate::job_row::JobRow;
use crate::key::Key;
use crate::ledger::{Ledger, Standing};

/// The least time that jobs which are over are kept: 75 minutes, after which no request of their
/// batch's time can land any more.
pub const MIN_RETENTION: Duration = Duration::from_secs(75 * 60);

/// What the pruner has to find before it deletes a ledger, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conditions {
    /// These are not in a listing of the index: the ledger's entry, and its original batch.
    pub absent: Vec<Key>,
    /// For follow-ups: this ledger is gone, or names them no more.
    pub origin: Option<BatchKey>,
}

/// What has to be found before this ledger, dated `modified`, is deleted; `None` if it is too early
/// whatever is found. `least` is the least that the server's time can be.
#[must_use]
pub fn conditions(
    ledger: &Ledger,
    modified: Timestamp,
    retention: Duration,
    least: Timestamp,
) -> Option<Conditions> {
    let retention = retention.max(MIN_RETENTION);
    // Follow-ups need no look: the entry went only after they were made.
    let is_done = ledger.is_over(None) && ledger.carried.is_some();
    let is_old = modified.after(retention) < least && ledger.key.name.has_expired(least);
    if !is_done || !is_old {
        return None;
    }
    let (entry, batch) = (ledger.entry_key(), Key::Batch(ledger.key));
    let mut absent = vec![entry];
    if absent.first() != Some(&batch) {
        absent.push(batch);
    }
    let origin = ledger.carried.as_ref().and_then(|batch| batch.origin);
    Some(Conditions { absent, origin })
}

/// When the last of a ledger's jobs was over, and how each ended; `None` if one is not over.
#[must_use]
pub fn ends(ledger: &Ledger) -> Option<(Timestamp, Vec<JobState>)> {
    let rows = ledger
        .standings
        .iter()
        .filter_map(|standing| match standing {
            Standing::Changed(row) => Some(&**row),
            Standing::AsEnqueued | Standing::Absent => None,
        });
    let rows: Vec<&JobRow> = rows.collect();
    if !ledger.is_over(None) {
        return None;
    }
    let last = rows.iter().filter_map(|row| row.finished_at).max();
    // One that bars jobs from coming has none.
    let last = last.or_else(|| ledger.pruned.then(|| ledger.key.name.stamp()))?;
    Some((last, rows.iter().map(|row| row.state).collect()))
}

// Two instants of the same rule: what may still land, and what may already be deleted.
const _: () = assert!(
    MIN_RETENTION.as_secs() >= VOID_AFTER.as_secs() + CLOCK_TOLERANCE.as_secs(),
    "a ledger outlives every request that could still create its batch"
);

#[cfg(test)]
mod tests;
