//! What came, and what became of it.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use longshore_spanlog::Kind;
use longshore_telemetry::metrics::{ReceivedItems, ReceiverCounters};

use super::fault::{Fault, Rejected};
use super::refusal::Refusal;

/// The counts of a receiver. All labels are words of this crate, so there are few of them.
#[derive(Debug)]
pub(super) struct Tally(Mutex<ReceiverCounters>);

impl Default for Tally {
    /// What usually occurs is there at zero: Prometheus sees no increase where a series begins.
    fn default() -> Self {
        let mut counters = ReceiverCounters::default();
        for protocol in ["grpc", "http/protobuf", "http/json"] {
            for outcome in Refusal::REASONS.into_iter().chain(["taken"]) {
                counters.requests.insert((protocol, outcome), 0);
            }
        }
        for of_kind in [&mut counters.spans, &mut counters.log_records] {
            of_kind.dropped = BTreeMap::from([("busy", 0), ("unwritable", 0)]);
            of_kind.rejected = BTreeMap::from([(Fault::TooMany.reason(), 0)]);
        }
        counters.spans.rejected = Fault::ALL.map(|fault| (fault.reason(), 0)).into();
        Self(Mutex::new(counters))
    }
}

impl Tally {
    /// A request was answered.
    pub(super) fn answered(&self, protocol: &'static str, outcome: &'static str) {
        let mut counters = self.counters();
        *counters.requests.entry((protocol, outcome)).or_default() += 1;
    }

    /// So many were in a request.
    pub(super) fn received(&self, kind: Kind, items: usize) {
        of(&mut self.counters(), kind).received += items as u64;
    }

    /// So many of them are kept.
    pub(super) fn accepted(&self, kind: Kind, items: usize) {
        of(&mut self.counters(), kind).accepted += items as u64;
    }

    /// These of them never will be.
    pub(super) fn rejected(&self, kind: Kind, rejected: &Rejected) {
        let mut counters = self.counters();
        let of_kind = &mut of(&mut counters, kind).rejected;
        for (fault, items) in rejected.by_fault() {
            *of_kind.entry(fault.reason()).or_default() += items as u64;
        }
    }

    /// So many of them could not be kept.
    pub(super) fn dropped(&self, kind: Kind, reason: &'static str, items: usize) {
        if items > 0 {
            let mut counters = self.counters();
            let of_kind = &mut of(&mut counters, kind).dropped;
            *of_kind.entry(reason).or_default() += items as u64;
        }
    }

    /// All of it as it stands now.
    pub(super) fn snapshot(&self) -> ReceiverCounters {
        self.counters().clone()
    }

    fn counters(&self) -> MutexGuard<'_, ReceiverCounters> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const fn of(counters: &mut ReceiverCounters, kind: Kind) -> &mut ReceivedItems {
    match kind {
        Kind::LOGS => &mut counters.log_records,
        _ => &mut counters.spans,
    }
}
