//! What leaves by OTLP: spans and log records.

use std::fmt;

use bytes::Bytes;
use longshore_core::Timestamp;
use longshore_instrument::Span;

use crate::counters::Tally;
use crate::encode::{self, Resource, log_records};
use crate::logs::record::LogRecord;
use crate::signal::Signal;

/// One of what a [`Queue`](crate::queue::Queue) takes and a [`Writer`](crate::writer::Writer)
/// writes down.
pub(crate) trait Item: fmt::Debug + Send + Sized + 'static {
    const SIGNAL: Signal;

    /// Counts items that were handed in.
    fn created(items: &[Self], tally: &Tally);

    /// An OTLP export request of these items.
    fn request(resource: &Resource, items: &[Self]) -> Bytes;

    /// When it began and ended.
    fn times(&self) -> (Timestamp, Timestamp);
}

impl Item for Span {
    const SIGNAL: Signal = Signal::Traces;

    fn created(items: &[Self], tally: &Tally) {
        tally.created(items);
    }

    fn request(resource: &Resource, items: &[Self]) -> Bytes {
        encode::request(resource, items)
    }

    fn times(&self) -> (Timestamp, Timestamp) {
        (self.start, self.end)
    }
}

impl Item for LogRecord {
    const SIGNAL: Signal = Signal::Logs;

    fn created(items: &[Self], tally: &Tally) {
        tally.created_by_application(items.len());
    }

    fn request(resource: &Resource, items: &[Self]) -> Bytes {
        log_records::request(resource, items)
    }

    fn times(&self) -> (Timestamp, Timestamp) {
        (self.at, self.at)
    }
}
