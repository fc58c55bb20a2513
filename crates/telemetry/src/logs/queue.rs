//! The bounded queue between those who log and the thread that writes records down.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use super::record::LogRecord;
use crate::counters::{DropReason, Tally};

/// How long a record waits for others to be written down with.
const LINGER: Duration = Duration::from_millis(10);
/// How long nothing may happen before [`Work::Idle`].
const IDLE: Duration = Duration::from_secs(1);

/// Takes log records without ever waiting; what does not fit is dropped and counted.
#[derive(Debug)]
pub(crate) struct RecordQueue {
    inner: Mutex<Inner>,
    arrived: Condvar,
    capacity: usize,
    batch: usize,
    tally: Arc<Tally>,
}

#[derive(Debug, Default)]
struct Inner {
    records: VecDeque<LogRecord>,
    flushes: Vec<oneshot::Sender<()>>,
    closed: bool,
}

impl Inner {
    /// Whether nobody asks for anything at once, so that records may wait for others.
    fn lingers(&self, batch: usize) -> bool {
        self.records.len() < batch && self.flushes.is_empty() && !self.closed
    }

    /// Whether there is nothing to do.
    fn rests(&self) -> bool {
        self.records.is_empty() && self.flushes.is_empty() && !self.closed
    }
}

/// What there is to do for the thread that writes records down.
#[derive(Debug)]
pub(crate) enum Work {
    Records(Vec<LogRecord>),
    /// Everything that came before is written down.
    Flushed(Vec<oneshot::Sender<()>>),
    /// Nothing happened for a while.
    Idle,
    /// Nothing will ever come.
    End,
}

impl RecordQueue {
    pub(crate) fn new(capacity: usize, batch: usize, tally: Arc<Tally>) -> Self {
        Self {
            inner: Mutex::default(),
            arrived: Condvar::new(),
            capacity,
            batch,
            tally,
        }
    }

    pub(crate) fn push(&self, record: LogRecord) {
        self.tally.created_by_application(1);
        let mut inner = self.inner();
        let before = inner.records.len();
        if inner.closed || before >= self.capacity {
            let closed = inner.closed;
            drop(inner);
            self.count_dropped(1, closed);
            return;
        }
        inner.records.push_back(record);
        drop(inner);
        if before == 0 || before + 1 == self.batch {
            self.arrived.notify_one();
        }
    }

    /// The next thing to do; waits for one.
    pub(crate) fn next(&self) -> Work {
        let mut inner = self.inner();
        loop {
            if !inner.records.is_empty() {
                let lingers = |inner: &mut Inner| inner.lingers(self.batch);
                inner = self.wait(inner, LINGER, lingers).0;
                let count = inner.records.len().min(self.batch);
                // Nothing is left of it if it was abandoned meanwhile.
                if count > 0 {
                    return Work::Records(inner.records.drain(..count).collect());
                }
            }
            if !inner.flushes.is_empty() {
                return Work::Flushed(std::mem::take(&mut inner.flushes));
            }
            if inner.closed {
                return Work::End;
            }
            let (woken, in_vain) = self.wait(inner, IDLE, |inner| inner.rests());
            if in_vain {
                return Work::Idle;
            }
            inner = woken;
        }
    }

    /// Waits while a condition holds, at most for `limit`; says whether it still does.
    fn wait<'a>(
        &self,
        inner: MutexGuard<'a, Inner>,
        limit: Duration,
        condition: impl FnMut(&mut Inner) -> bool,
    ) -> (MutexGuard<'a, Inner>, bool) {
        let waited = self.arrived.wait_timeout_while(inner, limit, condition);
        let (inner, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        (inner, timeout.timed_out())
    }

    /// Resolves when everything that came so far is written down.
    pub(crate) fn flush(&self) -> oneshot::Receiver<()> {
        let (done, flushed) = oneshot::channel();
        self.inner().flushes.push(done);
        self.arrived.notify_one();
        flushed
    }

    /// Takes no more records.
    pub(crate) fn close(&self) {
        self.inner().closed = true;
        self.arrived.notify_one();
    }

    /// Drops what is left, counting it as lost to the shutdown.
    pub(crate) fn abandon(&self) {
        let left = std::mem::take(&mut self.inner().records).len();
        self.count_dropped(left, true);
    }

    pub(crate) const fn tally(&self) -> &Arc<Tally> {
        &self.tally
    }

    fn count_dropped(&self, records: usize, closed: bool) {
        let reason = if closed {
            DropReason::Shutdown
        } else {
            DropReason::QueueFull
        };
        self.tally.dropped(reason, records);
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::record::tests::record;

    fn queue(capacity: usize, batch: usize, records: usize) -> RecordQueue {
        let queue = RecordQueue::new(capacity, batch, Arc::default());
        for _ in 0..records {
            queue.push(record("said"));
        }
        queue
    }

    #[test]
    fn a_flood_is_bounded_and_its_loss_counted() {
        let queue = queue(3, 2, 5);
        let counters = queue.tally.snapshot();
        assert_eq!(counters.created, 5);
        assert_eq!(counters.dropped[&DropReason::QueueFull], 2);
        assert!(matches!(queue.next(), Work::Records(records) if records.len() == 2));
        assert!(matches!(queue.next(), Work::Records(records) if records.len() == 1));
    }

    #[test]
    fn a_flush_comes_after_what_was_there() {
        let queue = queue(10, 8, 3);
        let mut flushed = queue.flush();
        assert!(matches!(queue.next(), Work::Records(records) if records.len() == 3));
        assert!(flushed.try_recv().is_err());
        assert!(matches!(queue.next(), Work::Flushed(done) if done.len() == 1));
    }

    #[test]
    fn after_the_end_everything_is_dropped_and_counted() {
        let queue = queue(10, 8, 1);
        queue.close();
        queue.push(record("too late"));
        assert!(matches!(queue.next(), Work::Records(_)));
        assert!(matches!(queue.next(), Work::End));
        let other = self::queue(10, 8, 4);
        other.close();
        other.abandon();
        assert!(matches!(other.next(), Work::End));
        for (queue, dropped) in [(queue, 1), (other, 4)] {
            let counters = queue.tally.snapshot();
            assert_eq!(counters.dropped[&DropReason::Shutdown], dropped);
        }
    }
}
