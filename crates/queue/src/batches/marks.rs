//! Members that are over and of which that is not noted yet.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use longshore_core::batch::{End, Membership};
use longshore_core::{BatchId, ErrorKind, Job, JobState};
use tokio::sync::Notify;
use tokio::time::sleep;

use super::mark::mark;
use crate::producer::Producer;
use crate::worker::Shared;

/// Most marks that wait. What does not fit is found by looking at the jobs.
const MOST: usize = 100_000;
/// The wait after a store did not answer, at first and at most.
const RETRY_WAIT: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// Members that are over.
#[derive(Debug, Default)]
struct Pending {
    pages: BTreeMap<(BatchId, u16), BTreeMap<u16, End>>,
    /// How many members.
    members: usize,
}

impl Pending {
    /// Adds one, unless there are too many or, if `is_older`, it is known how it is over.
    fn add(&mut self, page: (BatchId, u16), (slot, end): (u16, End), is_older: bool) -> bool {
        if self.members >= MOST {
            return false;
        }
        let slots = self.pages.entry(page).or_default();
        match slots.entry(slot) {
            Entry::Vacant(vacant) => {
                vacant.insert(end);
                self.members += 1;
            }
            Entry::Occupied(mut known) if !is_older => {
                known.insert(end);
            }
            Entry::Occupied(_) => {}
        }
        true
    }
}

/// Members that are over and of which that is not noted yet, of a worker.
#[derive(Debug, Default)]
pub(crate) struct Marks {
    pending: Mutex<Pending>,
    /// Held while some are being noted.
    writing: tokio::sync::Mutex<()>,
    more: Notify,
}

impl Marks {
    /// Hears of the state that a job is in now.
    pub(crate) fn hear(&self, job: &Job, state: JobState) {
        if job.metadata.is_empty() {
            return;
        }
        let (Some(end), Some(member)) = (End::of(state), Membership::of(job)) else {
            return;
        };
        let page = (member.batch, member.page);
        if !self.lock().add(page, (member.slot, end), false) {
            tracing::warn!(job.id = %job.id, "too many members are over to note them all now");
            return;
        }
        self.more.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what waits. Whether nothing is left that could be noted later. What the store will not
    /// take is left to whoever looks at the jobs.
    pub(crate) async fn flush(&self, producer: &Producer) -> bool {
        let _alone = self.writing.lock().await;
        let mut all_noted = true;
        let taken = std::mem::take(&mut *self.lock());
        for ((batch, page), ends) in taken.pages {
            let marks: Vec<_> = ends.iter().map(|(slot, end)| (*slot, *end)).collect();
            if let Err(error) = mark(producer, &batch, page, &marks).await {
                let kind = error.kind().as_str();
                tracing::warn!(error.kind = kind, %batch, %error, "members that are over could not be noted");
                if matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Conflict) {
                    all_noted = false;
                    self.put_back(&(batch, page), ends);
                }
            }
        }
        all_noted
    }

    fn put_back(&self, page: &(BatchId, u16), ends: BTreeMap<u16, End>) {
        let mut pending = self.lock();
        for end in ends {
            pending.add(page.clone(), end, true);
        }
    }
}

/// Notes members that are over until the task is dropped.
pub(crate) async fn run(shared: Arc<Shared>) {
    loop {
        shared.marks.more.notified().await;
        let mut wait = RETRY_WAIT.0;
        while !shared.marks.flush(&shared.producer).await {
            sleep(wait).await;
            wait = (wait * 2).min(RETRY_WAIT.1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(number: u16) -> (BatchId, u16) {
        ("b".parse().unwrap(), number)
    }

    #[test]
    fn what_is_counted_is_what_waits() {
        let mut pending = Pending::default();
        assert!(pending.add(page(0), (1, End::Discarded), false));
        assert!(pending.add(page(0), (1, End::Completed), false));
        assert!(pending.add(page(0), (1, End::Discarded), true));
        assert!(pending.add(page(1), (1, End::Completed), false));
        assert_eq!(pending.members, 2);
        assert_eq!(pending.pages[&page(0)][&1], End::Completed);
    }

    #[test]
    fn it_has_a_bound() {
        let mut pending = Pending::default();
        for number in 0..MOST {
            let (number, slot) = (number / 1000, number % 1000);
            let slot = u16::try_from(slot).unwrap();
            let number = u16::try_from(number).unwrap();
            assert!(pending.add(page(number), (slot, End::Completed), false));
        }
        assert!(!pending.add(page(u16::MAX), (0, End::Completed), false));
        assert_eq!(std::mem::take(&mut pending).members, MOST);
        assert!(pending.add(page(u16::MAX), (0, End::Completed), false));
    }
}
