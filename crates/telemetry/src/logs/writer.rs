//! The thread that encodes log records and puts them into the backlog.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use longshore_core::{Clock, Timestamp};
use longshore_spanlog::Class;
use tokio::sync::Notify;

use super::queue::{RecordQueue, Work};
use super::record::LogRecord;
use crate::backlog::{Inlet, Parcel, Stage};
use crate::encode::{Resource, log_records};
use crate::minutely::Minutely;
use crate::origin::Origin;

/// What the thread works with.
#[derive(Debug)]
pub(crate) struct RecordWriter {
    pub(crate) queue: Arc<RecordQueue>,
    pub(crate) inlet: Inlet,
    pub(crate) clock: Arc<dyn Clock>,
    /// How many parcels were written that are to be exported.
    pub(crate) parcels: Arc<AtomicU64>,
    /// Tells the exporter that there is something new.
    pub(crate) written: Arc<Notify>,
    pub(crate) warning: Minutely,
}

impl RecordWriter {
    /// Runs until the queue is closed and empty.
    pub(crate) fn run(mut self, origin: Origin) {
        let resource = origin.resource();
        loop {
            match self.queue.next() {
                Work::Records(records) => self.write(&resource, &records),
                Work::Flushed(done) => {
                    for done in done {
                        let _nobody_waits = done.send(());
                    }
                }
                Work::Idle => {}
                Work::End => return,
            }
            self.inlet.tick();
        }
    }

    /// Writes records down, in as many parcels as their size asks for.
    fn write(&mut self, resource: &Resource, records: &[LogRecord]) {
        let body = log_records::request(resource, records);
        if body.len() > self.inlet.max_bytes() && records.len() > 1 {
            let (left, right) = records.split_at(records.len() / 2);
            self.write(resource, left);
            self.write(resource, right);
            return;
        }
        let at =
            |record: Option<&LogRecord>| record.map_or(Timestamp::UNIX_EPOCH, |record| record.at);
        let parcel = Parcel {
            body,
            spans: records.len(),
            class: Class::Base,
            stage: Stage::Final,
            times: (at(records.first()), at(records.last())),
        };
        if let Err(refused) = self.inlet.append(parcel) {
            self.queue.tally().dropped(refused.reason, records.len());
            if self.warning.is_due(self.clock.monotonic()) {
                tracing::warn!(
                    target: "longshore",
                    reason = refused.reason.as_str(),
                    "log records cannot be written down for export and are dropped: {}; jobs go on, this is said once a minute at most",
                    refused.what
                );
            }
            return;
        }
        self.parcels.fetch_add(1, Ordering::Release);
        self.written.notify_one();
    }
}
