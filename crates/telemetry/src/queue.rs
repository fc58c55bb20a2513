//! The bounded queue between those who make spans or log records and the thread that writes them
//! down.

use std::collections::{BTreeSet, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use longshore_core::TraceId;
use longshore_instrument::{HoldToken, Span};
use tokio::sync::oneshot;

use crate::counters::{DropReason, Tally};
use crate::item::Item;

/// How long an item waits for others to be written down with.
const LINGER: Duration = Duration::from_millis(10);
/// How long nothing may happen before [`Work::Idle`].
const IDLE: Duration = Duration::from_secs(1);

/// Takes items without ever waiting; what does not fit is dropped and counted.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    inner: Mutex<Inner<T>>,
    arrived: Condvar,
    capacity: usize,
    batch: usize,
    to_nowhere: bool,
    /// Items that were taken and could not be written down. It only rises.
    lost: AtomicU64,
    pub(crate) tally: Arc<Tally>,
}

#[derive(Debug)]
struct Inner<T> {
    items: VecDeque<T>,
    /// What is done in the order in which it was asked for, and before all items.
    urgent: VecDeque<Work<T>>,
    /// Items in `urgent`.
    urgent_items: usize,
    flushes: Vec<oneshot::Sender<()>>,
    closed: bool,
}

impl<T> Default for Inner<T> {
    fn default() -> Self {
        Self {
            items: VecDeque::new(),
            urgent: VecDeque::new(),
            urgent_items: 0,
            flushes: Vec::new(),
            closed: false,
        }
    }
}

impl<T> Inner<T> {
    /// Whether nobody asks for anything at once, so that items may wait for others.
    fn lingers(&self, batch: usize) -> bool {
        self.items.len() < batch && self.is_unasked()
    }

    /// Whether there is nothing to do.
    fn rests(&self) -> bool {
        self.items.is_empty() && self.is_unasked()
    }

    fn is_unasked(&self) -> bool {
        self.urgent.is_empty() && self.flushes.is_empty() && !self.closed
    }
}

/// What there is to do for the thread that writes down.
#[derive(Debug)]
pub(crate) enum Work<T> {
    /// Spans of traces that the head sampler chose, and user spans of kept jobs; log records.
    Items(Vec<T>),
    /// Those of them that belong to what is held next.
    Kept(Vec<T>),
    /// Spans of kept attempts, before their settle is sent.
    Hold {
        token: HoldToken,
        items: Vec<T>,
        done: oneshot::Sender<()>,
    },
    /// The same in their final form.
    Release { token: HoldToken, items: Vec<T> },
    /// Everything that came before is written down.
    Flushed(Vec<oneshot::Sender<()>>),
    /// Nothing happened for a while.
    Idle,
    /// Nothing will ever come.
    End,
}

impl<T> Work<T> {
    fn count(&self) -> usize {
        match self {
            Self::Items(items)
            | Self::Kept(items)
            | Self::Hold { items, .. }
            | Self::Release { items, .. } => items.len(),
            Self::Flushed(_) | Self::Idle | Self::End => 0,
        }
    }
}

impl<T: Item> Queue<T> {
    pub(crate) fn new(capacity: usize, batch: usize, tally: Arc<Tally>) -> Self {
        Self {
            inner: Mutex::default(),
            arrived: Condvar::new(),
            capacity,
            batch,
            to_nowhere: false,
            lost: AtomicU64::new(0),
            tally,
        }
    }

    /// A queue that nobody reads, for telemetry that leads nowhere: what is put in is gone.
    pub(crate) fn to_nowhere(tally: Arc<Tally>) -> Self {
        Self {
            to_nowhere: true,
            ..Self::new(0, 1, tally)
        }
    }

    pub(crate) const fn is_to_nowhere(&self) -> bool {
        self.to_nowhere
    }

    /// Gives back why and how many did not fit, if any.
    pub(crate) fn push<I>(&self, items: I) -> Option<(DropReason, usize)>
    where
        I: AsRef<[T]> + IntoIterator<Item = T>,
    {
        if self.to_nowhere {
            return None;
        }
        let offered = items.as_ref().len();
        T::created(items.as_ref(), &self.tally);
        let (before, after, closed) = {
            let mut inner = self.inner();
            let before = inner.items.len();
            if !inner.closed {
                let room = self.capacity.saturating_sub(before);
                inner.items.extend(items.into_iter().take(room));
            }
            let used = inner.items.len();
            self.tally.pressure.in_queue(used, self.capacity);
            (before, inner.items.len(), inner.closed)
        };
        if (before == 0 && after > 0) || (before < self.batch && after >= self.batch) {
            self.arrived.notify_one();
        }
        self.count_dropped(offered - (after - before), closed)
    }

    /// How many fit in now; none while details give way.
    pub(crate) fn room(&self) -> usize {
        if self.tally.pressure.drops_detail() {
            return 0;
        }
        self.capacity.saturating_sub(self.inner().items.len())
    }

