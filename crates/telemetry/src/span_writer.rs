//! The thread that encodes spans and puts them into the backlog: it may wait for a disk, so that
//! nobody else has to.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use longshore_core::{Clock, Timestamp};
use longshore_instrument::Span;
use longshore_spanlog::Class;
use tokio::sync::Notify;

use crate::backlog::{Inlet, Parcel, Stage};
use crate::counters::DropReason;
use crate::encode::{self, Resource};
use crate::minutely::Minutely;
use crate::origin::Origin;
use crate::span_queue::{SpanQueue, Work};

/// What the thread works with.
#[derive(Debug)]
pub(crate) struct SpanWriter {
    pub(crate) queue: Arc<SpanQueue>,
    pub(crate) inlet: Inlet,
    pub(crate) clock: Arc<dyn Clock>,
    /// How many parcels were written that are to be exported.
    pub(crate) parcels: Arc<AtomicU64>,
    /// Tells the exporter that there is something new.
    pub(crate) written: Arc<Notify>,
    pub(crate) warning: Minutely,
}

impl SpanWriter {
    /// Runs until the queue is closed and empty.
    pub(crate) fn run(mut self, origin: Origin) {
        let resource = origin.resource();
        loop {
            match self.queue.next() {
                Work::Spans(spans) => self.write(&resource, Class::Base, Stage::Final, &spans),
                Work::Kept(spans) => self.write(&resource, Class::Kept, Stage::Final, &spans),
                Work::Hold { token, spans, done } => {
                    if self.inlet.is_durable() {
                        self.write(&resource, Class::Kept, Stage::Held(token.0), &spans);
                    }
                    let _nobody_waits = done.send(());
                }
                Work::Release { token, spans } => {
                    self.write(&resource, Class::Kept, Stage::Released(token.0), &spans);
                }
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

    /// Writes spans down, in as many parcels as their size asks for.
    fn write(&mut self, resource: &Resource, class: Class, stage: Stage, spans: &[Span]) {
        let body = encode::request(resource, spans);
        if body.len() > self.inlet.max_bytes() && spans.len() > 1 {
            // Only the last part supersedes what was held: a process that dies before has not
            // written all of it.
            let before = match stage {
                Stage::Released(_) => Stage::Final,
                stage => stage,
            };
            let (left, right) = spans.split_at(spans.len() / 2);
            self.write(resource, class, before, left);
            self.write(resource, class, stage, right);
            return;
        }
        let parcel = Parcel {
            body,
            spans: spans.len(),
            class,
            stage,
            times: times(spans),
        };
        if let Err(refused) = self.inlet.append(parcel) {
            // What is only held leaves in its final form, or was lost with its process.
            if !matches!(stage, Stage::Held(_)) {
                self.queue.tally.dropped(refused.reason, spans.len());
            }
            self.warn(refused.reason, &refused.what);
            return;
        }
        if !spans.is_empty() && !matches!(stage, Stage::Held(_)) {
            self.parcels.fetch_add(1, Ordering::Release);
        }
        self.written.notify_one();
    }

    fn warn(&mut self, reason: DropReason, what: &str) {
        if !self.warning.is_due(self.clock.monotonic()) {
            return;
        }
        tracing::warn!(
            target: "longshore",
            reason = reason.as_str(),
            "spans cannot be written to the span log and are dropped: {what}; jobs go on, this is said once a minute at most"
        );
    }
}

fn times(spans: &[Span]) -> (Timestamp, Timestamp) {
    let first = spans.iter().map(|span| span.start).min();
    let last = spans.iter().map(|span| span.end).max();
    first
        .zip(last)
        .unwrap_or((Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH))
}
