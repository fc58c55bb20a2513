//! What a receiver of OTLP in this process was sent.

use std::collections::BTreeMap;

use super::table::{
    RECEIVER_ACCEPTED, RECEIVER_DROPPED, RECEIVER_RECEIVED, RECEIVER_REDACTED, RECEIVER_REJECTED,
    RECEIVER_REQUESTS,
};
use super::text::Text;
use crate::redact::Rule;

/// What a receiver of OTLP was sent so far, and what became of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReceiverCounters {
    /// Requests by protocol (`grpc`, `http/protobuf`, `http/json`) and outcome: `taken`, or why
    /// nothing of them was.
    pub requests: BTreeMap<(&'static str, &'static str), u64>,
    /// The spans in them.
    pub spans: ReceivedItems,
    /// The log records in them.
    pub log_records: ReceivedItems,
    /// Pieces of text that redaction hid, by rule.
    pub redacted: BTreeMap<Rule, u64>,
}

/// What became of the spans, or of the log records, of requests that could be read. Once a request
/// is answered, all that was received is accepted, rejected or dropped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReceivedItems {
    /// How many there were.
    pub received: u64,
    /// Those that are written down, or went with the job whose program sent them.
    pub accepted: u64,
    /// Those that will never be taken, by reason; their senders know.
    pub rejected: BTreeMap<&'static str, u64>,
    /// Those that could not be kept, by reason; senders are told to send again what is `busy` or
    /// `unwritable`.
    pub dropped: BTreeMap<&'static str, u64>,
}

impl ReceiverCounters {
    /// These and those of another receiver of the process.
    #[must_use]
    pub fn with(mut self, other: &Self) -> Self {
        add(&mut self.requests, &other.requests);
        add(&mut self.redacted, &other.redacted);
        self.spans.add(&other.spans);
        self.log_records.add(&other.log_records);
        self
    }

    /// Requests of this outcome, whatever their protocol.
    #[must_use]
    pub fn requests_of(&self, outcome: &str) -> u64 {
        let of_outcome = self.requests.iter().filter(|((_, of), _)| *of == outcome);
        of_outcome.map(|(_, count)| count).sum()
    }
}

impl ReceivedItems {
    fn add(&mut self, other: &Self) {
        self.received += other.received;
        self.accepted += other.accepted;
        add(&mut self.rejected, &other.rejected);
        add(&mut self.dropped, &other.dropped);
    }
}

fn add<K: Copy + Ord>(counts: &mut BTreeMap<K, u64>, others: &BTreeMap<K, u64>) {
    for (key, count) in others {
        *counts.entry(*key).or_default() += count;
    }
}

pub(super) fn write(text: &mut Text, counters: &ReceiverCounters) {
    let signals = [
        ("spans", &counters.spans),
        ("log_records", &counters.log_records),
    ];
    let mut samples = text.metric(RECEIVER_REQUESTS);
    for ((protocol, outcome), count) in &counters.requests {
        samples.number(&[protocol, outcome], count);
    }
    let mut samples = text.metric(RECEIVER_RECEIVED);
    for (signal, items) in signals {
        samples.number(&[signal], items.received);
    }
    let mut samples = text.metric(RECEIVER_ACCEPTED);
    for (signal, items) in signals {
        samples.number(&[signal], items.accepted);
    }
    let mut samples = text.metric(RECEIVER_REJECTED);
    for (signal, items) in signals {
        for (reason, count) in &items.rejected {
            samples.number(&[signal, reason], count);
        }
    }
    let mut samples = text.metric(RECEIVER_DROPPED);
    for (signal, items) in signals {
        for (reason, count) in &items.dropped {
            samples.number(&[signal, reason], count);
        }
    }
    let mut samples = text.metric(RECEIVER_REDACTED);
    for (rule, count) in &counters.redacted {
        samples.number(&[rule.as_str()], count);
    }
}