    /// How many items were taken so far and could not be written down. What came since an earlier
    /// reading is written down if this has not risen once [`Queue::flush`] has resolved.
    pub(crate) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Acquire)
    }

    /// Counts items that were taken and cannot be written down.
    pub(crate) fn lose(&self, reason: DropReason, items: usize) {
        if items == 0 {
            return;
        }
        let many = u64::try_from(items).unwrap_or(u64::MAX);
        self.lost.fetch_add(many, Ordering::Release);
        self.tally.dropped(reason, items);
    }

    /// Resolves when everything that came so far is written down, or is [lost](Queue::lost).
    pub(crate) fn flush(&self) -> oneshot::Receiver<()> {
        let (done, flushed) = oneshot::channel();
        self.inner().flushes.push(done);
        self.arrived.notify_one();
        flushed
    }

    /// The next thing to do; waits for one.
    pub(crate) fn next(&self) -> Work<T> {
        let mut inner = self.inner();
        loop {
            if let Some(work) = inner.urgent.pop_front() {
                inner.urgent_items -= work.count();
                return work;
            }
            if !inner.items.is_empty() {
                let lingers = |inner: &mut Inner<T>| inner.lingers(self.batch);
                inner = self.wait(inner, LINGER, lingers).0;
                let count = inner.items.len().min(self.batch);
                // Nothing is left of it if it was abandoned meanwhile.
                if count > 0 && inner.urgent.is_empty() {
                    let items = inner.items.drain(..count).collect();
                    let left = inner.items.len();
                    self.tally.pressure.in_queue(left, self.capacity);
                    return Work::Items(items);
                }
                continue;
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
        inner: MutexGuard<'a, Inner<T>>,
        limit: Duration,
        condition: impl FnMut(&mut Inner<T>) -> bool,
    ) -> (MutexGuard<'a, Inner<T>>, bool) {
        let waited = self.arrived.wait_timeout_while(inner, limit, condition);
        let (inner, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        (inner, timeout.timed_out())
    }

    /// Takes nothing more.
    pub(crate) fn close(&self) {
        self.inner().closed = true;
        self.arrived.notify_one();
    }

    /// Drops what is left, counting it as lost to the shutdown.
    pub(crate) fn abandon(&self) {
        let mut inner = self.inner();
        let urgent: usize = inner.urgent.drain(..).map(|work| work.count()).sum();
        let left = std::mem::take(&mut inner.items).len();
        inner.urgent_items = 0;
        self.tally.pressure.in_queue(0, self.capacity);
        drop(inner);
        self.lose(DropReason::Shutdown, urgent + left);
    }

    fn count_dropped(&self, items: usize, closed: bool) -> Option<(DropReason, usize)> {
        if items == 0 {
            return None;
        }
        let reason = if closed {
            DropReason::Shutdown
        } else {
            DropReason::QueueFull
        };
        self.tally.dropped(reason, items);
        Some((reason, items))
    }

    fn inner(&self) -> MutexGuard<'_, Inner<T>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue<Span> {
    /// Puts the spans of kept attempts before all others. They count against a capacity of their
    /// own, so that a flood of the others does not push them out. What is in the queue of the same
    /// traces goes with them: the attempt's live spans have ended before it did. Resolves when they
    /// are written down, or were dropped.
    pub(crate) fn hold(&self, token: HoldToken, spans: Vec<Span>) -> oneshot::Receiver<()> {
        let (done, written) = oneshot::channel();
        self.urge(Work::Hold {
            token,
            items: spans,
            done,
        });
        written
    }

    /// Puts the final form of what was held, likewise.
    pub(crate) fn release(&self, token: HoldToken, spans: Vec<Span>) {
        self.tally.created(&spans);
        let count = spans.len();
        if let Some(closed) = self.urge(Work::Release {
            token,
            items: spans,
        }) {
            self.count_dropped(count, closed);
        }
    }

    /// Says whether the queue is closed, if it refused the work.
    fn urge(&self, work: Work<Span>) -> Option<bool> {
        let count = work.count();
        let mut inner = self.inner();
        if inner.closed || inner.urgent_items + count > self.capacity {
            return Some(inner.closed);
        }
        if let Work::Hold { items, .. } = &work {
            self.keep_companions(&mut inner, items);
        }
        inner.urgent_items += count;
        inner.urgent.push_back(work);
        drop(inner);
        self.arrived.notify_one();
        None
    }

    /// Puts what is in the queue of the traces of `held` before them.
    fn keep_companions(&self, inner: &mut Inner<Span>, held: &[Span]) {
        let traces: BTreeSet<TraceId> = held.iter().map(|span| span.trace_id).collect();
        let is_companion = |span: &Span| traces.contains(&span.trace_id);
        if !inner.items.iter().any(is_companion) {
            return;
        }
        let (companions, others): (Vec<Span>, Vec<Span>) =
            inner.items.drain(..).partition(is_companion);
        inner.items = others.into();
        self.tally
            .pressure
            .in_queue(inner.items.len(), self.capacity);
        inner.urgent_items += companions.len();
        inner.urgent.push_back(Work::Kept(companions));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counters::SpanOrigin;
    use crate::keep::job_spans::tests::span;
    use crate::logs::record::tests::record;

    fn queue(capacity: usize, batch: usize) -> Queue<Span> {
        Queue::new(capacity, batch, Arc::default())
    }

    fn spans(count: u64) -> Vec<Span> {
        (1..=count).map(|number| span(number, "")).collect()
    }

    /// Spans of another trace than those of [`spans`].
    fn others(count: u64) -> Vec<Span> {
        let mut spans = spans(count);
        for span in &mut spans {
            span.trace_id = TraceId::from_u128(77);
        }
        spans
    }

    #[test]
    fn the_live_spans_of_what_is_held_are_as_safe_as_it() {
        let queue = queue(10, 8);
        queue.push(spans(2));
        queue.push(others(3));
        let _written = queue.hold(HoldToken(1), spans(1));
        assert!(matches!(queue.next(), Work::Kept(spans) if spans.len() == 2));
        assert!(matches!(queue.next(), Work::Hold { .. }));
        assert!(matches!(queue.next(), Work::Items(spans) if spans.len() == 3));
    }

    #[test]
    fn what_is_urgent_goes_first_and_in_order() {
        let queue = queue(10, 2);
        queue.push(others(2));
        let written = queue.hold(HoldToken(1), spans(1));
        queue.release(HoldToken(1), spans(1));
        assert!(matches!(
            queue.next(),
            Work::Hold {
                token: HoldToken(1),
                ..
            }
        ));
        assert!(matches!(
            queue.next(),
            Work::Release {
                token: HoldToken(1),
                ..
            }
        ));
        assert!(matches!(queue.next(), Work::Items(spans) if spans.len() == 2));
        drop(written);
    }

    #[test]
    fn a_flood_is_bounded_and_does_not_push_out_what_is_kept() {
        let queue = queue(3, 2);
        queue.push(spans(5));
        queue.release(HoldToken(1), spans(3));
        queue.release(HoldToken(2), spans(1));
        let counters = queue.tally.snapshot();
        assert_eq!(counters.created, 9);
        assert_eq!(counters.dropped[&DropReason::QueueFull], 3);
        assert!(matches!(queue.next(), Work::Release { items, .. } if items.len() == 3));
    }

    #[test]
    fn pressure_follows_how_full_it_is() {
        let queue = queue(16, 4);
        queue.push(spans(12));
        assert_eq!(queue.tally.pressure.level(), 5);
        assert!(matches!(queue.next(), Work::Items(_)));
        assert_eq!(queue.tally.pressure.level(), 1);
        assert!(matches!(queue.next(), Work::Items(_)));
        assert_eq!(queue.tally.pressure.level(), 0);
        queue.push(spans(20));
        queue.abandon();
        assert_eq!(queue.tally.pressure.level(), 0);
    }

    #[test]
    fn a_flush_comes_after_what_was_there() {
        let queue = queue(10, 8);
        queue.push(spans(3));
        let mut flushed = queue.flush();
        assert!(matches!(queue.next(), Work::Items(spans) if spans.len() == 3));
        assert!(flushed.try_recv().is_err());
        assert!(matches!(queue.next(), Work::Flushed(done) if done.len() == 1));
    }

    #[test]
    fn after_the_end_everything_is_dropped_and_counted() {
        let queue = queue(10, 8);
        queue.push(spans(1));
        queue.close();
        queue.push(spans(2));
        assert!(matches!(queue.next(), Work::Items(_)));
        assert!(matches!(queue.next(), Work::End));
        assert_eq!(queue.tally.snapshot().dropped[&DropReason::Shutdown], 2);
    }

    #[test]
    fn what_is_abandoned_is_lost_to_the_shutdown() {
        let queue = queue(10, 8);
        queue.push(spans(3));
        queue.release(HoldToken(1), spans(1));
        queue.close();
        queue.abandon();
        assert!(matches!(queue.next(), Work::End));
        assert_eq!(queue.tally.snapshot().dropped[&DropReason::Shutdown], 4);
    }

    #[test]
    fn log_records_go_the_same_way_and_are_the_applications() {
        let queue = Queue::new(3, 2, Arc::default());
        for _ in 0..5 {
            queue.push([record("said")]);
        }
        let counters = queue.tally.snapshot();
        assert_eq!(counters.created_by[&SpanOrigin::Application], 5);
        assert_eq!(counters.dropped[&DropReason::QueueFull], 2);
        assert!(matches!(queue.next(), Work::Items(records) if records.len() == 2));
        assert!(matches!(queue.next(), Work::Items(records) if records.len() == 1));
    }
}
