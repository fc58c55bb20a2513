//! What came, and what became of it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use longshore_spanlog::Kind;

/// What a receiver was sent so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReceiverCounters {
    /// Spans that are in the span log.
    pub spans: u64,
    /// Spans that are not, since they have no ids or were too many; their senders know.
    pub rejected_spans: u64,
    /// Log records that are in the span log.
    pub log_records: u64,
    /// Log records that are not; their senders know.
    pub rejected_log_records: u64,
    /// Requests of which nothing was taken, by reason: `malformed`, `too_large`, `unsupported`,
    /// `forbidden`, `broken_off`, `busy`, `unwritable`.
    pub refused: BTreeMap<&'static str, u64>,
}

#[derive(Debug, Default)]
pub(super) struct Tally {
    spans: Pair,
    log_records: Pair,
    refused: Mutex<BTreeMap<&'static str, u64>>,
}

#[derive(Debug, Default)]
struct Pair {
    taken: AtomicU64,
    rejected: AtomicU64,
}

impl Tally {
    pub(super) fn taken(&self, kind: Kind, items: usize) {
        self.of(kind)
            .taken
            .fetch_add(items as u64, Ordering::Relaxed);
    }

    pub(super) fn rejected(&self, kind: Kind, items: usize) {
        self.of(kind)
            .rejected
            .fetch_add(items as u64, Ordering::Relaxed);
    }

    pub(super) fn refused(&self, reason: &'static str) {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        *refused.entry(reason).or_default() += 1;
    }

    pub(super) fn snapshot(&self) -> ReceiverCounters {
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        ReceiverCounters {
            spans: self.spans.taken.load(Ordering::Relaxed),
            rejected_spans: self.spans.rejected.load(Ordering::Relaxed),
            log_records: self.log_records.taken.load(Ordering::Relaxed),
            rejected_log_records: self.log_records.rejected.load(Ordering::Relaxed),
            refused: refused.clone(),
        }
    }

    const fn of(&self, kind: Kind) -> &Pair {
        match kind {
            Kind::LOGS => &self.log_records,
            _ => &self.spans,
        }
    }
}
