//! The backlog of a process that has no span log.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use longshore_spanlog::Class;

use super::{Handed, Mark, Parcel, Stage};
use crate::counters::{DropReason, Tally};

/// Holds parcels up to a number of bytes. Beyond it the oldest of the least worthy class is
/// dropped and counted.
#[derive(Debug)]
pub(crate) struct MemoryBacklog {
    inner: Mutex<Inner>,
    max_bytes: usize,
    tally: Arc<Tally>,
}

#[derive(Debug, Default)]
struct Inner {
    base: VecDeque<Parcel>,
    /// Kept and pinned.
    kept: VecDeque<Parcel>,
    bytes: usize,
}

impl MemoryBacklog {
    pub(crate) fn new(max_bytes: usize, tally: Arc<Tally>) -> Self {
        Self {
            inner: Mutex::default(),
            max_bytes,
            tally,
        }
    }

    pub(crate) fn append(&self, parcel: Parcel) {
        // What is held would die with the process like everything here.
        if parcel.spans == 0 || matches!(parcel.stage, Stage::Held(_)) {
            return;
        }
        let mut inner = self.inner();
        inner.bytes += parcel.body.len();
        match parcel.class {
            Class::Base => inner.base.push_back(parcel),
            Class::Kept | Class::Pinned => inner.kept.push_back(parcel),
        }
        let mut dropped = 0;
        while inner.bytes > self.max_bytes {
            let Some(oldest) = inner.base.pop_front().or_else(|| inner.kept.pop_front()) else {
                break;
            };
            inner.bytes -= oldest.body.len();
            dropped += oldest.spans;
        }
        self.tally.pressure.in_backlog(inner.bytes, self.max_bytes);
        drop(inner);
        self.tally.dropped(DropReason::BacklogFull, dropped);
    }

    pub(crate) fn next(&self) -> Option<Handed> {
        let mut inner = self.inner();
        let parcel = inner.kept.pop_front().or_else(|| inner.base.pop_front())?;
        inner.bytes -= parcel.body.len();
        self.tally.pressure.in_backlog(inner.bytes, self.max_bytes);
        Some(Handed {
            body: parcel.body,
            spans: parcel.spans,
            is_own: true,
            mark: Mark::Memory,
        })
    }

    pub(crate) fn abandon(&self) -> usize {
        let inner = std::mem::take(&mut *self.inner());
        self.tally.pressure.in_backlog(0, self.max_bytes);
        inner
            .base
            .iter()
            .chain(&inner.kept)
            .map(|parcel| parcel.spans)
            .sum()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use longshore_core::Timestamp;

    use super::*;

    fn parcel(class: Class, stage: Stage, bytes: usize) -> Parcel {
        Parcel {
            body: Bytes::from(vec![0; bytes]),
            spans: bytes,
            class,
            stage,
            times: (Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH),
        }
    }

    #[test]
    fn the_oldest_of_the_least_worthy_goes_first() {
        let backlog = MemoryBacklog::new(10, Arc::default());
        backlog.append(parcel(Class::Kept, Stage::Released(1), 4));
        backlog.append(parcel(Class::Base, Stage::Final, 3));
        backlog.append(parcel(Class::Base, Stage::Final, 2));
        backlog.append(parcel(Class::Kept, Stage::Released(2), 4));
        let left = std::iter::from_fn(|| backlog.next()).map(|handed| handed.spans);
        assert_eq!(left.collect::<Vec<_>>(), [4, 4, 2]);
        let dropped = backlog.tally.snapshot().dropped;
        assert_eq!(dropped[&DropReason::BacklogFull], 3);
    }

    #[test]
    fn pressure_follows_how_full_it_is() {
        let backlog = MemoryBacklog::new(16, Arc::default());
        backlog.append(parcel(Class::Base, Stage::Final, 10));
        assert_eq!(backlog.tally.pressure.level(), 3);
        backlog.append(parcel(Class::Kept, Stage::Final, 10));
        assert_eq!(backlog.tally.pressure.level(), 3, "the base one gave way");
        backlog.next();
        assert_eq!(backlog.tally.pressure.level(), 0);
        backlog.append(parcel(Class::Base, Stage::Final, 10));
        backlog.abandon();
        assert_eq!(backlog.tally.pressure.level(), 0);
    }

    #[test]
    fn what_is_held_waits_for_its_final_form() {
        let backlog = MemoryBacklog::new(10, Arc::default());
        backlog.append(parcel(Class::Kept, Stage::Held(1), 4));
        assert!(backlog.next().is_none());
        backlog.append(parcel(Class::Kept, Stage::Released(1), 4));
        assert_eq!(backlog.next().unwrap().spans, 4);
    }
}
