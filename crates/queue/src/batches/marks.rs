//! Members that are over and of which that is not noted yet.

use std::collections::BTreeMap;
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

/// Members that are over, by page.
type Pending = BTreeMap<(BatchId, u16), BTreeMap<u16, End>>;

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
        let mut pending = self.lock();
        if pending.values().map(BTreeMap::len).sum::<usize>() >= MOST {
            tracing::warn!(job.id = %job.id, "too many members are over to note them all now");
            return;
        }
        let page = pending.entry((member.batch, member.page)).or_default();
        page.insert(member.slot, end);
        drop(pending);
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
        for ((batch, page), ends) in taken {
            let marks: Vec<_> = ends.iter().map(|(slot, end)| (*slot, *end)).collect();
            if let Err(error) = mark(producer, &batch, page, &marks).await {
                let kind = error.kind().as_str();
                tracing::warn!(error.kind = kind, %batch, %error, "members that are over could not be noted");
                if matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Conflict) {
                    all_noted = false;
                    self.put_back((batch, page), ends);
                }
            }
        }
        all_noted
    }

    fn put_back(&self, key: (BatchId, u16), ends: BTreeMap<u16, End>) {
        let mut pending = self.lock();
        let page = pending.entry(key).or_default();
        for (slot, end) in ends {
            page.entry(slot).or_insert(end);
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
