//! The thread that encodes spans or log records and puts them into the backlog: it may wait for a
//! disk, so that nobody else has to.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use longshore_core::{Clock, Timestamp};
use longshore_spanlog::Class;
use tokio::sync::Notify;

use crate::backlog::{Inlet, Parcel, Stage};
use crate::counters::DropReason;
use crate::encode::Resource;
use crate::item::Item;
use crate::minutely::Minutely;
use crate::open_spans::{OpenFrame, OpenFrames};
use crate::origin::Origin;
use crate::queue::{Queue, Work};

/// What the thread works with.
#[derive(Debug)]
pub(crate) struct Writer<T> {
    pub(crate) queue: Arc<Queue<T>>,
    pub(crate) inlet: Inlet,
    pub(crate) clock: Arc<dyn Clock>,
    /// How many parcels were written that are to be exported.
    pub(crate) parcels: Arc<AtomicU64>,
    /// Tells the exporter that there is something new.
    pub(crate) written: Arc<Notify>,
    pub(crate) warning: Minutely,
    /// What besides is written into a log.
    pub(crate) open: Option<OpenFrames>,
}

impl<T: Item> Writer<T> {
    /// Runs until the queue is closed and empty.
    pub(crate) fn run(mut self, origin: Origin) {
        let mut own = origin.resource();
        loop {
            let work = self.queue.next();
            // After what was recorded was taken, so that it names the store that it was recorded of.
            let resource = own.now();
            match work {
                Work::Items(items) => self.write(resource, Class::Base, Stage::Final, &items),
                Work::Kept(items) => self.write(resource, Class::Kept, Stage::Final, &items),
                Work::Hold { token, items, done } => {
                    if self.inlet.is_durable() {
                        self.write(resource, Class::Kept, Stage::Held(token.0), &items);
                    }
                    let _nobody_waits = done.send(());
                }
                Work::Release { token, items } => {
                    self.write(resource, Class::Kept, Stage::Released(token.0), &items);
                }
                Work::Flushed(done) => {
                    for done in done {
                        let _nobody_waits = done.send(());
                    }
                }
                Work::Idle => {}
                Work::End => break,
            }
            self.inlet.tick();
            self.write_open(resource);
        }
        let resource = own.now();
        let last = self.open.as_mut().and_then(|open| open.last(resource));
        self.put_open(last);
    }

    /// Writes items down, in as many parcels as their size asks for.
    fn write(&mut self, resource: &Resource, class: Class, stage: Stage, items: &[T]) {
        let body = T::request(resource, items);
        if body.len() > self.inlet.max_bytes() && items.len() > 1 {
            // Only the last part supersedes what was held: a process that dies before has not
            // written all of it.
            let before = match stage {
                Stage::Released(_) => Stage::Final,
                stage => stage,
            };
            let (left, right) = items.split_at(items.len() / 2);
            self.write(resource, class, before, left);
            self.write(resource, class, stage, right);
            return;
        }
        let parcel = Parcel {
            body,
            spans: items.len(),
            class,
            stage,
            times: times(items),
        };
        if let Err(refused) = self.inlet.append(parcel) {
            // What is only held leaves in its final form, or was lost with its process.
            if !matches!(stage, Stage::Held(_)) {
                self.queue.lose(refused.reason, items.len());
            }
            self.warn(refused.reason, &refused.what);
            return;
        }
        if !items.is_empty() && !matches!(stage, Stage::Held(_)) {
            self.parcels.fetch_add(1, Ordering::Release);
        }
        self.written.notify_one();
    }

    fn write_open(&mut self, resource: &Resource) {
        let now = self.clock.monotonic();
        let due = self.open.as_mut().and_then(|open| open.due(now, resource));
        self.put_open(due);
    }

    /// What is lost of this is no span: each leaves when it ends.
    fn put_open(&mut self, frame: Option<OpenFrame>) {
        let Some(frame) = frame else {
            return;
        };
        if let Err(refused) = self.inlet.append_open(&frame, self.clock.now()) {
            tracing::debug!(target: "longshore", "open spans cannot be written down: {}", refused.what);
        }
    }

    fn warn(&mut self, reason: DropReason, what: &str) {
        if !self.warning.is_due(self.clock.monotonic()) {
            return;
        }
        tracing::warn!(
            target: "longshore",
            reason = reason.as_str(),
            "{} cannot be written down and are dropped: {what}; jobs go on, this is said once a minute at most",
            T::SIGNAL.items()
        );
    }
}

fn times<T: Item>(items: &[T]) -> (Timestamp, Timestamp) {
    let first = items.iter().map(|item| item.times().0).min();
    let last = items.iter().map(|item| item.times().1).max();
    first
        .zip(last)
        .unwrap_or((Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH))
}
